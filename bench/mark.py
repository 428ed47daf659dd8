"""Where matches end: what is shown for queries with known matches, and for things that are not there.

    python bench/mark.py demo=MODEL,DATA/heldout fashion=MODEL,fashion.csv clothes=MODEL,clothes.csv

Each set is a model and a table of images with their labels (`label`, or the demo's `objects`; several with | between).
Queries are the labels of five images or more. In each of four folds a quarter of the labels is absent: their images are
taken out of the collection, and their names asked for. Foreign queries name things of other sets.

Every method gives each query a score from which images match. The rivals know the answers: `one threshold` is the
cosine that is best of all on the same queries, once for the F1 of what is there and once with what is not there (which
counts 1 if nothing is shown, else 0); `own threshold` is the best cosine of each query by itself, which no method that
cuts a list by cosine can exceed; `top k` is the best of 5 to 100. `competition` shows an image where the query is
ahead of all unrelated captions, `spreads` where its score is so far from the middle of the query's scores; both with
the best constant. F1, and the shares, are means over queries. The same is done with images as queries, `PER_LABEL` of
each label, which are then taken out of the collection.
"""

import argparse
import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import show, write
from numpy.typing import NDArray

from openalign.model import hub
from openalign.search.mark import Asked, calibrated, captions

FOLDS = 4
FEWEST = 5
PER_LABEL = 4
FOREIGN = {
    "demo": ("sunglasses", "handbag", "wallet", "belt", "jeans", "sandals", "socks", "necktie", "earrings", "lipstick",
             "perfume", "sweater", "skirt", "scarf", "bracelet", "swimwear", "dress", "sports shoes", "nail polish"),
    "clothes": ("watch", "sunglasses", "handbag", "wallet", "perfume", "lipstick", "nail polish", "earrings",
                "backpack", "necklace", "deodorant", "tie", "bracelet", "ring", "clutch", "dog", "pizza"),
    "other": ("dog", "cat", "horse", "cow", "pig", "elephant", "lion", "penguin", "owl", "octopus", "banana", "pizza",
              "hamburger", "carrot", "pineapple", "bicycle", "rocket", "tractor", "train", "helicopter", "palm tree",
              "cactus", "sunflower", "mushroom", "guitar", "hammer", "umbrella", "football"),
}  # fmt: skip
Array = NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="NAME=MODEL,TABLE")
    parser.add_argument("--name", default="mark", help="of the file in bench/results")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for given in options.sets:
        name, model, table = re.fullmatch(r"([^=]+)=([^,]+),(.+)", given).groups()
        rows += measured(name, Embedded(name, model, Path(table)))
        show("What is shown", rows)
    print(f"Wrote {write(options.name, rows, folds=FOLDS, foreign=FOREIGN)}")


