"""The waist on NumPy arrays: what runs on the CPU.

Most names are NumPy's own functions; the others are a line or two. Functions that take `axis` take an
int, a tuple of ints or None. NumPy gives scalars for 0-dimensional results; `rushlight.ops`
turns them back into arrays. Floating-point warnings are switched off around every operation
(`quiet.py`), since PyTorch has none.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided

from rushlight.arrays.protocol import HOST

abs = np.abs
acos = np.arccos
acosh = np.arccosh
asin = np.arcsin
asinh = np.arcsinh
atan = np.arctan
atanh = np.arctanh
bitwise_invert = np.bitwise_not
ceil = np.ceil
cos = np.cos
cosh = np.cosh
exp = np.exp
expm1 = np.expm1
floor = np.floor
isfinite = np.isfinite
isinf = np.isinf
isnan = np.isnan
log = np.log
log10 = np.log10
log1p = np.log1p
log2 = np.log2
logical_not = np.logical_not
negative = np.negative
reciprocal = np.reciprocal
round = np.rint
sign = np.sign
sin = np.sin
sinh = np.sinh
sqrt = np.sqrt
square = np.square
tan = np.tan
tanh = np.tanh
trunc = np.trunc

add = np.add
atan2 = np.arctan2
bitwise_and = np.bitwise_and
bitwise_left_shift = np.left_shift
bitwise_or = np.bitwise_or
bitwise_right_shift = np.right_shift
bitwise_xor = np.bitwise_xor
divide = np.true_divide
equal = np.equal
floor_divide = np.floor_divide
fmod = np.fmod
greater = np.greater
greater_equal = np.greater_equal
less = np.less
less_equal = np.less_equal
logical_and = np.logical_and
logical_or = np.logical_or
logical_xor = np.logical_xor
maximum = np.maximum
minimum = np.minimum
multiply = np.multiply
not_equal = np.not_equal
pow = np.power
remainder = np.remainder
subtract = np.subtract

where = np.where
take_along_axis = np.take_along_axis

_sum, _prod = np.add.reduce, np.multiply.reduce
_max, _min = np.maximum.reduce, np.minimum.reduce
_any, _all = np.logical_or.reduce, np.logical_and.reduce


def _has_short_rows(x: ndarray, axis: Any) -> bool:
    """Whether this reduces many short rows: NumPy then spends its time between the rows, not in them."""
    return x.ndim == 2 and (axis == 1 or axis == (1,)) and x.shape[1] < 24 <= x.shape[0]


def _reduce_short_rows(reduce: Any, x: ndarray, keepdims: bool) -> ndarray:
    """Of a transposed copy, whose rows are long: for (64, 10) a maximum takes 3.9 us instead of 9.2, a sum 3.8, not 5.7."""
    out = reduce(x.T.copy(), 0)
    return out.reshape(-1, 1) if keepdims else out


def sum(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    """Integers and truth values are added up in int64, as in PyTorch."""
    if _has_short_rows(x, axis):
        return _reduce_short_rows(_sum, x, keepdims)
    return _sum(x, axis, np.int64 if x.dtype.kind in "iub" else None, None, keepdims)


def prod(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    return _prod(x, axis, None, None, keepdims)


def max(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    if _has_short_rows(x, axis):
        return _reduce_short_rows(_max, x, keepdims)
    return _max(x, axis, None, None, keepdims)


def min(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    return _min(x, axis, None, None, keepdims)


def any(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    return _any(x, axis, bool, None, keepdims)


def all(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    return _all(x, axis, bool, None, keepdims)


def argmax(x: ndarray, axis: int | None = None, keepdims: bool = False) -> ndarray:
    return np.argmax(x, axis, keepdims=keepdims)


def argmin(x: ndarray, axis: int | None = None, keepdims: bool = False) -> ndarray:
    return np.argmin(x, axis, keepdims=keepdims)


def broadcast_to(x: ndarray, shape: tuple[int, ...]) -> ndarray:
    """A read-only view with repeated elements. In a fifth of the time of `np.broadcast_to`, which is Python too."""
    if type(x) is not ndarray:
        x = np.asarray(x)
    if x.size == 1:
        out = ndarray(shape, x.dtype, x, 0, (0,) * len(shape)) if x.flags.c_contiguous else np.broadcast_to(x, shape)
        out.flags.writeable = False
        return out
    extra = len(shape) - x.ndim
    if extra < 0 or not x.flags.c_contiguous or not x.size:
        return np.broadcast_to(x, shape)
    strides = [0] * extra
    for n, m, stride in zip(x.shape, shape[extra:], x.strides, strict=True):
        if n != m and n != 1:
            return np.broadcast_to(x, shape)  # which says what is wrong
        strides.append(stride if n == m else 0)
    out = ndarray(shape, x.dtype, x, 0, strides)
    out.flags.writeable = False
    return out


def reshape(x: ndarray, shape: Any) -> ndarray:
    return x.reshape(shape)


LARGE_PRODUCT = 1 << 18  # multiplications: from here on OpenBLAS has threads, which spin on a core for 25 ms afterwards
_large_product: Callable[[ndarray, ndarray], ndarray] = np.matmul


def use(large_product: Callable[[ndarray, ndarray], ndarray]) -> None:
    """Says what multiplies large matrices, and batches of them, from above (`ops/matmul.py`): the threads of compiled programs."""
    global _large_product
    _large_product = large_product


def matmul(x: ndarray, y: ndarray) -> ndarray:
    """For two matrices `dot`, which is the same product and takes a tenth less time around it."""
    if y.ndim < 2 or x.ndim < 2:
        return np.matmul(x, y)
    if y.ndim > 2:
        num_products = builtins.max(x.size * y.shape[-1], y.size * x.shape[-2])
        return _large_product(x, y) if num_products >= LARGE_PRODUCT else np.matmul(x, y)
    is_large = x.size * y.shape[1] >= LARGE_PRODUCT
    if x.ndim == 2:
        return _large_product(x, y) if is_large else np.dot(x, y)
    if not is_large or x.shape[-1] != y.shape[0]:
        return np.matmul(x, y)
    rows = x.reshape(-1, x.shape[-1])  # of one tall matrix: NumPy would multiply one matrix after the other
    return _large_product(rows, y).reshape(*x.shape[:-1], y.shape[1])


def permute_dims(x: ndarray, axes: tuple[int, ...]) -> ndarray:
    return x.transpose(axes)


def cumulative_sum(x: ndarray, axis: int) -> ndarray:
    return np.add.accumulate(x, axis)


def astype(x: ndarray, dtype: np.dtype) -> ndarray:
    """A copy in another dtype; of complex numbers that become real, the real part."""
    if x.dtype.kind == "W":  # complex32
        x = x.astype(np.complex64)  # whose real part NumPy knows
    return (x.real if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cbW" else x).astype(dtype)


def conj(x: ndarray) -> ndarray:
    """The complex conjugate; real arrays are their own."""
    return np.conjugate(x) if x.dtype.kind == "c" else x


def real(x: ndarray) -> ndarray:
    """The real part, a view; real arrays are their own."""
    return x.real


def imag(x: ndarray) -> ndarray:
    """The imaginary part, a view; of real arrays zeros."""
    return x.imag


def complex(real: ndarray, imag: ndarray) -> ndarray:
    """Complex numbers of two real arrays of one dtype."""
    out = np.empty(np.broadcast_shapes(real.shape, imag.shape), np.result_type(real, np.complex64))
    out.real, out.imag = real, imag
    return out


def view_as_real(x: ndarray) -> ndarray:
    """Each complex number as its two parts, in a last dimension: a view."""
    return as_strided(x.real, (*x.shape, 2), (*x.strides, x.itemsize // 2))


def view_as_complex(x: ndarray) -> ndarray:
    """The pairs of the last dimension as complex numbers: a view, if they are neighbours in memory."""
    if x.strides[-1] != x.itemsize:
        x = np.ascontiguousarray(x)
    return x.view(np.result_type(x, np.complex64))[..., 0]


def full(shape: tuple[int, ...], value: Any, dtype: np.dtype) -> ndarray:
    kind = value.__class__
    try:
        if kind is int and value == 0 or kind is float and value == 0.0 and math.copysign(1.0, value) > 0:
            return np.zeros(shape, dtype)  # calloc: pages are not touched until they are used
        return np.full(shape, value, dtype)
    except (MemoryError, ValueError) as error:
        raise cannot_allocate(shape, dtype, error) from None


def cannot_allocate(shape: tuple[int, ...], dtype: np.dtype, error: Exception) -> Exception:
    """PyTorch's error for more memory than there is."""
    if isinstance(error, ValueError) and "too big" not in str(error):
        return error
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size >= 2**63:
        return RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")
    return RuntimeError(
        f"DefaultCPUAllocator: can't allocate memory: you tried to allocate {size} bytes for shape {list(shape)}. "
        "Error code 12 (Cannot allocate memory)"
    )


