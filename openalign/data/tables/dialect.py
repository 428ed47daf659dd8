"""How a delimited file is written: its delimiter, its columns, whether it has a header line."""

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.files.fields import AreImages, image_like, names_image_file, path_kind, tab_for_blank
from openalign.data.files.text_source import TableSource
from openalign.data.tables.columns import IMAGE_NAMES, LABEL_NAMES, TEXT_NAMES, usual_name
from openalign.data.tables.suffixes import table_suffix
from openalign.errors import OpenAlignError

_CAPTION_NUMBER = r"^(.*\.\w{3,4})#\d+$"
"""An image's name with the number of its caption, as Flickr8k.token.txt writes it: `1000268201.jpg#0`."""
_ROWS_TRIED = 200
_CLASS_ID = re.compile(r"\d+|n\d{8}")
"""The number of a class, or its id in WordNet."""
_MOST_COMMENT_BYTES = 1 << 16
_SEPARATORS = re.compile(rb"[,;|\t]")


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written."""

    delimiter: str
    names: list[str]
    """Of the columns: as in the header, or made up."""
    is_headless: bool
    has_blanks: bool = False
    """Whether a blank follows every delimiter, which belongs to no field."""
    note: str = ""
    """What the user should know about the columns."""
    image: str | None = None
    """The image column; None: the first with a usual name."""
    text: str | None = None
    """The text column; None: the first with a usual name."""
    written: tuple[str, ...] = ()
    """The fields of the header with the blanks around them."""

    @classmethod
    def of(
        cls,
        source: TableSource,
        image_column: str | None,
        text_column: str | None,
        are_images: AreImages | None = None,
    ) -> "Dialect":
        """The dialect of a file by its name and first lines; a header holds at least one of the columns wanted.

        A `.csv` or `.txt` may be separated by commas, tabs, semicolons or `|`. `are_images` tells which values name an
        image that is there, as ids of images do without a suffix. Raises `OpenAlignError` if the file has no header
        line and more than one column could be the text.
        """
        lines = _first_lines(source)
        delimiter = source.separator or _delimiter(lines, table_suffix(source.path, named=True) == ".tsv")
        fields = _fields(lines[0], delimiter) if lines else []
        has_blanks = _has_blanks(lines, fields, delimiter)
        names = _names(lines[0], fields, delimiter, has_blanks) if lines else []
        is_named, ids = image_column in names or text_column in names, None
        if not is_named and not _is_data(names) and are_images is not None:
            ids = _column_of_ids(lines, names, delimiter, are_images)
        if is_named or (ids is None and not _is_data(names)):
            written = tuple(fields)
            return cls(delimiter, names, False, has_blanks, image=image_column, text=text_column, written=written)
        rows = [row for line in lines if len(row := _fields(line, delimiter)) == len(fields)]
        found = names_without_header(rows, str(source.path), ids)
        says = "text" if "text" in found else "label"
        note = (
            f"{source.path} has no header line: its first line is read as data, column {found.index('image') + 1} as "
            f"`image` and column {found.index(says) + 1} as `{says}`"
        )
        return cls(delimiter, found, True, has_blanks, note)

    @property
    def image_at(self) -> int | None:
        """The number of the image column, from 0, if it has a usual name."""
        found = self.image if self.image in self.names else usual_name(self.names, IMAGE_NAMES)
        return None if found is None else self.names.index(found)

    @property
    def ends_with_text(self) -> bool:
        """Whether a row is an image and its text, so that further delimiters can only be those of the text.

        Not tabs, which are rare in prose and common between columns that a header forgets.
        """
        if len(self.names) != 2 or self.image_at != 0 or self.delimiter == "\t":
            return False
        return self.names[1] in (self.text, usual_name(self.names[1:], TEXT_NAMES))

    def with_whole_text(self, line: bytes) -> bytes | None:
        """A line of more than two fields as one of two, its text enclosed; None if it may be meant otherwise.

        That is, unless it begins with the name of an image file and names no other one.
        """
        fields = line.split(self.delimiter.encode())
        if len(fields) < 3 or not names_image_file(fields[0]) or any(map(image_like, fields[1:])):
            return None
        text = line[len(fields[0]) + 1 :].lstrip(b" " if self.has_blanks else b"")
        return fields[0] + self.delimiter.encode() + b'"' + text.replace(b'"', b'""') + b'"'

    def without_blanks(self, line: bytes) -> bytes:
        """A line without the blanks that follow its delimiters."""
        separator = self.delimiter.encode()
        return re.sub(re.escape(separator) + rb" +(?=\")", lambda _: separator, line)

    def finished(self, table: pa.Table) -> pa.Table:
        """The parsed table with the names and values that are meant."""
        table = table.rename_columns(self.names if len(self.names) == table.num_columns else table.column_names)
        if self.has_blanks:
            table = pa.table([pc.utf8_ltrim(column, " ") for column in table.columns], names=table.column_names)
        at = self.image_at
        if at is not None and at < table.num_columns and len(table) and _are_numbered(table.column(at)):
            names = pc.replace_substring_regex(table.column(at), _CAPTION_NUMBER, r"\1")
            table = table.set_column(at, table.column_names[at], names)
        return table


def without_comments(source: TableSource) -> TableSource:
    """The same source without lines of comments (`# ...`) before the header, which may itself begin with `#`."""
    lines = source.start(_MOST_COMMENT_BYTES).splitlines(keepends=True)
    ends = next((at for at, line in enumerate(lines) if line.strip() and not _is_comment(line)), 0)
    commented = [at for at, line in enumerate(lines[:ends]) if line.strip()]
    if not commented:
        return source
    if _has_usual_names(lines[commented[-1]]) and not _has_usual_names(lines[ends]):
        ends = commented[-1]
    return source.after(b"".join(lines[:ends]), ends)


def with_tabs(source: TableSource, are_images: AreImages | None = None) -> TableSource:
    """The same source, with tabs where a blank separates names of images from the rest, as in lists of labels.

    `are_images` tells ids of images; what follows these must be more than numbers.
    """
    with_tab = tab_for_blank(source.start().splitlines()[:_ROWS_TRIED], are_images)
    if with_tab is None:
        return source
    content = bytearray()
    for _, line, is_whole in source.lines():
        tabbed = with_tab(line) if is_whole else None
        content += line if tabbed is None else tabbed + b"\n"
    return replace(source, content=bytes(content), packing=None, skipped=0)


def _is_comment(line: bytes) -> bool:
    line = line.removeprefix(codecs.BOM_UTF8)
    return line.lstrip().startswith(b"#") and not image_like(_SEPARATORS.split(line)[0])


def _has_usual_names(line: bytes) -> bool:
    fields = _SEPARATORS.split(line.decode(errors="replace").lstrip("\ufeff# ").encode())
    return usual_name([each.decode().strip(' "\r\n') for each in fields], (*IMAGE_NAMES, *TEXT_NAMES)) is not None


def _names(header: str, fields: list[str], delimiter: str, has_blanks: bool) -> list[str]:
    """The names of the columns, without the blanks around them, and the `#` of a header that is a comment."""
    if has_blanks:
        fields = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), fields)
    names = [field.strip() for field in fields]
    return [names[0].lstrip("# ") or names[0], *names[1:]] if names else []


def _are_numbered(names: pa.ChunkedArray) -> bool:
    some = (names.slice(0, _ROWS_TRIED), names)
    return all(pc.all(pc.match_substring_regex(each, _CAPTION_NUMBER)).as_py() for each in some)


def _first_lines(source: TableSource) -> list[str]:
    lines = source.start().splitlines()[:_ROWS_TRIED]
    return [line.decode(errors="replace").removeprefix("\ufeff") for line in lines]


def _fields(line: str, delimiter: str) -> list[str]:
    if line.count('"') % 2:  # a mark that nothing closes
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a field of more than 128 KB
        return line.split(delimiter)


def _has_blanks(lines: Sequence[str], fields: Sequence[str], delimiter: str) -> bool:
    """Whether a blank follows every delimiter of the header, or rows have as many fields only if blanks are no part."""
    if len(fields) < 2 or all(field.startswith(" ") for field in fields[1:]):
        return len(fields) > 1
    odd = [line for line in lines if len(_fields(line, delimiter)) != len(fields)]
    if not odd or not all(f'{delimiter} "' in line and line.count('"') % 2 == 0 for line in odd):
        return False
    try:
        return all(len(row) == len(fields) for row in csv.reader(odd, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return False


def _delimiter(lines: Sequence[str], is_tsv: bool) -> str:
    """The delimiter that gives the most lines as many fields as the first; of several, that with the most fields."""
    first = lines[0] if lines else ""
    if is_tsv and ("\t" in first or not first):
        return "\t"

    def fit(delimiter: str) -> tuple[float, int]:
        width = len(_fields(first, delimiter))
        if width < 2 or len(lines) == 1:
            return 0, width
        alike = [len(_fields(line, delimiter)) == width for line in lines]
        return round(sum(alike) / len(alike), 1), width

    return max("\t,;|", key=fit)  # of equals the tab, which hardly occurs in texts


def _is_data(first: Sequence[str]) -> bool:
    """Whether the first row holds the path or URL of an image: then it is not a header."""
    return len(first) > 1 and any(image_like(field.encode()) for field in first)


def _column_of_ids(lines: Sequence[str], names: Sequence[str], delimiter: str, are_images: AreImages) -> int | None:
    """The column whose values name images from the first line on, which is no header then; None if there is none."""
    rows = [row for line in lines if len(row := _fields(line, delimiter)) == len(names)]
    if len(rows) < 2 or len(names) < 2 or usual_name(names, (*IMAGE_NAMES, *TEXT_NAMES, *LABEL_NAMES)) is not None:
        return None
    for place in range(len(names)):
        if next(iter(are_images([row[place] for row in rows])), False):
            return place
    return None


def names_without_header(rows: Sequence[Sequence[str]], where: str, image: int | None = None) -> list[str]:
    """`image` and `text` in their places, `label` if that is the id of a class, and `column_3` and so on.

    The image is the first column that names an image file, else the first URL; the text is the one with most words.
    """
    kinds = [path_kind(field.encode()) for field in rows[0]]
    if image is None:
        image = kinds.index("file") if "file" in kinds else kinds.index("url")
    words = {
        place: sum(len(row[place].split()) for row in rows) / len(rows) for place in range(len(kinds)) if place != image
    }
    text, *others = sorted(words, key=lambda place: -words[place])
    says = "label" if all(_CLASS_ID.fullmatch(row[text].strip()) for row in rows) else "text"
    rivals = [place for place in others if words[place] > 1.5 and 3 * words[place] > words[text]]
    if rivals:
        raise OpenAlignError(
            f"{where} has no header line, and columns {text + 1} and {rivals[0] + 1} could both be its texts: "
            "add a line with the names of the columns"
        )
    return ["image" if at == image else says if at == text else f"column_{at + 1}" for at in range(len(kinds))]
