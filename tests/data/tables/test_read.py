"""Tables as people have them: separators, encodings, column names, bad lines."""

import codecs
import csv
import gzip
import io
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.data.tables import json_lines, text_source
from openalign.data.tables.columns import find_columns
from openalign.data.tables.read import read_table
from openalign.errors import OpenAlignError

ROWS = [("a.jpg", 'hello, "x" \nyou'), ("b.jpg", "NA"), ("c d.jpg", "Über die Brücke; 苹果 | \t")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_every_separator_is_recognised_with_and_without_byte_order_mark(
    tmp_path: Path, separator: str, start: str
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([("File", "Caption"), *ROWS])
    path = tmp_path / "table.csv"
    path.write_text(start + text.getvalue(), encoding="utf-8", newline="")
    assert read_table(path).to_pylist() == [{"image": image, "text": text} for image, text in ROWS]


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1), min_size=1))
def test_csv_and_json_lines_hold_the_same_texts(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("tables")
    rows = [{"image": f"{i}.jpg", "text": text} for i, text in enumerate(texts)]
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["image", "text"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_table(folder / "t.csv").to_pylist() == read_table(folder / "t.jsonl").to_pylist() == rows


def test_columns_of_a_csv_stay_strings(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,text,label\na.jpg,12,007\n")
    assert read_table(path).to_pylist() == [{"image": "a.jpg", "text": "12", "label": "007"}]


def test_json_lines_keep_lists_and_never_take_a_text_for_a_time(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a", "text": "2019-01-01", "objects": ["x", "y"]}\n{"file": "b", "text": "2020-01-01"}\n')
    assert read_table(path).to_pylist() == [
        {"image": "a", "text": "2019-01-01", "objects": ["x", "y"]},
        {"image": "b", "text": "2020-01-01", "objects": None},
    ]


def test_a_field_that_is_now_a_number_now_a_text_is_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a", "text": "x"}\n{"file": "b", "text": 5, "page": "p"}\n')
    assert read_table(path).to_pylist() == [
        {"image": "a", "text": "x", "page": None},
        {"image": "b", "text": "5", "page": "p"},
    ]


def test_a_field_of_an_object_can_be_the_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a", "alt": {"en": "red", "pl": "czerwony"}}\n')
    assert read_table(path, text_column="alt.pl")["text"].to_pylist() == ["czerwony"]
    with pytest.raises(OpenAlignError, match=r"column 'alt' holds objects .* as alt\.en"):
        read_table(path)


def test_cc3m_as_published_has_no_header(tmp_path: Path) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text('two "dogs"\thttp://a.test/1.jpg\n"a quote\thttp://a.test/2.jpg\n')
    assert read_table(path).to_pylist() == [
        {"image": "http://a.test/1.jpg", "text": 'two "dogs"'},
        {"image": "http://a.test/2.jpg", "text": '"a quote'},
    ]


def test_parquet_and_gzip_are_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"URL": ["u"], "TEXT": pa.array(["t"]).dictionary_encode()}), tmp_path / "t.parquet")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"url,text\nu,t\n"))
    expected = [{"image": "u", "text": "t"}]
    assert read_table(tmp_path / "t.parquet").to_pylist() == read_table(tmp_path / "t.csv.gz").to_pylist() == expected


def test_usual_names_are_found_in_the_designs_order() -> None:
    assert find_columns(["url", "title", "Path", "caption"]) == ("Path", "caption")
    assert find_columns(["a", "b", "text"], image_column="b") == ("b", "text")
    assert find_columns(["file", "kind"], need_text=False) == ("file", None)


