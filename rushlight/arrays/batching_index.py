"""Indexing by arrays on batched arrays: every example's own position becomes one more index array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.arrays.batched import (
    Batch,
    BatchedArray,
    NoRule,
    batched,
    examples_differ,
    level_of,
    lifted,
    reshape,
    shape_of,
    taken_apart,
    with_ndim,
    xp_of,
)
from rushlight.arrays.kinds import numpy_dtype

_Slice = slice


def take(x: Any, indices: Any, axis: int) -> Any:
    level = level_of(x, indices)
    spec = (*(_Slice(None),) * (axis % len(shape_of(x))), ("array", 0))
    if taken_apart(level, indices)[1]:
        return index_get(x, indices, spec=spec)
    (inner, is_batched), (at, _) = taken_apart(level, x), taken_apart(level, indices)
    return BatchedArray(level, xp_of(inner, at).take(inner, at, axis=axis % len(shape_of(x)) + is_batched), is_batched)


def take_along_axis(x: Any, indices: Any, axis: int) -> BatchedArray:
    level = level_of(x, indices)
    axis %= max(len(shape_of(x)), 1)
    if not shape_of(x):
        x = reshape(x, (1,)) if isinstance(x, BatchedArray) else xp_of(x).reshape(x, (1,))
        found = take_along_axis(x, indices if shape_of(indices) else reshape(lifted(level, indices), (1,)), 0)
        return found if shape_of(indices) else reshape(found, ())
    inner, at = batched(level, x), batched(level, indices)
    return BatchedArray(level, xp_of(inner, at).take_along_axis(inner, at, axis=axis + 1))


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
            inner, differs = taken_apart(level, array)
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
        ndim = max(len(shape_of(a)) for a in found)
        taken = [taken_apart(level, a) for a in found]
        own = np.arange(level.size).reshape((level.size, *(1,) * ndim))
        self.arrays = [own, *[with_ndim(inner, ndim) if differs else inner for inner, differs in taken]]
        self.spec = (("array", 0), *[("array", item[1] + 1) if type(item) is tuple else item for item in spec])
        places = [i for i, item in enumerate(spec) if type(item) is tuple]
        others = [item for item in spec if type(item) is not tuple]
        is_together = places == list(range(places[0], places[-1] + 1))
        before = places[0] if is_together else 0
        self.ndim = ndim + len(others)
        index_axes, other_axes = list(range(ndim)), list(range(ndim, self.ndim))
        self.order = [*other_axes[:before], *index_axes, *other_axes[before:]]


def index_get(x: Any, *arrays: Any, spec: tuple) -> BatchedArray:
    level = level_of(x, *arrays)
    inner, is_batched = taken_apart(level, x)
    if not is_batched and not examples_differ(level, *arrays):
        inners = [taken_apart(level, a)[0] for a in arrays]
        return BatchedArray(level, xp_of(inner, *inners).index_get(inner, *inners, spec=spec), False)
    places = _Places(level, shape_of(x), arrays, spec)
    order = places.order
    if is_batched:
        found = xp_of(inner, *places.arrays).index_get(inner, *places.arrays, spec=places.spec)
    else:  # one array for all examples, whose indexed axes are put first
        at = places.arrays[1:]
        axes, arrays_first = _indices_first(places.spec[1:])
        first = inner if axes == sorted(axes) else xp_of(inner).permute_dims(inner, tuple(axes))
        found = xp_of(first, *at).index_get(first, *at, spec=arrays_first)
    if order != sorted(order):
        found = xp_of(found).permute_dims(found, (0, *[i + 1 for i in order]))
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


def put_rule(name: str) -> Callable[..., Any]:
    def call(x: Any, values: Any, *arrays: Any, spec: tuple, **attrs: Any) -> BatchedArray:
        level = level_of(x, values, *arrays)
        if not examples_differ(level, x, values, *arrays):
            inners = [taken_apart(level, a)[0] for a in (x, values, *arrays)]
            return BatchedArray(level, getattr(xp_of(*inners), name)(*inners, spec=spec, **attrs), False)
        places = _Places(level, shape_of(x), arrays, spec)
        inner, (new, differs) = batched(level, x), taken_apart(level, values)
        if hasattr(new, "shape"):
            xp = xp_of(new)
            new = (
                with_ndim(new, places.ndim)
                if differs
                else xp.reshape(new, (1, *(1,) * (places.ndim - len(new.shape)), *new.shape))
            )
            if places.order != sorted(places.order):
                back = sorted(range(places.ndim), key=places.order.__getitem__)
                new = xp.permute_dims(new, (0, *[i + 1 for i in back]))
        xp = xp_of(inner, new, *places.arrays)
        return BatchedArray(level, getattr(xp, name)(inner, new, *places.arrays, spec=places.spec, **attrs))

    call.__name__ = name
    return call
