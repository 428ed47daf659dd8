"""Functions that stand in for a library that takes for ever or crashes; helper processes import them from here."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openalign.curation.html.alt_text import ImageTag
from openalign.curation.html.page import Form, read_tags

LONG = 600.0  # seconds that no test waits for


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def compute(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def process_number(*_: Any) -> int:
    return os.getpid()


def open_files() -> list[str]:
    """What the descriptors of this process lead to."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:  # the one that lists the folder
            continue
    return found


def raise_error(error: Exception) -> None:
    raise error


def read_tags_slowly(
    page: bytes, url: str, charset: str | None, form: Form, text_from: Sequence[str]
) -> list[ImageTag]:
    if b"SLOW" in page:
        time.sleep(LONG)
    return read_tags(page, url, charset, form, text_from)
