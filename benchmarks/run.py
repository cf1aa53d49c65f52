"""Training steps against PyTorch: rushlight eager and compiled, PyTorch eager, in alternating rounds.

    python benchmarks/run.py                     # all workloads, a Markdown table
    python benchmarks/run.py linreg digits_adam  # some of them
    python benchmarks/run.py --toy               # small and quick: whether everything runs

Each workload has a process of its own, with an empty cache of compiled code, so first-step times are cold ones.
The libraries start from the same parameters, and their first five losses are compared. Without PyTorch the
table has rushlight's columns only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import timer

TOLERANCE = 1e-4  # relative, of the first losses
SIDE = 1024  # of the matrices that measure the machine


# ---------------------------------------------------------------- one workload, in its own process


def measure(name: str, toy: bool, threads: int) -> dict[str, Any]:
    """Builds a workload for every contestant, compares their first losses, and times them."""
    import workloads

    import rushlight

    workload = workloads.WORKLOADS[name]
    size = workload.toy if toy else workload.size
    libraries = {"rushlight": rushlight, "rushlight compiled": rushlight}
    if importlib.util.find_spec("torch") is not None:
        import torch

        libraries = {"torch": torch, **libraries}
    steps, losses, first = {}, {}, {}
    for contestant, library in libraries.items():
        if hasattr(library, "set_num_threads"):
            library.set_num_threads(threads)
        library.manual_seed(0)
        case = workload.build(library, **size)
        step = library.compile(case.step) if contestant.endswith("compiled") else case.step
        start = time.perf_counter()
        losses[contestant] = [case.value(step())]
        first[contestant] = time.perf_counter() - start
        losses[contestant] += [case.value(step()) for _ in range(4)]
        steps[contestant] = step
    before = timer.others_seconds(), time.perf_counter()
    timings = timer.compare(steps, rounds=3 if toy else 21, block=0.005 if toy else 0.1)
    others = max(0.0, timer.others_seconds() - before[0]) / (time.perf_counter() - before[1])
    result = {"timings": timer.as_json(timings), "first_step": first, "losses": losses, "others": others}
    result["disagreement"] = max(relative_difference(losses["rushlight"], other) for other in losses.values())
    if workload.flops is not None and workload.moved is not None:
        result["flops"], result["bytes"] = workload.flops(size), workload.moved(size)
        result["floor"] = floor(result["flops"], result["bytes"], threads, toy)
    return result


def relative_difference(losses: list[float], others: list[float]) -> float:
    return max(abs(a - b) / max(abs(b), 1e-6) for a, b in zip(losses, others, strict=True))


def floor(flops: float, moved: float, threads: int, toy: bool) -> dict[str, float]:
    """How long the work takes at the best rates that this machine shows right now, in NumPy."""
    import numpy as np

    side = 256 if toy else SIDE
    matrix = np.ones((side, side), np.float32)
    product = min(timer.time_block(lambda: matrix @ matrix, 3) for _ in range(7))
    parts = np.array_split(np.ones(int(moved / 8), np.float32), threads)  # as much as is updated in place
    with ThreadPoolExecutor(threads) as pool:
        negate = min(
            timer.time_block(lambda: list(pool.map(lambda part: np.negative(part, out=part), parts)), 3)
            for _ in range(7)
        )
    flop_rate, byte_rate = 2.0 * side**3 / product, 8.0 * sum(part.size for part in parts) / negate
    return {"flop_rate": flop_rate, "byte_rate": byte_rate, "seconds": flops / flop_rate + moved / byte_rate}


# ---------------------------------------------------------------- all of them


def run_child(name: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """The result of a workload; None if it failed, with its own message on stderr."""
    command = [sys.executable, __file__, "--child", name, "--threads", str(options.threads)]
    with tempfile.TemporaryDirectory() as cache:
        environment = dict(os.environ, RUSHLIGHT_CACHE_DIR=cache)
        done = subprocess.run(
            command + ["--toy"] * options.toy, env=environment, stdout=subprocess.PIPE, text=True, check=False
        )
    return None if done.returncode else json.loads(done.stdout.splitlines()[-1])


def row(name: str, result: dict[str, Any]) -> list[str]:
    timings = {contestant: timer.Timing(**found) for contestant, found in result["timings"].items()}
    eager, compiled, peer = timings["rushlight"], timings["rushlight compiled"], timings.get("torch")
    first = result["first_step"]
    return [
        name, timer.microseconds(peer) if peer else "", timer.microseconds(eager), timer.microseconds(compiled),
        f"{timer.ratio(timings, 'rushlight', 'torch'):.2f}" if peer else "",
        f"{timer.ratio(timings, 'rushlight compiled', 'torch'):.2f}" if peer else "",
        f"{first['rushlight']:.3f}", f"{first['rushlight compiled']:.2f}", f"{result['disagreement']:.0e}",
        f"{result['others']:.2f}",
    ]  # fmt: skip


HEADER = [
    "workload", "PyTorch eager", "rushlight eager", "rushlight compiled", "eager / PyTorch", "compiled / PyTorch",
    "first step eager, s", "first step compiled, s", "losses differ by",
    "cores used by others",
]  # fmt: skip


def floor_row(name: str, result: dict[str, Any]) -> list[str]:
    found = result["floor"]
    compiled = result["timings"]["rushlight compiled"]["median"]
    return [
        name, timer.number(result["flops"] / 1e6), timer.number(result["bytes"] / 1e6),
        timer.number(found["flop_rate"] / 1e9), timer.number(found["byte_rate"] / 1e9),
        timer.number(found["seconds"] * 1e6), f"{compiled / found['seconds']:.2f}",
    ]  # fmt: skip


FLOOR_HEADER = ["workload", "Mflop", "MB", "Gflop/s", "GB/s", "floor, us", "compiled / floor"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Training steps of rushlight against PyTorch.")
    parser.add_argument("names", nargs="*", help="workloads; all, if none is named")
    parser.add_argument("--toy", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write everything to this file too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    timer.use_threads(options.threads)
    if options.child:
        print(json.dumps(measure(options.child, options.toy, options.threads)))
        return

    import workloads

    unknown = set(options.names) - set(workloads.WORKLOADS)
    if unknown:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}; there are {', '.join(workloads.WORKLOADS)}")
    stamp = timer.machine_stamp(options.threads)
    results, faults = {}, []
    for name in options.names or workloads.WORKLOADS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        result = run_child(name, options)
        if result is None:
            faults.append(f"{name} failed")
            continue
        results[name] = result
        if not result["disagreement"] < TOLERANCE:
            faults.append(f"the losses of {name} differ by more than {TOLERANCE}: {result['losses']}")
    print(timer.stamp_line(stamp), end="\n\n")
    print("Microseconds a step: median (quartiles).", end="\n\n")
    print(timer.table(HEADER, [row(name, result) for name, result in results.items()]))
    floors = {name: result for name, result in results.items() if "floor" in result}
    if floors:
        print("\nWhat the matrix products and Adam's memory traffic take at NumPy's best rates, one after the other:\n")
        print(timer.table(FLOOR_HEADER, [floor_row(name, result) for name, result in floors.items()]))
    if options.json:
        options.json.write_text(json.dumps({"stamp": stamp, "toy": options.toy, "results": results}, indent=1))
    if faults:
        raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
