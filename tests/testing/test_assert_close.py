"""`assert_close` and `make_tensor` against PyTorch's: what passes, messages, numbers for a seed."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

import rushlight

MODULES = (torch, rushlight)


def outcome(function: Any) -> tuple[type, str] | None:
    """The exception that a call raises, or None."""
    try:
        function()
    except (AssertionError, ValueError, TypeError) as error:
        return type(error), str(error).replace("rushlight.tensor.Tensor", "torch.Tensor")
    return None


# Each makes the arguments of one call, of a module.
CALLS: dict[str, Any] = {
    "equal": lambda m: ((m.ones(2), m.ones(2)), {}),
    "close": lambda m: ((m.ones(2), m.ones(2) + 1e-6), {}),
    "not close": lambda m: ((m.arange(6.0).reshape(2, 3), m.ones(2, 3)), {}),
    "close in double": lambda m: ((m.ones(2).double(), m.ones(2).double() + 1e-6), {}),
    "half": lambda m: ((m.ones(2).half(), m.ones(2).half() + 0.002), {}),
    "bfloat16": lambda m: ((m.ones(2).bfloat16(), m.ones(2).bfloat16() + 0.0078), {}),
    "complex": lambda m: ((m.tensor([1 + 2j, 3.0]), m.tensor([1 + 2.5j, 3.0])), {}),
    "integers": lambda m: ((m.tensor([1, 2]), m.tensor([1, 4])), {}),
    "booleans": lambda m: ((m.tensor([True, False]), m.tensor([True, True])), {}),
    "scalars": lambda m: ((m.tensor(1.0), m.tensor(3.0)), {}),
    "scalar zero": lambda m: ((m.tensor(1.0), m.tensor(0.0)), {}),
    "tolerances": lambda m: ((m.tensor([1.0, 2.0]), m.tensor([1.1, 2.5])), {"rtol": 0.1, "atol": 0.2}),
    "one tolerance": lambda m: ((m.ones(1), m.ones(1)), {"rtol": 0.1}),
    "exact": lambda m: ((m.ones(2), m.ones(2) + 1e-6), {"rtol": 0, "atol": 0}),
    "nan": lambda m: ((m.tensor([float("nan"), 1.0]), m.tensor([float("nan"), 1.0])), {}),
    "equal nan": lambda m: ((m.tensor([float("nan")]), m.tensor([float("nan")])), {"equal_nan": True}),
    "inf": lambda m: ((m.tensor([float("inf"), 1.0]), m.tensor([float("inf"), 1.0])), {}),
    "shape": lambda m: ((m.ones(2), m.ones(3)), {}),
    "dtype": lambda m: ((m.ones(2), m.ones(2).double()), {}),
    "dtype unchecked": lambda m: ((m.ones(2), m.ones(2).double() + 1), {"check_dtype": False}),
    "dtype int": lambda m: ((m.ones(2).int(), m.ones(2)), {"check_dtype": False}),
    "device": lambda m: ((m.ones(2, device="meta"), m.ones(2)), {}),
    "meta": lambda m: ((m.ones(2, device="meta"), m.ones(2, device="meta")), {}),
    "stride": lambda m: ((m.ones(2, 3).t(), m.ones(3, 2)), {"check_stride": True}),
    "stride unchecked": lambda m: ((m.ones(2, 3).t(), m.ones(3, 2)), {}),
    "requires grad": lambda m: ((m.ones(2, requires_grad=True), m.zeros(2)), {}),
    "lists": lambda m: (([m.ones(1), m.zeros(1)], [m.ones(1), m.ones(1)]), {}),
    "tuple and list": lambda m: (((1, 2.0), [1, 2.0]), {}),
    "length": lambda m: (([1, [2, 3]], [1, [2]]), {}),
    "mappings": lambda m: (({"a": {"b": m.ones(1)}}, {"a": OrderedDict(b=m.zeros(1))}), {}),
    "keys": lambda m: (({"a": 1, "b": 2}, {"a": 1, "c": 2}), {}),
    "numbers": lambda m: ((1.0, 1.0 + 1e-6), {}),
    "number types": lambda m: ((1, 1.0), {}),
    "complex numbers": lambda m: ((1 + 1j, 2 + 1j), {}),
    "nan numbers": lambda m: ((float("nan"), float("nan")), {}),
    "arrays": lambda m: ((np.ones(2), np.ones(2) * 2), {}),
    "numpy numbers": lambda m: ((np.float32(1), np.float32(2)), {}),
    "bools": lambda m: ((True, False), {}),
    "numpy bools": lambda m: ((np.bool_(True), True), {}),
    "number types unchecked": lambda m: ((1, 1.0), {"check_dtype": False}),
    "none": lambda m: ((None, None), {}),
    "none and something": lambda m: ((None, 1), {}),
    "strings": lambda m: (("a", "b"), {}),
    "unrelated": lambda m: ((m.ones(1), np.ones(1)), {}),
    "message": lambda m: ((1, 2), {"msg": "mine"}),
    "message of ours": lambda m: (([1], [2]), {"msg": lambda text: f"before {text} after"}),
    "empty": lambda m: ((m.ones(0), m.ones(0)), {}),
    "uint": lambda m: ((m.tensor([1, 2], dtype=m.uint16), m.tensor([1, 3])), {"check_dtype": False}),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_against_torch(name: str) -> None:
    outcomes = []
    for module in MODULES:
        arguments, options = CALLS[name](module)
        outcomes.append(outcome(lambda m=module, a=arguments, o=options: m.testing.assert_close(*a, **o)))
    assert outcomes[1] == outcomes[0]


def test_assert_allclose() -> None:
    with pytest.warns(FutureWarning, match="assert_allclose"):
        rushlight.testing.assert_allclose(rushlight.ones(2), [1.00005, 1.0])
    with pytest.warns(FutureWarning), pytest.raises(AssertionError, match=r"up to 0\.0001 allowed"):
        rushlight.testing.assert_allclose(rushlight.ones(2), [1.001, 1.0])


MAKES: list[dict[str, Any]] = [
    {},
    {"low": 2, "high": 5},
    {"noncontiguous": True},
    {"exclude_zero": True, "low": 0, "high": 2},
    {"low": -1e30, "high": 1e30},
    {"low": 5, "high": 2},
    {"low": float("nan")},
    {"requires_grad": True},
]
DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", MAKES, ids=str)
def test_make_tensor(dtype: str, options: dict[str, Any]) -> None:
    def make(module: Any) -> Any:
        module.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return module.testing.make_tensor((3, 4), dtype=getattr(module, dtype), device="cpu", **options)

    expected = outcome(lambda: make(torch))
    if expected is not None:
        assert outcome(lambda: make(rushlight)) == expected
        return
    theirs, ours = make(torch), make(rushlight)
    assert str(ours.dtype) == str(theirs.dtype)
    assert ours.requires_grad == theirs.requires_grad and ours.is_contiguous() == theirs.is_contiguous()
    wide = {"bfloat16": "float32"}.get(dtype, dtype)
    theirs, ours = (x.detach().to(getattr(m, wide)).numpy() for m, x in ((torch, theirs), (rushlight, ours)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    if options.get("exclude_zero"):
        assert (ours != 0).all()


def test_make_tensor_options() -> None:
    make = rushlight.testing.make_tensor
    assert make(2, 3, dtype=rushlight.float32, device="cpu").shape == (2, 3)
    x = make((1, 2, 3, 4), dtype=rushlight.float32, device="cpu", memory_format=rushlight.channels_last)
    assert x.is_contiguous(memory_format=rushlight.channels_last)
    with pytest.raises(ValueError, match="mutually exclusive"):
        make((1,), dtype=rushlight.float32, device="cpu", noncontiguous=True, memory_format=rushlight.channels_last)
    with pytest.warns(FutureWarning, match="low==high"):
        make((1,), dtype=rushlight.float32, device="cpu", low=1, high=1)
