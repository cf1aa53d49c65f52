"""New tensors of a number, of given strides, and (the methods `new_...`) with the dtype and device of another."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.arrays import numpy as numpy_arrays
from rushlight.arrays.kinds import Abstract
from rushlight.ops import create, namespaces
from rushlight.tensor import Tensor


def scalar_tensor(
    s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A number as a tensor without dimensions, in the default dtype unless another is given."""
    if not isinstance(s, (bool, int, float, complex)):
        raise TypeError(f"scalar_tensor(): argument 's' (position 1) must be Number, not {type(s).__name__}")
    dtype = dtype or dtypes.get_default_dtype()
    return create.full((), s, dtype=dtype, device=device, requires_grad=requires_grad, pin_memory=pin_memory)


def empty_strided(
    size: Any, stride: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor with the given strides, counted in elements, whose values are not set."""
    shape, strides, numpy_dtype = create.shape_of((size,)), tuple(stride), create._float_dtype(dtype)
    if len(shape) != len(strides):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(strides)})"
        )
    if any(step < 0 for step in strides):
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)} and strides={list(strides)}")
    xp = create._namespace(device)
    if xp is not numpy_arrays:
        return create._finish(xp.full(shape, 0, numpy_dtype), requires_grad, pin_memory)
    count = 0 if 0 in shape else 1 + sum(step * (n - 1) for n, step in zip(shape, strides, strict=True))
    memory = np.empty(count, numpy_dtype)
    memory = create.pinned(memory) if pin_memory else memory
    in_bytes = [step * numpy_dtype.itemsize for step in strides]
    return create._finish(np.lib.stride_tricks.as_strided(memory, shape, in_bytes), requires_grad)


def empty_permuted(
    size: Any, physical_layout: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor whose dimensions lie in memory in another order, the outermost first; its values are not set."""
    shape, order = create.shape_of((size,)), tuple(physical_layout)
    if len(shape) != len(order):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = "
            f"{len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for at, axis in enumerate(order):
        if not 0 <= axis < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got {axis} at index {at}).  "
                "NB: negative dims not currently supported; file an issue if you want it."
            )
    if len(set(order)) != len(order):
        raise RuntimeError("Duplicate dim not allowed")
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis], step = step, step * max(shape[axis], 1)
    return empty_strided(shape, strides, dtype=dtype, device=device, requires_grad=requires_grad, pin_memory=pin_memory)


# ---------------------------------------------------------------- like another tensor


def _options(self: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    """`dtype` and `device` of this tensor unless given, `requires_grad` and `pin_memory`."""
    return {
        "dtype": options.get("dtype") or self.dtype, "device": options.get("device") or self.device,
        "requires_grad": options.get("requires_grad", False), "pin_memory": options.get("pin_memory", False),
    }  # fmt: skip


def _for_each(self: Tensor, made: Tensor) -> Tensor:
    """A new tensor beside one of `vmap`'s: each example gets its own, so that it can be written to."""
    return namespaces.transforms().for_each(self, made) if isinstance(self._array, Abstract) else made


def new_zeros(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """Zeros of this tensor's dtype."""
    return _for_each(self, create.zeros(*(size or (options["size"],)), **_options(self, options)))


def new_ones(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """Ones of this tensor's dtype."""
    return _for_each(self, create.ones(*(size or (options["size"],)), **_options(self, options)))


def new_empty(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """A tensor of this tensor's dtype whose values are not set."""
    return _for_each(self, create.empty(*(size or (options["size"],)), **_options(self, options)))


def new_full(self: Tensor, size: Any, fill_value: Any, **options: Any) -> Tensor:
    """One value, in this tensor's dtype."""
    return _for_each(self, create.full(create.shape_of((size,)), fill_value, **_options(self, options)))


def new_tensor(self: Tensor, data: Any, **options: Any) -> Tensor:
    """`tensor(data)` in this tensor's dtype."""
    return create.tensor(data, **_options(self, options))


def new_empty_strided(self: Tensor, size: Any, stride: Any, **options: Any) -> Tensor:
    """A tensor of this tensor's dtype with the given strides, whose values are not set."""
    return empty_strided(size, stride, **_options(self, options))
