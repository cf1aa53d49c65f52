"""A step that is repeated over time, on a GPU, as one kernel for all times: where the matrices are small.

As on a CPU, whoever takes some rows runs all times for them: a block of threads, which waits for no other. Between two times
there is then no launch, but a block reads the matrices anew, from the cache of all multiprocessors, so they must not be large;
`cuda_scan.py` launches products of cuBLAS where they are.

Left out: sequences of several lengths.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rushlight.arrays import kinds
from rushlight.compiler.cuda_chunk import Chunk, Writer
from rushlight.compiler.cuda_elements import memory_type
from rushlight.compiler.cuda_kernel import WARP, chunk_indices, define_scalars, power_above
from rushlight.compiler.cuda_split import Part, values_of
from rushlight.compiler.loops import Buffer, Root, Value
from rushlight.compiler.nvrtc import functions_of
from rushlight.compiler.products import Product
from rushlight.compiler.scan import RECORDED_ROWS

MOST_THREADS = 512  # of a block
PRODUCTS = (
    16  # of numbers, at most, that each thread of a block computes at one time and row, if there may be as many threads
)
MOST_BYTES = 1 << 18  # of a matrix: so much a multiprocessor reads in the time of two launches
MOST_PRODUCTS = 1 << 24  # of numbers, at one time: with more of them, cuBLAS is quicker
BLOCKS = 64  # that each read the matrices at every time: with more rows than that, a block takes several
MOST_ROWS = 4  # of a block: their sums are in registers
MOST_SAMPLES = 1 << 10
MIN_TIMES = 4  # matrices are put in order first

# c = a b, or c += a b, of a block's rows: a thread has a column, or a part of each sum of one, if there are fewer columns than threads.
PRODUCT = """
__device__ __forceinline__ float multiply_add(float x, float y, float z) { return fmaf(x, y, z); }
__device__ __forceinline__ double multiply_add(double x, double y, double z) { return fma(x, y, z); }

