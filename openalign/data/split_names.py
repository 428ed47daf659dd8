"""The usual words for the splits of a data set, in the names of files, folders and rows."""

import re

_WORDS = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "heldout", "holdout"),
}
_NAMES = {word: split for split, words in _WORDS.items() for word in words}
_BETWEEN_WORDS = re.compile(r"[^a-z]+")


def split_of(name: str) -> str:
    """The split that the name of a file or folder tells: `cc3m-train-0001.tar` -> `train`; "" if it tells none.

    The name is that of the data set: `val2017` -> `val`. Words within words do not count (`trainer`, `contest`).
    """
    words = _BETWEEN_WORDS.split(name.lower())
    return next((word for word in words if word in _NAMES), "")


def standard_split_of(name: str) -> str:
    """`train`, `validation` or `test`, whatever word for it a name has; "" if it tells none."""
    return _NAMES.get(split_of(name), "")


def same_split(one: str, other: str) -> bool:
    """Whether two names of splits mean the same one: `val` and `validation`."""
    return standard_word(one) == standard_word(other)


def standard_word(name: str) -> str:
    """`train`, `validation` or `test` for a whole name that is a word for it, blanks and case aside; else the name."""
    clean = " ".join(name.split()).lower()
    return _NAMES.get(clean, clean)
