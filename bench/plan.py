"""The paper's run on 8, 64 and 512 GPUs, worked out on paper: memory, time, traffic, data.

    python bench/plan.py              recipes/paper.toml; another one's name plans that

Shapes, parameters, multiply-adds and saved activations are counted on the model of the recipe, on torch's meta device.
How often a step goes over them was measured on one GPU (bench/gpu_step.py); the rest is arithmetic from the constants
below.
"""

import sys
from dataclasses import dataclass

from activations import Model, counted
from measure import show, write

from openalign.model.loss.tiles import TILE
from openalign.model.scales import PAPER_PIECES
from openalign.training.recipe.recipe import Recipe, read_recipe

# An H100 SXM of 80 GB, from its data sheet: dense bfloat16, memory, and NVLink and a 400 Gb/s network one way.
PEAK_FLOPS = 989e12
MEMORY = 80e9
MEMORY_BYTES_PER_SECOND = 3.35e12
NVLINK_BYTES_PER_SECOND = 450e9
NETWORK_BYTES_PER_SECOND = 50e9
GPUS_A_NODE = 8

# Assumptions: what a good run gets of these.
UTILISATION = 0.35
OF_MEMORY = 0.9  # the rest is CUDA's own, nccl's buffers and fragments
OF_BANDWIDTH = 0.8

# Measured on one H200 with B0 + mini, B3 + mini and B7 + Base, not compiled: what passes at 80 % of its 4.8 TB/s in the
# time of a step is 17.4 to 19.4 times the activations kept, a third of it in the forward pass.
FORWARD_TRAFFIC = 6
BACKWARD_TRAFFIC = 12

# Measured: 1,715 photos and drawings of a real crawl, stored at a shorter side of at most 400 px and JPEG quality 90;
# decoded and resized to 346 px on one core of a 2-core EPYC machine.
BYTES_AN_IMAGE = 36_000
IMAGES_PER_CORE_SECOND = 700

PAIRS = 1_800_000_000
BYTES_A_TEXT = 100
HALF, SINGLE = 2, 4  # bytes of a number
HIDDEN = 0.5  # of the exchange, behind the arithmetic
DAY = 86_400
CLUSTERS = (8, 64, 512)
LAYOUTS = (("ddp", False), ("ddp", True), ("fsdp", False), ("fsdp", True))


@dataclass(frozen=True)
class Plan:
    """One way to run it."""

    gpus: int
    parallel: str
    recompute: bool
    share: int
    """Pairs of each GPU in a step."""
    micro: int
    """Pairs through the towers at once; 0 where not even one batch-norm group fits."""
    state: float
    """Bytes of weights, gradients, moments and copies of them while the towers run."""
    used: float
    """Bytes in all, at most."""

    @property
    def layout(self) -> str:
        return self.parallel + (", R" if self.recompute else "")

    @property
    def forward_passes(self) -> int:
        """Times that the towers go forward: once, once more for cached gradients, once more to recompute."""
        return 1 + (self.micro < self.share) + self.recompute


def main(name: str) -> None:
    recipe = read_recipe(name, {"data": "any", "tokenizer": "any"})  # sizes do not depend on them
    model = counted(recipe)
    plans = [planned(model, recipe, gpus, *layout) for gpus in CLUSTERS for layout in LAYOUTS]
    best = fastest(plans, model)
    tables = {
        "1. One pair": pair_rows(model, recipe),
        "2. The state of the model, GB of each GPU": state_rows(model),
        "3. What fits into 80 GB (R: activations recomputed)": [memory_row(plan) for plan in plans],
        "4. Seconds of a step, and days of all steps": [time_row(plan, model, recipe) for plan in best],
        "5. Days, if memory traffic were no limit": [arithmetic_row(plan, model, recipe) for plan in best],
        "6. What the loader has to deliver": [data_row(plan, model, recipe) for plan in best],
        "7. Storage": storage_rows(model, recipe),
    }
    for title, rows in tables.items():
        show(title, rows)
    write(f"plan-{name}", [{"table": title, **row} for title, rows in tables.items() for row in rows])


