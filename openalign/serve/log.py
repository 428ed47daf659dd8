"""The service's log: an error that repeats is said once a minute, so that no client can fill a disk with it."""

import contextlib
import logging
import time
from collections.abc import Iterator

SECONDS = 60
_LOGGERS = ("uvicorn.error", "asyncio")
_MOST_KINDS = 1000


class OnceAMinute(logging.Filter):
    """Passes the first of equal records, and after a minute the next one with the number left out."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = _kind(record), time.monotonic()
        said, left_out = self._said.get(kind, (now - SECONDS, 0))
        if now - said < SECONDS:
            self._said[kind] = (said, left_out + 1)
            return False
        if len(self._said) >= _MOST_KINDS:
            self._said.clear()
        self._said[kind] = (now, 0)
        if left_out:
            record.msg = f"{record.msg} ({left_out:,} more of these were not logged)"
        return True


@contextlib.contextmanager
def without_repeats() -> Iterator[None]:
    """Say repeated errors of the server and of asyncio once a minute, as long as the block runs."""
    once = OnceAMinute()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(once)
    try:
        yield
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(once)


def _kind(record: logging.LogRecord) -> object:
    """What two records share that are the same error: message, exception and the line that raised it."""
    error = record.exc_info[1] if record.exc_info else None
    trace = error.__traceback__ if error else None
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else None
    return record.name, str(record.msg).partition("\n")[0], type(error), where