def arange(start: Any, stop: Any, step: Any, dtype: np.dtype) -> ndarray:
    return np.arange(start, stop, step).astype(dtype, copy=False)


def concat(arrays: Any, axis: int = 0) -> ndarray:
    return np.concatenate(arrays, axis)


def take(x: ndarray, indices: ndarray, axis: int) -> ndarray:
    return x.take(indices, axis)


def argsort(x: ndarray, axis: int, descending: bool = False, stable: bool = True) -> ndarray:
    kind = "stable" if stable else None
    if not descending:
        return np.argsort(x, axis, kind=kind)
    last = x.shape[axis] - 1 if x.ndim else 0
    return last - np.flip(np.argsort(np.flip(x, axis), axis, kind=kind), axis)


def sort(x: ndarray, axis: int, descending: bool = False, stable: bool = True) -> ndarray:
    ordered = np.sort(x, axis)  # equal values cannot be told apart
    return np.flip(ordered, axis) if descending else ordered


def erf(x: ndarray) -> ndarray:
    from scipy.special import erf as scipy_erf  # half a second to import: loaded when first needed

    return scipy_erf(x)


def slice(x: ndarray, index: Any) -> ndarray:
    return x[index]


def affine_view(x: ndarray, shape: tuple[int, ...], start: tuple[int, ...], steps: tuple) -> ndarray:
    """out[i, j, ...] = x[start + i * steps[0] + j * steps[1] + ...], a view; the caller keeps it within x."""
    corner = x[(*[builtins.slice(first, None) for first in start], Ellipsis)]
    strides = [builtins.sum(map(operator.mul, step, x.strides)) for step in steps]
    return np.lib.stride_tricks.as_strided(corner, shape, strides, writeable=x.flags.writeable)


