"""Advanced indexing as addresses: for each dimension of the source, where its index comes from.

`plan` turns a gather (`take`, `take_along_axis`, `index_get`) or the place that `index_put` writes to into
one entry per source dimension: an affine expression over the domain, or an index operand and its map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rushlight.arrays.symbolic import Node, indexed_shape
from rushlight.compiler.affine import VIEWS, Affine, IndexMap, align, pull_back

GATHERS = frozenset({"take", "take_along_axis", "index_get"})


@dataclass(frozen=True, slots=True)
class Looked:
    """An index that is read: the number of the operand, and where."""

    operand: int
    index: IndexMap


Entry = Affine | Looked


def gather_source(node: Node) -> list[Node]:
    """What a gather reads at computed places: it has to be in memory."""
    return [node.inputs[0]] if node.op in GATHERS else []


def gather_operands(node: Node, index: IndexMap, rank: int) -> list[tuple[Node, IndexMap]]:
    """The index operands of a gather and the maps they are read by."""
    entries = plan(node, index, rank)
    return [(node.inputs[e.operand], e.index) for e in entries if isinstance(e, Looked)]


def plan(node: Node, index: IndexMap, rank: int) -> list[Entry]:
    source = node.inputs[0]
    if node.op in ("index_get", "index_put"):
        return _plan_spec(node, index, rank)
    axis, at = node.attrs["axis"], node.inputs[1]
    entries: list[Entry]
    if node.op == "take":
        end = axis + len(at.shape)
        entries = [*index[:axis], Looked(1, index[axis:end]), *index[end:]]
    else:
        entries = list(align(index, tuple(1 if i == axis else n for i, n in enumerate(source.shape)), rank))
        entries[axis] = Looked(1, align(index, at.shape, rank))
    return entries


def can_plan(node: Node) -> bool:
    """Whether the indices are integers and the spec holds slices, new axes and arrays only."""
    first = 2 if node.op == "index_put" else 1
    index = node.inputs[first:]
    if any(x.dtype.kind not in "iu" or x.dtype.char == "Q" for x in index):
        return False
    if node.op not in ("index_get", "index_put"):
        return True
    items = node.attrs["spec"]
    return bool(index) and all(item is None or item is Ellipsis or isinstance(item, (slice, tuple)) for item in items)


def spec_shape(node: Node) -> tuple[int, ...]:
    """The shape of what an index_get reads or an index_put writes."""
    first = 2 if node.op == "index_put" else 1
    shapes = tuple(x.shape for x in node.inputs[first:])
    return indexed_shape(node.inputs[0].shape, shapes, node.attrs["spec"])


def _expand(spec: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    given = sum(item is not None and item is not Ellipsis for item in spec)
    if not any(item is Ellipsis for item in spec):
        spec = (*spec, Ellipsis)
    at = next(i for i, item in enumerate(spec) if item is Ellipsis)
    return (*spec[:at], *(slice(None),) * (ndim - given), *spec[at + 1 :])


def _plan_spec(node: Node, index: IndexMap, rank: int) -> list[Entry]:
    first = 2 if node.op == "index_put" else 1
    source, spec = node.inputs[0], node.attrs["spec"]
    shapes = [x.shape for x in node.inputs[first:]]
    width = len(np.broadcast_shapes(*shapes))
    together = _are_adjacent(spec)
    items = _expand(spec, len(source.shape))
    # where the arrays' dimensions are in the result
    start = _first_array(items) if together else 0
    array_index = index[start : start + width]
    others = iter([*index[:start], *index[start + width :]])
    entries: list[Entry] = []
    sizes = iter(source.shape)
    for item in items:
        if item is None:
            next(others)
            continue
        size = next(sizes)
        if isinstance(item, slice):
            begin, _, step = item.indices(size)
            e = next(others)
            entries.append((begin + step * e[0], *(step * c for c in e[1:])))
        else:
            operand = first + item[1]
            shape = node.inputs[operand].shape
            entries.append(Looked(operand, align(array_index, shape, rank)))
    return entries


def _first_array(items: tuple[Any, ...]) -> int:
    return next(i for i, item in enumerate(items) if isinstance(item, tuple))


def _are_adjacent(spec: tuple[Any, ...]) -> bool:
    places = [i for i, item in enumerate(spec) if isinstance(item, tuple)]
    return places[-1] - places[0] == len(places) - 1


def operands(node: Node, index: IndexMap, domain: tuple[int, ...]) -> list[tuple[Node, IndexMap]] | None:
    """The sources of a node and the maps it reads them by; None for a view that no map can see through."""
    rank = len(domain)
    if node.op in VIEWS:
        pulled = pull_back(node, index, domain)
        return None if pulled is None else [(node.inputs[0], pulled)]
    if node.op in GATHERS:
        return gather_operands(node, index, rank)
    return [(source, align(index, source.shape, rank)) for source in node.inputs]
