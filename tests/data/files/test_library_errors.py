"""Whatever a library raises becomes one error of one line."""

import pytest

from openalign.data.files.library_errors import library_errors
from openalign.errors import OpenAlignError


class PanicException(BaseException):
    """As libraries in Rust raise it."""


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("bad\nmore"), "a.json (bad)"),
        (KeyError("name"), "a.json (KeyError: 'name')"),
        (RuntimeError("Errors:\n  first\n  second"), "a.json (Errors: first)"),
        (RuntimeError(), "a.json (RuntimeError)"),
        (PanicException("index out of range"), "a.json (index out of range)"),
        (ValueError("x" * 1000), f"a.json ({'x' * 300}...)"),
    ],
)
def test_an_exception_becomes_one_line_after_the_prefix(error: BaseException, shown: str) -> None:
    with pytest.raises(OpenAlignError) as raised, library_errors("a.json"):
        raise error
    assert str(raised.value) == shown and raised.value.__cause__ is error


@pytest.mark.parametrize("error", [OpenAlignError("as it was"), KeyboardInterrupt(), SystemExit(3)])
def test_our_own_errors_and_interrupts_pass_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, library_errors("a.json"):
        raise error
    assert raised.value is error


def test_nothing_happens_without_an_error() -> None:
    with library_errors("a.json"):
        pass
