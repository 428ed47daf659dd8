"""Objects that live until the process ends: imports without the cost of looking for garbage among them, and its end."""

import atexit
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder

_is_own_process = False
_lasting = False


@contextmanager
def own_process() -> Iterator[None]:
    """Run a command in a process that ends with it: after `lasting_objects` it ends at once.

    The interpreter would free each object, and look for garbage among them: a sixth of a short curation. What is
    registered for the end runs all the same. The end is an ordinary one if a thread is still at work, or if the output
    cannot be written.
    """
    global _is_own_process
    _is_own_process = True
    try:
        yield
    except SystemExit as done:
        if isinstance(done.code, int):
            _end_process(done.code)
        raise


@contextmanager
def lasting_objects() -> Iterator[None]:
    """Hide the objects that the block makes, such as modules, from the garbage collector: they live until the end.

    It would go over them again and again while the block runs and afterwards, and so copy their pages in each forked
    process (see `gc.freeze`). Of a curation from the cache this saves a fifth.
    """
    global _lasting
    gc.disable()
    try:
        yield
        if _is_own_process:
            _do_without_pandas()
    finally:
        _lasting = True
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # DuckDB takes what is left at the end for a leak, and prints a page about it


def _do_without_pandas() -> None:
    """Let Arrow look for pandas now and find none. It would import it with the first array that it makes from a list:
    a twentieth of a short curation, which has no data frames.
    """
    if "pyarrow" not in sys.modules or "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        sys.modules["pyarrow"].array([0])
    finally:
        sys.meta_path.remove(finder)


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


def _end_process(status: int) -> None:
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if not _lasting or not all(thread.daemon for thread in others):
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    atexit._run_exitfuncs()
    os._exit(status)
