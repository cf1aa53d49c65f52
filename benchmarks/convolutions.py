"""Convolutions of groups and of large kernels: forward and both derivatives, rushlight and PyTorch in alternating rounds.

    python benchmarks/convolutions.py [--toy] [--cpu-time] [--json FILE] [NAMES]

Microseconds a call, median (quartiles), and the ratio of the medians. On a machine that others use, `--cpu-time` gives the least time
that one thread was at work. *Floor* is what the work takes at the best rates that this
machine shows just then: its multiplications and additions in registers, or the bytes of its arrays, each once, whichever
takes longer.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timer


@dataclass(frozen=True)
class Case:
    """Shape of the images, how many outputs, kernel; how it lies on the images."""

    shape: tuple[int, ...]
    outputs: int
    kernel: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    groups: int = 1
    is_transposed: bool = False


CASES = {
    "depthwise 3x3, 64 x 56 x 56": Case((32, 64, 56, 56), 64, (3, 3), 1, 1, 64),
    "depthwise 3x3, stride 2, 64 x 56 x 56": Case((32, 64, 56, 56), 64, (3, 3), 2, 1, 64),
    "depthwise 3x3, 256 x 14 x 14": Case((8, 256, 14, 14), 256, (3, 3), 1, 1, 256),
    "depthwise 3x3, stride 2, 256 x 14 x 14": Case((8, 256, 14, 14), 256, (3, 3), 2, 1, 256),
    "depthwise 3x3, 960 x 7 x 7": Case((8, 960, 7, 7), 960, (3, 3), 1, 1, 960),
    "depthwise 5x5, 240 x 28 x 28": Case((8, 240, 28, 28), 240, (5, 5), 1, 2, 240),
    "depthwise 7x7, 96 x 56 x 56": Case((8, 96, 56, 56), 96, (7, 7), 1, 3, 96),
    "depthwise 7x7, 768 x 7 x 7": Case((8, 768, 7, 7), 768, (7, 7), 1, 3, 768),
    "32 groups of 4, 3x3, 128 x 28 x 28": Case((8, 128, 28, 28), 128, (3, 3), 1, 1, 32),
    "32 groups of 8, 3x3, 256 x 14 x 14": Case((8, 256, 14, 14), 256, (3, 3), 1, 1, 32),
    "depthwise 4, 256 x 512": Case((8, 256, 512), 256, (4,), 1, 3, 256),
    "depthwise 31, 256 x 512": Case((8, 256, 512), 256, (31,), 1, 15, 256),
    "11x11, stride 4, 3 x 224 x 224": Case((8, 3, 224, 224), 64, (11, 11), 4, 2),
    "transposed 4x4, stride 2, 128 x 16 x 16": Case((16, 128, 16, 16), 64, (4, 4), 2, 1, 1, True),
}
TOY_SCALE = 4  # toys have so much smaller sides and batches


def toy(case: Case) -> Case:
    batch, channels, *size = case.shape
    smaller = [max(n // TOY_SCALE, *case.kernel) for n in size]
    return Case((max(1, batch // TOY_SCALE), channels, *smaller), *list(case.__dict__.values())[1:])


def operations(torch: Any, case: Case) -> dict[str, Callable[[], Any]]:
    """The convolution and its derivatives by the images and by the weights."""
    import numpy as np

    random = np.random.default_rng(0)
    inputs, outputs = case.shape[1] // case.groups, case.outputs
    sides = (case.shape[1], outputs // case.groups) if case.is_transposed else (outputs, inputs)
    x, weight = (
        torch.from_numpy(random.standard_normal(shape).astype(np.float32)).requires_grad_()
        for shape in (case.shape, (*sides, *case.kernel))
    )
    name = f"conv{'_transpose' * case.is_transposed}{len(case.kernel)}d"
    function = getattr(torch.nn.functional, name)

    def forward() -> Any:
        return function(x, weight, None, stride=case.stride, padding=case.padding, groups=case.groups)

    def forward_only() -> None:
        with torch.no_grad():
            forward()

    out = forward()
    grad = torch.from_numpy(random.standard_normal(tuple(out.shape)).astype(np.float32))
    return {
        "forward": forward_only,
        "by x": lambda: torch.autograd.grad(out, x, grad, retain_graph=True),
        "by weight": lambda: torch.autograd.grad(out, weight, grad, retain_graph=True),
    }


def work(case: Case) -> tuple[float, float]:
    """(floating-point operations, bytes) of one pass in float32."""
    batch, channels, *size = case.shape
    axes = zip(size, case.kernel, strict=True)
    if case.is_transposed:
        places = [(n - 1) * case.stride - 2 * case.padding + k for n, k in axes]
    else:
        places = [(n + 2 * case.padding - k) // case.stride + 1 for n, k in axes]
    per_group = channels * case.outputs // case.groups * math.prod(case.kernel)
    met = math.prod(size if case.is_transposed else places)
    elements = math.prod(case.shape) + per_group + batch * case.outputs * math.prod(places)
    return 2.0 * batch * met * per_group, 4.0 * elements


def cpu_time(contestants: dict[str, Callable[[], Any]], rounds: int, block: float) -> dict[str, timer.Timing]:
    """The least processor time that this thread takes for a call, of blocks in turn."""
    least = dict.fromkeys(contestants, math.inf)
    for _ in range(rounds):
        for name, function in contestants.items():
            end, calls = time.perf_counter() + block, 0
            while calls < 3 or time.perf_counter() < end:
                start = time.thread_time()
                function()
                least[name], calls = min(least[name], time.thread_time() - start), calls + 1
    return {name: timer.summarize([seconds]) for name, seconds in least.items()}


def rates(threads: int, is_toy: bool) -> tuple[float, float]:
    """The most operations and bytes a second: sums of products in registers, and NumPy's negation in place."""
    import numpy as np

    length = 100_000 if is_toy else 2_000_000
    parts = np.array_split(np.ones(length, np.float32), threads)
    with ThreadPoolExecutor(threads) as pool:
        negate = min(
            timer.time_block(lambda: list(pool.map(lambda part: np.negative(part, out=part), parts)), 3)
            for _ in range(7)
        )
    turns = 10_000 if is_toy else 500_000
    run, flops = sums_of_products(threads, turns)
    return flops / min(timer.time_block(run, 3) for _ in range(7)), 8.0 * length / negate