@pytest.mark.parametrize(
    ("header", "asked", "message"),
    [
        ("foo,bar", {}, "no image column .* its columns are foo, bar: name one with --image-column"),
        ("file,bar", {}, "no text column .* its columns are file, bar: name one with --text-column"),
        ("file,text", {"text_column": "baz"}, "no column 'baz'; its columns are file, text"),
        ("file,file,text", {}, "two columns called 'file'"),
    ],
)
def test_missing_columns_are_named_with_those_there_are(
    tmp_path: Path, header: str, asked: dict[str, str], message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n{','.join('1' * len(header.split(',')))}\n")
    with pytest.raises(OpenAlignError, match=rf"t\.csv has {message}"):
        read_table(path, **asked)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1251", "shift_jis", "utf-16", "utf-16-be"])
def test_a_table_that_is_not_utf8_is_read_in_its_encoding_and_said(tmp_path: Path, name: str, encoding: str) -> None:
    others = {"cp1251": "Красное яблоко лежит на столе", "shift_jis": "テーブルの上に赤いりんごがあります"}
    word = others.get(encoding, "Café près d'ici")
    lines = {
        "t.csv": f"file,text\na.jpg,x\nb.jpg,{word}\n",
        "t.tsv": f"file\ttext\na.jpg\tx\nb.jpg\t{word}\n",
        "t.jsonl": f'{{"file": "a.jpg", "text": "x"}}\n{{"file": "b.jpg", "text": "{word}"}}\n',
    }[name]
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    (tmp_path / name).write_bytes(mark + lines.encode(encoding))
    problems: list[str] = []
    table = read_table(tmp_path / name, problems=problems)
    assert table.select(["image", "text"]).to_pylist() == [
        {"image": "a.jpg", "text": "x"},
        {"image": "b.jpg", "text": word},
    ]
    [problem] = problems
    assert f"{name} is not UTF-8, and is read as" in problem


def test_bytes_that_are_no_text_are_named_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"file,text\na.jpg,x\nb.jpg," + bytes(range(128, 256)) * 40 + b"\n")
    problems: list[str] = []
    assert read_table(tmp_path / "t.csv", problems=problems)["image"].to_pylist() == ["a.jpg"]
    assert problems == [f"{tmp_path}/t.csv line 3 is not UTF-8, and its row is left out"]
    (tmp_path / "t.csv").write_bytes(b"file,text\nb.jpg," + bytes(range(128, 256)) * 40 + b"\n")
    with pytest.raises(OpenAlignError, match=r"t\.csv has no rows: .* The first problem: .* line 2 is not UTF-8"):
        read_table(tmp_path / "t.csv")


def test_lines_that_cannot_be_parsed_are_left_out_and_listed(tmp_path: Path) -> None:
    table, lines = tmp_path / "t.csv", tmp_path / "t.jsonl"
    table.write_text("file,text\na.jpg,x\nb.jpg,x,y\nc.jpg,z\n")
    lines.write_text('{"file": "a.jpg", "text": "x"}\nnope\n{"file": "c.jpg", "text": "z"}\n')
    problems: list[str] = []
    for path in (table, lines):
        assert read_table(path, problems=problems)["image"].to_pylist() == ["a.jpg", "c.jpg"]
    assert problems == [
        f"{table} row 2 has 3 fields where 2 are expected, and is left out",
        f"{lines} line 2 is not a JSON object, and is left out",
    ]


LINES = {
    "t.csv": ("file,text\n", "{0}.jpg,{1}\n"),
    "t.tsv": ("file\ttext\n", '{0}.jpg\t"{1}"\n'),
    "t.jsonl": ("", '{{"file": "{0}.jpg", "text": "{1}"}}\n'),
}


def table_with(path: Path, at_500: bytes, text: str = "x") -> list[str]:
    """Write 1,000 rows, of which one has another text; returns the names of the images of the others."""
    header, line = LINES[path.name.removesuffix(".gz")]
    rows = [line.format(number, text).encode() for number in range(1000)]
    rows[500] = line.format(500, "@").encode().replace(b"@", at_500)
    data = header.encode() + b"".join(rows)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return [f"{number}.jpg" for number in range(1000) if number != 500]


@pytest.mark.parametrize("name", [*LINES, "t.csv.gz"])
def test_a_long_cell_is_read(tmp_path: Path, name: str) -> None:
    table_with(tmp_path / name, b"y" * 3_000_000)
    problems: list[str] = []
    table = read_table(tmp_path / name, problems=problems)
    assert [len(text) for text in table["text"].to_pylist()] == [1] * 500 + [3_000_000] + [1] * 499
    assert problems == []


