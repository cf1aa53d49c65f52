"""The kinds of array: which namespace computes on which, and the levels of the transforms.

A transform (`vmap`, forward-mode `jvp`) that is running is a *level*. Arrays inside it are of an `Abstract` kind: each knows
its level, and holds what it stands for, which is of a lower level. Levels nest: an operation on arrays of several levels belongs
to the highest, and what that computes with is of the levels below. So no transform knows of another.

`inner` values may be of any kind that has a namespace here; `rushlight.ops.namespaces` registers Tensors, which is what
transforms hold, so that autograd follows what happens inside.
"""

from __future__ import annotations

import functools
import threading
from importlib import import_module
from typing import Any

import numpy as np

from rushlight import devices, dtypes
from rushlight.arrays import numpy as numpy_arrays
from rushlight.arrays.sized import ARITHMETIC, COMPARISONS, OF_ONE, Sized

NAMESPACES: dict[type, Any] = {}  # of the kinds beside NumPy's: a class and its namespace
HOLDERS: set[type] = (
    set()
)  # kinds that hold an array of their own: what they are given to compute on need not be abstract
DIRECT: set[Any] = {numpy_arrays}  # the namespaces on which an operation simply runs its forward function
CLASSES: set[type] = {np.ndarray}  # of arrays that are neither NumPy scalars nor abstract


GPU: Any = None  # the namespace of arrays on GPUs, once it is loaded


def add_kind(cls: type, namespace: Any) -> None:
    """Adds a kind of array that has data of its own, or is a record of operations."""
    NAMESPACES[cls] = namespace
    DIRECT.add(namespace)
    CLASSES.add(cls)


@functools.cache
def gpu() -> Any:
    """The namespace of arrays on GPUs, loaded at the first call.

    Raises:
        RuntimeError: there is no driver, or no GPU, in PyTorch's words. AssertionError: CuPy is not installed.
    """
    from rushlight.cuda import library

    library.cupy()
    global GPU
    GPU = import_module("rushlight.arrays.cupy")
    return GPU


def check_bounds() -> None:
    """Raises IndexError for an index that a GPU has found to be out of range; for whoever has just waited for it."""
    if GPU is not None:
        GPU.bounds.check()


class Level:
    """A transform that is running in a thread. `depth` is 1 for the outermost one, and 0 once it is over."""

    def __init__(self) -> None:
        _thread.levels.append(self)
        self.depth = len(_thread.levels)

    def leave(self) -> None:
        """Ends the transform; those inside it must have ended."""
        ended = _thread.levels.pop()
        assert ended is self, "transforms end in the reverse of the order in which they began"
        self.depth = 0


class _Thread(threading.local):
    def __init__(self) -> None:
        self.levels: list[Level] = []


_thread = _Thread()


def levels() -> list[Level]:
    """The transforms that are running in this thread, the innermost one last."""
    return _thread.levels


class Abstract(Sized):
    """An array that stands, within a transform, for more than itself. Its shape is what the transform's function sees."""

    __slots__ = ("level", "shape")
    level: Any

    @property
    def T(self) -> Any:
        return namespace_of(self).permute_dims(self, tuple(reversed(range(self.ndim))))

    def __getitem__(self, index: Any) -> Any:
        return namespace_of(self).slice(self, index if isinstance(index, tuple) else (index,))

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        return namespace_of(self).astype(self, np.dtype(dtype))

    def reshape(self, *shape: Any) -> Any:
        return namespace_of(self).reshape(self, shape[0] if len(shape) == 1 else shape)

    def copy(self) -> Any:
        return namespace_of(self).astype(self, self.dtype)


def numpy_dtype(x: Any) -> np.dtype:
    """The NumPy dtype of an array of any kind."""
    found = x.dtype
    return found if isinstance(found, np.dtype) else dtypes.as_numpy(found)


def device_of(x: Any) -> devices.device:
    """Where an array's data are; of one that stands for others, those of what it holds."""
    while isinstance(x, Abstract):
        x = x.inner
        x = getattr(x, "_array", x)  # a Tensor's
    kind = x.__class__
    if kind is np.ndarray:
        return devices.cpu
    found = getattr(NAMESPACES.get(kind), "device_of", None)
    return devices.cpu if found is None else found(x)


def share_memory(x: Any, y: Any) -> bool:
    """Whether two arrays of one kind may lie in the same memory."""
    if x.__class__ is not y.__class__:
        return False
    if x.__class__ is np.ndarray:
        return bool(np.may_share_memory(x, y))
    return GPU is not None and x.__class__ is GPU.ndarray and bool(GPU.cupy.may_share_memory(x, y))


def namespace_of(*arrays: Any) -> Any:
    """The namespace that computes on these arrays: of the most abstract kind; sparse ones may hold those of a GPU."""
    found, depth = numpy_arrays, -2
    for array in arrays:
        kind = array.__class__
        namespace = NAMESPACES.get(kind)
        if namespace is None:
            continue
        if kind in HOLDERS:
            return namespace
        rank = array.level.depth if isinstance(array, Abstract) else -(namespace is GPU)
        if rank > depth:
            found, depth = namespace, rank
    return found


def _define_operators() -> None:
    def of_waist(name: str, swapped: bool = False) -> Any:
        def method(self: Any, other: Any) -> Any:
            operands = (other, self) if swapped else (self, other)
            return getattr(namespace_of(*operands), name)(*operands)

        return method

    for name, function in ARITHMETIC.items():
        setattr(Abstract, f"__{name}__", of_waist(function))
        setattr(Abstract, f"__r{name}__", of_waist(function, swapped=True))
    for name, function in COMPARISONS.items():
        setattr(Abstract, f"__{name}__", of_waist(function))
    for name, function in OF_ONE.items():
        setattr(Abstract, f"__{name}__", lambda self, f=function: getattr(namespace_of(self), f)(self))
    Abstract.__hash__ = object.__hash__  # type: ignore[method-assign]


_define_operators()