class Embedded:
    """A set's images and texts as vectors, and which images each label belongs to."""

    def __init__(self, name: str, model: str, table: Path) -> None:
        with (table / "pairs.csv" if table.is_dir() else table).open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        column = "objects" if "objects" in rows[0] else "label"
        labels = [set(row[column].split("|")) for row in rows]
        count = Counter(label for some in labels for label in some)
        self.labels = sorted(label for label in count if count[label] >= FEWEST)
        self.of_LN = np.array([[label in some for some in labels] for label in self.labels])
        folder = table if table.is_dir() else table.parent
        loaded = hub.load(model)
        self.images_ND = loaded.embed_images([folder / row["file"] for row in rows], progress=True)
        self.labels_LD = loaded.embed_texts(self.labels)
        foreign = [each for each in FOREIGN.get(name, FOREIGN["other"]) if each not in count]
        self.foreign_FD = loaded.embed_texts(foreign)
        self.captions_CD = loaded.embed_texts(captions())

    def text_queries(self, there_N: Array, present: Array, absent: Array) -> "Queries":
        """The names of labels, and things of other sets."""
        vectors = [self.labels_LD[present], self.labels_LD[absent], self.foreign_FD]
        of_QN = np.zeros((sum(map(len, vectors)), len(self.images_ND)), bool)
        of_QN[: len(present)] = self.of_LN[present]
        return Queries("text", np.concatenate(vectors), kinds(*map(len, vectors)), of_QN[:, there_N], there_N)

    def image_queries(self, there_N: Array, present: Array, absent: Array) -> "Queries":
        """Some images of each label; of a present one there are others."""
        rng = np.random.default_rng(0)
        some = [rng.permutation(np.flatnonzero(self.of_LN[label] & there_N))[:PER_LABEL] for label in present]
        asked = np.concatenate(some)
        others = [np.flatnonzero(self.of_LN[label])[:PER_LABEL] for label in absent]
        there_N = there_N.copy()
        there_N[asked] = False
        of_QN = np.concatenate(
            [
                np.stack([self.of_LN[self.of_LN[:, image]].any(axis=0) for image in asked]),
                np.zeros((sum(map(len, others)), len(self.images_ND)), bool),
            ]
        )
        vectors_QD = self.images_ND[np.concatenate([asked, *others])]
        return Queries("image", vectors_QD, kinds(len(asked), len(of_QN) - len(asked), 0), of_QN[:, there_N], there_N)

    def folds(self) -> Iterator[tuple[Array, Array, Array]]:
        """Of each fold: the images that are there, the labels that are, and those that are not."""
        order = np.random.default_rng(0).permutation(len(self.labels))
        for number in range(FOLDS):
            absent = order[number::FOLDS]
            there_N = ~self.of_LN[absent].any(axis=0)
            present = [label for label in np.setdiff1d(order, absent) if (self.of_LN[label] & there_N).sum() >= 3]
            yield there_N, np.array(present), absent


def kinds(*counts: int) -> Array:
    """The kind of each query."""
    return np.repeat(["present", "absent", "foreign"], counts)


@dataclass
class Queries:
    """Queries of one fold, what they are, and which of the images that are there they are after."""

    asked: Asked
    vectors_QD: Array
    kinds_Q: Array
    of_QN: Array
    there_N: Array


class Fold:
    """Scores of a fold's queries, by three measures, and the levels of the mark."""

    def __init__(self, data: Embedded, queries: Queries) -> None:
        images_ND, queries_QD = data.images_ND[queries.there_N], queries.vectors_QD
        self.kinds_Q, self.of_QN = queries.kinds_Q, queries.of_QN
        self.cosine_QN = queries_QD @ images_ND.T
        self.competition_QN = self.cosine_QN - (data.captions_CD @ images_ND.T).max(axis=0)
        middle_Q1 = np.median(self.cosine_QN, axis=1, keepdims=True)
        away_Q1 = np.median(np.abs(self.cosine_QN - middle_Q1), axis=1, keepdims=True)
        self.spreads_QN = (self.cosine_QN - middle_Q1) / away_Q1
        made = calibrated(images_ND, data.captions_CD, len(images_ND))
        assert made is not None
        best_QN = -np.sort(-self.cosine_QN, axis=1)
        pairs = list(zip(queries_QD, best_QN[:, :5].tolist(), strict=True))
        self.mark_Q1 = np.array([[made.level(query_D, best, queries.asked)] for query_D, best in pairs])
        self.rank_QN = np.argsort(np.argsort(-self.cosine_QN, axis=1), axis=1)


def measured(name: str, data: Embedded) -> Iterator[dict[str, Any]]:
    """A row of figures for each method."""
    for asked in (data.text_queries, data.image_queries):
        folds = [Fold(data, asked(*fold)) for fold in data.folds()]
        told = {"set": name, "images": len(data.images_ND), "labels": len(data.labels)}
        yield from by_method(folds, told | {"queries": asked.__name__.partition("_")[0]})


