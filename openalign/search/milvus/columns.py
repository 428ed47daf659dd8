"""The columns of a collection: its schema, an image as a row of it, and back."""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from openalign.embedding.columns import Embedded, Vector16
from openalign.search.milvus.address import INDEXES, Address
from openalign.search.milvus.client import VECTOR
from openalign.search.milvus.compared import compared_fields
from openalign.search.query.compose import unit
from openalign.search.query.matching import folded
from openalign.search.rows import Row
from openalign.search.store.changes import Facts, Listed, derived_from

if TYPE_CHECKING:
    from pymilvus import CollectionSchema
    from pymilvus.milvus_client import IndexParams

MOST_BYTES = 65_535
"""Of a text or a JSON object, in UTF-8: the limit of a server."""
ABSENT = 1000.0
"""Stands for a latitude or longitude that is not known, so that no comparison meets a null."""
FACTS = ("width", "height", "bytes", "date", "latitude", "longitude")
ROW_COLUMNS = ("row", "digest", "record", *FACTS)
"""The columns of which `row_of` makes a row."""
_FOUND_BY = ("find_image", "find_text", "find_page", "find_folder", "find_label")
_LONGEST_DATE = 64
_IN_MEMORY = 64 * 2**30
"""Bytes of float32 vectors up to which a new collection gets an HNSW graph, which has to fit in memory; above, DISKANN,
which keeps vectors and graph on disks."""


def schema_of(width: int, description: str) -> "CollectionSchema":
    """The columns of a collection of vectors of this width."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False, description=description)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("digest", DataType.VARCHAR, max_length=32)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=width)
    for name in ("record", *_FOUND_BY):
        schema.add_field(name, DataType.VARCHAR, max_length=MOST_BYTES)
    schema.add_field("date", DataType.VARCHAR, max_length=_LONGEST_DATE)
    for name in ("width", "height", "bytes"):
        schema.add_field(name, DataType.INT64)
    for name in ("latitude", "longitude"):
        schema.add_field(name, DataType.DOUBLE)
    schema.add_field("fields", DataType.JSON)
    # By far the largest column, of which few values are read: it need not be in memory.
    schema.add_field("thumbnail", DataType.VARCHAR, max_length=MOST_BYTES, mmap_enabled=True)
    return schema


def index_of(address: Address, width: int, images: int) -> "IndexParams":
    """The indexes of a new collection for so many images."""
    from pymilvus import MilvusClient

    kind = address.index or ("HNSW" if 4 * width * images <= _IN_MEMORY else "DISKANN")
    settings = {**INDEXES[kind], **dict(address.settings)}
    made = MilvusClient.prepare_index_params()
    made.add_index(VECTOR, index_type=kind, metric_type="IP", params=settings)
    made.add_index("digest", index_type="INVERTED")
    return made


@dataclass(frozen=True)
class Image:
    """An image without its vector: all that its row is made of."""

    digest: bytes
    facts: Facts
    names: tuple[Listed, ...]

    def derived(self) -> dict[str, Any]:
        return derived_from(self.names)


def facts_of(row: Embedded) -> Facts:
    """What is known of an embedded image from its file alone."""
    return Facts(row.width, row.height, row.bytes, row.date, row.latitude, row.longitude)


def entity_of(number: int, image: Image, vector_D: Any, thumbnail: str) -> dict[str, Any]:
    """The row of a collection."""
    facts = image.facts
    return {
        "row": number,
        "digest": image.digest.hex(),
        VECTOR: unit(np.asarray(vector_D, np.float32)),
        "width": facts.width,
        "height": facts.height,
        "bytes": facts.bytes,
        "date": facts.date or "",
        "latitude": ABSENT if facts.latitude is None else facts.latitude,
        "longitude": ABSENT if facts.longitude is None else facts.longitude,
        "thumbnail": thumbnail,
        **_columns_of(image),
    }


def fitting(image: Image) -> tuple[Image, bool]:
    """The image with as many of its names, columns and texts as a row can hold, and whether something is cut off."""
    names, is_cut = image.names, False
    while not _fits(Image(image.digest, image.facts, names)):
        is_cut = True
        first = names[0]
        if len(names) > 1:  # a picture that is used everywhere has thousands
            names = names[: len(names) // 2]
        elif first.fields:
            names = (first._replace(fields=None),)
        elif first.text:
            lines = first.text.split("\n")
            names = (first._replace(text="\n".join(lines[: len(lines) // 2]) or None),)
        else:
            names = (first._replace(page=None, label=None),)
    return Image(image.digest, image.facts, names), is_cut


def image_of(entity: dict[str, Any]) -> Image:
    """The image of a row with the columns `ROW_COLUMNS`."""
    facts = {name: entity[name] for name in FACTS}
    facts |= {name: None if facts[name] == ABSENT else facts[name] for name in ("latitude", "longitude")}
    names = tuple(
        Listed(source, name, copy, "", None, *others) for source, name, copy, *others in json.loads(entity["record"])
    )
    return Image(bytes.fromhex(entity["digest"]), Facts(**facts | {"date": facts["date"] or None}), names)


def row_of(entity: dict[str, Any]) -> Row:
    """The row with the columns `ROW_COLUMNS` as searches show it."""
    image = image_of(entity)
    derived = image.derived()
    del derived["path"]
    return Row(row=int(entity["row"]), name=derived["image"], digest=image.digest, **derived, **asdict(image.facts))


def thumbnail_text(jpeg: bytes) -> str:
    """A thumbnail as it is stored; "" if there is none, or a very long one."""
    text = base64.b64encode(jpeg).decode()
    return text if len(text) <= MOST_BYTES else ""


def _columns_of(image: Image) -> dict[str, Any]:
    """The columns that follow from the names of an image."""
    derived = image.derived()
    names = [[each.source, each.name, each.copy, each.text, each.page, each.label, each.fields] for each in image.names]
    return {
        "record": json.dumps(names, ensure_ascii=False, separators=(",", ":")),
        "find_image": folded(derived["image"]),
        "find_text": f"\n{folded(derived['text'])}\n" if derived["text"] else "",
        "find_page": folded(derived["page"] or ""),
        "find_folder": f"/{folded(derived['folder']).strip('/')}/" if derived["folder"] else "",
        "find_label": folded(derived["label"] or ""),
        "fields": compared_fields(derived["fields"]),
    }


def _fits(image: Image) -> bool:
    columns = _columns_of(image)
    texts = [json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value for value in columns.values()]
    return all(len(text.encode("utf-8", "surrogatepass")) <= MOST_BYTES for text in texts)


def vector_of(vector: Sequence[float]) -> Vector16:
    """A stored vector in the precision in which it was embedded."""
    return np.asarray(vector, np.float16)
