"""Sources that list their images themselves: tables, folders of images with texts, shards of this and other tools."""

from pathlib import Path

import pyarrow as pa

from openalign.curate.addresses import normalise
from openalign.curate.alt_text import clean_text
from openalign.curate.parquet_images import holds_images, read_parquet_images
from openalign.curate.parts import PartWriter
from openalign.curate.places import Place, beside, full_name, location_of
from openalign.data.pairs import open_pairs, read_table
from openalign.data.shards import read_index
from openalign.data.tables import table_suffix


def read_listing(part: PartWriter, path: Place, image_column: str | None, text_column: str | None) -> None:
    """Add the rows of a table to `part`: its paths are relative to its folder, unless it holds the images itself."""
    if table_suffix(path) == ".parquet" and holds_images(path, image_column):
        read_parquet_images(part, path, image_column, text_column)
        return
    table = read_table(path, image_column, text_column, problems=part.problems)
    _add_rows(part, table, path, f"{path} row")


def read_image_folder(part: PartWriter, folder: Path) -> None:
    """Add the images of a folder, with the texts of same-named .txt files or the names of class folders."""
    _add_rows(part, open_pairs(folder, need_text=False).table, folder / "any", f"{folder} image")


def read_shard(part: PartWriter, tar: Place) -> None:
    """Add the samples of one tar, named by the address or path they came from, else by the tar and their key."""
    index = read_index(tar)
    origin = next((name for name in ("image", "url") if name in index.column_names), None)
    for row in index.to_pylist():
        part.records += 1
        image = str(row.get(origin) or f"{tar}/{row['key']}")
        part.add_tag([normalise(image) or image], _text(row["text"]), None)
        part.add_stored(normalise(image) or image, f"tar://{full_name(tar)}#{row['image_offset']}+{row['image_size']}")


def _add_rows(part: PartWriter, table: pa.Table, path: Place, row_name: str) -> None:
    """Add rows whose images are named relative to where `path` lies."""
    for number, (image, text) in enumerate(zip(table["image"].to_pylist(), table["text"].to_pylist(), strict=True), 1):
        part.records += 1
        if not image:
            part.problems.append(f"{row_name} {number} names no image.")
            continue
        found = _place_of_image(path, image)
        if linked := normalise(str(found)):
            part.add_tag([linked], _text(text), None)
            continue
        part.add_tag([str(found)], _text(text), None)
        # At an address it is asked for when it is read: a question for each row takes as long as its image.
        if isinstance(found, str) or found.is_file():
            part.add_stored(str(found), location_of(found))
        else:
            part.problems.append(f"{row_name} {number}: there is no file {found}.")


def _place_of_image(path: Place, image: str) -> Place:
    """Where the image of a row lies, the table being at `path`.

    What a stranger's table names is opened only in the kind of place where the user's own table lies, and never over
    http(s), where `download` sees to it that no private address is asked: fsspec would open anything for anyone.
    """
    if normalise(image):
        return image
    if isinstance(path, str) and image.startswith(f"{path.partition('://')[0]}://"):
        return image
    return beside(path, image.removeprefix("file://"))


def _text(text: str | None) -> str | None:
    return None if text is None else clean_text(text)
