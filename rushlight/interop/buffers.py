"""Tensors of whatever has numbers in it: `from_numpy`, `asarray`, and `frombuffer` for raw memory."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import devices, dtypes
from rushlight.interop import dlpack
from rushlight.ops import create
from rushlight.tensor import Tensor, wrap


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor on the memory of a NumPy array: writes to either are seen by both.

    The array comes in as it is, with negative strides, foreign byte order or bfloat16 of ml_dtypes. Writing to
    the tensor of a read-only one raises.

    Raises:
        TypeError: no array, or of a dtype without counterpart (strings, objects, dates).

    Example:
        >>> import numpy as np
        >>> import rushlight as torch
        >>> torch.from_numpy(np.arange(4)[::-2])
        tensor([3, 1])
    """
    if isinstance(ndarray, np.ndarray) and not ndarray.flags.writeable:
        _warn_once_of_read_only("NumPy array")
    return create.from_numpy(ndarray)


_warned: set[str] = set()


def _warn_once_of_read_only(source: str) -> None:
    """As PyTorch does, but here nothing undefined happens: writing to such a tensor raises."""
    if source not in _warned:
        _warned.add(source)
        warnings.warn(
            f"The given {source} is not writable: the tensor shares its memory, and writing to the tensor raises an "
            f"error. You may want to copy the {source} or make it writable before converting it to a tensor. This type "
            "of warning will be suppressed for the rest of this program.",
            stacklevel=3,
        )


_FROM_DATA: Any = object()  # requires_grad of a tensor that is given, else False


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: Any = _FROM_DATA
) -> Tensor:
    """A tensor of a tensor, an array, a DLPack object, a buffer, a number or nested sequences.

    It is on the object's own memory if that can be shared.

    Args:
        copy: True for a copy, False to raise rather than copy, None to copy if necessary.

    Raises:
        ValueError: `copy=False`, and the object cannot be had without a copy.

    Example:
        >>> import rushlight as torch
        >>> torch.asarray([1, 2])
        tensor([1, 2])
    """
    source = _aliased(obj, dtype)
    if source is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        return create.tensor(obj, dtype=dtype, device=device, requires_grad=requires_grad is True)
    wanted = source.dtype if dtype is None else dtypes.from_numpy(dtypes.as_numpy(dtype))
    place = source.device if device is None else devices.require(device)
    if copy is False and place.type != source.device.type:
        raise ValueError(f"can't alias tensor with device '{source.device}' to '{place}'.")
    if copy is False and wanted is not source.dtype:
        names = dtypes.LEGACY_NAMES
        raise ValueError(
            f"can't alias tensor with dtype '{names[source.dtype.name]}' into dtype '{names[wanted.name]}'."
        )
    result = source.to(place, wanted, copy=bool(copy))
    if requires_grad is _FROM_DATA:
        return result
    if requires_grad and result._node is None:
        return (result.detach() if result is obj and not result.requires_grad else result).requires_grad_()
    return result if requires_grad else result.detach()


def _aliased(obj: Any, dtype: Any) -> Tensor | None:
    """The tensor on the object's own memory, if it has memory that tensors can share."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if isinstance(obj, np.generic):
        return None
    if hasattr(obj, "__cuda_array_interface__"):
        return create.of_gpu(obj)
    if hasattr(obj, "__dlpack__") or type(obj).__name__ == "PyCapsule":
        return dlpack.from_dlpack(obj)
    if isinstance(obj, (bytes, bytearray, memoryview)):
        return frombuffer(obj, dtype=dtypes.get_default_dtype() if dtype is None else dtype)
    if hasattr(obj, "__array__") and not isinstance(obj, Sequence):
        return create.from_numpy(np.asarray(obj))
    return None


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A vector on the memory of an object with Python's buffer protocol: bytes, bytearray, array.array, mmap.

    Args:
        count: how many elements; -1 for all that follow.
        offset: how many bytes to skip.

    Raises:
        ValueError: no buffer, or one whose length does not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.frombuffer(bytearray([1, 0, 2, 0]), dtype=torch.int16)
        tensor([1, 2], dtype=torch.int16)
    """
    try:
        memory = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    numpy_dtype = dtypes.as_numpy(dtype)
    if requires_grad and numpy_dtype.kind in "biu":
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    _check_extent(memory.nbytes, numpy_dtype.itemsize, count, offset)
    if memory.readonly:
        _warn_once_of_read_only("buffer")
    count = (memory.nbytes - offset) // numpy_dtype.itemsize if count < 0 else count
    # As bytes first: NumPy reads no buffers of ml_dtypes' types.
    array = np.frombuffer(memory, np.uint8, count * numpy_dtype.itemsize, offset).view(numpy_dtype)
    return wrap(array).requires_grad_(requires_grad)


def _check_extent(length: int, itemsize: int, count: int, offset: int) -> None:
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1"
        )
    if count > 0:
        if offset + count * itemsize > length:
            raise ValueError(
                f"requested buffer length ({count} * {itemsize} bytes) after offset ({offset} bytes) must not be "
                f"greater than actual buffer length ({length} bytes)"
            )
    elif (length - offset) % itemsize:
        raise ValueError(
            f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a multiple of element size "
            f"({itemsize})"
        )