def by_method(folds: list[Fold], told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row of figures for each method."""

    def row(method: str, shown: list[Array], constant: float | None = None) -> dict[str, Any]:
        return {**told, "method": method, "constant": constant, **figures(folds, shown)}

    def best_constant(measure: str, aim: str) -> tuple[list[Array], float]:
        scores = [getattr(fold, measure) for fold in folds]
        all_of_them = np.concatenate([each.ravel() for each in scores])
        grid = np.unique(
            np.quantile(all_of_them, np.concatenate([np.linspace(0.3, 1, 150), 1 - np.logspace(-5, -1, 100)]))
        )
        best = max(grid, key=lambda level: figures(folds, [each >= level for each in scores])[aim])
        return [each >= best for each in scores], float(best)

    yield row("mark", [fold.cosine_QN >= fold.mark_Q1 for fold in folds])
    yield row("one threshold, best F1", *best_constant("cosine_QN", "F1"))
    yield row("one threshold, best F1 with what is not there", *best_constant("cosine_QN", "F1 of all"))
    yield row("one threshold, told as often as by the mark", *as_often_told(folds))
    if told["queries"] == "text":
        yield row("competition", *best_constant("competition_QN", "F1"))
    yield row("spreads", *best_constant("spreads_QN", "F1"))
    tops = {count: [fold.rank_QN < count for fold in folds] for count in (5, 10, 20, 30, 60, 100)}
    best = max(tops, key=lambda count: figures(folds, tops[count])["F1"])
    yield row("top k", tops[best], best)
    yield row("own threshold", [own_threshold(fold) for fold in folds])


def as_often_told(folds: list[Fold]) -> tuple[list[Array], float]:
    """The lowest single threshold that tells as many absent and foreign queries as the mark does."""
    there_not = [fold.kinds_Q != "present" for fold in folds]
    tops = np.sort(np.concatenate([fold.cosine_QN[no].max(axis=1) for fold, no in zip(folds, there_not, strict=True)]))
    told = sum(int(np.isinf(fold.mark_Q1[no]).sum()) for fold, no in zip(folds, there_not, strict=True))
    level = float(np.nextafter(tops[max(told, 1) - 1], np.float32(2)))
    return [fold.cosine_QN >= level for fold in folds], level


def own_threshold(fold: Fold) -> Array:
    """What each query's best cosine shows; nothing for a query without matches."""
    shown_QN = np.zeros_like(fold.of_QN)
    for query, (scores_N, of_N) in enumerate(zip(fold.cosine_QN, fold.of_QN, strict=True)):
        if of_N.any():
            shown_QN[query] = scores_N >= max(scores_N[of_N], key=lambda level: f1(scores_N >= level, of_N))
    return shown_QN


def f1(shown_N: Array, of_N: Array) -> Array:
    """F1 along the last axis."""
    return 2 * (shown_N & of_N).sum(axis=-1) / np.maximum(shown_N.sum(axis=-1) + of_N.sum(axis=-1), 1)


def figures(folds: list[Fold], shown: list[Array]) -> dict[str, Any]:
    """What the queries of all folds see."""
    kinds_Q = np.concatenate([fold.kinds_Q for fold in folds])
    nothing_Q = np.concatenate([~each.any(axis=1) for each in shown])
    f1_Q = np.concatenate([f1(each, fold.of_QN) for each, fold in zip(shown, folds, strict=True)])
    is_there_Q, is_foreign_Q = kinds_Q == "present", kinds_Q == "foreign"
    return {
        "F1": float(f1_Q[is_there_Q].mean()),
        "F1 of all": float(np.where(is_there_Q, f1_Q, nothing_Q).mean()),
        "absent told": float(nothing_Q[kinds_Q == "absent"].mean()),
        "foreign told": float(nothing_Q[is_foreign_Q].mean()) if is_foreign_Q.any() else None,
        "falsely nothing": float(nothing_Q[is_there_Q].mean()),
    }


if __name__ == "__main__":
    main()
