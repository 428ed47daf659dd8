"""Arrays made without pandas are those that pyarrow makes."""

import io
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.arrow import from_numbers, numbers, strings
from openalign.search import Index
from tests.conftest import PaintEncoder

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.none() | texts, max_size=30))
def test_texts_are_those_of_pyarrow(values):
    made = strings(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.string()))


def test_half_a_character_is_refused():
    with pytest.raises(UnicodeEncodeError):
        strings(["a", "\ud800"])


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.float32, np.bool_])
@given(values=st.lists(st.integers(0, 1) | st.integers(-9, 9), max_size=30), start=st.integers(0, 9))
def test_numbers_are_those_of_pyarrow_and_come_back_also_after_parquet(kind, values, start):
    values_N = np.array(values, kind)
    made = numbers(values_N)
    made.validate(full=True)
    assert made.equals(pa.array(values_N))
    file = io.BytesIO()
    pq.write_table(pa.table({"x": made}), file)
    for table in (pa.table({"x": pa.chunked_array([made[:start], made[start:]])}), pq.ParquetFile(file).read()):
        back_N = from_numbers(table["x"], kind)
        assert back_N.dtype == kind and back_N.tolist() == values_N.tolist()


def test_every_second_number_is_taken_where_these_are_given():
    values_N = np.arange(10, dtype=np.int32)[::2]
    assert numbers(values_N).to_pylist() == [0, 2, 4, 6, 8]


@pytest.mark.slow
def test_an_index_of_a_folder_that_gets_one_more_image_needs_no_pandas(paint, tmp_path):
    """Importing it takes longer than the rest."""
    for number in range(12):
        paint(tmp_path / "photos" / f"{number}.png", "red", size=(40 + number, 40))
    Index.build(tmp_path / "photos", model=PaintEncoder(), to=tmp_path / "i").store.close()
    paint(tmp_path / "photos" / "new.png", "blue")
    code = (
        "import sys; from tests.conftest import PaintEncoder; from openalign.search import Index;"
        "print(len(Index.build(sys.argv[1], model=PaintEncoder(), to=sys.argv[2])), 'pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code, tmp_path / "photos", tmp_path / "i"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "13 False\n"
