"""Which text each sample of a tar has, and which label."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from openalign.data.left_out import Kind, LeftOut
from openalign.data.shards.captions import (
    CAPTION_FIELDS,
    captions_of,
    divided,
    field_at,
    usual_field,
    valid,
    with_inner_fields,
)
from openalign.data.shards.members import TEXT_ORDER, rank
from openalign.data.shards.tar_samples import TarSample
from openalign.errors import OpenAlignError
from openalign.options import option

_COMPARED = 100
"""Samples whose text is compared with the texts in their fields."""
_MOST_LISTED = 30
_NUMBERED = re.compile(r"(\d{1,9})\.(\w+)")
_NUMBER = re.compile(r"-?\d+")
_ID = re.compile(r"n\d{8}|[\d\W_]+|[0-9a-f]{16,}", re.IGNORECASE)
"""A label that says nothing of what is in the image: a number, a WordNet id, a hash."""


@dataclass
class Texts:
    """The texts of each sample and the label, if it is named."""

    of_sample: list[list[str]]
    chosen: list[str | None]
    """The suffix of the member that each text is from; None if it is not from a member."""
    taken: str = ""
    """What most texts are taken from, a suffix or a field; "" if there are none."""
    no_such_text: str = ""
    notes: list[str] = field(default_factory=list)


def asked_texts(name: str, samples: Sequence[TarSample], column: str) -> Texts:
    """The texts that the user asked for."""
    suffix = column.lower().removeprefix(".")
    texts = Texts([], [], column)
    found = False
    for sample in samples:
        captions: list[str] | None = []
        chosen = None
        if suffix in sample.texts:
            captions, chosen, found = [" ".join(sample.texts[suffix].split())], suffix, True
        else:
            with suppress(KeyError):
                captions, found = captions_of(field_at(sample.fields, column)), True
        if captions is None:
            where = f"the field {column} of sample {sample.key}"
            raise OpenAlignError(f"{name}: {where} is an object: name a field in it, as {column}.NAME")
        texts.of_sample.append(captions)
        texts.chosen.append(chosen)
    if not found:
        texts.no_such_text = f"{name} has no texts {column!r}: its samples have {_known(samples)}"
    return texts


def _known(samples: Sequence[TarSample]) -> str:
    suffixes = dict.fromkeys(f".{suffix}" for sample in samples for suffix in sample.texts)
    fields = dict.fromkeys(valid(name) for sample in samples for name in with_inner_fields(sample.fields))
    shown = [*suffixes, *islice(fields, _MOST_LISTED), *(["..."] if len(fields) > _MOST_LISTED else [])]
    return f"the texts and fields {', '.join(shown)}" if shown else "no texts and no fields"


def found_texts(name: str, samples: Sequence[TarSample]) -> Texts:
    """The texts by the order of suffixes; where a sample has none, of the usual field of its `.json`."""
    chosen = [min(each.texts, key=lambda suffix: rank(suffix, TEXT_ORDER), default=None) for each in samples]
    alike = [numbered_alike(suffix, each.texts) for each, suffix in zip(samples, chosen, strict=True)]
    every = [[each.texts[suffix] for suffix in suffixes] for each, suffixes in zip(samples, alike, strict=True)]
    whole = ["\n".join(texts) for texts in every]
    without = [each.fields for each, text in zip(samples, whole, strict=True) if not text.strip()]
    usual = usual_field(without)
    read = divided([text for texts in every for text in texts])
    captions = iter(read.captions)
    captions_of_each = [[caption for _ in texts for caption in next(captions)] for texts in every]
    found: list[list[str]] = []
    for sample, suffix, own, text in zip(samples, chosen, captions_of_each, whole, strict=True):
        if text.strip() or (usual is None and suffix is not None):
            found.append(own)
        else:
            found.append(captions_of(sample.fields.get(usual)) or [] if usual is not None else [])
    (suffix, _), *_ = Counter(chosen).most_common(1)
    taken = usual or "" if suffix is None else f".{suffix}"
    if not any(map(str.strip, (text for each in found for text in each))):
        return Texts(found, chosen, taken, notes=_inner_texts(name, samples))
    notes = _notes(name, samples, alike, every, found if read.by_line else None, usual)
    notes += [f"{name}: {note}" for note in read.notes]
    return Texts(found, chosen, taken, notes=notes)


def _inner_texts(name: str, samples: Sequence[TarSample]) -> list[str]:
    """A note on fields of objects that are called as those of captions are, where there are no other texts."""
    counts = Counter(
        path
        for sample in samples[:_COMPARED]
        for path, value in with_inner_fields(sample.fields).items()
        if "." in path
        and path.rpartition(".")[2].lower() in CAPTION_FIELDS
        and any(map(str.strip, captions_of(value) or ()))
    )
    if not counts:
        return _folders(name, samples)
    first, listed = counts.most_common(1)[0][0], ", ".join(valid(each) for each, _ in counts.most_common(5))
    return [
        f"{name}: there are texts in objects of the .json ({listed}): {option(text_column=valid(first))} takes them"
    ]


def _folders(name: str, samples: Sequence[TarSample]) -> list[str]:
    """A note on the folders of samples that have neither texts nor labels, as those of classes have none."""
    folders = dict.fromkeys(sample.key.rpartition("/")[0] for sample in samples)
    if len(folders) < 2 or any(sample.label is not None for sample in samples):
        return []
    some = ", ".join(valid(each) or "." for each in islice(folders, 3))
    return [
        f"{name}: its images lie in {len(folders):,} folders ({some}), whose names are not read out of a tar: if they "
        "say what is to be seen, unpack it, and give the folder"
    ]


def numbered_alike(suffix: str | None, others: Iterable[str]) -> list[str]:
    """A suffix and those of the same kind of text that a number stands before: `0.txt`, `1.txt`, by number."""
    if suffix is None:
        return []
    kind = suffix.rpartition(".")[2]
    numbers = {each: int(found[1]) for each in others if (found := _NUMBERED.fullmatch(each)) and found[2] == kind}
    return [suffix, *sorted((each for each in numbers if each != suffix), key=numbers.__getitem__)]


def _notes(
    name: str,
    samples: Sequence[TarSample],
    chosen: Sequence[Sequence[str]],
    texts: Sequence[Sequence[str]],
    by_line: Sequence[Sequence[str]] | None,
    usual: str | None,
) -> list[str]:
    """Which texts were taken, where others could have been."""
    notes = []
    first = next(iter(Counter(each[0] for each in chosen if each).most_common(1)), ("", 0))[0]
    if several := [each for each in chosen if len(each) > 1]:
        some = ", ".join(f".{suffix}" for suffix in several[0][:3])
        notes.append(f"{name}: {len(several):,} images have several texts, each of which is a caption: {some}")
    if by_line is not None:
        notes.append(
            f"{name}: each line of a text is a caption, {sum(map(len, by_line)):,} of {len(samples):,} images: "
            f"{option(text_column=first)} takes each text as one"
        )
    if usual is not None:
        notes.append(f"{name}: texts are taken from the field {usual!r} of the .json where no member holds one")
    others = Counter(
        suffix for each, taken in zip(samples, chosen, strict=True) for suffix in each.texts if suffix not in taken
    )
    for sample, written in islice(zip(samples, texts, strict=True), _COMPARED):
        known = {"", *(text.strip() for text in written)}
        if len(known) > 1:
            others.update(
                field
                for field, value in sample.fields.items()
                if field.lower() in CAPTION_FIELDS and isinstance(value, str) and value.strip() not in known
            )
    if others:
        listed = ", ".join(valid(each) for each, _ in others.most_common(5))
        notes.append(f"{name}: texts are those of the .{first} members; {option('text_column')} takes others: {listed}")
    return notes


def labels_of(
    name: str, samples: Sequence[TarSample], class_names: str | None, problems: list[str]
) -> list[str | None]:
    """The label of each sample: the name of its class if the classes are named, else as in the `.cls`.

    A number that none of the names belongs to is no label: it says nothing, and would be learned as a text.
    """
    labels = [sample.label for sample in samples]
    numbers = {label for label in labels if label is not None and _NUMBER.fullmatch(label)}
    if not numbers:
        return labels
    if class_names is None:
        problems.append(f"{name}: the .cls members hold numbers, and no classnames.txt names the classes")
        return labels
    names = [line.strip() for line in class_names.splitlines()]
    named = {number: names[int(number)] for number in numbers if len(number) < 10 and 0 <= int(number) < len(names)}
    if without := [label for label in labels if label in numbers - named.keys()]:
        message = (
            f"{name}: {len(without):,} labels are not among the {len(names):,} names of classnames.txt, and are left "
            f"out, the first: {without[0]}"
        )
        problems.append(LeftOut(Kind.LABEL_WITHOUT_NAME, message, len(without)))
    return [named.get(label) if label in numbers else label for label in labels]


def are_names(labels: Sequence[str | None], class_names: str | None) -> bool:
    """Whether labels are names of classes: those of a `classnames.txt`, or words in the `.cls` themselves."""
    some = [label for label in labels if label]
    return bool(some) and (class_names is not None or not all(_ID.fullmatch(label) for label in some))


def in_words(label: str) -> str:
    """A class as a text: `hot_dog` -> `hot dog`."""
    return label if " " in label else " ".join(label.replace("_", " ").split())
