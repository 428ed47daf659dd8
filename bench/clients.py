"""Many clients that search at once for minutes: answers a second, time of an answer, errors, memory of the service.

    python bench/clients.py demo/demo.index --clients 16 --minutes 10

Starts `openalign serve INDEX` on a free port of this machine. Each client is a thread with one connection, which sends
a query as soon as the last one is answered: texts that no client has sent before (the index's own texts and other
words), every eighth one an uploaded image, every sixteenth one a thumbnail. Memory is the service's resident set
(`VmRSS`), read every five seconds; its growth is that of the second half beside the end of the first tenth, by which
time every kind of request was answered.
"""

import argparse
import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from measure import show, write

SAMPLE_S = 5.0
WORDS = (
    *("red", "blue", "old", "new", "small", "large", "wooden", "black"),
    *("white", "green", "long", "short", "striped", "plain", "round", "warm"),
)


@dataclass
class Client:
    """One client's queries and what came of them."""

    url: str
    number: int
    names: list[str]
    image: bytes
    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def run(self, until: float) -> None:
        """Send one query after another until that time (`time.monotonic`)."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        for count in itertools.count():
            if time.monotonic() >= until:
                break
            began = time.perf_counter()
            try:
                status, body = self._ask(connection, count)
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(repr(error))
                connection.close()
                continue
            if status != 200:
                self.errors.append(f"{status} {body[:200]!r}")
            self.milliseconds.append(1000 * (time.perf_counter() - began))
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, count: int) -> tuple[int, bytes]:
        if count % 16 == 15:
            connection.request("GET", "/api/thumbnails/0")
        elif count % 8 == 7:
            boundary = f"part{count}"
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
            body = head.encode() + self.image + f"\r\n--{boundary}--\r\n".encode()
            headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
            connection.request("POST", "/api/search", body, headers)
        else:
            words = (WORDS[count % 16], WORDS[count // 16 % 16], self.names[count % len(self.names)], str(self.number))
            connection.request("GET", f"/api/search?top=24&text={quote(' '.join(words))}")
        answer = connection.getresponse()
        return answer.status, answer.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--model", help="the index's model, where it is elsewhere")
    options = parser.parse_args()
    command = [sys.executable, "-u", "-m", "openalign", "serve", str(options.index), "--port", "0"]
    command += ["--model", options.model] if options.model else []
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "500"}
    service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        rows = _measured(service, _url(service), options)
    finally:
        service.send_signal(signal.SIGTERM)
        ended = service.wait(30)
    show(f"{options.clients} clients for {options.minutes:g} minutes (the service ended with {ended})", [rows])
    print(f"Wrote {write('clients', [rows])}")


def _url(service: "subprocess.Popen[str]") -> str:
    assert service.stdout is not None
    for line in service.stdout:
        if "http://" in line:
            threading.Thread(target=service.stdout.read, daemon=True).start()  # what it goes on to print
            return line[line.index("http://") :].split()[0]
    raise SystemExit("The service did not start.")


def _measured(service: "subprocess.Popen[str]", url: str, options: argparse.Namespace) -> dict[str, Any]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    info, picture = (_get(connection, path) for path in ("/api/info", "/api/thumbnails/0"))
    shown = json.loads(_get(connection, "/api/browse?count=100"))["images"]
    names = [each["text"].split("\n")[0] for each in shown if each["text"]] or ["picture"]
    began = time.monotonic()
    clients = [Client(url, number, names, picture) for number in range(options.clients)]
    threads = [threading.Thread(target=client.run, args=[began + 60 * options.minutes]) for client in clients]
    for thread in threads:
        thread.start()
    memory = []
    while any(thread.is_alive() for thread in threads):
        memory.append(_resident_mb(service.pid))
        time.sleep(SAMPLE_S)
    seconds = time.monotonic() - began
    times = np.array([each for client in clients for each in client.milliseconds])
    errors = [each for client in clients for each in client.errors]
    if errors:
        print("First errors:", *errors[:5], sep="\n")
    warm = memory[: max(2, len(memory) // 10)]
    return {
        "images": json.loads(info)["rows"], "clients": options.clients, "minutes": options.minutes,
        "answers": len(times), "errors": len(errors), "answers_per_s": round(len(times) / seconds, 1),
        "p50_ms": round(float(np.percentile(times, 50)), 1), "p99_ms": round(float(np.percentile(times, 99)), 1),
        "memory_mb_warm": round(warm[-1]), "memory_mb_end": round(float(np.median(memory[len(memory) // 2 :]))),
        "memory_mb_most": round(max(memory)),
    }  # fmt: skip


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


def _resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
