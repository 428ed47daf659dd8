import json
import os
import shlex
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from openalign.commands.cli import app
from openalign.errors import OpenAlignError, UsageError
from openalign.model import hub
from openalign.search import Index, place
from openalign.search.results import saved as module
from openalign.search.results.export import export
from openalign.search.results.saved import NoSuchQuery, SavedQueries, SavedQuery
from openalign.search.store.any_store import Unavailable
from openalign.search.watched import DamagedIndex

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
names = st.from_regex(r"[a-zA-Zé][\w é.-]{0,20}[\wé]", fullmatch=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(
    names,
    texts.map(lambda text: '"' + text.replace('"', '""') + '"').filter(lambda text: text.strip('" \t\n\r').strip()),
    st.lists(st.sampled_from(["width>=10", "folder=a*", "date>=2024-05"]), max_size=3),
    st.sampled_from(["score", "-date", "size"]),
    st.sampled_from(["image", "text", "both"]),
    st.booleans(),
)
def test_what_is_saved_is_what_is_read(tmp_path, name, query, where, sort, against, fold):
    saved = SavedQuery(query, tuple(where), sort, against, fold)
    SavedQueries(tmp_path).put(name, saved)
    assert SavedQueries(tmp_path).get(name) == saved == SavedQueries(tmp_path).all()[name]


def test_a_query_is_replaced_listed_and_removed(tmp_path):
    queries = SavedQueries(tmp_path)
    assert queries.names() == []
    for name, text in (("b", "red"), ("A", "blue"), ("b", "green")):
        queries.put(name, SavedQuery(text))
    assert queries.names() == ["A", "b"] and queries.get("b").query == "green"
    queries.remove("b")
    assert queries.names() == ["A"]
    for ask in (queries.get, queries.remove):
        with pytest.raises(NoSuchQuery, match="No query is saved as 'b'"):
            ask("b")


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\\b", "a\nb", " a", "a ", "x" * 101, "\ud800"])
def test_a_name_that_cannot_be_used_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="name of a saved query"):
        SavedQueries(tmp_path).put(name, SavedQuery("red"))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (SavedQuery("  "), "query is empty"),
        (SavedQuery("red + "), "nothing follows"),
        (SavedQuery("red", ("widht>1",)), "nearest is `width`"),
        (SavedQuery("red" * 5000), "the most is 10,000"),
    ],
)
def test_a_query_that_cannot_be_asked_is_not_saved(tmp_path, query, message):
    with pytest.raises(UsageError, match=message):
        SavedQueries(tmp_path).put("x", query)
    assert SavedQueries(tmp_path).names() == []


def test_the_number_of_saved_queries_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    queries = SavedQueries(tmp_path)
    for name in "ab":
        queries.put(name, SavedQuery("red"))
    queries.put("a", SavedQuery("blue"))
    assert queries.is_full and queries.count() == 2
    with pytest.raises(UsageError, match="which is the most: remove some"):
        queries.put("c", SavedQuery("red"))
    queries.remove("b")
    assert not queries.is_full
    queries.put("c", SavedQuery("red"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(
    st.sets(st.sampled_from(["a", "A", "b", "B", "ab", "Ab", "é", "É", "z", "Z z", "1"]), max_size=9), st.integers(1, 4)
)
def test_pages_of_saved_queries_are_all_of_them_in_order(tmp_path_factory, names, count):
    queries = SavedQueries(tmp_path_factory.mktemp("saved"))
    for name in sorted(names):
        queries.put(name, SavedQuery(f"red {name}"))
    found, after = {}, ""
    for _ in range(len(names) + 1):
        page = queries.after(after, count)
        assert len(page) <= count and not found.keys() & page.keys()
        found |= page
        if not page:
            break
        after = list(page)[-1]
    assert list(found.items()) == list(queries.all().items()) and found.keys() == names


def test_many_may_save_at_once(tmp_path):
    def put(number: int) -> None:
        SavedQueries(tmp_path).put(f"q{number}", SavedQuery(f"red {number}"))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(SavedQueries(tmp_path).names()) == 8


def each_is_refused(folder: Path, kind: type[OpenAlignError]) -> None:
    """Reading and writing say which file is at fault."""
    queries = SavedQueries(folder)
    for ask in (queries.names, lambda: queries.get("x"), lambda: queries.put("x", SavedQuery("red"))):
        with pytest.raises(kind, match=r"saved\.sqlite"):
            ask()


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(100)])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "saved.sqlite").write_bytes(content)
    each_is_refused(tmp_path, DamagedIndex)


@pytest.mark.parametrize("how", ["pipe", "folder"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, how):
    os.mkfifo(tmp_path / "saved.sqlite") if how == "pipe" else (tmp_path / "saved.sqlite").mkdir()
    each_is_refused(tmp_path, DamagedIndex)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE images (id INTEGER)",
        "CREATE TABLE saved (name TEXT, content TEXT)",
        "CREATE VIEW saved AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i name, i content "
        "FROM n",
    ],
)
def test_a_file_with_other_tables_is_refused(tmp_path, sql):
    with closing(sqlite3.connect(tmp_path / "saved.sqlite")) as table:
        table.executescript(sql)
    each_is_refused(tmp_path, DamagedIndex)


