"""Commands run, killed and looked at from outside."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests import preloaded

ZYGOTE = Path(__file__).with_name("zygote.py")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    """Exit status; minus the number of the signal that ended it."""
    seconds: float
    output: str
    left: int
    """Processes that it left behind."""
    result: Any = None

    @property
    def killed(self) -> bool:
        return self.status == -9

    def check(self, statuses: Sequence[int] = (0,)) -> Self:
        """Assert that it ended with one of these statuses, without a traceback and without leaving processes.

        Of a driver that was killed, what its workers print when they find it gone does not count.
        """
        if not self.killed:
            assert "Traceback" not in self.output, self.output[-4000:]
            assert self.status in statuses, (self.status, self.output[-4000:])
        assert self.left == 0, f"{self.left} processes left behind\n{self.output[-2000:]}"
        return self


class Commands:
    """A zygote and the scratch folder of its outputs; a context manager."""

    def __init__(self, scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self._output = scratch / "output.txt"
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        self._zygote = preloaded.Popen(
            [sys.executable, ZYGOTE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        assert self._zygote.stdout is not None
        assert self._zygote.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait(60)

    def start(self, *arguments: object, kill_after: float | None = None, kill: str = "all") -> None:
        """Begin a command; `finish` waits for it. `kill` says who is killed: `all` its processes, or the `driver`."""
        job = {"arguments": [str(each) for each in arguments], "output": str(self._output)}
        self._send(job | {"kill_after": kill_after, "kill": kill})

    def finish(self) -> Ended:
        assert self._zygote.stdout is not None
        answer = json.loads(self._zygote.stdout.readline())
        output = self._output.read_text(errors="replace") if self._output.exists() else ""
        return Ended(answer["status"], answer["seconds"], output, answer["left"], answer.get("result"))

    def run(self, *arguments: object, **options: Any) -> Ended:
        self.start(*arguments, **options)
        return self.finish()

    def call(self, function: str, argument: Any) -> Ended:
        """Call `MODULE:NAME` of this folder in a process of its own."""
        self._send({"call": function, "with": argument, "output": str(self._output)})
        return self.finish()

    def _send(self, job: dict[str, Any]) -> None:
        assert self._zygote.stdin is not None
        print(json.dumps(job), file=self._zygote.stdin, flush=True)


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
