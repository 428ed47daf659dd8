"""A recipe: all settings of a training run, read from TOML into frozen, strict classes."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from openalign.errors import OpenAlignError
from openalign.model.align import AlignSettings, TextTowerSettings
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.model.scales import image_tower, text_tower
from openalign.options import option
from openalign.recipe_files import check_kind, find_recipe
from openalign.settings import Change, Settings, changes_of
from openalign.toml import read_toml, write_toml

PATH_KEYS = ("data", "tokenizer", "start_from", "held_out.data")
TOWERS: Mapping[str, Callable[[str], Settings]] = {"image_tower": image_tower, "text_tower": text_tower}
"""Keys whose value may be a name that `openalign scales` prints, and what the name stands for."""


class OptimizerSettings(Settings):
    """Optimizer and learning-rate schedule. The defaults are the paper's (section 5)."""

    name: Literal["lamb", "adamw", "sgd"] = "lamb"
    """LAMB (You et al. 2020), AdamW (Loshchilov & Hutter 2019), or SGD with momentum `beta1`; the paper tried all."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak, at the end of the warm-up; it decays to zero. Default with `start_from`: 1e-5 (section 5.1)."""
    warmup_steps: int = Field(default=10_000, ge=0)
    """Steps over which the learning rate rises linearly from zero. Default with `start_from`: 0."""
    decay: Literal["linear", "cosine"] = "linear"
    """Shape of the learning rate's decay after the warm-up."""
    weight_decay: float = Field(default=1e-5, ge=0)
    """Applied to matrices and filters, not to norms, biases and the temperature."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the running mean of the gradients, per step; of SGD the momentum."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the running mean of the squared gradients, per step; SGD has none."""
    epsilon: float = Field(default=1e-6, gt=0)
    """Added to the root of that mean before a gradient is divided by it."""


FINE_TUNING = {"learning_rate": 1e-5, "warmup_steps": 0}
"""Defaults of `OptimizerSettings` with `start_from` (paper section 5.1)."""


class LossSettings(Settings):
    """The contrastive loss (paper section 4.1)."""

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of the target that goes to all pairs of the batch alike (section 5)."""
    temperature: float = Field(default=1.0, gt=0)
    """Initial value; the paper's falls from 1.0 to about 1/64. Ignored with `start_from`: the model has its own."""
    learn_temperature: bool = True
    """False keeps the temperature fixed (the ablation of paper table 8)."""
    equal_pairs_are_positives: bool = False
    """Treat pairs of equal text or equal image in a batch as positives, not as negatives. Not in the paper."""


class HeldOutSettings(Settings):
    """Pairs that are not trained on; recall on them is measured during the run."""

    data: str = Field(examples=["FOLDER"])
    """Any DATA: a folder of shards or images, or a table."""
    where: dict[str, str] = Field(default_factory=dict)
    """Keep only rows whose column has this value, such as {split = "val"}."""
    image_column: str | None = None
    """Column of a table with image paths. Default: the first with a usual name."""
    text_column: str | None = None
    """Column of a table with texts. Default: the first with a usual name."""
    split: str | None = None
    """The split to read, of data with several, such as "validation"; "all" for every one."""
    layout: str | None = None
    """The layout to read the data in. Default: the one that `openalign inspect` says."""
    every_steps: int = Field(default=1000, gt=0)
    """Steps between two measurements; one more is made at the end."""
    most: int = Field(default=5000, gt=1)
    """Number of pairs, the first ones: papers report recall among 5,000 for COCO."""