@pytest.mark.parametrize("values", ["x'ff', '{}'", "'x', 7", "'x', '{\"query\": 5}'", "'x', 'no JSON'"])
def test_a_damaged_query_is_told(tmp_path, values):
    SavedQueries(tmp_path).put("other", SavedQuery("red"))
    with closing(sqlite3.connect(tmp_path / "saved.sqlite")) as table:
        table.executescript(f"INSERT INTO saved VALUES ({values})")
    with pytest.raises(DamagedIndex, match=r"saved\.sqlite"):
        SavedQueries(tmp_path).all()
    assert SavedQueries(tmp_path).get("other").query == "red"


def test_a_kill_before_the_first_query_was_saved_does_no_harm(tmp_path):
    (tmp_path / "saved.sqlite").touch()
    queries = SavedQueries(tmp_path)
    assert queries.names() == []
    with pytest.raises(NoSuchQuery):
        queries.get("x")
    queries.put("x", SavedQuery("red"))
    assert queries.names() == ["x"]


def test_a_file_that_another_program_keeps_locked_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WAIT_S", 0.01)
    SavedQueries(tmp_path).put("x", SavedQuery("red"))
    with closing(sqlite3.connect(tmp_path / "saved.sqlite", isolation_level=None)) as table:
        table.execute("BEGIN EXCLUSIVE")
        each_is_refused(tmp_path, Unavailable)
    assert SavedQueries(tmp_path).names() == ["x"]


def test_a_name_of_half_a_character_is_the_name_of_nothing(tmp_path):
    SavedQueries(tmp_path).put("x", SavedQuery("red"))
    with pytest.raises(NoSuchQuery):
        SavedQueries(tmp_path).get("\ud800")


def test_a_list_of_saved_queries_says_when_there_is_no_room(index, monkeypatch):
    for name in ("a", "b"):
        index.saved.put(name, SavedQuery("red"))
    listing = ["search", str(index.store.folder), "--list-saved"]
    assert "the most" not in CliRunner().invoke(app, listing).stderr
    monkeypatch.setattr(module, "MOST", 2)
    done = CliRunner().invoke(app, listing)
    assert "which is the most" in done.stderr and "red" in done.stdout


def test_saved_queries_stay_when_the_index_is_built_again(index, photos, paint_encoder):
    index.saved.put("reds", SavedQuery("red"))
    again = Index.build(photos, model=paint_encoder, to=index.store.folder, re_embed=True)
    assert again.saved.get("reds").query == "red"


def test_a_query_that_is_being_saved_while_the_index_is_built_again_is_there_whole_or_not_at_all(
    index, photos, paint_encoder
):
    index.saved.put("reds", SavedQuery("red"))
    file = index.store.folder / "saved.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as table:
        table.executescript("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE;")
        table.execute("INSERT INTO saved VALUES ('half', ?)", ["x"])
        again = Index.build(photos, model=paint_encoder, to=index.store.folder, re_embed=True)
    assert again.saved.names() == ["reds"]
    assert not (index.store.folder / "saved.sqlite-journal").exists()


def test_what_a_killed_service_had_begun_to_write_is_rolled_back_in_the_copy(index, photos, paint_encoder):
    """Its journal says how; a copy of the file alone would be half written."""
    index.saved.put("reds", SavedQuery("red"))
    file = index.store.folder / "saved.sqlite"
    code = (
        "import os, sqlite3, sys; table = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "table.executescript('PRAGMA cache_size = 1; BEGIN IMMEDIATE; DELETE FROM saved');"
        "table.executemany('INSERT INTO saved VALUES (?, ?)', [(f'{n:0900}', 'y' * 900) for n in range(90)]);"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, file], check=False)
    assert file.with_name("saved.sqlite-journal").stat().st_size > 0
    again = Index.build(photos, model=paint_encoder, to=index.store.folder, re_embed=True)
    assert again.saved.get("reds").query == "red" and again.saved.names() == ["reds"]


def test_a_file_of_queries_that_stays_locked_stops_the_building_and_the_index_stays(
    index, photos, paint_encoder, monkeypatch
):
    monkeypatch.setattr(place, "_WAIT_S", 0.01)
    index.saved.put("reds", SavedQuery("red"))
    with closing(sqlite3.connect(index.store.folder / "saved.sqlite", isolation_level=None)) as table:
        table.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OpenAlignError, match=r"saved.sqlite cannot be copied into the new index \(database is lo"):
            Index.build(photos, model=paint_encoder, to=index.store.folder, re_embed=True)
    again = Index.build(photos, model=paint_encoder, to=index.store.folder, re_embed=True)
    assert again.saved.names() == ["reds"]


