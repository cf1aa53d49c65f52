"""Loading by two worker processes, beside PyTorch's loader: passes in turns, in one process.

python benchmarks/dataloader.py [--toy]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import timer

timer.use_threads(1)

import numpy as np  # noqa: E402 - which reads the number of threads
import torch  # noqa: E402

import rushlight  # noqa: E402

NUM_WORKERS = 2


class Images:
    """Images as arrays, with a label each; `work` is done by the sample, as decoding and augmenting are."""

    def __init__(self, count: int, side: int, work: bool) -> None:
        self.pixels = np.random.default_rng(0).integers(0, 256, (64, 3, side, side), np.uint8)
        self.count, self.work = count, work

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        image = self.pixels[index % 64].astype(np.float32)
        if self.work:
            for _ in range(4):
                image = np.sqrt(image[:, :, ::-1] * 0.5 + 1)
        return np.ascontiguousarray(image), index


WORKLOADS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "numbers, batches of 64": (lambda library: range(20_000), 64),
    "arrays 3 x 28 x 28, batches of 64": (lambda library: Images(6_000, 28, False), 64),
    "arrays 3 x 64 x 64 with work, batches of 32": (lambda library: Images(2_000, 64, True), 32),
    "arrays 3 x 224 x 224, batches of 32": (lambda library: Images(640, 224, False), 32),
    "TensorDataset 20,000 x 64, batches of 128": (
        lambda library: library.utils.data.TensorDataset(library.zeros(20_000, 64)),
        128,
    ),
}


def passes(library: Any, name: str, toy: bool, stay: bool) -> Callable[[], None]:
    """A function that reads the whole dataset once."""
    make, batch_size = WORKLOADS[name]
    loader = library.utils.data.DataLoader(
        make(library), batch_size, shuffle=not toy, num_workers=NUM_WORKERS, persistent_workers=stay
    )

    def one_pass() -> None:
        for number, _ in enumerate(loader):
            if toy and number == 3:
                break

    return one_pass


def main() -> None:
    parser = argparse.ArgumentParser(description="Loading by worker processes, beside PyTorch.")
    parser.add_argument("--toy", action="store_true", help="a few batches, one round")
    options = parser.parse_args()
    print(timer.stamp_line(timer.machine_stamp(1)), end="\n\n")
    rows = []
    for name in WORKLOADS:
        for stay in (False, True):
            contestants = {lib.__name__: passes(lib, name, options.toy, stay) for lib in (rushlight, torch)}
            found = timer.compare(contestants, rounds=1 if options.toy else 5, block=0.01)
            milliseconds = [f"{found[library].median * 1e3:.0f}" for library in ("rushlight", "torch")]
            ratio = timer.ratio(found, "rushlight", "torch")
            rows.append([name + (", workers stay" if stay else ""), *milliseconds, f"{ratio:.2f}"])
    print(f"Milliseconds of a pass with {NUM_WORKERS} workers.", end="\n\n")
    print(timer.table(["dataset", "rushlight", "PyTorch", "ratio"], rows))


if __name__ == "__main__":
    main()
