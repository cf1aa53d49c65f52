"""Peak memory of training steps: rushlight beside PyTorch.

    python benchmarks/memory.py          # a Markdown table
    python benchmarks/memory.py --toy    # small: whether everything runs

What counts is the memory of arrays beyond parameters, inputs and gradients that were there before: rushlight's as
`tracemalloc` sees it (NumPy tells it), PyTorch's as its profiler does. The last column is what a step cannot do without:
each activation once and, at the widest point of backward, the gradient that arrives and the one that is made of it.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import timer


@dataclass(frozen=True, slots=True)
class Workload:
    """`build(torch)` gives (prepare, step): `prepare()` before each step is not measured. `least(bytes of a float)`."""

    build: Callable[[Any], tuple[Callable[[], Any], Callable[[], Any]]]
    least: float


def multilayer(layers: int, width: int, batch: int, accumulate: bool) -> Workload:
    """A step of an MLP with ReLUs; `accumulate`: onto gradients that are there."""

    def build(torch: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
        torch.manual_seed(0)
        parts = [part for _ in range(layers) for part in (torch.nn.Linear(width, width), torch.nn.ReLU())]
        model, x = torch.nn.Sequential(*parts), torch.randn(batch, width)

        def step() -> None:
            model(x).sum().backward()

        if accumulate:
            step()
        return (lambda: None) if accumulate else model.zero_grad, step

    activation, weight = 4.0 * batch * width, 4.0 * (width * width + width)
    # Back in layer i: the activations before it, the gradient that arrives, the one that goes on, gradients of weights.
    held = [(i + (i > 1)) * activation + (1 if accumulate else layers - i + 1) * weight for i in range(1, layers + 1)]
    return Workload(build, max(held))


def chain(length: int, size: int) -> Workload:
    """Elementwise operations one after the other, each of which keeps its result."""

    def build(torch: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
        x = torch.ones(size, requires_grad=True)

        def step() -> None:
            y = x
            for _ in range(length):
                y = y.tanh()
            y.sum().backward()

        return lambda: setattr(x, "grad", None), step

    return Workload(build, 4.0 * size * (length + 2))


def workloads(toy: bool) -> dict[str, Workload]:
    width, batch, size = (64, 256, 10_000) if toy else (512, 2048, 1_000_000)
    return {
        "12-layer MLP, first gradients": multilayer(12, width, batch, accumulate=False),
        "12-layer MLP, gradients added up": multilayer(12, width, batch, accumulate=True),
        "12-layer MLP, wide layers, small batch": multilayer(12, 2 * width, batch // 16, accumulate=False),
        "chain of 20 tanh": chain(20, size),
    }


def peak_of_rushlight(workload: Workload) -> float:
    import rushlight

    prepare, step = workload.build(rushlight)
    for _ in range(3):  # by then what is worth compiling has been
        prepare()
        step()
    prepare()
    tracemalloc.start()
    step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return float(peak)


def peak_of_pytorch(workload: Workload) -> float:
    import torch
    from torch.profiler import ProfilerActivity, profile

    prepare, step = workload.build(torch)
    prepare()
    step()
    prepare()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    events = profiler.profiler.kineto_results.events()
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return float(max(itertools.accumulate(changes), default=0))


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of training steps.")
    parser.add_argument("--toy", action="store_true", help="small sizes")
    options = parser.parse_args()
    timer.use_threads(2)
    has_peer = importlib.util.find_spec("torch") is not None
    rows = []
    for name, workload in workloads(options.toy).items():
        mine = peak_of_rushlight(workload)
        peer = peak_of_pytorch(workload) if has_peer else None
        rows.append([
            name, "" if peer is None else timer.number(peer / 1e6), timer.number(mine / 1e6),
            "" if peer is None else f"{mine / peer:.2f}", timer.number(workload.least / 1e6),
        ])  # fmt: skip
    print(timer.stamp_line(timer.machine_stamp(2)), end="\n\n")
    print(timer.table(["step", "PyTorch, MB", "rushlight, MB", "rushlight / PyTorch", "closed form, MB"], rows))


if __name__ == "__main__":
    main()
