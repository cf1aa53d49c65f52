"""New tensors: from data, filled, uninitialised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import devices, dtypes
from rushlight.arrays import kinds, numpy as numpy_arrays, symbolic as symbolic_arrays
from rushlight.arrays.kinds import Abstract
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.modes import modes
from rushlight.ops import copies, namespaces, observers
from rushlight.ops.copies import cast
from rushlight.ops.namespaces import creation_namespace
from rushlight.tensor import Size, Tensor, wrap


def _finish(array: Any, requires_grad: bool, pin_memory: bool = False) -> Tensor:
    result = wrap(pinned(array) if pin_memory else array)
    if requires_grad:
        if not (result.is_floating_point() or result.is_complex()):
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        result.requires_grad = True
    return result


def pinned(array: Any) -> Any:
    """An array in pinned memory, which a GPU reads by itself.

    Raises:
        RuntimeError: there is no GPU, or the array is on one.
    """
    from rushlight.cuda.pinned import pinned_result

    return pinned_result(array)


def _namespace(device: Any) -> Any:
    if device is None or observers.count and observers.recorder() is not None and devices.device(device).type == "cpu":
        if modes.device is None or observers.count and observers.recorder() is not None:
            return creation_namespace()
        device = modes.device
    found = devices.require(device)
    return _MetaArrays if found.type == "meta" else namespaces.creation_on(found)


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


_C_NAMES = {
    "float64": "double",
    "float32": "float",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "int32": "int",
}


def number_in(value: Any, dtype: np.dtype) -> np.ndarray:
    """A Python number as a 0-dimensional array; negative numbers wrap around in unsigned dtypes.

    Raises:
        RuntimeError: the dtype has no such number.
    """
    fits = True
    if dtype.kind == "b" or dtype.kind == "c" or not isinstance(value, (int, float, complex)):
        return np.asarray(value).astype(dtype)
    if isinstance(value, complex):
        fits, value = value.imag == 0, value.real
    if dtype.kind in "iu":
        limits, fits = np.iinfo(dtype), fits and math.isfinite(value)
        fits = fits and (-limits.max if dtype.kind == "u" else limits.min) <= int(value) <= limits.max
        array = np.asarray(int(value) if fits else 0).astype(dtype)
    else:
        with np.errstate(over="ignore"):
            array = np.asarray(value, np.float64).astype(dtype)
        fits = fits and (bool(np.isfinite(array)) or not math.isfinite(value))
    if not fits:
        name = _C_NAMES.get(dtype.name, f"{dtype.name}_t")
        raise RuntimeError(f"value cannot be converted to type {name} without overflow")
    return array


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
    if array.dtype == np.uint64 and not isinstance(data, (np.ndarray, np.generic)) and type(_first(data)) is int:
        raise ValueError("Overflow when unpacking long long")
    if array.dtype.kind not in "OUSmMT":
        return array
    first = _first(data)
    if isinstance(first, str):
        if first is data:
            raise TypeError("new(): invalid data type 'str'")
        raise ValueError("too many dimensions 'str'")
    if type(first) is int:
        raise ValueError("Overflow when unpacking long long")
    if isinstance(data, np.ndarray):
        dtypes.from_numpy(array.dtype)  # raises
    raise RuntimeError(f"Could not infer dtype of {type(first).__name__}")


def _large_integers(data: Any, dtype: np.dtype) -> np.ndarray | None:
    """Python integers as uint64: of some beyond int64 among smaller ones NumPy by itself makes floats."""
    try:
        return np.array(data, dtype) if type(_first(data)) is int else None
    except (OverflowError, TypeError, ValueError):
        return None


def _ragged(data: Any, dim: int = 0) -> Exception:
    """What is wrong with nested lists of unequal lengths."""
    lengths = [len(x) if isinstance(x, (list, tuple)) else None for x in data]
    if None in lengths:
        first = "not a sequence" if lengths[0] is not None else "'list' object cannot be interpreted as an integer"
        return TypeError(first)
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
        if data.numel() != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return data.item()
    return [_without_tensors(x) for x in data] if isinstance(data, (list, tuple)) else data


def _check_fits(array: np.ndarray, dtype: np.dtype) -> None:
    """Raises PyTorch's errors for Python numbers that a dtype does not have."""
    if array.dtype.kind == "c" and dtype.kind in "iuf":
        raise TypeError("must be real number, not complex")
    if dtype.kind in "iu" and array.size and array.dtype.kind in "iuf":
        limits, low, high = np.iinfo(dtype), array.min(), array.max()
        least = -limits.max if dtype.kind == "u" else limits.min
        if not (least <= low and high <= limits.max):  # which is so for nan
            raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow")


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
        result = result if device is None else copies.to_device(result, devices.require(device))
        result = wrap(pinned(result._array)) if pin_memory else result
        result._needs_grad = False
        return result.requires_grad_(requires_grad)
    if not isinstance(data, _PLAIN_DATA) and hasattr(data, "__cuda_array_interface__"):
        copy = of_gpu(data).clone()
        return tensor(copy, dtype=dtype, device=device, requires_grad=requires_grad, pin_memory=pin_memory)
    if dtype is None:
        array = _infer(data)
    else:
        numpy_dtype = dtypes.as_numpy(dtype)
        data = _without_tensors(data) if isinstance(data, (list, tuple)) and _holds_tensors(data) else data
        array = _large_integers(data, numpy_dtype) if numpy_dtype == np.uint64 else None
        array = _array_of(data) if array is None else array
        if not isinstance(data, (np.ndarray, np.generic)):
            _check_fits(array, numpy_dtype)
        array = array.astype(numpy_dtype, copy=False)
    dtypes.from_numpy(array.dtype)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return _finish(placed(array, device), requires_grad, pin_memory)


