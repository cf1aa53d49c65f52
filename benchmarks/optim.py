"""Optimizers against PyTorch: large updates at memory speed, sparse gradients, and the time of the first update.

    python benchmarks/optim.py          # three Markdown tables
    python benchmarks/optim.py --toy    # small and quick: whether everything runs

Updates: one tensor; the bytes that a method must read and write (parameter, gradient, state) over its time, over the rate at
which this machine copies on all cores. Sparse gradients: the workload recsys_adagrad of `run.py`, PyTorch's with sparse
gradients. First update: of 100 tensors, in a new process, with an empty cache of compiled code and with a full one; LLVM has
been loaded by another small program, as the forward pass does in training, which is timed too.
Needs PyTorch.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import timer

ELEMENTS = 10_000_000
METHODS: dict[str, tuple[dict[str, Any], int]] = {  # options, and how many arrays are read or written
    "Adam": ({}, 7),
    "AdamW": ({}, 7),
    "Adagrad": ({}, 5),
    "SGD": ({"lr": 0.01, "momentum": 0.9}, 5),
}
FIRST = """
import sys, time
import numpy as np
import rushlight as torch
shapes = [(64 + 8 * i, 64) for i in range(50)] + [(64 + 8 * i,) for i in range(50)]
params = [torch.nn.Parameter(torch.ones(*shape)) for shape in shapes]
start = time.perf_counter()
torch.compile(lambda x: x + 1)(torch.ones(3))
loading = time.perf_counter() - start
optimizer = getattr(torch.optim, sys.argv[1])(params)
for p in params:
    p.grad = torch.ones(*p.shape)
start = time.perf_counter()
optimizer.step()
assert optimizer._compiled.programs
print(time.perf_counter() - start, loading)
"""


def update(library: Any, name: str, options: dict[str, Any], count: int) -> Any:
    import numpy as np

    random = np.random.default_rng(0)
    param = library.from_numpy(random.standard_normal(count).astype(np.float32)).requires_grad_()
    param.grad = library.from_numpy(random.standard_normal(count).astype(np.float32))
    return getattr(library.optim, name)([param], **options).step


def updates(count: int, threads: int, rounds: int, block: float) -> list[list[str]]:
    import numpy as np
    import torch

    import rushlight

    sources, targets = (np.array_split(np.ones(count, np.float32), threads) for _ in range(2))
    rows = []
    with ThreadPoolExecutor(threads) as pool:
        for name, (options, arrays) in METHODS.items():
            timings = timer.compare(
                {
                    "rushlight": update(rushlight, name, options, count),
                    "torch": update(torch, name, options, count),
                    "fused": update(torch, name, {**options, "fused": True}, count),
                    "copy": lambda: list(pool.map(np.copyto, targets, sources)),
                },
                rounds,
                block,
            )
            copied = 8 * count / timings["copy"].median
            moved = 4 * arrays * count / timings["rushlight"].median
            ratios = [f"{timer.ratio(timings, 'rushlight', peer):.2f}" for peer in ("torch", "fused")]
            times = [timer.microseconds(timings[who]) for who in ("torch", "fused", "rushlight")]
            rows.append([name, *times, *ratios, timer.number(moved / 1e9), f"{moved / copied:.2f}"])
    return rows


def sparse_gradients(toy: bool, rounds: int, block: float) -> list[list[str]]:
    import torch
    import workloads

    import rushlight

    workload = workloads.WORKLOADS["recsys_adagrad"]
    size = workload.toy if toy else workload.size
    steps = {
        "PyTorch, sparse": workload.build(torch, **size, sparse=True).step,
        "rushlight eager, sparse": workload.build(rushlight, **size, sparse=True).step,
        "rushlight compiled, dense": rushlight.compile(workload.build(rushlight, **size).step, fullgraph=True),
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse invariant checks")
        timings = timer.compare(steps, rounds, block)
    return [
        [name, timer.microseconds(found), f"{timer.ratio(timings, name, 'PyTorch, sparse'):.2f}"]
        for name, found in timings.items()
    ]


def first_updates() -> list[list[str]]:
    rows = []
    for name in METHODS:
        seconds = []
        with tempfile.TemporaryDirectory() as cache:
            for _ in range(2):
                environment = dict(os.environ, RUSHLIGHT_CACHE_DIR=cache)
                done = subprocess.run(
                    [sys.executable, "-c", FIRST, name], env=environment, check=True, capture_output=True, text=True
                )
                seconds += map(float, done.stdout.split())
        rows.append([name, *[f"{s:.3f}" for s in (seconds[0], seconds[2], seconds[3])]])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Optimizers of rushlight against PyTorch's.")
    parser.add_argument("--toy", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    timer.use_threads(options.threads)
    print(timer.stamp_line(timer.machine_stamp(options.threads)), end="\n\n")
    rounds, block = (3, 0.005) if options.toy else (11, 0.1)
    count = ELEMENTS // 100 if options.toy else ELEMENTS
    print(f"One update of {count:,} parameters, microseconds: median (quartiles).", end="\n\n")
    header = ["method", "PyTorch", "fused=True", "rushlight", "/ PyTorch", "/ fused", "GB/s", "/ copying"]
    print(timer.table(header, updates(count, options.threads, rounds, block)), end="\n\n")
    header = ["recsys_adagrad", "microseconds a step", "/ PyTorch"]
    print(timer.table(header, sparse_gradients(options.toy, rounds, block)), end="\n\n")
    print(
        timer.table(
            ["first update of 100 tensors", "cold, s", "from the disk cache, s", "loading LLVM, s"], first_updates()
        )
    )


if __name__ == "__main__":
    main()
