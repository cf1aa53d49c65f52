"""Second pass: which nodes are computed together, and which are kept in memory.

A *unit* is what runs as a whole: a nest (one loop nest of elementwise nodes, reductions and views), a
matrix product, a scatter (indexed writes), or a node left to NumPy on the host. Nodes are placed one by
one, sources first. A node joins the nest of one of its sources if it reads every value of that nest
exactly where the nest computes it (equal index maps), and if that closes no cycle between units.

A nest's domain has two sides: the first `rows` dimensions, and the columns. A reduction over exactly the
columns is *in row*: its result can be used in the same nest (softmax, layer norm). Any other reduction
is *terminal*: it accumulates over the rows and is there when the nest has finished.

Cheap nodes whose sources are in memory anyway are not placed: every user computes them anew (`inline`).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rushlight.arrays.symbolic import Node
from rushlight.compiler.affine import (
    VIEWS,
    Affine,
    IndexMap,
    identity,
    refine,
    refinement,
    split,
    squeezed,
    strides_of,
)
from rushlight.compiler.elements import CHEAP, is_generated
from rushlight.compiler.graph import Graph
from rushlight.compiler.indexing import GATHERS, can_plan, gather_source, operands
from rushlight.compiler.simplify import REDUCE
from rushlight.compiler.strided import strided_view

LEAVES = frozenset({"input", "constant", "arange"})
INLINE_DEPTH = 4
MAX_NODES = 400


@dataclass(eq=False)
class Unit:
    """Nodes that run together. `index` holds, for a nest, where each of its nodes is computed."""

    kind: str
    number: int
    nodes: list[Node] = field(default_factory=list)
    deps: set[Unit] = field(default_factory=set)
    domain: tuple[int, ...] = ()
    rows: int | None = None
    index: dict[int, IndexMap] = field(default_factory=dict)
    reads: dict[int, IndexMap] = field(default_factory=dict)
    terminal: set[int] = field(default_factory=set)
    closed: bool = False
    alive: bool = True

    def __repr__(self) -> str:
        names = " ".join(f"%{node.serial}:{node.op}" for node in self.nodes)
        return f"unit {self.number} {self.kind} {list(self.domain)} rows={self.rows}: {names}"


@dataclass(eq=False)
class Fused:
    """Units in order, the nodes kept in memory, and where outputs go: output number -> the node stored there."""

    graph: Graph
    units: list[Unit]
    stored: dict[int, Node]
    homes: dict[int, list[int]]
    inline: set[int]
    writers: dict[int, list[Unit]]

    def is_ready(self, node: Node, unit: Unit) -> bool:
        """Whether a node is in memory when a unit runs."""
        writers = self.writers.get(id(node), [])
        return bool(writers) and id(node) in self.stored and unit.deps.issuperset(writers)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.units))


class Cycle(Exception):
    """Some outputs cannot be written in place: their numbers."""


def fuse(
    graph: Graph, detached: frozenset[int] = frozenset(), is_generated: Callable[[Node], bool] = is_generated
) -> Fused:
    """Places every node. Outputs in `detached` are computed aside and copied to their target at the end.

    Args:
        is_generated: for which nodes the target has code of its own.
    """
    while True:
        try:
            return _Fuser(graph, detached, is_generated).run()
        except Cycle as cycle:
            detached |= cycle.args[0]


def kind_of(node: Node, is_generated: Callable[[Node], bool]) -> str:
    if node.op in LEAVES:
        return "leaf"
    if node.op in VIEWS:
        return "view"
    if node.op in REDUCE:
        return "reduce" if is_generated(node) else "host"
    if node.op in GATHERS:
        return "point" if is_generated(node) and can_plan(node) else "host"
    if node.op == "index_put":
        return node.op if is_generated(node) and can_plan(node) else "host"
    if node.op in ("matmul", "concat", "slice_assign"):
        return node.op if is_generated(node) else "host"
    return "point" if is_generated(node) else "host"


def alias_base(node: Node) -> Node:
    """The node whose contiguous memory is also this node's."""
    while node.op == "reshape":
        node = node.inputs[0]
    return node


