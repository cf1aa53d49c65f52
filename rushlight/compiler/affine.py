"""Index maps: where a loop nest finds an element of a node.

A nest runs over a *domain*, a tuple of sizes. An affine expression over it is a tuple of ints
`(constant, coefficient of each domain dimension...)`; an index map gives one expression per dimension
of a node. Views never compute anything: `pull_back` turns the map with which a consumer reads a view
into the map with which it reads the view's source. That can fail for a reshape (an index would need a
division), and then the source has to be in memory, where a reshape changes nothing.
"""

from __future__ import annotations

import math

from rushlight.arrays.symbolic import Node

Affine = tuple[int, ...]
IndexMap = tuple[Affine, ...]
VIEWS = frozenset({"reshape", "permute_dims", "broadcast_to", "slice"})


def strides_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in elements, of a contiguous array."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def constant_affine(value: int, rank: int) -> Affine:
    return (value, *(0,) * rank)


def combine(expressions: IndexMap, factors: tuple[int, ...], rank: int) -> Affine:
    """The sum of expressions times factors."""
    total = [0] * (rank + 1)
    for expression, factor in zip(expressions, factors, strict=True):
        if factor:
            for i, coefficient in enumerate(expression):
                total[i] += coefficient * factor
    return tuple(total)


def linear(index: IndexMap, shape: tuple[int, ...], rank: int) -> Affine:
    """The address, in elements, of an index into a contiguous array."""
    return combine(index, strides_of(shape), rank)


def split(address: Affine, domain: tuple[int, ...], shape: tuple[int, ...]) -> IndexMap | None:
    """The inverse of `linear`: an index into `shape`, or None where that is not affine."""
    strides = strides_of(shape)
    rows = [[0] * (len(domain) + 1) for _ in shape]
    constant = address[0]
    if constant < 0 or math.prod(shape) == 0:
        return None
    for row, stride in zip(rows, strides, strict=True):
        row[0], constant = divmod(constant, stride)
    for d, coefficient in enumerate(address[1:], 1):
        if coefficient == 0 or domain[d - 1] == 1:
            continue
        for row, stride, size in zip(rows, strides, shape, strict=True):
            if size > 1 and coefficient > 0 and coefficient % stride == 0:
                row[d] = coefficient // stride
                break
        else:
            return None
    for row, size in zip(rows, shape, strict=True):
        if row[0] + sum(c * (n - 1) for c, n in zip(row[1:], domain, strict=True)) >= size:
            return None
    return tuple(map(tuple, rows))


def align(index: IndexMap, source_shape: tuple[int, ...], rank: int) -> IndexMap:
    """The map of an operand of `source_shape` that broadcasts to the node which `index` indexes."""
    zero = constant_affine(0, rank)
    tail = index[len(index) - len(source_shape) :]
    return tuple(zero if n == 1 else e for e, n in zip(tail, source_shape, strict=True))


def pull_back(view: Node, index: IndexMap, domain: tuple[int, ...]) -> IndexMap | None:
    """The map into a view's source, from the map into the view."""
    rank, source = len(domain), view.inputs[0]
    if view.op == "broadcast_to":
        return align(index, source.shape, rank)
    if view.op == "permute_dims":
        axes = view.attrs["axes"]
        return tuple(index[axes.index(i)] for i in range(len(axes)))
    if view.op == "slice":
        return tuple(
            (start + step * e[0], *(step * c for c in e[1:]))
            for e, (start, _, step) in zip(index, view.attrs["index"], strict=True)
        )
    assert view.op == "reshape", view.op
    kept = squeezed(view.shape)
    if kept == squeezed(source.shape):
        rest = iter([e for e, n in zip(index, view.shape, strict=True) if n != 1])
        zero = constant_affine(0, rank)
        return tuple(zero if n == 1 else next(rest) for n in source.shape)
    return split(linear(index, view.shape, rank), domain, source.shape)


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def identity(domain: tuple[int, ...], shape: tuple[int, ...]) -> IndexMap | None:
    """The map that visits the elements of `shape` in the order in which the domain is walked."""
    return split((0, *strides_of(domain)), domain, shape)


def refinement(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The coarsest domain of which both are mergings of neighbouring dimensions."""
    if math.prod(a) != math.prod(b):
        return None
    left, right, result = list(reversed(a)), list(reversed(b)), []
    while left and right:
        m, n = left.pop(), right.pop()
        if m == n:
            result.append(m)
            continue
        # the leading factor is the smaller one if it divides the larger
        small, large, rest = (m, n, right) if m < n else (n, m, left)
        if large % small:
            return None
        result.append(small)
        rest.append(large // small)
    return tuple(result) if not left and not right else None


def refine(expression: Affine, domain: tuple[int, ...], finer: tuple[int, ...]) -> Affine:
    """The same expression over a finer domain (each dimension of `domain` is a product of some of `finer`)."""
    result, at = [expression[0]], 0
    for coefficient, size in zip(expression[1:], domain, strict=True):
        group: list[int] = []
        while math.prod(group) != size:
            group.append(finer[at])
            at += 1
        result.extend(coefficient * stride for stride in strides_of(tuple(group)))
    return tuple(result)
