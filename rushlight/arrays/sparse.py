"""Row-sparse arrays: coordinates and the values there, in PyTorch's COO form. The kind of array of sparse gradients.

The first `len(indices)` dimensions are sparse: an entry is a slice of the others. Entries at one place add up; `coalesced`
adds them. NumPy's functions on a mixture of sparse and plain arrays come here (`__array_ufunc__`), so sums of gradients
and updates of parameters need no code of their own: `np.subtract(table, sparse, out=table)` touches only the rows there
are. Only what keeps 0 at 0 is sparse again. Left out: products, views, reductions but the sum, and other sparse forms.

Coordinates and values are NumPy's arrays or CuPy's, on one device: NumPy's functions on CuPy's arrays are CuPy's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import devices
from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.arrays.protocol import HOST_NAMES, NAMES
from rushlight.arrays.sized import Sized

KEEP_ZERO = frozenset(
    [
        "absolute",
        "arcsin",
        "arcsinh",
        "arctan",
        "arctanh",
        "ceil",
        "conjugate",
        "expm1",
        "floor",
        "log1p",
        "negative",
        "rint",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "square",
        "tan",
        "tanh",
        "trunc",
    ]
)
ADDS = {np.add: 1, np.subtract: -1}


def _on_its_device(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method during which the device of the entries is the current one."""

    @functools.wraps(method)
    def call(self: SparseArray, *args: Any, **options: Any) -> Any:
        if kinds.GPU is None or type(self.values) is not kinds.GPU.ndarray:
            return method(self, *args, **options)
        with self.values.device:
            return method(self, *args, **options)

    return call


