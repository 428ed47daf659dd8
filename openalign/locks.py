"""One writer per folder: a lock file beside it names the process, machine and start time of its owner.

The kernel holds the lock (`flock`) and releases it when the owner dies, however it dies; containers on one machine
share it. Not all network file systems hold such locks across machines, so the owner also touches the lock file every
few seconds. A lock left behind by another machine is taken over only when it is no longer touched.
"""

import errno
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from openalign.errors import OpenAlignError
from openalign.progress import say
from openalign.regular import read_regular

HEARTBEAT_S = 5.0
"""Seconds between two touches of the lock file by its owner."""
_PATIENCE = 4
"""Heartbeats to wait before taking over a lock of another machine."""
_MOST_OWNER_BYTES = 1 << 16
_ACQUIRE_S = 0.5
"""Seconds; longer than another process needs to remove its lock file."""
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""Errors of file systems without locks, on which only heartbeats protect a folder."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_held: dict[Path, int] = {}  # folder -> the thread that holds its lock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` (which need not exist) while the block runs.

    The thread that holds a folder's lock may take it again, and those of folders inside it.

    Raises:
        OpenAlignError: another run holds it; the message names it.
    """
    folder = folder.resolve()  # the same lock for every path to the folder
    if any(_held.get(each) == threading.get_ident() for each in (folder, *folder.parents)):
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f".{folder.name}.lock")
    lock = FileLock(path, timeout=_ACQUIRE_S, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        if not path.exists():  # no lock can be created there, which the library cannot tell from one that is held
            raise OpenAlignError(f"{folder} cannot be written: no lock file can be created beside it") from None
        raise OpenAlignError(_refusal(folder, _read_owner(path))) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        _check_heartbeat(folder, path, trusted=lock.is_locked)
        try:
            path.write_text(json.dumps(this_process()) + "\n", encoding="utf-8")
            _held[folder] = threading.get_ident()
            with _heartbeat(path):
                yield
        finally:
            _held.pop(folder, None)
            path.unlink(missing_ok=True)  # before the release, so that waiting processes see that the file is gone
    finally:
        lock.release()


def this_process() -> dict[str, Any]:
    """What tells others who holds a lock."""
    return {
        "process": os.getpid(),
        "host": platform.node(),
        "boot": boot_id(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]),
    }


def boot_id() -> str:
    """Identifies the running kernel; containers on one machine have the same."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()


def _read_owner(path: Path) -> dict[str, Any]:
    """The owner recorded in the lock file; empty if it cannot be read."""
    try:
        owner = json.loads(read_regular(path, _MOST_OWNER_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _refusal(folder: Path, owner: dict[str, Any]) -> str:
    who = (
        f"process {owner.get('process')} on {owner.get('host')}, `{owner.get('command')}`, since {owner.get('since')}"
        if owner
        else "owner not yet recorded"
    )
    return f"{folder} is being written by another run ({who}): wait until it ends, stop it, or choose another folder"


def _check_heartbeat(folder: Path, path: Path, trusted: bool) -> None:
    """Return once the lock file of another run has not been touched for a while.

    `trusted`: the kernel granted the lock, so no process of this kernel holds it.

    Raises:
        OpenAlignError: it is still touched, so its owner is alive, on a machine that shares no locks with this one.
    """
    owner = _read_owner(path)
    if not owner or (trusted and owner.get("boot") == boot_id()):
        return
    say(f"{folder}: checking whether a run on {owner.get('host')} that left its lock is still running")
    touched = path.stat().st_mtime_ns
    deadline = time.monotonic() + _PATIENCE * HEARTBEAT_S
    while time.monotonic() < deadline:
        time.sleep(HEARTBEAT_S / 5)
        if path.exists() and path.stat().st_mtime_ns != touched:
            raise OpenAlignError(_refusal(folder, owner))


@contextmanager
def _heartbeat(path: Path) -> Iterator[None]:
    """Touch the lock file every few seconds, in a background thread."""
    done = threading.Event()

    def touch() -> None:
        while not done.wait(HEARTBEAT_S):
            with suppress(OSError):  # the disk may be full or unreachable for a moment
                os.utime(path)

    thread = threading.Thread(target=touch, name="lock-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
