"""A preloaded process that runs commands as forks of itself and kills them when it is asked to.

It reads one JSON object a line from standard input and answers with one on standard output:

    {"arguments": [...], "output": FILE, "kill_after": seconds or null, "kill": "all" or "driver"}  ->
    {"status": exit status or minus the signal, "seconds": ..., "left": processes that outlived a killed driver}

`call` in place of `arguments` names a function `MODULE:NAME` of this folder and `with` its argument (JSON); the answer
then has its `result`.
"""

import importlib
import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

LIMIT_S = 120.0
IMAGES_AT_ONCE = 8
"""That the model embeds together: few, so that an indexing of some dozen photos has work to keep."""
LINGER_S = 10.0
"""How long workers may outlive a driver that was killed."""


def serve() -> None:
    importlib.import_module("checkers")
    importlib.import_module("openalign.search.prepare").BATCH = IMAGES_AT_ONCE
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job in a process group of its own."""
    result = Path(job["output"]).with_suffix(".result")
    result.unlink(missing_ok=True)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        become(job, result)
    with suppress(ProcessLookupError):  # here as well as there: whoever is first, before anybody is killed
        os.setpgid(child, child)
    status = wait(child, began + (LIMIT_S if job.get("kill_after") is None else job["kill_after"]))
    if status is None and job.get("kill") == "driver":
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        left = lingering(child)
    elif status is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        left = 0
    else:
        left = lingering(child)
    if left:
        os.killpg(child, signal.SIGKILL)
    answer = {
        "status": -signal.SIGKILL if status is None else status,
        "seconds": time.monotonic() - began,
        "left": left,
    }
    return answer | ({"result": json.loads(result.read_text())} if result.exists() else {})


def become(job: dict[str, Any], result: Path) -> None:
    """Be the command; never returns."""
    status = 1
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        output = os.open(job["output"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if "call" in job:
            module, _, name = job["call"].partition(":")
            result.write_text(json.dumps(getattr(importlib.import_module(module), name)(job["with"])))
        else:
            sys.argv = ["openalign", *job["arguments"]]
            importlib.import_module("openalign.commands.cli").main()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 70
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def wait(child: int, until: float) -> int | None:
    """The exit status of a process, minus the signal that ended it; None if it still runs at `until`."""
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def lingering(group: int) -> int:
    """How many processes of a group are still there after they had time to end."""
    until = time.monotonic() + LINGER_S
    while time.monotonic() < until:
        if not (alive := members(group)):
            return 0
        time.sleep(0.05)
    return alive


def members(group: int) -> int:
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, process_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            count += int(process_group) == group and state not in "ZX"
    return count


if __name__ == "__main__":
    serve()
