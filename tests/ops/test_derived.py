"""Second derivatives by way of a formula as one operation, against PyTorch's and against the formula step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as pytorch

import rushlight
from rushlight.ops import derived

CASES: dict[str, Any] = {
    "tanh": lambda torch, x: x.tanh(),
    "sigmoid": lambda torch, x: x.sigmoid(),
    "relu": lambda torch, x: x.relu() * x,
    "gelu": lambda torch, x: torch.nn.functional.gelu(x),
    "silu": lambda torch, x: torch.nn.functional.silu(x),
    "softplus": lambda torch, x: torch.nn.functional.softplus(x, beta=2.0),
    "softmax": lambda torch, x: x.softmax(1) ** 2,
    "log_softmax": lambda torch, x: x.log_softmax(1) ** 2,
    "layer_norm": lambda torch, x: torch.nn.functional.layer_norm(x, (3,)) ** 2,
    "cross_entropy": lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor([0, 2, 1, 1])),
    "bce": lambda torch, x: torch.nn.functional.binary_cross_entropy_with_logits(x, x.detach().sigmoid()),
    "linear": lambda torch, x: torch.nn.functional.linear(x, x[:2], x[:2, 0]) ** 2,
}
VALUES = np.random.default_rng(3).normal(size=(4, 3))


WEIGHT = np.arange(12).reshape(4, 3) / 7 - 0.5


def derivatives(torch: Any, name: str, order: int, values: np.ndarray = VALUES, layout: str = "C") -> list[np.ndarray]:
    """Each order is the derivative of the one before, weighted and summed up."""
    x = torch.tensor(values.tolist(), dtype=torch.float64)
    x = (x.t().contiguous().t() if layout == "F" else x).requires_grad_()
    weight = torch.tensor(WEIGHT.tolist(), dtype=torch.float64)
    found, total = [], CASES[name](torch, x).sum()
    for _ in range(order):
        (grad,) = torch.autograd.grad(total, x, create_graph=True)
        found.append(grad.detach().numpy())
        total = (grad * weight).sum()
    return found


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("name", CASES)
def test_second_order_against_pytorch(name: str, layout: str) -> None:
    mine = derivatives(rushlight, name, 2, layout=layout)
    for found, expected in zip(mine, derivatives(pytorch, name, 2, layout=layout), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in CASES if name != "relu"])
def test_third_order_against_differences_of_the_second(name: str) -> None:
    step, direction = 1e-5, np.random.default_rng(4).normal(size=VALUES.shape)
    third = derivatives(rushlight, name, 3)[2]
    above, below = (
        (derivatives(rushlight, name, 2, VALUES + sign * step * direction)[1] * WEIGHT).sum() for sign in (1, -1)
    )
    np.testing.assert_allclose((third * direction).sum(), (above - below) / (2 * step), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["tanh", "softmax", "cross_entropy"])
def test_compiled_and_step_by_step_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(25):  # by then the formulas and their products are programs
        compiled = derivatives(rushlight, name, 2)
    monkeypatch.setattr(derived.Derived, "__call__", lambda self, operands: None)
    for quick, slow in zip(compiled, derivatives(rushlight, name, 2), strict=True):
        np.testing.assert_allclose(quick, slow, rtol=1e-12, atol=1e-12)


def test_one_node_for_a_formula() -> None:
    x = rushlight.tensor(VALUES.tolist(), requires_grad=True)
    loss = rushlight.nn.functional.cross_entropy(x, rushlight.tensor([0, 2, 1, 1]))
    (g,) = rushlight.autograd.grad(loss, x, create_graph=True)
    assert g.grad_fn.name() == "NllLossBackwardBackward0"
    assert [node.name() for node, _ in g.grad_fn.next_functions if node is not None] == [
        "torch::autograd::AccumulateGrad"
    ]


def test_what_a_formula_does_not_depend_on_has_no_gradient() -> None:
    x = rushlight.ones(3, requires_grad=True)
    weight = rushlight.ones(3, requires_grad=True)
    (g,) = rushlight.autograd.grad(x.tanh(), x, weight, create_graph=True)
    for _ in range(3):
        found = rushlight.autograd.grad(g.sum(), [weight, x], retain_graph=True)
    np.testing.assert_allclose(found[0].numpy(), 1 - np.tanh(1.0) ** 2, rtol=1e-6)
    half = rushlight.ones(3, dtype=rushlight.float16, requires_grad=True)
    (g,) = rushlight.autograd.grad(half.tanh().sum(), half, create_graph=True)
    assert g.dtype is rushlight.float16 and rushlight.autograd.grad(g.sum(), half)[0].dtype is rushlight.float16


def test_a_saved_value_that_was_written_to_is_noticed() -> None:
    x = rushlight.ones(3, requires_grad=True)
    weight = rushlight.ones(3)
    (g,) = rushlight.autograd.grad(x.tanh(), x, weight, create_graph=True)
    weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        g.sum().backward()
