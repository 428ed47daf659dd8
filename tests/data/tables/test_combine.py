"""Tables with different columns become one."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.data.pairs.open import open_pairs
from tests.data.tables.datasets import stored


def test_columns_of_different_types_become_text(tmp_path: Path) -> None:
    for number, other in enumerate(([1, 2], ["x", "y"])):
        table = stored(2 * number, 2 * number + 2).append_column("other", pa.array(other))
        pq.write_table(table, tmp_path / f"train-{number:05d}-of-00002.parquet")
    assert open_pairs(tmp_path).table["other"].to_pylist() == ["1", "2", "x", "y"]
    pq.write_table(
        stored(2, 4).append_column("other", pa.array([{"a": 1}] * 2)), tmp_path / "train-00001-of-00002.parquet"
    )
    assert open_pairs(tmp_path).table["other"].to_pylist() == ["1", "2", '{"a": 1}', '{"a": 1}']
