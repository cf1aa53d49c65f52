"""The waist on CuPy arrays: what runs on NVIDIA GPUs. Loaded when the first tensor goes to one.

Most names are CuPy's own functions, which have NumPy's names and meaning; `arrays/numpy.py` beside it reads almost the
same. All compute on the current device, which `rushlight.ops.long_path` makes that of the operands. Most of the numerical
routines (`protocol.HOST`) are those for NumPy arrays: written in NumPy's functions, which on CuPy arrays are CuPy's. A
file of the same name in `gpu/` has those for which a GPU wants another way; what CuPy lacks (`ON_HOST`) runs on the
CPU, and arrays go there and back.
"""

from __future__ import annotations

import builtins
import functools
import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import cupy
import numpy as np
from cupy import ndarray

from rushlight import devices
from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.arrays.gpu import bounds, products, scattering
from rushlight.arrays.protocol import HOST

abs = cupy.absolute
acos = cupy.arccos
acosh = cupy.arccosh
asin = cupy.arcsin
asinh = cupy.arcsinh
atan = cupy.arctan
atanh = cupy.arctanh
bitwise_invert = cupy.invert
ceil = cupy.ceil
cos = cupy.cos
cosh = cupy.cosh
exp = cupy.exp
expm1 = cupy.expm1
floor = cupy.floor
isfinite = cupy.isfinite
isinf = cupy.isinf
isnan = cupy.isnan
log = cupy.log
log10 = cupy.log10
log1p = cupy.log1p
log2 = cupy.log2
negative = cupy.negative
reciprocal = cupy.reciprocal
round = cupy.rint
sign = cupy.sign
sin = cupy.sin
sinh = cupy.sinh
sqrt = cupy.sqrt
square = cupy.square
tan = cupy.tan
tanh = cupy.tanh
trunc = cupy.trunc

add = cupy.add
atan2 = cupy.arctan2
bitwise_and = cupy.bitwise_and
bitwise_left_shift = cupy.left_shift
bitwise_or = cupy.bitwise_or
bitwise_right_shift = cupy.right_shift
bitwise_xor = cupy.bitwise_xor
divide = cupy.true_divide
equal = cupy.equal
floor_divide = cupy.floor_divide
fmod = cupy.fmod
greater = cupy.greater
greater_equal = cupy.greater_equal
less = cupy.less
less_equal = cupy.less_equal
maximum = cupy.maximum
minimum = cupy.minimum
not_equal = cupy.not_equal
pow = cupy.power
remainder = cupy.remainder
subtract = cupy.subtract

take_along_axis = cupy.take_along_axis


def _here(*operands: Any) -> list[Any]:
    """Operands of which some may be constants that a formula made in NumPy."""
    return [cupy.asarray(x) if isinstance(x, np.ndarray) else x for x in operands]


def _logical(name: str) -> Callable[..., ndarray]:
    """CuPy's logical functions know no complex numbers."""
    function = getattr(cupy, name)

    def call(*operands: Any) -> ndarray:
        return function(*[x != 0 if isinstance(x, builtins.complex) or _is_complex(x) else x for x in operands])

    call.__name__ = name
    return call


def _is_complex(x: Any) -> bool:
    return isinstance(x, ndarray) and x.dtype.kind == "c"


logical_and, logical_not, logical_or, logical_xor = map(
    _logical, ("logical_and", "logical_not", "logical_or", "logical_xor")
)


def _of_constants(function: Any) -> Callable[..., ndarray]:
    """A function of CuPy on operands of which some may be constants that a formula made in NumPy; `plain` takes no such."""

    def call(*operands: Any) -> ndarray:
        for x in operands:
            if x.__class__ is np.ndarray:
                return function(*_here(*operands))
        return function(*operands)

    call.plain = function  # type: ignore[attr-defined]
    return call


multiply = _of_constants(cupy.multiply)

_HALF = "eE"  # NumPy's characters of float16 and bfloat16


def where(condition: Any, x: Any, y: Any) -> ndarray:
    """Elements of x and y; CuPy's function makes float32 of bfloat16, so that its bits are chosen."""
    condition, x, y = _here(condition, x, y)
    x_bits, y_bits = _bits(x, y), _bits(y, x)
    if x_bits is None or y_bits is None:
        return cupy.where(condition, x, y)
    return cupy.where(condition, x_bits, y_bits).view(getattr(x, "dtype", None) or y.dtype)


