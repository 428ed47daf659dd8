"""The index of embedded images: build it, open it, search it by texts, images or both."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from openalign.data.images.read import ImageInput
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder
from openalign.model.given import given_model
from openalign.progress import say
from openalign.search.map import OpenedMap
from openalign.search.map.table import write_table
from openalign.search.options import IndexOptions
from openalign.search.originals import Originals
from openalign.search.query.language import query_of
from openalign.search.query.terms import Query
from openalign.search.results.answer import How, answer
from openalign.search.results.hits import Hits
from openalign.search.results.listing import Listing, listing
from openalign.search.results.query_vector import model_for, own_model, vector_of
from openalign.search.results.saved import SavedQueries
from openalign.search.rows import Row
from openalign.search.store.any_store import AnyStore
from openalign.search.stores import bring_up_to_date, open_store


class Index:
    """Images that can be searched by their contents. Safe to use from many threads."""

    def __init__(self, store: AnyStore, model: DualEncoder | None = None) -> None:
        self.store = store
        self._originals = Originals(store)
        if model is not None:
            self.model = model

    @classmethod
    def build(
        cls,
        paths: str | Path | Sequence[str | Path],
        *,
        model: str | Path | DualEncoder | None = None,
        to: str | Path,
        image_column: str | None = None,
        text_column: str | None = None,
        split: str | None = None,
        layout: str | None = None,
        strict: bool = False,
        re_embed: bool = False,
        watch: bool = False,
        embed_texts: bool | None = None,
        map_: bool | None = None,
    ) -> Self:
        """Index the images of `paths` (any DATA; texts are optional) into the folder `to`, and open it.

        An image with several texts, or in several files of equal bytes, is one row of the index with all of its texts.
        `image_column`, `text_column`, `split` and `layout` are those of `openalign.data.pairs.open.open_pairs`.

        Of folders that `openalign.embed` wrote the vectors are taken as they are, also into Milvus (`to` is then an
        address, see `search.milvus.address`). Over an existing index of the same model, only new and changed images are
        read and embedded, and missing ones removed. With another model it is refused, unless `re_embed` asks to embed
        all images again. Images that cannot be read are left out and listed in `problems`; with `strict` they are
        errors. With `watch` the paths are looked at again every few seconds, until Ctrl-C. With `embed_texts` the texts
        of the images get vectors too, now and by later runs, until one is given False. `map_` makes the map of the
        collection anew, or leaves it as it is if it is False.

        Raises:
            OpenAlignError: `to` is not an index or was made by another model, a path is no DATA, there is no such
                model, or no image can be read.
            UsageError: there is no such split or layout.
        """
        options = _given(image_column=image_column, text_column=text_column, split=split, layout=layout)
        paths = [paths] if isinstance(paths, str | Path) else paths
        loaded = None if model is None else given_model(model)
        how = IndexOptions(strict, re_embed, watch, embed_texts, map_)
        bring_up_to_date(to, paths, loaded, options, how)
        return cls(open_store(to), loaded)

    @classmethod
    def open(cls, path: str | Path, model: str | Path | DualEncoder | None = None) -> Self:
        """Open an index, by its folder or its address in Milvus.

        Its model is loaded from `model`, by default from the path or hub name that built the index.

        Raises:
            OpenAlignError: `path` is not an index, is damaged, or was made by another model.
            UsageError: an address of Milvus has another form.
        """
        store = open_store(path)
        if not store.meta.finished:
            say(
                f"{path} is being written, or its last run was interrupted: it has {store.meta.images:,} images so "
                "far. The same `openalign index` command goes on."
            )
        if model is None:
            return cls(store)
        return cls(store, model_for(store, model))

    @cached_property
    def model(self) -> DualEncoder:
        """The model of the index, loaded on first use; raises OpenAlignError if it cannot be."""
        return own_model(self.store)

    def __len__(self) -> int:
        return self.store.meta.images

    def search(
        self,
        query: str | Query | None = None,
        *,
        image: ImageInput | Sequence[ImageInput] | None = None,
        row: int | Sequence[int] | None = None,
        plus: Sequence[str] = (),
        minus: Sequence[str] = (),
        where: Sequence[str] = (),
        top: int = 10,
        fold: bool = False,
        sort: str = "score",
        against: str = "image",
    ) -> Hits:
        """The `top` images most similar to the query, best first; `Hit.within` says which of them match.

        `query` is written in the language of `query.language`: `"at night - people"`. To it are added the images of
        `image`, rows `row` of this index and texts of `plus`, and those of `minus` are taken away; these mean
        themselves, whatever characters they have. Next to an image a text without a weight has weight 2 (paper
        section 6). Rows of the query are not among the results. A text opens no file, since it may come from somebody
        else: `img:beach.jpg` is for `parse_query(text)`, whose result `query` may be.

        With `where` only images are found for which all conditions of `query.conditions` hold. With `fold`
        near-duplicates are folded into the best of them (`Hit.alike`), unless a condition names them (`"alike=17"`).
        `sort` (`results.order.Sort`) puts all images that match in another order than by score; then the first `top`
        are taken, and those beyond the mark come last. `against` compares with pictures ("image"), with the texts of an
        index that has their vectors ("text"; equal texts fold, and `Hit.caption` is the text), or with "both".

        Raises:
            UsageError: `query`, a condition or `sort` cannot be read, or `query` has an image and is not parsed yet.
            OpenAlignError: the query is empty or cancels itself out, an image is unreadable, or there is no such row.
        """
        asked = query_of(query, image, row, plus, minus)
        how = How.given(where, top=top, fold=fold, sort=sort, against=against)
        return answer(self.store, asked, self.embed_query(asked), how)

    def alike(self, row: int) -> list[Row]:
        """The near-duplicates of an indexed image, without itself; raises OpenAlignError if there is no such row."""
        self.row(row)
        return self.store.rows([each for each in self.store.groups.with_row(row).tolist() if each != row])

    def listing(
        self,
        query: str | Query | None = None,
        *,
        image: ImageInput | Sequence[ImageInput] | None = None,
        row: int | Sequence[int] | None = None,
        plus: Sequence[str] = (),
        minus: Sequence[str] = (),
        where: Sequence[str] = (),
        fold: bool = False,
        sort: str = "score",
        against: str = "image",
    ) -> Listing:
        """All images that `search` finds, however many; those that match first, in the order of `sort`.

        Arguments are those of `search`. Without a query they are all images that meet the conditions in this order,
        `score` being that of the index.

        Raises:
            UsageError, OpenAlignError: as `search` does.
        """
        asked = query_of(query, image, row, plus, minus)
        how = How.given(where, fold=fold, sort=sort, against=against)
        return listing(self.store, asked, self.embed_query(asked) if asked.terms else None, how)

    def embed_query(
        self,
        query: str | Query | None = None,
        *,
        image: ImageInput | Sequence[ImageInput] | None = None,
        row: int | Sequence[int] | None = None,
        plus: Sequence[str] = (),
        minus: Sequence[str] = (),
    ) -> NDArray[np.float32]:
        """The unit vector (D,) of a query; arguments as in `search`."""
        asked = query_of(query, image, row, plus, minus)
        return vector_of(asked, self.store, lambda: self.model)

    @property
    def saved(self) -> SavedQueries:
        """The queries that are saved with the index; raises OpenAlignError if it is not in a folder."""
        if self.store.folder is None:
            raise OpenAlignError(f"{self.store.name} is no folder, so no queries can be saved with it.")
        return SavedQueries(self.store.folder, self.store.meta.columns)

    def row(self, number: int) -> Row:
        """One indexed image; raises OpenAlignError if there is no such row."""
        return self.store.rows([number])[0]

    def sample(self, count: int) -> list[Row]:
        """`count` images (or all, if there are fewer) at even intervals of the index."""
        return self.store.rows(self.store.spread(count))

    @property
    def map(self) -> OpenedMap | None:
        """Where the images lie on the map of the collection; None if there is no map."""
        return self.store.map

    def write_table(self, to: str | Path) -> int:
        """Write a Parquet table of all images, with their places on the map (`openalign.search.map.table`).

        Returns the number of images.
        """
        return write_table(self.store, Path(to))

    def original(self, number: int) -> bytes:
        """The image file of a row; raises OpenAlignError if it is missing or has changed since it was indexed."""
        return self._originals.read(number)

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of a row, its shorter side at most 256 pixels."""
        return self.store.thumbnail(number)

    @property
    def vectors(self) -> NDArray[np.float16]:
        """All embeddings, float16 (images, D), unit rows, in the order of rows; memory-mapped for a large folder.

        Row r of the index is `vectors[r]` as long as no image was removed; else see `store.numbers`.
        """
        return self.store.vectors

    @property
    def problems(self) -> list[str]:
        """One message for each image that was left out."""
        return self.store.problems()


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value}
