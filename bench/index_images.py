"""Images a second from a folder of JPEG files to an index of them, beside rclip and the pipeline of transformers.

    python bench/index_images.py --work WORK --rclip RCLIP/bin/python

Every way is a process of its own with the same model of the shape of ViT-B/32 at 256 pixels (`clip_model.py`; float32)
on the same files: 640 x 480 JPEGs, each made of four real photos of `--photos`. Imports and loading count, as they do
for whoever waits; `start_s` is the same process over 8 images, and `images_per_s` is of the rest.

- openalign: `openalign index`: decoded at full size, a thumbnail of each, vectors synced to the disk in batches of 64.
- rclip 3.3 (RCLIP is an environment with it): `rclip` in the folder, its own settings (batches of 8, a thread a core),
  its towers as ONNX exported from the same weights, and no download. No thumbnails; a query is part of the command.
- transformers: `pipeline("image-feature-extraction")` over the list of files, batches of 16, with CLIP's vision tower
  and projection. It stores nothing; its other settings are its own.

All vectors are compared: the lowest cosine with ours is in the results.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from clip_model import write_clip, write_rclip
from measure import show, write
from numpy.typing import NDArray
from PIL import Image, ImageOps

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / "peers"
FEW = 8
"""Images of the run that is subtracted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for models and photos, which are kept")
    parser.add_argument("--photos", type=Path, default=ROOT / "../shared/data/clothes/images.tar", help="tar of photos")
    parser.add_argument("--rclip", help="Python of an environment with rclip")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=12, help="fewer than 12: a smaller model, to try the script")
    options = parser.parse_args()
    work = options.work.resolve() / f"layers-{options.layers}"
    clip = write_clip(work / "clip", options.layers)
    folders = [paint(options.photos, work / f"photos-{count}", count) for count in (FEW, options.images)]
    ways: dict[str, Any] = {"openalign": ours, "transformers pipeline": by_transformers}
    if options.rclip:
        write_rclip(clip, work / "rclip")
        ways["rclip"] = lambda *where: by_rclip(options.rclip, *where)
    rows, vectors = [], {}
    for name, way in ways.items():
        (start_s, _), (whole_s, vectors[name]) = (way(clip, folder, work / "out") for folder in folders)
        rate = (options.images - FEW) / (whole_s - start_s)
        lowest = float((vectors[name] * vectors["openalign"]).sum(axis=1).min())
        rows.append({
            "way": name, "images": options.images, "images_per_s": round(rate, 2), "whole_s": round(whole_s, 1),
            "start_s": round(start_s, 1), "lowest_cosine": round(lowest, 5),
        })  # fmt: skip
    for row in rows:
        row["ours_is"] = round(rows[0]["images_per_s"] / row["images_per_s"], 2)
    show(f"Indexing {options.images:,} JPEG files", rows)
    print("Wrote", write("index_images", rows, layers=options.layers))


def paint(tar: Path, folder: Path, count: int) -> Path:
    """A folder of `count` JPEGs of 640 x 480, each of four photos side by side: as much detail as a photo has."""
    if len(list(folder.glob("*.jpg"))) == count:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar) as archive:
        members = [each for each in archive if each.name.endswith(".jpg")]
        files = [archive.extractfile(each) for each in members[: min(1000, 4 * count)]]
        opened = [Image.open(io.BytesIO(file.read())).convert("RGB") for file in files if file is not None]
    photos = [ImageOps.fit(photo, (320, 240)) for photo in opened]
    chance = np.random.default_rng(0)
    for number in range(count):
        whole = Image.new("RGB", (640, 480))
        for place, photo in enumerate(chance.choice(len(photos), 4, replace=False)):
            whole.paste(photos[photo], (320 * (place % 2), 240 * (place // 2)))
        whole.save(folder / f"{number:06}.jpg", quality=90)
    return folder


def ours(clip: Path, photos: Path, out: Path) -> tuple[float, NDArray[np.float32]]:
    """Seconds, and the vectors (N, D) in the order of the files' names."""
    subprocess.run(["rm", "-rf", str(out)], check=True)
    command = [sys.executable, "-m", "openalign", "index", str(photos), "--model", str(clip), "--to", str(out)]
    seconds = timed(command, photos, {"PYTHONPATH": str(ROOT)})
    from openalign.search import Index

    index = Index.open(out)
    order = np.argsort([row.image for row in index.store.rows(index.store.numbers.tolist())])
    return seconds, unit(index.vectors.astype(np.float32))[order]


def by_transformers(clip: Path, photos: Path, out: Path) -> tuple[float, NDArray[np.float32]]:
    seconds = timed([sys.executable, str(PEERS / "index_images.py"), str(clip), str(photos), f"{out}.npy"], photos, {})
    return seconds, unit(np.load(f"{out}.npy"))


def by_rclip(python: str, clip: Path, photos: Path, out: Path) -> tuple[float, NDArray[np.float32]]:
    home = clip.parent / "rclip"
    for path in home.glob("db.sqlite3*"):
        path.unlink()
    command = [str(Path(python).absolute()), "-m", "rclip", "--filepath-only", "a red apple"]
    seconds = timed(command, photos, {"RCLIP_DATADIR": str(home)})
    import sqlite3

    found = sqlite3.connect(home / "db.sqlite3").execute("SELECT vector FROM images ORDER BY filepath").fetchall()
    return seconds, unit(np.array([np.frombuffer(vector, np.float32) for (vector,) in found]))


def timed(command: Sequence[str], folder: Path, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    ended = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=600
    )
    seconds = time.perf_counter() - began
    if ended.returncode:
        raise SystemExit(f"{json.dumps(list(command))} failed:\n{ended.stderr[-2000:]}")
    return seconds


def unit(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    main()