def _bits(x: Any, other: Any) -> Any:
    """Of bfloat16 numbers, or of a Python number beside them, the bits; None of others."""
    if isinstance(x, (ndarray, np.generic)):
        return x.view(np.uint16) if x.dtype.char == "E" else None
    if x.__class__ in (int, float) and isinstance(other, ndarray) and other.dtype.char == "E":
        return np.asarray(x, other.dtype).view(np.uint16)[()]
    return None


def sum(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    """Integers and truth values are added up in int64, as in PyTorch."""
    if x.dtype.char in _HALF:  # sums of half precision are float32 on the way
        return x.sum(axis, np.float32, None, keepdims).astype(x.dtype)
    return x.sum(axis, np.int64 if x.dtype.kind in "iub" else None, None, keepdims)


def prod(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    return cupy.prod(x, axis, None, None, keepdims)


def max(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    return cupy.max(x, axis, None, keepdims)


def min(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    return cupy.min(x, axis, None, keepdims)


def any(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    return cupy.any(x, axis, None, keepdims)


def all(x: ndarray, axis: Any = None, keepdims: bool = False) -> ndarray:
    return cupy.all(x, axis, None, keepdims)


def argmax(x: ndarray, axis: int | None = None, keepdims: bool = False) -> ndarray:
    return cupy.argmax(x, axis, keepdims=keepdims)


def argmin(x: ndarray, axis: int | None = None, keepdims: bool = False) -> ndarray:
    return cupy.argmin(x, axis, keepdims=keepdims)


def broadcast_to(x: Any, shape: tuple[int, ...]) -> ndarray:
    """A view with repeated elements."""
    return cupy.broadcast_to(x if isinstance(x, ndarray) else cupy.asarray(x), shape)


def reshape(x: ndarray, shape: Any) -> ndarray:
    return x.reshape(shape)


matmul = products.matmul


def permute_dims(x: ndarray, axes: tuple[int, ...]) -> ndarray:
    return x.transpose(axes)


def cumulative_sum(x: ndarray, axis: int) -> ndarray:
    return cupy.cumsum(x, axis)


def astype(x: ndarray, dtype: np.dtype) -> ndarray:
    """A copy in another dtype; of complex numbers that become real, the real part."""
    return (x.real if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cb" else x).astype(dtype)


def conj(x: ndarray) -> ndarray:
    """The complex conjugate; real arrays are their own."""
    return cupy.conjugate(x) if x.dtype.kind == "c" else x


def real(x: ndarray) -> ndarray:
    """The real part, a view; real arrays are their own."""
    return x.real


def imag(x: ndarray) -> ndarray:
    """The imaginary part, a view; of real arrays zeros."""
    return x.imag if x.dtype.kind == "c" else cupy.zeros(x.shape, x.dtype)


def complex(real: ndarray, imag: ndarray) -> ndarray:
    """Complex numbers of two real arrays of one dtype."""
    out = cupy.empty(np.broadcast_shapes(real.shape, imag.shape), np.result_type(real.dtype, np.complex64))
    out.real, out.imag = real, imag
    return out


def view_as_real(x: ndarray) -> ndarray:
    """Each complex number as its two parts, in a last dimension: a view."""
    return cupy.lib.stride_tricks.as_strided(x.real, (*x.shape, 2), (*x.strides, x.itemsize // 2))


def view_as_complex(x: ndarray) -> ndarray:
    """The pairs of the last dimension as complex numbers: a view, if they are neighbours in memory."""
    if x.strides[-1] != x.itemsize:
        x = cupy.ascontiguousarray(x)
    return x.view(np.result_type(x.dtype, np.complex64))[..., 0]


def full(shape: tuple[int, ...], value: Any, dtype: np.dtype) -> ndarray:
    if value.__class__ in (int, float, bool) and value == 0 and math.copysign(1.0, value) > 0:
        return cupy.zeros(shape, dtype)
    if value.__class__ is float and value and dtype.kind == "f":
        out = cupy.empty(shape, dtype)
        out.fill(value)
        return out
    return cupy.full(shape, value.item() if isinstance(value, (np.ndarray, np.generic)) else value, dtype)


def arange(start: Any, stop: Any, step: Any, dtype: np.dtype) -> ndarray:
    """Floats are counted on the CPU: the same numbers as there."""
    if np.dtype(dtype).kind in "iu" and builtins.all(isinstance(x, (int, np.integer)) for x in (start, stop, step)):
        return cupy.arange(start, stop, step).astype(dtype, copy=False)
    return cupy.asarray(numpy_arrays.arange(start, stop, step, dtype))


def concat(arrays: Any, axis: int = 0) -> ndarray:
    return cupy.concatenate(tuple(arrays), axis)


def take(x: ndarray, indices: ndarray, axis: int) -> ndarray:
    return cupy.take(x, *_here(indices), axis)


def argsort(x: ndarray, axis: int, descending: bool = False, stable: bool = True) -> ndarray:
    if not x.ndim or not x.size:
        return cupy.zeros(x.shape, np.int64)
    if not descending:
        return cupy.argsort(x, axis)
    return x.shape[axis] - 1 - cupy.flip(cupy.argsort(cupy.flip(x, axis), axis), axis)


def sort(x: ndarray, axis: int, descending: bool = False, stable: bool = True) -> ndarray:
    if not x.ndim or not x.size:
        return x.copy()
    ordered = cupy.sort(x, axis)  # equal values cannot be told apart
    return cupy.flip(ordered, axis) if descending else ordered


def erf(x: ndarray) -> ndarray:
    from cupyx.scipy.special import erf as cupy_erf

    return cupy_erf(x)


def slice(x: ndarray, index: Any) -> ndarray:
    return x[index]


def affine_view(x: ndarray, shape: tuple[int, ...], start: tuple[int, ...], steps: tuple) -> ndarray:
    """out[i, j, ...] = x[start + i * steps[0] + j * steps[1] + ...], a view; the caller keeps it within x."""
    corner = x[(*[builtins.slice(first, None) for first in start], Ellipsis)]
    strides = [builtins.sum(map(operator.mul, step, x.strides)) for step in steps]
    return cupy.lib.stride_tricks.as_strided(corner, shape, strides)


def contiguous(x: ndarray) -> ndarray:
    return x.copy("C")


def slice_assign(x: ndarray, value: ndarray, index: Any) -> ndarray:
    out = x.copy()
    out[index] = value
    return out


def index_get(x: ndarray, *arrays: ndarray, spec: tuple) -> ndarray:
    return x[numpy_arrays.index_with(spec, _here(*arrays))]


def index_put(x: ndarray, values: ndarray, *arrays: ndarray, spec: tuple, accumulate: bool) -> ndarray:
    out = x.copy()
    put(out, values, *arrays, spec=spec, accumulate=accumulate)
    return out


def put(target: ndarray, values: Any, *arrays: ndarray, spec: tuple, accumulate: bool) -> None:
    """Writes or adds values at advanced indices, in place."""
    if not target.size:  # CuPy would count on from the start of nothing
        return
    index = numpy_arrays.index_with(spec, _here(*arrays))
    (values,) = _here(values)
    if accumulate:
        scattering.add(target, index, values)
    elif spec == (("array", 0),) and arrays[0].dtype == np.bool_ and values.size == 1:
        mask = index[0].reshape(*index[0].shape, *(1,) * (target.ndim - index[0].ndim))
        target[...] = where(mask, values.reshape(()), target)
    else:
        target[index] = values


def write_at(target: ndarray, values: ndarray, *arrays: ndarray, spec: tuple, accumulate: bool) -> None:
    """`put` into memory that others see: on its own device, also where what is read lies in it."""
    with target.device:
        read = [x.copy() if cupy.may_share_memory(target, x) else x for x in (values, *arrays)]
        put(target, *read, spec=spec, accumulate=accumulate)


def index_reduce(x: ndarray, values: ndarray, *arrays: ndarray, spec: tuple, reduce: str) -> ndarray:
    """A copy of x whose indexed elements are multiplied by `values`, or become the greater or the lesser of the two."""
    out = x.copy()
    if not x.size:
        return out
    scattering.reduce(reduce, out, numpy_arrays.index_with(spec, _here(*arrays)), values)
    return out


def assign(target: Any, value: Any) -> None:
    """Also between devices, and to or from the CPU."""
    if not isinstance(target, ndarray):
        target[...] = to_host(value)
        return
    with target.device:
        value = cupy.asarray(value) if isinstance(value, ndarray) else value
        target[...] = _copied(value) if isinstance(value, np.ndarray) else value


def draw(generator: Any, method: str, *args: Any) -> ndarray:
    """By a generator of GPUs, whose methods take a namespace."""
    return getattr(generator, method)(sys.modules[__name__], *args)


# ---------------------------------------------------------------- devices


_runtime = cupy.cuda.runtime
_numbered = functools.cache(functools.partial(devices.device, "cuda"))


def device_of(x: ndarray) -> devices.device:
    """The device on which an array is."""
    return _numbered(x.data.device_id)


def current_device() -> devices.device:
    """The device on which arrays are made now."""
    return _numbered(_runtime.getDevice())


def use_device_of(x: ndarray) -> int:
    """Makes the device of an array the current one; gives the one before."""
    before: int = _runtime.getDevice()
    if x.data.device_id != before:
        _runtime.setDevice(x.data.device_id)
    return before


def num_devices() -> int:
    """How many GPUs there are."""
    return int(_runtime.getDeviceCount())


def are_elsewhere(*arrays: ndarray) -> bool:
    """Whether some of the arrays are on another device than the current one."""
    current = _runtime.getDevice()
    return builtins.any(x.data.device_id != current for x in arrays)


def _on_device(x: ndarray, index: int) -> ndarray:
    if x.device.id != index and not x.flags.c_contiguous:
        with x.device:  # from one GPU to another CuPy copies only what is in order
            x = cupy.ascontiguousarray(x)
    with cupy.cuda.Device(index):
        return cupy.asarray(x)


def _copied(x: np.ndarray, non_blocking: bool = False) -> ndarray:
    """A copy of the CPU's array on the current device.

    CuPy has the GPU copy from pinned memory by itself, and returns before that is done; other memory has been copied
    by then.
    """
    waits = not non_blocking and cupy.cuda.pinned_memory.is_memory_pinned(x.ctypes.data)
    return cupy.asarray(x, blocking=waits)


def to_device(x: ndarray, device: devices.device) -> Any:
    """A copy on another device, or on the CPU: a NumPy array."""
    if device.type == "cuda":
        return _on_device(x, device.index or 0)
    return numpy_arrays.contiguous(to_host(x))


def to_host(x: ndarray) -> np.ndarray:
    """A copy on the CPU. All values come this way, so here indices that a GPU has found to be out of range are told."""
    values: np.ndarray = x.get()
    bounds.check()
    return values


def from_host(x: np.ndarray, device: devices.device, non_blocking: bool = False) -> ndarray:
    """A copy of a NumPy array on a device; if it may, of pinned memory one that the GPU is yet to make."""
    with cupy.cuda.Device(device.index or 0):
        return _copied(x, non_blocking)


def memory(x: ndarray) -> ndarray:
    """The bytes from an array's first element to its last: a view."""
    length = (
        0
        if not x.size
        else builtins.sum((n - 1) * step for n, step in zip(x.shape, x.strides, strict=True)) + x.itemsize
    )
    corner = x[(builtins.slice(0, 1),) * x.ndim].reshape(-1).view(np.uint8)
    return cupy.lib.stride_tricks.as_strided(corner, (length,), (1,))


class _Creation:
    """This namespace on one device: for functions that make arrays of nothing."""

    def __init__(self, index: int):
        self._index, self._device = index, cupy.cuda.Device(index)

    def __getattr__(self, name: str) -> Any:
        function = getattr(sys.modules[__name__], name)

        def call(*args: Any, **attrs: Any) -> Any:
            if _runtime.getDevice() == self._index:
                return function(*args, **attrs)
            with self._device:
                return function(*args, **attrs)

        self.__dict__[name] = call
        return call


@functools.cache
def creation(index: int) -> _Creation:
    return _Creation(index)


# ---------------------------------------------------------------- numerical routines


# What CuPy has no function for, or one that is not exact enough.
ON_HOST = {
    "airy_ai": "no function", "eig": "cuSOLVER has it only in its latest versions",
    "i0e": "exp(-x) i0(x) overflows", "i1e": "exp(-x) i1(x) overflows",
    "ldl_factor": "no function", "ldl_solve": "no function",
    "matrix_exp": "no function for batches", "scaled_modified_bessel_k0": "exp(x) k0(x) overflows",
    "scaled_modified_bessel_k1": "exp(x) k1(x) overflows",
}  # fmt: skip
_ON_GPU = {"lapack", "pooling", "sorting", "windows"}  # the files in `gpu/`


def on_host(name: str, *arrays: Any, **attrs: Any) -> Any:
    """A function of the waist on the CPU."""
    inside = [to_host(x) if isinstance(x, ndarray) else x for x in arrays]
    found = getattr(numpy_arrays, name)(*inside, **attrs)
    return tuple(map(cupy.asarray, found)) if isinstance(found, tuple) else cupy.asarray(found)


for _file, _names in HOST.items():
    for _name in _names:
        if _name in ON_HOST:
            globals()[_name] = functools.partial(on_host, _name)
        else:
            globals()[_name] = numpy_arrays.loaded_later(_name, *[f"gpu.{_file}"] * (_file in _ON_GPU), _file)

kinds.add_kind(ndarray, sys.modules[__name__])