_PLAIN_DATA = (list, tuple, bool, int, float, complex, np.ndarray, np.generic)


def of_gpu(data: Any) -> Tensor:
    """A tensor on the memory of another library's array on a GPU (`__cuda_array_interface__`)."""
    result: Tensor = wrap(kinds.gpu().cupy.asarray(data))
    return result


def placed(array: np.ndarray, device: Any) -> Any:
    """An array's values on a device; on the meta device its shape."""
    given = modes.device if device is None else device
    place = None if given is None else devices.require(given)
    if place is not None and place.type == "meta":
        return symbolic_arrays.meta(array.shape, array.dtype)
    return array if place is None else numpy_arrays.to_device(array, place)


def beside(x: Tensor, array: np.ndarray) -> Tensor:
    """A tensor of an array's values where another tensor is."""
    return wrap(placed(array, x.device) if x.is_cuda else array)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of the data, on the same memory if it is a tensor or a NumPy array of that dtype already."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if not isinstance(data, _PLAIN_DATA) and hasattr(data, "__cuda_array_interface__"):
        return of_gpu(data).to(device=device, dtype=dtype)
    is_here = device is None and modes.device is None or device is not None and devices.require(device).type == "cpu"
    if is_here and isinstance(data, np.ndarray) and (dtype is None or dtypes.as_numpy(dtype) == data.dtype):
        return from_numpy(data)
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor on the memory of a NumPy array: writes to either are seen by both.

    Raises:
        TypeError: no array, or of a dtype without counterpart (strings, objects, dates).
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtypes.from_numpy(ndarray.dtype)
    return wrap(ndarray if type(ndarray) is np.ndarray else np.asarray(ndarray))


def legacy_tensor(*args: Any, dtype: dtypes.dtype | None = None, device: Any = None) -> Tensor:
    """`Tensor(...)`, `FloatTensor(...)`: of a sequence of data, or of sizes with values that are not set.

    Raises:
        TypeError: a number that is no size, or a tensor of another dtype than that of `FloatTensor` and its like.
    """
    wanted = dtype or dtypes.get_default_dtype()
    if len(args) != 1 or isinstance(args[0], (int, np.integer, Size)):
        return empty(*(args or (0,)), dtype=wanted, device=device)
    data = args[0]
    if isinstance(data, Tensor):
        if dtype is not None and data.dtype is not dtype:
            raise TypeError(f"expected a tensor of {dtype} (got {data.dtype})")
        return data.detach()
    if not hasattr(data, "__len__"):
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    return tensor(data, dtype=wanted, device=device)


# ---------------------------------------------------------------- filled


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of one value; its dtype is that of the value unless given."""
    if isinstance(fill_value, Tensor):
        dtype, fill_value = dtype or fill_value.dtype, fill_value.item()
    if dtype is None:
        kind = dtypes.bool if isinstance(fill_value, bool) else dtypes.int64 if isinstance(fill_value, int) else None
        dtype = kind or (dtypes.get_default_dtype().to_complex() if isinstance(fill_value, complex) else None)
    numpy_dtype = _float_dtype(dtype)
    value = number_in(fill_value, numpy_dtype) if type(fill_value) in (bool, int, float, complex) else fill_value
    return _finish(_namespace(device).full(shape_of((size,)), value, numpy_dtype), requires_grad, pin_memory)


def _size(name: str, size: tuple[Any, ...], named: Any) -> tuple[int, ...]:
    """The shape given to `zeros` and its like, one by one, as a sequence, or by the keyword.

    Raises:
        TypeError: none, or something that is no int.
    """
    size = size if named is None else (named,)
    if not size:
        raise TypeError(f'{name}() missing 1 required positional arguments: "size"')
    first = size[0]
    if isinstance(first, (bool, float, str)):
        raise TypeError(f"{name}(): argument 'size' (position 1) must be tuple of ints, not {type(first).__name__}")
    return shape_of(size)


def zeros(
    *shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Zeros of a shape."""
    return _finish(
        _namespace(device).full(_size("zeros", shape, size), 0, _float_dtype(dtype)), requires_grad, pin_memory
    )


