"""The engines: the same tables, partitions and results from DuckDB and processes as from Spark."""

import hashlib
import itertools
import shutil
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.curation.engine.base import Engine, parse_memory, rows_per_partition
from openalign.curation.engine.cached_map import batches_of, cached_map
from openalign.curation.engine.local import LocalEngine
from openalign.curation.engine.registry import open_engine
from openalign.curation.fetch.download import fetch
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.rules.evaluation import add_inspected, add_text_passes, evaluate
from openalign.curation.rules.relations import count_pairs
from openalign.curation.rules.rule import Corpus
from openalign.curation.rules.table import rules_that_run
from openalign.curation.text.languages import classify_batch
from openalign.curation.text.words import bigrams, in_words, is_unspaced, spaced, unigrams
from openalign.errors import OpenAlignError
from tests import preloaded
from tests.curation.crawl import drawing, encoded, write_crawl
from tests.curation.plain_words import split_spaced, split_unigrams
from tests.curation.site import Server

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="needs Java 17, which is not installed")


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One session for all tests of this file, which engines opened meanwhile use; of one worker, so that tables are cut
    into few parts. `tests/embedding/test_engines.py` has one of two."""
    with open_engine("spark", tmp_path_factory.mktemp("spark"), workers=1, memory="1GB") as engine:
        yield engine


@pytest.fixture(params=["local", pytest.param("spark", marks=[needs_java, pytest.mark.slow])])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "spark":
        request.getfixturevalue("spark")
    with open_engine(request.param, tmp_path / "work", workers=2) as opened:
        yield opened


def numbers(count: int) -> pa.Table:
    return pa.table({"number": list(range(count))[::-1], "name": [f"n{number}" for number in range(count)]})


def test_a_table_is_written_in_order(engine: Engine, tmp_path: Path) -> None:
    engine.write(engine.from_arrow("given", numbers(1000)), tmp_path / "all.parquet", ["number"])
    assert pq.read_table(tmp_path / "all.parquet")["number"].to_pylist() == list(range(1000))


def test_an_empty_table_is_written_with_its_columns(engine: Engine, tmp_path: Path) -> None:
    table = engine.from_arrow("given", numbers(3))
    engine.write(table.filter(table.number > 5), tmp_path / "none.parquet", ["number"])
    assert pq.read_table(tmp_path / "none.parquet").to_pydict() == {"number": [], "name": []}


def test_partitions_follow_one_another_and_are_about_as_large_as_asked(engine: Engine) -> None:
    partitions = engine.partition("partitions", engine.from_arrow("given", numbers(1000)), ["number"], 100)
    assert 5 <= len(partitions) <= 20
    assert [row for batch in batches_of(partitions, 64) for row in batch["number"].to_pylist()] == list(range(1000))


@pytest.mark.slow
def test_results_of_a_cached_map_are_in_the_order_of_the_partitions(engine: Engine) -> None:
    texts = [f"{number:03d} apples" for number in range(500)]
    partitions = engine.partition("partitions", engine.from_arrow("given", pa.table({"text": texts})), ["text"], 50)
    results = cached_map(engine, "languages", classify_batch, partitions, description="Guessing", rows=500)
    assert [row for batch in batches_of(results, 64) for row in batch["text"].to_pylist()] == texts
    assert engine.read(results).count().execute() == 500


def test_an_error_of_an_item_is_one_message(engine: Engine) -> None:
    with pytest.raises(OpenAlignError, match=r"^(--memory|`memory=)\W*7 apples'?`?: give a number and a unit"):
        engine.run(parse_memory, ["4GB", "7 apples", "1GB"], "Reading")


def test_nothing_to_do_is_done(engine: Engine) -> None:
    assert engine.run(parse_memory, [], "Nothing") == []


TEXTS = st.text(st.sampled_from("aB éİΣσς東のリ사😀𠀀ßẞ, _-1\u0301ไ"), max_size=12)


@pytest.mark.slow
@needs_java
@settings(max_examples=3, deadline=None)
@given(st.lists(TEXTS, min_size=40, max_size=60, unique=True))
def test_unigrams_and_bigrams_are_the_same_on_every_engine(spark: Engine, texts: list[str]) -> None:
    path = spark.work / "texts.parquet"
    pq.write_table(pa.table({"text": texts, "spaced": list(map(spaced, texts))}), path)
    table = spark.read([path])
    found = table.mutate(words=unigrams(in_words(table.spaced)), unspaced=is_unspaced(table.text))
    rows = found.mutate(pairs=bigrams(found.words)).to_pyarrow().to_pylist()
    for row in rows:
        words = split_unigrams(row["text"])
        assert row["words"] == words
        assert row["unspaced"] or row["spaced"] == row["text"]
        assert row["pairs"] == [f"{one} {after}" for one, after in itertools.pairwise(words)]


@pytest.mark.slow
def test_every_character_is_in_a_word_or_not_on_every_engine_alike(engine: Engine) -> None:
    codes = [code for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    texts = ["".join(f"a{chr(code)}" for code in codes[at : at + 300]) for at in range(0, len(codes), 300)]
    given = engine.from_arrow("every_character", pa.table({"number": range(len(texts)), "text": texts}))
    found = given.select("number", words=in_words(given.text)).to_pyarrow().sort_by("number")["words"].to_pylist()
    assert found == [" ".join(split_spaced(text)) for text in texts]


def verdicts(engine: Engine, occurrences: pa.Table, asked: CurateRecipe) -> list[dict[str, Any]]:
    pairs = count_pairs(engine, engine.from_arrow("given", occurrences), asked.text.vocabulary, [])
    rules = rules_that_run(asked, has_test_set=True)
    corpus = add_text_passes(Corpus(engine, asked, pairs), [rule for rule in rules if not rule.of_image])
    inspected = engine.from_arrow(
        "inspected",
        pa.table(
            {
                "image": ["i0", "i1", "i2"],
                "problem": [None, "cut off", None],
                "width": pa.array([900, None, 201], pa.int32()),
                "height": pa.array([300, None, 300], pa.int32()),
                "test_image": [None, None, "row 1"],
            }
        ),
    )
    return evaluate(add_inspected(corpus, inspected), rules).order_by("occurrence").to_pyarrow().to_pylist()


@pytest.mark.slow
@needs_java
def test_the_rules_give_the_same_on_every_engine(spark: Engine, tmp_path: Path) -> None:
    texts = ["a red apple", "", None, "one", "红色的苹果放在木桌上", "drei vier fünf"]
    occurrences = pa.table(
        {
            "occurrence": list(range(60)),
            "image": [f"i{number % 7}" for number in range(60)],
            "text": [texts[number // 2 % 5 if number < 59 else 5] for number in range(60)],
            "page": [f"p{number}" for number in range(60)],
            "host": ["h"] * 60,
        }
    )
    asked = CurateRecipe.of(max_images_per_text=3, max_texts_per_image=3, vocabulary=6)
    with (
        open_engine("spark", tmp_path / "spark", workers=2) as cluster,
        open_engine("local", tmp_path / "local", workers=2) as local,
    ):
        expected = verdicts(local, occurrences, asked)
        assert verdicts(cluster, occurrences, asked) == expected
    assert {reason for row in expected for reason in row["reasons"]} == {
        "no_text", "word_count", "images_per_text", "texts_per_image", "rare_token", "unreadable_image", "aspect_ratio",
        "near_duplicate_of_test",
    }  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@needs_java
def test_a_curation_on_spark_writes_the_files_of_a_local_one(spark: Engine, tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "known.jpg").write_bytes(encoded(drawing(99)))
    lines = ["image,text"]
    for number in range(150):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(drawing(number % 140)))
        lines.append(f"{number}.jpg,drawing number {number}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    sources = [write_crawl(tmp_path / "crawl.warc.gz"), tmp_path / "list.csv"]
    asked = CurateRecipe.of(download=False, languages="en", drop_near_duplicates=True, vocabulary=400)
    reports = [
        curate(sources, to=tmp_path / name, engine=name, test_set=[tests], workers=2, recipe=asked)
        for name in ("local", "spark")
    ]
    assert reports[0] == reports[1]
    assert reports[0]["pairs"]["kept"] > 50
    local, cluster = contents(tmp_path / "local"), contents(tmp_path / "spark")
    assert sorted(local) == sorted(cluster)
    assert [name for name, content in local.items() if cluster[name] != content] == []
    hidden = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("."))
    assert hidden == [".local.cache", ".spark.cache"]


@pytest.mark.slow
@needs_java
def test_many_machines_fetch_what_one_does_and_go_on_with_what_it_left(
    spark: Engine, server: Server, tmp_path: Path
) -> None:
    server.files = {f"{number}.jpg": encoded(drawing(number)) for number in range(70)}
    other = server.url.replace("127.0.0.1", "localhost")  # another host, for all that fetching knows
    urls = [f"{host}/{name}" for host in (server.url, other) for name in (*server.files, "gone.jpg")]
    lines = [f"{url},drawing number {number}" for number, url in enumerate(urls)]
    (tmp_path / "list.csv").write_text("\n".join(["url,text", *lines]))
    asked = CurateRecipe.of(allow_private_hosts=True)

    def run(name: str, engine: str) -> Counter[str]:
        before = Counter(server.asked)
        curate([tmp_path / "list.csv"], to=tmp_path / name, engine=engine, workers=2, recipe=asked)
        return server.asked - before

    all_once = Counter({f"/{name}": 2 for name in (*server.files, "gone.jpg", "robots.txt")})
    assert run("local", "local") == all_once
    assert run("spark", "spark") == all_once
    local, cluster = contents(tmp_path / "local"), contents(tmp_path / "spark")
    ledgers = [sorted(held.pop("ledger.jsonl").splitlines()) for held in (local, cluster)]
    assert ledgers[0] == ledgers[1]
    for held in (local, cluster):
        del held["checksums.json"]  # the lines of the ledgers stand in the order in which answers came
    assert local == cluster

    # A run that was killed left images and the ledgers of its tasks.
    downloads = tmp_path / ".again.cache" / "downloads"
    for url in urls[:100]:
        fetch([url], downloads, settings=asked.fetch, ledger=f"ledger.task-{zlib.crc32(url.encode()) % 3}.jsonl")
    asked_for = run("again", "spark")
    assert sum(count for path, count in asked_for.items() if path != "/robots.txt") == len(urls) - 100
    assert contents(tmp_path / "again")["pairs.parquet"] == local["pairs.parquet"]


SCRIPT = """
import sys
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
print("once", flush=True)
curate([sys.argv[1]], to=sys.argv[2], workers=2, recipe=CurateRecipe.of(download=False))
"""


@pytest.mark.slow
def test_a_script_needs_no_guard_around_its_main_part(tmp_path: Path) -> None:
    lines = ["image,text"]
    for number in range(130):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(drawing(number, 240, 220)))
        lines.append(f"{number}.jpg,drawing number {number}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    (tmp_path / "script.py").write_text(SCRIPT)
    done = preloaded.run([sys.executable, tmp_path / "script.py", tmp_path / "list.csv", tmp_path / "out"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["once"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "flink"}, "unknown engine 'flink'"),
        ({"name": "local", "master": "spark://host:7077"}, "--master needs --engine spark"),
        ({"name": "local", "memory": "much"}, "a number and a unit"),
    ],
)
def test_what_no_engine_can_do_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match=message):
        open_engine(work=tmp_path, workers=1, **options)


@pytest.mark.parametrize(("text", "size"), [("4GB", 4096), ("1.5g", 1536), ("500 MiB", 500), ("1TB", 1 << 20)])
def test_memory_is_read_as_people_write_it(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["4", "GB", "-1GB", "10MB"])
def test_memory_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(OpenAlignError, match="--memory"):
        parse_memory(text)


@pytest.mark.slow
def test_duckdb_sorts_more_than_its_memory_on_disk_and_says_when_it_cannot(tmp_path: Path) -> None:
    rows = pa.table({"number": list(range(1_000_000))})
    with LocalEngine(tmp_path, workers=1, memory=256) as engine:
        given = engine.from_arrow("given", rows)
        engine.write(given.mutate(text=given.number.cast("string").repeat(60)), tmp_path / "many.parquet", ["text"])
    assert pq.read_metadata(tmp_path / "many.parquet").num_rows == 1_000_000  # 350 MB of text
    with (
        pytest.raises(OpenAlignError, match="ran out of memory"),
        LocalEngine(tmp_path / "less", workers=1, memory=20) as engine,
    ):
        given = engine.from_arrow("given", rows)
        engine.write(given.mutate(text=given.number.cast("string").repeat(60)), tmp_path / "no.parquet", ["text"])


@pytest.mark.parametrize(("count", "rows"), [(0, 64), (1000, 64), (1_000_000, 489), (10**9, 4096)])
def test_partitions_grow_with_the_table(count: int, rows: int) -> None:
    assert rows_per_partition(count, 64, 4096) == rows


def test_what_is_many_times_the_memory_is_grouped_in_parts(tmp_path: Path) -> None:
    with LocalEngine(tmp_path, 1, memory=512) as engine:
        assert [engine.group_count(size << 20) for size in (0, 1, 2560, 2561, 25600)] == [1, 1, 1, 2, 10]


@pytest.mark.parametrize("memory", [None, 128])
def test_tables_are_the_same_in_memory_and_in_the_file(tmp_path: Path, memory: int | None) -> None:
    digests = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(40_000)]  # 3 MB as Parquet
    with LocalEngine(tmp_path, 1, memory=memory) as engine:
        given = engine.from_arrow("given", pa.table({"number": range(40_000), "text": digests}))
        made = engine.materialize("made", given.filter(given.number > 9))
        assert engine.count(made) == 39_990
        assert engine.fetch(made.filter(made.number == 12)) == [{"number": 12, "text": digests[12]}]
    is_in_file = (tmp_path / "relations.duckdb").stat().st_size > 1 << 20
    assert is_in_file == (memory is not None)


def test_sums_and_averages_are_fetched_as_plain_numbers(engine: Engine) -> None:
    given = engine.from_arrow("given", numbers(5))
    [row] = engine.fetch(given.agg(sum=given.number.sum(), odd=(given.number % 2 == 1).sum(), mean=given.number.mean()))
    assert row == {"sum": 10, "odd": 2, "mean": 2.0}
    assert [type(value) for value in row.values()] == [int, int, float]
