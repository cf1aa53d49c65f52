"""`rushlight.masked`: reductions and normalizations of the elements that a mask selects, True for those that count.

Elements left out become the operation's neutral element (0 in a sum, -inf in a maximum), and it runs as ever: a result
that nothing goes into is the neutral element itself.
"""

from __future__ import annotations

import math
from typing import Any

from rushlight import dtypes
from rushlight.api import elementwise, linalg_norm, numeric, reduce, scan, statistics
from rushlight.ops.create import ones_like
from rushlight.tensor import Tensor, _checked_dim

# ---------------------------------------------------------------- masks and neutral elements


def _mask_of(input: Tensor, mask: Tensor) -> Tensor:
    """The mask as truth values, checked."""
    if mask.ndim > input.ndim:
        raise IndexError("_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)")
    return mask.to(dtypes.bool)


def _filled(input: Tensor, mask: Tensor | None, value: Any) -> Tensor:
    """The input with a value where the mask is False."""
    return input if mask is None else elementwise.where(_mask_of(input, mask), input, input.new_full((), value))


def _least(dtype: dtypes.dtype) -> float:
    """What no number is less than."""
    return -math.inf if dtype.kind in "fc" else False if dtype.kind == "b" else dtypes.iinfo(dtype).min


def _greatest(dtype: dtypes.dtype) -> float:
    """What no number is greater than."""
    return math.inf if dtype.kind in "fc" else True if dtype.kind == "b" else dtypes.iinfo(dtype).max


def _axes(dim: Any, ndim: int) -> tuple[int, ...]:
    """`dim` as non-negative numbers in order; all dimensions for None.

    Raises:
        RuntimeError: a dimension twice. IndexError: out of range.
    """
    if dim is None:
        return tuple(range(ndim))
    axes: list[int] = []
    for d in (dim,) if isinstance(dim, int) else dim:
        axis = _checked_dim(d, ndim)
        if axis in axes:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
        axes.append(axis)
    return tuple(sorted(axes))


def _sum_dtype(input: Tensor, dtype: Any) -> Any:
    """The dtype of a sum or a product: integers and truth values become int64."""
    return dtype or (input.dtype if input.dtype.kind in "fc" else dtypes.int64)


# ---------------------------------------------------------------- sums, products, extremes


def sum(
    input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The sum of the selected elements along `dim`."""
    dtype = _sum_dtype(input, dtype)
    return reduce.sum(_filled(input, mask, 0), _axes(dim, input.ndim), bool(keepdim), dtype=dtype)


def prod(
    input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The product of the selected elements along `dim`."""
    result, dtype = _filled(input, mask, 1), _sum_dtype(input, dtype)
    for axis in reversed(_axes(dim, input.ndim)):
        result = reduce.prod(result, axis, bool(keepdim), dtype=dtype)
    return result.to(dtype)


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The running sum of the selected elements along `dim`."""
    return scan.cumsum(_filled(input, mask, 0), dim, dtype=dtype or input.dtype)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The running product of the selected elements along `dim`."""
    return scan.cumprod(_filled(input, mask, 1), dim, dtype=dtype or input.dtype)


def amax(
    input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The largest of the selected elements along `dim`."""
    filled = _filled(input, mask, _least(input.dtype))
    return reduce.amax(filled, _axes(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def amin(
    input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The smallest of the selected elements along `dim`."""
    filled = _filled(input, mask, _greatest(input.dtype))
    return reduce.amin(filled, _axes(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def argmax(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The index of the largest of the selected elements along `dim`, in the input's dtype unless told."""
    return reduce.argmax(_filled(input, mask, _least(input.dtype)), dim, bool(keepdim)).to(dtype or input.dtype)


def argmin(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The index of the smallest of the selected elements along `dim`, in the input's dtype unless told."""
    return reduce.argmin(_filled(input, mask, _greatest(input.dtype)), dim, bool(keepdim)).to(dtype or input.dtype)


def logsumexp(
    input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """log(sum(exp(input))) of the selected elements along `dim`."""
    filled = _filled(input, mask, _least(input.dtype))
    return reduce.logsumexp(filled, _axes(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: Any = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """log(exp(input) + exp(other)), each where its mask selects it."""
    first, second = (_filled(x, mask, -math.inf) for x, mask in ((input, input_mask), (other, other_mask)))
    return numeric.logaddexp(first, second).to(dtype or input.dtype)


# ---------------------------------------------------------------- statistics


def _count(input: Tensor, dim: Any, keepdim: bool, mask: Tensor | None) -> Tensor:
    """How many elements are selected along `dim`."""
    return sum(ones_like(input, dtype=dtypes.int64), dim, keepdim=keepdim, mask=mask)


def mean(
    input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The mean of the selected elements along `dim`: NaN of none."""
    total = sum(input, dim, keepdim=keepdim, dtype=dtype or input.dtype, mask=mask)
    return total / _count(input, dim, keepdim, mask)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The lower median of the selected elements along `dim`: NaN of none."""
    dtype = dtype or input.dtype
    if input.dtype.kind != "f":
        if mask is not None and not reduce.all(reduce.any(_mask_of(input, mask).expand(input.shape), dim)):
            raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
        input = input.to(dtypes.get_default_dtype())
    return statistics.nanmedian(_filled(input, mask, math.nan), dim, keepdim).values.to(dtype)


def norm(
    input: Tensor, ord: float = 2.0, dim: Any = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The vector norm of the selected elements along `dim`."""
    filled = _filled(input, mask, math.inf if ord == -math.inf else 0)
    return linalg_norm.vector_norm(filled, ord, _axes(dim, input.ndim), bool(keepdim), dtype=dtype)


def _variance(
    input: Tensor, dim: Any, unbiased: Any, correction: Any, keepdim: bool, dtype: Any, mask: Tensor | None
) -> Tensor:
    if unbiased is not None and correction is not None:
        raise RuntimeError("unbiased and correction cannot be given both")
    correction = int(unbiased is None or unbiased) if correction is None else correction
    dtype = dtype or (input.dtype if input.dtype.kind in "fc" else dtypes.float32)
    mean_of_each = sum(input, dim, keepdim=True, dtype=dtype, mask=mask) / _count(input, dim, True, mask)
    deviation = input - mean_of_each
    total = sum(deviation * deviation.conj(), dim, keepdim=keepdim, dtype=dtype, mask=mask)
    return (total / (_count(input, dim, keepdim, mask) - correction).clamp(min=0)).to(dtype)


def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *, correction: Any = None, keepdim: bool = False,
    dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance of the selected elements along `dim`."""
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask)


def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *, correction: Any = None, keepdim: bool = False,
    dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation of the selected elements along `dim`."""
    return elementwise.sqrt(_variance(input, dim, unbiased, correction, keepdim, dtype, mask))


# ---------------------------------------------------------------- what keeps the shape


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """`softmax` of the selected elements along `dim`, 0 for the others."""
    return reduce.softmax(_filled(input, mask, _least(input.dtype)), dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """`log_softmax` of the selected elements along `dim`, -inf for the others."""
    return reduce.log_softmax(_filled(input, mask, _least(input.dtype)), dim, dtype)


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """`softmin` of the selected elements along `dim`, 0 for the others."""
    return reduce.softmax(-_filled(input, mask, _greatest(input.dtype)), dim, dtype)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The selected elements over their norm along `dim` (`eps` at least), 0 for the others."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled(input, mask, 0) / elementwise.maximum(length, length.new_full((), eps))
