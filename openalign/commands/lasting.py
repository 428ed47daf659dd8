"""Imports without the cost of looking for garbage among what they make."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting_objects() -> Iterator[None]:
    """Hide the objects that the block makes, such as modules, from the garbage collector: they live until the end.

    It would go over them again and again while the block runs and afterwards, and so copy their pages in each forked
    process (see `gc.freeze`). Of a curation from the cache this saves a fifth.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # DuckDB takes what is left at the end for a leak, and prints a page about it