def affine_positions(x_shape: tuple[int, ...], shape: tuple[int, ...], start: tuple[int, ...], steps: tuple) -> ndarray:
    """Where each element of an `affine_view` is in x, laid out as one vector."""
    return affine_view(np.arange(math.prod(x_shape)).reshape(x_shape), shape, start, steps).reshape(-1)


def contiguous(x: ndarray) -> ndarray:
    return np.array(x, order="C", copy=True)


def slice_assign(x: ndarray, value: ndarray, index: Any) -> ndarray:
    out = x.copy()
    out[index] = value
    return out


def index_with(spec: tuple, arrays: tuple) -> tuple:
    """An index tuple: `spec` with each `Ellipsis`-free placeholder `("array", i)` replaced by `arrays[i]`."""
    return tuple(arrays[item[1]] if type(item) is tuple else item for item in spec)


def index_get(x: ndarray, *arrays: ndarray, spec: tuple) -> ndarray:
    """`x[index_with(spec, arrays)]`, a copy: of an array in order one in order, so that a view in another shape can be had."""
    found = x[index_with(spec, arrays)]
    return np.ascontiguousarray(found) if x.flags.c_contiguous and found.ndim > 1 else found


def index_put(x: ndarray, values: ndarray, *arrays: ndarray, spec: tuple, accumulate: bool) -> ndarray:
    out = x.copy()
    if accumulate and spec == _ROWS and out.ndim > 1 and arrays[0].dtype.kind in "iu" and arrays[0].size:
        _add_rows(out, arrays[0], values)
    elif accumulate:
        np.add.at(out, index_with(spec, arrays), values)
    else:
        out[index_with(spec, arrays)] = values
    return out


_ROWS = (("array", 0),)


def _add_rows(out: ndarray, index: ndarray, values: ndarray) -> None:
    """`np.add.at(out, index, values)` for rows: by sorting, in a fifth of its time."""
    rows = index.reshape(-1)
    rows = np.where(rows < 0, rows + len(out), rows)
    values = np.broadcast_to(values, (*index.shape, *out.shape[1:])).reshape(len(rows), *out.shape[1:])
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.concatenate(([0], (rows[1:] != rows[:-1]).nonzero()[0] + 1))
    out[rows[starts]] += np.add.reduceat(values[order], starts, axis=0, dtype=out.dtype)


_REDUCING = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def index_reduce(x: ndarray, values: ndarray, *arrays: ndarray, spec: tuple, reduce: str) -> ndarray:
    """A copy of x whose indexed elements are multiplied by `values`, or become the greater or the lesser of the two."""
    out = x.copy()
    _REDUCING[reduce].at(out, index_with(spec, arrays), values)
    return out


def assign(target: ndarray, value: Any) -> None:
    target[...] = value


def to_device(x: ndarray, device: Any) -> Any:
    """A copy on a GPU; on the CPU the array itself."""
    return x if device.type == "cpu" else kinds().gpu().from_host(x, device)


def draw(generator: Any, method: str, *args: Any) -> ndarray:
    return getattr(generator, method)(*args)


def kinds() -> Any:
    """`arrays.kinds`, which imports this module."""
    return import_module("rushlight.arrays.kinds")


# ---------------------------------------------------------------- numerical routines


def loaded_later(name: str, *files: str) -> Any:
    """A function of the first of some files here that has it, imported at its first call: SciPy takes longer than all else."""

    def call(*arrays: Any, **attrs: Any) -> Any:
        nonlocal function
        if function is None:
            modules = (import_module(f"rushlight.arrays.{file}") for file in files)
            function = next(getattr(module, name) for module in modules if hasattr(module, name))
        return function(*arrays, **attrs)

    function = None
    call.__name__ = name
    return call


for _file, _names in HOST.items():
    for _name in _names:
        globals()[_name] = loaded_later(_name, _file)
