"""Cached results: each partition is computed once, by any step, and again only where its result is damaged."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from openalign.curation import pipeline
from openalign.curation.engine.base import Engine
from openalign.curation.engine.cached_map import STEPS, batches_of, cached_map, count_results, count_rows, step_folder
from openalign.curation.engine.local import LocalEngine
from openalign.curation.pipeline import curate
from openalign.curation.sources.extract import extract


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with LocalEngine(tmp_path / "work", workers=1) as opened:
        yield opened


def partitions_of(folder: Path, count: int = 3) -> list[Path]:
    """Parquet files of ten rows each: `number`."""
    folder.mkdir(exist_ok=True)
    files = [folder / f"{number:06d}.parquet" for number in range(count)]
    for number, file in enumerate(files):
        pq.write_table(pa.table({"number": range(10 * number, 10 * number + 10)}), file)
    return files


class Doubling:
    """A function of partitions that counts its calls; it leaves a file beside each result."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, rows: pa.Table, beside: Path) -> pa.Table:
        self.calls += 1
        beside.with_suffix(".extra").write_bytes(b"beside")
        return pa.table({"number": pc.multiply(rows["number"], 2)})


def double(engine: Engine, partitions: list[Path], function: Doubling, **depends_on: int) -> list[int]:
    """All numbers of the partitions, doubled by a step called `doubling`."""
    files = cached_map(
        engine, "doubling", function, partitions, description="Doubling", rows=30, depends_on=depends_on or None
    )
    return [number for batch in batches_of(files, 7) for number in batch["number"].to_pylist()]


def test_each_partition_is_computed_once(engine: Engine, tmp_path: Path) -> None:
    partitions, function = partitions_of(tmp_path / "in"), Doubling()
    assert double(engine, partitions, function) == list(range(0, 60, 2))
    assert double(engine, partitions[::-1], function) == list(range(0, 60, 2))
    assert function.calls == 3


def test_other_rows_or_settings_give_another_result(engine: Engine, tmp_path: Path) -> None:
    partitions, function = partitions_of(tmp_path / "in"), Doubling()
    double(engine, partitions, function, quality=90)
    double(engine, partitions, function, quality=90)
    assert function.calls == 3
    double(engine, partitions, function, quality=80)
    assert function.calls == 6
    pq.write_table(pa.table({"number": [7]}), partitions[1])
    assert double(engine, partitions, function, quality=80)[10:-10] == [14]
    assert function.calls == 7


@pytest.mark.parametrize("suffix", ["parquet", "extra", "json"])
@pytest.mark.parametrize("damage", [lambda whole: whole[:-2], lambda whole: b"", lambda whole: b"[" * 100_000])
def test_a_damaged_result_alone_is_computed_again(
    engine: Engine, tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]
) -> None:
    partitions, function = partitions_of(tmp_path / "in"), Doubling()
    double(engine, partitions, function)
    file = sorted(step_folder(engine.work, "doubling").glob(f"*.{suffix}"))[1]
    file.write_bytes(damage(file.read_bytes()))
    assert double(engine, partitions, function) == list(range(0, 60, 2))
    assert function.calls == 4


def test_results_count_once_their_partition_is_complete(engine: Engine, tmp_path: Path) -> None:
    def fail(rows: pa.Table, beside: Path) -> pa.Table:
        raise ValueError("no result")

    partitions = partitions_of(tmp_path / "in")
    assert count_results(engine.work) == 0
    with pytest.raises(ValueError, match="no result"):
        cached_map(engine, "doubling", fail, partitions, description="Doubling", rows=30)
    assert count_results(engine.work) == 0
    double(engine, partitions, Doubling())
    assert count_results(engine.work) == len(partitions)


def test_rows_are_counted_and_read_in_batches_over_all_files(tmp_path: Path) -> None:
    files = partitions_of(tmp_path)
    assert count_rows(files) == 30 and count_rows([]) == 0
    assert [batch.num_rows for batch in batches_of(files, 6)] == [6, 4] * 3


@pytest.mark.slow
def test_an_interrupted_curation_resumes_a_step_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pipeline` keeps the results of steps that it does not know by name."""
    page = tmp_path / "in" / "page.html"
    page.parent.mkdir()
    page.write_text('<img src="a.jpg" alt="A red apple">')
    partitions, function = partitions_of(tmp_path / "partitions"), Doubling()

    def extract_after_a_new_step(engine: Engine, *args: object, **kwargs: object) -> object:
        double(engine, partitions, function)
        return extract(engine, *args, **kwargs)  # type: ignore[arg-type]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "extract", extract_after_a_new_step)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(pipeline, "write_kept", interrupt)
        curate([page.parent], to=tmp_path / "out", workers=1)
    assert (tmp_path / ".out.cache" / STEPS / "doubling").is_dir()
    curate([page.parent], to=tmp_path / "out", workers=1)
    assert function.calls == 3
