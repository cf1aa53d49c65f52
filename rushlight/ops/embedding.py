"""Rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.arrays.sparse import SparseArray
from rushlight.ops.define import op
from rushlight.ops.fused import Fused
from rushlight.ops.precision import HALF, narrowed, widened


@op(grad_name="Embedding", linear=True, wide=False)
def embedding(xp, weight, indices, *, padding_idx=-1, by_frequency=False, sparse=False):
    """Rows of the table `weight`, one for each index; the row `padding_idx` gets no gradient.

    By frequency, the gradient of a row is over the number of times it was asked for. A sparse gradient has the rows that
    were asked for and no others; where it is recorded it is dense.
    """
    return xp.take(weight, indices, axis=0)


def _embedding_gradient(
    xp: Any, grad: Any, indices: Any, weight_shape: Any, padding_idx: int, by_frequency: bool, sparse: bool
) -> Any:
    if sparse and (xp is numpy_arrays or xp is kinds.GPU):
        return _sparse_gradient(grad, indices, weight_shape, padding_idx)
    half = grad.dtype if getattr(grad.dtype, "char", "?") in HALF else None
    if half is not None:  # sums are float32
        args = weight_shape, padding_idx, by_frequency, sparse
        return narrowed(xp, _embedding_gradient(xp, widened(xp, grad), indices, *args), half)
    spec = (("array", 0),)
    if padding_idx >= 0:
        is_padding = xp.equal(indices, padding_idx)
        grad = xp.where(xp.reshape(is_padding, (*indices.shape, 1)), 0.0, grad)
    if by_frequency:
        ones = xp.full(indices.shape, 1, grad.dtype)
        counts = xp.index_put(xp.full(weight_shape[:1], 0, grad.dtype), ones, indices, spec=spec, accumulate=True)
        grad = grad / xp.reshape(xp.take(counts, indices, axis=0), (*indices.shape, 1))
    if xp is numpy_arrays and weight_shape[0] <= len(indices.reshape(-1)):  # every row comes up: no use in sorting
        arrays = (np.ascontiguousarray(x) for x in (grad, indices))
        return _added_up(xp, *arrays, num_rows=weight_shape[0])
    zeros = xp.full(weight_shape, 0, grad.dtype)
    return xp.index_put(zeros, grad, indices, spec=spec, accumulate=True)


def _sum_by_row(xp: Any, values: Any, indices: Any, *, num_rows: int) -> Any:
    """For each row of a table the sum of the values whose index it is."""
    zeros = xp.full((num_rows, *values.shape[len(indices.shape) :]), 0, values.dtype)
    return xp.index_put(zeros, values, indices, spec=(("array", 0),), accumulate=True)


_added_up = Fused(_sum_by_row)


def _sparse_gradient(grad: Any, indices: Any, weight_shape: tuple[int, ...], padding_idx: int) -> SparseArray:
    rows = indices.reshape(1, -1).astype(np.int64, copy=False)
    values = grad if grad.ndim == 2 else grad.reshape(-1, weight_shape[1])
    if padding_idx >= 0:
        kept = np.flatnonzero(rows[0] != padding_idx)
        rows, values = rows[:, kept], values[kept]
    return SparseArray(rows, values, weight_shape)


embedding.derivative(weight=_embedding_gradient)