def sums_of_products(threads: int, turns: int) -> tuple[Callable[[], None], float]:
    """(a function that adds products to 12 vectors on all threads, how many operations these are)."""
    import numpy as np

    from rushlight.compiler.module import Module
    from rushlight.compiler.vectors import Vectors, run_on_table

    code = Vectors(Module(), np.dtype(np.float32))
    sums = [code.variable() for _ in range(12)]
    factor = code.spread(code.slot(0))
    code.loop(turns, lambda _: [code.add_product(variable, factor, factor) for variable in sums])
    out = code.at(code.slot(1), ("%chunk", len(sums) * code.lanes * code.item))
    for i, variable in enumerate(sums):
        code.store(code.read(variable), code.at(out, (i, code.lanes * code.item)))
    library = code.library("peak")
    given, written = np.zeros(1, np.float32), np.empty((threads, len(sums), code.lanes), np.float32)
    phase = library.address("peak"), threads

    def run() -> None:
        assert library is not None  # it keeps the code
        run_on_table([phase], [given.ctypes.data, written.ctypes.data])

    return run, 2.0 * threads * turns * written[0].size


def main() -> None:
    parser = argparse.ArgumentParser(description="Convolutions of rushlight against PyTorch.")
    parser.add_argument("names", nargs="*", help="parts of cases' names; all, if none is named")
    parser.add_argument("--toy", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="processor time of one thread")
    parser.add_argument("--json", type=Path, help="write everything to this file too")
    options = parser.parse_args()
    options.threads = 1 if options.cpu_time else options.threads
    timer.use_threads(options.threads)

    import torch

    import rushlight

    compare = cpu_time if options.cpu_time else timer.compare
    torch.set_num_threads(options.threads)
    stamp = timer.machine_stamp(options.threads)
    rounds, block = (3, 0.002) if options.toy else (7, 0.01)
    flop_rate, byte_rate = rates(options.threads, options.toy)
    rows, results = [], []
    for name, case in CASES.items():
        if options.names and not any(part in name for part in options.names):
            continue
        case = toy(case) if options.toy else case
        flops, moved = work(case)
        floor = max(flops / flop_rate, moved / byte_rate)
        ours, theirs = (operations(library, case) for library in (rushlight, torch))
        for operation, function in ours.items():
            timings = compare({"torch": theirs[operation], "rushlight": function}, rounds, block)
            ratio = timer.ratio(timings, "rushlight", "torch")
            results.append(
                {"case": name, "operation": operation, "ratio": ratio, "floor": floor, **timer.as_json(timings)}
            )
            found = [timings[contestant] for contestant in ("torch", "rushlight")]
            cells = [timer.number(t.median * 1e6) if options.cpu_time else timer.microseconds(t) for t in found]
            rows.append([f"{name}: {operation}", *cells, f"{ratio:.2f}", timer.number(floor * 1e6)])
    print(timer.stamp_line(stamp), end="\n\n")
    print(f"The best rates: {flop_rate / 1e9:.0f} Gflop/s, {byte_rate / 1e9:.0f} GB/s.", end="\n\n")
    if options.cpu_time:
        print("Processor time of one thread, the least of all calls.", end="\n\n")
    print(timer.table(["convolution", "PyTorch, us", "rushlight, us", "ratio", "floor, us"], rows))
    if options.json:
        options.json.write_text(json.dumps({"stamp": stamp, "toy": options.toy, "results": results}, indent=1))


if __name__ == "__main__":
    main()
