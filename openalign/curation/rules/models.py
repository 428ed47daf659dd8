"""The models that rules need, checked before a run spends hours on reading its sources."""

from collections.abc import Sequence

from openalign.curation.images.unsafe import NUDENET
from openalign.curation.recipe import CurateRecipe
from openalign.curation.rules.rule import Rule
from openalign.errors import OpenAlignError
from openalign.extras import require


def check_models(rules: Sequence[Rule], recipe: CurateRecipe) -> None:
    """Find the model of each rule, fetching it from the Hugging Face hub if it is not local, without loading it.

    Raises OpenAlignError, naming the setting, if there is no such model or its folder cannot be used.
    """
    for rule in rules:
        name = getattr(rule.settings_of(recipe), rule.model) if rule.model else None
        if name == NUDENET:
            require("nudenet", "Finding unsafe images with nudenet")
        elif name is not None:
            _check_model(str(rule.model), name)


def _check_model(setting: str, name: str) -> None:
    from openalign.model.folder import check_folder, folder_of  # huggingface_hub, which few curations need

    try:
        check_folder(folder_of(name))
    except OpenAlignError as error:
        raise OpenAlignError(f"{setting}: {error}") from None
