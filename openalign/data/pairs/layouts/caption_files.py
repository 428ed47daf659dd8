"""Images with texts in files of their own beside them, as trainers of image generators and img2dataset write them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.beside.fields import (
    FIELDS_SUFFIX,
    captions_of_fields,
    read_fields,
)
from openalign.data.pairs.beside.maps import without_maps
from openalign.data.pairs.beside.shared import shared_texts
from openalign.data.pairs.beside.texts import (
    TEXT_SUFFIXES,
    Beside,
    are_numbers,
    captions_in,
    read_texts,
    texts_beside,
)
from openalign.data.pairs.beside.unused import unused_json
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.folder_files import gathered, image_files, looks_like_image
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.splits import split_folders
from openalign.data.pairs.layouts.table_beside import tables_not_read
from openalign.data.pairs.listed_splits import with_listed_splits
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.combine import table_of
from openalign.errors import OpenAlignError
from openalign.options import option


class CaptionFiles:
    """Images with same-named text files. A part is the folder of a split."""

    name = "caption-files"
    title = "images with caption files"
    recognised_by = (
        "`a.txt`, `a.caption`, `a.cap` or a `caption` in `a.json` beside `a.jpg`, or in `captions/` beside `images/`"
    )

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder or not isinstance(source.at, Path):
            return None
        first = source.captions
        return None if first is None else self._finding(source, source.at, f"it holds {first}")

    def find_asked(self, source: Source) -> Finding | None:
        """What `find` gives, also where JSON files hold their captions in a field that the user names."""
        if not isinstance(source.at, Path) or not source.is_folder or not source.beside.texts:
            return None
        first = source.captions or min(file for each in source.beside.texts.values() for file in each.values())
        return self._finding(source, source.at, f"it holds {first}")

    def _finding(self, source: Source, folder: Path, why: str) -> Finding:
        beside = source.beside
        images = [image for image in source.images if image not in source.maps or image in beside.texts]
        splits = split_folders({image.rpartition("/")[0] for image in images})
        if beside.elsewhere and list(splits) == [""]:
            splits = {"": [""]}
        problems = source.outside(splits)
        if beside.elsewhere and any(splits):
            problems.append(
                f"{source.name}: {len(beside.elsewhere):,} texts lie outside the folders of the splits, the first: "
                f"{next(iter(beside.elsewhere))}: to have them read, call their folder `captions` and that of the "
                "images `images`"
            )
        alone = _alone(folder, source.files, beside, len(source.images))
        if alone:
            message = f"{source.name}: {len(alone):,} caption files have no image, the first: {alone[0]}"
            problems.append(LeftOut(Kind.CAPTION_WITHOUT_IMAGE, message, len(alone)))
        problems += tables_not_read(source)
        problems += unused_json(folder, source.name, sorted({*beside.fields_alone} - {*alone}))
        return Finding(why, source.parts(splits), problems)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        folder, files = gathered([part for part in parts if isinstance(part, Path)])
        problems: list[str] = []
        every = image_files(files, folder)
        beside = _chosen(folder, texts_beside(every, files), options)
        images = without_maps(every, name, problems, beside.texts)
        texts = _texts_of(folder, images, beside, options, problems)
        known = set(images)
        own = {file: [each for each in found if each in known] for file, found in beside.shared.items()}
        problems += shared_texts(folder, {file: found for file, found in own.items() if len(found) > 1})
        rows, captions = [], []
        for row, found in enumerate(texts.captions):
            if found is None and options.need_text:
                continue  # told already
            chosen: list[str | None] = [*(found or [])] or [None]
            rows += [row] * len(chosen)
            captions += chosen
        table = pa.table({"image": pa.array([images[row] for row in rows], pa.string())})
        table = table.append_column("text", pa.array(captions, pa.string()))
        for column in texts.fields.column_names:
            if column not in ("image", "text"):
                table = table.append_column(column, texts.fields[column].take(pa.array(rows, pa.int64())))
        pairs = Pairs.of(name, table, FileImages(folder, table["image"]), problems)
        taken = {"image": "path", "text": texts.taken}
        return with_listed_splits(name, replace(pairs, source_rows=np.array(rows, np.int64), columns=taken))


def _chosen(folder: Path, beside: Beside, options: ReadOptions) -> Beside:
    """The text files without those that hold numbers, where an image has two: `labels/` beside `captions/`.

    Raises `OpenAlignError` if both hold texts, and texts are needed.
    """
    if not beside.seconds:
        return beside
    seconds = read_texts(folder, list(beside.seconds.values()), [])
    if are_numbers(text for text in seconds.values() if text):
        return beside
    pairs = [(image, suffix) for image, found in beside.texts.items() for suffix in found if image in beside.seconds]
    firsts = read_texts(folder, [beside.texts[image][suffix] for image, suffix in pairs], [])
    if are_numbers(text for text in firsts.values() if text):
        changed = {image: {Path(file).suffix.lower(): file} for image, file in beside.seconds.items()}
        return replace(beside, texts={**beside.texts, **changed})
    if options.need_text:
        image, second = next(iter(beside.seconds.items()))
        first = next(iter(beside.texts[image].values()))
        raise OpenAlignError(
            f"{folder / image} has two texts, in {first} and in {second} ({len(beside.seconds):,} images have): move "
            "those away that are not meant"
        )
    return beside


@dataclass(frozen=True)
class _Texts:
    captions: list[list[str] | None]
    """Those of each image; None if its text file cannot be read."""
    fields: pa.Table
    """The fields of the JSON file of each image, if there are any."""
    taken: str


def _texts_of(folder: Path, images: Sequence[str], beside: Beside, options: ReadOptions, problems: list[str]) -> _Texts:
    wanted = options.text_column
    suffix = next((each for each in TEXT_SUFFIXES if wanted and wanted.lower().lstrip(".") == each[1:]), None)
    suffixes = TEXT_SUFFIXES if wanted is None else (suffix,) if suffix else ()
    captions: dict[str, list[str] | None] = {}
    taken: dict[str, None] = {}
    for each in suffixes:
        found = {
            image: [texts[each], *beside.further.get(image, {}).get(each, ())]
            for image, texts in beside.texts.items()
            if each in texts
        }
        texts = _captions_of_files(folder, found, each, problems)
        _check_alike(folder, captions, texts, each, options)
        captions = texts | captions
        taken |= {f"the {each} file beside each image": None} if texts else {}
    objects = read_fields(
        folder, [each[FIELDS_SUFFIX] for each in beside.texts.values() if FIELDS_SUFFIX in each], problems
    )
    fields = [objects.get(beside.texts.get(image, {}).get(FIELDS_SUFFIX, ""), {}) for image in images]
    without = {image for image in images if not any(map(str.strip, captions.get(image) or ()))}
    if (wanted is not None and suffix is None) or without:
        from_fields, field = captions_of_fields(fields, None if suffix else wanted)
        if field is not None and suffix is None:
            for image, in_field in zip(images, from_fields, strict=True):
                if in_field and image in without:
                    captions[image] = in_field
            taken |= {f"{field} in the .json file beside each image": None}
    problems += _other_captions(folder, images, captions, fields) if wanted is None else []
    table = table_of(fields) if objects else pa.table({})
    return _Texts([captions.get(image, []) for image in images], table, ", else ".join(taken))


def _other_captions(
    folder: Path, images: Sequence[str], captions: dict[str, list[str] | None], fields: Sequence[dict[str, Any]]
) -> list[str]:
    """A note on texts in JSON files that differ from those which were taken, and could be taken instead."""
    found, field = captions_of_fields(fields, None)
    differing = [
        image
        for image, texts in zip(images, found, strict=True)
        if texts and any(map(str.strip, captions.get(image) or ())) and not set(texts) <= set(captions[image] or ())
    ]
    if not differing:
        return []
    return [
        f"{folder}: {len(differing):,} images have another text in the field {field!r} of their JSON files, the first: "
        f"{differing[0]}: {option(text_column=field)} takes these"
    ]


def _captions_of_files(
    folder: Path, files: dict[str, list[str]], suffix: str, problems: list[str]
) -> dict[str, list[str] | None]:
    """The captions in the text files of each image; None if none of them can be read."""
    every = [file for each in files.values() for file in each]
    texts = read_texts(folder, every, problems)
    found, read_as = captions_in([texts[file] for file in every])
    problems += [f"{folder}: {suffix} files: {note}" for note in read_as.notes]
    if read_as.by_line:
        problems.append(
            f"{folder}: each line of a {suffix} file is read as a caption, since most files have several lines"
        )
    if several := [image for image, each in files.items() if len(each) > 1]:
        first = ", ".join(files[several[0]])
        problems.append(f"{folder}: {len(several):,} images have several {suffix} files, the first: {first}")
    captions_of = dict(zip(every, found, strict=True))
    read = {image: [captions for file in each if (captions := captions_of[file])] for image, each in files.items()}
    return {
        image: None
        if not found and any(texts[file] is None for file in files[image])
        else [text for each in found for text in each]
        for image, found in read.items()
    }


def _check_alike(folder: Path, one: dict[str, Any], other: dict[str, Any], suffix: str, options: ReadOptions) -> None:
    """Raise `OpenAlignError` if an image has two different texts, of which no one has said which is meant."""
    if not options.need_text:
        return
    differing = [image for image in other if one.get(image) and other[image] and one[image] != other[image]]
    if differing:
        raise OpenAlignError(
            f"{folder / differing[0]} has two texts, one of them in a {suffix} file ({len(differing):,} images have): "
            f"choose by the suffix, with {option(text_column=suffix[1:])} or another (the setting `text_column`)"
        )


def _alone(folder: Path, files: Sequence[str], beside: Beside, images: int) -> list[str]:
    """The caption files without an image, also without one of a format that is not read, which is counted itself."""
    looking = [file for file in files if looks_like_image(file)]
    alone = beside if len(looking) == images else texts_beside(looking, files)
    folders = {texts[FIELDS_SUFFIX].rpartition("/")[0] for texts in beside.texts.values() if FIELDS_SUFFIX in texts}
    fields = read_fields(folder, [each for each in alone.fields_alone if _could_be_of_an_image(each, folders)], [])
    captions, _ = captions_of_fields(list(fields.values()), None)
    return sorted([*alone.alone, *(file for file, found in zip(fields, captions, strict=True) if found)])


def _could_be_of_an_image(file: str, folders: set[str]) -> bool:
    """Whether a JSON file lies in one of `folders`, and is not about the folder, as `metadata.json` of an album is."""
    folder, _, name = file.rpartition("/")
    return folder in folders and name.lower() != "metadata.json"
