"""Writing by index: scatter and its like, along one dimension, at flat positions, by a mask. Each gives a copy.

Where several values meet at one element they are added, multiplied, or the greatest or least stays. The in-place forms,
with an underscore, are at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.forms import in_place_form, shown_as
from rushlight.api.gathering import check_range, require_flat_range, require_index, require_long
from rushlight.api.views import common_shape
from rushlight.arrays import numpy as numpy_arrays
from rushlight.arrays.kinds import Abstract
from rushlight.ops import create, elementwise, index as ops, scatter as reducing
from rushlight.ops.autocast import with_autocast
from rushlight.ops.bounds import require_range
from rushlight.ops.create import number_in, ones_like, zeros_like
from rushlight.tensor import Tensor, _checked_dim, wrap

# ---------------------------------------------------------------- how values are put at an index


def _put(x: Tensor, values: Tensor, arrays: list[Any], spec: tuple) -> Tensor:
    return ops.index_put(x, values, *arrays, spec=spec, accumulate=False)


def _add(x: Tensor, values: Tensor, arrays: list[Any], spec: tuple) -> Tensor:
    return ops.index_put(x, values, *arrays, spec=spec, accumulate=True)


def _reduced(x: Tensor, values: Tensor, arrays: list[Any], spec: tuple, reduce: str, include_self: bool) -> Tensor:
    """The sum, product, mean, greatest or least of an element and the values that go there; or of these alone."""
    if not include_self:
        x = _put(x, create.beside(x, _neutral(reduce, x._array.dtype)), arrays, spec)
    if reduce not in ("sum", "mean"):
        return reducing.index_reduce(x, values, *arrays, spec=spec, reduce=reduce)
    total = _add(x, values, arrays, spec)
    if reduce == "sum":
        return total
    counts = ones_like(x) if include_self else _put(ones_like(x), zeros_like(values), arrays, spec)
    counts = _add(counts, ones_like(values), arrays, spec)
    return (
        elementwise.div(total, counts) if x._array.dtype.kind not in "iub" else elementwise.floor_divide(total, counts)
    )


def _neutral(reduce: str, dtype: np.dtype) -> np.ndarray:
    """The number that changes no sum, product, greatest or least."""
    if reduce in ("sum", "mean", "prod"):
        return np.asarray(reduce == "prod").astype(dtype)
    greatest = reduce == "amin"
    if dtype.kind in "iu":
        return np.asarray(np.iinfo(dtype).max if greatest else np.iinfo(dtype).min, dtype)
    return np.asarray(greatest if dtype.kind == "b" else np.inf if greatest else -np.inf).astype(dtype)


# ---------------------------------------------------------------- an index of the shape of the values


@shown_as("ScatterBackward0")
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy of input with out[index[i][j]][j] = src[i][j] for dim 0, and so on; `reduce` "add" or "multiply" combines.

    Raises:
        RuntimeError: an index out of range, shapes that do not fit, another `reduce`.
    """
    src = value if src is None else src
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if reduce == "multiply":
        return _scattered("scatter", input, dim, index, src, "prod")
    return _scattered("scatter", input, dim, index, src, reduce and "sum")