def state_bytes(model: Model, gpus: int, parallel: str) -> float:
    """While the towers run: float32 weights, gradients and LAMB's two moments, and bfloat16 weights."""
    if parallel == "ddp":
        return model.parameters * (4 * SINGLE + HALF)
    # The share of each, and gradients that add up whole over micro-batches until they are exchanged.
    return model.parameters * (4 * SINGLE / gpus + SINGLE)


def update_bytes(model: Model, gpus: int, parallel: str) -> float:
    """During LAMB's update: the state, and its direction and scale for every weight."""
    return model.parameters * 6 * SINGLE / (1 if parallel == "ddp" else gpus)


def loss_bytes(model: Model, batch: int, share: int) -> float:
    """The loss: both embeddings of the whole batch and their gradients, and three tiles of logits; never N x N."""
    tiles = 3 * min(TILE, share) * min(TILE, batch) * SINGLE
    return 4 * batch * model.width * SINGLE + tiles


def planned(model: Model, recipe: Recipe, gpus: int, parallel: str, recompute: bool) -> Plan:
    """The largest micro-batch that fits, and what it takes."""
    share = recipe.batch_size // gpus
    group = recipe.batch_norm_group or 1
    state = state_bytes(model, gpus, parallel)
    loss = loss_bytes(model, recipe.batch_size, share)
    each = model.activations.bytes_a_pair(recompute)
    sizes = [size for size in (group * 2**power for power in range(20)) if size <= share]
    fitting = [size for size in sizes if state + loss + size * each <= OF_MEMORY * MEMORY]
    micro = max(fitting, default=0)
    used = max(state + loss + micro * each, update_bytes(model, gpus, parallel))
    return Plan(gpus, parallel, recompute, share, micro, state, used)


def arithmetic_seconds(plan: Plan, model: Model, utilisation: float = UTILISATION) -> float:
    """Operations of one GPU in a step at some utilisation; a backward pass is two forward ones."""
    operations = 2 * model.multiply_adds * (2 + plan.forward_passes) * plan.share
    return operations / (utilisation * PEAK_FLOPS)


def traffic_seconds(plan: Plan, model: Model) -> float:
    """Activations to memory and back."""
    moved = model.activations.kept * (FORWARD_TRAFFIC * plan.forward_passes + BACKWARD_TRAFFIC) * plan.share
    return moved / (OF_BANDWIDTH * MEMORY_BYTES_PER_SECOND)


def ring_bytes_per_second(gpus: int) -> float:
    """What a ring over all GPUs carries: NVLink inside a node, all network cards of a node together between nodes."""
    link = NVLINK_BYTES_PER_SECOND if gpus <= GPUS_A_NODE else GPUS_A_NODE * NETWORK_BYTES_PER_SECOND
    return OF_BANDWIDTH * link


def exchanged_bytes(plan: Plan, model: Model) -> float:
    """Bytes round the ring in a step: weights and gradients, and the embeddings of the loss."""
    part = (plan.gpus - 1) / plan.gpus
    embeddings = 2 * 2 * plan.gpus * plan.share * model.width * SINGLE  # both towers; there, and their gradients back
    if plan.parallel == "ddp":
        return part * (2 * SINGLE * model.parameters + embeddings)
    passes = plan.share / plan.micro * (2 + (plan.micro < plan.share))
    return part * ((passes + 1) * SINGLE * model.parameters + embeddings)


def step_seconds(plan: Plan, model: Model) -> float:
    """The slower of arithmetic and memory traffic, and what of the exchange is not hidden behind it."""
    work = max(arithmetic_seconds(plan, model), traffic_seconds(plan, model))
    return work + (1 - HIDDEN) * exchanged_bytes(plan, model) / ring_bytes_per_second(plan.gpus)


def fastest(plans: list[Plan], model: Model) -> list[Plan]:
    """The quickest plan of each cluster with and without sharding."""
    kinds: dict[tuple[int, str], list[Plan]] = {}
    for plan in plans:
        if plan.micro:
            kinds.setdefault((plan.gpus, plan.parallel), []).append(plan)
    return [min(found, key=lambda plan: step_seconds(plan, model)) for found in kinds.values()]


