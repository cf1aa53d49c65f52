"""Single operations: rushlight and PyTorch in alternating rounds, one process.

    python benchmarks/micro.py [--toy] [--json FILE]

Microseconds a call, median (quartiles), and the ratio of the medians. Results are new tensors each time.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import timer

SIZES, TOY_SIZES = [4, 1000, 100_000, 1_000_000, 10_000_000], [4, 1000]
COMPARED = ("add", "mul", "exp", "sum", "softmax", "layer_norm", "gelu", "matmul")


def operations(torch: Any, size: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The operations on `size` elements, by name."""
    import numpy as np

    random = np.random.default_rng(0)
    a, b = (torch.from_numpy(random.standard_normal(size).astype(np.float32)) for _ in range(2))
    c = torch.from_numpy(random.standard_normal(size).astype(np.float32)).requires_grad_()
    index = torch.from_numpy(random.integers(0, size, min(size, 1_000_000)))
    width = min(size, 1000)
    rows, scale, shift = a.reshape(-1, width), torch.ones(width), torch.zeros(width)
    functional = torch.nn.functional
    side = math.isqrt(size)
    square = a[: side * side].reshape(side, side)
    other = b[: side * side].reshape(side, side)

    def backward() -> None:
        c.grad = None
        (c * b).sum().backward()

    yield "add", lambda: a + b
    yield "mul", lambda: a * b
    yield "exp", lambda: a.exp()
    yield "sum", lambda: a.sum()
    yield "softmax over rows of at most 1000", lambda: functional.softmax(rows, -1)
    yield "layer_norm over rows of at most 1000", lambda: functional.layer_norm(rows, (width,), scale, shift)
    yield "gelu", lambda: functional.gelu(a)
    yield "matmul of squares", lambda: square @ other
    yield "x[1:3]", lambda: a[1:3]
    yield "x[indices], at most 1,000,000", lambda: a[index]
    yield "add with grad", lambda: c + b
    yield "(c*b).sum().backward()", backward


def main() -> None:
    parser = argparse.ArgumentParser(description="Single operations of rushlight against PyTorch.")
    parser.add_argument("--toy", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write everything to this file too")
    options = parser.parse_args()
    timer.use_threads(options.threads)

    import torch

    import rushlight

    torch.set_num_threads(options.threads)
    stamp = timer.machine_stamp(options.threads)
    sizes = TOY_SIZES if options.toy else SIZES
    rounds, block = (3, 0.002) if options.toy else (15, 0.02)
    rows, results = [], []
    for size in sizes:
        pairs = zip(operations(rushlight, size), operations(torch, size), strict=True)
        for (name, ours), (_, theirs) in pairs:
            timings = timer.compare({"torch": theirs, "rushlight": ours}, rounds, block)
            ratio = timer.ratio(timings, "rushlight", "torch")
            results.append({"operation": name, "size": size, "ratio": ratio, **timer.as_json(timings)})
            cells = [timer.microseconds(timings[contestant]) for contestant in ("torch", "rushlight")]
            rows.append([name, f"{size:,}", *cells, f"{ratio:.2f}"])
    print(timer.stamp_line(stamp), end="\n\n")
    print(timer.table(["operation", "elements", "PyTorch, us", "rushlight, us", "ratio"], rows))
    for size in sizes:
        named = [r["ratio"] for r in results if r["size"] == size and r["operation"].split()[0] in COMPARED]
        print(
            f"geometric mean of the ratios of {', '.join(COMPARED)} at {size:,}: {statistics.geometric_mean(named):.2f}"
        )
    if options.json:
        options.json.write_text(json.dumps({"stamp": stamp, "toy": options.toy, "results": results}, indent=1))


if __name__ == "__main__":
    main()