@shown_as("ScatterAddBackward0")
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of input with out[index[i][j]][j] += src[i][j] for dim 0, and so on."""
    return _scattered("scatter_add", input, dim, index, src, "sum")


@shown_as("ScatterReduceBackward0")
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy of input whose out[index[i][j]][j], for dim 0 and so on, is reduced with src[i][j].

    Args:
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: whether the input's own elements take part where there are others.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    return _scattered("scatter", input, dim, index, src, reduce, include_self)


def _scattered(
    name: str, input: Tensor, dim: int, index: Tensor, src: Any, reduce: str | None, include_self: bool = True
) -> Tensor:
    require_index(name, index)
    axis = _checked_dim(dim, input.ndim)
    if isinstance(src, Tensor) and src.dtype is not input.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if not index._array.size:
        return input.clone()
    if not input.ndim:
        src = src.reshape(1) if isinstance(src, Tensor) else src
        return _scattered(name, input.reshape(1), 0, index.reshape(1), src, reduce, include_self).reshape(())
    _check_scattered_shapes(input, axis, index.reshape(1) if not index.ndim else index, src)
    check_range(name, index, input.shape[axis], axis)
    index = index.reshape(1) if not index.ndim else index
    if isinstance(src, Tensor):
        src = (src.reshape(1) if not src.ndim else src)[tuple(slice(0, n) for n in index.shape)]
    else:
        src = create.full_like(index, src, dtype=input.dtype)
    spec, arrays = ops.grid(numpy_arrays, tuple(index.shape), index, axis)
    return (
        _put(input, src, arrays, spec) if reduce is None else _reduced(input, src, arrays, spec, reduce, include_self)
    )


def _check_scattered_shapes(input: Tensor, axis: int, index: Tensor, src: Any) -> None:
    has_shape = isinstance(src, Tensor)
    if index.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as self tensor")
    if has_shape and max(src.ndim, 1) != index.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    for i, n in enumerate(index.shape):
        if i != axis and n > input.shape[i] or has_shape and src.ndim and n > src.shape[i]:
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} apart from dimension "
                f"{axis}" + (f" and to be no larger size than src {list(src.shape)}" if has_shape else "")
            )


# ---------------------------------------------------------------- a vector of indices into one dimension


def _along(
    name: str, input: Tensor, dim: int, index: Tensor, source: Tensor, combine: Any, error: Any = RuntimeError
) -> Tensor:
    """The input with the slices of a dimension that `index` names combined with those of `source`."""
    axis, where = _checked_dim(dim, input.ndim), "" if name != "index_copy_" else f"{name}(): "
    size = input.shape[axis] if input.ndim else 1

    def complaint(wrong: int) -> Exception:
        if name == "index_reduce_":
            return IndexError("index out of range in self")
        found: Exception = error(f"{where}index {wrong} is out of bounds for dimension {axis} with size {size}")
        return found

    require_range(name, index, 0, size, complaint)
    if not input.ndim:
        return combine(input.reshape(1), source.reshape(1), [index.reshape(1)], (("array", 0),)).reshape(())
    shape = (*input.shape[:axis], index.numel(), *input.shape[axis + 1 :])
    spec = (*[slice(None)] * axis, ("array", 0))
    return combine(input, source.reshape(shape), [index.reshape(-1)], spec)


def _check_slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> None:
    """What PyTorch wants of the arguments of `index_add` and `index_reduce`."""
    axis, kind = _checked_dim(dim, input.ndim), dtypes.LEGACY_NAMES
    if index._array.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"{name}: Expected dtype int32/int64 for index but got: {kind[index.dtype.name]}")
    if index.ndim > 1:
        raise IndexError(
            f"{name}: Index is supposed to be a vector, but got dim: {index.ndim} with type: {kind[index.dtype.name]} "
            f"and size: {list(index.shape)}"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}: self ({kind[input.dtype.name]}) and source ({kind[source.dtype.name]}) must have the same scalar type"
        )
    if not source.ndim and input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if input.ndim and (input.ndim != source.ndim or any(i != axis and n != source.shape[i] for i, n in enumerate(input.shape))):  # fmt: skip
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = "
            f"{list(input.shape)} source.shape = {list(source.shape)}"
        )
    given = source.shape[axis] if source.ndim else 1
    if index.numel() != given:
        raise RuntimeError(
            f"{name}: Number of indices ({index.numel()}) should be equal to source.size(dim): ({given}), for dim: {dim}"
        )


@shown_as("IndexAddBackward0")
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy of input with alpha times the slices of `source` added to those that `index` names."""
    _check_slices("index_add_()", input, dim, index, source)
    if alpha != 1:
        source = elementwise.mul(source, number_in(alpha, input._array.dtype).item())
    return _along("index_add_", input, dim, index, source, _add)


@shown_as("IndexReduceBackward0")
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy of input whose slices that `index` names are reduced ("prod", "mean", "amax", "amin") with those of `source`."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    _check_slices("index_reduce_()", input, dim, index, source)

    def combine(x: Tensor, values: Tensor, arrays: list[Any], spec: tuple) -> Tensor:
        return _reduced(x, values, arrays, spec, reduce, include_self)

    return _along("index_reduce_", input, dim, index, source, combine)


