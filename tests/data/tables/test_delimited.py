"""CSV and TSV: separators, headers, and rows with lines that cannot be read."""

import csv
import io
from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.tables.read import read_table
from openalign.errors import OpenAlignError
from tests.data.tables.long_tables import table_with

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


def test_columns_of_a_csv_stay_strings(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,text,label\na.jpg,12,007\n")
    assert read_table(path).to_pylist() == [{"image": "a.jpg", "text": "12", "label": "007"}]


def test_cc3m_as_published_has_no_header(tmp_path: Path) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text('two "dogs"\thttp://a.test/1.jpg\n"a quote\thttp://a.test/2.jpg\n')
    assert read_table(path).to_pylist() == [
        {"image": "http://a.test/1.jpg", "text": 'two "dogs"'},
        {"image": "http://a.test/2.jpg", "text": '"a quote'},
    ]


def test_a_line_in_no_known_encoding_is_left_out_with_all_lines_of_its_row(tmp_path: Path) -> None:
    odd = bytes(range(128, 256)) * 40
    others = table_with(tmp_path / "t.csv", b'"first ""line"",\r\n' + odd + b'\nthird"')
    problems: list[str] = []
    assert read_table(tmp_path / "t.csv", problems=problems)["image"].to_pylist() == others
    assert problems == [f"{tmp_path}/t.csv line 503 is not UTF-8, and its row is left out"]


def test_a_header_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"file,text," + bytes(range(128, 256)) * 40 + b"\na.jpg,x,y\n")
    with pytest.raises(OpenAlignError, match=r"t\.csv line 1 is not UTF-8: it is the header"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("cc12m.tsv", ["http://a.test/1\ta dog", "http://a.test/2\ta, cat"], [("http://a.test/1", "a dog")]),
        ("t.csv", ["1.jpg,a dog", '2.jpg,"a cat, brown"'], [("1.jpg", "a dog"), ("2.jpg", "a cat, brown")]),
        ("t.csv", ["a/1.PNG|0|a dog on grass", "a/2.png|1|a cat, brown"], [("a/1.PNG", "a dog on grass")]),
        ("t.txt", ["1.jpg\ta dog", "2.jpg\ta cat"], [("1.jpg", "a dog"), ("2.jpg", "a cat")]),
        ("Flickr8k.token.txt", ["1_a.jpg#0\ta dog", "1_a.jpg#1\ta cat"], [("1_a.jpg", "a dog"), ("1_a.jpg", "a cat")]),
        ("results.token", ["1.jpg#0\ta dog, a cat", "2.jpg#0\tx"], [("1.jpg", "a dog, a cat"), ("2.jpg", "x")]),
    ],
)
def test_a_first_row_that_names_an_image_is_no_header(
    tmp_path: Path, name: str, lines: list[str], expected: list[tuple[str, str]]
) -> None:
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    problems: list[str] = []
    table = read_table(tmp_path / name, problems=problems)
    found = list(zip(table["image"].to_pylist(), table["text"].to_pylist(), strict=True))
    assert found[: len(expected)] == expected
    assert len(found) == len(lines)
    assert "has no header line: its first line is read as data" in problems[0]


def test_without_a_header_two_columns_of_texts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1.jpg,a dog on grass,a brown dog\n2.jpg,a cat,a grey cat\n")
    with pytest.raises(OpenAlignError, match="no header line, and columns 2 and 3 could both be its texts"):
        read_table(tmp_path / "t.csv")


def test_a_header_is_one_if_it_holds_the_column_asked_for(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a.jpg,b\n1,x\n")
    assert read_table(tmp_path / "t.csv", "a.jpg", "b").to_pylist() == [{"image": "1", "text": "x"}]


def test_flickr30k_as_published_has_blanks_after_its_bars_and_one_broken_row(tmp_path: Path) -> None:
    lines = [
        "image_name| comment_number| comment",
        "1.jpg| 0| Two men , one .",
        '1.jpg| 1| "x" , y .',
        "2.jpg| 4   A dog .",
    ]
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n")
    problems: list[str] = []
    table = read_table(tmp_path / "results.csv", problems=problems)
    assert table.select(["image", "text"]).to_pylist() == [
        {"image": "1.jpg", "text": "Two men , one ."},
        {"image": "1.jpg", "text": '"x" , y .'},
    ]
    assert counted(problems) == {"rows that cannot be parsed": 1}


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        (" my image , my text ", {"image_column": "my image", "text_column": "my text"}),
        ("Image Path,Alt-Text", {}),
        ("\ufefffile, caption", {}),
        ("IMAGE,other", {"text_column": "OTHER"}),
    ],
)
def test_names_of_columns_are_found_whatever_blanks_and_case(
    tmp_path: Path, header: str, asked: dict[str, str]
) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\na.jpg,x\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv", **asked).to_pylist() == [{"image": "a.jpg", "text": "x"}]


