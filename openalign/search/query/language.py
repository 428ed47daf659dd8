r"""The language of queries, the same in the shell, in Python, over REST and on the page.

    img:beach.jpg + 2*at night - people

is an image, plus a text with weight 2, minus another text.

    query   = [sign blank] term {blank sign blank term}
    sign    = "+" | "-"
    term    = [number "*"] (text | image | row)
    text    = words | quoted
    image   = "img:" (path without blanks | quoted)
    row     = "row:" digits
    quoted  = '"' any characters, a quotation mark among them doubled '"'
    number  = 0.001 to 1000, with a decimal point

Whatever is not one of these forms is a text that means itself: a sign is one only between blanks or at the start, so
`t-shirt`, `C++` and `rock & roll` are texts; `N*` is a weight only at the start of a term and directly before
something that is no digit, blank or asterisk, so `5*5` and `5* hotel` are texts. A quoted text is always literal. Words
may begin with a quoted part, whose signs do not count; the marks then belong to the text, as anywhere inside words.

Blanks are what Unicode calls white space; digits are those of ASCII. `img:` and `row:` are written in small letters.
The page has the same parser in `serve/page/language.js`; both are tested on the same table of queries.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from openalign.data.images.read import ImageInput
from openalign.errors import UsageError
from openalign.options import option
from openalign.search.query.terms import (
    LARGEST_WEIGHT,
    PATH,
    SIGN,
    SIGN_AFTER_BLANK,
    SMALLEST_WEIGHT,
    WEIGHT,
    Query,
    Term,
)

_QUOTED = re.compile(r'"((?:[^"]|"")*)"(?!")')
_ROW = re.compile(r"([0-9]{1,15})(?=\s|\Z)")
_BLANKS = re.compile(r"\s*")


def parse_query(text: str, *, files: bool = True) -> Query:
    """The query that `text` writes in the language above; of blanks alone, a query without terms.

    Nothing is opened here: an image is its path. `files=False` refuses images, for a text that comes from somebody who
    may not choose which files of this machine are read.

    Raises:
        UsageError: `text` is no query; the message has the character at which it stops being one.
    """
    return Query(tuple(_Reader(text, files).terms()))


def query_of(
    query: str | Query | None,
    image: ImageInput | Sequence[ImageInput] | None,
    row: int | Sequence[int] | None,
    plus: Sequence[str],
    minus: Sequence[str],
) -> Query:
    """One query of all that `Index.search` takes."""
    images = () if image is None else image if isinstance(image, list | tuple) else (image,)
    rows = () if row is None else row if isinstance(row, Sequence) else (row,)
    written = query if isinstance(query, Query) else parse_query(query or "", files=False)
    return written.with_terms(images, rows, plus, minus)


@dataclass
class _Reader:
    """Reads a query from left to right; `at` is the next character."""

    query: str
    files: bool
    at: int = 0

    def terms(self) -> list[Term]:
        found: list[Term] = []
        self._skip_blanks()
        while self.at < len(self.query):
            found.append(self._term(minus=self._sign() == "-"))
            self._skip_blanks()
        return found

    def _sign(self) -> str:
        """The sign before a term, "" before a first one without."""
        sign = SIGN.match(self.query, self.at)
        if sign is None:
            return ""
        place = self.at
        self.at = sign.end()
        self._skip_blanks()
        if self.at == len(self.query):
            self._fail(f"nothing follows the {sign[0]}; a text that has it stands in quotation marks", place)
        if SIGN.match(self.query, self.at):
            self._fail("two signs follow each other; a text that has them stands in quotation marks", place)
        return sign[0]

    def _term(self, *, minus: bool) -> Term:
        weight = self._weight()
        place = self.at
        if self.query.startswith("img:", place):
            if not self.files:
                self._fail(f"a query given as text opens no file; give the image as {option('image')}", place)
            self.at += len("img:")
            return Term(image=self._path(place), weight=weight, minus=minus)
        if self.query.startswith("row:", place):
            self.at += len("row:")
            return Term(row=self._row(place), weight=weight, minus=minus)
        return Term(text=self._text(), weight=weight, minus=minus)

    def _weight(self) -> float | None:
        found = WEIGHT.match(self.query, self.at)
        if found is None:
            return None
        weight = float(found[1])
        if not SMALLEST_WEIGHT <= weight <= LARGEST_WEIGHT:
            self._fail(f"a weight is {SMALLEST_WEIGHT} to {LARGEST_WEIGHT}, with a minus between blanks before it")
        self.at = found.end()
        return weight

    def _text(self) -> str:
        begin = after_quotes = self.at
        if self.query.startswith('"', begin):
            quoted = self._quoted()
            if self._is_end_of_term():
                if not quoted.strip():
                    self._fail("there is no text between the quotation marks", begin)
                return quoted
            after_quotes = self.at
        sign = SIGN_AFTER_BLANK.search(self.query, after_quotes)
        self.at = sign.start() if sign else len(self.query)
        return self.query[begin : self.at].rstrip()

    def _path(self, term: int) -> str:
        if self.query.startswith('"', self.at):
            path = self._quoted()
        else:
            found = PATH.match(self.query, self.at)
            path = found[0] if found else ""
            self.at += len(path)
        if not path.strip():
            self._fail('img: is followed by the path of an image, as in img:beach.jpg or img:"my beach.jpg"', term)
        if not self._is_end_of_term():
            self._skip_blanks()
            self._fail("after a path comes + or - between blanks; one with blanks stands in quotation marks")
        return path

    def _row(self, term: int) -> int:
        found = _ROW.match(self.query, self.at)
        if found is None:
            self._fail("row: is followed by the number of a row, as in row:17; a text stands in quotation marks", term)
        self.at = found.end()
        if not self._is_end_of_term():
            self._skip_blanks()
            self._fail("after a row comes + or - between blanks")
        return int(found[1])

    def _quoted(self) -> str:
        found = _QUOTED.match(self.query, self.at)
        if found is None:
            self._fail("this quotation mark has no closing one; a text that has one doubles it")
        self.at = found.end()
        return found[1].replace('""', '"')

    def _is_end_of_term(self) -> bool:
        after = self._blanks_end()
        return after == len(self.query) or (after > self.at and SIGN.match(self.query, after) is not None)

    def _skip_blanks(self) -> None:
        self.at = self._blanks_end()

    def _blanks_end(self) -> int:
        blanks = _BLANKS.match(self.query, self.at)
        assert blanks is not None
        return blanks.end()

    def _fail(self, reason: str, place: int | None = None) -> NoReturn:
        place = self.at if place is None else place
        raise UsageError(f"The query, character {place + 1} ({self.query[place : place + 20]!r}): {reason}.")
