"""Sorting and searching. All give indices: the values they point at are gathered, which is what is differentiated."""

from __future__ import annotations

from rushlight.ops.define import op


@op
def argsort(xp, x, *, axis, descending=False):
    """The indices that sort along an axis, equal elements in their order."""
    return xp.argsort(x, axis=axis, descending=descending)


@op
def index_of_rank(xp, x, *, rank, axis):
    """The index of what sorting would put at a place along an axis, which stays, with size 1."""
    return xp.index_of_rank(x, rank=rank, axis=axis)


@op
def top_indices(xp, x, *, count, axis, largest):
    """The indices of the largest (or smallest) elements along an axis, in order."""
    return xp.top_indices(x, count=count, axis=axis, largest=largest)


@op
def mode_index(xp, x, *, axis):
    """The index of the most frequent element along an axis, which stays, with size 1."""
    return xp.mode_index(x, axis=axis)


@op
def searchsorted(xp, boundaries, values, *, right):
    """How many boundaries are less than each value (`right`: or equal to it), row by row."""
    return xp.searchsorted(boundaries, values, right=right)
