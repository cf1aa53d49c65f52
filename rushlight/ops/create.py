"""New tensors: from data, filled, ranges, and random ones in PyTorch's numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import devices, dtypes, random as random_numbers
from rushlight.arrays import symbolic as symbolic_arrays
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.ops import define
from rushlight.ops.define import cast, creation_namespace
from rushlight.tensor import Tensor, wrap


def _finish(array: Any, requires_grad: bool) -> Tensor:
    result = wrap(array)
    if requires_grad:
        result.requires_grad = True
    return result


def _namespace(device: Any) -> Any:
    if device is None or type(device) is str and device == "cpu":
        return creation_namespace()
    return _MetaArrays if devices.require(device).type == "meta" else creation_namespace()


class _MetaArrays:
    """Creation on the meta device: shape and dtype alone."""

    @staticmethod
    def full(shape: tuple[int, ...], value: Any, dtype: np.dtype) -> Any:
        return symbolic_arrays.meta(shape, dtype)

    @staticmethod
    def arange(start: Any, stop: Any, step: Any, dtype: np.dtype) -> Any:
        return symbolic_arrays.meta((max(0, math.ceil((stop - start) / step)),), dtype)

    @staticmethod
    def draw(generator: Any, method: str, *args: Any) -> Any:
        return symbolic_arrays.meta(args[0], args[-1])


def shape_of(size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as ints or as one sequence of them.

    Raises:
        TypeError: something that is no int. RuntimeError: a negative size.
    """
    if len(size) == 1 and isinstance(size[0], (Sequence, np.ndarray)) and not isinstance(size[0], str):
        size = tuple(size[0])
    try:
        shape = tuple([n.__index__() for n in size])
    except AttributeError:
        wrong = next(n for n in size if not hasattr(n, "__index__"))
        raise TypeError(f"size must be a tuple of ints, but found element of type {type(wrong).__name__}") from None
    for n in shape:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    return shape


def _float_dtype(dtype: Any) -> np.dtype:
    return dtypes.get_default_dtype().numpy if dtype is None else dtypes.as_numpy(dtype)


# ---------------------------------------------------------------- from data


def _infer(data: Any) -> np.ndarray:
    """An array of Python data: floats get the default dtype, ints int64."""
    if isinstance(data, (list, tuple)) and _holds_tensors(data):
        data = _without_tensors(data)
    array = _array_of(data)
    if isinstance(data, (np.ndarray, np.generic)) or isinstance(_first(data), np.generic):
        return array
    if array.dtype == np.float64:
        return array.astype(dtypes.get_default_dtype().numpy, copy=False)
    return array.astype(dtypes.get_default_dtype().to_complex().numpy) if array.dtype.kind == "c" else array


def _array_of(data: Any) -> np.ndarray:
    """NumPy's array of the data, with PyTorch's errors."""
    try:
        array = np.array(data)
    except ValueError:
        raise _ragged(data) from None
    if array.dtype.kind not in "OUSmMT":
        return array
    first = _first(data)
    if isinstance(first, str):
        if first is data:
            raise TypeError("new(): invalid data type 'str'")
        raise ValueError("too many dimensions 'str'")
    if isinstance(data, np.ndarray):
        dtypes.from_numpy(array.dtype)  # raises
    raise RuntimeError(f"Could not infer dtype of {type(first).__name__}")


def _ragged(data: Any, dim: int = 0) -> Exception:
    """What is wrong with nested lists of unequal lengths."""
    lengths = [len(x) if isinstance(x, (list, tuple)) else None for x in data]
    if None in lengths:
        return TypeError("not a sequence")
    for n in lengths:
        if n != lengths[0]:
            return ValueError(f"expected sequence of length {lengths[0]} at dim {dim + 1} (got {n})")
    return _ragged([x for row in data for x in row], dim + 1)


