"""Kernels that reduce some dimensions for each element of the others: gradients of biases, sums of everything.

Threads share the reduced dimensions in strides, and combine what they have in a fixed order. Where too few blocks would be
busy, several share a sum, and a second kernel combines their results.
"""

from __future__ import annotations

import math

from rushlight.compiler.affine import strides_of
from rushlight.compiler.cuda_chunk import OPERATIONS, Chunk, accumulator_dtype, first_number, lanes_for
from rushlight.compiler.cuda_elements import register_type
from rushlight.compiler.cuda_kernel import (
    BLOCK,
    MAX_BLOCKS,
    SCALAR_MAP,
    WARP,
    Kernel,
    chunk_indices,
    define_scalars,
    finish,
    power_above,
    writer_for,
)
from rushlight.compiler.cuda_split import Part, values_of
from rushlight.compiler.loops import COLUMN, Buffer, Root, Value

PER_THREAD = 16  # elements that a thread adds up before others could help
BLOCKS_WANTED = 1024  # of a sum that several blocks share


class _Reduce:
    """Writes a kernel that reduces some dimensions; one object a kernel, used once."""

    def __init__(self, part: Part, is_second: bool = False):
        self.part, self.writer = part, writer_for(part, extra=MAX_BLOCKS * BLOCK)
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
            self.team = min(power_above(self.groups), WARP)
            if self.groups > 8 * WARP * per_thread or self.groups > 4 * WARP and self.size < 256:
                self.team = min(max(power_above(-(-self.groups // per_thread)), 2 * WARP), BLOCK)
            self.block = self.team if self.team > WARP else 4 * WARP
            self.across = self.block // self.team  # sums in a block
        else:
            self.team = min(power_above(-(-self.groups // 4)), BLOCK // WARP * (4 if is_second else 1))
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
        define_scalars(writer, self.part)
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
        return finish(writer, (min(blocks, MAX_BLOCKS), self.splits), self.block)

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
        found = chunk_indices(writer, "j", sizes, self.lanes) if self.inner else writer.decode("j", sizes)
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


def write_reduce(part: Part, buffers: list[Buffer], taken: int) -> list[Kernel]:
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
