"""Calls on arrays of GPUs take a short path, and give there what the long one gives: CuPy's function, and the same node."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight.arrays import kinds
from rushlight.nn import functional as F
from rushlight.ops import define, elementwise as ops, long_path, short_paths

several = pytest.mark.skipif(
    kinds.gpu().cupy.cuda.runtime.getDeviceCount() < 2, reason="needs two GPUs (the stand-in has two)"
)

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "x / y": lambda x, y: x / y,
    "x ** 2": lambda x, y: x**2,
    "x + 1": lambda x, y: x + 1,
    "x * 0.5": lambda x, y: x * 0.5,
    "1 - x": lambda x, y: 1 - x,
    "2 / x": lambda x, y: 2 / x,
    "x < y": lambda x, y: x < y,
    "x != 1.5": lambda x, y: x != 1.5,
    "maximum": torch.maximum,
    "where": lambda x, y: torch.where(x.detach() > y.detach(), x, y),
    "lerp": lambda x, y: torch.lerp(x, y, x),
    "exp": lambda x, y: x.exp(),
    "tanh": lambda x, y: x.tanh(),
    "sigmoid": lambda x, y: x.sigmoid(),
    "relu": lambda x, y: torch.relu(x),
    "gelu": lambda x, y: F.gelu(x),
    "leaky_relu": lambda x, y: F.leaky_relu(x, 0.2),
    "clamp": lambda x, y: x.clamp(1.0, 1.6),
    "sum": lambda x, y: x.sum(),
    "sum of rows": lambda x, y: x.sum(1),
    "mean": lambda x, y: x.mean(0),
    "amax": lambda x, y: x.amax(1),
    "softmax": lambda x, y: x.softmax(-1),
    "matmul": lambda x, y: x @ y.T,
    "linear": lambda x, y: F.linear(x, y, y[:, 0]),
    "linear without bias": lambda x, y: F.linear(x, y),
    "layer_norm": lambda x, y: F.layer_norm(x, (4,), y[0], y[1]),
    "reshape": lambda x, y: x.reshape(2, 6),
    "transpose": lambda x, y: x.T,
    "slice": lambda x, y: x[1:, ::2],
}


@contextlib.contextmanager
def only_short_paths() -> Iterator[None]:
    """The long path fails."""

    def fail(inputs: tuple) -> Any:
        raise AssertionError(f"the long path was taken for {inputs}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_path, "as_tensors", fail)
        yield


def _operands(device: str, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(0)
    x, y = (torch.from_numpy(random.uniform(0.5, 2, (3, 4))).to(device, dtype) for _ in range(2))
    return x.requires_grad_(), y.requires_grad_()


def _history(node: Any, depth: int = 3) -> Any:
    return (
        None if node is None or not depth else (node.name(), [_history(n, depth - 1) for n, _ in node.next_functions])
    )


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_without_the_long_path(name: str) -> None:
    call = CALLS[name]
    x, y = _operands("cpu", torch.float64)
    expected = call(x, y)
    weight = torch.arange(expected.numel(), dtype=torch.float64).reshape(expected.shape)
    gradients = torch.autograd.grad(expected, (x, y), weight, allow_unused=True) if expected.requires_grad else ()
    here, there, weight = *_operands("cuda", torch.float64), weight.cuda()
    for _ in range(3):  # the second call may be compiled
        with only_short_paths():
            got = call(here, there)
            found = torch.autograd.grad(got, (here, there), weight, allow_unused=True) if got.requires_grad else ()
            again = call(here, there)
            with torch.no_grad():
                assert not call(here, there).requires_grad
        assert got.is_cuda and got.dtype == expected.dtype and got.requires_grad == expected.requires_grad
        assert _history(again.grad_fn) == _history(expected.grad_fn)
        np.testing.assert_allclose(got.detach().cpu().numpy(), expected.detach().numpy(), rtol=1e-14)
        for mine, theirs in zip(found, gradients, strict=True):
            assert (mine is None) == (theirs is None)
            if mine is not None:
                np.testing.assert_allclose(mine.cpu().numpy(), theirs.numpy(), rtol=1e-12, atol=1e-14)


def test_a_training_step_takes_no_long_path() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).cuda()
    x, y = torch.randn(6, 4).cuda(), torch.tensor([0, 1, 2, 2, 1, 0]).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    losses = [step().item() for _ in range(25)]  # the optimizer's updates are compiled after 20
    with only_short_paths():
        last = step()
    assert last.item() < losses[-1] < losses[0]


def test_what_is_unusual_takes_the_long_path() -> None:
    x = torch.tensor([1.0, 2.0], device="cuda")
    whole = torch.tensor([1, 2], device="cuda")
    assert torch.equal((x + whole).cpu(), torch.tensor([2.0, 4.0])) and (x + whole).dtype is torch.float32
    assert (whole / 2).dtype is torch.float32 and (whole * 2.5).dtype is torch.float32
    assert (x + torch.tensor(1.0)).tolist() == [2.0, 3.0] and (torch.tensor(1.0) + x).tolist() == [2.0, 3.0]
    assert (x.half() + x.half()).dtype is torch.float16 and (x.bfloat16() * 2).dtype is torch.bfloat16
    assert (x + True).tolist() == [2.0, 3.0] and (x * 1j).dtype is torch.complex64
    assert (x + np.float64(1)).tolist() == [2.0, 3.0]
    assert torch.exp(whole).dtype is torch.float32
    with pytest.raises(TypeError):
        x + "1"  # type: ignore[operator]
    with pytest.raises(RuntimeError, match="two bool tensors"):
        (x > 1) - (x > 1)


def test_integers_beyond_64_bits_are_floats_beside_floats() -> None:
    x = torch.tensor([1.0, 2.0], device="cuda")
    for call in (lambda x: x * 2**70, lambda x: 2**70 * x, lambda x: x + 2**70, lambda x: 2**70 - x):
        assert torch.equal(call(x).cpu(), call(x.cpu()))
    assert torch.equal(x.mul_(2**70).cpu(), torch.tensor([1.0, 2.0]) * 2**70)


def test_shapes_that_do_not_fit() -> None:
    x, y = torch.ones(2, 3, device="cuda"), torch.ones(2, 4, device="cuda")
    with pytest.raises(RuntimeError, match=r"The size of tensor a \(3\) must match the size of tensor b \(4\)"):
        x + y
    with pytest.raises(RuntimeError, match=r"The size of tensor a \(3\) must match the size of tensor b \(4\)"):
        x.add_(y)
    with pytest.raises(RuntimeError, match="output with shape"):
        x[0].add_(torch.ones(2, 3, device="cuda"))
    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied \(2x3 and 2x4\)"):
        x @ y


@several
def test_arrays_on_another_device_than_the_current_one() -> None:
    x, y = (torch.tensor([1.0, 2.0], device="cuda:1", requires_grad=True) for _ in range(2))
    weight = torch.ones(2, 2, device="cuda:1")
    for out in (
        x + y,
        x * 2.0,
        2.0 * x,
        x.exp(),
        x.sum(),
        torch.where(x > y, x, y),
        weight @ x,
        F.linear(x, weight, y),
    ):
        assert out.device == torch.device("cuda:1")
    out = (x * y).sum()
    out.backward()
    out = (x * y).sum()
    out.backward()  # into gradients that are there
    assert x.grad is not None and x.grad.device == x.device and x.grad.tolist() == [2.0, 4.0]
    with torch.no_grad():
        x.add_(y).mul_(2.0)
    assert x.tolist() == [4.0, 8.0]
    assert torch.cuda.current_device() == 0
    with torch.cuda.device(1):
        assert (x + y).device == torch.device("cuda:1")
        assert torch.equal((x + y).cpu(), x.cpu() + y.cpu())


@several
def test_operands_on_several_devices_are_refused() -> None:
    x, y = torch.ones(2, device="cuda:0"), torch.ones(2, device="cuda:1")
    for call in (
        lambda: x + y, lambda: y + x, lambda: x < y, lambda: torch.where(x > 0, x, y), lambda: x.add_(y), lambda: x @ y,
        lambda: F.linear(torch.ones(2, 2, device="cuda:0"), torch.ones(2, 2, device="cuda:1"), x),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            call()
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        x + torch.ones(2)


def test_where_there_is_one_device_nobody_asks_which(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = kinds.gpu()
    monkeypatch.setattr(gpu, "num_devices", lambda: 1)
    monkeypatch.setattr(gpu, "are_elsewhere", lambda *arrays: 1 / 0)

    @define.op(elementwise=True)
    def doubled(xp: Any, x: Any) -> Any:
        return xp.add(x, x)

    @define.op(elementwise=True)
    def minus(xp: Any, x: Any, y: Any) -> Any:
        return xp.subtract(x, y)

    x = torch.tensor([1.0, 2.0], device="cuda")
    assert doubled(x).tolist() == [2.0, 4.0] and minus(x, 3.0).tolist() == [-2.0, -1.0]
    monkeypatch.setattr(gpu, "num_devices", lambda: 2)
    short = short_paths.short_path(minus.op, gpu)
    with pytest.raises(ZeroDivisionError):
        short(x, x)


def test_modes_and_hooks_are_heeded() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], device="cuda", requires_grad=True)
    packed: list[Any] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or t, lambda t: t):
        out = x * x
    assert len(packed) == 2 and torch.autograd.grad(out.sum(), x)[0].tolist() == [[2.0, 4.0], [6.0, 8.0]]
    with torch.autocast("cuda", torch.bfloat16):
        assert (x @ x).dtype is torch.bfloat16
    assert (x @ x).dtype is torch.float32
    with torch.inference_mode():
        assert not (x + x).requires_grad
    with (
        pytest.warns(UserWarning, match="Anomaly|Sqrt") as warned,
        torch.autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match="nan"),
    ):
        (x * 0).sqrt().mul(0).sum().backward()
    assert "SqrtBackward0" in str(warned[-1].message)  # and the line that called it
    seen: list[Any] = []
    x.register_hook(seen.append)
    (x + x).sum().backward()
    assert seen[0].tolist() == [[2.0, 2.0], [2.0, 2.0]]
    batched = torch.func.vmap(lambda row: row * 2 + row)(x.detach())
    assert batched.is_cuda and batched.tolist() == [[3.0, 6.0], [9.0, 12.0]]


def test_a_call_is_one_event_of_the_profiler() -> None:
    x = torch.ones(2, device="cuda")
    with torch.profiler.profile() as profile:
        x + x, x.exp(), x.sum(), F.linear(x, torch.ones(2, 2, device="cuda"), x)
    counts = {event.key: event.count for event in profile.key_averages()}
    assert {name: counts[f"aten::{name}"] for name in ("add", "exp", "sum", "linear")} == {
        "add": 1, "exp": 1, "sum": 1, "linear": 1,
    }  # fmt: skip


def test_subclasses_are_operands_like_others() -> None:
    parameter = torch.nn.Parameter(torch.ones(2, device="cuda"))
    out = parameter + parameter
    assert type(out) is torch.Tensor and out.grad_fn.name() == "AddBackward0" and out.requires_grad


def test_writes_are_noticed() -> None:
    x = torch.ones(3, device="cuda", requires_grad=True)
    y = x * 1.0
    out = y * y
    y.detach().add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x.add_(1.0)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        torch.ones(1, device="cuda").expand(3).add_(1.0)
    base = torch.zeros(4, device="cuda")
    base[1:].add_(torch.ones(3, device="cuda"))
    base[:2].sub_(0.5)
    base[1:].mul_(base[:3])  # which overlaps
    assert base.tolist() == [-0.5, -0.25, 0.5, 1.0]


def test_gradients_are_added_where_they_are() -> None:
    x = torch.ones(3, device="cuda", requires_grad=True)
    (x * 2).sum().backward()
    grad = x.grad
    (x * 3).sum().backward()
    assert x.grad is grad and grad.tolist() == [5.0, 5.0, 5.0]


def test_a_derivative_of_several_steps_is_one_kernel() -> None:
    x = torch.linspace(-1, 1, 5, device="cuda", requires_grad=True)
    for _ in range(3):
        (grad,) = torch.autograd.grad(torch.tanh(x).sum(), x)
    np.testing.assert_allclose(grad.cpu().numpy(), 1 - np.tanh(np.linspace(-1, 1, 5, dtype=np.float32)) ** 2, rtol=1e-5)
    (formula,) = ops.tanh.op.formulas
    assert not formula.large.is_one_step and any(formula.large.programs.values())
    (formula,) = ops.neg.op.formulas
    for _ in range(2):
        torch.autograd.grad(-x, x, x.detach())
    assert formula.large.is_one_step


@pytest.mark.parametrize("classes", [[1, 2, -100, 4, 0, 0], [1, 2, 3, 4, 0, 0], [-100] * 6])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_cross_entropy_counts_out_ignored_classes(classes: list[int], dtype: str) -> None:
    theirs = pytest.importorskip("torch")
    rows = np.random.default_rng(0).standard_normal((6, 5))
    logits = theirs.tensor(rows, dtype=getattr(theirs, dtype), requires_grad=True)
    expected = theirs.nn.functional.cross_entropy(logits, theirs.tensor(classes))
    expected.backward()
    tolerance = {"float32": 1e-6, "bfloat16": 8e-3}[dtype]
    for _ in range(3):
        x = torch.tensor(rows, dtype=getattr(torch, dtype), device="cuda", requires_grad=True)
        loss = F.cross_entropy(x, torch.tensor(classes, device="cuda"))
        loss.backward()
        assert loss.grad_fn.name() == "NllLossBackward0" and loss.dtype == x.dtype
        np.testing.assert_allclose(loss.item(), expected.item(), rtol=tolerance)
        np.testing.assert_allclose(x.grad.double().cpu().numpy(), logits.grad.double().numpy(), atol=tolerance / 2)


def test_cross_entropy_differentiated_twice() -> None:
    theirs = pytest.importorskip("torch")
    rows, classes = np.random.default_rng(1).standard_normal((4, 3)), [0, -100, 2, 1]
    found = []
    for module, device in ((theirs, "cpu"), (torch, "cuda")):
        x = module.tensor(rows, device=device, requires_grad=True)
        loss = module.nn.functional.cross_entropy(x, module.tensor(classes, device=device))
        (grad,) = module.autograd.grad(loss, x, create_graph=True)
        (second,) = module.autograd.grad((grad**2).sum(), x)
        found.append(second.cpu().numpy())
    np.testing.assert_allclose(*found, rtol=1e-10, atol=1e-14)
