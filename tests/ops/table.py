"""What a row of the table of operations is: how to call an operation, on what, and which tests apply.

The `rows*.py` are the table, `test_ops.py` the tests that every row yields.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import torch

import rushlight
import rushlight.nn

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
EVERY = (*FLOATS, *INTEGERS, "bool")
NUMPY_DTYPES = {"bfloat16": np.dtype(ml_dtypes.bfloat16)}


@dataclass(frozen=True)
class Array:
    """An array argument. `dtype` None: the dtype under test, and differentiated; another one is fixed, and is not."""

    shape: tuple[int, ...]
    low: float | None = None  # None: the row's
    high: float | None = None
    dtype: str | None = None
    layout: str = "plain"  # or "transposed", or "strided": every second element
    values: Any = None

    def make(self, rng: np.random.Generator, dtype: str, domain: tuple[float, float]) -> np.ndarray:
        dtype = self.dtype or dtype
        if self.values is not None:
            return np.array(self.values).astype(numpy_dtype(dtype))
        low, high = domain[0] if self.low is None else self.low, domain[1] if self.high is None else self.high
        shape = self.shape
        if self.layout == "transposed":
            shape = shape[::-1]
        elif self.layout == "strided":
            shape = (*shape[:-1], 2 * shape[-1])
        if dtype == "bool":
            array = rng.integers(0, 2, shape).astype(bool)
        elif dtype in FLOATS:
            array = rng.uniform(low, high, shape).astype(numpy_dtype(dtype))
        else:
            low = max(low, 0) if dtype.startswith("u") else low
            array = rng.integers(int(np.ceil(low)), int(np.floor(high)) + 1, shape).astype(dtype)
        if self.layout == "transposed":
            return array.T
        return array[..., ::2] if self.layout == "strided" else array


def A(*shape: int, **options: Any) -> Array:
    """An array argument of a shape."""
    return Array(shape, **options)


def indices(values: Any, dtype: str = "int64") -> Array:
    """An array argument of given integers or truth values."""
    return Array(np.shape(values), dtype=dtype, values=values)


@dataclass(frozen=True)
class Sample:
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def S(*args: Any, **kwargs: Any) -> Sample:
    """One call: the arguments, with `A(...)` where an array is to stand."""
    return Sample(args, kwargs)


@dataclass(frozen=True)
class Row:
    """One operation.

    Attributes:
        name: where PyTorch has it: "add", "Tensor.view", "nn.functional.gelu". More rows may have the same name
            with something behind a space ("max along").
        samples: calls.
        ops: the operations of `rushlight.ops` that these calls reach; default: the one of this name.
        dtypes: of the arrays; where PyTorch refuses one, rushlight has to as well.
        domain: least and greatest values.
        call: `call(torch, *args)`, where a name does not say it.
        differentiable, second: whether first and second gradients are tested.
        in_place: whether PyTorch has `Tensor.name_`.
        method: whether `Tensor.name` is tested against the function.
        promotes: "tensors" for tests of all combinations of dtypes, with and without dimensions (two operands);
            "numbers" for Python numbers beside that.
        skips: tests left out, each with its reason.
    """

    name: str
    samples: Sequence[Sample]
    ops: tuple[str, ...] | None = None
    dtypes: tuple[str, ...] = EVERY
    domain: tuple[float, float] = (-3.0, 3.0)
    call: Callable[..., Any] | None = None
    differentiable: bool = True
    second: bool = True
    in_place: bool = False
    method: bool = True
    promotes: str = ""
    tolerance: float = 1.0
    skips: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.name.split(" ")[0]

    def function(self, module: Any) -> Callable[..., Any]:
        """The function in `torch` or in `rushlight`."""
        if self.call is not None:
            return lambda *args, **kwargs: self.call(module, *args, **kwargs)
        found = module
        for part in self.path.split("."):
            found = getattr(found, part)
        return found

    def covers(self) -> tuple[str, ...]:
        return (self.path.rpartition(".")[2],) if self.ops is None else self.ops

    def arrays(self, sample: Sample, dtype: str) -> list[np.ndarray]:
        rng = np.random.default_rng(zlib.crc32(f"{self.name} {self.samples.index(sample)}".encode()))
        return [a.make(rng, dtype, self.domain) for a in _arrays_in((sample.args, sample.kwargs))]

    def differentiated(self, sample: Sample) -> list[bool]:
        return [a.dtype is None for a in _arrays_in((sample.args, sample.kwargs))]


def _arrays_in(value: Any) -> list[Array]:
    if isinstance(value, Array):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [a for item in value for a in _arrays_in(item)] if isinstance(value, (list, tuple)) else []


def filled(sample: Sample, tensors: Sequence[Any], module: Any = rushlight) -> tuple[tuple, dict[str, Any]]:
    """A sample's arguments with tensors for the arrays, and the module's dtypes for strings like "torch.float64"."""
    remaining = iter(tensors)

    def fill(value: Any) -> Any:
        if isinstance(value, Array):
            return next(remaining)
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([fill(item) for item in value])
        if isinstance(value, str) and value.startswith("torch."):
            return getattr(module, value[6:])
        return value

    return fill(sample.args), fill(sample.kwargs)


# ---------------------------------------------------------------- between PyTorch, NumPy and rushlight


def numpy_dtype(name: str) -> np.dtype:
    return NUMPY_DTYPES.get(name) or np.dtype(name)


def to_torch(array: np.ndarray) -> torch.Tensor:
    array = np.array(array, order="K", copy=True) if array.flags.c_contiguous else _same_strides(array)
    if array.dtype == NUMPY_DTYPES["bfloat16"]:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_rushlight(array: np.ndarray) -> rushlight.Tensor:
    return rushlight.from_numpy(array.copy() if array.flags.c_contiguous else _same_strides(array))


def _same_strides(array: np.ndarray) -> np.ndarray:
    """A copy that is strided as the array is: what `A(layout=...)` makes."""
    if array.T.flags.c_contiguous:
        return array.T.copy().T
    whole = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    whole[..., ::2] = array
    return whole[..., ::2]


def numpy_of(tensor: Any) -> np.ndarray:
    """The values, bfloat16 as float32."""
    if isinstance(tensor, torch.Tensor):
        return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy(force=True)
    array = tensor.detach().numpy()
    return array.astype(np.float32) if array.dtype == NUMPY_DTYPES["bfloat16"] else array


def leaves(value: Any) -> list[Any]:
    """The tensors and numbers in a result, in order."""
    if isinstance(value, (list, tuple)) and type(value).__name__ != "Size":
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


TOLERANCES = {
    "float64": 1e-9, "float32": 2e-6, "float16": 4e-3, "bfloat16": 3e-2, "complex128": 1e-9, "complex64": 2e-6,
}  # fmt: skip


def assert_same(expected: Any, got: Any, where: str, factor: float = 1.0) -> None:
    """Values, dtypes and shapes of two results, of torch and of rushlight, in any nesting."""
    expected, got = leaves(expected), leaves(got)
    assert len(expected) == len(got), f"{where}: {len(got)} results, not {len(expected)}"
    for e, g in zip(expected, got, strict=True):
        if e is None or not hasattr(e, "dtype"):
            assert e == g or e != e, f"{where}: {g!r}, not {e!r}"
            continue
        assert g is not None, f"{where}: None, not a tensor"
        assert str(e.dtype) == str(g.dtype), f"{where}: {g.dtype}, not {e.dtype}"
        assert tuple(e.shape) == tuple(g.shape), f"{where}: shape {list(g.shape)}, not {list(e.shape)}"
        limit = factor * TOLERANCES.get(str(e.dtype).rpartition(".")[2], 0)
        np.testing.assert_allclose(numpy_of(g), numpy_of(e), limit, limit, err_msg=where)


UNARY = [
    S(A(2, 3)), S(A()), S(A(0, 3)), S(A(3, 2, layout="transposed")), S(A(2, 3, layout="strided")), S(A(2, 1, 3)),
]  # fmt: skip
BINARY = [
    S(A(2, 3), A(2, 3)), S(A(2, 3), A(3)), S(A(2, 1), A(1, 3)), S(A(2, 3), A()), S(A(), A()), S(A(0, 3), A(3)),
    S(A(3, 2, layout="transposed"), A(3, 2)), S(A(2, 3, layout="strided"), A(2, 1)),
]  # fmt: skip
SIGNED = (*FLOATS, "int64", "int32", "int8")
ROWS: list[Row] = []


def row(name: str, samples: list = UNARY, **options: Any) -> None:
    ROWS.append(Row(name, samples, **options))
