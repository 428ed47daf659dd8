"""Python processes forked from one that has every library loaded: `subprocess` without seconds of imports a start.

`Popen` and `run` take commands that begin with `sys.executable`, followed by `-c CODE`, `-m MODULE` or a script. The
process is a child of this one with the streams, environment, directory and session that were asked for, and ends as an
interpreter does. Only what libraries read from the environment while they are imported has been read before.
"""

import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("preloaded_server.py")
PR_SET_CHILD_SUBREAPER = 36
PARAMETERS = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


class Popen(subprocess.Popen[str]):
    def __init__(self, command: list[Any], **options: Any) -> None:
        super().__init__([str(part) for part in command], text=True, **options)

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind is not None:
            self.kill()  # `subprocess` would wait for it without end
        super().__exit__(kind, *rest)

    def _execute_child(self, *given: Any) -> None:
        """What `subprocess` does by fork and exec."""
        asked = PARAMETERS.bind(self, *given).arguments
        executable, *command = asked["args"]
        assert executable == sys.executable, f"{executable} is not this Python"
        job = {
            "parent": os.getpid(),
            "command": command,
            "directory": str(asked["cwd"] or Path.cwd()),
            "environment": dict(os.environ if asked["env"] is None else asked["env"]),
            "new_session": asked["start_new_session"],
        }
        ends = [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        self.pid = fork(job, [own if end == -1 else end for own, end in enumerate(ends)])
        self._child_created = True
        self._close_pipe_fds(*(asked[name] for name in PIPES))  # type: ignore[attr-defined]


def run(command: list[Any], timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and capture what it writes."""
    with Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def fork(job: dict[str, Any], streams: list[int]) -> int:
    """The id of a new child; the server starts it as a grandchild whose parent ends, and this process adopts it."""
    connection, prctl = server(), ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        socket.send_fds(connection, [json.dumps(job).encode()], streams)
        child = int(connection.recv(64))
        assert connection.recv(64) == b"adopted"
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    return child


_given: list[socket.socket] = []


def fork_server() -> None:
    """Take a fork of this process, before it has threads, as the server; it ends with this process."""
    from tests import preloaded_server

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        preloaded_server.main(theirs)
    theirs.close()
    _given.append(ours)


@cache
def server() -> socket.socket:
    """The connection to a server that ends with this process."""
    if _given:
        return _given[0]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    subprocess.Popen([sys.executable, str(SERVER), str(theirs.fileno())], pass_fds=[theirs.fileno()])
    theirs.close()
    return ours
