"""NumPy arrays and scalars in a `.pt` file: how NumPy pickles them, and how they are read without NumPy's own functions.

NumPy names a function that makes an empty array, and then sets its state (version, shape, dtype, order, bytes); a dtype is its name and a
state with its byte order. The stand-ins here accept arrays of numbers and texts of fixed length, of as many bytes as their shape
says, and nothing else: object arrays, whose bytes are pickles in turn, are refused.
"""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np

KINDS = "biufcSU"


class EmptyArray:
    """What `numpy._core.multiarray._reconstruct` gives: an array whose state follows."""

    def __init__(self, kind: Any = None, shape: Any = (0,), code: Any = b"b"):
        if kind is not ArrayType:
            raise pickle.UnpicklingError("an array of a class that is not NumPy's own")

    def built(self, state: Any) -> np.ndarray:
        """The array.

        Raises:
            UnpicklingError: a state that no array of numbers has.
        """
        if type(state) is not tuple or len(state) not in (4, 5):
            raise pickle.UnpicklingError("malformed state of a NumPy array")
        shape, dtype, is_fortran, data = state[-4:]
        if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 64:
            raise pickle.UnpicklingError(f"malformed shape of a NumPy array: {shape!r}")
        found = _dtype_of(dtype)
        if type(data) is not bytes or len(data) != math.prod(shape) * found.itemsize:
            raise pickle.UnpicklingError(
                f"a NumPy array of shape {shape} and dtype {found} whose data are of another size"
            )
        return np.frombuffer(bytearray(data), found).reshape(shape, order="F" if is_fortran else "C")


class UnorderedDType:
    """What `numpy.dtype` gives: a dtype whose byte order follows."""

    def __init__(self, name: Any, align: Any = False, copy: Any = True):
        try:
            found = np.dtype(name) if type(name) is str else None
        except TypeError:
            found = None
        if found is None or found.kind not in KINDS or found.names:
            raise pickle.UnpicklingError(f"a NumPy dtype that files of tensors do not have: {name!r}")
        self.found = found

    def built(self, state: Any) -> np.dtype:
        """The dtype with its byte order; what else a state says belongs to dtypes that are refused."""
        order = state[1] if type(state) is tuple and len(state) >= 2 else None
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("malformed state of a NumPy dtype")
        return self.found.newbyteorder(order)


class ArrayType:
    """Stands for the class `numpy.ndarray`, which a pickle names and does not call."""


def scalar(dtype: Any, data: Any = b"") -> np.generic:
    """A NumPy scalar of its bytes."""
    found = _dtype_of(dtype)
    if type(data) is not bytes or len(data) != found.itemsize:
        raise pickle.UnpicklingError(f"a NumPy scalar of dtype {found} whose data are of another size")
    value: np.generic = np.frombuffer(data, found)[0]
    return value


def _dtype_of(dtype: Any) -> np.dtype:
    if not isinstance(dtype, np.dtype):
        raise pickle.UnpicklingError("a NumPy array without a dtype")
    return dtype


KNOWN: dict[str, Any] = {
    f"{module}.{name}": function
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name, function in (("_reconstruct", EmptyArray), ("scalar", scalar))
} | {"numpy.dtype": UnorderedDType, "numpy.ndarray": ArrayType}
