"""Tensors in another dtype or on another device."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import devices, dtypes
from rushlight.arrays import symbolic as symbolic_arrays
from rushlight.ops import views as ops
from rushlight.ops.define import cast
from rushlight.tensor import Tensor, wrap


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor in another dtype or on another device; itself if nothing changes and `copy` is not set.

    Args: `to(dtype)`, `to(device, dtype)` or `to(other)`, and `non_blocking`, `copy`.
    """
    dtype, device, flags = kwargs.get("dtype"), kwargs.get("device"), []
    for argument in args:
        if isinstance(argument, (dtypes.dtype, type)):
            dtype = argument
        elif isinstance(argument, (str, devices.device)):
            device = argument
        elif isinstance(argument, Tensor):
            dtype, device = argument.dtype, argument.device
        elif argument is None or argument in (True, False):
            flags.append(argument)
        else:
            raise TypeError(f"to() received an invalid combination of arguments - got ({type(argument).__name__})")
    copy = kwargs.get("copy", len(flags) > 1 and flags[-1])  # the flags are non_blocking, copy
    if device is not None:
        wanted = devices.require(device).type
        if wanted == "meta" and self.device.type != "meta":
            return wrap(symbolic_arrays.meta(self._array.shape, self._array.dtype))
        if wanted == "cpu" and self.device.type == "meta":
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    copy = copy or getattr(kwargs.get("memory_format"), "name", "").startswith("channels_last")
    numpy_dtype = self._array.dtype if dtype is None else dtypes.as_numpy(dtype)
    if numpy_dtype == self._array.dtype:
        return ops.clone(self) if copy else self
    return converted(self, numpy_dtype)


def converted(x: Tensor, numpy_dtype: np.dtype) -> Tensor:
    """A cast that autograd follows, where the new dtype can have gradients."""
    if numpy_dtype.kind in "iub" and x._needs_grad:
        x = x.detach()
    return cast(x, dtype=numpy_dtype)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """In the other's dtype."""
    return to(self, other.dtype)


def _in_dtype(name: str, dtype: dtypes.dtype) -> Any:
    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        return to(self, dtype, memory_format=memory_format)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`to({dtype})`."
    return method


DTYPE_METHODS = {  # not names of this module: they would hide Python's own
    name: _in_dtype(name, getattr(dtypes, name))
    for name in ("half", "float", "double", "bfloat16", "int", "long", "short", "bool", "cfloat", "cdouble")
} | {"char": _in_dtype("char", dtypes.int8), "byte": _in_dtype("byte", dtypes.uint8)}


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """On the CPU."""
    return to(self, "cpu")
