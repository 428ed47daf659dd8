"""A recipe: everything that decides what a training run does, read from TOML into frozen, strict settings."""

import json
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from openalign.errors import OpenAlignError
from openalign.model.align import AlignSettings, TextTowerSettings
from openalign.model.efficientnet import ImageTowerSettings
from openalign.settings import Settings

PATH_KEYS = ("data", "tokenizer")


class OptimizerSettings(Settings):
    """How the weights move. The defaults are the paper's (section 5)."""

    name: Literal["lamb", "adamw"] = "lamb"
    """LAMB (You et al. 2020), or AdamW (Loshchilov & Hutter 2019)."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """At the end of the warm-up; it then falls linearly to zero at the last step."""
    warmup_steps: int = Field(default=10_000, ge=0)
    """Steps over which the learning rate rises linearly from zero."""
    weight_decay: float = Field(default=1e-5, ge=0)
    """Not applied to batch norm, layer norm, biases and the temperature."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-6, gt=0)


class LossSettings(Settings):
    """The contrastive loss (paper section 4.1)."""

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    temperature: float = Field(default=1.0, gt=0)
    """Initial value; the paper's run falls from 1.0 to about 1/64."""
    learn_temperature: bool = True
    """False keeps it fixed (the ablation of paper table 8)."""


class Recipe(Settings):
    """One run. Sizes in pixels are sides of squares."""

    data: str
    """Any DATA: a folder of shards or images, or a table."""
    tokenizer: str
    """`tokenizer.json`, or a folder that holds one."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only rows whose column has this value, such as {split = "train"}."""
    image_column: str | None = None
    text_column: str | None = None

    steps: int = Field(gt=0)
    """Optimizer steps (1.2 million in the paper)."""
    batch_size: int = Field(ge=2)
    """Pairs a step, all of them each other's negatives (16,384 in the paper)."""
    seed: int = Field(default=0, ge=0)
    """Sample order, crops, flips, dropout, stochastic depth and initial weights follow from it."""
    image_size: int = Field(default=289, ge=8)
    """Side of the crop that the image tower sees."""
    resize_size: int | None = None
    """Side that images are resized to before the crop; by default in the paper's proportion, 346 to 289."""
    flip: bool = True
    """Mirror half of the images; wrong where texts tell left from right."""
    checkpoint_every_steps: int = Field(default=1000, gt=0)
    keep_checkpoints: int = Field(default=3, gt=0)
    log_every_steps: int = Field(default=10, gt=0)
    workers: int = Field(default=1, ge=0)
    """Processes that read and decode images."""
    cache_images: bool = False
    """Keep decoded images on disk, resized: worth it where the set fits and an epoch is short."""

    image_tower: ImageTowerSettings = ImageTowerSettings()
    text_tower: TextTowerSettings = TextTowerSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()

    @model_validator(mode="after")
    def _crop_fits(self) -> "Recipe":
        if self.resize_size is not None and self.resize_size < self.image_size:
            raise ValueError(f"resize_size {self.resize_size} must be at least image_size {self.image_size}")
        return self

    @property
    def resized(self) -> int:
        """Side that images are resized to before the crop."""
        return self.resize_size or round(self.image_size * 346 / 289)

    def model(self, vocabulary: int) -> AlignSettings:
        """The settings of the model that this recipe trains."""
        return AlignSettings(
            image_tower=self.image_tower,
            text_tower=self.text_tower,
            vocabulary=vocabulary,
            image_size=self.image_size,
            resize_size=self.resized,
            initial_temperature=self.loss.temperature,
        )


def read_recipe(path: str | Path, changes: Mapping[str, str] | None = None) -> Recipe:
    """Read a recipe file, or the recipe of that name that comes with the package, and apply `--set` changes.

    Relative paths in the file are relative to the file; those in `changes` to where the user stands.

    Raises:
        OpenAlignError: the file is missing or is not TOML, a key is unknown, missing or of the wrong type.
    """
    file = _find(path)
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OpenAlignError(f"{file}: not a TOML file: {error}.") from None
    _anchor_paths(values, file.parent)
    for key, text in (changes or {}).items():
        change = _parse_value(text)
        _anchor_paths(anchored := {key: change}, Path.cwd())
        _assign(values, key, anchored[key])
    return Recipe.read(values, str(file))


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write the recipe as it is run, defaults included, so that the file alone repeats the run."""
    lines: list[str] = []
    _write_table(lines, recipe.model_dump(exclude_none=True), "")
    path.write_text("\n".join(lines).strip() + "\n", encoding="utf-8")


def _find(path: str | Path) -> Path:
    given = Path(path)
    if given.is_file():
        return given
    bundled = Path(str(files("openalign") / "recipes" / f"{given.stem}.toml"))
    if bundled.is_file() and given.parent.name in ("", "recipes"):
        return bundled.resolve()
    raise OpenAlignError(f"{path}: no such recipe; recipes that come with openalign: {', '.join(_bundled())}.")


def _bundled() -> list[str]:
    return sorted(Path(entry.name).stem for entry in (files("openalign") / "recipes").iterdir())


def _anchor_paths(values: dict[str, Any], folder: Path) -> None:
    for key in PATH_KEYS:
        if isinstance(values.get(key), str):
            values[key] = str((folder / values[key]).resolve())


def _parse_value(text: str) -> Any:
    """The right-hand side of `--set key=value`: a TOML value, or else a bare string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _assign(values: dict[str, Any], dotted: str, value: Any) -> None:
    *tables, last = dotted.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise OpenAlignError(f"--set {dotted}: `{table}` is not a table of the recipe.")
    values[last] = value


def _write_table(lines: list[str], values: Mapping[str, Any], prefix: str) -> None:
    lines.extend(f"{key} = {_toml(value)}" for key, value in values.items() if not isinstance(value, dict))
    for key, value in values.items():
        if isinstance(value, dict) and value:
            lines.extend(["", f"[{prefix}{key}]"])
            _write_table(lines, value, f"{prefix}{key}.")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # TOML escapes basic strings as JSON does
    return repr(value)
