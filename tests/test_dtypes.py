"""Dtypes beside PyTorch's: promotion of every pair, Python numbers, limits, the default dtype."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import rushlight

NAMES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
FLOATS = ("float16", "bfloat16", "float32", "float64")
PLAIN = tuple(name for name in NAMES if name not in ("uint16", "uint32", "uint64"))


@pytest.fixture(params=FLOATS[2:])
def default(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each default dtype in both libraries."""
    for torch in (pytorch, rushlight):
        torch.set_default_dtype(getattr(torch, request.param))
    yield request.param
    for torch in (pytorch, rushlight):
        torch.set_default_dtype(torch.float32)


def outcome(function: Any) -> str:
    """The name of a dtype, or of an exception's type."""
    try:
        return str(function())
    except Exception as error:  # noqa: BLE001  (compared)
        return type(error).__name__


@pytest.mark.parametrize("a", NAMES)
def test_promote_types(a: str) -> None:
    for b in NAMES:
        theirs = outcome(lambda b=b: pytorch.promote_types(getattr(pytorch, a), getattr(pytorch, b)))
        mine = outcome(lambda b=b: rushlight.promote_types(getattr(rushlight, a), getattr(rushlight, b)))
        assert mine == theirs, f"{a}, {b}"


@pytest.mark.parametrize("a", PLAIN)
@pytest.mark.usefixtures("default")
def test_results_of_addition(a: str) -> None:
    """Tensors with and without dimensions, and Python numbers: what each pair gives."""
    operands = [(shape, b) for shape in ((2,), ()) for b in PLAIN] + [(None, n) for n in (True, 1, 1.0, 1j)]
    for shape, (other_shape, b) in itertools.product(((2,), ()), operands):
        if "float16" in (a, b) and (a.startswith("complex") or str(b).startswith("complex") or b == 1j):
            continue  # PyTorch's complex32, which has no counterpart in NumPy
        results = []
        for torch in (pytorch, rushlight):
            x = torch.ones(shape, dtype=getattr(torch, a))
            y = b if other_shape is None else torch.ones(other_shape, dtype=getattr(torch, b))
            results.append(outcome(lambda x=x, y=y: (x + y).dtype))
            results.append(outcome(lambda x=x, y=y: (y + x).dtype))
        assert results[:2] == results[2:], f"{a}{shape} + {b}{other_shape}"


@pytest.mark.parametrize("a", PLAIN)
@pytest.mark.usefixtures("default")
def test_division_and_functions_of_integers(a: str) -> None:
    for function in (lambda x: x / 2, lambda x: x / x, lambda x: x.exp(), lambda x: x.sqrt(), lambda x: x.sum(), lambda x: x.prod(), lambda x: x.cumsum(0)):  # fmt: skip
        results = [
            outcome(lambda t=t, function=function: function(t.ones(2, dtype=getattr(t, a))).dtype)
            for t in (pytorch, rushlight)
        ]
        assert results[0] == results[1]


@pytest.mark.parametrize("name", FLOATS)
def test_finfo(name: str) -> None:
    theirs, mine = pytorch.finfo(getattr(pytorch, name)), rushlight.finfo(getattr(rushlight, name))
    for field in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
        assert getattr(mine, field) == pytest.approx(getattr(theirs, field)), field


@pytest.mark.parametrize("name", ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"])
def test_iinfo(name: str) -> None:
    theirs, mine = pytorch.iinfo(getattr(pytorch, name)), rushlight.iinfo(getattr(rushlight, name))
    for field in ("bits", "max", "min", "dtype"):
        assert getattr(mine, field) == getattr(theirs, field), field


def test_limits_of_the_wrong_kind() -> None:
    for torch in (pytorch, rushlight):
        with pytest.raises(TypeError, match="requires a floating point input type"):
            torch.finfo(torch.int32)
        with pytest.raises(TypeError, match="requires an integer input type"):
            torch.iinfo(torch.float32)


def test_properties_and_names() -> None:
    for name in NAMES:
        theirs, mine = getattr(pytorch, name), getattr(rushlight, name)
        assert str(mine) == repr(mine) == str(theirs)
        for field in ("is_floating_point", "is_complex", "is_signed", "itemsize"):
            assert getattr(mine, field) == getattr(theirs, field), f"{name}.{field}"
    for alias in ("float", "double", "half", "int", "long", "short", "cfloat", "cdouble"):
        assert str(getattr(rushlight, alias)) == str(getattr(pytorch, alias))


def test_default_dtype(default: str) -> None:
    for torch in (pytorch, rushlight):
        wanted = getattr(torch, default)
        made = [torch.tensor([1.0]), torch.zeros(2), torch.rand(1), torch.full((1,), 2.0), torch.arange(0.0, 2.0), torch.eye(2), torch.linspace(0, 1, 3)]  # fmt: skip
        assert torch.get_default_dtype() is wanted
        assert {x.dtype for x in made} == {wanted}
        assert torch.tensor([1]).dtype is torch.int64
        assert torch.tensor([True]).dtype is torch.bool
        assert torch.from_numpy(np.ones(1, np.float16)).dtype is torch.float16


def test_default_dtype_has_to_be_floating() -> None:
    for torch in (pytorch, rushlight):
        with pytest.raises(TypeError, match="only floating-point types are supported"):
            torch.set_default_dtype(torch.int64)


@pytest.mark.parametrize("source", PLAIN[:-2])
def test_casts(source: str) -> None:
    values = [0, 1, 2, 3, 100] if source != "bool" else [False, True]
    for target in PLAIN[:-2]:
        results = [
            torch.tensor(values, dtype=getattr(torch, source)).to(getattr(torch, target))
            for torch in (pytorch, rushlight)
        ]
        assert results[0].tolist() == results[1].tolist(), f"{source} to {target}"
        assert str(results[0].dtype) == str(results[1].dtype)


@pytest.mark.parametrize("name", ["uint16", "uint32", "uint64"])
def test_unsigned_arrays_come_in(name: str) -> None:
    for torch in (pytorch, rushlight):
        x = torch.from_numpy(np.array([1, 2, 3], name))
        assert str(x.dtype) == f"torch.{name}"
        assert x.to(torch.int64).tolist() == [1, 2, 3]
    assert (rushlight.from_numpy(np.array([1, 2], name)) + 1).tolist() == [2, 3]


def test_foreign_byte_order_and_negative_strides_come_in() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3)[:, ::-1]
    x = rushlight.tensor(array)
    assert x.dtype is rushlight.float32
    assert x.tolist() == [[2, 1, 0], [5, 4, 3]]
    assert rushlight.from_numpy(np.arange(3.0)[::-1]).sum().item() == 3