@shown_as("IndexCopyBackward0")
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of input with the slices that `index` names replaced by those of `source`."""
    axis = _checked_dim(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {index.ndim})")
    if not source.ndim and index.numel() != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {index.numel()})")
    if source.ndim and input.ndim and source.ndim != input.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({source.ndim}), destination dimensionality ({input.ndim})"
        )
    require_long("index_copy_", index)
    if source.dtype is not input.dtype:
        kind = dtypes.LEGACY_NAMES
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) {kind[input.dtype.name]} and "
            f"(source) {kind[source.dtype.name]}"
        )
    mine, given = ([n for i, n in enumerate(x.shape) if i != axis] for x in (input, source))
    if mine != given and source.ndim:
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{' '.join(map(str, mine))} at dimension {axis} and source slice shape: {' '.join(map(str, given))} at "
            f"dimension {axis}."
        )
    if source.ndim and index.numel() != source.shape[axis]:
        raise IndexError(
            f"index_copy_(): Number of indices ({index.numel()}) should be equal to source.size(dim) ({source.shape[axis]})"
        )
    return _along("index_copy_", input, dim, index, source, _put, IndexError)


@shown_as("IndexFillBackward0")
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of input with one value in the slices that `index` names. Negative indices count from the end."""
    axis = _checked_dim(dim, input.ndim)
    if index._array.dtype != np.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    if isinstance(value, complex) and not input.is_complex():
        raise RuntimeError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    value, size = _value_like("index_fill_", value, input), input.shape[axis] if input.ndim else 1
    require_range(
        "index_fill_", index, -size, size,
        lambda wrong: IndexError(f"index {wrong} is out of bounds for dimension {axis} with size {size}"),
    )  # fmt: skip
    unnamed = create.zeros(size, dtype=dtypes.bool, device=index.device)
    rows = index.reshape(-1)
    named = _put(unnamed, create.ones_like(rows, dtype=dtypes.bool), [rows], (("array", 0),))
    named = named.reshape(size, *(1,) * (input.ndim - axis - 1)) if input.ndim else named.reshape(())
    return elementwise.where(named, value, input)


# ---------------------------------------------------------------- flat positions and masks


@shown_as("PutBackward0")
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of input with the values of `source` at, or added to, flat positions. Negative ones count from the end."""
    require_long("put_", index)
    if source.dtype is not input.dtype:
        kind = dtypes.LEGACY_NAMES
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{kind[input.dtype.name]} and source.dtype = {kind[source.dtype.name]}"
        )
    if source.numel() != index.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source.numel()}, index.numel() = {index.numel()}"
        )
    require_flat_range("put_", index, input.numel())
    combine = _add if accumulate else _put
    return combine(input.reshape(-1), source.reshape(-1), [index.reshape(-1)], (("array", 0),)).reshape(input.shape)


def _require_mask(name: str, mask: Tensor, kinds: dict[str, str]) -> None:
    if mask._array.dtype != np.bool_:
        kind = kinds.get(mask.dtype.name, mask.dtype.name)
        raise RuntimeError(f"{name} only supports boolean masks, but got mask with dtype {kind}")


_C_NAMES = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int", "uint8": "unsigned char"}


@shown_as("MaskedFillBackward0")
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where the mask holds.

    Raises:
        RuntimeError: the mask is not boolean, or the input's dtype has no such value.
    """
    _require_mask("masked_fill_", mask, _C_NAMES)
    return elementwise.where(mask, _value_like("masked_fill_", value, input), input)


def _value_like(name: str, value: Any, input: Tensor) -> Tensor:
    """One value in the input's dtype."""
    if not isinstance(value, Tensor):
        return create.beside(input, number_in(value, input._array.dtype))
    if value.ndim:
        raise RuntimeError(
            f"{name} only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    if value.is_complex() and not input.is_complex():
        return create.beside(input, number_in(value.item(), input._array.dtype))
    return value.to(input.device, input.dtype) if input.is_cuda else value.to(input.dtype)


@shown_as("MaskedScatterBackward0")
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The input with its elements where the mask holds replaced by the first ones of `source`.

    Raises:
        RuntimeError: the mask is not boolean, dtypes differ, or `source` has too few elements.
    """
    _require_mask("masked_scatter_", mask, dtypes.LEGACY_NAMES)
    if source.dtype is not input.dtype:
        kind = dtypes.LEGACY_NAMES
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{kind[input.dtype.name]} and {kind[source.dtype.name]}"
        )
    shape = common_shape(input, mask)
    if isinstance(mask._array, Abstract) and source.numel():  # inside a transform: how many hold is not known
        held = mask.expand(shape).reshape(-1)
        at = (held.cumsum(0) - 1).clamp(0, source.numel() - 1)
        return elementwise.where(held, source.reshape(-1)[at], input.expand(shape).reshape(-1)).reshape(shape)
    positions = np.flatnonzero(mask.expand(shape)._host_values("masked_scatter()"))
    if positions.size > source.numel():
        raise RuntimeError("Number of elements of source < number of ones in mask")
    values = source.reshape(-1)[: positions.size]
    return _put(input.expand(shape).reshape(-1), values, [positions], (("array", 0),)).reshape(shape)


# ---------------------------------------------------------------- in place

masked_fill_, masked_scatter_ = in_place_form(masked_fill), in_place_form(masked_scatter)
scatter_, scatter_add_, scatter_reduce_ = map(in_place_form, (scatter, scatter_add, scatter_reduce))
index_add_, index_copy_, index_fill_, index_reduce_ = map(
    in_place_form, (index_add, index_copy, index_fill, index_reduce)
)
put_ = in_place_form(put)


with_autocast(globals())