def test_a_column_that_is_not_needed_may_be_there_twice(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,text,x,x\na.jpg,y,1,2\n")
    assert read_table(tmp_path / "t.csv").to_pylist() == [{"image": "a.jpg", "text": "y", "x": "1", "x (2)": "2"}]


def test_invalid_rows_are_listed_up_to_a_limit_and_counted_exactly(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,text\na.jpg,x\n" + "b.jpg,x,y\n" * 500)
    problems: list[str] = []
    assert len(read_table(tmp_path / "t.csv", problems=problems)) == 1
    assert len(problems) == 21
    assert counted(problems) == {"rows that cannot be parsed": 500}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;", "\ufeffsep=;"])
def test_a_first_line_for_excel_tells_the_delimiter(tmp_path: Path, first: str, end: str) -> None:
    lines = [first, "image;text;note", 'a.jpg;"a red, ""big"" apple";x', f'b.jpg;"two{end}lines";y', "c.jpg;a,b,c,d;z"]
    for number, encoding in enumerate(("utf-8", "utf-16")):
        path = tmp_path / f"{number}.csv"
        path.write_bytes("".join(f"{line}{end}" for line in lines).encode(encoding))
        found = read_table(path)
        assert found.column_names == ["image", "text", "note"]
        assert found["text"].to_pylist() == ['a red, "big" apple', f"two{end}lines", "a,b,c,d"]
        assert found["note"].to_pylist() == ["x", "y", "z"]


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_lines_are_numbered_with_the_first_line_for_excel(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "t.csv"
    rows = [["image", "text"], ["a.jpg", "one"], ["b.jpg", '"two'], ["c.jpg", "three"]]
    content = f"sep={separator}\n" + "\n".join(separator.join(row) for row in rows)
    path.write_text(content)
    problems: list[str] = []
    assert read_table(path, problems=problems)["text"].to_pylist() == ["one", '"two', "three"]
    assert any("line 4" in problem for problem in problems)


def test_a_table_that_is_about_sep_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=a,image,text\n1,a.jpg,one\n")
    assert read_table(tmp_path / "t.csv")["sep=a"].to_pylist() == ["1"]


@pytest.mark.parametrize(("head", "rows"), [("image,text", 3), ('"image","text"', 2)])
def test_a_header_that_is_repeated_where_files_were_joined_is_no_row(tmp_path: Path, head: str, rows: int) -> None:
    part = f"{head}\n" + "".join(f"{n}.jpg,the text\n" for n in range(rows))
    (tmp_path / "t.csv").write_text(part * 3 + "image,of a text\n")
    problems: list[str] = []
    assert len(read_table(tmp_path / "t.csv", problems=problems)) == 3 * rows + 1
    assert counted(problems) == {Kind.ROW_NOT_PARSED: 2}
    assert f"row {rows + 1} repeats the header" in problems[0]


@pytest.mark.parametrize(
    "header",
    [
        '"image", "text", "tags"',
        'image, "text", tags',
        "image, text, tags",
        "image,text,tags",
        '"Image","text", "tags"',
    ],
)
@pytest.mark.parametrize("row", ['{0}.jpg, "a {0}, or ""b""", red', '"{0}.jpg", "a {0}, or ""b""", "red"'])
def test_a_header_with_blanks_around_quotation_marks_names_the_columns(tmp_path: Path, header: str, row: str) -> None:
    (tmp_path / "t.csv").write_text("\n".join([header, row.format("one"), row.format("two")]) + "\n")
    table = read_table(tmp_path / "t.csv")
    assert table["image"].to_pylist() == ["one.jpg", "two.jpg"] and table["tags"].to_pylist() == ["red", "red"]
    assert table["text"].to_pylist() == ['a one, or "b"', 'a two, or "b"']


@pytest.mark.parametrize("comments", ["# made by a tool\n", "#\n\n# one, two\n# 3; 4\n", "\ufeff# exported, 2024\r\n"])
@pytest.mark.parametrize(
    "header", ["image,caption,id", "#image,caption,id", "# caption, image, id", '"image","caption",id']
)
def test_comments_before_the_header_are_no_part_of_the_table(tmp_path: Path, comments: str, header: str) -> None:
    first, second = ("a.jpg", "one") if header.find("im") < header.find("cap") else ("one", "a.jpg")
    (tmp_path / "t.csv").write_text(f"{comments}{header}\n{first},{second},7\nx,y\n", encoding="utf-8")
    problems: list[str] = []
    table = read_table(tmp_path / "t.csv", problems=problems)
    assert table.to_pylist() == [{"image": "a.jpg", "text": "one", "id": "7"}]
    assert counted(problems) == {Kind.ROW_NOT_PARSED: 1}


def test_lines_are_numbered_with_the_comments(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"# one\n# two\nimage,text\na.jpg,b\nb.jpg,\xff\nc.jpg,gr\xc3\xbcn\n")
    problems: list[str] = []
    assert len(read_table(path, problems=problems)) == 2 and "line 5 is not UTF-8" in problems[0]


@pytest.mark.parametrize("first", ["#1.jpg,one", "#hash.png,two"])
def test_an_image_whose_name_begins_with_a_hash_is_a_row(tmp_path: Path, first: str) -> None:
    (tmp_path / "t.csv").write_text(f"{first}\nb.jpg,more\n")
    assert len(read_table(tmp_path / "t.csv")) == 2


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        (
            "captions.txt",
            "image,caption\n1.jpg,A dog , running\n1.jpg,Two dogs\n2.jpg,red, white, and blue\n",
            [("1.jpg", "A dog , running"), ("1.jpg", "Two dogs"), ("2.jpg", "red, white, and blue")],
        ),
        (
            "t.csv",
            'file_name;text\r\nsub/a.png;a sign says "stay"; a man waits\r\nb.PNG;6" nails\r\n',
            [("sub/a.png", 'a sign says "stay"; a man waits'), ("b.PNG", '6" nails')],
        ),
        (
            "h.csv",
            "https://a.test/1.jpg,a cat\nhttps://a.test/2.jpg?w=3,a cat, asleep\n",
            [("https://a.test/1.jpg", "a cat"), ("https://a.test/2.jpg?w=3", "a cat, asleep")],
        ),
        (
            "own.csv",
            "image, words\na.jpg, one\nb.jpg, one, two\n",
            [("a.jpg", "one"), ("b.jpg", "one, two")],
        ),
    ],
)
def test_unquoted_delimiters_after_the_image_are_part_of_the_text(
    tmp_path: Path, name: str, content: str, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path / name
    path.write_text(content, newline="")
    problems: list[str] = []
    table = read_table(path, text_column="words" if name == "own.csv" else None, problems=problems)
    assert [(row["image"], row["text"]) for row in table.to_pylist()] == rows
    assert counted(problems) == {}
    assert "are read as part of the text" in problems[-1]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ('image,caption\na.jpg,"one, two"\nb.jpg,one, two\n', ["one, two"]),  # others are quoted
        ("image,caption\na.jpg,one\nb.jpg,c.jpg,two\n", ["one"]),  # two images
        ("image,caption\na.jpg,one\nb,2.jpg,two\n", ["one"]),  # a comma in the name
        ("image,label\na.jpg,cat\nb.jpg,cat, dog\n", ["cat"]),  # not a text
        ("image,caption\na.jpg,one\nb.jpg,two,en\n", ["one"]),  # no comma of prose
        ("image\tcaption\na.jpg\tone\nb.jpg\ttwo\tdog\n", ["one"]),  # tabs are no part of prose
        ("image,caption,source\na.jpg,one,web\nb.jpg,one, two,web\n", ["one"]),  # the text is not last
    ],
)
def test_delimiters_that_may_not_be_of_the_text_cost_the_row(tmp_path: Path, content: str, kept: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    problems: list[str] = []
    column = "label" if "label" in content else None
    table = read_table(path, text_column=None, need_text=column is None, problems=problems)
    assert table[column or "text"].to_pylist() == kept
    assert counted(problems) == {Kind.ROW_NOT_PARSED.value: 1}
