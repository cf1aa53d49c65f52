"""A step that is repeated over time, on a GPU: cuBLAS's products and one kernel between them, launched by a tight loop.

What `scan.py` is for CPUs, from the same recorded step. There whoever takes some rows runs all times for them; a GPU has to
have all rows at once, so a time is a few launches. Kernels are written for any number of rows, which is an argument. All
addresses of all times are worked out beforehand, in NumPy; then iterators launch, with no line of Python in between. Where
matrices are small, `cuda_whole_scan.py` has all times in one kernel.

A state that is a product and something else is stored as the latter, to which cuBLAS adds the product: what else would be
one launch more at every time.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

from rushlight.arrays import kinds
from rushlight.arrays.recurrent import Times
from rushlight.arrays.symbolic import Node
from rushlight.compiler.cuda_chunk import Chunk, Writer
from rushlight.compiler.cuda_elements import is_generated
from rushlight.compiler.cuda_kernel import FAR, MAX_BLOCKS, chunk_indices, define_scalars
from rushlight.compiler.cuda_split import Part, split_nest
from rushlight.compiler.cuda_whole_scan import RowsProduct, WholeScan, Work, places_of
from rushlight.compiler.graph import Graph
from rushlight.compiler.loops import Buffer
from rushlight.compiler.nvrtc import functions_of
from rushlight.compiler.products import Product
from rushlight.compiler.program import Plan
from rushlight.compiler.scan import RECORDED_ROWS, is_of_rows, plan_by_rows
from rushlight.compiler.simplify import simplify

THREADS = 128  # of a block: a step has few elements, which should reach many multiprocessors


@dataclass(eq=False)
class RowsKernel:
    """A kernel for any number of rows: its arguments are these buffers and how many elements there are, so many a row."""

    name: str
    text: str
    arguments: list[Buffer]
    per_row: int


class CudaScan:
    """Runs a recorded step over all times. See `build`."""

    def __init__(self, plan: Plan, work: list[Work], counts: tuple[int, int, int, int]):
        self.num_constants, self.num_inputs, self.num_states, self.num_outputs = counts
        self.launches = launches = [_kernel(item) if isinstance(item, list) else item for item in work]
        kernels = [launch for launch in launches if isinstance(launch, RowsKernel)]
        self.source, self._names = "\n".join(k.text for k in kernels), tuple(k.name for k in kernels)
        outputs = plan.outputs[: self.num_outputs]
        self._scratch = [buffer for buffer in plan.buffers.values() if buffer.kind == "arena"]
        buffers = [*plan.inputs, *outputs, *self._scratch]
        self._slots = {buffer: i for i, buffer in enumerate(buffers)}
        self._widths, self._dtype = [buffer.size // RECORDED_ROWS for buffer in outputs], outputs[0].dtype
        moving = {*plan.inputs[self.num_constants : -self.num_states], *outputs}
        self._whole = WholeScan(work, plan.inputs[: self.num_constants], moving)
        self._widest = max(b.size // RECORDED_ROWS for b in buffers[self.num_constants :])

    @staticmethod
    def build(graph: Graph, counts: tuple[int, int, int, int]) -> CudaScan | None:
        """A program for a graph on RECORDED_ROWS rows, whose last outputs are written to its last inputs, the states.

        Args:
            counts: how many of the graph's inputs are constants, inputs with a time, and states; and the outputs with a time.
        """
        simple = simplify(graph)
        apart, states = _products_apart(simple)
        return _built(apart, counts, states) or (_built(simple, counts, {}) if states else None)

    def run(
        self, constants: Sequence[Any], inputs: Sequence[Any], states: Sequence[Any], times: Times,
        batch_first: Sequence[bool],
    ) -> tuple[list[Any], list[Any]] | None:  # fmt: skip
        """(outputs, last states), on the current device and stream; None for no rows, and for too many.

        The arguments are those of `arrays.recurrent`; outputs lie time after time.
        """
        num_rows = len(states[0])
        starts, rows = np.array(times, np.int64).T
        if not rows.all() or num_rows * self._widest >= FAR:
            return None
        empty = kinds.gpu().cupy.empty
        fixed = [x if x.flags.c_contiguous else x.copy("C") for x in constants]
        inputs = [x if x.flags.c_contiguous else x.copy("C") for x in inputs]
        states = [x.copy("C") for x in states]
        outputs = [empty((*inputs[0].shape[:-1], width), self._dtype) for width in self._widths]
        scratch = [empty((num_rows, buffer.size // RECORDED_ROWS), buffer.dtype) for buffer in self._scratch]
        arrays = (*fixed, *inputs, *states, *outputs, *scratch)
        first = np.array([x.data.ptr for x in arrays], np.int64)
        moving = {*map(id, inputs), *map(id, outputs)}
        distances = np.array([x.strides[0] if id(x) in moving else 0 for x in arrays])  # from one start to the next
        places = first + starts[:, None] * distances
        if (rows == num_rows).all() and self._whole.suits(num_rows, len(times)):
            at = dict(zip(self._slots, places[0].tolist(), strict=True))
            step = num_rows if starts[-1] > starts[0] else -num_rows
            self._whole.run(at, fixed, num_rows, step, len(times))
        else:
            self._launch_all(places, rows)
        return outputs, states

    def _launch_all(self, places: np.ndarray, rows: np.ndarray) -> None:
        """Launches everything, time after time.

        Args:
            places: (times, arrays): where each array begins at each time.
            rows: (times,): how many there are.
        """
        cupy, kept = kinds.gpu().cupy, []
        functions = iter(functions_of(self.source, self._names, cupy.cuda.runtime.getDevice()))
        calls = []
        for launch in self.launches:
            if isinstance(launch, RowsProduct):
                calls.append(self._products(launch, places, rows))
                continue
            sizes, values = rows * launch.per_row, np.empty((len(rows), len(launch.arguments) + 1), np.int64)
            values[:, :-1] = places[:, [self._slots[buffer] for buffer in launch.arguments]]
            values[:, -1] = sizes
            pointers = values.ctypes.data + np.arange(values.size, dtype=np.int64).reshape(values.shape) * 8
            kept += [values, pointers]
            calls.append(_kernels(next(functions).ptr, sizes, pointers))
        collections.deque(zip(*calls, strict=False), maxlen=0)  # each `next` of an iterator is a launch

    def _products(self, launch: RowsProduct, places: np.ndarray, rows: np.ndarray) -> Iterator[None]:
        from rushlight.arrays.gpu.products import Repeated

        product, size = launch.product, launch.product.dtype.itemsize
        a, b = product.a, product.b
        repeated = Repeated(product.dtype, product.n, product.k, a.leading, b.leading, b.transposed, launch.adds)
        return repeated.calls(
            rows.tolist(),
            (places[:, self._slots[a.buffer]] + a.offset * size).tolist(),
            int(places[0, self._slots[b.buffer]]) + b.offset * size,
            places[:, self._slots[launch.target]].tolist(),
        )


def _kernels(function: int, sizes: np.ndarray, pointers: np.ndarray) -> Iterator[None]:
    """An iterator, each step of which launches a kernel; `pointers` has a row of addresses of arguments for each."""
    cuda = kinds.gpu().cupy.cuda
    blocks = np.minimum(-(-sizes // THREADS), MAX_BLOCKS).tolist()
    arguments = (pointers.ctypes.data + np.arange(len(pointers)) * pointers.strides[0]).tolist()
    before, after = (1, 1, THREADS, 1, 1, 0, cuda.get_current_stream().ptr), 0
    return map(cuda.driver.launchKernel, repeat(function), blocks, *map(repeat, before), arguments, repeat(after))


# ---------------------------------------------------------------- from a graph


def _products_apart(graph: Graph) -> tuple[Graph, dict[int, int]]:
    """A graph whose states have lost the products that are added to them, which are new outputs: output -> state's input."""
    users = collections.Counter(id(x) for node in graph.nodes() for x in node.inputs)
    users.update(map(id, graph.outputs))
    outputs, targets, found = list(graph.outputs), list(graph.targets), {}
    for number, (node, target) in enumerate(zip(graph.outputs, graph.targets, strict=True)):
        if target is None or node.op != "add" or users[id(node)] > 1:
            continue
        for product, other in (node.inputs, node.inputs[::-1]):
            if product.op == "matmul" and users[id(product)] == 1 and product.shape == other.shape == node.shape:
                outputs[number] = other
                found[len(outputs)] = target
                outputs.append(product)
                targets.append(None)
                break
    return Graph(graph.inputs, outputs, targets), found


