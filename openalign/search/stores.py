"""Where an index is, a folder on this machine or a collection of Milvus, and how each kind is opened and written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openalign.embedding.manifest import is_vectors_folder
from openalign.errors import OpenAlignError, UsageError
from openalign.model.dual_encoder import DualEncoder
from openalign.options import option
from openalign.search.milvus.address import is_milvus, parse_address
from openalign.search.options import IndexOptions
from openalign.search.store import Store
from openalign.search.store.any_store import AnyStore

if TYPE_CHECKING:
    from openalign.search.from_vectors import GivenImages


def open_store(name: str | Path) -> AnyStore:
    """An index opened for reading; raises OpenAlignError if there is none."""
    if not is_milvus(name):
        return Store(_folder(name))
    from openalign.search.milvus.store import MilvusStore  # torch, which the search in a folder may do without

    return MilvusStore(parse_address(str(name)))


def bring_up_to_date(
    to: str | Path,
    paths: Sequence[str | Path],
    model: DualEncoder | None,
    options: Mapping[str, str],
    how: IndexOptions,
) -> None:
    """Make the index `to` hold exactly the images, or the vectors, of `paths`; see `Index.build`."""
    from openalign.search.build import build  # torch, which a search may do without
    from openalign.search.from_vectors import open_all

    if not paths:
        raise OpenAlignError("Nothing to index: name a folder or table of images.")
    vectors = [path for path in paths if is_vectors_folder(path)]
    if vectors and len(vectors) < len(paths):
        raise UsageError(f"{vectors[0]} holds vectors, other paths hold images: index them apart")
    if vectors:
        if how.watch:
            raise UsageError(f"{option(watch=True)} looks at images, not at folders of vectors")
        _write_vectors(open_all(vectors, model.fingerprint if model else None), to, how)
        return
    if is_milvus(to):
        raise UsageError(f"{to} takes vectors: embed the images with `openalign embed`, and index what it writes")
    folder = _folder(to)
    if model is None:
        raise UsageError(f"images are indexed with a model: add {option('model')}")
    build(paths, model, folder, options, how)


def _write_vectors(images: "GivenImages", to: str | Path, how: IndexOptions) -> None:
    from openalign.search.build import build_from_vectors
    from openalign.search.milvus.build import index_vectors

    if not is_milvus(to):
        build_from_vectors(images, _folder(to), how)
        return
    if how.re_embed:
        raise UsageError(f"{option(re_embed=True)} replaces a folder: name a new collection for another model")
    if how.map_:
        raise UsageError(f"{option('map')} is for a folder: a collection has no map")
    if how.embed_texts:
        raise UsageError(f"{option(embed_texts=True)} is for a folder: a collection has no vectors of texts")
    index_vectors(images, parse_address(str(to)), strict=how.strict)


def _folder(name: str | Path) -> Path:
    if "://" in str(name):
        raise UsageError(f"{name}: an index is a folder of this machine, or milvus://HOST/COLLECTION.")
    return Path(name)
