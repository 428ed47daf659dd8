"""A command in two processes: preloaded with the environment that torchrun gives them, or by torchrun itself."""

import os
import random
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

from tests import preloaded

TORCHRUN = """
import sys
from tests import preloaded
preloaded.fork_server()
from torch.distributed import run
from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler
def start(args, **options):
    return preloaded.Popen([part for part in args if part != "-u"], **options)
subprocess_handler.Popen = start
run.main(sys.argv[1:])
"""
"""torchrun as it is, except that its processes are forks of the preloaded one, as it is itself."""


def torchrun(*arguments: object) -> list[object]:
    """The command of torchrun for two processes of this machine, for `preloaded`."""
    return [sys.executable, "-c", TORCHRUN, "--standalone", "--nproc-per-node=2", *arguments]


def start_two(command: list[Any]) -> list[preloaded.Popen]:
    """Start it as ranks 0 and 1, with pipes to their standard error."""
    shared = os.environ | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
    shared["MASTER_PORT"] = str(free_port())
    return [
        preloaded.Popen(command, stderr=subprocess.PIPE, env=shared | {"RANK": rank, "LOCAL_RANK": rank})
        for rank in ("0", "1")
    ]


def end_of_two(processes: list[preloaded.Popen]) -> list[str]:
    """What each wrote to standard error until its end; nothing of them lives on."""
    try:
        return [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()


def free_port() -> int:
    """A port that is free and from which no connection is made, since it is below those that Linux gives out."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("localhost", port))
            return port
    raise OSError("no free port")