@pytest.mark.parametrize("name", LINES)
def test_a_line_longer_than_the_limit_is_left_out_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(text_source, "MOST_LINE_BYTES", 2 << 20)
    others = table_with(tmp_path / name, b"y" * 5_000_000)
    problems: list[str] = []
    if name == "t.jsonl":
        monkeypatch.setattr(json_lines, "_is_nested_deeply", lambda source: True)  # else its reader takes that much
    assert read_table(tmp_path / name, problems=problems)["image"].to_pylist() == others
    [problem] = problems
    assert problem.startswith(f"{tmp_path / name} line {501 + (name != 't.jsonl')} has more than ")


@pytest.mark.parametrize("name", LINES)
def test_a_line_that_is_not_utf8_is_left_out_of_a_table_that_is(tmp_path: Path, name: str) -> None:
    others = table_with(tmp_path / name, b"caf\xe9", "café")
    problems: list[str] = []
    table = read_table(tmp_path / name, problems=problems)
    assert table["image"].to_pylist() == others
    assert set(table["text"].to_pylist()) == {"café"}
    [problem] = problems
    assert f"{name} line {501 + (name != 't.jsonl')} is not UTF-8, and " in problem


def test_a_line_in_no_known_encoding_is_left_out_with_all_lines_of_its_row(tmp_path: Path) -> None:
    odd = bytes(range(128, 256)) * 40
    others = table_with(tmp_path / "t.csv", b'"first ""line"",\r\n' + odd + b'\nthird"')
    problems: list[str] = []
    assert read_table(tmp_path / "t.csv", problems=problems)["image"].to_pylist() == others
    assert problems == [f"{tmp_path}/t.csv line 503 is not UTF-8, and its row is left out"]


def test_a_row_of_a_parquet_file_that_is_not_utf8_is_left_out_and_listed(tmp_path: Path) -> None:
    texts = pa.array([b"caf\xc3\xa9", b"caf\xe9", None]).view(pa.string())
    pq.write_table(pa.table({"image": ["a.jpg", "b.jpg", "c.jpg"], "text": texts}), tmp_path / "t.parquet")
    problems: list[str] = []
    assert read_table(tmp_path / "t.parquet", problems=problems)["image"].to_pylist() == ["a.jpg", "c.jpg"]
    assert problems == [f"{tmp_path}/t.parquet row 2 is not UTF-8, and is left out"]


def test_names_of_columns_that_are_not_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"file,text," + bytes(range(128, 256)) * 40 + b"\na.jpg,x,y\n")
    with pytest.raises(OpenAlignError, match=r"t\.csv line 1 is not UTF-8: it names the columns"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz", "t.parquet"])
def test_a_table_that_unpacks_to_far_more_than_its_size_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(text_source, "UNPACKED_ANYWAY", 1 << 20)
    if name == "t.parquet":
        table = pa.table({"image": ["a.jpg"], "text": ["x" * 4_000_000]})
        pq.write_table(table, tmp_path / name, compression="zstd")
    else:
        table_with(tmp_path / name, b"y" * 4_000_000)
    with pytest.raises(OpenAlignError, match=rf"{name} .*its [\d,]+ bytes unpack to more than [\d,]+"):
        read_table(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"file,text\n", "has no rows"),
        ("t.csv", b"\n\n", "cannot be read as a table"),
        ("t.jsonl", b'"file"\n', "has no rows"),
        ("t.parquet", b"PAR1 and no more", "cannot be read as a table"),
    ],
)
def test_a_file_that_is_no_table_says_what_is_wrong(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(OpenAlignError, match=message):
        read_table(tmp_path / name)


@pytest.mark.parametrize(
    "value",
    [
        '{"a":' * 1000 + "1" + "}" * 1000,
        "[" * 1000 + "]" * 1000,
        "[" * 1000,
        '{"a": "' + '\\"' * 1000 + '", "b": ' + "[" * 1000 + "]" * 1000 + "}",
    ],
)
def test_a_line_nested_too_deeply_is_left_out_before_a_reader_sees_it(tmp_path: Path, value: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"file": "a", "text": "x"}}\n{{"file": "b", "text": "y", "v": {value}}}\n')
    problems: list[str] = []
    assert read_table(path, problems=problems).to_pylist() == [{"image": "a", "text": "x"}]
    assert problems == [f"{path} line 2 is nested more than 200 deep, and is left out"]


