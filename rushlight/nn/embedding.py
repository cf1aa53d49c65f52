"""Tables looked up by index: what `rushlight.nn.functional` offers under the same names, and PyTorch's kernels behind it."""

from __future__ import annotations

import numpy as np

from rushlight import dtypes
from rushlight.api.indexing import write_at
from rushlight.api.linalg_norm import vector_norm
from rushlight.api.ranges import arange
from rushlight.autograd.modes import no_grad
from rushlight.ops import create, elementwise as ops
from rushlight.ops.bounds import require_range
from rushlight.ops.copies import cast
from rushlight.ops.embedding import embedding as embedding_op
from rushlight.ops.index import gather, index_get, index_put
from rushlight.ops.scatter import index_reduce
from rushlight.tensor import Tensor

_ROWS = (("array", 0),)  # an index array, for `ops.index`: indices that have been checked, or come from here


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """Rows of the table `weight`, one for each index.

    Args:
        input: indices, int64 or int32.
        padding_idx: a row that gets no gradient.
        max_norm: rows that are looked up and longer, in the `norm_type`-norm, are first shortened to this in the table.
        scale_grad_by_freq: whether a row's gradient is over the number of times it is in `input`.
        sparse: whether the gradient of the table is a sparse tensor, with the rows that were looked up.

    Raises:
        IndexError: an index that is no row.
    """
    if padding_idx is None:
        padding_idx = -1  # the operation's word for none
    elif -weight.shape[0] <= padding_idx < weight.shape[0]:
        padding_idx %= weight.shape[0]
    else:
        raise AssertionError("Padding_idx must be within num_embeddings")
    if max_norm is not None:
        embedding_renorm_(weight, input, max_norm, norm_type)
    return lookup(weight, input, padding_idx, scale_grad_by_freq, sparse)


def lookup(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Tensor:
    """`torch.embedding`: `nn.functional.embedding` with the arguments of PyTorch's kernel."""
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    check_indices("embedding", indices)
    array = indices._array
    if array.__class__ is not np.ndarray or array.size and array.item(array.argmin()) < 0:
        require_rows("embedding", indices, weight)  # NumPy would count from the end, CuPy from the start
    try:
        return _rows_of(weight, indices, padding_idx, scale_grad_by_freq, sparse)
    except IndexError:
        raise _wrong_row() from None


def _rows_of(weight: Tensor, indices: Tensor, padding_idx: int, scale_grad_by_freq: bool, sparse: bool) -> Tensor:
    if sparse and scale_grad_by_freq and weight.requires_grad:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
    return embedding_op(weight, indices, padding_idx=padding_idx, by_frequency=scale_grad_by_freq, sparse=sparse)


def require_rows(name: str, indices: Tensor, weight: Tensor) -> None:
    """Raises PyTorch's error for an index that is no row of a table."""
    require_range(name, indices, 0, weight.shape[0], _wrong_row)


def _wrong_row(index: int | None = None) -> IndexError:
    return IndexError("index out of range in self")


def check_indices(name: str, indices: Tensor) -> None:
    """Raises PyTorch's error for what is neither int64 nor int32."""
    dtype = indices._array.dtype
    if dtype.kind != "i" or dtype.itemsize < 4:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{dtypes.legacy_name(indices)}Tensor instead (while checking arguments for {name})"
        )


def embedding_renorm_(self: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Shortens, in place, the table's rows at the indices that are longer than `max_norm`."""
    require_rows("embedding_renorm_", indices, self)
    with no_grad():
        indices = indices.reshape(-1).to(dtypes.int64)
        rows = index_get(self, indices, spec=_ROWS)
        norms = vector_norm(rows, norm_type, 1, True)
        shortened = ops.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)
        write_at(self, _ROWS, [indices], shortened, False, "embedding_renorm_")
    return self


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at each index, 0 elsewhere, along a new last dimension; as many classes as the largest index asks for.

    Raises:
        RuntimeError: not int64, a negative index, or one that is no class.
    """
    if tensor.dtype is not dtypes.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if num_classes == -1:
        if not tensor._array.size:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor.max()) + 1

    def error(wrong: int) -> RuntimeError:
        return RuntimeError(f"Class values must be {'non-negative' if wrong < 0 else 'smaller than num_classes'}.")

    require_range("one_hot", tensor, 0, num_classes, error)
    return cast(ops.eq(tensor.unsqueeze(-1), arange(num_classes, device=tensor.device)), dtype=np.dtype(np.int64))


# ---------------------------------------------------------------- bags


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The sums, means or maxima of bags of rows of the table `weight`.

    Args:
        input: indices; the rows of a matrix are bags, and a vector is cut into bags at `offsets`.
        per_sample_weights: of the input's shape; factors of the rows (mode "sum").
        include_last_offset: whether the last offset is the end of the last bag.
        padding_idx: a row that counts for nothing.
        max_norm, norm_type, scale_grad_by_freq: as for `embedding`.

    Raises:
        ValueError: arguments that do not fit together. RuntimeError: offsets or indices out of range.
    """
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, "
            f"then it must have the same shape as the input ({input.shape})"
        )
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        offsets, include_last_offset = arange(0, input.numel(), max(input.shape[1], 1), device=input.device), False
        input = input.reshape(-1)
        per_sample_weights = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    elif input.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    elif offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    elif offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if mode not in _MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and (scale_grad_by_freq or sparse):
        what = "scaling the gradient by the frequency" if scale_grad_by_freq else "sparse weights"
        raise ValueError(f"max mode does not support {what}")
    if max_norm is not None:
        embedding_renorm_(weight, input, max_norm, norm_type)
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
            f"(got mode='{mode}'). Please open a feature request on GitHub."
        )
    return bags(
        weight, input, offsets, scale_grad_by_freq, _MODES.index(mode), sparse, per_sample_weights, include_last_offset,
        padding_idx,
    )[0]  # fmt: skip