class SparseArray(Sized):
    """`indices` is (sparse dimensions, entries), `values` (entries, *dense dimensions)."""

    __slots__ = ("indices", "values", "shape", "is_coalesced")

    def __init__(self, indices: ndarray, values: ndarray, shape: tuple[int, ...], is_coalesced: bool = False):
        self.indices, self.values, self.shape = indices, values, shape
        self.is_coalesced = is_coalesced or len(values) < 2

    @property
    def dtype(self) -> np.dtype:  # type: ignore[override]
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        return int(self.values.nbytes + self.indices.nbytes)

    def with_values(self, values: ndarray) -> SparseArray:
        """Other values at the same places."""
        return SparseArray(self.indices, values, self.shape, self.is_coalesced)

    def copy(self) -> SparseArray:
        return SparseArray(self.indices.copy(), self.values.copy(), self.shape, self.is_coalesced)

    def astype(self, dtype: np.dtype, copy: bool = True) -> SparseArray:
        return self.with_values(self.values.astype(dtype, copy=copy))

    @_on_its_device
    def coalesced(self) -> SparseArray:
        """One entry for each place, in order."""
        if self.is_coalesced:
            return self
        sizes = self.shape[: len(self.indices)]
        places = self.indices[0] if len(sizes) == 1 else _raveled(self.indices, sizes)
        order = np.argsort(places, kind="stable")
        places = places[order]
        is_first = np.ones_like(places, dtype=bool)
        is_first[1:] = places[1:] != places[:-1]
        starts = np.flatnonzero(is_first)
        values = self.values[order]
        if len(starts) < len(places):
            values = _sums(values, is_first, starts)
        return SparseArray(self.indices[:, order[starts]], values, self.shape, True)

    @_on_its_device
    def to_dense(self) -> ndarray:
        dense = np.zeros(self.shape, self.dtype, like=self.values)
        self.add_to(dense)
        return dense

    def add_to(self, target: ndarray, sign: int = 1) -> None:
        """Adds the entries to a plain array of this shape, or takes them from it."""
        entries = self.coalesced()
        if len(entries.indices):
            at = tuple(entries.indices)
            if sign > 0:
                target[at] += entries.values
            else:
                target[at] -= entries.values
        elif len(entries.values):
            target[...] += sign * entries.values[0]

    # ------------------------------------------------------------ arithmetic

    @_on_its_device
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        if ufunc in ADDS:
            return _sum(ufunc, *inputs, out=None if out is None else out[0])
        if out is not None:
            raise _no_such(ufunc.__name__)
        if len(inputs) == 1 and ufunc.__name__ in KEEP_ZERO:
            entries = self if ufunc is np.negative else self.coalesced()
            return entries.with_values(ufunc(entries.values))
        if ufunc is np.multiply or ufunc is np.divide and inputs[0] is self:
            return _product(ufunc, *inputs)
        raise _no_such(ufunc.__name__)

    def __add__(self, other: Any) -> Any:
        return np.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return np.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return np.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return np.subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return np.multiply(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return np.divide(self, other)

    def __neg__(self) -> Any:
        return np.negative(self)


def _no_such(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"Could not run '{name}' with arguments from the 'SparseCPU' backend: a sparse tensor has sums, products with "
        "numbers and little more. Call to_dense() first."
    )


def _raveled(indices: ndarray, sizes: tuple[int, ...]) -> ndarray:
    places = np.zeros_like(indices[0])
    for index, size in zip(indices, sizes, strict=True):
        places *= size
        places += index
    return places


def _sums(values: ndarray, is_first: ndarray, starts: ndarray) -> ndarray:
    """Of sorted entries, the sums of those at one place: half precision is summed in float32."""
    if values.dtype.char in "eE":
        return _sums(values.astype(np.float32), is_first, starts).astype(values.dtype)
    if type(values) is ndarray:
        return np.add.reduceat(values, starts, axis=0)
    xp, places = kinds.namespace_of(values), np.cumsum(is_first) - 1
    zeros = xp.full((len(starts), *values.shape[1:]), 0, values.dtype)
    return xp.index_put(zeros, values, places, spec=(("array", 0),), accumulate=True)


def _sum(ufunc: np.ufunc, x: Any, y: Any, out: Any) -> Any:
    """x + y or x - y, where at least one is sparse; into `out`, if that is x."""
    sign = ADDS[ufunc]
    if type(x) is SparseArray and type(y) is SparseArray:
        _check_shapes(x, y)
        values = y.values if sign > 0 else -y.values
        indices = np.concatenate((x.indices, y.indices), axis=1)
        return SparseArray(indices, np.concatenate((x.values, values)), x.shape).coalesced()
    if type(x) is SparseArray:  # sparse + plain is plain: in PyTorch only the engine may do it, here everyone
        x, y, sign = (y, x, 1) if sign > 0 else (-y, x, 1)
    if out is None:
        out = np.zeros(y.shape, np.result_type(getattr(x, "dtype", x), y.dtype), like=y.values)
        out[...] = x
    elif out is not x:
        return NotImplemented
    _check_shapes(out, y)
    y.add_to(out, sign)
    return out


def _product(ufunc: np.ufunc, x: Any, y: Any) -> SparseArray:
    """The product with a number, or with an array of the same shape; or the quotient by one."""
    sparse, other = (x, y) if type(x) is SparseArray else (y, x)
    if type(other) is SparseArray:
        sparse, other = sparse.coalesced(), other.to_dense()
    if np.ndim(other):
        _check_shapes(sparse, other)
        other = other[tuple(sparse.indices)]
    return sparse.with_values(ufunc(sparse.values, other))


def _check_shapes(x: Any, y: Any) -> None:
    if x.shape != y.shape:
        raise ValueError(f"sizes of sparse and other operands must match: {list(x.shape)} and {list(y.shape)}")


def _function(name: str) -> Any:
    """NumPy's function, where `__array_ufunc__` can know it; else one that says that there is none."""
    function = getattr(numpy_arrays, name)
    if isinstance(function, np.ufunc):
        return function

    def refuse(*_: Any, **__: Any) -> Any:
        raise _no_such(name)

    return staticmethod(refuse)


class SparseNamespace:
    """The functions of the waist on sparse arrays: NumPy's, where `__array_ufunc__` knows them, and a few more."""

    ndarray = SparseArray

    def use_device_of(self, x: SparseArray) -> int:
        """Makes the GPU of an array the current one; gives the one before, or -1 where the array is on the CPU."""
        xp = kinds.namespace_of(x.values)
        before: int = xp.use_device_of(x.values) if xp is kinds.GPU else -1
        return before

    def device_of(self, x: SparseArray) -> devices.device:
        return kinds.device_of(x.values)

    def to_device(self, x: SparseArray, device: devices.device) -> SparseArray:
        """The same on another device."""
        xp = kinds.namespace_of(x.values)
        indices, values = xp.to_device(x.indices, device), xp.to_device(x.values, device)
        return SparseArray(indices, values, x.shape, x.is_coalesced)

    def astype(self, x: Any, dtype: np.dtype) -> Any:
        return x.astype(dtype)

    def copy(self, x: Any) -> Any:
        return x.copy()

    def conj(self, x: SparseArray) -> SparseArray:
        return x.with_values(np.conj(x.values))

    def sum(self, x: SparseArray, axis: Any = None, keepdims: bool = False) -> Any:
        if axis is not None and len(axis if isinstance(axis, tuple) else (axis,)) < x.ndim or keepdims:
            raise _no_such("sum over some dimensions")
        return kinds.namespace_of(x.values).sum(x.values)

    def assign(self, target: Any, value: Any) -> None:
        """Makes a sparse array another one; writes one into a plain array."""
        if type(target) is not SparseArray:
            kinds.namespace_of(target).assign(target, value.to_dense() if type(value) is SparseArray else value)
        elif type(value) is SparseArray:
            target.indices, target.values, target.is_coalesced = value.indices, value.values, value.is_coalesced
        elif np.ndim(value) == 0 and value == 0:
            target.indices, target.values, target.is_coalesced = target.indices[:, :0], target.values[:0], True
        else:
            raise _no_such("assign a strided tensor")


for _name in (*NAMES, *HOST_NAMES):
    if not hasattr(SparseNamespace, _name):
        setattr(SparseNamespace, _name, _function(_name))
