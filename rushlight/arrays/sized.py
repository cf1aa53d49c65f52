"""What follows from an array's shape and dtype, for the kinds of array that are classes of our own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Python's operators and the waist functions that they are: `__add__`, `__radd__`, ...
ARITHMETIC = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "remainder",
    "pow": "pow", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift", "xor": "bitwise_xor", "and": "bitwise_and",
    "or": "bitwise_or", "matmul": "matmul",
}  # fmt: skip
COMPARISONS = {
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}  # fmt: skip
OF_ONE = {"neg": "negative", "abs": "abs", "invert": "bitwise_invert"}


class Sized:
    """An array as far as its size goes."""

    __slots__ = ()
    __array_ufunc__: Any = None  # NumPy arrays leave binary operators to us
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]
