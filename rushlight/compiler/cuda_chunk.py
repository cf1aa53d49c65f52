"""The inner part of every CUDA kernel: some neighbouring elements along the last dimension, computed by one thread.

A *chunk* is `lanes` elements. What does not change along the last dimension is computed once; what lies side by side in
memory is read and written 16 bytes at a time; the rest is a short unrolled loop over the lanes. What surrounds a chunk,
and so which thread computes which, is the business of the kernels in `cuda.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from rushlight.compiler.affine import Affine
from rushlight.compiler.cuda_elements import HALF, expression, literal, memory_type, register_type
from rushlight.compiler.llvm import start_value
from rushlight.compiler.loops import Buffer, Root, Value

OPERATIONS = {"sum": "Add", "prod": "Multiply", "max": "Maximum", "min": "Minimum", "any": "Or", "all": "And"}
LANE_BYTES = 16


def needed(wanted: Iterable[Value], known: Callable[[Value], bool]) -> list[Value]:
    """What has to be computed for some values, in order, apart from what is known."""
    found: dict[Value, None] = {}
    stack = list(wanted)
    while stack:
        value = stack.pop()
        if value not in found and not known(value):
            found[value] = None
            stack.extend(value.operands)
    return sorted(found, key=lambda value: value.number)


def accumulator_dtype(dtype: np.dtype) -> np.dtype:
    """Of a reduction's intermediate results: half precision is added up in float32."""
    return np.dtype(np.float32) if dtype.char in HALF else dtype


def first_number(kind: str, dtype: np.dtype) -> str:
    dtype = accumulator_dtype(dtype)
    return literal(start_value(kind, dtype), dtype)


@dataclass(slots=True)
class Chunk:
    """Where a chunk is and what is done there."""

    indices: list[str]  # of all dimensions; the last one is that of the first lane
    lanes: int
    left: str | None = None  # how many lanes there are, where that may be fewer
    condition: str | None = None  # stores happen where it holds
    roots: list[Root] = field(default_factory=list)
    reductions: list[tuple[str, str, Value]] = field(default_factory=list)  # accumulator array, kind, value
    kept: list[tuple[str, Value]] = field(default_factory=list)  # array, value to be put there
    recalled: dict[Value, str] = field(default_factory=dict)  # value, array where it is
    reloaded: dict[Value, Root] = field(default_factory=dict)  # value, the root whose memory has it


