"""Images a second from URLs to shards: fetched from a server on loopback, made small, written as WebDataset tars.

    python bench/download.py IMAGES.tar --peer-python PYTHON [--images 3000]     one that has img2dataset

The server, a process of its own, holds JPEGs of 320 x 240 to 1,024 x 768 px in memory, made from those of the tar. Ours
is `openalign curate` whole: besides what the peer does, it reads robots.txt, evaluates all rules, makes
fingerprints, and writes the report. The peer is img2dataset as its documentation suggests, with as many processes as
there are cores and 64 threads, images of a shorter side of at most 400 px, JPEG quality 90. Runs alternate; medians.
"""

import argparse
import asyncio
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from multiprocessing import Process, Queue
from pathlib import Path

import numpy as np
from aiohttp import web
from measure import show, write
from PIL import Image

PASSES = 3
SIZES = ((320, 240), (400, 300), (500, 375), (640, 480), (1024, 768))
AT_ONCE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tar", type=Path)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--peer-python", required=True)
    options = parser.parse_args()
    ports: Queue[int] = Queue()
    server = Process(target=serve, args=(options.tar, ports), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ports.get(timeout=300)}"
    ways = {"openalign curate": ours, "img2dataset": peer}
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in ways}
    for _ in range(PASSES):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                table = Path(folder) / "pairs.csv"
                lines = [f"{url}/{number}.jpg,a picture of number {number}" for number in range(options.images)]
                table.write_text("\n".join(["url,text", *lines]) + "\n", encoding="utf-8")
                began = time.perf_counter()
                way(table, Path(folder) / "out", options.peer_python)
                found[name].append((time.perf_counter() - began, written(Path(folder) / "out")))
                print(f"{name}: {found[name][-1][0]:.1f} s, {found[name][-1][1]:,} images", flush=True)
    server.terminate()
    rows = []
    for name, passes in found.items():
        seconds = statistics.median(took for took, _ in passes)
        rows.append(
            {"way": name, "images": passes[0][1], "s": round(seconds, 1), "images/s": round(passes[0][1] / seconds)}
        )
    show(f"{options.images:,} images from URLs to shards", rows)
    print(f"Wrote {write('download', rows, sizes=SIZES)}")


def ours(table: Path, to: Path, python: str) -> None:
    settings = ["allow_private_hosts=true", f"fetch_at_once={AT_ONCE}", f"fetch_per_host={AT_ONCE}"]
    chosen = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "openalign", "curate", str(table), "--to", str(to), *chosen]
    subprocess.run(command, check=True, capture_output=True)


def peer(table: Path, to: Path, python: str) -> None:
    command = [
        *(str(Path(python).parent / "img2dataset"), f"--url_list={table}", f"--output_folder={to}"),
        *("--input_format=csv", "--url_col=url", "--caption_col=text", "--output_format=webdataset"),
        *(f"--processes_count={os.cpu_count()}", f"--thread_count={AT_ONCE}", "--number_sample_per_shard=1000"),
        *("--image_size=400", "--resize_mode=keep_ratio", "--resize_only_if_bigger=True", "--encode_quality=90"),
    ]
    environment = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1"}
    subprocess.run(command, check=True, capture_output=True, env=environment)


def written(folder: Path) -> int:
    count = 0
    for path in folder.rglob("*.tar"):
        with tarfile.open(path) as tar:
            count += sum(member.name.endswith(".jpg") for member in tar)
    return count


def serve(tar: Path, ports: "Queue[int]") -> None:
    """Answer any URL with one of some hundred photos."""
    photos = make_photos(tar)

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/robots.txt":
            return web.Response(text="User-agent: *\nAllow: /\n")
        number = int(request.path[1:].removesuffix(".jpg"))
        return web.Response(body=photos[number % len(photos)], content_type="image/jpeg")

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def make_photos(tar: Path, count: int = 400) -> list[bytes]:
    """Photos of the tar made large, with grain, so that a file is as large as a photo's."""
    rng = np.random.default_rng(0)
    photos = []
    with tarfile.open(tar) as opened:
        members = sorted((m for m in opened if m.name.endswith(".jpg")), key=lambda member: member.name)[:count]
        for number, member in enumerate(members):
            file = opened.extractfile(member)
            assert file is not None
            large = Image.open(io.BytesIO(file.read())).convert("RGB").resize(SIZES[number % len(SIZES)])
            grain = rng.normal(0, 6, (large.height, large.width, 1))
            noisy = np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8)
            packed = io.BytesIO()
            Image.fromarray(noisy).save(packed, "JPEG", quality=85)
            photos.append(packed.getvalue())
    return photos


if __name__ == "__main__":
    main()
