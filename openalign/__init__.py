"""openalign: learn from noisy image alt-text, from a web crawl to a search page.

For example:

    model = openalign.load("runs/demo/model")
    images = model.embed_images(["apple.jpg"])        # float32 (N, D), unit rows
    texts = model.embed_texts(["a red apple"])        # float32 (N, D), unit rows
    openalign.Index.open("photos.index").search("a red apple", minus=["people"], top=10)
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

from openalign import api

if TYPE_CHECKING:
    from openalign.api import Index, OpenAlignError, classify, contrastive_loss, curate, evaluate, load, train
else:
    from openalign import curate, evaluate, train

__version__ = "0.1.0"

__all__ = ["Index", "OpenAlignError", "classify", "contrastive_loss", "curate", "evaluate", "load", "train"]


class _Stage(ModuleType):
    """A folder that is also its function: `openalign.train(...)` beside `openalign.train.loop`.

    Importing a submodule makes Python bind the folder's name in this package, over any function of that name. So the
    three folders that share their name with a function can be called themselves.
    """

    def __call__(self, *args: Any, **options: Any) -> Any:
        return getattr(api, self.__name__.rpartition(".")[2])(*args, **options)


if not TYPE_CHECKING:
    for _folder in (curate, evaluate, train):
        _folder.__class__ = _Stage


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(api, name)
