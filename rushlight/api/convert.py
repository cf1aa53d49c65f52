"""Tensors in another dtype, on another device, of another class; and functions of Python on every element."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import devices, dtypes, layouts
from rushlight.api.memory import clone, contiguous
from rushlight.arrays import symbolic as symbolic_arrays
from rushlight.ops import create
from rushlight.ops.copies import cast, to_device
from rushlight.ops.inplace import write
from rushlight.tensor import Size, Tensor, wrap


def to(
    self: Tensor, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, copy: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """The tensor in another dtype or on another device; itself if nothing changes and `copy` is not set.

    Args: `to(dtype)`, `to(device, dtype)` or `to(other)`, and then `non_blocking`, `copy`.
        non_blocking: from pinned memory to a GPU, go on while the GPU copies.
    """
    flags = []
    for argument in args:
        if isinstance(argument, (dtypes.dtype, builtins.type)):
            dtype = argument
        elif isinstance(argument, (str, devices.device)) or argument.__class__ is int:
            device = argument
        elif isinstance(argument, Tensor):
            dtype, device = argument.dtype, argument.device
        elif argument in (True, False):
            flags.append(argument)
        elif argument is None:  # a device or dtype that is not given
            continue
        else:
            raise TypeError(f"to() received an invalid combination of arguments - got ({argument.__class__.__name__})")
    if flags:
        non_blocking, copy = non_blocking or flags[0], copy or any(flags[1:])
    numpy_dtype = self._array.dtype if dtype is None else dtypes.as_numpy(dtype)
    wanted = None if device is None else devices.require(device)
    if wanted is not None and wanted != self.device:
        if wanted.type == "meta":
            return wrap(symbolic_arrays.meta(self._array.shape, numpy_dtype))
        if self.device.type == "meta":
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    is_wider = numpy_dtype.itemsize > self._array.itemsize
    result = self if is_wider or wanted is None else to_device(self, wanted, non_blocking)  # the smaller one is moved
    result = result if numpy_dtype == self._array.dtype else converted(result, numpy_dtype)
    result = result if wanted is None else to_device(result, wanted)
    if memory_format is not None and memory_format is not layouts.preserve_format:
        result = contiguous(result, memory_format)
    return clone(result) if copy and result is self else result


def converted(x: Tensor, numpy_dtype: np.dtype) -> Tensor:
    """A cast that autograd follows, where the new dtype can have gradients."""
    if numpy_dtype.kind in "iub" and x._needs_grad:
        x = x.detach()
    return cast(x, dtype=numpy_dtype)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """In the other's dtype."""
    return to(self, other.dtype)


_OF_TYPE_NAME = {f"torch.{name}Tensor": getattr(dtypes, kind) for kind, name in dtypes.LEGACY_NAMES.items()}


def type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of the tensor's type, such as "torch.FloatTensor"; with `dtype`, which may be such a name, the tensor in it.

    Raises:
        ValueError: no such name.
    """
    if dtype is None:
        return f"torch.{'cuda.' if self.is_cuda else ''}{dtypes.legacy_name(self)}Tensor"
    place = getattr(dtype, "device_type", None)
    if isinstance(dtype, str):
        place = "cuda" if dtype.startswith("torch.cuda.") else "cpu"
        if (name := dtype.replace(".cuda.", ".")) not in _OF_TYPE_NAME:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = _OF_TYPE_NAME[name]
    place = None if place == self.device.type else place
    return to(self, dtype=getattr(dtype, "dtype", dtype), device=place, non_blocking=non_blocking)


def _in_dtype(name: str, dtype: dtypes.dtype) -> Any:
    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        return to(self, dtype, memory_format=memory_format)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`to({dtype})`."
    return method


DTYPE_METHODS = {  # not names of this module: they would hide Python's own
    name: _in_dtype(name, getattr(dtypes, name))
    for name in ("half", "float", "double", "bfloat16", "int", "long", "short", "bool", "cfloat", "cdouble", "chalf")
} | {"char": _in_dtype("char", dtypes.int8), "byte": _in_dtype("byte", dtypes.uint8)}


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """On the CPU."""
    return to(self, "cpu", memory_format=memory_format)


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """On a GPU."""
    return to(self, "cuda" if device is None else device, non_blocking=non_blocking, memory_format=memory_format)


def as_subclass(self: Tensor, cls: Any) -> Any:
    """A tensor of another class on the same memory, with the same history."""
    result = self.view_as(self)
    result.__class__ = cls
    return result


def new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """A tensor of this one's dtype: of given sizes, with its values not set, or of given data."""
    if len(args) == 1 and not isinstance(args[0], (int, np.integer, Size)):
        data = args[0]
        return data.view_as(data) if isinstance(data, Tensor) else create.tensor(data, dtype=self.dtype, device=device)
    return create.empty(*(args or (0,)), dtype=self.dtype, device=device)


def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What `Module.load_state_dict` makes of this tensor and the one that it loads."""
    return other.detach() if assign else write(self, other.detach(), "module_load")


# ---------------------------------------------------------------- Python functions, element by element


def _mapped(name: str, self: Tensor, others: tuple[Tensor, ...], function: Callable[..., Any]) -> Tensor:
    if self._needs_grad:
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead.")
    arrays = [np.broadcast_to(x._data(f"{name}()"), self.shape) for x in (self, *others)]
    values = list(map(function, *[array.reshape(-1).tolist() for array in arrays]))
    return write(self, np.array(values, self._array.dtype).reshape(self.shape), name)


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replaces each element by a Python function of it. Slow."""
    return _mapped("apply_", self, (), callable)


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replaces each element by a Python function of it and of the other tensor's. Slow."""
    return _mapped("map_", self, (tensor,), callable)


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replaces each element by a Python function of it and of two other tensors'. Slow."""
    return _mapped("map2_", self, (x, y), callable)