template <class T, int threads, int most_rows, int n, int k, int leading, bool adds>
__device__ void multiply_rows(const T* a, const T* b, T* c, int rows) {
  constexpr int parts = n < threads ? threads / n : 1, width = n < threads ? n : threads, part = (k + parts - 1) / parts;
  __shared__ T partial[most_rows * threads];
  const int own = threadIdx.x / width;
  const T* row[most_rows];
  #pragma unroll
  for (int r = 0; r < most_rows; ++r) row[r] = a + (r < rows ? r : 0) * leading;
  for (int column = threadIdx.x % width; column < n; column += width) {
    if (own >= parts) break;
    T sums[most_rows] = {};
    const int end = (own + 1) * part < k ? (own + 1) * part : k;
    int i = own * part;
    #pragma unroll 2
    for (; i + 4 <= end; i += 4) {
      T x[most_rows][4];
      #pragma unroll
      for (int r = 0; r < most_rows; ++r) load_lanes<4>(x[r], row[r] + i, 4);
      #pragma unroll
      for (int q = 0; q < 4; ++q) {
        const T y = b[(i + q) * n + column];
        #pragma unroll
        for (int r = 0; r < most_rows; ++r) sums[r] = multiply_add(x[r][q], y, sums[r]);
      }
    }
    for (; i < end; ++i) {
      const T y = b[i * n + column];
      #pragma unroll
      for (int r = 0; r < most_rows; ++r) sums[r] = multiply_add(row[r][i], y, sums[r]);
    }
    #pragma unroll
    for (int r = 0; r < most_rows; ++r) {
      if (parts > 1) partial[(r * parts + own) * n + column] = sums[r];
      else if (r < rows) c[r * n + column] = adds ? c[r * n + column] + sums[r] : sums[r];
    }
  }
  if (parts == 1) return;
  __syncthreads();
  for (int i = threadIdx.x; i < rows * n; i += threads) {
    const int first = i / n * parts * n + i % n;
    T sum = partial[first];
    for (int p = 1; p < parts; ++p) sum += partial[first + p * n];
    c[i] = adds ? c[i] + sum : sum;
  }
}
"""


def places_of(parts: Iterable[Part]) -> list[Value | Root]:
    """What some parts read and write."""
    items = [item for part in parts for item in (*values_of(part.roots), *part.roots)]
    return [item for item in items if item.buffer is not None]


@dataclass(eq=False)
class RowsProduct:
    """A product of rows with a constant matrix, written to a buffer or added to what is there."""

    product: Product
    target: Buffer
    adds: bool


Work = list[Part] | RowsProduct  # what runs together at a time


class WholeScan:
    """The kernel of a step's work, in order.

    Args:
        constants: the buffers of the step's constants.
        moving: the buffers of its inputs and outputs, which have rows for every time.
    """

    def __init__(self, work: Sequence[Work], constants: Sequence[Buffer], moving: set[Buffer]):
        self._work, self._constants, self._moving = work, list(constants), moving
        self._sources: dict[int, tuple[str, list[Buffer]]] = {}
        products = [item.product for item in work if isinstance(item, RowsProduct)]
        self._matrices = {product.b.buffer: product.b.transposed for product in products}
        self._num_products = sum(product.n * product.k for product in products)
        self._nbytes = max([product.n * product.k * product.dtype.itemsize for product in products], default=0)
        most = max([product.n * product.k for product in products], default=0)
        self._threads = min(max(power_above(most // PRODUCTS), WARP), MOST_THREADS)
        whole = [not p.b.offset and p.b.leading == (p.k if p.b.transposed else p.n) for p in products]
        elsewhere = {place.buffer for item in work if isinstance(item, list) for place in places_of(item)}
        self._can = len(self._matrices) == len(products) and all(whole) and elsewhere.isdisjoint(self._matrices)

    def suits(self, num_rows: int, num_times: int) -> bool:
        """Whether one kernel is quicker than a product and a kernel at each time."""
        is_small = self._nbytes <= MOST_BYTES and num_rows * self._num_products <= MOST_PRODUCTS
        return self._can and is_small and num_rows <= MOST_SAMPLES and num_times >= MIN_TIMES

    def run(
        self, places: dict[Buffer, int], constants: Sequence[Any], num_rows: int, row_step: int, num_times: int
    ) -> None:
        """Runs all times, on the current device and stream.

        Args:
            places: where each buffer is, at the first time.
            row_step: how many rows further on inputs and outputs are at the next time.
        """
        cuda = kinds.gpu().cupy.cuda
        ordered = [
            x.T.copy("C") if self._matrices.get(buffer) else x
            for buffer, x in zip(self._constants, constants, strict=True)
        ]
        places = places | {buffer: x.data.ptr for buffer, x in zip(self._constants, ordered, strict=True)}
        rows = min(-(-num_rows // BLOCKS), MOST_ROWS)
        if rows not in self._sources:
            self._sources[rows] = self._written(rows)
        source, buffers = self._sources[rows]
        (function,) = functions_of(source, ("whole_scan",), cuda.runtime.getDevice())
        values = np.array([*[places[buffer] for buffer in buffers], num_rows, row_step, num_times], np.int64)
        pointers = values.ctypes.data + 8 * np.arange(len(values))
        stream = cuda.get_current_stream().ptr
        blocks = -(-num_rows // rows)
        cuda.driver.launchKernel(function.ptr, blocks, 1, 1, self._threads, 1, 1, 0, stream, pointers.ctypes.data, 0)

    def _written(self, rows: int) -> tuple[str, list[Buffer]]:
        """The source for blocks of so many rows, and the buffers that are its first arguments."""
        writer = Writer("whole_scan", 0, "int")
        writer.depth = 2
        for item in self._work:
            if isinstance(item, RowsProduct):
                self._write_product(writer, item, rows)
            else:
                self._write_parts(writer, item)
            writer.put("__syncthreads();")
        parameters, locals_ = [], []
        for buffer, name in writer.pointers.items():
            kind = f"{'' if buffer in writer.written else 'const '}{memory_type(buffer.dtype)}*"
            alone = "" if buffer in writer.written else " __restrict__"
            parameters.append(f"{kind}{alone} given_{name}")
            place = f"given_{name}"
            if buffer not in self._constants:
                row = "time * row_step + first" if buffer in self._moving else "first"
                place += f" + ({row}) * {buffer.size // RECORDED_ROWS}"
            locals_.append(f"    {kind}{alone} {name} = {place};")
        text = [
            PRODUCT,
            f'extern "C" __global__ void __launch_bounds__({self._threads}) whole_scan({", ".join(parameters)},',
            "    long long num_rows, long long row_step, long long num_times) {",
            "  typedef int index_t;",
            f"  const long long first = blockIdx.x * {rows}LL;",
            f"  const int rows = num_rows - first < {rows} ? (int)(num_rows - first) : {rows};",
            "  for (long long time = 0; time < num_times; ++time) {", *locals_, *writer.lines, "  }", "}",
        ]  # fmt: skip
        return "\n".join(text), list(writer.pointers)

    def _write_product(self, writer: Writer, item: RowsProduct, rows: int) -> None:
        product, kind, adds = item.product, memory_type(item.product.dtype), item.adds
        a, b = writer.pointer(product.a.buffer), writer.pointer(product.b.buffer)
        c = writer.pointer(item.target, writes=True)
        shape = f"{self._threads}, {rows}, {product.n}, {product.k}, {product.a.leading}, {'true' if adds else 'false'}"
        writer.put(f"multiply_rows<{kind}, {shape}>({a} + {product.a.offset}, {b}, {c}, rows);")

    def _write_parts(self, writer: Writer, parts: list[Part]) -> None:
        domain = parts[0].domain
        writer.last = len(domain) - 1
        for part in parts:
            define_scalars(writer, part)
        writer.open(f"for (index_t i = threadIdx.x; i < rows * {math.prod(domain[1:])}; i += {self._threads})")
        indices = chunk_indices(writer, "i", list(domain), 1)
        for part in parts:
            writer.chunk(Chunk(indices, 1, roots=part.roots))
        writer.close()
