"""Whatever a library raises on untrusted files or texts, as one `OpenAlignError`."""

from collections.abc import Iterator
from contextlib import contextmanager

from openalign.errors import OpenAlignError

_MOST_CHARACTERS = 300


@contextmanager
def library_errors(prefix: str) -> Iterator[None]:
    """Turn every exception of the block into an `OpenAlignError` that begins with `prefix`.

    Libraries do not document what they raise on malformed input, so every `Exception` is caught. So is a panic of a
    Rust library (tokenizers, safetensors): `PanicException`, which does not derive from `Exception`. Ctrl-C is not.
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
    if text.endswith(":"):  # a heading: the message follows on the next line
        text = " ".join(lines[:2])
    # The message of a LookupError is only the key.
    text = f"{type(error).__name__}: {text}" if isinstance(error, LookupError) else text
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
