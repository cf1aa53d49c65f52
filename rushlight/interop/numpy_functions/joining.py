"""Joining arrays and cutting them. Tensors of several dtypes are promoted first, as NumPy does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import rushlight as torch
from rushlight.interop.arguments import promoted, store, tensor_of
from rushlight.interop.numpy_functions.table import implements
from rushlight.tensor import Tensor


def _joined(join: Callable[[list[Tensor]], Tensor], arrays: Any, out: Any, dtype: Any) -> Any:
    tensors = [tensor_of(x) for x in arrays]
    tensors = promoted(tensors) if dtype is None else [x.to(dtype) for x in tensors]
    result = join(tensors)
    return store(result, out)


@implements("concatenate")
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    if axis is None:
        return _joined(lambda tensors: torch.cat([x.reshape(-1) for x in tensors]), arrays, out, dtype)
    return _joined(lambda tensors: torch.cat(tensors, axis), arrays, out, dtype)


@implements("stack")
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return _joined(lambda tensors: torch.stack(tensors, axis), arrays, out, dtype)


@implements("hstack")
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return _joined(torch.hstack, tup, None, dtype)


@implements("vstack")
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return _joined(torch.vstack, tup, None, dtype)


@implements("dstack")
def dstack(tup: Any) -> Any:
    return _joined(torch.dstack, tup, None, None)


@implements("column_stack")
def column_stack(tup: Any) -> Any:
    return _joined(torch.column_stack, tup, None, None)


@implements("append")
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    return concatenate((arr, values), axis)


@implements("block")
def block(arrays: Any) -> Any:
    """The innermost lists along the last axis, each level outwards along the axis before."""
    depth = _depth(arrays)
    ndim = max(depth, *[x.ndim for x in _leaves(arrays)])

    def joined(part: Any, axis: int) -> Tensor:
        if not isinstance(part, list):
            x = tensor_of(part)
            return x.reshape(*(1,) * (ndim - x.ndim), *x.shape)
        return torch.cat(promoted([joined(item, axis + 1) for item in part]), axis)

    return joined(arrays, ndim - depth)


def _depth(arrays: Any) -> int:
    return 1 + max(_depth(x) for x in arrays) if isinstance(arrays, list) else 0


def _leaves(arrays: Any) -> list[Tensor]:
    return [x for part in arrays for x in _leaves(part)] if isinstance(arrays, list) else [tensor_of(arrays)]


# ---------------------------------------------------------------- cutting


def _bounds(indices_or_sections: Any) -> Any:
    if isinstance(indices_or_sections, (int, np.integer)):
        return int(indices_or_sections)
    return [int(i) for i in indices_or_sections]


@implements("array_split")
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    return list(torch.tensor_split(tensor_of(ary), _bounds(indices_or_sections), axis))


@implements("split")
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    x, parts = tensor_of(ary), _bounds(indices_or_sections)
    if isinstance(parts, int) and x.shape[axis] % parts:
        raise ValueError("array split does not result in an equal division")
    return list(torch.tensor_split(x, parts, axis))


@implements("hsplit")
def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 1 if tensor_of(ary).ndim > 1 else 0)


@implements("vsplit")
def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 0)


@implements("dsplit")
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 2)
