"""Sorting, searching, and which elements there are, in PyTorch's spelling."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes, return_types
from rushlight.api.forms import numpy_names
from rushlight.api.reduce import pick_along, refuse_kinds, require_elements, zero_index
from rushlight.arrays import sorting as arrays
from rushlight.ops import index as index_ops, sorting as ops
from rushlight.ops.bounds import require_range
from rushlight.ops.copies import cast
from rushlight.ops.create import beside, tensor
from rushlight.tensor import Tensor, _checked_dim, wrap


def _require_order(name: str, input: Tensor, kinds: str = "c") -> None:
    """Raises PyTorch's error for numbers of a kind that is not sorted."""
    kind = input.dtype.kind
    if kind in kinds:
        raise RuntimeError(f"{name} does not support {'complex' if kind == 'c' else 'bool'} dtypes on CPU")


@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices that sort along `dim`; equal elements keep their order."""
    _require_order(" Sort", input)
    axis = _checked_dim(dim, input.ndim)
    return ops.argsort(input, axis=axis, descending=bool(descending)) if input.ndim else zero_index(input)


@numpy_names
def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """(values in order, their indices) along `dim`. NaN is greater than every number."""
    indices = argsort(input, dim, descending)
    if not input.ndim:
        return return_types.sort(input.clone(), indices)
    return return_types.sort(index_ops.gather(input, indices, axis=_checked_dim(dim, input.ndim)), indices)


def msort(input: Tensor) -> Tensor:
    """Sorted along the first dimension."""
    return sort(input, 0)[0]


@numpy_names
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) values along `dim`, in order, and their indices."""
    _require_order("topk", input, "bc")
    axis = _checked_dim(dim, input.ndim)
    if not 0 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if not input.ndim:
        return return_types.topk(input.clone(), zero_index(input))
    indices = ops.top_indices(input, count=k, axis=axis, largest=bool(largest))
    return return_types.topk(index_ops.gather(input, indices, axis=axis), indices)


@numpy_names
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(the k-th smallest element along `dim`, its index); k counts from 1."""
    refuse_kinds("bc", "kthvalue_cpu", input)
    axis = _checked_dim(dim, input.ndim)
    require_elements("kthvalue", input, axis)
    if not 1 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")
    return pick_along(
        input, dim, keepdim, lambda x, axis: ops.index_of_rank(x, rank=k - 1, axis=axis), return_types.kthvalue
    )


# ---------------------------------------------------------------- searching


def _as_tensor_like(value: Any, like: Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else tensor(value, dtype=like.dtype, device=like.device)


def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where each value would have to be put to keep its row of `sorted_sequence` sorted.

    Args:
        right: behind equal elements, instead of before them; `side="right"` says the same.
        sorter: the indices that sort the sequence, if it is not sorted.

    Raises:
        RuntimeError: dtypes differ, or shapes do but in their last dimension.
    """
    input = _as_tensor_like(input, sorted_sequence)
    _check_search(sorted_sequence, input, right, side, sorter)
    refuse_kinds("bc", "searchsorted_out_cpu", sorted_sequence)
    if sorter is not None:
        complaint = "torch.searchsorted(): sorter index out of range"
        require_range("searchsorted", sorter, 0, sorter.shape[-1], lambda _: RuntimeError(complaint))
        sorted_sequence = index_ops.gather(sorted_sequence, sorter, axis=sorted_sequence.ndim - 1)
    found = ops.searchsorted(sorted_sequence.detach(), input.detach(), right=right or side == "right")
    return cast(found, dtype=np.dtype(np.int32)) if out_int32 else found


def _check_search(boundaries: Tensor, input: Tensor, right: bool, side: str | None, sorter: Tensor | None) -> None:
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    if boundaries.ndim == 0:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if sorter is not None and (sorter.shape != boundaries.shape or sorter.dtype is not dtypes.int64):
        if sorter.dtype is not dtypes.int64:
            raise RuntimeError(
                f"torch.searchsorted(): sorter must be a tensor of long dtype but got dtype {_name(sorter)}"
            )
        raise RuntimeError(
            "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
            f"{list(boundaries.shape)}and got sorter tensor {list(sorter.shape)}"
        )
    if boundaries.ndim > 1 and boundaries.shape[:-1] != input.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
            f"tensor and input value tensor must match, but we got boundaries tensor {list(boundaries.shape)} and "
            f"input value tensor {list(input.shape)}"
        )
    if boundaries.dtype is not input.dtype:
        raise RuntimeError(
            "torch.searchsorted(): boundary tensor and input value tensor should have same dtype, but got boundary "
            f"tensor dtype {_name(boundaries)} and input value tensor dtype {_name(input)}"
        )


def _name(x: Tensor) -> str:
    return dtypes.legacy_name(x).lower()


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """Which of the buckets between sorted boundaries each value is in.

    Raises:
        RuntimeError: `boundaries` is no vector.
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# ---------------------------------------------------------------- which elements there are


def _unique(
    name: str, input: Tensor, return_inverse: bool, return_counts: bool, dim: int | None, consecutive: bool
) -> Any:
    refuse_kinds("c", "unique", input)
    array = input._host_values(f"{name}()")
    if dim is not None and not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    axis = None if dim is None else _checked_dim(dim, input.ndim)
    if axis is not None and input.numel() == 0 and any(n == 0 for i, n in enumerate(input.shape) if i != axis):
        raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
    values, inverse, counts = arrays.unique(array, axis, consecutive)
    found = [values, *[inverse] * return_inverse, *[counts] * return_counts]
    results = [beside(input, part) for part in found]
    return tuple(results) if len(results) > 1 else results[0]


def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """The different elements in order, or the different slices along `dim`.

    Returns:
        The elements; with `return_inverse` also where each of `input` is among them; with `return_counts` how often.
    """
    return _unique("unique", input, return_inverse, return_counts, dim, consecutive=False)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements, or slices along `dim`, without those that equal the one before them. Results as of `unique`."""
    return _unique("unique_consecutive", input, return_inverse, return_counts, dim, consecutive=True)
