"""The state of an index (`Meta`) as a property of its collection, and the lease of the run that writes it.

Milvus has no locks, so a run says in a property that it is at work, and again every `_BEAT_S` seconds. A run that was
killed is known by its process, on the same machine, or else by its silence.
"""

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from openalign.errors import OpenAlignError
from openalign.locks import boot_id, this_process
from openalign.search.milvus.client import Collection
from openalign.search.store.meta import Meta, meta_from

_STATE = "openalign.index"
_WRITER = "openalign.writer"
_BEAT_S = 30.0
_SILENT_S = 150.0
"""After which a run on another machine counts as dead; longer than one request may take."""


def as_properties(meta: Meta) -> dict[str, str]:
    """The properties that hold a state."""
    return {_STATE: meta.as_json()}


def read_state(collection: Collection) -> Meta:
    """The state of a collection; raises OpenAlignError if it is no index, or none of this version."""
    content = collection.properties().get(_STATE)
    if content is None:
        raise OpenAlignError(f"{collection.address.given} is a collection of something else: name another one.")
    return meta_from(content, collection.address.given)


class Lease:
    """The right of one run to write a collection."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._token = uuid.uuid4().hex
        self._beaten = 0.0

    def beat(self) -> None:
        """Say that this run is at work, if it is time to; raises OpenAlignError if another one took over."""
        if time.monotonic() - self._beaten < _BEAT_S:
            return
        if self._beaten and _writer(self._collection).get("token") != self._token:
            raise OpenAlignError(f"{self._collection.address.given} was taken over by another run: this one ends.")
        self._write({**this_process(), "boot": boot_id(), "token": self._token, "beat": time.time()})
        self._beaten = time.monotonic()

    def _write(self, writer: dict[str, Any]) -> None:
        self._collection.set_properties({_WRITER: json.dumps(writer)})

    def end(self) -> None:
        """Give the right back."""
        if _writer(self._collection).get("token") == self._token:
            self._write({})


@contextmanager
def leased(collection: Collection) -> Iterator[Lease]:
    """Hold the right to write while the block runs; raises OpenAlignError if another run has it."""
    other = _writer(collection)
    if other and _is_alive(other):
        who = f"process {other.get('process')} on {other.get('host')}, `{other.get('command')}`"
        raise OpenAlignError(
            f"{collection.address.given} is being written by another run ({who}): wait until it ends, or stop it. One "
            f"that was killed on another machine is forgotten after {_SILENT_S:.0f} seconds."
        )
    lease = Lease(collection)
    lease.beat()
    try:
        yield lease
    finally:
        with suppress(OpenAlignError):  # the server may be what failed
            lease.end()


def _writer(collection: Collection) -> dict[str, Any]:
    try:
        found = json.loads(collection.properties().get(_WRITER, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_alive(writer: dict[str, Any]) -> bool:
    if writer.get("boot") == boot_id():
        try:
            os.kill(int(writer["process"]), 0)
        except (ProcessLookupError, KeyError, ValueError):
            return False
        except PermissionError:
            return True
        return True
    beat = writer.get("beat")
    return isinstance(beat, float) and time.time() - beat < _SILENT_S
