"""The index that a service answers from: the newest state, while `openalign index` goes on writing into its folder."""

import asyncio
import logging
import weakref
from contextlib import suppress

from openalign.errors import OpenAlignError
from openalign.search.index import Index
from openalign.search.store.any_store import AnyStore
from openalign.serve.wire import Info, info_of

LOOK_S = 2.0
"""Seconds between two looks at the folder; a look is two calls of `stat`."""
_log = logging.getLogger("uvicorn.error")


class CurrentIndex:
    """An index, which is opened again after each run that changed its folder.

    A request keeps the state with which it began. An index that cannot be opened, or that another model made, is
    reported once in the log, and the last good state stays.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.info: Info = info_of(index)
        """What the page shows of the index."""
        self._complaint: str | None = None

    async def follow(self) -> None:
        """Look at the folder until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(self.look)
            except Exception as error:  # of a folder that is replaced while it is read; the next look finds another
                self._complain(f"{type(error).__name__}: {error}")

    def look(self) -> bool:
        """Open the index again if a run into it has ended since; returns whether it was."""
        if self.index.store.is_current:
            return False
        try:
            self._take(self.index.store.opened_again())
        except OpenAlignError as error:
            self._complain(str(error))
            return False
        self._complaint = None
        return True

    def _take(self, store: AnyStore) -> None:
        ours = self.index.store.meta.fingerprint
        try:
            if store.meta.fingerprint != ours:
                raise OpenAlignError("another model has made it: restart the service to take it")
            opened = Index(store, self.index.model)
            info = info_of(opened)
        except BaseException:
            store.close()
            raise
        # Requests may still read the state before: it is closed when the last of them has let go of it.
        weakref.finalize(self.index, _close, self.index.store)
        self.index, self.info = opened, info

    def _complain(self, message: str) -> None:
        if message != self._complaint:
            _log.warning("The index has changed and cannot be taken: %s", message)
        self._complaint = message


def _close(store: AnyStore) -> None:
    with suppress(BufferError):  # a request's result still lies in the mapped file: the mapping goes with it
        store.close()
