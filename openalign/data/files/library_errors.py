"""Whatever a library raises over a file or text that a stranger made, as one error message of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from openalign.errors import OpenAlignError

_MOST_CHARACTERS = 300


@contextmanager
def library_errors(prefix: str) -> Iterator[None]:
    """Turn every exception of the block into an `OpenAlignError` that begins with `prefix`.

    Libraries do not say what they raise over odd input, so all of `Exception` is meant. A panic of a library in Rust
    (tokenizers, safetensors) comes as `PanicException`, which is no `Exception`. Ctrl-C passes through.
    """
    try:
        yield
    except OpenAlignError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise OpenAlignError(f"{prefix} ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    if text.endswith(":"):  # a heading
        text = " ".join(lines[:2])
    # A bare key or number says nothing without the kind of error.
    text = f"{type(error).__name__}: {text}" if isinstance(error, LookupError) else text
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
