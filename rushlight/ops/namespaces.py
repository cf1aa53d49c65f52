"""The namespaces that operations compute with, beside those in `arrays/`: Tensors', and where new arrays come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import devices
from rushlight.arrays import kinds, numpy as numpy_arrays, symbolic as symbolic_arrays
from rushlight.arrays.kinds import Abstract
from rushlight.arrays.sparse import SparseArray, SparseNamespace
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.modes import modes
from rushlight.ops import observers
from rushlight.tensor import Tensor, wrap


class TensorArrays:
    """The waist on Tensors: derivative formulas given this namespace are differentiable again.

    Filled by `op(waist=...)`, an operation for every waist function.
    """


tensor_arrays = TensorArrays()
sparse_arrays = SparseNamespace()
kinds.add_kind(SymbolicArray, symbolic_arrays)
kinds.add_kind(SparseArray, sparse_arrays)
kinds.NAMESPACES[Tensor] = tensor_arrays
kinds.HOLDERS.add(Tensor)


def creation_namespace() -> Any:
    """Where new arrays come from: recorded while a program is recorded; else those of the default device."""
    if observers.count and observers.recorder() is not None:
        return symbolic_arrays
    return numpy_arrays if modes.device is None else creation_on(modes.device)


def creation_on(device: Any) -> Any:
    """Where new arrays come from on the CPU or a GPU."""
    if device.type == "cpu":
        return numpy_arrays
    return kinds.gpu().creation(device.index if device.index is not None else devices.on_gpu(device).index)


def is_array(x: Any) -> bool:
    """Whether something is an array of one of the kinds; NumPy's scalars and Tensors are not."""
    return x.__class__ in kinds.CLASSES or isinstance(x, Abstract)


def wrapped(out: Any) -> Tensor:
    return wrap(out if is_array(out) else np.asarray(out))


def transforms() -> Any:
    """How operations run inside transforms: loaded when the first of these runs."""
    from rushlight.ops import transforms

    return transforms


_INT64 = np.dtype(np.int64)


def counted(xp: Any, count: int) -> Any:
    """0, 1, 2, ... up to `count`."""
    return xp.arange(0, count, 1, _INT64)
