"""Images by the numbers in their names: a table says 17 where the file is called `000017.jpg` or `train_17.jpg`."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_NUMBER = re.compile(r"(\d+)(?:\.0+)?")
"""A number, also as pandas writes those of a column that lacks some: `17.0`."""
_LAST = re.compile(r"(\d+)$")
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


class NumberedImages:
    """Images by their name without leading zeros, and by the number at its end."""

    def __init__(self, images: Iterable[str]) -> None:
        self._by_key: dict[str, list[str]] = {}
        for image in images:
            stem = PurePosixPath(image).stem
            keys = {_key(stem)}
            if last := _LAST.search(stem):
                keys.add(_key(last[1]))
            for key in keys:
                self._by_key.setdefault(key, []).append(image)

    def called(self, value: str) -> list[str]:
        """The images that a value with a number may mean; none if it has no number."""
        number = _NUMBER.fullmatch(value)
        stem = number[1] if number else value
        return self._by_key.get(_key(stem), []) if any(map(str.isdigit, stem)) else []


def _key(stem: str) -> str:
    return _ZEROS.sub("", stem)
