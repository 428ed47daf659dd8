"""Where an index is: a folder on this machine, or a collection of Milvus."""

from pathlib import Path

from openalign.errors import UsageError
from openalign.options import option
from openalign.search import build
from openalign.search.from_vectors import GivenImages
from openalign.search.milvus.address import is_milvus, parse_address
from openalign.search.milvus.build import index_vectors
from openalign.search.milvus.store import MilvusStore
from openalign.search.options import IndexOptions
from openalign.search.store import Store
from openalign.search.store.any_store import AnyStore


def open_store(name: str | Path) -> AnyStore:
    """An index opened for reading; raises OpenAlignError if there is none."""
    return MilvusStore(parse_address(str(name))) if is_milvus(name) else Store(Path(name))


def write_vectors(images: GivenImages, name: str | Path, how: IndexOptions) -> None:
    """Bring an index up to date with folders of vectors; see `Index.build`."""
    if not is_milvus(name):
        build.build_from_vectors(images, Path(name), how)
        return
    if how.re_embed:
        raise UsageError(f"{option(re_embed=True)} replaces a folder: name a new collection for another model")
    if how.map_:
        raise UsageError(f"{option('map')} is for a folder: a collection has no map")
    if how.embed_texts:
        raise UsageError(f"{option(embed_texts=True)} is for a folder: a collection has no vectors of texts")
    index_vectors(images, parse_address(str(name)), strict=how.strict)


def folder_of(name: str | Path) -> Path:
    """The folder of an index of images; raises UsageError if it is no folder."""
    if is_milvus(name):
        raise UsageError(f"{name} takes vectors: embed the images with `openalign embed`, and index what it writes")
    return Path(name)