def pair_rows(model: Model, recipe: Recipe) -> list[dict[str, object]]:
    found = model.activations
    step = 6 * model.multiply_adds * recipe.batch_size
    return [
        {"what": "parameters, M", "figure": model.parameters / 1e6},
        {
            "what": f"multiply-adds forward at {recipe.image_size} px and {PAPER_PIECES} pieces, G",
            "figure": model.multiply_adds / 1e9,
        },
        {"what": "operations forward and backward, G", "figure": 6 * model.multiply_adds / 1e9},
        {"what": f"operations of a step of {recipe.batch_size:,}, P", "figure": step / 1e15},
        {"what": "activations kept in bfloat16, MB", "figure": found.kept / 1e6},
        {"what": "the same with recomputation, MB", "figure": (found.inputs + found.largest_block) / 1e6},
        {"what": "largest tensor, MB", "figure": found.largest_tensor / 1e6},
    ]


def state_rows(model: Model) -> list[dict[str, object]]:
    layouts = [("ddp", 1, "ddp"), *((f"fsdp on {gpus}", gpus, "fsdp") for gpus in CLUSTERS)]
    return [
        {
            "layout": name,
            "weights": SINGLE * model.parameters / gpus / 1e9,
            "gradients": SINGLE * model.parameters / gpus / 1e9,
            "moments": 2 * SINGLE * model.parameters / gpus / 1e9,
            "towers run": state_bytes(model, gpus, parallel) / 1e9,
            "LAMB runs": update_bytes(model, gpus, parallel) / 1e9,
        }
        for name, gpus, parallel in layouts
    ]


def memory_row(plan: Plan) -> dict[str, object]:
    return {
        "GPUs": plan.gpus,
        "layout": plan.layout,
        "pairs each": plan.share,
        "micro-batch": plan.micro or "none fits",
        "state, GB": plan.state / 1e9,
        "used, GB": plan.used / 1e9,
    }


def time_row(plan: Plan, model: Model, recipe: Recipe) -> dict[str, object]:
    seconds = step_seconds(plan, model)
    return {
        "GPUs": plan.gpus,
        "layout": plan.layout,
        "micro": plan.micro,
        "compute": round(arithmetic_seconds(plan, model), 3),
        "memory": round(traffic_seconds(plan, model), 3),
        "network": round(exchanged_bytes(plan, model) / ring_bytes_per_second(plan.gpus), 3),
        "step": round(seconds, 3),
        "MFU %": 100 * 6 * model.multiply_adds * plan.share / PEAK_FLOPS / seconds,
        "days": seconds * recipe.steps / DAY,
    }


def arithmetic_row(plan: Plan, model: Model, recipe: Recipe) -> dict[str, object]:
    days = {
        f"at {share:.0%} of peak": arithmetic_seconds(plan, model, share) * recipe.steps / DAY
        for share in (0.3, 0.35, 0.4)
    }
    return {"GPUs": plan.gpus, "layout": plan.layout, **days}


def data_row(plan: Plan, model: Model, recipe: Recipe) -> dict[str, object]:
    pairs = min(plan.gpus, GPUS_A_NODE) * plan.share
    images = pairs / step_seconds(plan, model)
    return {
        "GPUs": plan.gpus,
        "layout": plan.layout,
        "images/s, a node": round(images),
        "cores": images / IMAGES_PER_CORE_SECOND,
        "MB/s": images * (BYTES_AN_IMAGE + BYTES_A_TEXT) / 1e6,
        "a batch, GB": pairs * 3 * recipe.image_size**2 / 1e9,
    }


def storage_rows(model: Model, recipe: Recipe) -> list[dict[str, object]]:
    checkpoint = 3 * SINGLE * model.parameters
    return [
        {"what": f"{PAIRS:,} pairs in shards, TB", "figure": PAIRS * (BYTES_AN_IMAGE + BYTES_A_TEXT) / 1e12},
        {"what": "epochs in the run", "figure": recipe.steps * recipe.batch_size / PAIRS},
        {"what": "a checkpoint: weights and two moments, GB", "figure": checkpoint / 1e9},
        {
            "what": f"the {recipe.keep_checkpoints} that are kept, GB",
            "figure": recipe.keep_checkpoints * checkpoint / 1e9,
        },
        {"what": "seconds to write one at 2 GB/s", "figure": checkpoint / 2e9},
        {"what": f"float16 embeddings of {PAIRS:,} images, TB", "figure": PAIRS * model.width * HALF / 1e12},
    ]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "paper")