class _Fuser:
    def __init__(self, graph: Graph, detached: frozenset[int], is_generated: Callable[[Node], bool]):
        self.graph, self.detached, self.is_generated = graph, detached, is_generated
        self.units: list[Unit] = []
        self.unit_of: dict[int, Unit] = {}
        self.stored: dict[int, Node] = {}
        self.homes: dict[int, list[int]] = {}
        self.writers: dict[int, list[Unit]] = {}
        self.readers: dict[int, list[Unit]] = {}
        self.kinds: dict[int, str] = {}
        self.order_after: dict[int, list[Node]] = {}
        self.last_draw: set[Unit] = set()
        self.position: dict[int, int] = {}
        self.apart: set[int] = set()  # copies to a target that must not run with what they copy

    # ------------------------------------------------------------ what has to be in memory

    def run(self) -> Fused:
        nodes = self._with_copies()
        self.kinds = {id(node): kind_of(node, self.is_generated) for node in nodes}
        self._find_memory(nodes)
        self._find_inline(nodes)
        self._order_writes(nodes)
        for node in self._sorted(nodes):
            self.position[id(node)] = len(self.position)
            kind = self.kinds[id(node)]
            if kind == "view" and id(node) in self.stored:
                self.keep(node)  # now: what it reads may be overwritten before its user comes
            elif kind not in ("leaf", "view") and id(node) not in self.inline:
                self.place(node)
        return Fused(self.graph, self._sorted_units(), self.stored, self.homes, self.inline, self.writers)

    def _with_copies(self) -> list[Node]:
        """Gives each output a node that is stored there; adds copies where an output is not a node of its own."""
        nodes = self.graph.nodes()
        input_numbers = {id(node): i for i, node in enumerate(self.graph.inputs)}
        self.written: dict[int, int] = {}
        for number, (output, target) in enumerate(zip(self.graph.outputs, self.graph.targets, strict=True)):
            base = alias_base(output)
            if math.prod(output.shape) == 0 or (target is not None and input_numbers.get(id(base)) == target):
                continue
            aside = number in self.detached or (target is not None and base.op == "input")
            if aside and base.op in LEAVES | VIEWS:
                base = _copy(base)
                nodes.append(base)
                self.stored[id(base)] = base
            if aside or base.op in LEAVES | VIEWS or id(base) in self.homes:
                if base.op not in LEAVES | VIEWS:
                    self.stored[id(base)] = base
                base = _copy(base)
                nodes.append(base)
                if aside:
                    self.apart.add(id(base))
            self.homes[id(base)] = [number]
            self.stored[id(base)] = base
            if target is not None:
                self.written[number] = target
        return nodes

    def _find_memory(self, nodes: list[Node]) -> None:
        for node in nodes:
            kind = self.kinds[id(node)]
            if kind in ("matmul", "host", "concat", "slice_assign", "index_put"):
                self.stored[id(node)] = node
            for source in _read_from_memory(node, kind):
                base = source
                while self.kinds[id(base)] == "view" and (kind == "matmul" or base.op == "reshape"):
                    base = base.inputs[0]
                self.stored[id(base)] = base

    def _find_inline(self, nodes: list[Node]) -> None:
        """Cheap nodes on memory are computed by whoever reads them."""
        self.inline: set[int] = set()
        depth: dict[int, int] = {}
        for node in nodes:
            key, kind = id(node), self.kinds[id(node)]
            if kind == "view":
                depth[key] = depth[id(node.inputs[0])]
            elif kind == "leaf" or key in self.stored:
                depth[key] = 0
            elif kind == "point" and node.op in CHEAP:
                depth[key] = 1 + sum(depth[id(x)] for x in node.inputs)
                if depth[key] <= INLINE_DEPTH:
                    self.inline.add(key)
            else:
                depth[key] = 2 * INLINE_DEPTH

    def _order_writes(self, nodes: list[Node]) -> None:
        """A node that is written over an input comes after all nodes that read that input."""
        if not self.written:
            return
        readers: dict[int, list[Node]] = {id(self.graph.inputs[t]): [] for t in self.written.values()}
        seen_through: dict[int, set[int]] = {}
        for node in nodes:
            key = id(node)
            touched = {key} if key in readers else set()
            for source in node.inputs:
                touched |= seen_through.get(id(source), set())
            if self.kinds[key] == "view" and key not in self.stored or key in self.inline:
                seen_through[key] = touched
                continue
            for touched_input in touched if node.op != "input" else ():
                readers[touched_input].append(node)
            seen_through[key] = touched if node.op == "input" else set()
        home = {number: key for key, numbers in self.homes.items() for number in numbers}
        for number, target in self.written.items():
            key = home[number]
            others = [r for r in readers[id(self.graph.inputs[target])] if id(r) != key]
            self.order_after[key] = others

    def _sorted(self, nodes: list[Node]) -> list[Node]:
        """By serial, writes in place after reads; outputs for which that is impossible are detached."""
        users: dict[int, list[Node]] = {}
        waits: dict[int, int] = {}
        for node in nodes:
            sources = [*node.inputs, *self.order_after.get(id(node), ())]
            waits[id(node)] = len(sources)
            for source in sources:
                users.setdefault(id(source), []).append(node)
        heap = [(node.serial, node) for node in nodes if not waits[id(node)]]
        heapq.heapify(heap)
        result = []
        while heap:
            _, node = heapq.heappop(heap)
            result.append(node)
            for user in users.get(id(node), ()):
                waits[id(user)] -= 1
                if not waits[id(user)]:
                    heapq.heappush(heap, (user.serial, user))
        if len(result) < len(nodes):
            stuck = [key for key in self.order_after if waits[key]]
            raise Cycle(frozenset(number for key in stuck for number in self.homes[key]))
        return result

    # ------------------------------------------------------------ placing

    def place(self, node: Node) -> None:
        kind = self.kinds[id(node)]
        if kind in ("point", "reduce", "view"):
            self._place_in_nest(node)
        else:
            getattr(self, "_place_" + kind)(node)

    def _new_unit(self, kind: str) -> Unit:
        unit = Unit(kind, len(self.units))
        self.units.append(unit)
        return unit

    def _place_in_nest(self, node: Node) -> None:
        apart = id(node) in self.apart
        candidates = [] if apart else self._candidates(node)
        for unit in candidates:
            if len(unit.nodes) < MAX_NODES and self._join(node, unit):
                break
        else:
            unit = self._new_unit("nest")
            unit.domain = squeezed(node.inputs[0].shape if self.kinds[id(node)] == "reduce" else node.shape)
            if not self._join(node, unit):
                raise AssertionError(f"cannot place {node}")
            unit.closed = apart
        for other in candidates:
            if other is not unit and other.alive and unit.alive:
                self._merge(unit, other)

    def _candidates(self, node: Node) -> list[Unit]:
        size = math.prod(node.inputs[0].shape if self.kinds[id(node)] == "reduce" else node.shape)
        near: dict[Unit, None] = {}
        far: dict[Unit, None] = {}
        for base in self._bases(node):
            unit = self.unit_of.get(id(base))
            if unit is not None and unit.kind == "nest":
                near[unit] = None
            for reader in self.readers.get(id(base), ()):
                if reader.alive and reader.kind == "nest" and math.prod(reader.domain) == size > 1:
                    far[reader] = None
        if size == 1:
            far.update((unit, None) for unit in self.units if unit.kind == "nest" and not unit.domain)
        by_age = sorted(near, key=lambda unit: -unit.number)
        return by_age + sorted((u for u in far if u not in near), key=lambda unit: -unit.number)

    def _bases(self, node: Node) -> Iterator[Node]:
        """What a node reads, through views and inline nodes."""
        stack = list(node.inputs)
        while stack:
            source = stack.pop()
            if id(source) in self.unit_of:
                yield source
            elif self.kinds[id(source)] == "view" or id(source) in self.inline:
                stack.extend(source.inputs)
            else:
                yield source

    def _join(self, node: Node, unit: Unit) -> bool:
        if unit.closed:
            return False
        spot = self._spot(node, unit)
        if spot is None:
            return False
        domain, rows, index, source_index, terminal = spot
        renewed = _refine_maps(unit.index, unit.domain, domain)
        found = self._reach(node, source_index, domain, renewed, unit)
        if found is None:
            return False
        deps, needs = found
        for other in self.order_after.get(id(node), ()):
            deps |= self._units_of(other)
        deps.discard(unit)
        if any(self.depends(dep, unit) for dep in deps):
            return False
        unit.reads = _refine_maps(unit.reads, unit.domain, domain)
        unit.domain, unit.rows, unit.index = domain, rows, renewed
        unit.index[id(node)], unit.reads[id(node)] = index, source_index
        unit.nodes.append(node)
        if terminal:
            unit.terminal.add(id(node))
            self.stored[id(node)] = node
        self._commit(node, unit, deps, needs)
        return True

    def _commit(self, node: Node, unit: Unit, deps: set[Unit], needs: list[Node]) -> None:
        self.unit_of[id(node)] = unit
        self.writers.setdefault(id(node), []).append(unit)
        for source in needs:
            deps = deps | self.keep(source)
        unit.deps |= deps
        for base in self._bases(node):
            self.readers.setdefault(id(base), []).append(unit)
            if self.unit_of.get(id(base)) not in (None, unit):
                self.keep(base)

    def keep(self, node: Node) -> set[Unit]:
        """Makes sure that a node is in memory; the units that write it."""
        base = alias_base(node)
        if base.op == "input" or base.op == "constant":
            self.stored.setdefault(id(base), base)
            return set()
        if id(base) not in self.unit_of:
            self.inline.discard(id(base))
            self.stored[id(base)] = base
            unit = self._new_unit("nest")
            unit.domain = squeezed(base.shape)
            if not self._join(base, unit):
                raise AssertionError(f"cannot place {base}")
        self.stored[id(base)] = base
        return set(self.writers[id(base)])

    def _spot(self, node: Node, unit: Unit) -> tuple[tuple[int, ...], int | None, IndexMap, IndexMap, bool] | None:
        """Where a node would be computed: (domain, rows, its index map, the map its sources are read by, terminal)."""
        reduces = self.kinds[id(node)] == "reduce"
        shape = node.inputs[0].shape if reduces else node.shape
        place = _fit(shape, unit.domain, unit.rows)
        if place is None:
            return None
        domain, rows, index = place
        if not reduces:
            return domain, rows, index, index, False
        axes = node.attrs["axis"]
        kept = tuple(e for axis, e in enumerate(index) if axis not in axes)
        reduced_dims = _dims(e for axis, e in enumerate(index) if axis in axes)
        if reduced_dims & _dims(kept):
            return None
        first = len(domain) - len(reduced_dims)
        in_row = reduced_dims == set(range(first, len(domain))) and first > 0 and (rows is None or rows == first)
        return domain, first if in_row else rows, kept, index, not in_row

    def _reach(
        self,
        node: Node,
        index: IndexMap,
        domain: tuple[int, ...],
        placed: dict[int, IndexMap],
        unit: Unit,
    ) -> tuple[set[Unit], list[Node]] | None:
        """The units a node would depend on and the sources that must be in memory; None if the nest cannot hold it."""
        deps: set[Unit] = set()
        needs: list[Node] = []
        stack = operands(node, index, domain)
        if stack is None:
            needs.append(node.inputs[0])
            stack = []
        for source in gather_source(node):
            needs.append(source)
        while stack:
            source, at = stack.pop()
            key = id(source)
            if key in self.unit_of:
                owner = self.unit_of[key]
                if unit in self.writers[key] and key not in placed:
                    return None
                if owner is not unit:
                    deps |= set(self.writers[key])
                elif key in unit.terminal or placed[key] != at:
                    return None
            elif self.kinds[key] == "view" or key in self.inline:
                more = operands(source, at, domain)
                if more is None:
                    needs.append(source.inputs[0])
                else:
                    stack.extend(more)
                needs.extend(gather_source(source))
        for need in needs:
            for base in self._memory_bases(need):
                if self.unit_of.get(id(base)) is unit:
                    return None
                deps |= set(self.writers.get(id(base), ()))
        return deps, needs

    def _memory_bases(self, node: Node) -> Iterable[Node]:
        base = alias_base(node)
        return [base] if id(base) in self.unit_of else self._bases(base)

    def _units_of(self, node: Node) -> set[Unit]:
        return set(self.writers.get(id(node), ()))

    def depends(self, late: Unit, early: Unit) -> bool:
        """Whether `late` is `early` or needs it, directly or not."""
        stack, seen = [late], {late}
        while stack:
            unit = stack.pop()
            if unit is early:
                return True
            for dep in unit.deps:
                if dep not in seen:
                    seen.add(dep)
                    stack.append(dep)
        return False

    # ------------------------------------------------------------ merging two nests

    def _merge(self, a: Unit, b: Unit) -> None:
        """Makes one nest of two with the same domain, if no other unit lies between them."""
        if a.closed or b.closed or len(a.nodes) + len(b.nodes) > MAX_NODES:
            return
        domain = refinement(a.domain, b.domain)
        if domain is None or any(self.depends(dep, a) for dep in b.deps if dep is not a):
            return
        if any(self.depends(dep, b) for dep in a.deps if dep is not b):
            return
        rows_a, rows_b = (_refine_rows(unit.domain, unit.rows, domain) for unit in (a, b))
        if rows_a is not None and rows_b is not None and rows_a != rows_b:
            return
        placed, reads = (
            {k: m for u in (a, b) for k, m in _refine_maps(maps(u), u.domain, domain).items()}
            for maps in (_index_maps, _read_maps)
        )
        if not self._agree(a, b, domain, placed, reads):
            return
        a.reads = reads
        a.domain, a.rows, a.index = domain, rows_a if rows_a is not None else rows_b, placed
        a.nodes = sorted(a.nodes + b.nodes, key=lambda node: self.position[id(node)])
        a.terminal |= b.terminal
        a.deps = (a.deps | b.deps) - {a, b}
        for node in b.nodes:
            self.unit_of[id(node)] = a
        for key, writers in self.writers.items():
            if b in writers:
                self.writers[key] = list(dict.fromkeys(a if unit is b else unit for unit in writers))
                if self.unit_of.get(key) is b:
                    self.unit_of[key] = a
        for readers in self.readers.values():
            if b in readers:
                readers[:] = [a if unit is b else unit for unit in readers]
        self.units.remove(b)
        b.alive = False
        for unit in self.units:
            if b in unit.deps:
                unit.deps = (unit.deps - {b}) | {a}

    def _agree(
        self,
        a: Unit,
        b: Unit,
        domain: tuple[int, ...],
        placed: dict[int, IndexMap],
        reads: dict[int, IndexMap],
    ) -> bool:
        """Whether every value that passes between the two is computed where it is read."""
        for unit, other in ((a, b), (b, a)):
            if other not in unit.deps:
                continue
            for node in unit.nodes:
                if self._reach(node, reads[id(node)], domain, placed, other) is None:
                    return False
        return True

    # ------------------------------------------------------------ other units

    def _place_alone(self, node: Node, kind: str, sources: Iterable[Node]) -> Unit:
        unit = self._new_unit(kind)
        unit.nodes.append(node)
        unit.closed = True
        for source in sources:
            unit.deps |= self.keep(source)
        for other in self.order_after.get(id(node), ()):
            unit.deps |= self._units_of(other) - {unit}
        self.unit_of[id(node)] = unit
        self.writers.setdefault(id(node), []).append(unit)
        return unit

    def _place_host(self, node: Node) -> None:
        unit = self._place_alone(node, "host", node.inputs)
        if node.op == "draw":  # random numbers come in the order in which they were asked for
            unit.deps |= self.last_draw
            self.last_draw = {unit}

    def _place_matmul(self, node: Node) -> None:
        self._place_alone(node, "matmul", [self._strided(x) for x in node.inputs])

    def _strided(self, node: Node) -> Node:
        """The memory that a matrix is a BLAS-readable view of, or the matrix itself (then it is copied)."""
        found = strided_view(node, lambda base: id(base) in self.unit_of or base.op == "input")
        return node if found is None else found[0]

    def _place_concat(self, node: Node) -> None:
        self._place_parts(node, list(node.inputs))

    def _place_slice_assign(self, node: Node) -> None:
        self._place_parts(node, list(node.inputs))

    def _place_index_put(self, node: Node) -> None:
        base, values, *index = node.inputs
        if self._is_over(node, base):
            self.writers[id(node)] = []
        else:
            self._place_parts(node, [base])
        unit = self._new_unit("scatter")
        unit.nodes.append(node)
        unit.closed = True
        unit.deps |= set(self.writers[id(node)])
        for other in self.order_after.get(id(node), ()):
            unit.deps |= self._units_of(other) - {unit}
        for source in (values, *index):
            unit.deps |= self.keep(source)
        self.writers[id(node)].append(unit)
        self.unit_of[id(node)] = unit

    def _is_over(self, node: Node, base: Node) -> bool:
        """Whether a node is written over the memory of its own base, which then need not be copied."""
        targets = [self.graph.targets[number] for number in self.homes.get(id(node), ())]
        return any(target is not None and self.graph.inputs[target] is base for target in targets)

    def _place_parts(self, node: Node, sources: list[Node]) -> None:
        """Nests that each write a part of a node's memory, in order."""
        self.writers[id(node)] = []
        for part, source in enumerate(sources):
            copy = Node("part", (source,), {"of": node, "part": part}, source.shape, source.dtype)
            self.kinds[id(copy)] = "point"
            self.position[id(copy)] = len(self.position)
            self.stored[id(copy)] = copy
            if math.prod(copy.shape) == 0:
                continue
            if node.op != "concat" and part:
                unit = self._new_unit("nest")
                unit.domain = squeezed(copy.shape)
                unit.deps |= set(self.writers[id(node)])
                assert self._join(copy, unit)
            else:
                self.order_after[id(copy)] = self.order_after.get(id(node), [])
                self._place_in_nest(copy)
            self.writers[id(node)] += self.writers[id(copy)]
            self.unit_of[id(node)] = self.unit_of[id(copy)]

    def _sorted_units(self) -> list[Unit]:
        result: list[Unit] = []
        done: set[Unit] = set()
        for first in self.units:
            stack = [first]
            while stack:
                unit = stack[-1]
                waiting = sorted(unit.deps - done, key=lambda u: -u.number)
                if unit in done or not waiting:
                    stack.pop()
                    if unit not in done:
                        done.add(unit)
                        result.append(unit)
                else:
                    stack.extend(waiting)
        for number, unit in enumerate(result):
            unit.number = number
        return result


