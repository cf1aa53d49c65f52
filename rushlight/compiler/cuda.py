"""Fourth pass, on a GPU: a nest as CUDA C++ kernels.

A nest is split into parts (`cuda_split.py`), and each part is one kernel, or two where a sum is made of partial sums:

- map: a thread computes a chunk of neighbouring elements;
- rows: a team of threads (up to a warp, or a whole block) computes a row, which stays in its registers between one loop
  over the columns and the next if it is not too long;
- reduce: threads share the reduced dimensions in strides, and combine what they have in a fixed order; where too few blocks
  would be busy, several share a sum and a second kernel combines their results;
- scatter: a thread writes, in order, all that may meet at one place.

No atomic operations: the numbers are the same in every run. Shapes are static, and nothing depends on the device but what
the compiler makes of the source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rushlight.compiler.affine import strides_of
from rushlight.compiler.cuda_chunk import (
    OPERATIONS,
    Chunk,
    Writer,
    accumulator_dtype,
    first_number,
    is_contiguous,
    lanes_for,
    needed,
)
from rushlight.compiler.cuda_elements import memory_type, register_type
from rushlight.compiler.cuda_split import Part, is_same_number, split_nest, values_of
from rushlight.compiler.elements import CHEAP
from rushlight.compiler.loops import COLUMN, SCALAR, Buffer, Nest, Root, Value

WARP = 32
BLOCK = 256
MAX_BLOCK = 1024
MAX_BLOCKS = 1 << 16  # of a grid: what is left over is done by the same threads in turn
SCALAR_MAP = 1 << 15  # elements: fewer are better spread over more threads than read 16 bytes at a time
REGISTERS = 32  # elements of a row that a thread keeps of each value
KEPT = 64  # and of all values together
PER_THREAD = 16  # elements that a thread adds up before others could help
BLOCKS_WANTED = 1024  # of a sum that several blocks share
FAR = 1 << 30  # indices below are computed in 32 bits


@dataclass(eq=False)
class Kernel:
    """A kernel's text, the buffers that are its arguments, and how it is launched."""

    name: str
    text: str
    arguments: list[Buffer]
    has_flag: bool  # whether the flag of indices that are out of bounds comes after them
    grid: tuple[int, int]
    block: int
    written: set[Buffer]


def write_nest(nest: Nest, taken: int = 0) -> tuple[list[Kernel], list[Buffer]]:
    """The kernels of a nest, in order, and the buffers that they need between them, numbered below `taken`."""
    parts, buffers = split_nest(nest, taken)
    kernels = []
    for part in parts:
        if part.kind == "reduce":
            kernels += _write_reduce(part, buffers, taken)
        else:
            kernels.append(WRITERS[part.kind](part))
    return kernels, buffers


def _writer(part: Part, extra: int = 0) -> Writer:
    """With indices of 32 bits where all sizes and addresses allow it."""
    values = values_of(part.roots)
    sizes = [math.prod(part.domain) + extra]
    sizes += [item.buffer.size for item in (*values, *part.roots) if item.buffer is not None]
    return Writer(part.name, len(part.domain), "int" if max(sizes) < FAR else "long long")


def _finish(writer: Writer, grid: tuple[int, int], block: int) -> Kernel:
    head = f'extern "C" __global__ void __launch_bounds__({block}) {writer.name}({writer.parameters()}) {{'
    text = "\n".join([head, f"  typedef {writer.index_type} index_t;", *writer.lines, "}"])
    return Kernel(writer.name, text, list(writer.pointers), writer.has_flag, grid, block, set(writer.written))


def _define_scalars(writer: Writer, part: Part) -> None:
    """What is the same for all threads."""
    for value in values_of(part.roots):
        if not value.dims and value.level == SCALAR and value.op != "reduce":
            writer.define(value, ["0"] * len(part.domain))


# ---------------------------------------------------------------- map


