"""Batched arrays: what `vmap` makes of its arguments, how rules take them apart and put them together again.

A `BatchedArray` is, for the function that `vmap` runs, one example; it holds all of them, along the first axis of `inner`. Operands of
other kinds, or of lower levels, are the same for every example. The rules are in `batching.py`.

`inner` is computed on by its own kind's namespace: by operations on Tensors, when `vmap` calls, so gradients pass through.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.arrays import kinds
from rushlight.arrays.kinds import Abstract, Level, numpy_dtype

_Slice = slice


class Batch(Level):
    """A `vmap` that is running: `size` examples; `randomness` is "error", "different" or "same"."""

    def __init__(self, size: int, randomness: str = "error"):
        super().__init__()
        self.size, self.randomness = size, randomness


class BatchedArray(Abstract):
    """One example, for all: `inner` has the examples along its first axis, or is one array for all of them."""

    __slots__ = ("inner", "is_batched")

    def __init__(self, level: Batch, inner: Any, is_batched: bool = True):
        self.level, self.inner, self.is_batched = level, inner, is_batched
        self.shape = tuple(inner.shape[1:] if is_batched else inner.shape)

    @property
    def dtype(self) -> np.dtype:  # type: ignore[override]
        return numpy_dtype(self.inner)

    @property
    def strides(self) -> tuple[int, ...]:
        """In bytes, between the elements of one example."""
        inner = self.inner
        strides = inner.strides if hasattr(inner, "strides") else tuple(n * self.itemsize for n in inner.stride())
        return tuple(strides[1:] if self.is_batched else strides)

    def __repr__(self) -> str:
        return f"BatchedArray(level={self.level.depth}, {list(self.shape)}, {self.dtype}, of {self.inner!r})"


class NoRule(Exception):
    """This cannot be computed for all examples at once."""


# ---------------------------------------------------------------- taking apart and putting together


def level_of(*operands: Any) -> Batch:
    """The innermost `vmap` among the operands."""
    found = None
    for x in operands:
        if x.__class__ is BatchedArray and (found is None or x.level.depth > found.depth):
            found = x.level
    assert found is not None
    return found


def taken_apart(level: Batch, x: Any) -> tuple[Any, bool]:
    """(what is computed on, whether its first axis is that of the examples)."""
    if x.__class__ is BatchedArray and x.level is level:
        return x.inner, x.is_batched
    return x, False


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an operand; of a number that of no dimensions."""
    return tuple(x.shape) if hasattr(x, "shape") else ()


def xp_of(*inners: Any) -> Any:
    """The namespace of inner arrays."""
    return kinds.namespace_of(*inners)


def function_of(name: str, *inners: Any) -> Callable[..., Any]:
    """The waist function of the inner arrays' kind.

    Raises:
        NoRule: Tensors have no operation for it.
    """
    found = getattr(xp_of(*inners), name, None)
    if found is None:
        raise NoRule(name)
    return found


def with_ndim(x: Any, ndim: int) -> Any:
    """A batched inner array whose examples have that many dimensions: ones are put in front of their own."""
    missing = ndim - (len(x.shape) - 1)
    return x if missing <= 0 else xp_of(x).reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:]))


def aligned(level: Batch, *operands: Any) -> list[Any]:
    """Inner arrays that broadcast as the examples do."""
    ndim = max(len(shape_of(x)) for x in operands)
    taken = (taken_apart(level, x) for x in operands)
    return [with_ndim(inner, ndim) if is_batched else inner for inner, is_batched in taken]


def batched(level: Batch, x: Any) -> Any:
    """The inner array with an axis of examples, whether it had one or not."""
    inner, is_batched = taken_apart(level, x)
    return inner if is_batched else xp_of(inner).broadcast_to(inner, (level.size, *inner.shape))


def examples_differ(level: Batch, *operands: Any) -> bool:
    """Whether an operand has an axis of examples."""
    return any(taken_apart(level, x)[1] for x in operands)


def lifted(level: Batch, x: Any) -> BatchedArray:
    """An operand of the level: as it is, or the same for all examples."""
    return x if x.__class__ is BatchedArray and x.level is level else BatchedArray(level, x, False)


def all_of(level: Batch, found: Any, is_batched: bool) -> Any:
    """A result, or each of several, as batched arrays."""
    if isinstance(found, tuple):
        return tuple([BatchedArray(level, part, is_batched) for part in found])
    return BatchedArray(level, found, is_batched)


def stacked(parts: Any) -> Any:
    """The examples' results along a new first axis."""
    xp = xp_of(*parts)
    return xp.concat([xp.reshape(part, (1, *part.shape)) for part in parts], axis=0)


def reshape(x: BatchedArray, shape: Any) -> BatchedArray:
    """Each example in another shape; one size may be -1."""
    shape = (int(shape),) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        shape = tuple(x.size // (known or 1) if n == -1 else n for n in shape)
    lead = (x.level.size,) if x.is_batched else ()
    return BatchedArray(x.level, xp_of(x.inner).reshape(x.inner, (*lead, *shape)), x.is_batched)


def cannot_write() -> RuntimeError:
    """PyTorch's error for a write of each example's own value into what is one for all."""
    return RuntimeError(
        "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor `other` in "
        "extra_args that has more elements than `self`. This happened due to `other` being vmapped over but `self` "
        "not being vmapped over in a vmap. Please try to use out-of-place operators instead of inplace arithmetic. "
        "If said operator is being called inside the PyTorch framework, please file a bug report instead."
    )
