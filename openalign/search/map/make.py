"""Bring the map of an index up to date: lay it out, or place new images beside their neighbours on it.

Shapes: N images, D width, M new images.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.progress import say
from openalign.search.map import regions
from openalign.search.map.file import Cluster, MapContent, read_content, write_content
from openalign.search.map.layout import NEIGHBOURS, first_positions, layout
from openalign.search.map.names import Vectors, names_of
from openalign.search.map.neighbours import neighbours
from openalign.search.mark import captions

FEWEST = 10
"""Images from which on there is a map."""
MOST = 1_000_000
"""Images up to which there is one: its vectors are in memory as float32 while it is made."""
_CHANGED = 0.1
"""Part of the images that may have come or gone since the map was laid out, before it is laid out anew."""
_FIRST_STEP = 0.3
"""Of a layout that begins with the older map: people know where things are."""
_AT_ONCE = 2**24
"""Scores that are in memory while new images are placed."""
_BESIDE = 5
"""Neighbours by which a new image is placed."""
_SAME_PLACE = 0.03
"""How far from the nearest neighbour the others may lie that count, as a part of the extent of the map."""
_APART = 0.002
"""Distance at which a new image lies beside the place found for it, likewise: it must not cover another one."""


class Writer(Protocol):
    """What an index has, and where its map goes: see `store.writer.IndexWriter`."""

    folder: Path

    @property
    def next_map_file(self) -> str:
        """The name for the file of another map."""

    @property
    def laid(self) -> int:
        """How many images there were when the map was laid out."""

    def put_map(self, laid: int | None) -> None:
        """Take that file as the map."""

    def map_bytes(self) -> bytes | None:
        """What the file of the map holds."""

    def ids(self) -> NDArray[np.int64]:
        """The ids of all images, in the order of their rows."""

    def shown_texts(self) -> dict[int, str | None]:
        """The texts of all images by their ids."""

    def sample(self, count: int) -> NDArray[np.float16]:
        """The vectors of up to `count` images, in the order of their rows."""

    def vectors(self, ids_N: NDArray[np.int64]) -> NDArray[np.float16]:
        """The vectors (N, D) of the images with these ids."""

    def pieces(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """The vectors (P, D) of all images, some at once, with the ids (P,) of their images; -1 for a deleted row."""


def bring_map_up_to_date(writer: Writer, embed_captions: Callable[[], Vectors], *, anew: bool) -> None:
    """Make the map of an index fit its images; with `anew`, lay it out wholly and as if there had been none.

    While at most a tenth of the images has come or gone since it was laid out, new ones are placed beside their
    neighbours, and all else stays where it is.

    Args:
        embed_captions: the vectors of `mark.captions`, for clusters of images without texts; raises OpenAlignError if
            the model cannot be loaded.
    """
    ids = writer.ids()
    if not FEWEST <= len(ids) <= MOST:
        if len(ids) > MOST:
            say(f"There is no map of more than {MOST:,} images")
        writer.put_map(None)
        return
    before = None if anew else _read(writer)
    if before is not None and np.array_equal(before.ids_N, np.sort(ids)):
        return
    order = np.argsort(ids)
    if before is not None:
        placed = _with_new(before, ids[order], writer)
        laid = writer.laid
        here = int(placed.laid_N.sum())
        if len(ids) - here + laid - here <= _CHANGED * laid:
            _write(writer, placed.counted(), laid)
            return
        before = placed
    vectors_ND = torch.from_numpy(_in_order(writer.sample(len(ids)), order)).float()
    vectors_ND.div_(vectors_ND.norm(dim=1, keepdim=True).clamp_(min=1e-12))
    texts = writer.shown_texts()
    content = _laid_out(ids[order], vectors_ND, before)
    named = _named(content, [texts[each] for each in ids[order].tolist()], vectors_ND.numpy(), embed_captions)
    _write(writer, named, len(ids))


def _in_order(stored_ND: NDArray[np.float16], order: NDArray[np.int64]) -> NDArray[np.float16]:
    """Mostly they are in order already, which saves a copy."""
    return stored_ND if np.array_equal(order, np.arange(len(order))) else stored_ND[order]


def _read(writer: Writer) -> MapContent | None:
    try:
        data = writer.map_bytes()
    except OpenAlignError as error:
        say(f"The map is made again: {error}")
        return None
    return None if data is None else read_content(data)


def _write(writer: Writer, content: MapContent, laid: int) -> None:
    with whole_file(writer.folder / writer.next_map_file) as partial:
        write_content(content, partial)
    writer.put_map(laid)


def _laid_out(ids_N: NDArray[np.int64], vectors_ND: Tensor, before: MapContent | None) -> MapContent:
    found = neighbours(vectors_ND, min(NEIGHBOURS, len(ids_N) - 1))
    if before is None:
        at = layout(*found, first_positions(vectors_ND))
    else:
        at = layout(*found, torch.from_numpy(before.at_N2), first_step=_FIRST_STEP)
    at_N2 = at.numpy()
    cluster_N, parents = regions.clusters(at_N2)
    unnamed = tuple(Cluster("", int(parent), 0.0, 0.0, 0) for parent in parents)
    return MapContent(ids_N, at_N2, cluster_N.astype(np.int32), np.ones(len(ids_N), bool), unnamed).counted()


def _named(
    content: MapContent,
    texts: list[str | None],
    vectors_ND: Vectors,
    embed_captions: Callable[[], Vectors],
) -> MapContent:
    """With names and middles of the clusters; a middle is the image nearest to the mean, so that it is not a void."""
    members = [np.flatnonzero(content.inside(number)) for number in range(len(content.clusters))]
    names = names_of(members, texts, vectors_ND, captions(), embed_captions)
    clusters = []
    for cluster, rows, name in zip(content.clusters, members, names, strict=True):
        at = content.at_N2[rows]
        x, y = at[int(((at - np.median(at, axis=0)) ** 2).sum(1).argmin())].tolist()
        clusters.append(replace(cluster, name=name, x=round(x, 4), y=round(y, 4)))
    return replace(content, clusters=tuple(clusters))


def _with_new(before: MapContent, ids_N: NDArray[np.int64], writer: Writer) -> MapContent:
    """The map of `ids_N`, sorted, of which those that it does not have lie beside the neighbours that it has."""
    before = before.only(np.isin(before.ids_N, ids_N))
    known_N = np.isin(ids_N, before.ids_N)
    at_N2, cluster_N = np.zeros((len(ids_N), 2), np.float32), np.full(len(ids_N), -1, np.int32)
    laid_N = np.zeros(len(ids_N), bool)
    at_N2[known_N], cluster_N[known_N], laid_N[known_N] = before.at_N2, before.cluster_N, before.laid_N
    new = np.flatnonzero(~known_N)
    if len(new) and len(before.ids_N):
        count = min(_BESIDE, len(before.ids_N))
        new_MD = torch.from_numpy(writer.vectors(ids_N[new])).float()
        near_MK = _nearest_known(new_MD, writer.pieces(), ids_N, known_N, count)
        extent = float(np.ptp(before.at_N2, axis=0).max())
        at_N2[new] = _beside(at_N2[near_MK], ids_N[new], extent)
        cluster_N[new] = cluster_N[near_MK[:, 0]]
    return replace(before, ids_N=ids_N, at_N2=at_N2, cluster_N=cluster_N, laid_N=laid_N)


def _nearest_known(
    new_MD: Tensor,
    pieces: Iterable[tuple[NDArray[np.int64], NDArray[np.float16]]],
    ids_N: NDArray[np.int64],
    known_N: NDArray[np.bool_],
    count: int,
) -> NDArray[np.int64]:
    """The places in `ids_N` (M, count) of the known images most similar to each new one, best first.

    Stored vectors have unit length to three digits. Float32 is made of few of them at a time.
    """
    best_MK, places_MK = torch.full((len(new_MD), count), -2.0), torch.zeros((len(new_MD), count), dtype=torch.long)
    step = max(256, min(8192, _AT_ONCE // len(new_MD)))
    for ids_P, vectors_PD in pieces:
        for start in range(0, len(ids_P), step):
            places_P = np.searchsorted(ids_N, ids_P[start : start + step]).clip(max=len(ids_N) - 1)
            is_known_P = (ids_N[places_P] == ids_P[start : start + step]) & known_N[places_P]
            scores_MP = new_MD @ torch.from_numpy(np.array(vectors_PD[start : start + step])).float().T
            scores_MP[:, torch.from_numpy(~is_known_P)] = -2.0
            scores, found = scores_MP.topk(min(count, len(places_P)), dim=1)
            best_MK, kept = torch.cat([best_MK, scores], dim=1).topk(count, dim=1)
            places_MK = torch.cat([places_MK, torch.from_numpy(places_P)[found]], dim=1).gather(1, kept)
    nearest: NDArray[np.int64] = places_MK.numpy()
    return nearest


def _beside(near_MK2: NDArray[np.float32], ids_M: NDArray[np.int64], extent: float) -> NDArray[np.float32]:
    """Places (M, 2) amid those of neighbours, nearest first, that lie at one place: between two there is a void."""
    away_MK = np.linalg.norm(near_MK2 - near_MK2[:, :1], axis=2)
    counts_MK1 = (away_MK <= _SAME_PLACE * extent)[:, :, None]
    angle_M = ids_M * 2.399963  # the golden angle: those that follow each other lie in all directions
    apart_M2 = _APART * extent * np.stack([np.cos(angle_M), np.sin(angle_M)], axis=1)
    places: NDArray[np.float32] = ((near_MK2 * counts_MK1).sum(1) / counts_MK1.sum(1) + apart_M2).astype(np.float32)
    return places
