"""The waist on batched arrays: `vmap`.

A `BatchedArray` is, for the function that `vmap` runs, one example; it holds all of them, along the first axis of `inner`. Each
waist function has a rule that says how all examples are computed at once: most move axis numbers up by one. Operands of other
kinds, or of lower levels, are the same for every example. What has no rule is computed example by example (`_one_by_one`).

`inner` is computed on by its own kind's namespace: by operations on Tensors, when `vmap` calls, so gradients pass through. What
Tensors have no function for is `NoRule`: `rushlight.ops.transforms` then runs the whole operation example by example.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.arrays.kinds import Abstract, Level, numpy_dtype
from rushlight.arrays.protocol import BINARY, HOST_NAMES, UNARY
from rushlight.arrays.symbolic import normalize_axes, normalize_index

_Slice = slice


class Batch(Level):
    """A `vmap` that is running: `size` examples; `randomness` is "error", "different" or "same"."""

    def __init__(self, size: int, randomness: str = "error"):
        super().__init__()
        self.size, self.randomness = size, randomness


class BatchedArray(Abstract):
    """One example, for all: `inner` has the examples along its first axis, or is one array for all of them."""

    __slots__ = ("inner", "is_batched")

    def __init__(self, level: Batch, inner: Any, is_batched: bool = True):
        self.level, self.inner, self.is_batched = level, inner, is_batched
        self.shape = tuple(inner.shape[1:] if is_batched else inner.shape)

    @property
    def dtype(self) -> np.dtype:  # type: ignore[override]
        return numpy_dtype(self.inner)

    @property
    def strides(self) -> tuple[int, ...]:
        """In bytes, between the elements of one example."""
        inner = self.inner
        strides = inner.strides if hasattr(inner, "strides") else tuple(n * self.itemsize for n in inner.stride())
        return tuple(strides[1:] if self.is_batched else strides)

    def __repr__(self) -> str:
        return f"BatchedArray(level={self.level.depth}, {list(self.shape)}, {self.dtype}, of {self.inner!r})"


class NoRule(Exception):
    """This cannot be computed for all examples at once."""


# ---------------------------------------------------------------- taking apart and putting together


def _level(*operands: Any) -> Batch:
    """The innermost `vmap` among the operands."""
    found = None
    for x in operands:
        if x.__class__ is BatchedArray and (found is None or x.level.depth > found.depth):
            found = x.level
    assert found is not None
    return found


def _taken(level: Batch, x: Any) -> tuple[Any, bool]:
    """(what is computed on, whether its first axis is that of the examples)."""
    if x.__class__ is BatchedArray and x.level is level:
        return x.inner, x.is_batched
    return x, False


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape) if hasattr(x, "shape") else ()


def _of(*inners: Any) -> Any:
    return kinds.namespace_of(*inners)


def _function(name: str, *inners: Any) -> Callable[..., Any]:
    """The waist function of the inner arrays' kind.

    Raises:
        NoRule: Tensors have no operation for it.
    """
    found = getattr(_of(*inners), name, None)
    if found is None:
        raise NoRule(name)
    return found


def _with_ndim(x: Any, ndim: int) -> Any:
    """A batched inner array whose examples have that many dimensions: ones are put in front of their own."""
    missing = ndim - (len(x.shape) - 1)
    return x if missing <= 0 else _of(x).reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:]))


def aligned(level: Batch, *operands: Any) -> list[Any]:
    """Inner arrays that broadcast as the examples do."""
    ndim = max(len(_shape(x)) for x in operands)
    taken = (_taken(level, x) for x in operands)
    return [_with_ndim(inner, ndim) if is_batched else inner for inner, is_batched in taken]


def batched(level: Batch, x: Any) -> Any:
    """The inner array with an axis of examples, whether it had one or not."""
    inner, is_batched = _taken(level, x)
    return inner if is_batched else _of(inner).broadcast_to(inner, (level.size, *inner.shape))


def _examples_differ(level: Batch, *operands: Any) -> bool:
    return any(_taken(level, x)[1] for x in operands)


def _for_all(function: Callable[..., Any]) -> Callable[..., Any]:
    """A rule `function(level, x, ...)` for a function of one array. One that is the same for all stays so."""
    name = function.__name__.strip("_")

    def call(x: Any, *args: Any, **attrs: Any) -> Any:
        level = _level(x)
        if not x.is_batched:
            return BatchedArray(level, _function(name, x.inner)(x.inner, *args, **attrs), False)
        return BatchedArray(level, function(level, x, *args, **attrs))

    call.__name__ = name
    return call


# ---------------------------------------------------------------- elementwise


def _elementwise(name: str) -> Callable[..., Any]:
    def call(*operands: Any) -> Any:
        level = _level(*operands)
        inners = aligned(level, *operands)
        return BatchedArray(level, _function(name, *inners)(*inners), _examples_differ(level, *operands))

    call.__name__ = name
    return call


def astype(x: BatchedArray, dtype: np.dtype) -> BatchedArray:
    return BatchedArray(x.level, _of(x.inner).astype(x.inner, np.dtype(dtype)), x.is_batched)


def conj(x: BatchedArray) -> BatchedArray:
    return BatchedArray(x.level, _of(x.inner).conj(x.inner), x.is_batched) if x.dtype.kind == "c" else x


def real(x: BatchedArray) -> BatchedArray:
    return BatchedArray(x.level, _of(x.inner).real(x.inner), x.is_batched) if x.dtype.kind == "c" else x


def imag(x: BatchedArray) -> BatchedArray:
    return BatchedArray(x.level, _of(x.inner).imag(x.inner), x.is_batched)


# ---------------------------------------------------------------- creation: the same for every example


def full(shape: tuple[int, ...], value: Any, dtype: np.dtype) -> Any:
    """An array of one number, or, for a number that each example has its own of, batched."""
    if not isinstance(value, Abstract):
        return numpy_arrays.full(shape, value, dtype)
    return broadcast_to(astype(value, dtype), shape)


# ---------------------------------------------------------------- movement


def reshape(x: BatchedArray, shape: Any) -> BatchedArray:
    shape = (int(shape),) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        shape = tuple(x.size // (known or 1) if n == -1 else n for n in shape)
    lead = (x.level.size,) if x.is_batched else ()
    return BatchedArray(x.level, _of(x.inner).reshape(x.inner, (*lead, *shape)), x.is_batched)


@_for_all
def permute_dims(level: Batch, x: BatchedArray, axes: tuple[int, ...]) -> Any:
    return _of(x.inner).permute_dims(x.inner, (0, *[axis % x.ndim + 1 for axis in axes]))


@_for_all
def broadcast_to(level: Batch, x: BatchedArray, shape: tuple[int, ...]) -> Any:
    inner = _with_ndim(x.inner, len(shape))
    return _of(inner).broadcast_to(inner, (level.size, *shape))


def slice(x: BatchedArray, index: Any) -> BatchedArray:
    index = index if isinstance(index, tuple) else (index,)
    lead = (_Slice(None),) if x.is_batched else ()
    return BatchedArray(x.level, _of(x.inner).slice(x.inner, (*lead, *index)), x.is_batched)


@_for_all
def affine_view(level: Batch, x: BatchedArray, *, shape: Any, start: Any, steps: Any) -> Any:
    of_examples = (1, *(0,) * x.ndim)
    return _of(x.inner).affine_view(
        x.inner, shape=(level.size, *shape), start=(0, *start), steps=(of_examples, *[(0, *step) for step in steps])
    )


@_for_all
def contiguous(level: Batch, x: BatchedArray) -> Any:
    return _of(x.inner).contiguous(x.inner)


@_for_all
def view_as_real(level: Batch, x: BatchedArray) -> Any:
    return _of(x.inner).view_as_real(x.inner)


@_for_all
def view_as_complex(level: Batch, x: BatchedArray) -> Any:
    return _of(x.inner).view_as_complex(x.inner)


def concat(arrays: Any, axis: int = 0) -> BatchedArray:
    level = _level(*arrays)
    axis %= len(arrays[0].shape)
    inners = [batched(level, x) for x in arrays]
    return BatchedArray(level, _of(*inners).concat(inners, axis=axis + 1))


def slice_assign(x: Any, value: Any, index: Any) -> BatchedArray:
    level = _level(x, value)
    inner, replacement = batched(level, x), value
    if hasattr(value, "shape"):
        region = normalize_index(tuple(x.shape), index)[2]
        found, is_batched = _taken(level, value)
        replacement = _with_ndim(found, len(region)) if is_batched else found
    index = index if isinstance(index, tuple) else (index,)
    return BatchedArray(level, _of(inner, replacement).slice_assign(inner, replacement, index=(_Slice(None), *index)))


def cannot_write() -> RuntimeError:
    return RuntimeError(
        "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor `other` in "
        "extra_args that has more elements than `self`. This happened due to `other` being vmapped over but `self` "
        "not being vmapped over in a vmap. Please try to use out-of-place operators instead of inplace arithmetic. "
        "If said operator is being called inside the PyTorch framework, please file a bug report instead."
    )


def assign(target: Any, value: Any) -> None:
    """Writes into the target's own memory.

    Raises:
        RuntimeError: the target is one for all examples, and the value is not.
    """
    level = _level(target, value)
    inner, is_batched = _taken(level, target)
    found, differs = _taken(level, value)
    if differs and not is_batched:
        raise cannot_write()
    if differs:
        found = _with_ndim(found, len(target.shape))
    _of(inner, found).assign(inner, found)


# ---------------------------------------------------------------- reductions, scans, order


def _reduction(name: str) -> Callable[..., Any]:
    def call(x: BatchedArray, axis: Any = None, keepdims: bool = False) -> BatchedArray:
        axes = normalize_axes(axis, x.ndim)
        if not x.is_batched:
            return BatchedArray(x.level, _function(name, x.inner)(x.inner, axis=axes, keepdims=keepdims), False)
        moved = tuple(a + 1 for a in axes)
        return BatchedArray(x.level, _function(name, x.inner)(x.inner, axis=moved, keepdims=keepdims))

    call.__name__ = name
    return call


def _index_reduction(name: str) -> Callable[..., Any]:
    def call(x: BatchedArray, axis: int | None = None, keepdims: bool = False) -> BatchedArray:
        ndim = x.ndim
        if axis is None or not ndim:
            x, axis = reshape(x, (x.size,)), 0
        found = _function(name, x.inner)(x.inner, axis=axis % x.ndim + x.is_batched, keepdims=keepdims)
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
        found = _function(name, x.inner)(x.inner, axis=axis % x.ndim + x.is_batched, **attrs)
        several = isinstance(found, tuple)
        out = [BatchedArray(x.level, part, x.is_batched) for part in (found if several else (found,))]
        out = out if ndim else [reshape(part, ()) for part in out]
        return tuple(out) if several else out[0]

    call.__name__ = name
    return call


# ---------------------------------------------------------------- products


def matmul(a: Any, b: Any) -> BatchedArray:
    level = _level(a, b)
    (x, x_batched), (y, y_batched) = _taken(level, a), _taken(level, b)
    m, n = len(_shape(a)), len(_shape(b))
    xp = _of(x, y)
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
    x = _with_ndim(x, ndim) if x_batched and ndim > 2 else x
    y = _with_ndim(y, ndim) if y_batched and ndim > 2 else y
    return xp.matmul(x, y)


# ---------------------------------------------------------------- indexing by arrays


def take(x: Any, indices: Any, axis: int) -> Any:
    level = _level(x, indices)
    spec = (*(_Slice(None),) * (axis % len(_shape(x))), ("array", 0))
    if _taken(level, indices)[1]:
        return index_get(x, indices, spec=spec)
    (inner, is_batched), (at, _) = _taken(level, x), _taken(level, indices)
    return BatchedArray(level, _of(inner, at).take(inner, at, axis=axis % len(_shape(x)) + is_batched), is_batched)


def take_along_axis(x: Any, indices: Any, axis: int) -> BatchedArray:
    level = _level(x, indices)
    axis %= max(len(_shape(x)), 1)
    if not _shape(x):
        x = reshape(x, (1,)) if isinstance(x, BatchedArray) else _of(x).reshape(x, (1,))
        found = take_along_axis(x, indices if _shape(indices) else reshape(_lifted(level, indices), (1,)), 0)
        return found if _shape(indices) else reshape(found, ())
    inner, at = batched(level, x), batched(level, indices)
    return BatchedArray(level, _of(inner, at).take_along_axis(inner, at, axis=axis + 1))


def _lifted(level: Batch, x: Any) -> BatchedArray:
    return x if x.__class__ is BatchedArray and x.level is level else BatchedArray(level, x, False)


def _integers(level: Batch, arrays: tuple, spec: tuple) -> tuple[list[Any], tuple]:
    """Index arrays and their spec with a mask that is the same for all examples as the positions where it is true.

    Raises:
        NoRule: a mask of each example's own, which may pick a different number of elements from each.
    """
    out: list[Any] = []
    new_spec: list[Any] = []
    for item in spec:
        if type(item) is int:
            item, array = ("array", -1), np.asarray(item)
        elif type(item) is tuple:
            array = arrays[item[1]]
        else:
            new_spec.append(item)
            continue
        positions: Any = (array,)
        if numpy_dtype(array).kind == "b":
            inner, differs = _taken(level, array)
            value = getattr(inner, "_array", inner)
            if differs or not isinstance(value, np.ndarray) or not value.ndim:
                raise NoRule("a mask for each example")
            positions = np.nonzero(value)
        for position in positions:
            new_spec.append(("array", len(out)))
            out.append(position)
    return out, tuple(new_spec)


def _explicit(spec: tuple, ndim: int) -> tuple:
    """A spec without `...`."""
    used = len([item for item in spec if item is not None and item is not Ellipsis])
    fill = (_Slice(None),) * (ndim - used)
    if Ellipsis not in spec:
        return (*spec, *fill)
    at = next(i for i, item in enumerate(spec) if item is Ellipsis)
    return (*spec[:at], *fill, *spec[at + 1 :])


class _Places:
    """An advanced index on examples: every example's own position along the first axis, and the index arrays aligned.

    The result of indexing with these has the axes (example, those of the index arrays, the others): `order` says where each
    example's axes are among them.
    """

    def __init__(self, level: Batch, shape: tuple[int, ...], arrays: tuple, spec: tuple):
        found, spec = _integers(level, arrays, spec)
        spec = _explicit(spec, len(shape))
        ndim = max(len(_shape(a)) for a in found)
        taken = [_taken(level, a) for a in found]
        own = np.arange(level.size).reshape((level.size, *(1,) * ndim))
        self.arrays = [own, *[_with_ndim(inner, ndim) if differs else inner for inner, differs in taken]]
        self.spec = (("array", 0), *[("array", item[1] + 1) if type(item) is tuple else item for item in spec])
        places = [i for i, item in enumerate(spec) if type(item) is tuple]
        others = [item for item in spec if type(item) is not tuple]
        is_together = places == list(range(places[0], places[-1] + 1))
        before = places[0] if is_together else 0
        self.ndim = ndim + len(others)
        index_axes, other_axes = list(range(ndim)), list(range(ndim, self.ndim))
        self.order = [*other_axes[:before], *index_axes, *other_axes[before:]]


def index_get(x: Any, *arrays: Any, spec: tuple) -> BatchedArray:
    level = _level(x, *arrays)
    inner, is_batched = _taken(level, x)
    if not is_batched and not _examples_differ(level, *arrays):
        inners = [_taken(level, a)[0] for a in arrays]
        return BatchedArray(level, _of(inner, *inners).index_get(inner, *inners, spec=spec), False)
    places = _Places(level, _shape(x), arrays, spec)
    order = places.order
    if is_batched:
        found = _of(inner, *places.arrays).index_get(inner, *places.arrays, spec=places.spec)
    else:  # one array for all examples, whose indexed axes are put first
        at = places.arrays[1:]
        axes, arrays_first = _indices_first(places.spec[1:])
        first = inner if axes == sorted(axes) else _of(inner).permute_dims(inner, tuple(axes))
        found = _of(first, *at).index_get(first, *at, spec=arrays_first)
    if order != sorted(order):
        found = _of(found).permute_dims(found, (0, *[i + 1 for i in order]))
    return BatchedArray(level, found)


def _indices_first(spec: tuple) -> tuple[list[int], tuple]:
    """(the order of axes with those first that arrays index, the spec that goes with it)."""
    axis, of_arrays, of_others = 0, [], []
    for item in spec:
        if item is None:
            continue
        (of_arrays if type(item) is tuple else of_others).append(axis)
        axis += 1
    arrays = [(item[0], item[1] - 1) for item in spec if type(item) is tuple]
    return [*of_arrays, *of_others], (*arrays, *[item for item in spec if type(item) is not tuple])


def _put(name: str) -> Callable[..., Any]:
    def call(x: Any, values: Any, *arrays: Any, spec: tuple, **attrs: Any) -> BatchedArray:
        level = _level(x, values, *arrays)
        if not _examples_differ(level, x, values, *arrays):
            inners = [_taken(level, a)[0] for a in (x, values, *arrays)]
            return BatchedArray(level, getattr(_of(*inners), name)(*inners, spec=spec, **attrs), False)
        places = _Places(level, _shape(x), arrays, spec)
        inner, (new, differs) = batched(level, x), _taken(level, values)
        if hasattr(new, "shape"):
            xp = _of(new)
            new = (
                _with_ndim(new, places.ndim)
                if differs
                else xp.reshape(new, (1, *(1,) * (places.ndim - len(new.shape)), *new.shape))
            )
            if places.order != sorted(places.order):
                back = sorted(range(places.ndim), key=places.order.__getitem__)
                new = xp.permute_dims(new, (0, *[i + 1 for i in back]))
        xp = _of(inner, new, *places.arrays)
        return BatchedArray(level, getattr(xp, name)(inner, new, *places.arrays, spec=places.spec, **attrs))

    call.__name__ = name
    return call


# ---------------------------------------------------------------- numerical routines


def _leading(name: str) -> Callable[..., Any]:
    """Functions of the last axes, whose other axes are a batch anyway."""

    def call(*arrays: Any, **attrs: Any) -> Any:
        level = _level(*arrays)
        if not _examples_differ(level, *arrays):
            inners = [_taken(level, a)[0] for a in arrays]
            return _all_of(level, _function(name, *inners)(*inners, **attrs), False)
        ndim = max(len(_shape(a)) for a in arrays)
        inners = [_with_ndim(batched(level, a), ndim) if hasattr(a, "shape") else a for a in arrays]
        return _all_of(level, _function(name, *inners)(*inners, **attrs), True)

    call.__name__ = name
    return call


def _all_of(level: Batch, found: Any, is_batched: bool) -> Any:
    if isinstance(found, tuple):
        return tuple([BatchedArray(level, part, is_batched) for part in found])
    return BatchedArray(level, found, is_batched)


def _one_by_one(name: str) -> Callable[..., Any]:
    """Functions without a rule."""

    def call(*arrays: Any, **attrs: Any) -> Any:
        level = _level(*arrays)
        taken = [_taken(level, a) for a in arrays]
        function = _function(name, *[inner for inner, _ in taken])
        if not _examples_differ(level, *arrays):
            return _all_of(level, function(*[inner for inner, _ in taken], **attrs), False)
        results = [
            function(
                *[_of(inner).slice(inner, (i, Ellipsis)) if differs else inner for inner, differs in taken], **attrs
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


def stacked(parts: Any) -> Any:
    """The examples' results along a new first axis."""
    xp = _of(*parts)
    return xp.concat([xp.reshape(part, (1, *part.shape)) for part in parts], axis=0)


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
        level = _level(x, weight)
        (inner, differs), (kernel, own_kernel) = _taken(level, x), _taken(level, weight)
        if own_kernel or not differs:
            return one_by_one(x, weight, **attrs)
        xp = _of(inner, kernel)
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
        return getattr(_of(*flat), name)(*operands, **attrs)

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
    rules |= {name: _put(name) for name in ("index_put", "index_reduce")}
    rules |= {name: _leading(name) for name in _LEADING}
    rules |= {name: _sliding(name) for name in ("convolve", "convolve_transposed")}
    rules["max_windows"] = _windows_of_samples
    own = (
        affine_view, assign, astype, broadcast_to, concat, conj, contiguous, full, imag, index_get, matmul, permute_dims, real,
        reshape, slice, slice_assign, take, take_along_axis, view_as_complex, view_as_real,
    )  # fmt: skip
    return rules | {rule.__name__: rule for rule in own}


namespace: Any = BatchedArrays()
for _name, _rule in _rules().items():
    setattr(namespace, _name, _entry(_name, _rule))
namespace.full, namespace.arange, namespace.draw = full, numpy_arrays.arange, numpy_arrays.draw
kinds.NAMESPACES[BatchedArray] = namespace
