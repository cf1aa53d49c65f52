"""Kernels with a team of threads for each row: softmax, normalization, and what else needs a sum over the columns.

A team is a part of a warp for short rows, a warp, or a whole block. A row that is not too long stays in the registers of its
team between one loop over the columns and the next.
"""

from __future__ import annotations

import math

from rushlight.compiler.cuda_chunk import (
    OPERATIONS,
    Chunk,
    accumulator_dtype,
    first_number,
    is_contiguous,
    lanes_for,
    needed,
)
from rushlight.compiler.cuda_elements import memory_type, register_type
from rushlight.compiler.cuda_kernel import (
    BLOCK,
    MAX_BLOCKS,
    WARP,
    Kernel,
    chunk_indices,
    define_scalars,
    finish,
    power_above,
    writer_for,
)
from rushlight.compiler.cuda_split import Part, values_of
from rushlight.compiler.elements import CHEAP
from rushlight.compiler.loops import COLUMN, SCALAR, Root, Value

MAX_BLOCK = 1024
REGISTERS = 32  # elements of a row that a thread keeps of each value
KEPT = 64  # and of all values together


def _team_size(num_rows: int, groups: int) -> int:
    """Threads for a row of so many chunks: a part of a warp for short rows, a block for long ones."""
    wide = power_above(groups)
    if wide <= WARP:
        return wide
    if groups <= 8 * WARP and num_rows >= 2048:
        return WARP
    return max(2 * WARP, min(power_above(-(-groups // 4)), MAX_BLOCK))


class _Rows:
    """Writes a kernel with a team for each row; one object a kernel, used once."""

    def __init__(self, part: Part):
        self.part, self.writer = part, writer_for(part, extra=MAX_BLOCKS * BLOCK)
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
        define_scalars(writer, self.part)
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
        return finish(writer, (min(-(-num_rows // teams), MAX_BLOCKS), 1), block)

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
        indices = chunk_indices(writer, "group", list(self.columns), self.lanes)
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


def write_rows(part: Part) -> Kernel:
    return _Rows(part).write()
