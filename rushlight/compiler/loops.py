"""Third pass: each nest as explicit loops over memory; the IR that the code generators read.

A `Nest` has a domain of rows and columns, values in order, and roots: what it stores. A value depends on
some of the domain's dimensions, and so is computed once (`level` 0), once per row (1), or for every
column (2). One row is a sequence of *stages*: a loop over the columns, then what can be computed from
the loop's reductions, then the next loop. A column value that a later stage needs again is loaded from
where it was stored, computed anew if it is cheap, or kept in a scratch row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rushlight.arrays.symbolic import Node
from rushlight.compiler.affine import Affine, IndexMap, align, identity, linear, strides_of
from rushlight.compiler.elements import CHEAP
from rushlight.compiler.fuse import Fused, Unit, alias_base
from rushlight.compiler.indexing import GATHERS, Looked, operands, plan, spec_shape
from rushlight.compiler.simplify import REDUCE, scalar_value

SCALAR, ROW, COLUMN = range(3)
UNROLLED_PARTS = 4  # a row of at most so many full vectors has no inner loop
SCRATCH_BYTES = 1 << 17  # of stack for one value's row; longer rows are computed again


@dataclass(eq=False)
class Buffer:
    """Memory that nests read and write. `kind`: input, output, constant, or arena with its offset in bytes."""

    kind: str
    number: int
    size: int
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"{self.kind}{self.number}"


@dataclass(eq=False)
class Value:
    """One value of a nest: op "load", "gather", "index", "constant", "reduce", or an elementwise op."""

    op: str
    operands: list[Value]
    dtype: np.dtype
    dims: frozenset[int]
    attrs: dict[str, Any] = field(default_factory=dict)
    buffer: Buffer | None = None
    address: Affine = ()
    level: int = SCALAR
    stage: int = 0
    number: int = 0


@dataclass(eq=False)
class Root:
    """What a nest writes: op "store", "accumulate" (a terminal reduction of `kind`) or "scatter"."""

    op: str
    value: Value
    buffer: Buffer
    address: Affine
    dims: frozenset[int]  # those the root's loops run over
    kind: str = ""
    indices: list[tuple[Value, int]] = field(default_factory=list)
    level: int = SCALAR
    stage: int = 0
    partial: Buffer | None = None  # where each chunk of an accumulation writes its part


@dataclass(eq=False)
class Stage:
    """One loop over the columns (values in order, roots after them), and the row values computed before it."""

    row_values: list[Value] = field(default_factory=list)
    row_roots: list[Root] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    reductions: list[Value] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)
    kept: list[Value] = field(default_factory=list)  # stored to scratch rows for later stages
    known: dict[Value, Root | None] = field(default_factory=dict)  # loaded again: from a root's memory or scratch


@dataclass(eq=False)
class Nest:
    name: str
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    prologue: list[Value]
    stages: list[Stage]
    roots: list[Root]
    width: int
    unrolled: bool

    @property
    def num_rows(self) -> int:
        return math.prod(self.rows)

    @property
    def num_columns(self) -> int:
        return math.prod(self.columns)

    def values(self) -> list[Value]:
        return [*self.prologue, *(v for s in self.stages for v in (*s.row_values, *s.values))]


class Hazard(Exception):
    """A nest would overwrite an input that it still reads: the input's buffer."""


Locate = Callable[[Node], Buffer]


def lower(unit: Unit, fused: Fused, locate: Locate) -> Nest:
    """The loops of a nest or a scatter."""
    return _Lowering(unit, fused, locate).run()


