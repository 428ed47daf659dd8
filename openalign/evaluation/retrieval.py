"""Retrieval in both directions: R@1, R@5, R@10 and median rank (paper section 5.2, Table 1).

Rows with the same image are one image and rows with the same text are one text; any partner in the data is a match. On
COCO and Flickr30K this is the usual protocol (any of five captions of an image), except that the few captions that
occur twice are one query.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rich.table import Table

from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from openalign.evaluation.protocol import EvaluateSettings, Protocol, Result, percent
from openalign.evaluation.ranking import chance_median, chance_within, ranks, share_within
from openalign.model.dual_encoder import DualEncoder, embed_pairs_images

DEPTHS = (1, 5, 10)

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


def measure(model: DualEncoder, pairs: Pairs, settings: EvaluateSettings) -> Result:
    """Embed each distinct image and each distinct text once, and rank each side by the other."""
    if pairs.table["text"].null_count:
        raise OpenAlignError(f"{pairs.name}: some rows have no text; open the data with need_text=True.")
    image_of_row, first_rows = _numbered(pairs.table["image"])
    images_ID, kept, unreadable = embed_pairs_images(model, pairs.select(first_rows), settings.batch_size)

    readable = np.isin(image_of_row, kept)
    texts, text_of_row = _distinct_texts(pairs, readable)
    if not texts:
        raise OpenAlignError(f"{pairs.name}: none of its {len(first_rows)} images could be read, e.g. {unreadable[0]}")
    image_of_row = np.searchsorted(kept, image_of_row[readable])
    matches_P2 = np.unique(np.stack([image_of_row, text_of_row], axis=1), axis=0)

    texts_TD = model.embed_texts(texts)
    to_text, text_chance = _direction(images_ID, texts_TD, matches_P2)
    to_image, image_chance = _direction(texts_TD, images_ID, matches_P2[:, ::-1])
    return Result(
        metrics={"image_to_text": to_text, "text_to_image": to_image},
        chance={"image_to_text": text_chance, "text_to_image": image_chance},
        count=int(readable.sum()),
        details={"images": len(images_ID), "texts": len(texts)},
        problems=unreadable,
    )


def _numbered(values: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """A number for each row, the same for equal values, in order of first occurrence; and the rows of these."""
    encoded = pc.dictionary_encode(values).combine_chunks()
    numbers = encoded.indices.to_numpy().astype(np.int64)
    return numbers, np.unique(numbers, return_index=True)[1].astype(np.int64)


def _distinct_texts(pairs: Pairs, rows: NDArray[np.bool_]) -> tuple[list[str], Ints]:
    numbers, first_rows = _numbered(pairs.table["text"].filter(pa.array(rows)))
    texts = pairs.table["text"].filter(pa.array(rows)).take(first_rows).to_pylist()
    return texts, numbers


def _direction(
    queries_QD: Floats, candidates_CD: Floats, matches_P2: Ints
) -> tuple[dict[str, float], dict[str, float]]:
    """The metrics of one direction, and those of a random order."""
    ranks_Q = ranks(queries_QD, candidates_CD, matches_P2)
    matches_of_query = np.bincount(matches_P2[:, 0])
    count = len(candidates_CD)
    measured = {f"R@{k}": share_within(ranks_Q, k) for k in DEPTHS} | {"median_rank": float(np.median(ranks_Q))}
    chance = {f"R@{k}": chance_within(matches_of_query, count, k) for k in DEPTHS}
    return measured, chance | {"median_rank": float(chance_median(matches_of_query, count))}


def table(report: dict[str, Any]) -> Table:
    """A table of both directions with chance."""
    shown = Table(title=f"Retrieval: {report['images']:,} images, {report['texts']:,} texts", title_justify="left")
    for heading in ("", *(f"R@{k}" for k in DEPTHS), "median rank"):
        shown.add_column(heading, justify="right" if heading else "left")
    for direction in ("image_to_text", "text_to_image"):
        for name, source in ((direction.replace("_", " "), "metrics"), ("  by chance", "chance")):
            values = report[source][direction]
            shares = (percent(values[f"R@{k}"]) for k in DEPTHS)
            shown.add_row(name, *shares, f"{values['median_rank']:,g}", style="dim" if source == "chance" else None)
    return shown


PROTOCOL = Protocol(name="retrieval", needs_text=True, measure=measure, table=table)