def _first(data: Any) -> Any:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def _holds_tensors(data: Any) -> bool:
    return any(isinstance(x, Tensor) or isinstance(x, (list, tuple)) and _holds_tensors(x) for x in data)


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data._data("tensor()").tolist() if data.ndim else data.item()
    return [_without_tensors(x) for x in data] if isinstance(data, (list, tuple)) else data


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A tensor with a copy of the data.

    Args:
        data: a number, nested lists of numbers, a NumPy array or a tensor.
        dtype: default: of the data; Python floats give the default dtype.

    Raises:
        ValueError: lists of unequal lengths. TypeError: data that are no numbers.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        tensor([[1., 2.],
                [3., 4.]])
    """
    if isinstance(data, Tensor):
        array = data.detach()
        result = cast(array, dtype=data._array.dtype if dtype is None else dtypes.as_numpy(dtype)).detach()
        result._needs_grad = False
        return result.requires_grad_(requires_grad)
    if dtype is None:
        array = _infer(data)
    else:
        numpy_dtype = dtypes.as_numpy(dtype)
        array = _array_of(_without_tensors(data) if isinstance(data, (list, tuple)) and _holds_tensors(data) else data)
        array = array.astype(numpy_dtype, copy=False)
    dtypes.from_numpy(array.dtype)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if device is not None and devices.require(device).type == "meta":
        return _finish(symbolic_arrays.meta(array.shape, array.dtype), requires_grad)
    return _finish(array, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of the data, on the same memory if it is a tensor or a NumPy array of that dtype already."""
    if isinstance(data, Tensor):
        return data if dtype is None or dtypes.as_numpy(dtype) == data._array.dtype else data.to(dtype)
    if isinstance(data, np.ndarray) and (dtype is None or dtypes.as_numpy(dtype) == data.dtype):
        return from_numpy(data)
    return tensor(data, dtype=dtype, device=device)


asarray = as_tensor


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor on the memory of a NumPy array: writes to either are seen by both.

    Raises:
        TypeError: no array, or of a dtype without counterpart (strings, objects, dates).
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtypes.from_numpy(ndarray.dtype)
    return wrap(ndarray if type(ndarray) is np.ndarray else np.asarray(ndarray))


def legacy_tensor(*args: Any, **kwargs: Any) -> Tensor:
    """`Tensor(...)`: from a sequence of data, or uninitialised from sizes; always of the default dtype."""
    dtype = dtypes.get_default_dtype()
    if len(args) == 1 and not isinstance(args[0], int):
        return tensor(args[0], dtype=dtype)
    return empty(*args, dtype=dtype) if args else empty(0, dtype=dtype)