def ones(
    *shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Ones of a shape."""
    return _finish(
        _namespace(device).full(_size("ones", shape, size), 1, _float_dtype(dtype)), requires_grad, pin_memory
    )


def empty(
    *shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor whose values are not set."""
    xp, wanted, numpy_dtype = _namespace(device), _size("empty", shape, size), _float_dtype(dtype)
    if xp is not numpy_arrays:
        return _finish(xp.full(wanted, 0, numpy_dtype), requires_grad, pin_memory)
    try:
        array = np.empty(wanted, numpy_dtype)
    except (MemoryError, ValueError) as error:
        raise numpy_arrays.cannot_allocate(wanted, numpy_dtype, error) from None
    return _finish(array, requires_grad, pin_memory)


_WITHOUT_DEVICE = frozenset((np.ndarray, SymbolicArray))  # on the CPU, or made where new arrays are


def _like(x: Tensor, dtype: Any, device: Any) -> tuple[Any, tuple[int, ...], np.dtype]:
    if not isinstance(x, Tensor):
        raise TypeError(f"argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    array = x._array
    if device is None and kinds.GPU is not None and array.__class__ is kinds.GPU.ndarray and not observers.count:
        xp = kinds.GPU.creation(array.data.device_id)
        return xp, array.shape, array.dtype if dtype is None else dtypes.as_numpy(dtype)
    is_meta = device is None and type(array) is SymbolicArray and array.node.op == "meta"
    if device is None and (array.__class__ not in _WITHOUT_DEVICE or modes.device is not None):
        device = x.device
    xp = _MetaArrays if is_meta else _namespace(None if device == devices.cpu and modes.device is None else device)
    return xp, array.shape, array.dtype if dtype is None else dtypes.as_numpy(dtype)


def _full_like(input: Tensor, value: Any, dtype: Any, device: Any, memory_format: Any) -> Any:
    """An array of one value in the shape, and the order in memory, of another tensor; None for values that are not set."""
    if isinstance(getattr(input, "_array", None), Abstract):
        again = namespaces.transforms().of_inner
        return again(input, lambda inner: wrap(_full_like(inner, value, dtype, device, memory_format)))
    xp, shape, numpy_dtype = _like(input, dtype, device)
    order = {"channels_last": (0, 2, 3, 1), "channels_last_3d": (0, 2, 3, 4, 1)}.get(getattr(memory_format, "name", ""))
    if xp is not numpy_arrays or input._array.__class__ is not np.ndarray:
        return xp.full(shape, 0 if value is None else value, numpy_dtype)
    if order is not None and len(order) == len(shape):
        back = np.argsort(order)
        template = np.empty([shape[axis] for axis in order], numpy_dtype).transpose(back)
    elif input._array.flags.c_contiguous or getattr(memory_format, "name", "") == "contiguous_format":
        return np.empty(shape, numpy_dtype) if value is None else xp.full(shape, value, numpy_dtype)
    else:
        template = np.empty_like(input._array, numpy_dtype)
    if value is not None:
        template[...] = value
    return template


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Zeros of another tensor's shape, dtype and device."""
    return _finish(_full_like(input, 0, dtype, device, memory_format), requires_grad, pin_memory)


def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Ones of another tensor's shape, dtype and device."""
    return _finish(_full_like(input, 1, dtype, device, memory_format), requires_grad, pin_memory)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None, pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """One value in another tensor's shape, dtype and device."""
    numpy_dtype = _like(input, dtype, device)[2]
    value = number_in(fill_value, numpy_dtype) if type(fill_value) in (bool, int, float, complex) else fill_value
    return _finish(_full_like(input, value, dtype, device, memory_format), requires_grad, pin_memory)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor of another's shape, dtype and device whose values are not set."""
    return _finish(_full_like(input, None, dtype, device, memory_format), requires_grad, pin_memory)
