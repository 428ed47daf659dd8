"""A folder that holds what the documents name, small: photos, tables, a crawl, a model in number of each hub model."""

import csv
import io
import json
import shutil
from pathlib import Path

import torch
from PIL import Image
from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.data.tokenizer.wordpiece import Tokenizer
from tests.conftest import Road
from tests.curation.crawl import drawing, encoded
from tests.model.folders import clip_folder

SIGLIP = ("google/siglip-base-patch16-256", "models/siglip")
CLIP = ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K",)
"""What the documents load from the hub; a local folder of that name comes first."""
WORDS = ("red", "green", "blue", "yellow", "violet", "white")


def make_workspace(folder: Path, road: Road) -> Path:
    """Fill `folder` with what the commands of the documents read."""
    folder.mkdir()
    photos = _photos(folder, road)
    for name in ("photos.csv", "pairs.csv"):
        _table(folder / name, [(f"photos/{path.name}", text, label) for path, text, label in photos])
    for name, number in (("shoe", 0), ("beach", 3), ("apple", 1), ("pear", 2)):
        shutil.copy(photos[number][0], folder / f"{name}.jpg")
    _coco(folder / "coco", photos)
    shutil.copytree(folder / "coco", folder / "flickr30k")
    (folder / "flickr30k" / "test.csv").rename(folder / "flickr30k" / "pairs.csv")
    _crawl(folder)
    _models(folder, road)
    _markdown_sites(folder)
    for name, listed in (
        ("wnids", ["n02012849", "n03126707"]),
        ("imagenet_names", ["crane bird", "construction crane"]),
    ):
        (folder / f"{name}.json").write_text(json.dumps(listed), encoding="utf-8")
    lines = [json.dumps({"file": f"photos/{path.name}", "alt": {"en": text}}) for path, text, _ in photos]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    curate([folder / "crawl" / "crawl.warc.gz"], to=folder / "curated", recipe=CurateRecipe.of(download=False))
    shutil.copytree(folder / "curated", folder / "demo" / "curated")
    shutil.copy(road.tokenizer, folder / "demo" / "tokenizer.json")
    return folder


def _photos(folder: Path, road: Road) -> list[tuple[Path, str, str]]:
    (folder / "photos").mkdir()
    with road.table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):  # larger than the road's, so that the rules of curation keep them; all differ
        Image.open(road.table.parent / row["file"]).resize((250 + number, 230)).save(folder / "photos" / row["file"])
    return [(folder / "photos" / row["file"], row["text"], row["label"]) for row in rows]


def _table(path: Path, rows: list[tuple[str, str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "text", "split", "label", "articleType"])
        for number, (image, text, label) in enumerate(rows):
            table.writerow([image, text, "val" if number % 4 == 3 else "train", label, label])


def _coco(folder: Path, photos: list[tuple[Path, str, str]]) -> None:
    """The images and the JSON file of Karpathy's split, of which the documents make coco/test.csv; and that table."""
    (folder / "val2014").mkdir(parents=True)
    images = []
    for number, (path, text, _) in enumerate(photos):
        shutil.copy(path, folder / "val2014" / path.name)
        sentences = [{"raw": text}, {"raw": f"{text}, seen again"}]
        split = ("train", "restval", "test", "test")[number % 4]
        images.append({"filepath": "val2014", "filename": path.name, "split": split, "sentences": sentences})
    (folder / "dataset_coco.json").write_text(json.dumps({"images": images}), encoding="utf-8")
    rows = [(f"val2014/{path.name}", text, label) for path, text, label in photos]
    _table(folder / "test.csv", rows[:12])
    _table(folder / "train.csv", rows)


def _crawl(folder: Path) -> None:
    """One page with sixteen drawings that the rules keep and some tags that they drop; under three names."""
    (folder / "crawl").mkdir()
    names = [f"{number}.jpg" for number in range(16)]
    tags = [f'<img src="{name}" alt="a {WORDS[k % 6]} wall drawn as number {k}">' for k, name in enumerate(names)]
    tags += ['<img src="0.jpg">', '<img src="1.jpg" alt="wall">', '<img src="gone.jpg" alt="a picture that is gone">']
    path = folder / "crawl" / "crawl.warc.gz"
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        _add(writer, "https://site.example/", f"<title>Walls</title>{''.join(tags)}".encode(), "text/html")
        for number, name in enumerate(names):
            _add(writer, f"https://site.example/{name}", encoded(drawing(number)), "image/jpeg")
    for number in range(2):
        shutil.copy(path, folder / f"visible-0000{number}.warc.gz")


def _add(writer: WARCWriter, url: str, body: bytes, kind: str) -> None:
    http = StatusAndHeaders("200 OK", [("Content-Type", kind)], protocol="HTTP/1.1")
    record = writer.create_warc_record(url, "response", payload=io.BytesIO(body), http_headers=http)
    writer.write_record(record)


def _models(folder: Path, road: Road) -> None:
    shutil.copy(road.tokenizer, folder / "tokenizer.json")
    for name in ("mine", "other", "laptop", "adamw", "lamb"):
        shutil.copytree(road.run, folder / "runs" / name)
    shutil.copytree(road.index, folder / "photos.index")
    tokenizer = Tokenizer.load(road.tokenizer)
    for name in CLIP:
        clip_folder(folder / name, tokenizer)
    for name in SIGLIP:
        _siglip_folder(folder / name, tokenizer)


def _siglip_folder(folder: Path, tokenizer: Tokenizer) -> None:
    """An untrained SigLIP with our tokenizer."""
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    config = SiglipConfig(
        text_config={**tower, **special, "vocab_size": tokenizer.size, "max_position_embeddings": 16},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
    )
    torch.manual_seed(0)
    SiglipModel(config).eval().save_pretrained(folder)
    tokenizer.save(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def _markdown_sites(folder: Path) -> None:
    for name in ("based.cooking", "website", "tutorial"):
        (folder / name).mkdir()
        (folder / name / "index.md").write_text("![a red wall in the sun](wall.jpg)\n", encoding="utf-8")
        (folder / name / "wall.jpg").write_bytes(encoded(drawing(len(name))))
