"""What importing costs: fresh processes in turns, over a bare Python.

python benchmarks/imports.py [--toy] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import timer

STATEMENTS = ["pass", "import numpy", "import rushlight", "import rushlight; (rushlight.ones(4) + 1).tolist()"]
PEER_STATEMENTS = ["import torch", "import torch; (torch.ones(4) + 1).tolist()"]


def seconds_of(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="Import time, over a bare Python.")
    parser.add_argument("--toy", action="store_true", help="few rounds")
    parser.add_argument("--json", type=Path, help="write everything to this file too")
    options = parser.parse_args()
    stamp = timer.machine_stamp(1)
    statements = STATEMENTS + PEER_STATEMENTS * (importlib.util.find_spec("torch") is not None)
    found: dict[str, list[float]] = {statement: [] for statement in statements}
    for number in range(2 if options.toy else 11):
        for statement in statements:
            seconds = seconds_of(statement)
            if number:  # the first round fills the disk cache
                found[statement].append(seconds)
    timings = {statement: timer.summarize(seconds) for statement, seconds in found.items()}
    bare = timings.pop("pass").median
    rows = [
        [f"`{statement}`", *(f"{(value - bare) * 1e3:.0f}" for value in (timing.median, timing.lower, timing.upper))]
        for statement, timing in timings.items()
    ]
    print(timer.stamp_line(stamp), end="\n\n")
    print(f"Milliseconds over a bare Python, which takes {bare * 1e3:.0f}.", end="\n\n")
    print(timer.table(["statement", "median", "lower quartile", "upper quartile"], rows))
    if options.json:
        content = {"stamp": stamp, "toy": options.toy, "bare": bare, "results": timer.as_json(timings)}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