_MODES = ("sum", "mean", "max")


def bags(
    weight: Tensor, indices: Tensor, offsets: Tensor, scale_grad_by_freq: bool = False, mode: int = 0,
    sparse: bool = False, per_sample_weights: Tensor | None = None, include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """`torch.embedding_bag`: the bags; of each index its bag; the sizes of bags; for maxima the rows they are from."""
    _check_bags(weight, indices, offsets, padding_idx)
    count, num_bags = indices.numel(), offsets.numel() - include_last_offset
    padding_idx = -1 if padding_idx is None else padding_idx % weight.shape[0]
    starts = offsets.new_zeros(count + 1, dtype=dtypes.int64)
    starts = _added(starts, offsets, create.ones_like(offsets, dtype=dtypes.int64))
    bag_of = starts.cumsum(0)[:-1] - 1
    rows = _rows_of(weight, indices, padding_idx, scale_grad_by_freq, sparse)
    counts = ops.ne(indices, padding_idx)
    sizes = _added(offsets.new_zeros(num_bags, dtype=dtypes.int64), bag_of, counts.to(dtypes.int64))
    if _MODES[mode] == "max":
        out, picked = _maxima(rows, indices, bag_of, counts, num_bags)
        return out, bag_of, sizes, picked
    rows = rows.float() if weight.element_size() == 2 else rows  # half precision is rounded once, at the end
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(1)
    rows = ops.where(counts.unsqueeze(1), rows, 0)
    out = _added(rows.new_zeros((num_bags, weight.shape[1])), bag_of, rows)
    if _MODES[mode] == "mean":
        out = out / sizes.clamp(min=1).to(out.dtype).unsqueeze(1)
    return out.to(weight.dtype), bag_of, sizes, sizes


def _added(x: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """x with values added to the rows of which these are the indices."""
    return index_put(x, values, rows, spec=_ROWS, accumulate=True)


def _maxima(rows: Tensor, indices: Tensor, bag_of: Tensor, counts: Tensor, num_bags: int) -> tuple[Tensor, Tensor]:
    """The greatest elements of bags and the table's rows they are from; of equal ones the first."""
    count, width = rows.shape
    if not count:
        return rows.new_zeros((num_bags, width)), indices.new_zeros((num_bags, width))
    with no_grad():
        candidates = ops.where(counts.unsqueeze(1), rows, -np.inf)
        lowest = rows.new_full((num_bags, width), -np.inf)
        greatest = index_reduce(lowest, candidates, bag_of, spec=_ROWS, reduce="amax")
        place = arange(count, device=rows.device).unsqueeze(1)
        is_greatest = (candidates == index_get(greatest, bag_of, spec=_ROWS)) & counts.unsqueeze(1)
        none = bag_of.new_full((num_bags, width), count)
        first = index_reduce(none, ops.where(is_greatest, place, count), bag_of, spec=_ROWS, reduce="amin")
        is_empty = first == count
        first = ops.where(is_empty, 0, first)
    picked = ops.where(is_empty, 0, gather(indices.unsqueeze(1).expand(count, width), first, axis=0))
    return ops.where(is_empty, 0, gather(rows, first, axis=0)), picked


def _check_bags(weight: Tensor, indices: Tensor, offsets: Tensor, padding_idx: int | None) -> None:
    check_indices("embedding_bag", indices)
    check_indices("embedding_bag", offsets)
    num_rows = weight.shape[0]
    if padding_idx is not None and not -num_rows <= padding_idx < num_rows:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, -{num_rows} through {num_rows - 1}, but got {padding_idx}"
        )
    known, length = indices._array if isinstance(indices._array, np.ndarray) else None, indices.numel()

    def wrong_row(index: int) -> RuntimeError:
        which = "An index" if known is None else f"Index {np.flatnonzero(known == index)[0]}"
        return RuntimeError(f"{which} of input takes value {index} which is not in the valid range [0, {num_rows})")

    def wrong_start(offset: int) -> RuntimeError:
        return RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, "
            f"got {offset}"
        )

    def wrong_end(offset: int) -> RuntimeError:
        return RuntimeError(
            f"offsets[-1] can not be greater than input's length {length} but got offsets[-1] of {offset}"
        )

    require_range("embedding_bag", indices, 0, num_rows, wrong_row)
    require_range("embedding_bag", offsets[:1], 0, 1, wrong_start)
    require_range("embedding_bag", offsets, 0, length + 1, wrong_end)
