"""What limits the speed of a run, and which setting would help."""

from collections import deque
from collections.abc import Collection
from statistics import fmean

from openalign.training.recipe.recipe import Recipe
from openalign.training.run_folder.log_file import Record

COLD_RECORDS = 5  # the first ones, before the loader's queue and the kernels are warm
AVERAGED_RECORDS = 10  # a single record varies too much
SLOW_LOADER_SHARE = 0.2
IDLE_LOADER_SHARE = 0.02


class BottleneckAdvice:
    """Averages the newest records, and gives one piece of advice for each bottleneck found."""

    def __init__(self, recipe: Recipe, first_step: int, device: str) -> None:
        self._recipe, self._device = recipe, device
        self._warm_after = first_step + COLD_RECORDS * recipe.log_every_steps
        self._recent: deque[Record] = deque(maxlen=AVERAGED_RECORDS)
        self._given: set[str] = set()

    def add(self, record: Record) -> str | None:
        """Add a record. Returns advice where the records show a bottleneck that was not reported before."""
        if record["step"] > self._warm_after:
            self._recent.append(record)
        if len(self._recent) < AVERAGED_RECORDS:
            return None
        waits = fmean(each["waiting_for_loader"] for each in self._recent)
        if IDLE_LOADER_SHARE <= waits <= SLOW_LOADER_SHARE:
            return None
        bottleneck = "model" if waits < IDLE_LOADER_SHARE else _slowest_part(self._recent)
        if bottleneck in self._given:
            return None
        self._given.add(bottleneck)
        return advice_on(bottleneck, waits, self._recipe, self._device)


def advice_on(bottleneck: str, waits: float, recipe: Recipe, device: str) -> str:
    """What to change. `bottleneck` is model, reading, decoding or building; `waits` a share of the time."""
    if bottleneck == "model":
        return (
            f"The model is the limit (it waits {waits:.0%} of the time for the loader): more workers will not help; "
            f"{_for_the_model(recipe, device)} would."
        )
    changes = ["raise `workers`"]
    if bottleneck == "reading" and recipe.shuffle_block == 1:
        changes.append("set `shuffle_block = 64`, so that neighbours are read together")
    if not recipe.cache_images:
        changes.append("set `cache_images = true`")
    what = {"reading": "reading images", "decoding": "decoding images"}.get(bottleneck, "putting batches together")
    return f"The model waits {waits:.0%} of the time for the loader, which is busy {what}: {', or '.join(changes)}."


def _for_the_model(recipe: Recipe, device: str) -> str:
    if device == "cpu":
        return "smaller towers, a smaller `image_size` or a GPU"
    unused = ['`precision = "bfloat16"`'] * (recipe.precision == "float32")
    unused += ["`compile = true`"] * (not recipe.compile)
    return " and ".join(unused) or "more GPUs"


def _slowest_part(records: Collection[Record]) -> str:
    """What the loader's workers spend most of their time on."""
    keys = {"reading": "loader_disk_share", "decoding": "loader_decode_share"}
    shares = {part: fmean(record[key] for record in records) for part, key in keys.items()}
    shares["building"] = 1.0 - sum(shares.values())
    return max(shares, key=shares.__getitem__)