def test_a_damaged_file_of_queries_is_kept_as_it_is(index, photos, paint_encoder):
    file = index.store.folder / "saved.sqlite"
    file.write_bytes(b"no table" * 700)
    again = Index.build(photos, model=paint_encoder, to=index.store.folder, re_embed=True)
    assert (again.store.folder / "saved.sqlite").read_bytes() == b"no table" * 700


@pytest.fixture
def typed(index, paint_encoder, monkeypatch):
    monkeypatch.setattr(hub, "load", lambda name: paint_encoder)

    def typed(*arguments: object, status: int = 0) -> str:
        done = CliRunner().invoke(app, ["search", str(index.store.folder), *map(str, arguments)], prog_name="openalign")
        assert done.exit_code == status, (done.output, done.exception)
        return done.stdout

    return typed


def test_a_saved_query_is_asked_again_with_its_conditions_from_anywhere(typed, photos, monkeypatch, tmp_path):
    monkeypatch.chdir(photos)
    typed("img:0-red.png + 0.5*blue", "--where", "width>60", "--sort", "name", "--no-fold", "--save", "mixed", "--json")
    monkeypatch.chdir(tmp_path)
    first, again = (
        json.loads(typed(query, *more, "--json"))
        for query, more in (
            (f"img:{photos}/0-red.png + 0.5*blue", ("--where", "width>60", "--sort", "name", "--no-fold")),
            ("saved:mixed", ()),
        )
    )
    assert again["hits"] == first["hits"]
    (listed,) = json.loads(typed("--list-saved", "--json"))["saved"]
    assert (listed["name"], listed["where"], listed["sort"]) == ("mixed", ["width>60"], "name")
    assert "mixed" in typed("--list-saved")
    narrowed = json.loads(typed("saved:mixed", "--where", "image=2*", "--sort", "size", "--json"))
    assert narrowed["query"]["where"] == ["width>60", "image=2*"] and narrowed["query"]["sort"] == "size"


def test_a_query_that_is_not_saved_is_told(typed):
    assert typed("--list-saved") == "No query is saved.\n"
    typed("saved:nothing", status=1)


def test_the_nearest_name_is_told(tmp_path):
    saved = SavedQueries(tmp_path)
    for name in ("bicycles", "Äpfel"):
        saved.put(name, SavedQuery("red"))
    for mistyped, near in (("bycicles", "bicycles"), ("Apfel", "Äpfel")):
        with pytest.raises(NoSuchQuery, match=f"{mistyped!r}; the nearest is {near!r}"):
            saved.get(mistyped)


@pytest.mark.parametrize("name", ["red :x: :smile:", 'it\'s "big" $HOME', "[bold]ü"])
def test_the_command_that_asks_again_can_be_pasted_into_a_shell(typed, index, name):
    done = CliRunner().invoke(app, ["search", str(index.store.folder), "red", "--save", name], prog_name="openalign")
    command = done.stderr.partition("`")[2].rpartition("`")[0]
    assert shlex.split(command) == ["openalign", "search", str(index.store.folder), f"saved:{name}"]
    typed(f"saved:{name}")


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.jsonl", "out.txt"])
def test_results_are_written_in_the_form_of_the_ending(typed, tmp_path, photos, name):
    typed("red", "--top", 8, "--all", "--no-fold", "--export", tmp_path / name)
    path = tmp_path / name
    if name == "out.txt":
        lines = path.read_text().splitlines()
        assert len(lines) == 8 and lines[0] in {str(photos / "0-red.png"), str(photos / "6-red.png")}
        return
    rows = {
        ".csv": lambda: pyarrow.csv.read_csv(path).to_pylist(),
        ".parquet": lambda: pq.read_table(path).to_pylist(),
        ".jsonl": lambda: [json.loads(line) for line in path.read_text().splitlines()],
    }[path.suffix]()
    assert len(rows) == 8 and rows[0]["score"] == pytest.approx(1, abs=0.01)
    assert {row["width"] for row in rows} == {60 + 10 * number for number in range(8)}


def test_only_what_is_shown_is_exported(typed, tmp_path):
    typed("red", "--top", 8, "--export", tmp_path / "matches.txt")
    assert len((tmp_path / "matches.txt").read_text().splitlines()) < 8


def test_an_unknown_ending_is_refused_before_the_search(typed, tmp_path):
    typed("red", "--export", tmp_path / "out.xlsx", status=2)
    assert list(tmp_path.glob("out*")) == []


def test_a_path_with_a_line_break_is_no_line(index, tmp_path):
    hits = index.search("red", top=1)
    object.__setattr__(hits[0].indexed, "image", "a\nb.png")
    with pytest.raises(UsageError, match="has a line break"):
        export(hits, tmp_path / "x.txt")
    assert not (tmp_path / "x.txt").exists()
    export(hits, tmp_path / "x.csv")
    assert (
        pyarrow.csv.read_csv(
            tmp_path / "x.csv", parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
        ).to_pylist()[0]["image"]
        == "a\nb.png"
    )
