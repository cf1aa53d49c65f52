"""Composite operations and updates on a GPU run as kernels, and give the CPU's numbers."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight.arrays import kinds
from rushlight.compiler import nvrtc
from rushlight.ops.fused import Fused


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of kernels in the order in which they are launched."""
    launched: list[str] = []
    functions_of = nvrtc.functions_of

    def watched(source: str, names: tuple[str, ...], device: int) -> Any:
        launched.extend(names)
        return functions_of(source, names, device)

    for module in ("cuda_program", "cuda_flat"):
        monkeypatch.setattr(f"rushlight.compiler.{module}.functions_of", watched)
    kinds.gpu()
    return launched


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The functions that are launched, for programs that are loaded in the test."""
    found: list[int] = []
    launch = cupy.cuda.driver.launchKernel

    def watched(function: int, *rest: Any) -> None:
        found.append(function)
        launch(function, *rest)

    monkeypatch.setattr(cupy.cuda.driver, "launchKernel", watched)
    return found


def _weights(x: Any, *shape: int) -> list[Any]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(*shape, generator=generator).to(x.device) for _ in range(2)]


def _target(x: Any) -> Any:
    return (torch.arange(6) * 7 % 40).to(x.device)


ROWS: dict[str, Any] = {
    "softmax": lambda x: F.softmax(x, -1),
    "softmax of columns": lambda x: F.softmax(x, 0),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "logsumexp": lambda x: torch.logsumexp(x, -1),
    "layer_norm": lambda x: F.layer_norm(x, (40,), *_weights(x, 40)),
    "rms_norm": lambda x: F.rms_norm(x, (40,), _weights(x, 40)[0]),
    "gelu": F.gelu,
    "gelu with tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "elu": F.elu,
    "tanh": torch.tanh,
    "cross_entropy": lambda x: F.cross_entropy(x, _target(x)),
    "cross_entropy with smoothing": lambda x: F.cross_entropy(x, _target(x), label_smoothing=0.1),
    "nll": lambda x: F.nll_loss(F.log_softmax(x, -1), _target(x)),
    "smooth_l1": lambda x: F.smooth_l1_loss(x, _weights(x, 6, 40)[0]),
    "huber": lambda x: F.huber_loss(x, _weights(x, 6, 40)[0]),
    "mse": lambda x: F.mse_loss(x, _weights(x, 6, 40)[0]),
    "kl_div": lambda x: F.kl_div(F.log_softmax(x, -1), F.softmax(_weights(x, 6, 40)[0], -1), reduction="batchmean"),
    "bce with logits": lambda x: F.binary_cross_entropy_with_logits(x, torch.sigmoid(_weights(x, 6, 40)[0])),
}
IMAGES: dict[str, Any] = {
    "group_norm": lambda x: F.group_norm(x, 4, *_weights(x, 8)),
    "batch_norm": lambda x: F.batch_norm(x, None, None, *_weights(x, 8), training=True),
    "instance_norm": lambda x: F.instance_norm(x),
}
CASES = {name: (function, (6, 40)) for name, function in ROWS.items()}
CASES |= {name: (function, (3, 8, 5, 5)) for name, function in IMAGES.items()}


def _value_and_derivatives(function: Any, x: Any, device: str) -> list[np.ndarray]:
    x = x.to(device, copy=True).requires_grad_(True)
    y = function(x)
    (first,) = torch.autograd.grad((y * torch.cos(y)).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((first * torch.sin(first)).sum(), x)
    return [value.detach().cpu().numpy() for value in (y, first, second)]


@pytest.mark.parametrize("name", CASES)
def test_composite_operations(name: str) -> None:
    """Three times: step by step, compiled, and compiled already."""
    function, shape = CASES[name]
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    expected = _value_and_derivatives(function, x, "cpu")
    for _ in range(3):
        found = _value_and_derivatives(function, x, "cuda")
        for want, value in zip(expected, found, strict=True):
            assert (value.shape, value.dtype) == (want.shape, want.dtype)
            np.testing.assert_allclose(value, want, rtol=2e-5, atol=2e-5 * max(1, abs(want).max()))


def test_a_softmax_is_one_kernel(launches: list[int]) -> None:
    x = torch.randn(50, 31).cuda()
    for _ in range(3):
        launches.clear()
        F.softmax(x, -1)
    assert len(launches) == 1


def test_signatures_are_told_apart() -> None:
    double = Fused(lambda xp, x, *, factor: xp.exp(x) * factor - 1)
    xp = kinds.gpu()
    for shape in ((3, 4), (4, 3), (5,)):
        for dtype in (np.float32, np.float64):
            for factor in (2.0, 3.0):
                x = cupy.asarray(np.linspace(0, 1, np.prod(shape)).reshape(shape).astype(dtype))
                for _ in range(3):
                    found = double(xp, x, factor=factor)
                    np.testing.assert_allclose(found.get(), np.exp(x.get()) * factor - 1, rtol=1e-6)
                    assert found.dtype == dtype


def test_arrays_with_gaps() -> None:
    x = torch.randn(40, 30)
    for _ in range(3):
        found = F.softmax(x.cuda().T, -1)
        np.testing.assert_allclose(found.cpu().numpy(), F.softmax(x.T, -1).numpy(), rtol=1e-5)
        np.testing.assert_allclose(
            F.gelu(x.cuda()[:, ::2]).cpu().numpy(), F.gelu(x[:, ::2]).numpy(), rtol=1e-5, atol=1e-6
        )


HALVES = {name: ROWS[name] for name in ("softmax", "log_softmax", "gelu", "silu", "tanh")}
HALVES |= {"add": lambda x: x + x, "add a row": lambda x: x + x[0]}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_one_kernel(dtype: Any, launches: list[int]) -> None:
    """As the CPU computes it: in float32, rounded once."""
    x = torch.randn(7, 43, generator=torch.Generator().manual_seed(0)).to(dtype)
    tolerance = 1e-2 if dtype is torch.bfloat16 else 1e-3
    for name, function in HALVES.items():
        want = function(x).float().numpy()
        for _ in range(3):
            launches.clear()
            found = function(x.cuda())
            np.testing.assert_allclose(found.cpu().float().numpy(), want, rtol=tolerance)
            assert found.dtype is dtype
        assert len(launches) == 1, name


@pytest.mark.parametrize("name", ["softmax", "gelu", "layer_norm", "tanh"])
def test_derivatives_of_half_precision(name: str) -> None:
    """Formulas in float32, each result rounded once, also where an operand was broadcast."""
    x = torch.randn(6, 40, generator=torch.Generator().manual_seed(0)).bfloat16()
    row = torch.randn(40, generator=torch.Generator().manual_seed(1)).bfloat16()

    def gradients(device: str) -> list[np.ndarray]:
        leaves = [value.to(device, copy=True).requires_grad_(True) for value in (x, row)]
        inner = leaves[0] * leaves[1]
        y = F.layer_norm(inner, (40,), leaves[1], leaves[1]) if name == "layer_norm" else ROWS[name](inner)
        grads = torch.autograd.grad((y * y).sum(), leaves)
        assert all(grad.dtype is torch.bfloat16 for grad in grads)
        return [grad.cpu().float().numpy() for grad in grads]

    expected = gradients("cpu")
    for _ in range(3):
        for want, found in zip(expected, gradients("cuda"), strict=True):
            np.testing.assert_allclose(found, want, rtol=2e-2, atol=1e-2 * abs(want).max())


NORMS: dict[str, Any] = {
    "batch_norm": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    "group_norm": lambda x, w, b: F.group_norm(x, 4, w, b),
    "instance_norm": lambda x, w, b: F.instance_norm(x, None, None, w, b),
    "layer_norm": lambda x, w, b: F.layer_norm(x.movedim(1, -1), (8,), w, b),
    "rms_norm": lambda x, w, b: F.rms_norm(x.movedim(1, -1), (8,), w),
}


@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", NORMS)
def test_norms_of_half_precision(name: str, weights: Any, launches: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels read and write half precision; gradients have the dtypes of their operands."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator) for shape in ((3, 8, 5, 5), (8,), (8,), (3, 8, 5, 5))]
    values[0] += 4  # differences from the mean are small beside it

    def step(device: str) -> list[Any]:
        dtypes = torch.bfloat16, weights, weights
        leaves = [v.to(t).to(device).requires_grad_() for v, t in zip(values, dtypes, strict=False)]
        out = NORMS[name](*leaves)
        far = values[3].bfloat16().to(device).reshape(out.shape)
        grads = torch.autograd.grad(out, leaves, far, allow_unused=True)
        assert out.dtype is torch.bfloat16
        assert all(g is None or g.dtype is x.dtype for g, x in zip(grads, leaves, strict=True))
        return [t.detach().cpu().float().numpy() for t in (out, *grads) if t is not None]

    expected = step("cpu")
    for _ in range(3):
        found = step("cuda")
        for i, (want, got) in enumerate(zip(expected, found, strict=True)):
            tolerance = 1e-4 if i > 1 and weights is torch.float32 else 1e-2
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * abs(want).max())
    astype, widened = kinds.gpu().astype, []
    monkeypatch.setattr(kinds.gpu(), "astype", lambda x, dtype: widened.append(x.size) or astype(x, dtype))
    launches.clear()
    step("cuda")
    assert launches and max(widened, default=0) < 100  # never an image


@pytest.mark.parametrize("shape", [(40,), (6, 1), (1,), ()])
def test_sums_of_broadcast_half_precision(shape: tuple[int, ...], launches: list[int]) -> None:
    """The gradient of what was repeated: summed in float32 and rounded once, by kernels that read half precision."""
    x, row = torch.randn(6, 40).bfloat16().cuda(), torch.randn(shape).bfloat16().cuda().requires_grad_()
    far = torch.randn(6, 40).bfloat16()
    for function, slope in ((torch.add, far.float()), (torch.mul, far.float() * x.cpu().float())):
        want = slope.sum_to_size(shape).bfloat16() if shape else slope.sum().bfloat16()
        for _ in range(3):
            (grad,) = torch.autograd.grad(function(x, row), row, far.cuda())
            np.testing.assert_allclose(grad.cpu().float().numpy(), want.float().numpy(), rtol=1e-2, atol=1e-2)
            assert grad.dtype is torch.bfloat16 and grad.shape == row.shape


METHODS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}, "Adam": {}, "AdamW": {"amsgrad": True}, "Adagrad": {},
    "Adadelta": {}, "Adamax": {}, "ASGD": {}, "NAdam": {}, "RAdam": {}, "RMSprop": {"centered": True, "momentum": 0.5},
    "Rprop": {}, "Adafactor": {}, "Muon": {},
}  # fmt: skip


def _train(method: str, options: dict[str, Any], device: str) -> tuple[list[np.ndarray], Any]:
    generator = torch.Generator().manual_seed(1)
    shapes = [(5, 7), (3, 300)] if method == "Muon" else [(5, 7), (3, 300), (), (9000,)]
    params = [torch.randn(shape, generator=generator).to(device).requires_grad_(True) for shape in shapes]
    optimizer = getattr(torch.optim, method)(params, **options)
    for step in range(7):
        if step == 4:
            optimizer.param_groups[0]["lr"] *= 0.5
        optimizer.zero_grad()
        sum(((param - 1) ** 2).sum() for param in params).backward()
        optimizer.step()
    return [param.detach().cpu().numpy() for param in params], optimizer


@pytest.mark.parametrize("method", METHODS)
def test_optimizers(method: str, kernels: list[str]) -> None:
    expected, _ = _train(method, METHODS[method], "cpu")
    found, optimizer = _train(method, METHODS[method], "cuda")
    for want, value in zip(expected, found, strict=True):
        np.testing.assert_allclose(value, want, rtol=1e-5, atol=1e-6)
    if method not in ("Adafactor", "Muon"):  # whose updates are not elementwise
        assert "flat" in kernels and optimizer._compiled.last is not None


def test_state_of_a_compiled_optimizer_loads_on_the_cpu() -> None:
    _, optimizer = _train("Adam", {}, "cuda")
    param = torch.zeros(5, 7, requires_grad=True)
    other = torch.optim.Adam([param])
    state = optimizer.state_dict()
    state["state"] = {0: state["state"][0]}
    state["param_groups"][0]["params"] = [0]
    other.load_state_dict(state)
    assert float(other.state[param]["step"]) == 7
