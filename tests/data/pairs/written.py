"""Small data sets of images whose captions name their colour, written in every layout that is read.

A writer takes samples and a folder that does not exist yet, and returns what to give as DATA. `WRITERS` has some for
each layout of the registry, by its name.
"""

import base64
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from openalign.data.images.decode import decode
from openalign.data.shards.writer import ShardWriter

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "white": (250, 250, 250)}


@dataclass(frozen=True)
class Sample:
    """An image and its caption, of which one may be missing; never both."""

    number: int
    colour: str
    has_image: bool = True
    has_text: bool = True

    @property
    def is_whole(self) -> bool:
        return self.has_image and self.has_text

    @property
    def name(self) -> str:
        return f"{self.number:04}"

    @property
    def caption(self) -> str:
        return f"a {self.colour} thing, number {self.number}" if self.has_text else ""

    @property
    def image(self) -> bytes | None:
        """A PNG of one colour, whose corner differs from image to image."""
        if not self.has_image:
            return None
        pixels = np.full((8, 8, 3), COLOURS[self.colour], np.uint8)
        pixels[0, 0] = (self.number % 256, self.number // 256, 0)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "PNG")
        return encoded.getvalue()


Writer = Callable[[Sequence[Sample], Path], Path]


def colour_of(image: bytes) -> str:
    """The name of the colour of an image."""
    middle = decode(image)[4, 4].astype(int)
    return min(COLOURS, key=lambda name: int(np.abs(middle - np.array(COLOURS[name])).sum()))


def put(path: Path, content: bytes | str | None) -> None:
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def images_in(folder: Path, samples: Iterable[Sample]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        put(folder / f"{sample.name}.png", sample.image)


def named(samples: Sequence[Sample], prefix: str = "", column: str = "image") -> list[dict[str, str]]:
    return [{column: f"{prefix}{each.name}.png", "text": each.caption} for each in samples]


def held(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [{"text": each.caption or None, "image": {"bytes": each.image, "path": None}} for each in samples]


HELD = pa.schema({"text": pa.string(), "image": pa.struct({"bytes": pa.binary(), "path": pa.string()})})


def write_rows(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """Rows of texts, in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".jsonl":
        put(path, "".join(json.dumps(row) + "\n" for row in rows))
    else:
        between = "\t" if path.suffix == ".tsv" else ","
        lines = [list(rows[0]), *(row.values() for row in rows)]
        put(path, "".join(between.join(f'"{cell}"' for cell in line) + "\n" for line in lines))
    return path


def tar_of(samples: Sequence[Sample], path: Path, text_suffix: str = "txt") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for sample in samples:
            for suffix, content in (("png", sample.image), (text_suffix, sample.caption.encode() or None)):
                if content is not None:
                    member = tarfile.TarInfo(f"{sample.name}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return path


def one_tar(samples: Sequence[Sample], to: Path) -> Path:
    return tar_of(samples, to / "00000.tar")


def tars_below(samples: Sequence[Sample], to: Path) -> Path:
    for number in range(2):
        if samples[number::2]:
            tar_of(samples[number::2], to / "train" / f"{number:05}.tar")
    return to


def curated_shards(samples: Sequence[Sample], to: Path) -> Path:
    with ShardWriter(to / "shards", 3) as writer:
        for sample in samples:
            writer.write(sample.name, sample.image or b"", sample.caption, {"image": f"http://a.test/{sample.name}"})
    return to


def table(name: str) -> Writer:
    def write(samples: Sequence[Sample], to: Path) -> Path:
        images_in(to / "pictures", samples)
        rows = [
            row if each.has_image else row | {"image": ""}
            for row, each in zip(named(samples, "pictures/"), samples, strict=True)
        ]
        return write_rows(rows, to / name)

    return write


def base64_table(samples: Sequence[Sample], to: Path) -> Path:
    rows = [
        {
            "image": f"data:image/png;base64,{base64.b64encode(each.image or b'').decode()}" if each.image else "",
            "text": each.caption,
        }
        for each in samples
    ]
    return write_rows(rows, to / "rows.jsonl")


def pairs_folder(samples: Sequence[Sample], to: Path) -> Path:
    table("pairs.csv")(samples, to)
    return to


def metadata(name: str, folder: str = "") -> Writer:
    def write(samples: Sequence[Sample], to: Path) -> Path:
        images_in(to / folder, samples)
        write_rows(named(samples, column="file_name"), to / folder / name)
        return to

    return write


def metadata_above(samples: Sequence[Sample], to: Path) -> Path:
    images_in(to / "train", samples)
    write_rows(named(samples, "train/", "file_name"), to / "metadata.jsonl")
    return to


def saved_dataset(samples: Sequence[Sample], to: Path) -> Path:
    to.mkdir(parents=True)
    with pa.OSFile(str(to / "data-00000-of-00001.arrow"), "wb") as file, pa.ipc.new_stream(file, HELD) as stream:
        stream.write_table(pa.Table.from_pylist(held(samples), HELD))
    put(to / "state.json", json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    put(to / "dataset_info.json", "{}")
    return to


def parquet_parts(samples: Sequence[Sample], to: Path) -> Path:
    (to / "data").mkdir(parents=True)
    for number in range(2):
        part = pa.Table.from_pylist(held(samples[number::2]), HELD)
        if len(part):
            pq.write_table(part, to / "data" / f"part-{number}.parquet", row_group_size=2)
    return to


def parquet_partitions(samples: Sequence[Sample], to: Path) -> Path:
    for colour in {sample.colour for sample in samples}:
        part = pa.Table.from_pylist(held([each for each in samples if each.colour == colour]), HELD)
        (to / f"colour={colour}").mkdir(parents=True)
        pq.write_table(part, to / f"colour={colour}" / "part-00000.snappy.parquet")
    return to


def table_beside(name: str, folder: str, prefix: str = "") -> Writer:
    def write(samples: Sequence[Sample], to: Path) -> Path:
        images_in(to / folder, samples)
        write_rows(named(samples, prefix), to / name)
        return to

    return write


def two_tables(images: str, texts: str) -> Writer:
    """A table of images and one of their texts, with a key in both."""

    def write(samples: Sequence[Sample], to: Path) -> Path:
        images_in(to / "files", samples)
        keys = {each.number: f"key {each.number}" for each in samples}
        write_rows([{"key": keys[each.number], "file": f"files/{each.name}.png"} for each in samples], to / images)
        write_rows([{"text": each.caption, "key": keys[each.number]} for each in reversed(samples)], to / texts)
        return to

    return write


def caption_files(suffix: str, images: str = "", texts: str = "") -> Writer:
    def write(samples: Sequence[Sample], to: Path) -> Path:
        images_in(to / images, samples)
        for each in samples:
            content = json.dumps({"caption": each.caption, "n": each.number}) if suffix == "json" else each.caption
            put(to / texts / f"{each.name}.{suffix}", content if each.has_text else None)
        return to

    return write


def class_folders(samples: Sequence[Sample], to: Path) -> Path:
    for each in samples:
        put(to / "images" / each.colour / f"{each.name}.png", each.image)
    return to


def bare_images(samples: Sequence[Sample], to: Path) -> Path:
    images_in(to / "album", samples)
    return to


def coco(samples: Sequence[Sample], to: Path) -> Path:
    images_in(to / "val2017", samples)
    images = [{"id": each.number, "file_name": f"{each.name}.png"} for each in samples]
    annotations = [{"id": 1, "image_id": each.number, "caption": each.caption} for each in samples if each.has_text]
    content = {"info": {}, "images": images, "annotations": annotations}
    put(to / "annotations" / "captions_val2017.json", json.dumps(content))
    put(to / "annotations" / "instances_val2017.json", json.dumps(content | {"annotations": [{"bbox": [1, 2, 3, 4]}]}))
    return to


def karpathy(samples: Sequence[Sample], to: Path) -> Path:
    images_in(to / "images", samples)
    images = [
        {
            "filename": f"{each.name}.png",
            "split": "train",
            "sentences": [{"raw": each.caption}] if each.has_text else [],
        }
        for each in samples
    ]
    put(to / "dataset_some.json", json.dumps({"images": images, "dataset": "some"}))
    return to / "dataset_some.json"


WRITERS: dict[str, list[Writer]] = {
    "webdataset": [one_tar, tars_below, curated_shards],
    "coco": [coco, karpathy],
    "table": [*map(table, ("rows.csv", "rows.tsv", "rows.jsonl", "rows.parquet")), base64_table, pairs_folder],
    "metadata": [
        *map(metadata, ("metadata.csv", "metadata.jsonl", "metadata.parquet")),
        metadata("metadata.jsonl", "train"),
        metadata_above,
    ],
    "saved-dataset": [saved_dataset],
    "parquet": [parquet_parts, parquet_partitions],
    "table-beside": [
        table_beside("captions.csv", "Images"),
        table_beside("list.jsonl", "", "./"),
        table_beside("notes/list.tsv", "img/deep", "/home/someone/deep/"),
        table_beside("any.parquet", "images", "images/"),
        two_tables("files.csv", "texts.csv"),
        two_tables("a.parquet", "b.jsonl"),
    ],
    "caption-files": [
        *map(caption_files, ("txt", "caption", "cap", "json")),
        caption_files("txt", "10_subject", "10_subject"),
        caption_files("txt", "images", "captions"),
    ],
    "class-folders": [class_folders],
    "images": [bare_images],
}