class Writer:
    """The text of one kernel, line by line."""

    def __init__(self, name: str, num_dims: int, index_type: str):
        self.name, self.last, self.index_type = name, num_dims - 1, index_type
        self.lines: list[str] = []
        self.depth = 1
        self.names: dict[Value, str] = {}
        self.pointers: dict[Buffer, str] = {}
        self.read: set[Buffer] = set()
        self.written: set[Buffer] = set()
        self.finds = False
        self.count = 0

    # ------------------------------------------------------------ text

    def put(self, line: str) -> None:
        self.lines.append("  " * self.depth + line)

    def open(self, line: str) -> None:
        self.put(line + " {")
        self.depth += 1

    def close(self) -> None:
        self.depth -= 1
        self.put("}")

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def pointer(self, buffer: Buffer, writes: bool = False) -> str:
        (self.written if writes else self.read).add(buffer)
        return self.pointers.setdefault(buffer, f"b{len(self.pointers)}")

    def parameters(self) -> str:
        """A pointer for each buffer, then where and by what number the kernel tells of an index out of bounds."""
        found = []
        for buffer, name in self.pointers.items():
            constant = "" if buffer in self.written else "const "
            alone = "" if buffer in self.written and buffer in self.read else " __restrict__"
            found.append(f"{constant}{memory_type(buffer.dtype)}*{alone} {name}")
        return ", ".join([*found, *(["volatile long long* found", "long long number"] if self.finds else [])])

    def address(self, address: Affine, indices: list[str]) -> str:
        terms = [i if c == 1 else f"{c} * {i}" for c, i in zip(address[1:], indices, strict=False) if c]
        if address[0] or not terms:
            terms.append(str(address[0]))
        return " + ".join(terms)

    def decode(self, name: str, sizes: list[int]) -> list[str]:
        """Indices from a number; the first dimension's needs no remainder."""
        indices: list[str] = []
        rest = name
        for size in reversed(sizes[1:]):
            index = self.fresh("i")
            self.put(f"const index_t {index} = {rest} % {size};")
            indices.append(index)
            rest = f"({rest} / {size})"
        if sizes:
            index = self.fresh("i")
            self.put(f"const index_t {index} = {rest};")
            indices.append(index)
        return indices[::-1]

    # ------------------------------------------------------------ values

    def define(self, value: Value, indices: list[str]) -> None:
        """Computes a value here, from what has names already."""
        if value.op == "constant":
            self.names[value] = literal(value.attrs["value"], value.dtype)
            return
        name = f"v{value.number}_{self.fresh('')}"
        self.put(f"const {register_type(value.dtype)} {name} = {self._text(value, indices)};")
        self.names[value] = name

    def _text(self, value: Value, indices: list[str]) -> str:
        if value.op in ("load", "gather"):
            assert value.buffer is not None
            return f"to_register({self.pointer(value.buffer)}[{self._place(value, indices)}])"
        if value.op == "index":
            return self._index(value, indices)
        if value.op == "wrap_index":
            self.finds = True
        operands = [self.names[v] for v in value.operands]
        source = value.operands[-1].dtype if value.operands else value.dtype
        return expression(value.op, operands, source, value.dtype, value.attrs)

    def _place(self, value: Value, indices: list[str]) -> str:
        looked = zip(value.operands, value.attrs.get("strides", ()), strict=True)
        return self.looked(value.address, [(self.names[v], stride) for v, stride in looked], indices)

    def looked(self, address: Affine, looked: list[tuple[str, int]], indices: list[str]) -> str:
        """An address of which some parts were looked up."""
        return " + ".join([self.address(address, indices), *(f"{name} * {stride}" for name, stride in looked)])

    def _index(self, value: Value, indices: list[str]) -> str:
        """start + step * place, as NumPy's arange computes it."""
        start, step = value.attrs["start"], value.attrs["step"]
        place = f"(long long)({self.address(value.address, indices)})"
        long, double = np.dtype(np.int64), np.dtype(np.float64)
        if isinstance(start, int) and isinstance(step, int):
            number = f"({literal(start, long)} + {literal(step, long)} * {place})"
            return expression("astype", [number], long, value.dtype, {})
        delta = (start + step) - start
        number = f"((double)({place}) * {literal(delta, double)} + {literal(start, double)})"
        return expression("astype", [number], double, value.dtype, {})

    # ------------------------------------------------------------ chunks

    def chunk(self, chunk: Chunk) -> None:
        before = dict(self.names)
        wanted = [root.value for root in chunk.roots] + [v for root in chunk.roots for v, _ in root.indices]
        wanted += [v for _, _, v in chunk.reductions] + [v for _, v in chunk.kept]
        elsewhere = chunk.recalled.keys() | chunk.reloaded.keys()
        self.names |= {
            v: f"{name}[0]" for v, name in chunk.recalled.items() if self.last not in v.dims
        }  # in every lane
        for value in needed(wanted, lambda v: v in self.names or v in elsewhere):
            if self.last not in value.dims:
                self.define(value, chunk.indices)
        side_by_side = self._load_together(chunk, wanted)
        stores = {root: self.fresh("s") for root in chunk.roots if is_contiguous(root, self.last)}
        for root, name in stores.items():
            self.put(f"{register_type(root.value.dtype)} {name}[{chunk.lanes}];")
        self.put("#pragma unroll")
        self.open(f"for (int q = 0; q < {chunk.lanes}; ++q)" + (f" if (q < {chunk.left})" if chunk.left else ""))
        self._lane(chunk, wanted, side_by_side, stores)
        self.close()
        for root, name in stores.items():
            place = f"{self.pointer(root.buffer, writes=True)} + {self.address(root.address, chunk.indices)}"
            condition = f"if ({chunk.condition}) " if chunk.condition else ""
            self.put(f"{condition}store_lanes<{chunk.lanes}>({name}, {place}, {chunk.left or chunk.lanes});")
        self.names = before

    def _load_together(self, chunk: Chunk, wanted: list[Value]) -> dict[Value, str]:
        """Arrays with the lanes of what lies side by side in memory."""
        found: dict[Value, str] = {}

        def load(value: Value, buffer: Buffer, place: str) -> None:
            name = found[value] = self.fresh("a")
            self.put(f"{register_type(value.dtype)} {name}[{chunk.lanes}];")
            place = f"{self.pointer(buffer)} + {place}"
            self.put(f"load_lanes<{chunk.lanes}>({name}, {place}, {chunk.left or chunk.lanes});")

        for value, root in chunk.reloaded.items():
            load(value, root.buffer, self.address(root.address, chunk.indices))
        for value in needed(wanted, lambda v: v in self.names or v in chunk.recalled or v in chunk.reloaded):
            if is_contiguous(value, self.last) and not any(self.last in v.dims for v in value.operands):
                assert value.buffer is not None
                load(value, value.buffer, self._place(value, chunk.indices))
        return found

    def _lane(self, chunk: Chunk, wanted: list[Value], together: dict[Value, str], stores: dict[Root, str]) -> None:
        indices = [*chunk.indices[:-1], f"({chunk.indices[-1]} + q)"] if chunk.indices else []
        self.names |= {v: f"{name}[q]" for v, name in together.items()}
        self.names |= {v: f"{name}[q]" for v, name in chunk.recalled.items()}
        for value in needed(wanted, lambda v: v in self.names):
            self.define(value, indices)
        for name, value in chunk.kept:
            self.put(f"{name}[q] = {self.names[value]};")
        for name, kind, value in chunk.reductions:
            self.put(f"{name}[q] = {OPERATIONS[kind]}::of({name}[q], {self.names[value]});")
        for root in chunk.roots:
            value = self.names[root.value]
            if root in stores:
                self.put(f"{stores[root]}[q] = {value};")
            else:
                self.write(root, value, indices, chunk.condition)

    def write(self, root: Root, value: str, indices: list[str], condition: str | None = None) -> None:
        """Writes one element."""
        looked = [(self.names[v], stride) for v, stride in root.indices]
        place = f"{self.pointer(root.buffer, writes=True)} + {self.looked(root.address, looked, indices)}"
        if root.op == "scatter" and root.kind == "add":
            self.pointer(root.buffer)
            dtype = root.value.dtype
            value = expression("add", [f"to_register(*({place}))", value], dtype, dtype, {})
        self.put(f"{f'if ({condition}) ' if condition else ''}store({value}, {place});")


def is_contiguous(item: Value | Root, last: int) -> bool:
    """Whether it lies side by side in memory along dimension `last`."""
    if item.buffer is None or item.op not in ("load", "gather", "store"):
        return False
    return last >= 0 and item.address[last + 1] == 1


def lanes_for(size: int, last: int, items: Iterable[Value | Root], must_divide: bool = True) -> int:
    """How many elements of the last dimension fill 16 bytes of the widest array that is read or written in order.

    Args:
        size: of that dimension.
        must_divide: whether the dimension has to be a multiple of that.
    """
    sizes = [item.buffer.dtype.itemsize for item in items if item.buffer is not None and is_contiguous(item, last)]
    lanes = max(LANE_BYTES // max(sizes, default=LANE_BYTES), 1)
    while must_divide and size % lanes:
        lanes //= 2
    return lanes
