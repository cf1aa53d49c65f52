"""The waist on batched arrays: how each of its functions is computed for all examples at once.

Most rules move axis numbers up by one. What has no rule is computed example by example (`_one_by_one`); what the inner arrays' kind has
no function for is `NoRule`: `rushlight.ops.transforms` then runs the whole operation example by example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.arrays.batched import (
    Batch,
    BatchedArray,
    NoRule,
    aligned,
    all_of,
    batched,
    cannot_write,
    examples_differ,
    function_of,
    level_of,
    reshape,
    shape_of,
    stacked,
    taken_apart,
    with_ndim,
    xp_of,
)
from rushlight.arrays.batching_index import index_get, put_rule, take, take_along_axis
from rushlight.arrays.kinds import Abstract
from rushlight.arrays.protocol import BINARY, HOST_NAMES, UNARY
from rushlight.arrays.symbolic import normalize_axes, normalize_index

_Slice = slice


def _for_all(function: Callable[..., Any]) -> Callable[..., Any]:
    """A rule `function(level, x, ...)` for a function of one array. One that is the same for all stays so."""
    name = function.__name__.strip("_")

    def call(x: Any, *args: Any, **attrs: Any) -> Any:
        level = level_of(x)
        if not x.is_batched:
            return BatchedArray(level, function_of(name, x.inner)(x.inner, *args, **attrs), False)
        return BatchedArray(level, function(level, x, *args, **attrs))

    call.__name__ = name
    return call


# ---------------------------------------------------------------- elementwise


def _elementwise(name: str) -> Callable[..., Any]:
    def call(*operands: Any) -> Any:
        level = level_of(*operands)
        inners = aligned(level, *operands)
        return BatchedArray(level, function_of(name, *inners)(*inners), examples_differ(level, *operands))

    call.__name__ = name
    return call


def to_device(x: BatchedArray, device: Any) -> BatchedArray:
    return BatchedArray(x.level, xp_of(x.inner).to_device(x.inner, device), x.is_batched)


def astype(x: BatchedArray, dtype: np.dtype) -> BatchedArray:
    return BatchedArray(x.level, xp_of(x.inner).astype(x.inner, np.dtype(dtype)), x.is_batched)


def conj(x: BatchedArray) -> BatchedArray:
    return BatchedArray(x.level, xp_of(x.inner).conj(x.inner), x.is_batched) if x.dtype.kind == "c" else x


def real(x: BatchedArray) -> BatchedArray:
    return BatchedArray(x.level, xp_of(x.inner).real(x.inner), x.is_batched) if x.dtype.kind == "c" else x


def imag(x: BatchedArray) -> BatchedArray:
    return BatchedArray(x.level, xp_of(x.inner).imag(x.inner), x.is_batched)


# ---------------------------------------------------------------- creation: the same for every example


def full(shape: tuple[int, ...], value: Any, dtype: np.dtype) -> Any:
    """An array of one number, or, for a number that each example has its own of, batched."""
    if not isinstance(value, Abstract):
        return numpy_arrays.full(shape, value, dtype)
    return broadcast_to(astype(value, dtype), shape)


# ---------------------------------------------------------------- movement


@_for_all
def permute_dims(level: Batch, x: BatchedArray, axes: tuple[int, ...]) -> Any:
    return xp_of(x.inner).permute_dims(x.inner, (0, *[axis % x.ndim + 1 for axis in axes]))


@_for_all
def broadcast_to(level: Batch, x: BatchedArray, shape: tuple[int, ...]) -> Any:
    inner = with_ndim(x.inner, len(shape))
    return xp_of(inner).broadcast_to(inner, (level.size, *shape))


def slice(x: BatchedArray, index: Any) -> BatchedArray:
    index = index if isinstance(index, tuple) else (index,)
    lead = (_Slice(None),) if x.is_batched else ()
    return BatchedArray(x.level, xp_of(x.inner).slice(x.inner, (*lead, *index)), x.is_batched)


@_for_all
def affine_view(level: Batch, x: BatchedArray, *, shape: Any, start: Any, steps: Any) -> Any:
    of_examples = (1, *(0,) * x.ndim)
    return xp_of(x.inner).affine_view(
        x.inner, shape=(level.size, *shape), start=(0, *start), steps=(of_examples, *[(0, *step) for step in steps])
    )


@_for_all
def contiguous(level: Batch, x: BatchedArray) -> Any:
    return xp_of(x.inner).contiguous(x.inner)


@_for_all
def view_as_real(level: Batch, x: BatchedArray) -> Any:
    return xp_of(x.inner).view_as_real(x.inner)


@_for_all
def view_as_complex(level: Batch, x: BatchedArray) -> Any:
    return xp_of(x.inner).view_as_complex(x.inner)


def concat(arrays: Any, axis: int = 0) -> BatchedArray:
    level = level_of(*arrays)
    axis %= len(arrays[0].shape)
    inners = [batched(level, x) for x in arrays]
    return BatchedArray(level, xp_of(*inners).concat(inners, axis=axis + 1))


def slice_assign(x: Any, value: Any, index: Any) -> BatchedArray:
    level = level_of(x, value)
    inner, replacement = batched(level, x), value
    if hasattr(value, "shape"):
        region = normalize_index(tuple(x.shape), index)[2]
        found, is_batched = taken_apart(level, value)
        replacement = with_ndim(found, len(region)) if is_batched else found
    index = index if isinstance(index, tuple) else (index,)
    return BatchedArray(level, xp_of(inner, replacement).slice_assign(inner, replacement, index=(_Slice(None), *index)))


def assign(target: Any, value: Any) -> None:
    """Writes into the target's own memory.

    Raises:
        RuntimeError: the target is one for all examples, and the value is not.
    """
    level = level_of(target, value)
    inner, is_batched = taken_apart(level, target)
    found, differs = taken_apart(level, value)
    if differs and not is_batched:
        raise cannot_write()
    if differs:
        found = with_ndim(found, len(target.shape))
    xp_of(inner, found).assign(inner, found)


# ---------------------------------------------------------------- reductions, scans, order


def _reduction(name: str) -> Callable[..., Any]:
    def call(x: BatchedArray, axis: Any = None, keepdims: bool = False) -> BatchedArray:
        axes = normalize_axes(axis, x.ndim)
        if not x.is_batched:
            return BatchedArray(x.level, function_of(name, x.inner)(x.inner, axis=axes, keepdims=keepdims), False)
        moved = tuple(a + 1 for a in axes)
        return BatchedArray(x.level, function_of(name, x.inner)(x.inner, axis=moved, keepdims=keepdims))

    call.__name__ = name
    return call


def _index_reduction(name: str) -> Callable[..., Any]:
    def call(x: BatchedArray, axis: int | None = None, keepdims: bool = False) -> BatchedArray:
        ndim = x.ndim
        if axis is None or not ndim:
            x, axis = reshape(x, (x.size,)), 0
        found = function_of(name, x.inner)(x.inner, axis=axis % x.ndim + x.is_batched, keepdims=keepdims)
        out = BatchedArray(x.level, found, x.is_batched)
        return reshape(out, (1,) * ndim) if keepdims and ndim != x.ndim else out

    call.__name__ = name
    return call


def _along_axis(name: str) -> Callable[..., Any]:
    """Functions with one array and an axis: `f(x, axis=..., ...)`."""

    def call(x: BatchedArray, axis: int = -1, **attrs: Any) -> Any:
        ndim = x.ndim
        if not ndim:
            x, axis = reshape(x, (1,)), 0
        found = function_of(name, x.inner)(x.inner, axis=axis % x.ndim + x.is_batched, **attrs)
        several = isinstance(found, tuple)
        out = [BatchedArray(x.level, part, x.is_batched) for part in (found if several else (found,))]
        out = out if ndim else [reshape(part, ()) for part in out]
        return tuple(out) if several else out[0]

    call.__name__ = name
    return call


# ---------------------------------------------------------------- products


def matmul(a: Any, b: Any) -> BatchedArray:
    level = level_of(a, b)
    (x, x_batched), (y, y_batched) = taken_apart(level, a), taken_apart(level, b)
    m, n = len(shape_of(a)), len(shape_of(b))
    xp = xp_of(x, y)
    if not (x_batched or y_batched):
        return BatchedArray(level, xp.matmul(x, y), False)
    if n == 1 and y_batched:  # vectors: as matrices of one column, where that is no row of the examples' own
        if not x_batched and m <= 2:  # all examples in one product
            return BatchedArray(level, xp.matmul(y, xp.permute_dims(x, (1, 0)) if m == 2 else x))
        y = xp.reshape(y, (*y.shape, 1))
        x = xp.reshape(x, (*x.shape[:-1], 1, x.shape[-1])) if m == 1 else x
        product = _matrices(xp, x, x_batched, y, True, max(m, 2))
        return BatchedArray(level, xp.reshape(product, product.shape[:-2] if m == 1 else product.shape[:-1]))
    if m == 1 and x_batched and (y_batched or n > 2):
        x = xp.reshape(x, (x.shape[0], 1, x.shape[1]))
        product = _matrices(xp, x, True, y, y_batched, n)
        return BatchedArray(level, xp.reshape(product, (*product.shape[:-2], product.shape[-1])))
    return BatchedArray(level, _matrices(xp, x, x_batched, y, y_batched, max(m, n)))


def _matrices(xp: Any, x: Any, x_batched: bool, y: Any, y_batched: bool, ndim: int) -> Any:
    x = with_ndim(x, ndim) if x_batched and ndim > 2 else x
    y = with_ndim(y, ndim) if y_batched and ndim > 2 else y
    return xp.matmul(x, y)


# ---------------------------------------------------------------- numerical routines


def _leading(name: str) -> Callable[..., Any]:
    """Functions of the last axes, whose other axes are a batch anyway."""

    def call(*arrays: Any, **attrs: Any) -> Any:
        level = level_of(*arrays)
        if not examples_differ(level, *arrays):
            inners = [taken_apart(level, a)[0] for a in arrays]
            return all_of(level, function_of(name, *inners)(*inners, **attrs), False)
        ndim = max(len(shape_of(a)) for a in arrays)
        inners = [with_ndim(batched(level, a), ndim) if hasattr(a, "shape") else a for a in arrays]
        return all_of(level, function_of(name, *inners)(*inners, **attrs), True)

    call.__name__ = name
    return call


def _one_by_one(name: str) -> Callable[..., Any]:
    """Functions without a rule."""

    def call(*arrays: Any, **attrs: Any) -> Any:
        level = level_of(*arrays)
        taken = [taken_apart(level, a) for a in arrays]
        function = function_of(name, *[inner for inner, _ in taken])
        if not examples_differ(level, *arrays):
            return all_of(level, function(*[inner for inner, _ in taken], **attrs), False)
        results = [
            function(
                *[xp_of(inner).slice(inner, (i, Ellipsis)) if differs else inner for inner, differs in taken], **attrs
            )
            for i in range(level.size)
        ]
        if not results:
            raise NoRule(name)
        if isinstance(results[0], tuple):
            return tuple([BatchedArray(level, stacked(parts)) for parts in zip(*results, strict=True)])
        return BatchedArray(level, stacked(results))

    call.__name__ = name
    return call


# ---------------------------------------------------------------- convolution


def _windows_of_samples(*arrays: Any, **attrs: Any) -> Any:
    """`max_windows`, whose windows may depend on numbers of fewer dimensions than the array."""
    return (_leading if len(arrays) == 1 else _one_by_one)("max_windows")(*arrays, **attrs)


def _folded(xp: Any, x: Any) -> Any:
    """(examples, batch, ...) as one batch."""
    return xp.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def _sliding(name: str) -> Callable[..., Any]:
    """`convolve(x, weight)` and `convolve_transposed(y, weight)`: with one weight, all examples are one batch."""
    one_by_one = _one_by_one(name)

    def call(x: Any, weight: Any, **attrs: Any) -> BatchedArray:
        level = level_of(x, weight)
        (inner, differs), (kernel, own_kernel) = taken_apart(level, x), taken_apart(level, weight)
        if own_kernel or not differs:
            return one_by_one(x, weight, **attrs)
        xp = xp_of(inner, kernel)
        out = getattr(xp, name)(_folded(xp, inner), kernel, **attrs)
        return BatchedArray(level, xp.reshape(out, (*inner.shape[:2], *out.shape[1:])))

    call.__name__ = name
    return call


# ---------------------------------------------------------------- the table

_LEADING = (
    "adjugate", "cholesky", "cholesky_solve", "det", "eig", "eigh", "inv", "ldl_factor", "ldl_solve", "lu_factor", "matrix_exp",
    "permutation_matrix", "put_at", "qr", "resample", "slogdet", "solve", "solve_triangular", "svd",
)  # fmt: skip
_ALONG_AXIS = (
    "argsort", "cumulative_argmax", "cumulative_argmin", "cumulative_logsumexp", "cumulative_prod", "cumulative_sum", "sort",
)  # fmt: skip


class BatchedArrays:
    """The waist on batched arrays. Of operands that are none, whatever they are computes."""


def _entry(name: str, rule: Callable[..., Any]) -> Callable[..., Any]:
    def call(*operands: Any, **attrs: Any) -> Any:
        for x in operands[0] if operands and operands[0].__class__ in (list, tuple) else operands:
            if x.__class__ is BatchedArray:
                return rule(*operands, **attrs)
        flat = operands[0] if operands and operands[0].__class__ in (list, tuple) else operands
        return getattr(xp_of(*flat), name)(*operands, **attrs)

    call.__name__ = name
    return call


def _rules() -> dict[str, Callable[..., Any]]:
    rules: dict[str, Callable[..., Any]] = {name: _one_by_one(name) for name in HOST_NAMES}
    rules |= {
        name: _elementwise(name) for name in (*UNARY, *BINARY, "erf", "fmod", "where", "complex", "copysign", "hypot")
    }
    rules |= {name: _reduction(name) for name in ("sum", "prod", "max", "min", "any", "all")}
    rules |= {name: _index_reduction(name) for name in ("argmax", "argmin")}
    rules |= {name: _along_axis(name) for name in _ALONG_AXIS}
    rules |= {name: put_rule(name) for name in ("index_put", "index_reduce")}
    rules |= {name: _leading(name) for name in _LEADING}
    rules |= {name: _sliding(name) for name in ("convolve", "convolve_transposed")}
    rules["max_windows"] = _windows_of_samples
    own = (
        affine_view, assign, astype, broadcast_to, concat, conj, contiguous, full, imag, index_get, matmul, permute_dims, real, to_device,
        reshape, slice, slice_assign, take, take_along_axis, view_as_complex, view_as_real,
    )  # fmt: skip
    return rules | {rule.__name__: rule for rule in own}


namespace: Any = BatchedArrays()
for _name, _rule in _rules().items():
    setattr(namespace, _name, _entry(_name, _rule))
namespace.full, namespace.arange, namespace.draw = full, numpy_arrays.arange, numpy_arrays.draw
kinds.NAMESPACES[BatchedArray] = namespace
