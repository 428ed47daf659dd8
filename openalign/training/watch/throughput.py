"""Model FLOPs utilisation (MFU): the arithmetic that a run's pairs need, as a share of its devices' peak.

A pair needs three times the operations of its forward pass, where a multiply-add is two; recomputation to save memory
does not count (Chowdhery et al. 2022, appendix B).
"""

import time
from dataclasses import dataclass

import torch

from openalign.model.scales import pair_multiply_adds
from openalign.training.recipe.recipe import Recipe

FORWARD_AND_BACKWARD = 3
MATRIX_SIDE = {"cpu": 1024, "cuda": 8192}
MEASURING_SECONDS = 0.2

PUBLISHED_TERAFLOPS: dict[str, tuple[float, float]] = {
    # By torch's name of the device: dense bfloat16, and float32 (TF32 if available), from NVIDIA's data sheets. Devices
    # that are not listed, such as slices of a card, are measured.
    "NVIDIA H200": (989.0, 494.0),
    "NVIDIA H100 80GB HBM3": (989.0, 494.0),
    "NVIDIA H100 PCIe": (756.0, 378.0),
    "NVIDIA H100 NVL": (835.0, 417.0),
    "NVIDIA A100-SXM4-80GB": (312.0, 156.0),
    "NVIDIA A100-SXM4-40GB": (312.0, 156.0),
    "NVIDIA A100 80GB PCIe": (312.0, 156.0),
    "NVIDIA A100-PCIE-40GB": (312.0, 156.0),
    "NVIDIA A10": (125.0, 62.5),
    "NVIDIA A10G": (70.0, 35.0),
    "NVIDIA L4": (121.0, 60.0),
    "NVIDIA L40S": (362.0, 183.0),
    "NVIDIA GeForce RTX 4090": (165.2, 82.6),
    # Neither of these has units for bfloat16.
    "Tesla T4": (8.1, 8.1),
    "Tesla V100-SXM2-16GB": (15.7, 15.7),
    "Tesla V100-SXM2-32GB": (15.7, 15.7),
    "Tesla V100-PCIE-16GB": (14.0, 14.0),
}


@dataclass(frozen=True)
class Peak:
    """The peak arithmetic of one device."""

    device: str
    flops: float
    """Operations per second."""
    source: str
    """Where the figure is from, for the report."""


def peak_of(device: torch.device, precision: str) -> Peak:
    """Peak of a device in `precision`: published if its name is listed, otherwise measured by a matrix product."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, threads: {torch.get_num_threads()}"
    if name in PUBLISHED_TERAFLOPS:
        half, single = PUBLISHED_TERAFLOPS[name]
        return Peak(name, 1e12 * (half if precision == "bfloat16" else single), f"{precision}, its data sheet")
    dtype = torch.bfloat16 if precision == "bfloat16" and device.type == "cuda" else torch.float32
    side = MATRIX_SIDE.get(device.type, MATRIX_SIDE["cpu"])
    source = f"a {str(dtype).removeprefix('torch.')} product of {side:,} x {side:,} matrices, measured at the start"
    return Peak(name, _measured(device, dtype, side), source)


def _measured(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Operations per second of the fastest of the products in `MEASURING_SECONDS`."""
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    _seconds_of_product(matrix)  # the first one also loads kernels
    deadline = time.perf_counter() + MEASURING_SECONDS
    best = _seconds_of_product(matrix)
    while time.perf_counter() < deadline:
        best = min(best, _seconds_of_product(matrix))
    return 2 * side**3 / best


def _seconds_of_product(matrix: torch.Tensor) -> float:
    began = time.perf_counter()
    product = torch.mm(matrix, matrix)
    product[0, 0].item()  # waits for the device
    return time.perf_counter() - began


def training_flops(recipe: Recipe, pieces: int) -> int:
    """Operations to train on one pair whose text has `pieces` word pieces."""
    # The vocabulary is a lookup table: its size costs no arithmetic.
    return 2 * FORWARD_AND_BACKWARD * pair_multiply_adds(recipe.model(vocabulary=1000), pieces)


def utilisation(recipe: Recipe, pairs_per_second: float, pieces: int, peak: Peak, world_size: int) -> float:
    """MFU, as a share of the peak of all devices; `pieces` is the mean text length in word pieces."""
    return pairs_per_second * training_flops(recipe, pieces) / (peak.flops * world_size)