class _Lowering:
    def __init__(self, unit: Unit, fused: Fused, locate: Locate):
        self.unit, self.fused, self.locate = unit, fused, locate
        self.domain = unit.domain
        if unit.kind == "scatter":
            self.domain = tuple(n for n in spec_shape(unit.nodes[0]) if n != 1)
        self.memo: dict[Any, Value] = {}
        self.order: list[Value] = []
        self.roots: list[Root] = []

    def run(self) -> Nest:
        if self.unit.kind == "scatter":
            self._scatter(self.unit.nodes[0])
        for node in self.unit.nodes if self.unit.kind == "nest" else ():
            key = id(node)
            value = self._value(node, self.unit.index[key])
            if key in self.unit.terminal:
                address = linear(self.unit.index[key], node.shape, len(self.domain))
                dims = _dims_of(*self.unit.reads[key])
                self.roots.append(Root("accumulate", value, self.locate(node), address, dims, node.op))
            elif key in self.fused.stored:
                self._store(node, value)
        return self._arrange()

    # ------------------------------------------------------------ values

    def _new(self, op: str, sources: list[Value], dtype: np.dtype, dims: frozenset[int], **fields: Any) -> Value:
        value = Value(op, sources, dtype, dims, number=len(self.order), **fields)
        self.order.append(value)
        return value

    def _value(self, node: Node, index: IndexMap) -> Value:
        key = (id(node), index)
        if key not in self.memo:
            self.memo[key] = self._make(node, index)
        return self.memo[key]

    def _make(self, node: Node, index: IndexMap) -> Value:
        """Recurses through views, inline nodes and the nest's own nodes, which are made in order."""
        placed = self.unit.index.get(id(node)) == index and self.unit.kind == "nest"
        if not placed and (node.op == "input" or alias_base(node) is node and self._is_stored(node)):
            return self._load(node, index, node.shape)
        if node.op == "constant":
            return self._constant(node, index)
        if node.op == "arange":
            return self._arange(node, index)
        if placed and id(node) in self.unit.terminal or placed and node.op in REDUCE:
            return self._reduce(node)
        sources = operands(node, index, self.domain)
        if sources is None:
            return self._load(alias_base(node), linear(index, node.shape, len(self.domain)), None)
        if node.op in ("reshape", "permute_dims", "broadcast_to", "slice"):
            return self._value(*sources[0])
        values = [self._value(*source) for source in sources]
        if node.op in GATHERS:
            return self._gather(node, index, values)
        dims = frozenset().union(*(v.dims for v in values))
        return self._new(node.op, values, node.dtype, dims, attrs=node.attrs)

    def _is_stored(self, node: Node) -> bool:
        """In memory before this unit runs: a view may have been stored only for a later unit."""
        return self.fused.is_ready(node, self.unit)

    def _load(self, node: Node, index: Any, shape: tuple[int, ...] | None) -> Value:
        """From memory; with no shape, `index` is an address already."""
        address = index if shape is None else linear(index, shape, len(self.domain))
        buffer = self.locate(node)
        key = ("load", buffer, address)
        if key not in self.memo:
            self.memo[key] = self._new("load", [], node.dtype, _dims_of(address), buffer=buffer, address=address)
        return self.memo[key]

    def _constant(self, node: Node, index: IndexMap) -> Value:
        number = scalar_value(node)
        if node.attrs["value"].size == 1:
            return self._new("constant", [], node.dtype, frozenset(), attrs={"value": number})
        return self._load(node, index, node.shape)

    def _arange(self, node: Node, index: IndexMap) -> Value:
        attrs = {"start": node.attrs["start"], "step": node.attrs["step"]}
        return self._new("index", [], node.dtype, _dims_of(index[0]), address=index[0], attrs=attrs)

    def _reduce(self, node: Node) -> Value:
        source = self._value(node.inputs[0], self.unit.reads[id(node)])
        if source.dtype != node.dtype:
            source = self._new("astype", [source], node.dtype, source.dims)
        if id(node) in self.unit.terminal:
            return source
        dims = frozenset(range(self.unit.rows or 0))
        return self._new("reduce", [source], node.dtype, dims, attrs={"kind": node.op})

    def _gather(self, node: Node, index: IndexMap, values: list[Value]) -> Value:
        source = node.inputs[0]
        strides = strides_of(source.shape)
        address, looked = self._places(node, index, source.shape, strides, iter(values))
        dims = _dims_of(address).union(*(v.dims for v, _ in looked))
        return self._new(
            "gather",
            [v for v, _ in looked],
            node.dtype,
            dims,
            buffer=self.locate(alias_base(source)),
            address=address,
            attrs={"strides": [stride for _, stride in looked]},
        )

    def _places(self, node: Node, index: IndexMap, shape: Any, strides: Any, values: Any) -> Any:
        rank = len(self.domain)
        address, looked = [0] * (rank + 1), []
        for entry, size, stride in zip(plan(node, index, rank), shape, strides, strict=True):
            if isinstance(entry, Looked):
                looked.append((self._wrapped(next(values), size), stride))
            else:
                address = [a + stride * b for a, b in zip(address, entry, strict=True)]
        return tuple(address), looked

    def _wrapped(self, value: Value, size: int) -> Value:
        if value.dtype != np.int64:
            value = self._new("astype", [value], np.dtype(np.int64), value.dims)
        return self._new("wrap_index", [value], value.dtype, value.dims, attrs={"size": size})

    # ------------------------------------------------------------ roots

    def _store(self, node: Node, value: Value) -> None:
        index = self.unit.index[id(node)]
        if node.op == "part":
            node, part = node.attrs["of"], node.attrs["part"]
            address = _part_address(node, part, index, len(self.domain))
        else:
            address = linear(index, node.shape, len(self.domain))
        dims = value.dims | _dims_of(address)
        self.roots.append(Root("store", value, self.locate(node), address, dims))

    def _scatter(self, node: Node) -> None:
        shape = spec_shape(node)
        index = identity(self.domain, shape)
        assert index is not None
        values = node.inputs[1]
        rank = len(self.domain)
        looked_nodes = [(node.inputs[e.operand], e.index) for e in plan(node, index, rank) if isinstance(e, Looked)]
        places = [self._value(*entry) for entry in looked_nodes]
        whole = node.inputs[0].shape
        address, looked = self._places(node, index, whole, strides_of(whole), iter(places))
        value = self._value(values, align(index, values.shape, rank))
        kind = "add" if node.attrs["accumulate"] else "put"
        dims = frozenset(range(len(self.domain)))
        self.roots.append(Root("scatter", value, self.locate(node), address, dims, kind, looked))

    # ------------------------------------------------------------ arrangement

    def _arrange(self) -> Nest:
        rows = self.unit.rows
        domain, split = self._collapse(rows)
        self._set_levels(domain, split)
        width = _width(self.order, self.roots)
        columns = domain[split:]
        unrolled = math.prod(columns[:-1]) * (columns[-1] // width if columns else 0) <= UNROLLED_PARTS
        if not columns:
            unrolled = True
        self.row_size = math.prod(columns)
        stages = self._stages(unrolled)
        prologue = [v for v in self.order if v.level == SCALAR and v in self.needed]
        name = f"nest{self.unit.number}"
        nest = Nest(name, domain[:split], columns, prologue, stages, self.roots, width, unrolled)
        _check_hazards(nest)
        return nest

    def _addresses(self) -> list[Affine]:
        return [item.address for item in (*self.order, *self.roots) if item.address]

    def _collapse(self, rows: int | None) -> tuple[tuple[int, ...], int]:
        """Merges neighbouring dimensions that every address walks as one. The new domain, and its number of rows."""
        addresses = self._addresses()
        runs: list[list[int]] = []
        for d, size in enumerate(self.domain):
            joined = d not in (0, rows) and all(a[d] == a[d + 1] * size for a in addresses)
            runs[-1].append(d) if joined else runs.append([d])
        for item in (*self.order, *self.roots):
            if item.address:
                item.address = (item.address[0], *(item.address[run[-1] + 1] for run in runs))
            item.dims = frozenset(i for i, run in enumerate(runs) if item.dims.intersection(run))
        domain = tuple(math.prod(self.domain[d] for d in run) for run in runs)
        if rows is None:
            return domain, max(len(domain) - 1, 0)
        return domain, sum(run[0] < rows for run in runs)

    def _set_levels(self, domain: tuple[int, ...], split: int) -> None:
        def level(dims: frozenset[int]) -> int:
            return COLUMN if any(d >= split for d in dims) else ROW if dims else SCALAR

        for value in self.order:
            is_reduce = value.op == "reduce"
            value.level = ROW if is_reduce else level(value.dims)
            value.stage = max((v.stage for v in value.operands), default=0) + is_reduce
        for root in self.roots:
            root.level = max(level(root.dims), ROW if domain else SCALAR)
            root.stage = max([root.value.stage, *(v.stage for v, _ in root.indices)])

    def _stages(self, unrolled: bool) -> list[Stage]:
        reductions = [v for v in self.order if v.op == "reduce"]
        count = 1 + max([v.stage for v in self.order] + [root.stage for root in self.roots], default=0)
        stages = [Stage() for _ in range(count)]
        self.needed: set[Value] = set()
        where: dict[Value, int] = {}
        stored = {root.value: root for root in self.roots if root.op == "store" and root.level == COLUMN}
        for number, stage in enumerate(stages):
            stage.roots = [r for r in self.roots if r.stage == number and r.level == COLUMN]
            stage.row_roots = [r for r in self.roots if r.stage == number and r.level < COLUMN]
            stage.reductions = [v for v in reductions if v.stage == number + 1]
            wanted = [r.value for r in stage.roots] + [v.operands[0] for v in stage.reductions]
            wanted += [v for r in stage.roots for v, _ in r.indices]
            local: set[Value] = set()
            stack = wanted
            while stack:
                value = stack.pop()
                if value in local or value in stage.known:
                    continue
                if value.level < COLUMN:
                    self.needed.add(value)
                    continue
                before = where.get(value)
                if before is not None and not unrolled and value.op not in ("load", "index") and self._is_costly(value):
                    root = stored.get(value)
                    if root is not None and root.stage < number:
                        stage.known[value] = root
                        continue
                    if self.row_size * value.dtype.itemsize <= SCRATCH_BYTES:
                        if value not in stages[before].kept:
                            stages[before].kept.append(value)
                        stage.known[value] = None
                        continue
                local.add(value)
                where.setdefault(value, number)
                stack.extend(value.operands)
            stage.values = [v for v in self.order if v in local]
        self._place_row_values(stages)
        return stages

    def _is_costly(self, value: Value) -> bool:
        """Whether to compute a value again would take more than a few simple instructions."""
        stack, count = [value], 0
        seen = set()
        while stack and count <= 4:
            current = stack.pop()
            if current in seen or current.level < COLUMN or current.op in ("load", "index"):
                continue
            seen.add(current)
            if current.op not in CHEAP:
                return True
            count += 1
            stack.extend(current.operands)
        return count > 4

    def _place_row_values(self, stages: list[Stage]) -> None:
        """Values computed once per row, each before the first loop that has what it needs."""
        stack = list(self.needed) + [r.value for r in self.roots if r.level < COLUMN]
        stack += [v for r in self.roots for v, _ in r.indices]
        stack += [v.operands[0] for s in stages for v in s.reductions]
        stack += [o for s in stages for v in s.values for o in v.operands]
        while stack:
            value = stack.pop()
            if value.level == COLUMN:
                continue
            self.needed.add(value)
            stack.extend(o for o in value.operands if o not in self.needed)
        for value in self.order:
            if value.level == ROW and value in self.needed and value.op != "reduce":
                stages[value.stage].row_values.append(value)


def _dims_of(*addresses: Affine) -> frozenset[int]:
    return frozenset(d for a in addresses for d, coefficient in enumerate(a[1:]) if coefficient)


def _part_address(whole: Node, part: int, index: IndexMap, rank: int) -> Affine:
    """Where a part of a concatenation, or the values of a slice assignment, go in the whole."""
    shape = whole.shape
    if whole.op == "concat":
        axis = whole.attrs["axis"]
        offset = sum(x.shape[axis] for x in whole.inputs[:part])
        moved = tuple((e[0] + offset, *e[1:]) if i == axis else e for i, e in enumerate(index))
        return linear(moved, shape, rank)
    if part == 0:
        return linear(index, shape, rank)
    bounds = whole.attrs["index"]
    moved = tuple(
        (start + step * e[0], *(step * c for c in e[1:])) for e, (start, _, step) in zip(index, bounds, strict=True)
    )
    return linear(moved, shape, rank)


def _width(values: list[Value], roots: list[Root]) -> int:
    """Elements per vector: two 256-bit registers of the widest type that is computed for every column."""
    widest = max(
        [v.dtype.itemsize for v in values if v.level == COLUMN and v.op != "constant"]
        + [r.value.dtype.itemsize for r in roots if r.level == COLUMN],
        default=4,
    )
    return {8: 8, 4: 16}.get(widest, 32)


def _check_hazards(nest: Nest) -> None:
    """A load from memory that the nest writes has to be of the same element, and no later."""
    written = {root.buffer: root for root in nest.roots}
    for number, stage in enumerate(nest.stages):
        for value in (*nest.prologue, *stage.row_values, *stage.values):
            root = written.get(value.buffer) if value.buffer is not None else None
            if root is None:
                continue
            same = value.op == "load" and root.op == "store" and value.address == root.address
            if not same or number > root.stage:
                raise Hazard(root.buffer)
