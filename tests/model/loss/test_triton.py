"""The Triton kernels against dense float64: on the GPU where they run on one, else on a CPU in Triton's interpreter.

The interpreter computes in float32, so what three parts of TF32 lose can show on a GPU only.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from openalign.model.loss import contrastive as loss_module
from openalign.model.loss import tiles
from openalign.model.loss.contrastive import contrastive_loss
from tests.model.dense_loss import dense_gradients, relative_error, unit_rows

ON_GPU = torch.cuda.is_available() and loss_module._sums_for(torch.empty(0, device="cuda")) is not tiles
if not ON_GPU:
    # Read as Triton's own functions are defined, so it is too late once anything has imported Triton.
    if "triton" in sys.modules and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("Triton was imported before its interpreter was asked for: run alone", allow_module_level=True)
    os.environ["TRITON_INTERPRET"] = "1"
loss_triton = pytest.importorskip("openalign.model.loss.triton", reason="Triton is not installed")

DEVICE = torch.device("cuda" if ON_GPU else "cpu")
# The interpreter subtracts -inf from -inf in the masked rows of a ragged tile, which are never stored.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in subtract:RuntimeWarning")

# In a process of its own, for what the interpreter runs cannot be compiled. Prints the bytes of shared memory.
COMPILE = """
import sys, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from openalign.model.loss import triton as loss_triton
for kernel in (loss_triton._log_sum_exps_of_tile, loss_triton._softmaxes_of_tile):
    types = {name: "*fp32" if name.endswith("_ptr") else "i32" for name in kernel.arg_names}
    types |= {"scale": "fp32", "WIDTH": "constexpr"}
    source = ASTSource(kernel, types, {"WIDTH": 640})
    target = GPUTarget("cuda", int(sys.argv[1]), 32)
    print(triton.compile(source, target=target, options={"num_warps": loss_triton.WARPS}).metadata.shared)
"""


def rows_of(count: int, width: int, seed: int) -> Tensor:
    return unit_rows(count, width, seed).float().to(DEVICE)


def dense_sums(x_nD: Tensor, y_ND: Tensor, temperature: float) -> list[Tensor]:
    """Row and column log-sum-exps, p y and p' x, in float64."""
    x_nD, y_ND = x_nD.double(), y_ND.double()
    z_nN = x_nD @ y_ND.T / temperature
    p_nN = z_nN.softmax(1) + z_nN.softmax(0)
    return [z_nN.logsumexp(1), z_nN.logsumexp(0), p_nN @ y_ND, p_nN.T @ x_nD]


def own_sums(x_nD: Tensor, y_ND: Tensor, temperature: float) -> list[Tensor]:
    rows_n, columns_N = loss_triton.log_sum_exps(x_nD, y_ND, temperature)
    return [rows_n, columns_N, *loss_triton.softmax_sums(x_nD, y_ND, temperature, rows_n, columns_N)]


@pytest.mark.parametrize("temperature", [0.005, 0.0625, 2.0])
@pytest.mark.parametrize(
    ("own", "count", "width"),
    [
        pytest.param(256, 256, 64, id="whole tiles"),
        pytest.param(130, 257, 33, id="ragged in all three"),
        pytest.param(1, 5, 3, id="less than a tile"),
        pytest.param(40, 400, 640, id="one process of ten"),
    ],
)
def test_kernels_equal_dense_sums(own: int, count: int, width: int, temperature: float) -> None:
    x_nD, y_ND = rows_of(own, width, 1), rows_of(count, width, 2)
    for found, expected in zip(own_sums(x_nD, y_ND, temperature), dense_sums(x_nD, y_ND, temperature), strict=True):
        assert found.dtype == torch.float32
        assert relative_error(found, expected) < 1e-5


@pytest.mark.parametrize("strip", [1, 50, 128, 1000])
def test_strips_of_any_height_give_the_same_sums(strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_triton, "STRIP", strip)
    x_nD, y_ND = rows_of(150, 16, 1), rows_of(140, 16, 2)
    for found, expected in zip(own_sums(x_nD, y_ND, 0.0625), dense_sums(x_nD, y_ND, 0.0625), strict=True):
        assert relative_error(found, expected) < 1e-5


def test_rows_that_are_not_contiguous_are_read_right() -> None:
    x_nD, y_ND = rows_of(48, 40, 1).T, rows_of(48, 40, 2).T
    for found, expected in zip(own_sums(x_nD, y_ND, 1.0), dense_sums(x_nD, y_ND, 1.0), strict=True):
        assert relative_error(found, expected) < 1e-5


def test_equal_inputs_give_equal_bits() -> None:
    x_nD, y_ND = rows_of(300, 64, 1), rows_of(300, 64, 2)
    for first, second in zip(own_sums(x_nD, y_ND, 0.0625), own_sums(x_nD, y_ND, 0.0625), strict=True):
        assert torch.equal(first, second)


def test_a_temperature_far_below_one_88th_does_not_overflow() -> None:
    x_nD = rows_of(140, 8, 0)
    assert all(bool(found.isfinite().all()) for found in own_sums(x_nD, x_nD, 0.002))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0.02, 0.0625])
def test_loss_on_the_kernels_equals_dense_cross_entropy(
    temperature: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ON_GPU:
        monkeypatch.setattr(loss_module, "_sums_for", lambda rows: loss_triton)
    x_ND, y_ND = rows_of(300, 64, 1).to(dtype), rows_of(300, 64, 2).to(dtype)
    t = torch.tensor(temperature, device=DEVICE)
    leaves = [value.clone().requires_grad_() for value in (x_ND, y_ND, t)]
    loss = contrastive_loss(*leaves, 0.1)  # type: ignore[arg-type]
    loss.backward()  # type: ignore[no-untyped-call]
    expected, gradients = dense_gradients((x_ND.cpu(), y_ND.cpu(), t.cpu()), 0.1)
    assert abs(float(loss.detach()) - float(expected)) < 1e-5 * float(expected)
    for leaf, other in zip(leaves, gradients, strict=True):
        assert leaf.grad is not None
        assert relative_error(leaf.grad.cpu(), other) < max(1e-5, torch.finfo(leaf.dtype).eps)


def test_both_passes_run_on_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    if not ON_GPU:
        monkeypatch.setattr(loss_module, "_sums_for", lambda rows: loss_triton)
    called = []
    for name in ("log_sum_exps", "softmax_sums"):
        kernel = getattr(loss_triton, name)
        monkeypatch.setattr(loss_triton, name, lambda *values, n=name, k=kernel: called.append(n) or k(*values))
    x_ND, y_ND = rows_of(20, 8, 1).requires_grad_(), rows_of(20, 8, 2)
    contrastive_loss(x_ND, y_ND, 0.0625).backward()  # type: ignore[no-untyped-call]
    assert called == ["log_sum_exps", "softmax_sums"]


# Shared memory a block may take, from NVIDIA's table of compute capabilities.
@pytest.mark.slow
@pytest.mark.parametrize(("capability", "limit_kib"), [(80, 163), (86, 99), (90, 227)])
def test_kernels_compile_and_fit_shared_memory(capability: int, limit_kib: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(capability)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env=environment,
    )
    sizes = [int(line) for line in done.stdout.split()]
    assert len(sizes) == 2 and max(sizes) <= limit_kib * 1024, sizes