class Recipe(Settings):
    """One run. Sizes in pixels are sides of squares; P is the number of processes."""

    data: str = Field(examples=["FOLDER"])
    """Any DATA: a folder of shards or images, or a table."""
    tokenizer: str | None = None
    """`tokenizer.json`, or a folder that holds one. Default: that of `start_from`."""
    where: dict[str, str] = Field(default_factory=dict)
    """Keep only rows whose column has this value, such as {split = "train"}."""
    image_column: str | None = None
    """Column of a table with image paths. Default: the first with a usual name."""
    text_column: str | None = None
    """Column of a table with texts. Default: the first with a usual name."""
    split: str | None = None
    """The split to read, of data with several, such as "train"; "all" for every one."""
    layout: str | None = None
    """The layout to read the data in. Default: the one that `openalign inspect` says."""
    strict: bool = False
    """End with an error if anything of the data is left out when it is opened."""
    start_from: str | None = None
    """ALIGN model to fine-tune, with its towers, sizes and tokenizer: a folder, or a name on the Hugging Face hub."""
    held_out: HeldOutSettings | None = None
    """Default: nothing is measured during the run."""

    steps: int = Field(gt=0, examples=[10_000])
    """Optimizer steps (1.2 million in the paper)."""
    batch_size: int = Field(default=256, ge=2)
    """Pairs per step over all processes, all negatives of each other (16,384 in the paper)."""
    micro_batch_size: int | None = Field(default=None, ge=1)
    """Pairs that a process takes through the towers at once. Less than its share of the batch saves memory at the cost
    of a second forward pass; the gradients stay those of the whole batch. Default: the whole share."""
    batch_norm_group: int | None = Field(default=None, ge=1)
    """Pairs that share batch-norm statistics (16 on the paper's TPU cores). Default: the micro-batch."""
    seed: int = Field(default=0, ge=0)
    """Determines sample order, crops, flips, dropout, stochastic depth and initial weights."""
    image_size: int = Field(default=289, ge=8)
    """Side of the crop that the image tower sees, in pixels."""
    resize_size: int | None = None
    """Side that images are resized to before the crop. Default: in the paper's proportion, 346 to 289."""
    flip: bool = True
    """Mirror half of the images; turn it off if texts distinguish left and right."""
    crop_scale: float | None = Field(default=None, gt=0, le=1)
    """Least share of the resized image's area that a random crop covers before it is resized to image_size, to augment
    small training sets. Default, as in the paper: crops of image_size x image_size."""
    word_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability that a word of a text is dropped; at least one is kept. Not in the paper."""
    shuffle_block: int = Field(default=1, ge=1)
    """Neighbouring rows that are read together, for storage with slow random access: blocks are shuffled, and rows
    within a few blocks. 1 shuffles single rows."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the towers' arithmetic; weights, loss and optimizer are float32. bfloat16 is for GPUs."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """With P > 1: each process holds the whole model (DDP), or a shard of weights, gradients and moments (FSDP2)."""
    compile: bool = False
    """Compile the towers with torch.compile; worth its minutes of start-up on a GPU."""
    recompute_activations: bool = False
    """Gradient checkpointing in both towers: a fraction of the memory for a third more time."""

    checkpoint_every_steps: int = Field(default=1000, gt=0)
    """Steps between two checkpoints; one more is written at the end, and when the run is stopped."""
    checkpoint_every_minutes: float | None = Field(default=None, gt=0)
    """Also write a checkpoint this many minutes after the last one. Default: never."""
    keep_checkpoints: int = Field(default=3, gt=0)
    """Number of checkpoints that stay, the newest ones."""
    log_every_steps: int = Field(default=10, gt=0)
    """Steps between two lines of the log; each has the means over them."""
    workers: int = Field(default=1, ge=0)
    """Processes that read and decode images, per training process."""
    cache_images: bool = False
    """Cache decoded and resized images on disk: worth it if they fit and epochs are short."""

    embedding_width: int | None = Field(default=None, ge=1)
    """Width of the shared space. Default: the image tower's."""
    image_tower: ImageTowerSettings = ImageTowerSettings()
    """A table, or a name that `openalign scales` prints, such as "b3"."""
    text_tower: TextTowerSettings = TextTowerSettings()
    """A table, or a name that `openalign scales` prints, such as "mini"."""
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()

    @field_validator("image_tower", "text_tower", mode="before")
    @classmethod
    def _tower_of_name(cls, value: Any, field: ValidationInfo) -> Any:
        return TOWERS[str(field.field_name)](value) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _fine_tuning_defaults(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "start_from" not in values:
            return values
        given = values.get("optimizer", {})
        return {**values, "optimizer": {**FINE_TUNING, **given}} if isinstance(given, Mapping) else values

    @model_validator(mode="after")
    def _sizes_fit(self) -> "Recipe":
        known = self.start_from is None or "image_size" in self.model_fields_set  # else it is that of the model
        if known and self.resize_size is not None and self.resize_size < self.image_size:
            raise ValueError(f"resize_size {self.resize_size} must be at least image_size {self.image_size}")
        if self.tokenizer is None and self.start_from is None:
            raise ValueError(
                f"a run from scratch needs `tokenizer`: give it with {option(set={'tokenizer': 'FILE'})}; "
                "`openalign tokenizer DATA --to FILE` makes one"
            )
        return self

    @property
    def resized(self) -> int:
        """Side that images are resized to before the crop."""
        return self.resize_size or round(self.image_size * 346 / 289)

    def model(self, vocabulary: int) -> AlignSettings:
        """The settings of the model that this recipe trains. Raises OpenAlignError if its sizes are not valid."""
        settings = {
            "image_tower": self.image_tower,
            "text_tower": self.text_tower,
            "vocabulary": vocabulary,
            "image_size": self.image_size,
            "resize_size": self.resized,
            "initial_temperature": self.loss.temperature,
            "embedding_width": self.embedding_width,
        }
        return AlignSettings.read(settings, "recipe")

    def shaped_like(self, model: AlignSettings, folder: Path) -> "Recipe":
        """This recipe with the towers, sizes and tokenizer of `model`, stored in `folder`, to fine-tune it.

        Raises:
            OpenAlignError: the recipe sets another tower than the model has.
        """
        for name in ("image_tower", "text_tower", "embedding_width"):
            if name in self.model_fields_set and getattr(self, name) != getattr(model, name):
                raise OpenAlignError(
                    f"`{name}` is not that of {self.start_from}: leave it out, since start_from has its own."
                )
        size = self.image_size if "image_size" in self.model_fields_set else model.image_size
        scaled = round(model.resize_size * size / model.image_size)
        return self.model_copy(
            update={
                "image_tower": model.image_tower,
                "text_tower": model.text_tower,
                "embedding_width": model.embedding_width,
                "image_size": size,
                "resize_size": self.resize_size or scaled,
                "tokenizer": self.tokenizer or str(folder),
            }
        )


def read_recipe(
    path: str | Path, changes: Mapping[str, Any] | None = None, on_purpose: Mapping[str, Any] | None = None
) -> Recipe:
    """Read a recipe file, or the bundled recipe of that name, and apply changes: `--set`, then `--change`.

    Relative paths in the file are relative to the file; those in changes to the working directory.

    Raises:
        UsageError: a change has an unknown key or a value of the wrong type.
        OpenAlignError: the file is missing or is not TOML; a key of it is unknown, missing or of the wrong type.
    """
    file = find_recipe(path)
    values = read_toml(file.path)
    check_kind(values, file)
    _expand(values, file.path.parent)
    both = [*changes_of(Recipe, changes or {}), *changes_of(Recipe, on_purpose or {}, "change")]
    return Recipe.read(values, file.name, [_expanded_change(change) for change in both])


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write the recipe with all defaults, so that the file alone repeats the run.

    Raises:
        OpenAlignError: a path in it is not UTF-8, which a TOML file cannot hold.
        OSError: the file cannot be written; an older one is unchanged.
    """
    write_toml(recipe.model_dump(exclude_none=True), path)


def _expand(values: dict[str, Any], folder: Path) -> None:
    """Make paths absolute and replace names of towers by their settings, in place."""
    for key in (*PATH_KEYS, *TOWERS):
        table, _, name = key.rpartition(".")
        holder = values.get(table, {}) if table else values
        if isinstance(holder, dict) and name in holder:
            holder[name] = _expanded(key, holder[name], folder)


def _expanded_change(change: Change) -> Change:
    return replace(change, value=_expanded(change.key, change.value, Path.cwd()))


def _expanded(key: str, value: Any, folder: Path) -> Any:
    if not isinstance(value, str):
        return value
    if key in TOWERS:
        with suppress(ValueError):  # an unknown name fails validation, which reports where it was given
            return TOWERS[key](value).model_dump()  # a table, in which a change may replace single keys
    return _absolute(key, value, folder) if key in PATH_KEYS else value


def _absolute(key: str, value: str, folder: Path) -> str:
    """A path relative to `folder` as an absolute one; URLs and names of models on the hub stay as they are."""
    if "://" in value:
        return value
    path = folder / Path(value).expanduser()
    names_a_hub_model = key == "start_from" and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", value) and not path.exists()
    return value if names_a_hub_model else str(path.resolve())
