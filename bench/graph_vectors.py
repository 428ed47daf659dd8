"""Embeddings of 60,000 real pictures and of texts and pictures that ask for them, 640, 256 and 128 wide: for graph.py.

    python bench/graph_vectors.py DATA MODEL --to VECTORS

DATA holds the sets fashion, clothes, emoji and openstax, each with images.tar, and fashion's pairs.csv. MODEL is a run
of openalign on fashion whose image tower is 640 wide: recipes/laptop.toml with

    --set 'image_tower.channels=[48,96,256,1280]' --set steps=450 --set optimizer.warmup_steps=100

The rows are all pictures but 500 of fashion's `val`, and, up to 60,000, mirrored crops of fashion's. Those 500 and 500
titles of `val` are the queries. The narrower embeddings are linear heads on both towers, trained with the same loss.
The set `made` is no embedding but harder than one: 400 loose clusters in very many directions, where the 200 rows
nearest to a query include strangers that are nearly alike; its `text` queries lie between two clusters.
"""

import argparse
import csv
import io
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.model.align_encoder import AlignEncoder
from openalign.model.dual_encoder import DualEncoder

ROWS, QUERIES = 60_000, 500
NARROWER = (256, 128)
SETS = ("clothes", "emoji", "openstax")
HEAD_STEPS, HEAD_BATCH, HEAD_TEMPERATURE = 300, 1024, 0.07


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    with (options.data / "fashion" / "pairs.csv").open(encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    asked = spread([row["file"] for row in pairs if row["split"] == "val"], QUERIES)
    titles = spread(sorted({row["title"] for row in pairs if row["split"] == "val"}), QUERIES)
    model = hub.load(options.model)
    fashion = dict(pictures(options.data / "fashion"))
    kept = [name for name in fashion if name not in set(asked)]
    others = [data for name in SETS for _, data in pictures(options.data / name)]
    crops = [mirrored_crop(fashion[name], name) for name in spread(kept, ROWS - len(kept) - len(others))]
    rows = embedded(model, [*(fashion[name] for name in kept), *others, *crops])
    queries = {"photo": embedded(model, [fashion[name] for name in asked]), "text": model.embed_texts(titles)}
    title_of = {row["file"]: row["title"] for row in pairs if row["split"] == "train"}
    learned = [number for number, name in enumerate(kept) if name in title_of]
    texts = [title_of[kept[number]] for number in learned]
    write(options.to, 640, rows, queries)
    write_made(options.to)
    for width in NARROWER:
        heads = trained_heads(model, rows[learned], texts, width)
        write(
            options.to,
            width,
            heads.images(rows),
            {"photo": heads.images(queries["photo"]), "text": heads.texts(titles)},
        )


def write_made(folder: Path) -> None:
    chance = np.random.default_rng(0)
    scale_D = (np.arange(640) + 20.0) ** -0.6
    centres_CD = 0.8 * chance.standard_normal((400, 640)) * scale_D

    def near(centres: NDArray[np.float64]) -> NDArray[np.float32]:
        points = centres + chance.standard_normal(centres.shape) * scale_D
        return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)

    def some(count: int) -> NDArray[np.float64]:
        return centres_CD[chance.integers(len(centres_CD), size=count)]

    queries = {"photo": near(some(100)), "text": near((some(100) + some(100)) / 2)}
    write(folder, "made", near(some(ROWS)), queries)


def spread(items: list[str], count: int) -> list[str]:
    """`count` of the items at equal distances."""
    return [items[int(position)] for position in np.linspace(0, len(items) - 1, count)]


def pictures(folder: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(folder / "images.tar") as tar:
        for member in sorted((m for m in tar if m.isfile()), key=lambda member: member.name):
            yield Path(member.name).name, tar.extractfile(member).read()  # type: ignore[union-attr]


def mirrored_crop(data: bytes, name: str) -> Image.Image:
    """The mirrored picture without 4 to 15 % of each side, the same for the same name."""
    image = ImageOps.mirror(Image.open(io.BytesIO(data)).convert("RGB"))
    chance = random.Random(name)
    left, top, right, bottom = (chance.uniform(0.04, 0.15) for _ in range(4))
    return image.crop(
        (round(left * image.width), round(top * image.height),
         round((1 - right) * image.width), round((1 - bottom) * image.height))
    )  # fmt: skip


def embedded(model: DualEncoder, images: list[Any]) -> NDArray[np.float32]:
    """(N, 640), without the few pictures that cannot be read."""
    found = []
    for start in range(0, len(images), 256):
        try:
            found.append(model.embed_images(images[start : start + 256]))
        except OpenAlignError:
            for image in images[start : start + 256]:
                try:
                    found.append(model.embed_images([image]))
                except OpenAlignError as error:
                    print(f"left out: {error}")
    return np.concatenate(found)


class Heads:
    """A linear layer for each tower; what goes in and comes out has unit length."""

    def __init__(self, model: AlignEncoder, image_width: int, text_width: int, width: int) -> None:
        torch.manual_seed(0)
        self.image, self.text = nn.Linear(image_width, width), nn.Linear(text_width, width)
        self.model = model

    def images(self, rows_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return functional.normalize(self.image(torch.from_numpy(rows_ND))).numpy()

    def texts(self, texts: list[str]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return functional.normalize(self.text(torch.from_numpy(self.model.embed_texts(texts)))).numpy()


def trained_heads(model: Any, rows_ND: NDArray[np.float32], texts: list[str], width: int) -> Heads:
    """Heads of `width`, trained with the contrastive loss on pairs of embeddings."""
    images, words = torch.from_numpy(rows_ND), torch.from_numpy(model.embed_texts(texts))
    heads = Heads(model, images.shape[1], words.shape[1], width)
    parameters = [*heads.image.parameters(), *heads.text.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    order = torch.Generator().manual_seed(0)
    for step in range(HEAD_STEPS):
        chosen = torch.randint(len(texts), (HEAD_BATCH,), generator=order)
        loss = contrastive(heads.image(images[chosen]), heads.text(words[chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 99:
            print(f"{width} wide, step {step + 1}: loss {float(loss):.3f}")
    return heads


def contrastive(images_BD: Tensor, texts_BD: Tensor) -> Tensor:
    logits_BB = functional.normalize(images_BD) @ functional.normalize(texts_BD).T / HEAD_TEMPERATURE
    right_B = torch.arange(len(logits_BB))
    return functional.cross_entropy(logits_BB, right_B) + functional.cross_entropy(logits_BB.T, right_B)


def write(folder: Path, name: int | str, rows: NDArray[np.float32], queries: dict[str, NDArray[np.float32]]) -> None:
    np.savez(folder / f"{name}.npz", rows=rows.astype(np.float16), **queries)
    chance = np.random.default_rng(0)
    one, other = chance.integers(len(rows), size=(2, 20_000))
    cosines = (rows[one] * rows[other]).sum(1)
    text = queries["text"] @ rows[:5000].T
    print(f"{name}: {len(rows):,} rows; cosines of strangers {cosines.mean():.3f} +- {cosines.std():.3f}, "
          f"of titles and pictures {text.mean():.3f} +- {text.std():.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
