"""The one timer that all benchmarks share: contestants take turns in one process, round after round.

Machines drift and are shared, so two numbers are comparable only if they were taken side by side. In each
round every contestant gets one block of calls, long enough for the clock; the rounds' blocks give a median and
quartiles. The first contestant of a round changes from round to round.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BLOCK = 0.2  # seconds of one block
SETTLE = (
    0.1  # seconds before a block: the threads of the one before spin for up to 30 ms, on the core that the next wants
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call: median and quartiles over the rounds."""

    median: float
    lower: float
    upper: float
    rounds: int


def compare(
    contestants: dict[str, Callable[[], Any]], rounds: int = 15, block: float = BLOCK,
    finish: Callable[[], None] = lambda: None,
) -> dict[str, Timing]:  # fmt: skip
    """Times the contestants in alternating rounds.

    Args:
        finish: called before and after each block, within its time: waits for a GPU.
    """
    calls = {name: calls_per_block(function, block, finish) for name, function in contestants.items()}
    names = list(contestants)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            found[name].append(time_block(contestants[name], calls[name], finish))
    return {name: summarize(seconds) for name, seconds in found.items()}


def calls_per_block(function: Callable[[], Any], block: float, finish: Callable[[], None] = lambda: None) -> int:
    """How many calls fill a block, found while warming up; twice, since the first time may include compiling."""
    return max(_calls_that_take(function, block, finish) for _ in range(2))


def _calls_that_take(function: Callable[[], Any], block: float, finish: Callable[[], None]) -> int:
    calls = 1
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            function()
        finish()
        seconds = time.perf_counter() - start
        if seconds >= block / 4:
            return max(1, round(calls * block / seconds))
        calls *= 2


def time_block(function: Callable[[], Any], calls: int, finish: Callable[[], None] = lambda: None) -> float:
    """Seconds of one call, from a block of them after a few that are not counted."""
    time.sleep(SETTLE)
    for _ in range(1 + calls // 10):
        function()
    finish()
    repeats = range(calls)
    start = time.perf_counter()
    for _ in repeats:
        function()
    finish()
    return (time.perf_counter() - start) / calls


def summarize(seconds: list[float]) -> Timing:
    if len(seconds) == 1:
        return Timing(seconds[0], seconds[0], seconds[0], 1)
    lower, median, upper = statistics.quantiles(seconds, n=4, method="inclusive")
    return Timing(median, lower, upper, len(seconds))


def ratio(timings: dict[str, Timing], name: str, peer: str) -> float:
    """The ratio of two medians: below 1, `name` is the quicker one."""
    return timings[name].median / timings[peer].median


# ---------------------------------------------------------------- the machine


def use_threads(threads: int) -> None:
    """Tells every library in this process how many threads it may use. To be called before NumPy is imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


def machine_stamp(threads: int) -> dict[str, Any]:
    """Where and when the numbers were taken."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version_of(name) for name in ("numpy", "llvmlite", "torch")},
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith(("OPENBLAS_", "RUSHLIGHT_NUM"))},
    }


def others_seconds() -> float:
    """CPU seconds that other processes have used since the machine started (0 where there is no /proc)."""
    try:
        user, nice, system, _, _, interrupt, soft_interrupt, steal = map(
            int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        )
    except OSError:
        return 0.0
    total = (user + nice + system + interrupt + soft_interrupt + steal) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    return total - own.user - own.system


def cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def version_of(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def stamp_line(stamp: dict[str, Any]) -> str:
    """The stamp as one line of Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in stamp["versions"].items() if version)
    environment = "".join(f", {name}={value}" for name, value in stamp["environment"].items())
    return (
        f"{stamp['date']}, {stamp['cpu']}, {stamp['cores']} cores, {stamp['threads']} threads{environment}, "
        f"load {stamp['load']} at the start, {stamp['system']}, Python {stamp['python']}, {versions}"
    )


# ---------------------------------------------------------------- output


def microseconds(timing: Timing) -> str:
    """Median and quartiles: `12.3 (12.0-13.1)`."""
    return f"{number(timing.median * 1e6)} ({number(timing.lower * 1e6)}-{number(timing.upper * 1e6)})"


def number(value: float) -> str:
    """Three digits, or all before the point."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def as_json(timings: dict[str, Timing]) -> dict[str, Any]:
    return {name: asdict(timing) for name, timing in timings.items()}
