"""How native code finds an array's memory: through the ndarray object itself.

A table slot holds the address of the object, and native code reads the data pointer behind the object's
head, so binding an array writes one number. Where that layout does not hold, a slot holds the address of a
stand-in with the pointer at the same place.
"""

from __future__ import annotations

import ctypes

import numpy as np

DATA_OFFSET = object.__basicsize__


def _layout_holds() -> bool:
    array = np.arange(7.0)[2:]
    found = ctypes.c_size_t.from_address(id(array) + DATA_OFFSET).value
    return bool(found == array.__array_interface__["data"][0])


LAYOUT_HOLDS = _layout_holds()


class StandIn(ctypes.Structure):
    """Memory with a data pointer where an ndarray has it."""

    _fields_ = [("head", ctypes.c_char * DATA_OFFSET), ("data", ctypes.c_void_p)]


def stand_in(array: np.ndarray) -> StandIn:
    return StandIn(b"", array.__array_interface__["data"][0])
