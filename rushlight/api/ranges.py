"""New tensors of regular numbers: ranges, the identity, the indices of a triangle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.forms import of_values
from rushlight.ops.create import _finish, _float_dtype, _namespace, placed
from rushlight.tensor import Tensor


def _refuse(name: str, dtype: np.dtype, kinds: str) -> None:
    if dtype.kind in kinds:
        raise dtypes.no_kernel(name, dtype)


def _on_device(array: np.ndarray, device: Any, requires_grad: bool, pin_memory: bool) -> Tensor:
    """A tensor of an array's values; on the meta device of its shape."""
    return _finish(placed(array, device), requires_grad, pin_memory)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... below `end`. Integers give int64, floats the default dtype.

    Raises:
        RuntimeError: step is zero, or leads away from `end`.
    """
    start, end = (0, start) if end is None else (start, end)
    start, end, step = (x.item() if isinstance(x, Tensor) else x for x in (start, end, step))
    if any(isinstance(x, complex) for x in (start, end, step)):
        raise RuntimeError("value cannot be converted to type double without overflow")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is not None and dtypes.as_numpy(dtype).kind in "iu":
        start, end, step = int(start), int(end), int(step)
        if step == 0:
            raise ValueError("step must be nonzero")
    if dtype is None:
        dtype = dtypes.int64 if all(isinstance(x, int) for x in (start, end, step)) else dtypes.get_default_dtype()
    _refuse("arange_cpu", dtypes.as_numpy(dtype), "bc")
    return _finish(_namespace(device).arange(start, end, step, dtypes.as_numpy(dtype)), requires_grad, pin_memory)


def _ends(name: str, start: Any, end: Any, steps: Any) -> tuple[Any, Any]:
    """The ends of a range as numbers.

    Raises:
        TypeError: `steps` is no int. RuntimeError: it is negative, or an end is a tensor with dimensions.
    """
    if not isinstance(steps, (int, np.integer)):
        kinds = ", ".join(type(x).__name__ for x in (start, end, steps))
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({kinds}), but expected one of:\n * (Tensor "
            "start, Tensor end, int steps, *, Tensor out = None, torch.dtype dtype = None, torch.layout layout = None, "
            "torch.device device = None, bool pin_memory = False, bool requires_grad = False)\n"
        )
    for which, x in (("start", start), ("end", end)):
        if isinstance(x, Tensor) and x.ndim:
            raise RuntimeError(
                f"{name} only supports 0-dimensional start and end tensors, but got {which} with {x.ndim} dimension(s)."
            )
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return tuple([x.item() if isinstance(x, Tensor) else x for x in (start, end)])  # type: ignore[return-value]


def _range_dtype(dtype: Any, start: Any, end: Any) -> np.dtype:
    if dtype is None and (isinstance(start, complex) or isinstance(end, complex)):
        return dtypes.get_default_dtype().to_complex().numpy
    return _float_dtype(dtype)


def _steps_between(start: Any, end: Any, steps: int, dtype: np.dtype) -> np.ndarray:
    """Equally spaced values, the first half counted from `start`, the second from `end`."""
    if dtype.kind in "iu":
        start, end = int(start), int(end)
    if steps < 2:
        return np.full(steps, start)
    step, at = (end - start) / (steps - 1), np.arange(steps)
    return np.where(at < steps // 2, start + step * at, end - step * (steps - at - 1))


@of_values
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` equally spaced values from `start` to `end`, both included."""
    start, end = _ends("linspace", start, end, steps)
    numpy_dtype = _range_dtype(dtype, start, end)
    _refuse("linspace_cpu", numpy_dtype, "b")
    array = _steps_between(start, end, steps, numpy_dtype).astype(numpy_dtype)
    return _on_device(array, device, requires_grad, pin_memory)


@of_values
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`base` to the power of equally spaced values."""
    start, end = _ends("logspace", start, end, steps)
    numpy_dtype = _range_dtype(dtype, start, end)
    _refuse("logspace_cpu", numpy_dtype, "b")
    with np.errstate(all="ignore"):
        exponents = _steps_between(start, end, steps, numpy_dtype)
        array = np.power(base if numpy_dtype.kind == "c" else float(base), exponents).astype(numpy_dtype)
    return _on_device(array, device, requires_grad, pin_memory)


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The identity matrix of shape (n, m)."""
    for name, size, position in (("n", n, 1), ("m", m, 2)):
        if size is not None and not hasattr(size, "__index__"):
            raise TypeError(f"eye(): argument '{name}' (position {position}) must be int, not {type(size).__name__}")
        if size is not None and size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    return _on_device(np.eye(n, m, dtype=_float_dtype(dtype)), device, requires_grad, pin_memory)


def _triangle(
    name: str, row: int, col: int, offset: int, dtype: Any, device: Any, requires_grad: bool, pin_memory: bool,
    upper: bool,
) -> Tensor:  # fmt: skip
    """The coordinates of a triangle of a (row, col) matrix, row by row, in two rows."""
    for which, size in (("row", row), ("col", col)):
        if size < 0:
            raise RuntimeError(f"{which} must be non-negative, got{size}")
    numpy_dtype = np.dtype(np.int64) if dtype is None else dtypes.as_numpy(dtype)
    _refuse(f"{name}_indices", numpy_dtype, "bfc")
    lower = np.tri(row, col, offset - 1 if upper else offset, dtype=bool)
    places = np.stack(np.nonzero(~lower if upper else lower)).astype(numpy_dtype)
    return _on_device(places, device, requires_grad, pin_memory)


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The coordinates of the lower triangle of a (row, col) matrix, in two rows."""
    return _triangle("tril", row, col, offset, dtype, device, requires_grad, pin_memory, False)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The coordinates of the upper triangle of a (row, col) matrix, in two rows."""
    return _triangle("triu", row, col, offset, dtype, device, requires_grad, pin_memory, True)
