"""The service's log: a repeated error is logged once a minute, so that no client can fill a disk."""

import contextlib
import logging
import time
from collections.abc import Iterator

SECONDS = 60
_LOGGERS = ("uvicorn.error", "asyncio")
_MOST_KINDS = 1000


class OnceAMinute(logging.Filter):
    """Passes the first of equal records, and after a minute the next one with the number of those suppressed."""

    def __init__(self) -> None:
        super().__init__()
        self._logged: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = _kind(record), time.monotonic()
        logged, suppressed = self._logged.get(kind, (now - SECONDS, 0))
        if now - logged < SECONDS:
            self._logged[kind] = (logged, suppressed + 1)
            return False
        if len(self._logged) >= _MOST_KINDS:
            self._logged.clear()
        self._logged[kind] = (now, 0)
        if suppressed:
            record.msg = f"{record.msg} ({suppressed:,} more of these were not logged)"
        return True


@contextlib.contextmanager
def without_repeats() -> Iterator[None]:
    """Log repeated errors of the server and of asyncio once a minute while the block runs."""
    once = OnceAMinute()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(once)
    try:
        yield
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(once)


def _kind(record: logging.LogRecord) -> object:
    """The key of equal errors: logger, message, exception type and the line that raised it."""
    error = record.exc_info[1] if record.exc_info else None
    trace = error.__traceback__ if error else None
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else None
    return record.name, str(record.msg).partition("\n")[0], type(error), where
