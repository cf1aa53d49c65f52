"""Saving and loading checkpoints, beside PyTorch: both libraries read one file, in turns, in one process.

python benchmarks/checkpoints.py [--toy]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timer

timer.use_threads(1)

import torch  # noqa: E402 - the number of threads comes first

import rushlight  # noqa: E402


def state_of(library: Any, count: int, rows: int) -> dict[str, Any]:
    return {f"layers.{i}.weight": library.zeros(rows, 1024) for i in range(count)}


def loader(library: Any, path: Path, **options: Any) -> Callable[[], object]:
    """A function that loads the file and reads a number of each tensor."""
    return lambda: [value[-1, -1].item() for value in library.load(path, **options).values()]


def main() -> None:
    parser = argparse.ArgumentParser(description="Saving and loading, beside PyTorch.")
    parser.add_argument("--toy", action="store_true", help="a small file, one round")
    options = parser.parse_args()
    print(timer.stamp_line(timer.machine_stamp(1)), end="\n\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path, own = Path(folder) / "large.pt", {lib: Path(folder) / f"{lib.__name__}.pt" for lib in (rushlight, torch)}
        sizes = {"500 MB in 50 tensors": (50, 2560), "10 MB in 2,500 tensors": (2500, 1)}
        for name, (count, height) in sizes.items():
            count = 5 if options.toy else count
            states = {library: state_of(library, count, height) for library in (rushlight, torch)}
            torch.save(states[torch], path)
            for what, contestants in {
                "save": {lib.__name__: lambda lib=lib, s=states: lib.save(s[lib], own[lib]) for lib in states},
                "load": {lib.__name__: loader(lib, path) for lib in states},
                "load, mapped": {lib.__name__: loader(lib, path, mmap=True) for lib in states},
            }.items():
                found = timer.compare(contestants, rounds=1 if options.toy else 9, block=0.01)
                milliseconds = [f"{found[lib].median * 1e3:.1f}" for lib in ("rushlight", "torch")]
                rows.append([f"{what} {name}", *milliseconds, f"{timer.ratio(found, 'rushlight', 'torch'):.2f}"])
    print(timer.table(["milliseconds", "rushlight", "PyTorch", "ratio"], rows))


if __name__ == "__main__":
    main()
