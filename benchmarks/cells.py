"""Single steps of recurrent cells: rushlight and PyTorch in alternating rounds, one process.

    python benchmarks/cells.py [--toy]

Microseconds a step without gradients, and of a step with its way back. With few samples a step is the reading of its weights, and
what is around it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import timer

CELLS = ("LSTMCell", "GRUCell", "RNNCell")
SIZES, TOY_SIZES = ((16, 16), (128, 256)), ((16, 16),)
BATCHES, TOY_BATCHES = (1, 8, 32), (1,)


def steps(torch: Any, kind: str, inputs: int, hidden: int, batch: int) -> list[Callable[[], Any]]:
    """A step without gradients, and one with its way back."""
    cell = getattr(torch.nn, kind)(inputs, hidden)
    x, h = torch.ones(batch, inputs), torch.zeros(batch, hidden)
    state = (h, h) if kind == "LSTMCell" else h

    def step() -> Any:
        with torch.no_grad():
            return cell(x, state)

    def there_and_back() -> None:
        found = cell(x, state)
        (found[0] if kind == "LSTMCell" else found).sum().backward()

    return [step, there_and_back]


def main() -> None:
    parser = argparse.ArgumentParser(description="Single steps of recurrent cells against PyTorch.")
    parser.add_argument("--toy", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    timer.use_threads(options.threads)

    import torch

    import rushlight

    torch.set_num_threads(options.threads)
    stamp = timer.machine_stamp(options.threads)
    rounds, block = (3, 0.002) if options.toy else (7, 0.02)
    rows = []
    for kind in CELLS:
        for inputs, hidden in TOY_SIZES if options.toy else SIZES:
            for batch in TOY_BATCHES if options.toy else BATCHES:
                pairs = zip(*[steps(t, kind, inputs, hidden, batch) for t in (torch, rushlight)], strict=True)
                row = [kind, f"{inputs} to {hidden}", str(batch)]
                for theirs, ours in pairs:
                    timings = timer.compare({"torch": theirs, "rushlight": ours}, rounds, block)
                    row += [timer.microseconds(timings[contestant]) for contestant in ("torch", "rushlight")]
                    row.append(f"{timer.ratio(timings, 'rushlight', 'torch'):.2f}")
                rows.append(row)
    print(timer.stamp_line(stamp), end="\n\n")
    names = ["PyTorch, us", "rushlight, us", "ratio"]
    header = ["cell", "features", "batch", *names, *[f"with backward: {name}" for name in names]]
    print(timer.table(header, rows))


if __name__ == "__main__":
    main()