def _copy(node: Node) -> Node:
    return Node("copy", (node,), {}, node.shape, node.dtype)


def _index_maps(unit: Unit) -> dict[int, IndexMap]:
    return unit.index


def _read_maps(unit: Unit) -> dict[int, IndexMap]:
    return unit.reads


def _read_from_memory(node: Node, kind: str) -> list[Node]:
    """The sources that a node cannot do without in memory."""
    if kind in ("matmul", "host"):
        return list(node.inputs)
    if kind == "index_put":
        return list(node.inputs[1:])
    return gather_source(node)


def _fit(
    shape: tuple[int, ...], domain: tuple[int, ...], rows: int | None
) -> tuple[tuple[int, ...], int | None, IndexMap] | None:
    """A domain, perhaps finer, in which a node is computed once per element or per row; None if it has another size."""
    size = math.prod(shape)
    if size == math.prod(domain):
        finer = refinement(domain, squeezed(shape))
        if finer is None:
            return None
        index = identity(finer, shape)
        return None if index is None else (finer, _refine_rows(domain, rows, finer), index)
    if rows is None or size != math.prod(domain[:rows]):
        return None
    head = refinement(domain[:rows], squeezed(shape))
    if head is None:
        return None
    finer = (*head, *domain[rows:])
    address = (0, *strides_of(head), *(0,) * (len(domain) - rows))
    index = split(address, finer, shape)
    return None if index is None else (finer, len(head), index)


def _refine_rows(domain: tuple[int, ...], rows: int | None, finer: tuple[int, ...]) -> int | None:
    if rows is None:
        return None
    size = math.prod(domain[:rows])
    return next(k for k in range(len(finer) + 1) if math.prod(finer[:k]) == size)


def _refine_maps(maps: dict[int, IndexMap], domain: tuple[int, ...], finer: tuple[int, ...]) -> dict[int, IndexMap]:
    if domain == finer:
        return maps
    return {key: tuple(refine(e, domain, finer) for e in index) for key, index in maps.items()}


def _dims(expressions: Iterable[Affine]) -> set[int]:
    return {d for e in expressions for d, coefficient in enumerate(e[1:]) if coefficient}
