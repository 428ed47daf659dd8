"""Seconds to add 20 images to an index, to open it and answer, and the memory of that; beside an older checkout.

    python bench/index_growth.py --images 100000 --before ../older-checkout

The images are tiny and the vectors random, since neither decoding nor a model is what is measured: the "model" takes
no time. Each step is a process of its own, and importing libraries does not count. `--before` is a checkout whose
`Index.build` writes the index anew. With `--images 1000000` disk space of about 12 GB is needed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ADDED = 20
WIDTH = 640


def main() -> None:
    from measure import show, write

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--before", type=Path, help="another checkout to compare with")
    options = parser.parse_args()
    ours = Path(__file__).parents[1]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, checkout in {"before": options.before, "now": ours}.items():
            if checkout is not None:
                rows.append(
                    {"checkout": name, "images": options.images, **_measured(checkout, Path(folder) / name, options)}
                )
    show(f"Adding {ADDED} images to an index of {options.images:,}", rows)
    print(f"Wrote {write('index_growth', rows, added=ADDED, width=WIDTH)}")


def _measured(checkout: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    photos, to = folder / "photos", folder / "i"
    _step(checkout, "paint", photos, 0, options.images)
    built = _step(checkout, "build", photos, to)
    again = _step(checkout, "build", photos, to)
    _step(checkout, "paint", photos, options.images, ADDED)
    added = _step(checkout, "build", photos, to)
    opened = _step(checkout, "open", to)
    bytes_ = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
    return {
        "build_s": built["seconds"], "nothing_new_s": again["seconds"], "added_s": added["seconds"],
        "first_answer_s": opened["seconds"], "opened_mb": opened["mb"], "index_mb": round(bytes_ / 1e6),
    }  # fmt: skip


def _step(checkout: Path, *arguments: object) -> dict[str, Any]:
    """What a step in a process of its own prints."""
    command = [sys.executable, __file__, "--step", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def step(name: str, *arguments: str) -> dict[str, Any]:
    """One step: `paint FOLDER FIRST COUNT`, `build FOLDER INDEX` or `open INDEX`."""
    if name == "paint":
        return _paint(Path(arguments[0]), int(arguments[1]), int(arguments[2]))
    import numpy as np
    import torch

    import openalign.model.hub  # noqa: F401 - loaded when a model is needed
    from openalign.model.dual_encoder import DualEncoder
    from openalign.search import Index

    class NoModel(DualEncoder):  # type: ignore[misc]
        """Gives an image a random vector that depends on its pixels."""

        name, fingerprint, width, image_size, temperature = "none", "00", WIDTH, 1, 0.1

        def prepare(self, image: Any) -> Any:
            return np.asarray(image)[:1, :3].ravel()[:9].astype(np.float32)

        def _embed_prepared(self, images: Any) -> Any:
            drawn = [np.random.default_rng(image.astype(int).tolist()).standard_normal(WIDTH) for image in images]
            return torch.nn.functional.normalize(torch.tensor(np.array(drawn, np.float32)), dim=1)

        def _embed_text_batch(self, texts: Any) -> Any:
            drawn = np.random.default_rng(0).standard_normal((len(texts), WIDTH))
            return torch.nn.functional.normalize(torch.tensor(drawn.astype(np.float32)), dim=1)

    before = _memory_mb("VmRSS")
    began = time.perf_counter()
    if name == "build":
        Index.build([arguments[0]], model=NoModel(), to=arguments[1])
    else:
        Index.open(arguments[0], NoModel()).search(row=5, top=10)
    return {"seconds": round(time.perf_counter() - began, 2), "mb": round(_memory_mb("VmHWM") - before)}


def _paint(folder: Path, first: int, count: int) -> dict[str, Any]:
    """Tiny images of random pixels, from long ago."""
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        pixels = np.random.default_rng(number).integers(0, 255, (4, 4, 3), np.uint8)
        # The added ones are spread over the folder.
        name = f"{number:07}.png" if not first else f"{(number - first) * first // count:07}a.png"
        Image.fromarray(pixels).save(folder / name, compress_level=1)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    return {}


def _memory_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        print(json.dumps(step(*sys.argv[2:])))
    else:
        main()
