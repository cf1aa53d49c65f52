"""A nest as the kernels that compute it: what can run in one pass on a GPU, and what has to wait for all of it.

On the CPU a nest is one walk over its rows. Here threads have to be dealt out before anything is known, and how depends on
what is reduced: a *rows* part has a team of threads for each row; a *reduce* part sums over some dimensions for each element
that is kept; a *map* part has a thread for each few elements. A nest that does several of these becomes several parts. What
a later part needs of a row (a maximum, a mean) is kept in memory between them; all else it computes again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from rushlight.compiler.affine import strides_of
from rushlight.compiler.loops import COLUMN, ROW, Buffer, Hazard, Nest, Root, Value


@dataclass(eq=False)
class Part:
    """A kernel to be: kind "map", "rows", "reduce" or "scatter". The domain's first `num_rows` dimensions are rows."""

    kind: str
    name: str
    domain: tuple[int, ...]
    num_rows: int
    roots: list[Root] = field(default_factory=list)


def split_nest(nest: Nest, taken: int = 0) -> tuple[list[Part], list[Buffer]]:
    """The parts of a nest, in order, and the buffers that they need between them.

    Args:
        taken: numbers of buffers that are taken: new ones count down from there.
    """
    domain, num_rows = (*nest.rows, *nest.columns), len(nest.rows)
    accumulates = [root for root in nest.roots if root.op == "accumulate"]
    others = [root for root in nest.roots if root.op != "accumulate"]
    has_rows = any(stage.reductions for stage in nest.stages)
    buffers: list[Buffer] = []
    parts: list[Part] = []
    if has_rows:
        parts.append(Part("rows", f"{nest.name}_rows", domain, num_rows, others))
        kept = _Kept(nest, buffers, taken)
        accumulates = [kept.without_reductions(root) for root in accumulates]
        parts[0].roots += kept.roots
    elif others and not accumulates:
        kind = "scatter" if others[0].op == "scatter" else "map"
        parts.append(Part(kind, nest.name, domain, num_rows, others))
    groups: dict[tuple, list[Root]] = {}
    for root in accumulates:
        over = num_rows if root.level < COLUMN else len(domain)
        dims = tuple(d for d in range(over) if root.address[d + 1] and domain[d] > 1)
        groups.setdefault((over, dims), []).append(root)
    for number, ((over, _), roots) in enumerate(groups.items()):
        if not number and not has_rows and over == len(domain):
            roots = [*roots, *others]
            others = []
        parts.append(Part("reduce", f"{nest.name}_sum{number}", domain[:over], min(num_rows, over), roots))
    if others and not has_rows and accumulates:
        parts.append(Part("map", nest.name, domain, num_rows, others))
    if len(parts) > 1:
        _check_order(parts)
    return [part for part in parts if part.roots], buffers


class _Kept:
    """Row values that are written to memory by one part and read by another."""

    def __init__(self, nest: Nest, buffers: list[Buffer], taken: int):
        self.nest, self.buffers, self.taken = nest, buffers, taken
        self.address = (0, *strides_of(nest.rows), *(0,) * len(nest.columns))
        self.dims = frozenset(range(len(nest.rows)))
        self.roots: list[Root] = []
        self.memo: dict[Value, Value] = {}

    def without_reductions(self, root: Root) -> Root:
        """The same root, of loads only."""
        values = values_of([root])
        reduces: set[Value] = set()
        for value in values:
            if value.op == "reduce" or not reduces.isdisjoint(value.operands):
                reduces.add(value)
        if root.value not in reduces:
            return root
        wanted, stack = set(), [root.value]
        while stack:
            value = stack.pop()
            if value in reduces and value not in wanted:
                wanted.add(value)
                stack += value.operands if value.level > ROW else []
        for value in values:
            if value in wanted and value not in self.memo:
                self.memo[value] = self._again(value)
        return dataclasses.replace(root, value=self.memo[root.value])

    def _again(self, value: Value) -> Value:
        if value.level <= ROW:
            return self._stored(value)
        return dataclasses.replace(value, operands=[self.memo.get(v, v) for v in value.operands])

    def _stored(self, value: Value) -> Value:
        from rushlight.compiler.cuda_chunk import accumulator_dtype

        dtype = accumulator_dtype(value.dtype)
        buffer = Buffer("arena", self.taken - 1 - len(self.buffers), max(self.nest.num_rows, 1), dtype)
        self.buffers.append(buffer)
        root = Root("store", value, buffer, self.address, self.dims, level=ROW, stage=value.stage)
        self.roots.append(root)
        return Value(
            "load", [], value.dtype, self.dims, buffer=buffer, address=self.address, level=ROW, number=value.number
        )


def _check_order(parts: list[Part]) -> None:
    """A part must not read what an earlier one has written over, but for what is kept between them."""
    written: set[Buffer] = set()
    for part in parts:
        for value in values_of(part.roots):
            if value.buffer in written and value.buffer.kind == "input":
                raise Hazard(value.buffer)
        written |= {root.buffer for root in part.roots}


def values_of(roots: list[Root]) -> list[Value]:
    """All that some roots need, in order."""
    found: dict[Value, None] = {}
    stack = [root.value for root in roots] + [v for root in roots for v, _ in root.indices]
    while stack:
        value = stack.pop()
        if value not in found:
            found[value] = None
            stack.extend(value.operands)
    return sorted(found, key=lambda value: value.number)


def is_same_number(value: Value) -> bool:
    """Whether an index that is looked up takes each value at most once along its dimension: it counts upwards from 0 or more."""
    while value.op in ("wrap_index", "astype"):
        value = value.operands[0]
    if value.op != "index" or len([c for c in value.address[1:] if c]) != 1:
        return False
    start, step = value.attrs["start"], value.attrs["step"]
    return isinstance(start, int) and isinstance(step, int) and start >= 0 and step * max(value.address[1:]) > 0