def test_a_nesting_is_found_across_the_blocks_that_a_file_is_read_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.jsonl"
    shallow = [json.dumps({"file": f"{i}", "text": "x" * i, "v": [[i]]}) for i in range(70)]
    deep = '{"file": "a", "text": "x", "v": ' + "[ " * 201 + "] " * 201 + "}"
    for block in (1, 7, 64, 100_000):
        monkeypatch.setattr(json_lines, "_BLOCK_BYTES", block)
        path.write_text("\n".join(shallow))
        assert not json_lines._is_nested_deeply(text_source.TableSource(path))
        path.write_text("\n".join([*shallow, deep, *shallow]))
        assert json_lines._is_nested_deeply(text_source.TableSource(path))


def test_brackets_in_a_text_are_no_nesting(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    texts = ["[" * 1000, "{[" * 500 + '"' + "\\"]
    lists = [[i] for i in range(500)]
    path.write_text("".join(json.dumps({"file": "a", "text": text, "lists": lists}) + "\n" for text in texts))
    problems: list[str] = []
    assert read_table(path, problems=problems)["text"].to_pylist() == texts
    assert problems == []


@settings(max_examples=100, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=8) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )
)
def test_the_depth_of_a_line_is_that_of_its_lists_and_objects(value: object) -> None:
    def depth(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    # Brackets enough that they are counted one by one, in a list of its own.
    line = json.dumps([value, "[" * 300], ensure_ascii=False).encode()
    assert json_lines._depth(line) == 1 + depth(value)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("1e400", ["inf", "5.0"]),
        ("1" + "0" * 30, [1e30, 5.0]),
        ('"a\\u0000b"', ["a\0b", "5"]),
        ('"\\ud800!"', ["?!", "5"]),
    ],
)
def test_values_that_no_number_or_text_can_hold_are_read_as_near_as_can_be(
    tmp_path: Path, value: str, read: list[object]
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"file": "a", "text": "x", "v": {value}}}\n{{"file": "b", "text": "y", "v": 5}}\n')
    found = read_table(path)["v"].to_pylist()
    assert [str(each) for each in found] == [str(each) for each in read]


def test_a_number_of_any_length_is_read_or_its_line_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a", "text": "x", "v": 1' + "0" * 5000 + '}\nnope\n{"file": "b", "text": "y"}\n')
    problems: list[str] = []
    assert read_table(path, problems=problems)["image"].to_pylist() == ["b"]
    assert len(problems) == 2


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100,
        b"file,text\n" + b"a,\0\n",
        b'"' * 1001,
        b'file,text\n"' + b"x" * 300_000,
        b"f" * 200_000 + b",text\na,b\n",
        b",".join(b"c%d" % i for i in range(5000)) + b"\n" + b"," * 4999,
        b'{"file": "\xff"}\n',
        b"\x1f\x8b" + bytes(20),
    ],
)
def test_odd_bytes_in_a_table_raise_nothing_but_our_error(tmp_path: Path, name: str, data: bytes) -> None:
    for file, content in ((name, data), (f"{name}.gz", gzip.compress(data)), (f"{name}.gz", gzip.compress(data)[:-9])):
        (tmp_path / file).write_bytes(content)
        try:
            read_table(tmp_path / file)
        except OpenAlignError as error:
            assert "\n" not in str(error)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_damage_anywhere_in_a_parquet_file_is_refused_or_without_effect(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Of a file with page checksums, as those that we write have them; names are only checked by whoever needs them."""
    path = tmp_path_factory.mktemp("damaged") / "t.parquet"
    table = pa.table({"image": [f"{i}.jpg" for i in range(50)], "text": ["a dog"] * 50, "n": list(range(50))})
    pq.write_table(table, path, write_page_checksum=True)
    draw, data = random.Random(seed), bytearray(path.read_bytes())
    for _ in range(draw.randint(1, 3)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data if draw.random() < 0.8 else data[: draw.randrange(len(data))])
    try:
        found = read_table(path)
    except OpenAlignError as error:
        assert "\n" not in str(error)
        return
    assert found["image"].to_pylist() == table["image"].to_pylist()
