"""An exception in any function of one record costs that record, and the report names it."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import openalign.curation
from openalign.curation.isolation import records
from openalign.curation.isolation.records import RECORD_FUNCTIONS, Problem, RecordError, RunError, each_of, one_record
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.rules import image_rules
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError
from openalign.model import hub
from tests.conftest import PaintEncoder
from tests.curation.crawl import drawing, encoded
from tests.curation.extracted import extracted
from tests.curation.sources.test_extract import write_warc
from tests.curation.sources.test_wat import body, image, write_wat

pytestmark = pytest.mark.slow

for module in pkgutil.walk_packages(openalign.curation.__path__, "openalign.curation."):
    if module.name != "openalign.curation.engine.spark":  # an extra, which has no such function
        importlib.import_module(module.name)

EXTRACTION = {
    "sources.warc_records.content_of": 1,
    "html.page.tags_of_page": 1,
    "sources.wat.tags_of": 1,
    "sources.occurrences._tag_row": 1,
    "sources.occurrences._stored_row": 0,
    "sources.page_folders._shown_images": 1,
    "sources.listings._sample": 1,
    "sources.listings._listed": 1,
    "sources.parquet_images._row_group": 2,
    "sources.parquet_images._words": 1,
}
"""Functions that reading sources calls: how many pairs are lost when the second call raises."""
CURATION = {
    "images.inspection._inspect": (1, 1),
    "duplicates.contamination._fingerprint_of": (1, 0),
    "text.languages.guessed_languages": (1, 0),
    "text.words._spaced_text": (1, 0),
    "images.classifier._scores": (1, 1),
    "images.embeddings._embedded_images": (1, 0),
    "images.embeddings._embedded_texts": (1, 0),
    "report.report._small_jpeg": (0, 0),
}
"""Functions that later steps call: how many lines of the report, and kept pairs lost, one record's failure costs."""
BATCHES = ("images.classifier._scores", "images.embeddings._embedded_images", "images.embeddings._embedded_texts")
ELSEWHERE = ("sources.parquet_images._names", "isolation.columns._value", "sources.listings._row")
"""Functions that are called once, or only of damaged files or tables at URLs: they have tests of their own."""

ERRORS = (RuntimeError, UnicodeError, RecursionError, ValueError, OSError, KeyError, MemoryError, AssertionError)


def test_every_function_of_one_record_is_tested() -> None:
    ours = {name for name in RECORD_FUNCTIONS if not name.startswith("tests.")}
    assert ours == {*EXTRACTION, *CURATION, *ELSEWHERE}


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_a_function_of_one_record_raises_is_its_problem(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    for name in [*RECORD_FUNCTIONS]:
        module, _, function = name.rpartition(".")
        monkeypatch.setitem(RECORD_FUNCTIONS, name, partial(raise_, error("deep\n inside")))
        found = getattr(importlib.import_module(f"openalign.curation.{module}"), function)()
        assert isinstance(found, Problem)
        assert found.reason.startswith(f"unexpected {error.__name__}: ") and "deep" in found.reason
        assert "\n" not in found.of("http://a.org/")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, partial(RunError, "no process")])
def test_what_is_no_fault_of_the_record_ends_the_run(error: Callable[[], BaseException]) -> None:
    guarded = one_record(raise_)
    with pytest.raises(type(error())):
        guarded(error())


def test_reasons_of_ours_stand_alone_and_long_messages_are_cut() -> None:
    assert records.reason_of(RecordError("too large")) == records.reason_of(OpenAlignError("too large")) == "too large"
    assert records.reason_of(RuntimeError()) == "unexpected RuntimeError"
    assert len(records.reason_of(RuntimeError("x" * 10_000))) < 400
    assert Problem("it ends here.").of("a.html") == "a.html: it ends here."


