"""NumPy's functions on tensors, by a table from NumPy's function to ours with NumPy's signature.

What is not in the table is left to NumPy, unless a gradient is wanted. One file per family fills the table.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.interop.arguments import NoCounterpart, by_numpy
from rushlight.interop.numpy_functions import creation, joining, products, reductions, searching, shapes, transforms
from rushlight.interop.numpy_functions.table import TABLE
from rushlight.tensor import Tensor

__all__ = ["creation", "dispatch", "joining", "products", "reductions", "searching", "shapes", "transforms"]

_WRITES = {np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}  # into their first argument


def dispatch(function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What a call of a NumPy function with a tensor among its arguments gives."""
    for kind in types:
        if not issubclass(kind, (Tensor, np.ndarray)) or issubclass(kind, np.ma.MaskedArray):
            return NotImplemented
    ours = TABLE.get(function)
    try:
        result = NotImplemented if ours is None else ours(*args, **kwargs)
    except NoCounterpart:  # matplotlib broadcasts None with its data
        result = NotImplemented
    if result is not NotImplemented:
        return result
    return by_numpy(function, args, kwargs, writes=function in _WRITES)