# ---------------------------------------------------------------- filled


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one value; its dtype is that of the value unless given."""
    if dtype is None:
        kind = dtypes.bool if isinstance(fill_value, bool) else dtypes.int64 if isinstance(fill_value, int) else None
        dtype = kind or (dtypes.get_default_dtype().to_complex() if isinstance(fill_value, complex) else None)
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    array = _namespace(device).full(shape_of((size,)), fill_value, _float_dtype(dtype))
    return _finish(array, requires_grad)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any) -> Tensor:
    """Zeros of a shape."""
    size = (_["size"],) if "size" in _ else size
    return _finish(_namespace(device).full(shape_of(size), 0, _float_dtype(dtype)), requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any) -> Tensor:
    """Ones of a shape."""
    size = (_["size"],) if "size" in _ else size
    return _finish(_namespace(device).full(shape_of(size), 1, _float_dtype(dtype)), requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any) -> Tensor:
    """A tensor whose values are not set."""
    size = (_["size"],) if "size" in _ else size
    xp, shape, numpy_dtype = _namespace(device), shape_of(size), _float_dtype(dtype)
    array = np.empty(shape, numpy_dtype) if xp is define.numpy_arrays else xp.full(shape, 0, numpy_dtype)
    return _finish(array, requires_grad)


def _like(x: Tensor, dtype: Any, device: Any) -> tuple[Any, tuple[int, ...], np.dtype]:
    if not isinstance(x, Tensor):
        raise TypeError(f"argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    array = x._array
    is_meta = device is None and type(array) is SymbolicArray and array.node.op == "meta"
    xp = _MetaArrays if is_meta else _namespace(device)
    return xp, array.shape, array.dtype if dtype is None else dtypes.as_numpy(dtype)


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any
) -> Tensor:
    """Zeros of another tensor's shape, dtype and device."""
    xp, shape, numpy_dtype = _like(input, dtype, device)
    return _finish(xp.full(shape, 0, numpy_dtype), requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any) -> Tensor:
    """Ones of another tensor's shape, dtype and device."""
    xp, shape, numpy_dtype = _like(input, dtype, device)
    return _finish(xp.full(shape, 1, numpy_dtype), requires_grad)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any
) -> Tensor:
    """One value in another tensor's shape, dtype and device."""
    xp, shape, numpy_dtype = _like(input, dtype, device)
    return _finish(xp.full(shape, fill_value, numpy_dtype), requires_grad)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any
) -> Tensor:
    """A tensor of another's shape, dtype and device whose values are not set."""
    xp, shape, numpy_dtype = _like(input, dtype, device)
    array = np.empty(shape, numpy_dtype) if xp is define.numpy_arrays else xp.full(shape, 0, numpy_dtype)
    return _finish(array, requires_grad)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """start, start + step, ... below `end`. Integers give int64, floats the default dtype.

    Raises:
        RuntimeError: step is zero, or leads away from `end`.
    """
    start, end = (0, start) if end is None else (start, end)
    start, end, step = (x.item() if isinstance(x, Tensor) else x for x in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is not None and dtypes.as_numpy(dtype).kind in "iu":
        start, end, step = int(start), int(end), int(step)
    if dtype is None:
        dtype = dtypes.int64 if all(isinstance(x, int) for x in (start, end, step)) else dtypes.get_default_dtype()
    return _finish(_namespace(device).arange(start, end, step, dtypes.as_numpy(dtype)), requires_grad)


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` equally spaced values from `start` to `end`, both included."""
    start, end = (x.item() if isinstance(x, Tensor) else x for x in (start, end))
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    array = np.linspace(start, end, steps).astype(_float_dtype(dtype), copy=False)
    return _finish(array, requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix of shape (n, m)."""
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"n must be greater or equal to 0, got {n}")
    return _finish(np.eye(n, m, dtype=_float_dtype(dtype)), requires_grad)


# ---------------------------------------------------------------- random


def _draw(device: Any, generator: Any, method: str, *args: Any) -> Any:
    return _namespace(device).draw(generator or random_numbers.default_generator, method, *args)


def rand(*size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any) -> Tensor:  # fmt: skip
    """Uniform on [0, 1)."""
    size = (_["size"],) if "size" in _ else size
    array = _draw(device, generator, "uniform", shape_of(size), 0.0, 1.0, _float_dtype(dtype))
    return _finish(array, requires_grad)


def randn(*size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any) -> Tensor:  # fmt: skip
    """From the standard normal distribution."""
    size = (_["size"],) if "size" in _ else size
    array = _draw(device, generator, "normal", shape_of(size), 0.0, 1.0, _float_dtype(dtype))
    return _finish(array, requires_grad)


def randint(*args: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, **kwargs: Any) -> Tensor:  # fmt: skip
    """`randint(low=0, high, size)`: integers from `low` to `high - 1`.

    Raises:
        RuntimeError: `high` is not above `low`.
    """
    args = (*args, *(kwargs[name] for name in ("low", "high", "size") if name in kwargs))
    low, high, size = (0, *args) if len(args) == 2 else args
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    numpy_dtype = np.dtype(np.int64) if dtype is None else dtypes.as_numpy(dtype)
    xp = _namespace(device)
    draw = _IntegersIn(generator or random_numbers.default_generator)
    return _finish(xp.draw(draw, "randint", shape_of((size,)), low, high, numpy_dtype), requires_grad)


class _IntegersIn:
    """`draw` has the shape first and the dtype last: this puts a generator's arguments in that order."""

    def __init__(self, generator: Any):
        self.generator = generator

    def randint(self, shape: tuple[int, ...], low: int, high: int, dtype: np.dtype) -> np.ndarray:
        return self.generator.randint(low, high, shape, dtype)

    def permutation(self, shape: tuple[int], dtype: np.dtype) -> np.ndarray:
        return self.generator.permutation(shape[0], dtype)

    def bernoulli(self, shape: tuple[int, ...], probability: float, dtype: np.dtype) -> np.ndarray:
        return self.generator.bernoulli(probability, shape, dtype)


def randperm(
    n: int, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A random order of the integers from 0 to n - 1."""
    numpy_dtype = np.dtype(np.int64) if dtype is None else dtypes.as_numpy(dtype)
    draw = _IntegersIn(generator or random_numbers.default_generator)
    return _finish(_namespace(device).draw(draw, "permutation", (n,), numpy_dtype), requires_grad)


def rand_like(input: Tensor, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Uniform on [0, 1), in another tensor's shape and dtype."""
    xp, shape, numpy_dtype = _like(input, dtype, device)
    draw = generator or random_numbers.default_generator
    return _finish(xp.draw(draw, "uniform", shape, 0.0, 1.0, numpy_dtype), requires_grad)


def randn_like(input: Tensor, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:  # fmt: skip
    """From the standard normal distribution, in another tensor's shape and dtype."""
    xp, shape, numpy_dtype = _like(input, dtype, device)
    draw = generator or random_numbers.default_generator
    return _finish(xp.draw(draw, "normal", shape, 0.0, 1.0, numpy_dtype), requires_grad)


def bernoulli_mask(like: Tensor, probability: float, generator: Any = None) -> Tensor:
    """1 with the probability, else 0, in another tensor's shape and dtype: dropout's mask."""
    xp, shape, numpy_dtype = _like(like, None, None)
    draw = _IntegersIn(generator or random_numbers.default_generator)
    return wrap(xp.draw(draw, "bernoulli", shape, probability, numpy_dtype))