def test_of_a_batch_that_fails_only_the_items_that_fail_alone_are_problems() -> None:
    asked: list[list[int]] = []

    def halves(numbers: Sequence[int]) -> list[int] | Problem:
        asked.append(list(numbers))
        return Problem("odd") if any(number % 2 for number in numbers) else [number // 2 for number in numbers]

    assert each_of(halves, [2, 3, 4]) == [1, Problem("odd"), 2]
    assert asked == [[2, 3, 4], [2], [3], [4]]
    assert each_of(halves, [2, 4]) == [1, 2] and each_of(halves, []) == []
    assert len(asked) == 5


def raise_(error: BaseException, *_: Any, **__: Any) -> None:
    raise error


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, calls: Iterable[int], error: Exception) -> None:
    """Let the function called `name` raise at these of its calls, counted from 1."""
    function, made = RECORD_FUNCTIONS[name], [0]

    def sometimes(*args: Any, **kwargs: Any) -> Any:
        made[0] += 1
        if made[0] in calls:
            raise error
        return function(*args, **kwargs)

    monkeypatch.setitem(RECORD_FUNCTIONS, name, sometimes)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A source of every kind, with three or four images each."""
    folder = tmp_path_factory.mktemp("sources")
    jpegs = [encoded(drawing(seed, 300, 240)) for seed in range(16)]
    texts = [f"a red thing number {number}" for number in range(3)]
    pages = {f"p{number}": f'<img src="{number}.jpg" alt="{text}">'.encode() for number, text in enumerate(texts)}
    crawl = write_warc(folder / "a.warc.gz", pages | {f"{number}.jpg": jpegs[number] for number in range(3)})
    listed = [
        body([image(f"w{number}.jpg", alt=f"red listed picture {number}")], url=f"http://w.org/{number}")
        for number in range(3)
    ]
    wat = write_wat(folder / "a.wat.gz", listed)
    for name in ("site", "table"):
        (folder / name).mkdir()
    for number in range(3):
        (folder / "site" / f"{number}.jpg").write_bytes(jpegs[3 + number])
        page = f'<img src="{number}.jpg" alt="red ภาษาไทยง่ายนิดเดียว สวย {number}">'
        (folder / "site" / f"{number}.html").write_text(page, encoding="utf-8")
        (folder / "table" / f"{number}.jpg").write_bytes(jpegs[6 + number])
    rows = [f"{number}.jpg,a red row number {number}" for number in range(3)]
    (folder / "table" / "pairs.csv").write_text("\n".join(["image,text", *rows]))
    with ShardWriter(folder / "shards") as writer:
        for number in range(3):
            writer.write(f"{number}", jpegs[9 + number], f"a red sample number {number}", {"image": f"s{number}.jpg"})
    column = [{"bytes": jpegs[12 + number], "path": f"{number}.jpg"} for number in range(4)]
    words = [f"a red cell number {number}" for number in range(4)]
    pq.write_table(pa.table({"image": column, "text": words}), folder / "images.parquet", row_group_size=2)
    return [crawl, wat, folder / "site", folder / "table", folder / "shards", folder / "images.parquet"]


def texts_of(found: Any) -> list[str]:
    return [row["text"] for row in found.occurrences]


@pytest.mark.parametrize("error", [RuntimeError("injected"), UnicodeError("injected"), RecursionError("injected")])
@pytest.mark.parametrize("name", EXTRACTION)
def test_reading_goes_on_after_a_record_that_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[Path], name: str, error: Exception
) -> None:
    whole = extracted(sources, tmp_path / "whole")
    assert whole.problems == [] and len(texts_of(whole)) == 19
    fail_at(monkeypatch, name, [2], error)
    found = extracted(sources, tmp_path / "work")
    [problem] = found.problems
    assert problem.endswith(f"unexpected {type(error).__name__}: injected.")
    assert any(str(source) in problem for source in sources) or "http://" in problem
    assert len(texts_of(found)) == 19 - EXTRACTION[name]
    assert set(texts_of(found)) <= set(texts_of(whole))
    if name == "sources.occurrences._stored_row":
        assert len(found.images) == len(whole.images) - 1


def test_names_that_cannot_be_read_are_numbers_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[Path]
) -> None:
    fail_at(monkeypatch, "sources.parquet_images._names", [1], RuntimeError("injected"))
    found = extracted(sources[-1:], tmp_path)
    assert found.problems == [f"{sources[-1]} column image: unexpected RuntimeError: injected."]
    assert [row["image"] for row in found.occurrences] == [f"{sources[-1]}/row {number}" for number in range(1, 5)]


def test_a_row_that_is_no_utf_8_is_a_problem_and_the_others_are_read(tmp_path: Path) -> None:
    broken = pa.array([b"whole", b"\xff\xfe broken", b"also whole"]).view(pa.string())
    names = pa.array([f"http://a.org/{number}.jpg" for number in range(3)])
    pq.write_table(pa.table({"url": names, "text": broken}), tmp_path / "a.parquet")
    found = extracted([tmp_path / "a.parquet"], tmp_path / "work")
    assert texts_of(found) == ["whole", "also whole"]
    assert found.problems == [f"{tmp_path}/a.parquet row 2 is not UTF-8, and is left out"]


def curated(folder: Path, sources: list[Path], tests: Path) -> tuple[dict[str, Any], set[str]]:
    settings = CurateRecipe.of(
        download=False, languages="en", unsafe_images="none", similarity_model="paint", min_similarity=-1.0
    )
    report = curate(sources, to=folder, test_set=[tests], workers=1, recipe=settings)
    return report, set(pq.read_table(folder / "pairs.parquet")["text"].to_pylist())


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, paint_encoder: PaintEncoder) -> None:
    monkeypatch.setattr(hub, "load", lambda name: paint_encoder)
    monkeypatch.setattr("openalign.curation.pipeline.check_models", lambda rules, recipe: None)
    monkeypatch.setattr(image_rules, "open_unsafe_scorer", lambda _: lambda images: [0.0] * len(images))
    monkeypatch.setattr("openalign.curation.text.languages.likely_languages", lambda text: ["en"])


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tests")
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(encoded(drawing(90 + number)))
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("name", CURATION)
def test_a_curation_goes_on_after_a_record_that_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[Path], tests: Path, name: str
) -> None:
    problems, lost = CURATION[name]
    # Of a batch the first call fails, then the second of its items alone.
    fail_at(monkeypatch, name, [1, 3] if name in BATCHES else [2], RuntimeError("injected"))
    report, kept = curated(tmp_path / "to", sources, tests)
    assert report["problems"]["count"] == problems, report["problems"]
    assert all("unexpected RuntimeError: injected" in line for line in report["problems"]["first"])
    assert len(kept) == 16 - lost


@pytest.mark.usefixtures("models")
def test_without_failures_there_are_no_problems(tmp_path: Path, sources: list[Path], tests: Path) -> None:
    report, kept = curated(tmp_path / "to", sources, tests)
    assert report["problems"]["count"] == 0 and len(kept) == 16
    assert report["pairs"]["pairs"] == 19


def test_an_image_whose_inspection_raises_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[Path]
) -> None:
    for function in ("decode", "thumbnails", "perceptual_hash"):
        with monkeypatch.context() as patched:
            patched.setattr(
                f"openalign.curation.images.single_image.{function}", partial(raise_, RecursionError("injected"))
            )
            folder = tmp_path / function
            report = curate(sources[:1], to=folder, workers=1, recipe=CurateRecipe.of(download=False))
        rows = pq.read_table(folder / "dropped.parquet").to_pylist()
        assert [row["reasons"] for row in rows] == [["unreadable_image"]] * 3
        assert report["problems"]["count"] == 3
        assert report["image_problems"] == {"unexpected RecursionError: injected": 3}
