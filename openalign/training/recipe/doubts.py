"""Settings that are valid one by one, but cannot mean together what was typed."""

from collections.abc import Iterator

from openalign.errors import OpenAlignError
from openalign.training.recipe.recipe import Recipe


def check_crop(recipe: Recipe) -> None:
    """Raise OpenAlignError if the crop is larger than the resized image that it is taken from.

    A recipe is checked when it is read; the sizes of a model that is fine-tuned are known later.
    """
    if recipe.image_size > recipe.resized:
        raise OpenAlignError(
            f"image_size {recipe.image_size} is larger than resize_size {recipe.resized}, to which images are resized "
            "before the crop: raise resize_size, or lower image_size."
        )


def doubts(recipe: Recipe, processes: int) -> Iterator[str]:
    """A message for each setting that has another effect than its value says, in a run of P processes."""
    warmup, steps, rate = recipe.optimizer.warmup_steps, recipe.steps, recipe.optimizer.learning_rate
    if warmup >= steps:
        yield (
            f"optimizer.warmup_steps = {warmup:,} is not less than steps = {steps:,}: the learning rate rises to the "
            f"end of the run, to {rate * steps / warmup:.2g} of optimizer.learning_rate = {rate:g}, and never decays."
        )
    share = recipe.batch_size // processes
    if recipe.micro_batch_size is not None and recipe.micro_batch_size > share:
        yield (
            f"micro_batch_size = {recipe.micro_batch_size:,} is more than the {share:,} pairs of each process, which "
            "are taken at once."
        )
    held_out = recipe.held_out
    if held_out is not None and "every_steps" in held_out.model_fields_set and held_out.every_steps > steps:
        yield (
            f"held_out.every_steps = {held_out.every_steps:,} is more than steps = {steps:,}: recall is measured at "
            "the end only."
        )
