"""Captions in the JSON of COCO, and in that of Karpathy's splits of COCO, Flickr8k and Flickr30k.

Sources: cocodataset.org/#format-data (captions); A. Karpathy, L. Fei-Fei, Deep Visual-Semantic Alignments, 2015, whose
`dataset_coco.json` holds for each image its file, split and sentences.
"""

from typing import Any

import pyarrow as pa

from openalign.data.left_out import Kind, Listing, listing
from openalign.data.tables.columns import TEXT_FIELDS
from openalign.data.tables.combine import as_utf8, table_of
from openalign.errors import OpenAlignError


def is_captions(content: Any) -> bool:
    """Whether the content of a JSON file has the form of COCO's captions, or of Karpathy's splits."""
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        return False
    return isinstance(content.get("annotations"), list) or any(
        isinstance(image, dict) and "sentences" in image for image in content["images"][:100]
    )


def captions_table(content: Any, where: str, problems: list[str]) -> pa.Table:
    """A row for each image: `image` (its path as the file says), `caption` (list), `split` if given, its id.

    Captions of no listed image and entries that are none are counted in `problems`; images without captions are rows.
    Raises `OpenAlignError` if there are no images, or annotations of objects only.
    """
    with listing(problems, where) as left_out:
        if isinstance(content.get("annotations"), list):
            rows = _coco(content, where, left_out)
        else:
            rows = _karpathy(content, where, left_out)
    if not rows:
        raise OpenAlignError(f"{where} lists no images")
    table = table_of(rows)
    captions = pa.array([row["caption"] for row in rows], pa.list_(pa.string()))
    return table.set_column(table.column_names.index("caption"), "caption", captions)


def _coco(content: dict[str, Any], where: str, left_out: Listing) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    namesakes: list[dict[str, Any]] = []
    shared: set[str] = set()
    for number, image in enumerate(content["images"], 1):
        name = _name(image)
        if name is None or not _is_key(image.get("id")):
            left_out.add(Kind.ROW_WITHOUT_IMAGE, f"{where} image {number} has no file name or no id, and is left out")
            continue
        row, key = {"image": name, "caption": [], "image_id": image["id"]}, str(image["id"])
        if rows.setdefault(key, row)["image"] != name:  # as in two files that were joined
            namesakes.append(row)
            shared.add(key)
    annotations = content["annotations"]
    if annotations and not any(isinstance(each, dict) and "caption" in each for each in annotations):
        raise OpenAlignError(f"{where} holds annotations without captions: give the file called captions_*.json")
    for number, annotation in enumerate(annotations, 1):
        image_id = annotation.get("image_id") if isinstance(annotation, dict) else None
        key = str(image_id) if _is_key(image_id) else ""
        if key not in rows or key in shared:
            which = (
                f"of the image id {key}, which several images have" if key in shared else "of no image that is listed"
            )
            left_out.add(Kind.CAPTION_WITHOUT_IMAGE, f"{where} annotation {number} is {which}, and is left out")
            continue
        rows[key]["caption"] += _captions(annotation.get("caption"))
    return [*rows.values(), *namesakes]


def _karpathy(content: dict[str, Any], where: str, left_out: Listing) -> list[dict[str, Any]]:
    rows = []
    for number, image in enumerate(content["images"], 1):
        name = _name(image)
        if name is None:
            left_out.add(Kind.ROW_WITHOUT_IMAGE, f"{where} image {number} has no `filename`, and is left out")
            continue
        row: dict[str, Any] = {"image": name, "caption": []}
        sentences = image.get("sentences")
        for sentence in sentences if isinstance(sentences, list) else [sentences] if sentences else []:
            row["caption"] += _captions(sentence)
        row |= {field: image[field] for field in ("split", "imgid", "cocoid") if field in image}
        rows.append(row)
    return rows


def _captions(value: Any) -> list[str | None]:
    """The captions in a text, an object with one, or a list of these, each on one line; None for what is no text."""
    if isinstance(value, list):
        return [caption for each in value for caption in _captions(each)] or [None]
    if isinstance(value, dict):
        value = next((value[field] for field in TEXT_FIELDS if field in value), None)
    return [as_utf8(" ".join(value.split())) if isinstance(value, str) else None]


def _name(image: Any) -> str | None:
    """The path of an image: `filename` below `filepath` in Karpathy's files, `file_name` or `coco_url` in COCO's."""
    if not isinstance(image, dict):
        return None
    folder = image.get("filepath")
    name = next((image[key] for key in ("file_name", "filename", "coco_url") if isinstance(image.get(key), str)), "")
    if isinstance(folder, str) and folder and name and not folder.endswith(name):
        name = f"{folder.rstrip('/')}/{name}"
    return as_utf8(name or (folder if isinstance(folder, str) else "")) or None


def _is_key(value: Any) -> bool:
    return isinstance(value, str | int)
