"""NumPy's elementwise functions, operators and indexing with tensors among the operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as torch

X = np.array([0.3, 0.9, 0.5])
Y = np.array([2.0, 1.0, 3.0])
N = np.array([6, 4, 9])
K = np.array([2, 3, 1])
B = np.array([True, False, True])

UNARY = (
    "abs", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "cos", "cosh", "degrees", "exp",
    "exp2", "expm1", "fabs", "floor", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "negative", "positive",
    "radians", "reciprocal", "rint", "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "modf",
    "frexp", "spacing", "conjugate", "logical_not",
)  # fmt: skip
BINARY = (
    "add", "arctan2", "copysign", "divide", "divmod", "equal", "float_power", "floor_divide", "fmax", "fmin", "fmod",
    "greater", "heaviside", "hypot", "less_equal", "logaddexp", "logaddexp2", "logical_and", "matmul", "maximum", "minimum",
    "multiply", "nextafter", "not_equal", "power", "remainder", "subtract", "vecdot",
)  # fmt: skip
INTEGERS = (
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "gcd",
    "lcm",
    "left_shift",
    "right_shift",
    "floor_divide",
    "remainder",
)


def _same(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        for f, e in zip(found, expected, strict=True):
            _same(f, e)
        return
    assert type(found) is torch.Tensor
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    x = X + 1 if name == "arccosh" else X
    _same(getattr(np, name)(torch.tensor(x)), getattr(np, name)(x))


@pytest.mark.parametrize("name", BINARY)
def test_binary_with_the_array_on_either_side(name: str) -> None:
    function = getattr(np, name)
    for x, y in ((torch.tensor(X), torch.tensor(Y)), (X, torch.tensor(Y)), (torch.tensor(X), Y)):
        _same(function(x, y), function(X, Y))


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name: str) -> None:
    found = getattr(np, name)(N, torch.tensor(K))
    _same(found, getattr(np, name)(N, K))
    assert found.dtype is torch.int64


OPERATORS: list[tuple[str, Callable[..., Any]]] = [
    ("ones + t", lambda t: np.ones(3) + t), ("t + ones", lambda t: t + np.ones(3)), ("ones @ t", lambda t: np.ones(3) @ t),
    ("t @ ones", lambda t: t @ np.ones(3)), ("float64 * t", lambda t: np.float64(2) * t), ("t ** 0-d", lambda t: t ** np.array(2.0)),
    ("array / t", lambda t: Y / t), ("array - t", lambda t: Y - t), ("np.multiply with list", lambda t: np.multiply(t, [1, 2, 3])),
    ("outer", lambda t: np.multiply.outer(t, Y)), ("add.reduce", lambda t: np.add.reduce(t)), ("multiply.reduce", lambda t: np.multiply.reduce(t)),
    ("maximum.reduce", lambda t: np.maximum.reduce(t)), ("logaddexp.reduce", lambda t: np.logaddexp.reduce(t)),
    ("add.accumulate", lambda t: np.add.accumulate(t)), ("maximum.accumulate", lambda t: np.maximum.accumulate(t)),
    ("reduce where", lambda t: np.add.reduce(t, where=B)), ("dtype", lambda t: np.add(t, 1, dtype=np.float64)), ("index", lambda t: t[np.array([2, 0, 0])]),
    ("mask", lambda t: t[B]), ("0-d array", lambda t: np.array(2.0) * t),
]  # fmt: skip


@pytest.mark.parametrize("name, function", OPERATORS, ids=[name for name, _ in OPERATORS])
def test_operators_are_recorded(name: str, function: Callable[..., Any]) -> None:
    t = torch.tensor(X, requires_grad=True)
    found = function(t)
    _same(found, function(X))
    assert found.grad_fn is not None
    found.sum().backward()
    assert t.grad is not None


def test_dtypes_are_those_of_from_numpy() -> None:
    t = torch.ones(3)
    assert (np.ones(3) + t).dtype is torch.float64
    assert (np.float64(2) * t).dtype is torch.float32
    assert (np.arange(3) * t).dtype is torch.float32
    assert np.sin(torch.arange(3)).dtype is torch.float32
    assert (np.ones(3) @ t).dtype is torch.float64
    assert (t @ np.ones(3)).dtype is torch.float64


def test_out_and_where() -> None:
    t, array = torch.tensor(X), np.zeros(3)
    assert np.add(t, 1, out=array) is array
    np.testing.assert_allclose(array, X + 1)
    array += t
    np.testing.assert_allclose(array, 2 * X + 1)
    out = torch.zeros(3, dtype=torch.float64)
    assert np.multiply(t, 2, out=out, where=B) is out
    np.testing.assert_allclose(out.numpy(), np.where(B, 2 * X, 0))
    with pytest.raises(TypeError, match="cannot cast"):
        np.add(t, 1, out=torch.zeros(3, dtype=torch.int64))


def test_writing_a_recorded_tensor_into_an_array_raises() -> None:
    array = np.zeros(3)
    with pytest.raises(TypeError, match=r"requires grad.*detach"):
        array += torch.tensor(X, requires_grad=True)


def test_out_tensor_is_recorded_as_a_write() -> None:
    x, out = torch.tensor(X, requires_grad=True), torch.zeros(3, dtype=torch.float64)
    np.sin(x, out=out)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(X))


def test_at() -> None:
    t = torch.zeros(3)
    np.add.at(t, [0, 0, 2], torch.ones(3))
    assert t.tolist() == [2, 0, 1]
    assert t._version == 1


def test_arrays_indexed_by_tensors() -> None:
    array = np.arange(5.0)
    assert array[torch.tensor([4, 1])].tolist() == [4, 1]
    assert array[torch.tensor(2)] == 2
    assert array[torch.tensor([True, False, False, False, True])].tolist() == [0, 4]
    array[torch.tensor([0, 1])] = torch.tensor([8.0, 9.0])
    array[2:4] = torch.ones(2)
    assert array.tolist() == [8, 9, 1, 1, 4]


def test_scipy_special_functions_are_recorded() -> None:
    special = pytest.importorskip("scipy.special")
    t = torch.tensor(X, requires_grad=True)
    for name in ("erf", "expit", "gammaln", "psi", "ndtr"):
        found = getattr(special, name)(t)
        np.testing.assert_allclose(found.detach().numpy(), getattr(special, name)(X), rtol=1e-6)
        assert found.grad_fn is not None
    assert type(special.jv(1, t.detach())) is torch.Tensor
    with pytest.raises(TypeError, match="requires grad"):
        special.jv(1, t)
