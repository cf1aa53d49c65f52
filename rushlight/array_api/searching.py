"""Indexing, searching, sorting and sets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import rushlight as torch
from rushlight.array_api.data_types import Scalar, promoted
from rushlight.array_api.statistics import over
from rushlight.tensor import Tensor


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """The elements at these indices along an axis, which may be left out if there is one only."""
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take() needs an axis for an array of {x.ndim} dimensions")
        axis = 0
    return x[(slice(None),) * (axis % x.ndim) + (indices,)]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """For each place, the element along the axis that the index there names."""
    return torch.take_along_dim(x, indices.to(torch.int64), axis)


# ---------------------------------------------------------------- searching


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return torch.argmax(x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return torch.argmin(x, axis, keepdims)


def count_nonzero(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    return over(torch.sum, torch.ne(x, 0).to(torch.int64), axis, keepdims)


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    if not x.ndim:
        raise ValueError("nonzero() is not defined for arrays without dimensions")
    return tuple(torch.nonzero(x, as_tuple=True))


def searchsorted(x1: Tensor, x2: Tensor | Scalar, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    """Where to insert x2's elements into the sorted x1 for it to stay sorted."""
    x1, x2 = promoted(x1, x2)
    return torch.searchsorted(x1, x2, side=side, sorter=None if sorter is None else sorter.to(torch.int64))


def where(condition: Tensor, x1: Tensor | Scalar, x2: Tensor | Scalar, /) -> Tensor:
    return torch.where(condition, *promoted(x1, x2))


# ---------------------------------------------------------------- sorting


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    return torch.argsort(x, dim=axis, descending=descending, stable=stable)


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    return torch.sort(x, dim=axis, descending=descending, stable=stable)[0]


# ---------------------------------------------------------------- sets


class UniqueAll(NamedTuple):
    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Tensor, /) -> UniqueAll:
    """Each value once, in order, with its first index, the way back to x, and its count. No NaN equals another."""
    _, first, inverse, counts = np.unique(x._data("__array__()"), True, True, True, equal_nan=False)
    values = x.reshape(-1)[torch.from_numpy(first)]
    inverse = inverse.reshape(x._array.shape)
    return UniqueAll(values, *(torch.from_numpy(a.astype(np.int64)) for a in (first, inverse, counts)))


def unique_counts(x: Tensor, /) -> UniqueCounts:
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    return unique_all(x).values


def isin(x1: Tensor | Scalar, x2: Tensor | Scalar, /, *, invert: bool = False) -> Tensor:
    """For each element of x1, whether it is (with `invert`: is not) one of x2's."""
    x1, x2 = promoted(x1, x2)
    return torch.from_numpy(np.asarray(np.isin(x1._data("__array__()"), x2._data("__array__()"), invert=invert)))
