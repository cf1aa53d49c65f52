"""`Timer`: times a statement, after a warm-up, for long enough to be sure."""

from __future__ import annotations

import contextlib
import statistics
import textwrap
import timeit
from collections.abc import Callable, Iterator
from typing import Any

import rushlight
from rushlight.utils.benchmark.measurement import Measurement, TaskSpec

timer = timeit.default_timer


class Timer:
    """Times a statement.

    Args:
        stmt: the statement.
        setup: what runs once before.
        global_setup: of C++, which cannot be timed here.
        timer: tells the time in seconds.
        globals: what names of the statement stand for; `torch` is rushlight if not given.
        label, sub_label, description, env: words for tables.
        num_threads: how many threads the statement may use; restored afterwards.

    Raises:
        ValueError: no text, or C++.

    Example:
        >>> measurement = Timer("x + 1", globals={"x": rushlight.ones(3)}).timeit(10)
        >>> measurement.number_per_run, measurement.median > 0
        (10, True)
    """

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "", timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None, label: str | None = None, sub_label: str | None = None,
        description: str | None = None, env: str | None = None, num_threads: int = 1, language: Any = "python",
    ):  # fmt: skip
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        if language not in ("py", "python"):
            raise ValueError(f"Invalid language `{language}`.")
        if global_setup:
            raise ValueError(
                f"global_setup is C++ only, got `{global_setup}`. Most likely this code can simply be moved to `setup`."
            )
        stmt, setup = (textwrap.dedent(text).removeprefix("\n").rstrip() for text in (stmt, setup))
        names = {"torch": rushlight, **(globals or {})}
        self._timer = timeit.Timer(stmt=stmt, setup=setup, timer=timer, globals=names)
        self._task_spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)

    def _time(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)

    @contextlib.contextmanager
    def _threads(self) -> Iterator[None]:
        """The number of threads that was asked for."""
        before = rushlight.get_num_threads()
        rushlight.set_num_threads(self._task_spec.num_threads)
        try:
            yield
        finally:
            rushlight.set_num_threads(before)

    def timeit(self, number: int = 1000000) -> Measurement:
        """Runs the statement so many times, after a hundredth of that as a warm-up."""
        with self._threads():
            self._time(max(int(number // 100), 2))
            return Measurement(number, [self._time(number)], self._task_spec)

    def _block_size(self, min_run_time: float) -> int:
        """How many runs make the clock's own time negligible, and take a thousandth of the time there is."""
        overhead, number = statistics.median([self._time(0) for _ in range(5)]), 1
        while True:
            taken = self._time(number)
            is_precise = overhead / taken <= 1e-4 and taken >= min_run_time / 1000
            if is_precise or taken > min_run_time or number * 10 > 2147483647:
                return number
            number *= 10

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Times blocks of runs until `min_run_time` seconds have passed; their number is found first.

        Args:
            callback: called with the number of runs and the time of each block.
            min_run_time: seconds.
        """
        return self._autorange(min_run_time, min_run_time, None, lambda measurement: True, callback)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:  # fmt: skip
        """Times blocks of runs until the times lie close together.

        Args:
            threshold: the interquartile range over the median that is close enough.
            min_run_time, max_run_time: seconds.
            callback: called with the number of runs and the time of each block.
        """

        def is_enough(measurement: Measurement) -> bool:
            return len(measurement.raw_times) > 3 and measurement.meets_confidence(threshold)

        return self._autorange(0.05, min_run_time, max_run_time, is_enough, callback)

    def _autorange(
        self, block_time: float, min_run_time: float, max_run_time: float | None,
        is_enough: Callable[[Measurement], bool], callback: Callable[[int, float], Any] | None,
    ) -> Measurement:  # fmt: skip
        times: list[float] = []
        with self._threads():
            number = self._block_size(block_time)
            while sum(times) < min_run_time or not is_enough(Measurement(number, times, self._task_spec)):
                times.append(self._time(number))
                if callback is not None:
                    callback(number, times[-1])
                if max_run_time is not None and sum(times) > max_run_time:
                    break
        return Measurement(number, times, self._task_spec)
