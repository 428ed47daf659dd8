"""The process that `preloaded` forks: it loads every library, then becomes what each request asks for."""

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
LOADED = (
    "torch", "torch.distributed.run", "torch.profiler", "transformers", "onnxruntime", "tensorboard", "usearch.index",
    "pandas", "pyarrow.parquet", "pyarrow.dataset", "pyarrow.substrait", "ibis.backends.duckdb",
    "ibis.formats.pyarrow", "ibis.expr.types.groupby", "typer.rich_utils", "rich.markdown",
    "openalign.commands.cli", "openalign.curation.pipeline", "openalign.training.loop", "openalign.evaluation.run",
    "openalign.search.index", "openalign.serve.app", "openalign.model.onnx.export",
)  # fmt: skip


def serve(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Answer requests; returns, in a forked process, what that one was asked to be and its three streams."""
    while True:
        request, streams, _, _ = socket.recv_fds(connection, 1 << 17, 3)
        if not request:
            os._exit(0)
        if (between := os.fork()) == 0:
            between = os.getpid()
            if (child := os.fork()) == 0:
                while os.getppid() == between:
                    time.sleep(0.001)
                connection.close()
                return json.loads(request), streams
            connection.send(str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)
        for file in streams:
            os.close(file)
        connection.send(b"adopted")


def prepare(job: dict[str, Any], streams: list[int]) -> None:
    """Take the streams, environment, directory and session of a job, and end with the tests if they are killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != job["parent"]:  # killed before it could be waited for
        os._exit(1)
    if job["new_session"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(streams):
        os.dup2(file, number)
    for file in streams:
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, buffering=1, closefd=False) for number, mode in enumerate(("r", "w", "w"))
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    os.chdir(job["directory"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.path[1:1] = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part not in sys.path]
    tempfile.tempdir = None


def become(command: list[str]) -> None:
    """Run what an interpreter would with these arguments."""
    how, *rest = command
    if how == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    elif how == "-m":
        sys.argv, sys.path[0] = rest, str(Path.cwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = command, str(Path(how).parent)
        runpy.run_path(how, run_name="__main__")


def status_of(command: list[str]) -> int:
    """Run a command; returns the exit status that an interpreter would have, minus a signal that would end it."""
    try:
        become(command)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def end(status: int) -> NoReturn:
    """Wait for threads and call exit handlers, as an interpreter does, but leave the libraries as they are.

    Taking them down costs half a second and may wait for threads of theirs, which a fork does not have.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def load(names: Sequence[str] = LOADED) -> None:
    """Import modules, read the model that curation guesses languages with, and let forks share their memory."""
    gc.disable()  # imports take a third less time
    for name in names:
        importlib.import_module(name)
    importlib.import_module("openalign.curation.text.languages").likely_languages("a red apple")
    gc.freeze()  # so that a forked process does not copy what it never changes
    gc.enable()


def main(connection: socket.socket) -> NoReturn:
    """Serve, and in forked processes be what was asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    job, streams = serve(connection)
    prepare(job, streams)
    end(status_of(job["command"]))


if __name__ == "__main__":
    load()
    main(socket.socket(fileno=int(sys.argv[1])))
