"""openalign: learn from noisy image alt-text, from a web crawl to a search page.

For example:

    model = openalign.load("runs/demo/model")
    images = model.embed_images(["apple.jpg"])        # float32 (N, D), unit rows
    texts = model.embed_texts(["a red apple"])        # float32 (N, D), unit rows
    openalign.Index.open("photos.index").search("a red apple", minus=["people"], top=10)

Each name is imported when it is first used: `import openalign` loads no torch, and `openalign.load` no database.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from openalign.version import __version__ as __version__

if TYPE_CHECKING:
    from openalign.curation.pipeline import curate
    from openalign.embedding.embed import embed
    from openalign.errors import OpenAlignError
    from openalign.evaluation.run import evaluate
    from openalign.evaluation.zero_shot import classify
    from openalign.inspection.inspection import inspect
    from openalign.model.hub import load
    from openalign.model.loss.contrastive import contrastive_loss
    from openalign.search.index import Index
    from openalign.training.loop import train

__all__ = [
    "Index",
    "OpenAlignError",
    "classify",
    "contrastive_loss",
    "curate",
    "embed",
    "evaluate",
    "inspect",
    "load",
    "train",
]

_MODULES = {
    "Index": "openalign.search.index",
    "OpenAlignError": "openalign.errors",
    "classify": "openalign.evaluation.zero_shot",
    "contrastive_loss": "openalign.model.loss.contrastive",
    "curate": "openalign.curation.pipeline",
    "embed": "openalign.embedding.embed",
    "evaluate": "openalign.evaluation.run",
    "inspect": "openalign.inspection.inspection",
    "load": "openalign.model.hub",
    "train": "openalign.training.loop",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value  # later uses find it there, without this function
    return value


def __dir__() -> list[str]:
    """The public names; without those whose extra is not installed, so that `help(openalign)` works."""
    from openalign.extras import EXTRAS, missing

    return sorted({*__all__, "__version__"} - ({"curate", "embed"} if missing(EXTRAS["curate"]) else set()))
