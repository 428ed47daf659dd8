"""A model as a user gives it: loaded already, or by its folder or name."""

from pathlib import Path

from openalign.errors import UsageError
from openalign.model.dual_encoder import DualEncoder


def given_model(model: DualEncoder | str | Path) -> DualEncoder:
    """`model` itself if it is loaded, else what `openalign.load` loads.

    Raises:
        UsageError: it is neither.
        OpenAlignError: see `openalign.load`.
    """
    if isinstance(model, DualEncoder):
        return model
    if isinstance(model, str | Path):
        from openalign.model import hub  # torch and transformers, which a loaded model may do without

        return hub.load(model)
    raise UsageError(
        "a model is what openalign.load returns, a model folder, or a name on the Hugging Face hub, not an object of "
        f"the type {type(model).__name__}"
    )
