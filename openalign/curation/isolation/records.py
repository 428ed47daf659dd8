"""One record of a stranger (a page, an image, a row, a text): whatever it raises is a problem of that record alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from openalign.errors import OpenAlignError

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")
Result = TypeVar("Result")

UNEXPECTED = "unexpected "
"""How the reason of a problem starts that no code of ours foresaw."""
_LONGEST = 300  # characters of an exception's message

RECORD_FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Every function that `one_record` wraps, by module and name. Tests put others in their place, which raise."""


class RecordError(Exception):
    """This record cannot be used; the message is the reason, without the name of the record."""


class RunError(OpenAlignError):
    """Not the record is at fault but the machine or the installation, so that every record would fail."""


@dataclass(frozen=True)
class Problem:
    """Why one record could not be used."""

    reason: str

    def of(self, source: object) -> str:
        """The line of the report; `source` names the record (file and offset or row, URL)."""
        return f"{source}: {self.reason.rstrip('.')}."


def one_record(function: Callable[Arguments, Result]) -> Callable[Arguments, Result | Problem]:
    """Let a function of one record return a `Problem` where it would raise.

    What is wrapped reads and computes. What it gives is written elsewhere, so that a full disk is no record's problem.
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
    """The function (one that `one_record` wraps) of a batch; where that fails, of each item alone."""
    if not items:
        return []
    together = function(items)
    if not isinstance(together, Problem):
        return list(together)
    alone = [function([item]) for item in items]
    return [one if isinstance(one, Problem) else one[0] for one in alone]


def problems_among(found: Sequence[Result | Problem], sources: Sequence[str]) -> list[str]:
    """The lines of those that failed; `sources` names all."""
    return [each.of(source) for each, source in zip(found, sources, strict=True) if isinstance(each, Problem)]


def known(found: Sequence[Result | Problem]) -> list[Result | None]:
    """What was found, None in place of each problem."""
    return [None if isinstance(each, Problem) else each for each in found]


def reason_of(error: Exception) -> str:
    """The message of an error of ours; type and message of any other, on one line."""
    if isinstance(error, RecordError | OpenAlignError):
        return str(error)
    message = " ".join(str(error).split())[:_LONGEST]
    return f"{UNEXPECTED}{type(error).__name__}" + (f": {message}" if message else "")
