"""What `import openalign` gives, by name and by the module that it comes from.

Nothing is imported before it is asked for: `import openalign` costs no torch, and `openalign.load` no database.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openalign.curate.pipeline import curate
    from openalign.errors import OpenAlignError
    from openalign.evaluate.run import evaluate
    from openalign.evaluate.zero_shot import classify
    from openalign.model.hub import load
    from openalign.model.loss import contrastive_loss
    from openalign.search.index import Index
    from openalign.train.loop import train

HOMES = {
    "Index": "openalign.search.index",
    "OpenAlignError": "openalign.errors",
    "classify": "openalign.evaluate.zero_shot",
    "contrastive_loss": "openalign.model.loss",
    "curate": "openalign.curate.pipeline",
    "evaluate": "openalign.evaluate.run",
    "load": "openalign.model.hub",
    "train": "openalign.train.loop",
}

__all__ = ["Index", "OpenAlignError", "classify", "contrastive_loss", "curate", "evaluate", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