def _write_map(part: Part) -> Kernel:
    writer = _writer(part, extra=MAX_BLOCKS * BLOCK * 4)
    _define_scalars(writer, part)
    domain, size = part.domain, math.prod(part.domain)
    lanes = 1
    if size >= SCALAR_MAP:
        lanes = lanes_for(domain[-1], len(domain) - 1, [*values_of(part.roots), *part.roots], len(domain) > 1)
    count = -(-size // lanes)
    block = min(BLOCK, -(-count // WARP) * WARP)
    writer.open(
        f"for (index_t i = blockIdx.x * (index_t){block} + threadIdx.x; i < {count}; i += gridDim.x * (index_t){block})"
    )
    indices = _chunk_indices(writer, "i", list(domain), lanes)
    left = _left(writer, indices, domain, lanes)
    writer.chunk(Chunk(indices, lanes, left, roots=part.roots))
    writer.close()
    return _finish(writer, (min(-(-count // block), MAX_BLOCKS), 1), block)


def _chunk_indices(writer: Writer, number: str, sizes: list[int], lanes: int) -> list[str]:
    """The indices of a chunk's first lane, from the chunk's number."""
    if not sizes:
        return []
    *outer, last = writer.decode(number, [*sizes[:-1], -(-sizes[-1] // lanes)])
    if lanes == 1:
        return [*outer, last]
    first = writer.fresh("c")
    writer.put(f"const index_t {first} = {last} * {lanes};")
    return [*outer, first]


def _left(writer: Writer, indices: list[str], domain: tuple[int, ...], lanes: int) -> str | None:
    if not domain or domain[-1] % lanes == 0:
        return None
    left = writer.fresh("left")
    writer.put(f"const index_t {left} = {domain[-1]} - {indices[-1]};")
    return left


# ---------------------------------------------------------------- scatter


def _write_scatter(part: Part) -> Kernel:
    """A thread for each place that nothing else can write to: it walks, in order, over all that may be written there."""
    (root,) = part.roots
    apart = {d for d, c in enumerate(root.address[1:]) if c}
    for value, _ in root.indices:
        if is_same_number(value):
            apart |= value.dims
    meeting = [d for d in range(len(part.domain)) if d not in apart]
    parallel = [d for d in range(len(part.domain)) if d in apart]
    if not meeting:
        return _write_map(part)
    writer = _writer(part, extra=MAX_BLOCKS * BLOCK)
    _define_scalars(writer, part)
    count = math.prod(part.domain[d] for d in parallel)
    block = min(BLOCK, -(-count // WARP) * WARP)
    writer.open(
        f"for (index_t i = blockIdx.x * (index_t){block} + threadIdx.x; i < {count}; i += gridDim.x * (index_t){block})"
    )
    indices = dict(zip(parallel, writer.decode("i", [part.domain[d] for d in parallel]), strict=True))
    before = dict(writer.names)
    writer.open(f"for (index_t j = 0; j < {math.prod(part.domain[d] for d in meeting)}; ++j)")
    indices |= zip(meeting, writer.decode("j", [part.domain[d] for d in meeting]), strict=True)
    writer.chunk(Chunk([indices[d] for d in range(len(part.domain))], 1, roots=part.roots))
    writer.close()
    writer.names = before
    writer.close()
    return _finish(writer, (min(-(-count // block), MAX_BLOCKS), 1), block)


# ---------------------------------------------------------------- rows


def _team_size(num_rows: int, groups: int) -> int:
    """Threads for a row of so many chunks: a part of a warp for short rows, a block for long ones."""
    wide = _power_above(groups)
    if wide <= WARP:
        return wide
    if groups <= 8 * WARP and num_rows >= 2048:
        return WARP
    return max(2 * WARP, min(_power_above(-(-groups // 4)), MAX_BLOCK))


def _power_above(n: int) -> int:
    return 1 << max(n - 1, 0).bit_length()


class _Rows:
    """Writes a kernel with a team for each row; one object a kernel, used once."""

    def __init__(self, part: Part):
        self.part, self.writer = part, _writer(part, extra=MAX_BLOCKS * BLOCK)
        self.rows, self.columns = part.domain[: part.num_rows], part.domain[part.num_rows :]
        items = [item for item in (*values_of(part.roots), *part.roots) if item.level == COLUMN]
        self.lanes = lanes_for(self.columns[-1], len(part.domain) - 1, items)
        self.groups = math.prod(self.columns) // self.lanes
        self.team = _team_size(math.prod(self.rows), self.groups)
        self.turns = -(-self.groups // self.team)
        self.in_registers = self.turns * self.lanes <= REGISTERS
        self._plan()

    # ------------------------------------------------------------ which loop computes what

    def _plan(self) -> None:
        """For each stage: its roots, reductions, and what it has from an earlier one."""
        values = values_of(self.part.roots)
        self.reductions: dict[int, list[Value]] = {}
        self.stages = 1 + max([v.stage for v in values] + [root.stage for root in self.part.roots])
        for value in values:
            if value.op == "reduce":
                self.reductions.setdefault(value.stage - 1, []).append(value)
        self.kept: dict[Value, str] = {}
        self.kept_at: dict[int, list[Value]] = {}
        self.recalled: dict[int, list[Value]] = {}
        self.reloaded: dict[int, dict[Value, Root]] = {}
        stored = {
            root.value: root
            for root in self.part.roots
            if root.level == COLUMN and is_contiguous(root, len(self.part.domain) - 1)
        }
        computed: dict[Value, int] = {}
        for stage in range(self.stages):
            self._plan_stage(stage, computed, stored)

    def _plan_stage(self, stage: int, computed: dict[Value, int], stored: dict[Value, Root]) -> None:
        stack = self._wanted(stage)
        local: set[Value] = set()
        recalled = self.recalled[stage] = []
        reloaded = self.reloaded[stage] = {}
        while stack:
            value = stack.pop()
            if value.level < COLUMN or value in local or value in recalled or value in reloaded:
                continue
            before = computed.get(value)
            if before is not None and before < stage and _is_worth_keeping(value):
                if value in self.kept or self.in_registers and (len(self.kept) + 1) * self.turns * self.lanes <= KEPT:
                    if value not in self.kept:
                        self.kept[value] = f"kept{len(self.kept)}"
                        self.kept_at.setdefault(before, []).append(value)
                    recalled.append(value)
                    continue
                root = stored.get(value)
                if value.op != "load" and root is not None and root.stage < stage:
                    reloaded[value] = root
                    continue
            local.add(value)
            computed.setdefault(value, stage)
            stack.extend(value.operands)

    def _wanted(self, stage: int) -> list[Value]:
        roots = self._roots(stage, COLUMN)
        wanted = [root.value for root in roots] + [v for root in roots for v, _ in root.indices]
        return wanted + [v.operands[0] for v in self.reductions.get(stage, ())]

    def _roots(self, stage: int, level: int) -> list[Root]:
        return [root for root in self.part.roots if root.stage == stage and (root.level == COLUMN) == (level == COLUMN)]

    # ------------------------------------------------------------ text

    def write(self) -> Kernel:
        writer, team, num_rows = self.writer, self.team, math.prod(self.rows)
        block = team if team > WARP else 4 * WARP
        teams = block // team
        if team > WARP:
            for dtype in {register_type(accumulator_dtype(v.dtype)) for vs in self.reductions.values() for v in vs}:
                writer.put(f"__shared__ {dtype} room_{dtype.replace(' ', '_')}[{team // WARP}];")
        writer.put(f"const int lane = threadIdx.x % {team};")
        _define_scalars(writer, self.part)
        writer.open(
            f"for (index_t first = blockIdx.x * (index_t){teams}; first < {num_rows}; first += gridDim.x * (index_t){teams})"
        )
        writer.put(f"index_t row = first + threadIdx.x / {team};")
        self.condition = None
        if num_rows % teams:
            self.condition = "is_row"
            writer.put(f"const bool is_row = row < {num_rows};")
            writer.put(f"if (!is_row) row = {num_rows - 1};")
        self.row_indices = writer.decode("row", list(self.rows))
        for name, value in ((name, value) for value, name in self.kept.items()):
            writer.put(f"{register_type(value.dtype)} {name}[{self.turns}][{self.lanes}];")
        for stage in range(self.stages):
            self._define_row_values(stage)
            self._columns(stage)
            self._store_row_values(stage)
        writer.close()
        return _finish(writer, (min(-(-num_rows // teams), MAX_BLOCKS), 1), block)

    def _define_row_values(self, stage: int) -> None:
        """Those that this stage's loop, or its roots after the loop, read, and that can be had by now."""
        roots = self._roots(stage, SCALAR)
        wanted = [*self._wanted(stage), *(r.value for r in roots), *(v for r in roots for v, _ in r.indices)]
        known = {*self.recalled[stage], *self.reloaded[stage]}
        for value in needed(wanted, lambda v: v in self.writer.names or v in known):
            if value.level < COLUMN and value.stage <= stage and value.op != "reduce":
                self.writer.define(value, [*self.row_indices, *["0"] * len(self.columns)])

    def _columns(self, stage: int) -> None:
        writer, reductions, roots = self.writer, self.reductions.get(stage, []), self._roots(stage, COLUMN)
        if not reductions and not roots:
            return
        accumulators = []
        for value in reductions:
            name, dtype, kind = writer.fresh("acc"), accumulator_dtype(value.dtype), value.attrs["kind"]
            start = ", ".join([first_number(kind, dtype)] * self.lanes)
            writer.put(f"{register_type(dtype)} {name}[{self.lanes}] = {{{start}}};")
            accumulators.append((name, kind, value.operands[0]))
        self._loop(stage, roots, accumulators)
        for value, (name, kind, _) in zip(reductions, accumulators, strict=True):
            dtype = register_type(accumulator_dtype(value.dtype))
            room = f"room_{dtype.replace(' ', '_')}" if self.team > WARP else f"({dtype}*)0"
            total = writer.fresh("total")
            text = f"team_together<{OPERATIONS[kind]}, {self.team}>(lanes_together<{OPERATIONS[kind]}>({name}), {room})"
            if accumulator_dtype(value.dtype) != value.dtype:
                text = f"rounded<{memory_type(value.dtype)}>({text})"
            writer.put(f"const {dtype} {total} = {text};")
            writer.names[value] = total

    def _loop(self, stage: int, roots: list[Root], accumulators: list[tuple[str, str, Value]]) -> None:
        writer = self.writer
        writer.put("#pragma unroll" if self.in_registers else "#pragma unroll 4")
        writer.open(f"for (int k = 0; k < {self.turns}; ++k)")
        writer.put(f"const index_t group = lane + (index_t)k * {self.team};")
        guarded = self.groups % self.team
        if guarded:
            writer.open(f"if (group < {self.groups})")
        indices = _chunk_indices(writer, "group", list(self.columns), self.lanes)
        writer.chunk(
            Chunk(
                [*self.row_indices, *indices],
                self.lanes,
                condition=self.condition,
                roots=roots,
                reductions=accumulators,
                kept=[(f"{self.kept[v]}[k]", v) for v in self.kept_at.get(stage, ())],
                recalled={v: f"{self.kept[v]}[k]" for v in self.recalled[stage]},
                reloaded=self.reloaded[stage],
            )
        )
        if guarded:
            writer.close()
        writer.close()

    def _store_row_values(self, stage: int) -> None:
        roots = self._roots(stage, SCALAR)
        condition = "lane == 0" + (f" && {self.condition}" if self.condition else "")
        for root in roots:
            self.writer.write(
                root, self.writer.names[root.value], [*self.row_indices, *["0"] * len(self.columns)], condition
            )


def _is_worth_keeping(value: Value) -> bool:
    """Whether to have a value again takes reading memory, or more than a few simple instructions."""
    if value.op in ("load", "gather"):
        return True
    return value.op not in CHEAP and value.op not in ("index", "constant")


def _write_rows(part: Part) -> Kernel:
    return _Rows(part).write()


# ---------------------------------------------------------------- reduce


class _Reduce:
    """Writes a kernel that reduces some dimensions; one object a kernel, used once."""

    def __init__(self, part: Part, is_second: bool = False):
        self.part, self.writer = part, _writer(part, extra=MAX_BLOCKS * BLOCK)
        self.sums = [root for root in part.roots if root.op == "accumulate"]
        self.others = [root for root in part.roots if root.op != "accumulate"]
        dims = range(len(part.domain))
        self.kept = [d for d in dims if self.sums[0].address[d + 1] and part.domain[d] > 1]
        self.reduced = [d for d in dims if d not in self.kept]
        self.size = math.prod(part.domain[d] for d in self.kept)
        self.inner = not self.kept or self.kept[-1] != len(part.domain) - 1  # the last dimension is reduced
        self.lanes = 1
        if self.inner and math.prod(part.domain) >= SCALAR_MAP:
            self.lanes = lanes_for(part.domain[-1], len(part.domain) - 1, [*values_of(part.roots), *part.roots])
        self.groups = math.prod(part.domain[d] for d in self.reduced) // self.lanes
        self._share(is_second)

    def _share(self, is_second: bool) -> None:
        """Who computes what: `team` threads share a sum within a block, `splits` blocks share it."""
        per_thread = max(PER_THREAD // self.lanes, 1)
        if self.inner:
            self.team = min(_power_above(self.groups), WARP)
            if self.groups > 8 * WARP * per_thread or self.groups > 4 * WARP and self.size < 256:
                self.team = min(max(_power_above(-(-self.groups // per_thread)), 2 * WARP), BLOCK)
            self.block = self.team if self.team > WARP else 4 * WARP
            self.across = self.block // self.team  # sums in a block
        else:
            self.team = min(_power_above(-(-self.groups // 4)), BLOCK // WARP * (4 if is_second else 1))
            self.across = WARP
            self.block = self.across * self.team
        blocks = -(-self.size // self.across)
        useful = -(-self.groups // (self.team * per_thread))
        self.splits = 1 if is_second else max(1, min(BLOCKS_WANTED // blocks, useful))

    def write(self, targets: list[Buffer]) -> Kernel:
        """The kernel; `targets` are the buffers to which the sums go, one part for each split."""
        writer = self.writer
        writer.put(f"const int x = threadIdx.x % {self.team if self.inner else self.across};")
        writer.put(f"const int y = threadIdx.x / {self.team if self.inner else self.across};")
        for number, root in enumerate(self.sums):
            self._make_room(number, root)
        _define_scalars(writer, self.part)
        blocks = -(-self.size // self.across)
        capped = blocks > MAX_BLOCKS
        if capped:
            writer.open(f"for (index_t turn = blockIdx.x; turn < {blocks}; turn += gridDim.x)")
        own = "turn" if capped else "(index_t)blockIdx.x"
        writer.put(f"index_t place = {own} * {self.across} + {'y' if self.inner else 'x'};")
        self.condition = None
        if self.size % self.across:
            self.condition = "is_place"
            writer.put(f"const bool is_place = place < {self.size};")
            writer.put(f"if (!is_place) place = {self.size - 1};")
        self._loop()
        for number, (root, target) in enumerate(zip(self.sums, targets, strict=True)):
            self._combine(number, root, target)
        if capped:
            writer.close()
        return _finish(writer, (min(blocks, MAX_BLOCKS), self.splits), self.block)

    def _make_room(self, number: int, root: Root) -> None:
        dtype = register_type(accumulator_dtype(root.value.dtype))
        if self.inner and self.team > WARP:
            self.writer.put(f"__shared__ {dtype} room{number}[{self.team // WARP}];")
        elif not self.inner and self.team > 1:
            self.writer.put(f"__shared__ {dtype} room{number}[{self.team}][{self.across}];")

    def _loop(self) -> None:
        writer, domain = self.writer, self.part.domain
        indices = dict(zip(self.kept, writer.decode("place", [domain[d] for d in self.kept]), strict=True))
        self.at = [indices.get(d, "0") for d in range(len(domain))]
        reductions = []
        for number, root in enumerate(self.sums):
            dtype = accumulator_dtype(root.value.dtype)
            start = ", ".join([first_number(root.kind, dtype)] * self.lanes)
            writer.put(f"{register_type(dtype)} acc{number}[{self.lanes}] = {{{start}}};")
            reductions.append((f"acc{number}", root.kind, root.value))
        begin, end = "0", str(self.groups)
        if self.splits > 1:
            per = -(-self.groups // self.splits)
            writer.put(f"const index_t begin = blockIdx.y * (index_t){per};")
            writer.put(f"const index_t end = begin + {per} < {self.groups} ? begin + {per} : {self.groups};")
            begin, end = "begin", "end"
        writer.put("#pragma unroll 4")
        lane = "x" if self.inner else "y"
        writer.open(f"for (index_t j = {begin} + {lane}; j < {end}; j += {self.team})")
        sizes = [domain[d] for d in self.reduced]
        found = _chunk_indices(writer, "j", sizes, self.lanes) if self.inner else writer.decode("j", sizes)
        indices |= zip(self.reduced, found, strict=True)
        at = [indices[d] for d in range(len(domain))]
        writer.chunk(Chunk(at, self.lanes, condition=self.condition, roots=self.others, reductions=reductions))
        writer.close()

    def _combine(self, number: int, root: Root, target: Buffer) -> None:
        writer, operation = self.writer, OPERATIONS[root.kind]
        dtype = register_type(accumulator_dtype(root.value.dtype))
        total = f"lanes_together<{operation}>(acc{number})"
        writes = "x == 0" if self.inner else "y == 0"
        if self.inner and self.team > 1:
            room = f"room{number}" if self.team > WARP else f"({dtype}*)0"
            total = f"team_together<{operation}, {self.team}>({total}, {room})"
        writer.put(f"{dtype} sum{number} = {total};")
        if not self.inner and self.team > 1:
            writer.put(f"room{number}[y][x] = sum{number};")
            writer.put("__syncthreads();")
            writer.put(f"for (int k = 1; y == 0 && k < {self.team}; ++k)")
            writer.put(f"  sum{number} = {operation}::of(sum{number}, room{number}[k][x]);")
            writer.put("__syncthreads();")
        if self.condition:
            writes += f" && {self.condition}"
        place = f"{writer.pointer(target, writes=True)} + {writer.address(root.address, self.at)}"
        if self.splits > 1:
            place += f" + blockIdx.y * (index_t){root.buffer.size}"
        writer.put(f"if ({writes}) store(sum{number}, {place});")


def _write_reduce(part: Part, buffers: list[Buffer], taken: int) -> list[Kernel]:
    first = _Reduce(part)
    if first.splits == 1:
        return [first.write([root.buffer for root in first.sums])]
    partials, kernels = [], []
    for root in first.sums:
        dtype = accumulator_dtype(root.value.dtype)
        partials.append(Buffer("arena", taken - 1 - len(buffers), first.splits * root.buffer.size, dtype))
        buffers.append(partials[-1])
    kernels.append(first.write(partials))
    for number, (root, partial) in enumerate(zip(first.sums, partials, strict=True)):
        kernels.append(_write_second(f"{part.name}_{number}", root, partial, first.splits))
    return kernels


def _write_second(name: str, root: Root, partial: Buffer, splits: int) -> Kernel:
    """Combines the partial sums of several blocks."""
    size = root.buffer.size
    domain = (splits, size) if size > 1 else (splits,)
    value = Value(
        "load",
        [],
        partial.dtype,
        frozenset(range(len(domain))),
        buffer=partial,
        address=(0, *strides_of(domain)),
        level=COLUMN,
    )
    address = (0, 0, 1) if size > 1 else (root.address[0], 0)
    final = Root("accumulate", value, root.buffer, address, value.dims, root.kind, level=COLUMN)
    return _Reduce(Part("reduce", name, domain, 1, [final]), is_second=True).write([root.buffer])


WRITERS = {"map": _write_map, "rows": _write_rows, "scatter": _write_scatter}
