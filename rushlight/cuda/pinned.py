"""Arrays in pinned memory, which a GPU reads by itself while the program goes on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.cuda import devices, library


def pinned_empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A NumPy array in pinned memory, whose elements are not set."""
    count = math.prod(shape)
    memory = library.cupy().cuda.alloc_pinned_memory(max(1, count * dtype.itemsize))
    # As bytes first: extension types such as bfloat16 are no types of buffers.
    return np.frombuffer(memory, np.uint8, count * dtype.itemsize).view(dtype).reshape(shape)


def pinned_copy(array: np.ndarray) -> np.ndarray:
    """A copy in pinned memory, in the same order of dimensions."""
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    copy = pinned_empty(tuple(array.shape[axis] for axis in order), array.dtype)
    copy = copy.transpose(np.argsort(order))
    copy[...] = array
    return copy


def is_pinned(array: Any) -> bool:
    """Whether a NumPy array lies in memory of `pinned_empty`."""
    if not library.is_ready() or not isinstance(array, np.ndarray):
        return False
    owner: Any = array
    while getattr(owner, "base", None) is not None:
        owner = owner.base
    owner = owner.obj if isinstance(owner, memoryview) else owner
    return isinstance(owner, library.cupy().cuda.PinnedMemoryPointer)


def pinned_result(array: Any) -> Any:
    """What a function makes that is told `pin_memory=True`: its array, in pinned memory.

    Raises:
        RuntimeError: there is no GPU, or the array is on one.
    """
    if not devices.is_available():
        raise RuntimeError(
            "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory allocator is available on "
            "this system."
        )
    if isinstance(array, library.cupy().ndarray):
        raise RuntimeError("Only dense CPU tensors can be pinned")
    return pinned_copy(array) if isinstance(array, np.ndarray) else array
