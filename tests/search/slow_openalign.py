"""`openalign` with a slow model that logs its batches: `python slow_openalign.py LOG SECONDS ARGUMENTS`.

Its vectors depend on all images of a batch, more than those of real models do: an index has the same bytes only if
the same batches were made.
"""

import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import torch

from openalign.commands import cli
from openalign.data.images.read import read_image
from openalign.model import hub
from openalign.model.dual_encoder import DualEncoder
from openalign.search import build

WIDTH = 24


class SlowEncoder(DualEncoder):
    name = "slow"
    width = WIDTH
    fingerprint = "51035103"
    image_size = 1
    temperature = 0.1

    def __init__(self, log: Path, seconds: float) -> None:
        self.log = log
        self.seconds = seconds

    def prepare(self, image):
        pixels = read_image(image).mean(axis=0)
        return np.resize(pixels, WIDTH).astype(np.float32)

    def _embed_prepared(self, images):
        time.sleep(self.seconds)
        with self.log.open("a") as log:
            log.write(hashlib.sha256(images.tobytes()).hexdigest() + "\n")
        return torch.nn.functional.normalize(torch.tensor(images - 100 + images.mean(axis=0)), dim=1)

    def _embed_text_batch(self, texts):
        if texts[0].startswith("photo"):  # and not a caption that says where matches end
            time.sleep(self.seconds)
            with self.log.with_name("texts.log").open("a") as log:
                log.write(hashlib.sha256("\n".join(texts).encode()).hexdigest() + "\n")
        return torch.eye(self.width)[[len(text) % self.width for text in texts]]


if __name__ == "__main__":
    encoder = SlowEncoder(Path(sys.argv[1]), float(sys.argv[2]))
    hub.load = lambda source: encoder
    build.WATCH_S = 0.1
    sys.argv[1:3] = []
    cli.main()
