"""Functions of one record (a page, an image, a row, a text), whose exceptions only affect that record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from openalign.errors import OpenAlignError

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")
Result = TypeVar("Result")

UNEXPECTED = "unexpected "
"""Prefix of the reason of a problem from an unexpected exception."""
_MAX_MESSAGE = 300  # characters

RECORD_FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""The functions that `one_record` wraps, by module and name. Tests replace them with functions that raise."""


class RecordError(Exception):
    """A record cannot be used; the message is the reason, without the name of the record."""


class RunError(OpenAlignError):
    """The machine or the installation is at fault, not the record: every record would fail."""


@dataclass(frozen=True)
class Problem:
    """Why one record could not be used."""

    reason: str

    def of(self, source: object) -> str:
        """The error message of the report; `source` names the record (file and offset or row, URL)."""
        reason = self.reason.rstrip(".").removeprefix(f"{source}: ")  # errors of other rooms name their row themselves
        return f"{source}: {reason}."


def one_record(function: Callable[Arguments, Result]) -> Callable[Arguments, Result | Problem]:
    """Make a function of one record return a `Problem` instead of raising.

    Wrapped functions only read and compute. Results are written elsewhere, so that a full disk stops the run.
    """
    name = f"{function.__module__}.{function.__qualname__}".removeprefix("openalign.curation.")
    RECORD_FUNCTIONS[name] = function

    @wraps(function)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result | Problem:
        try:
            result: Result = RECORD_FUNCTIONS[name](*args, **kwargs)
        except RunError:
            raise
        except Exception as error:
            return Problem(reason_of(error))
        return result

    return guarded


def each_of(
    function: Callable[[Sequence[Item]], Sequence[Result] | Problem], items: Sequence[Item]
) -> list[Result | Problem]:
    """Apply a function of a batch (wrapped by `one_record`); if it fails, apply it to each item by itself."""
    if not items:
        return []
    results = function(items)
    if not isinstance(results, Problem):
        return list(results)
    single = [function([item]) for item in items]
    return [result if isinstance(result, Problem) else result[0] for result in single]


def problems_among(results: Sequence[Result | Problem], sources: Sequence[str]) -> list[str]:
    """The error messages of the results that are problems; `sources` names all records."""
    return [each.of(source) for each, source in zip(results, sources, strict=True) if isinstance(each, Problem)]


def known(results: Sequence[Result | Problem]) -> list[Result | None]:
    """The results, with None for each problem."""
    return [None if isinstance(each, Problem) else each for each in results]


def reason_of(error: Exception) -> str:
    """The message of an error of this package; type and message of any other, on one line."""
    if isinstance(error, RecordError | OpenAlignError):
        return str(error)
    message = " ".join(str(error).split())[:_MAX_MESSAGE]
    return f"{UNEXPECTED}{type(error).__name__}" + (f": {message}" if message else "")