def _built(graph: Graph, counts: tuple[int, int, int, int], added: dict[int, int]) -> CudaScan | None:
    """A program for a graph, whose outputs in `added` are products to be added to a state; None if it is of another kind."""
    plan = plan_by_rows(graph, is_generated)
    targets = {plan.outputs[number]: plan.inputs[state] for number, state in added.items()}
    fixed = set(plan.inputs[: counts[0]])
    launches: list[Work] = []
    written: set[Buffer] = set()
    for _, work in plan.work:
        if isinstance(work, Node) or not is_of_rows(work, fixed):
            return None
        if isinstance(work, Product):
            target = targets.get(work.c, work.c)
            if work.c in targets and target not in written:
                return None  # what it is added to has not been stored yet
            launches.append(RowsProduct(work, target, work.c in targets))
            continue
        (part, *more), _ = split_nest(work)
        if more or part.kind != "map":
            return None
        written |= {root.buffer for root in part.roots}
        last = launches[-1] if launches else None
        if isinstance(last, list) and _may_join(last, part):
            last.append(part)
        else:
            launches.append([part])
    return None if plan.constants else CudaScan(plan, launches, counts)


def _may_join(parts: list[Part], part: Part) -> bool:
    """Whether a kernel that computes some parts can compute another: no thread needs what another has written."""
    if parts[-1].domain != part.domain:
        return False
    written = {root.buffer for each in (*parts, part) for root in each.roots}
    before, after = places_of(parts), places_of([part])
    both = {item.buffer for item in before} & {item.buffer for item in after} & written
    return all(len({item.address for item in (*before, *after) if item.buffer is buffer}) == 1 for buffer in both)


def _kernel(parts: list[Part]) -> RowsKernel:
    """A thread for each element of a row; the rows' number, times the elements of one, is the last argument."""
    domain = parts[0].domain
    writer = Writer(f"scan_{parts[0].name}", len(domain), "int")
    for part in parts:
        define_scalars(writer, part)
    first, step = (f"{x}.x * {THREADS}" for x in ("blockIdx", "gridDim"))
    writer.open(f"for (index_t i = {first} + threadIdx.x; i < count; i += {step})")
    indices = chunk_indices(writer, "i", list(domain), 1)
    for part in parts:
        writer.chunk(Chunk(indices, 1, roots=part.roots))
    writer.close()
    head = f'extern "C" __global__ void __launch_bounds__({THREADS}) {writer.name}({writer.parameters()}, long long count) {{'
    text = "\n".join([head, "  typedef int index_t;", *writer.lines, "}"])
    return RowsKernel(writer.name, text, list(writer.pointers), math.prod(domain[1:]))
