"""Sparse tensors in COO form: `sparse_coo_tensor`, and what tells and takes apart.

They are what embeddings with `sparse=True` give as gradients, and have the arithmetic that optimizers need. Gradients do
not flow through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import devices, dtypes
from rushlight.arrays.sparse import SparseArray
from rushlight.ops.copies import to_device
from rushlight.ops.create import as_tensor, tensor, zeros
from rushlight.tensor import Tensor, wrap


def sparse_coo_tensor(
    indices: Any = None, values: Any = None, size: Sequence[int] | None = None, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, check_invariants: bool | None = None, is_coalesced: bool | None = None,
) -> Tensor:  # fmt: skip
    """A sparse tensor of coordinates and the values there. Values at one place add up.

    Args:
        indices: (sparse dimensions, entries); or, alone, the size of a tensor without entries.
        values: (entries, *dense dimensions).
        device: where it is to be; where the values are unless named.
        size: the shape; by default as small as holds the entries.
        is_coalesced: whether every place is there once, and in order.

    Raises:
        RuntimeError: indices, values and size that do not fit together.

    Example:
        >>> import rushlight as torch
        >>> torch.sparse_coo_tensor([[0, 2]], [1.0, 2.0], (3,)).to_dense()
        tensor([1., 0., 2.])
    """
    if requires_grad:
        raise NotImplementedError("sparse_coo_tensor: gradients do not flow through sparse tensors")
    if values is None:
        shape = tuple(indices if size is None else size)
        kind = dtypes.get_default_dtype().numpy if dtype is None else dtypes.as_numpy(dtype)
        empty = zeros(0, dtype=dtypes.from_numpy(kind), device=device)
        return wrap(SparseArray(_beside(empty, np.zeros((len(shape), 0), np.int64)), empty._array, shape, True))
    places = as_tensor(indices, device="cpu")._array  # which are looked at
    if places.size == 0:
        places = places.astype(np.int64)
    if places.dtype.kind != "i":
        raise RuntimeError(f"indices must be an int64 tensor, but got {dtypes.legacy_name(places.dtype)}")
    if places.ndim != 2:
        raise RuntimeError(
            f"indices must be sparse_dim x nnz, but got: {list(places.shape)}: indices must have 2 dimensions"
        )
    found = (as_tensor if isinstance(values, Tensor) else tensor)(values, dtype=dtype, device=device)
    data = found._array
    _check_entries(places, data)
    least = tuple([int(row.max()) + 1 if row.size else 0 for row in places]) + data.shape[1:]
    shape = least if size is None else tuple(int(n) for n in size)
    _check_size(places, data, shape)
    places = _beside(found, places.astype(np.int64, copy=False))
    return wrap(SparseArray(places, data, shape, bool(is_coalesced)))


def _beside(values: Tensor, places: ndarray) -> Any:
    """Places on the device of their values."""
    return to_device(wrap(places), values.device)._array


def _check_entries(indices: ndarray, values: ndarray) -> None:
    if values.ndim == 0 or indices.shape[1] != values.shape[0]:
        count = values.shape[0] if values.ndim else "no dimension"
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {indices.shape[1]}, nnz from values: {count}"
        )


def _check_size(indices: ndarray, values: ndarray, shape: tuple[int, ...]) -> None:
    sparse_dim, dense_dim = len(indices), values.ndim - 1
    if len(shape) != sparse_dim + dense_dim:
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(shape)}, sparse_dim = {sparse_dim}, "
            f"dense_dim = {dense_dim}"
        )
    if shape[sparse_dim:] != values.shape[1:]:
        raise RuntimeError(
            f"values has incorrect size, expected {[values.shape[0], *shape[sparse_dim:]]}, got {list(values.shape)}"
        )
    for axis, row in enumerate(indices):
        if row.size and (row.min() < 0 or row.max() >= shape[axis]):
            wrong = int(row.min() if row.min() < 0 else row.max())
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {axis}, size is {shape[axis]} but found index {wrong}"
            )


def _entries(x: Tensor, name: str) -> SparseArray:
    array = x._array
    if type(array) is not SparseArray:
        raise RuntimeError(f"{name} expected sparse coordinate tensor layout but got Strided")
    return array


def coalesce(self: Tensor) -> Tensor:
    """The same tensor with one entry for each place, in order."""
    array = _entries(self, "coalesce")
    return self if array.is_coalesced else wrap(array.coalesced())


def is_coalesced(self: Tensor) -> bool:
    """Whether every place is there once, and in order."""
    return _entries(self, "is_coalesced").is_coalesced


def indices(self: Tensor) -> Tensor:
    """The places, (sparse dimensions, entries)."""
    return wrap(_coalesced_entries(self, "indices").indices)


def values(self: Tensor) -> Tensor:
    """The values, (entries, *dense dimensions); they share the tensor's memory."""
    return wrap(_coalesced_entries(self, "values").values)


def _coalesced_entries(x: Tensor, name: str) -> SparseArray:
    array = _entries(x, name)
    if not array.is_coalesced:
        raise RuntimeError(f"Cannot get {name} on an uncoalesced tensor, please call .coalesce() first")
    return array


def _indices(self: Tensor) -> Tensor:
    """The places, coalesced or not."""
    return wrap(_entries(self, "_indices").indices)


def _values(self: Tensor) -> Tensor:
    """The values, coalesced or not; they share the tensor's memory."""
    return wrap(_entries(self, "_values").values)


def _nnz(self: Tensor) -> int:
    """How many entries there are."""
    return len(_entries(self, "_nnz").values)


def sparse_dim(self: Tensor) -> int:
    """How many dimensions are sparse."""
    return len(self._array.indices) if type(self._array) is SparseArray else 0


def dense_dim(self: Tensor) -> int:
    """How many dimensions an entry has."""
    return self.ndim - sparse_dim(self)


def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """A strided tensor of the same values; one that is strided itself is given back."""
    result = wrap(self._array.to_dense()) if type(self._array) is SparseArray else self
    return result if dtype is None else result.to(dtype)


def to_sparse(self: Tensor, sparse_dim: int | None = None) -> Tensor:
    """A sparse tensor of what is not 0; with `sparse_dim`, of the slices that are not all 0."""
    array = self._array
    if type(array) is SparseArray:
        return self
    if self.is_cuda:
        return to_device(to_sparse(to_device(self, devices.cpu), sparse_dim), self.device)
    array = self._data("to_sparse()")
    count = array.ndim if sparse_dim is None else sparse_dim
    is_there = array != 0
    if count < array.ndim:
        is_there = is_there.any(axis=tuple(range(count, array.ndim)))
    places = np.nonzero(is_there)
    return wrap(SparseArray(np.array(places, np.int64).reshape(count, -1), array[places], array.shape, True))


def sparse_mask(self: Tensor, mask: Tensor) -> Tensor:
    """The values of a strided tensor at the places of a sparse one."""
    at = _entries(mask, "sparse_mask")
    return wrap(at.with_values(self[tuple(map(wrap, at.indices))]._array))
