"""What a profiler has recorded: events in a tree, their sums by name, and the files they are written to."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from rushlight.profiler.table import format_table, format_time


class DeviceType(Enum):
    """Where an event ran."""

    CPU = 0
    CUDA = 1

    def __str__(self) -> str:
        return f"DeviceType.{self.name}"


class _Times:
    """Times in microseconds, and as text."""

    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    device_time_total = self_device_time_total = device_time = 0.0  # no GPU
    device_memory_usage = self_device_memory_usage = 0
    device_type, use_device, is_async, is_legacy, is_remote, node_id = DeviceType.CPU, None, False, False, False, -1
    overload_name = ""

    @property
    def cpu_time(self) -> float:
        """The mean time of a call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def cpu_time_str(self) -> str:
        return format_time(self.cpu_time)

    @property
    def cpu_time_total_str(self) -> str:
        return format_time(self.cpu_time_total)

    @property
    def self_cpu_time_total_str(self) -> str:
        return format_time(self.self_cpu_time_total)


class Interval:
    """From start to end, in microseconds."""

    __slots__ = ("start", "end")

    def __init__(self, start: float, end: float):
        self.start, self.end = start, end

    def elapsed_us(self) -> float:
        return self.end - self.start


class FunctionEvent(_Times):
    """One call of an operation, or one block of `record_function`.

    Attributes:
        id: a number of its own.
        name: such as "aten::mul".
        thread: which thread called, counted from 1.
        time_range: when.
        cpu_parent, cpu_children: the events around and inside.
        input_shapes: of the arguments, if asked for; [] for what is no tensor.
        stack: where it was called from, if asked for, the innermost frame first.
        is_user_annotation: a block of `record_function`.
        self_cpu_memory_usage: bytes of the results made here, less those that went meanwhile.
        flops: floating-point operations of a matrix product, if asked for.
    """

    count = 1

    def __init__(self, id: int, name: str, thread: int, is_user_annotation: bool = False):
        self.id, self.name, self.thread, self.is_user_annotation = id, name, thread, is_user_annotation
        self.time_range = Interval(0.0, 0.0)
        self.cpu_parent: FunctionEvent | None = None
        self.cpu_children: list[FunctionEvent] = []
        self.input_shapes: list[list[int]] = []
        self.stack: list[str] = []
        self.self_cpu_memory_usage = self.flops = 0

    @property
    def key(self) -> str:
        return self.name

    trace_name = key

    @property
    def cpu_time_total(self) -> float:  # type: ignore[override]
        return self.time_range.elapsed_us()

    @property
    def self_cpu_time_total(self) -> float:  # type: ignore[override]
        return self.cpu_time_total - sum([child.cpu_time_total for child in self.cpu_children])

    @property
    def cpu_memory_usage(self) -> int:
        """With that of the events inside, which are no deeper than calls nest."""
        return self.self_cpu_memory_usage + sum([child.cpu_memory_usage for child in self.cpu_children])

    def __repr__(self) -> str:
        children = [child.id for child in self.cpu_children]
        return (
            f"<FunctionEvent id={self.id} name={self.name} device_type={self.device_type} cpu_time={self.cpu_time_str} "
            f"start_us={self.time_range.start:.3f} end_us={self.time_range.end:.3f} cpu_children={children} "
            f"thread={self.thread} input_shapes={self.input_shapes} cpu_memory_usage={self.cpu_memory_usage}>"
        )


class FunctionEventAvg(_Times):
    """The sum of events of one name."""

    def __init__(self) -> None:
        self.key: str | None = None
        self.count = self.cpu_memory_usage = self.self_cpu_memory_usage = self.flops = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.input_shapes: Any = ""
        self.stack: list[str] = []
        self.cpu_parent: FunctionEvent | None = None
        self.is_user_annotation = False

    def add(self, other: Any) -> FunctionEventAvg:
        """Adds an event, or a sum of events."""
        if self.key is None:
            for name in ("key", "input_shapes", "stack", "cpu_parent", "is_user_annotation"):
                setattr(self, name, getattr(other, name))
        for name in (
            "cpu_time_total", "self_cpu_time_total", "cpu_memory_usage", "self_cpu_memory_usage", "count", "flops"
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    __iadd__ = add

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} "
            f"cpu_time={self.cpu_time_str}  self_cuda_time=0.000us cuda_time=0.000us input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage} cuda_memory_usage=0>"
        )


class EventList(list):
    """Events, or sums of them, that can be printed and written to files."""

    def __init__(self, events: Iterable[Any] = (), profile_memory: bool = False, with_flops: bool = False):
        super().__init__(events)
        self._profile_memory, self._with_flops = profile_memory, with_flops

    def __str__(self) -> str:
        return self.table()

    @property
    def self_cpu_time_total(self) -> float:
        """All time spent inside of events, in microseconds."""
        return sum(event.self_cpu_time_total for event in self)

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int | None = 75,
        max_name_column_width: int | None = 55, max_shapes_column_width: int | None = 80, header: str | None = None,
        top_level_events_only: bool = False, time_unit: str | None = None,
    ) -> str:  # fmt: skip
        """The events as a table in PyTorch's format.

        Args:
            sort_by: an attribute: cpu_time, cpu_time_total, self_cpu_time_total, cpu_memory_usage,
                self_cpu_memory_usage, count; the largest come first.
            row_limit: how many rows at most.
            max_src_column_width, max_name_column_width, max_shapes_column_width: how wide columns may be.
            header: a line above.
            top_level_events_only: leave out what was called inside of other events.
            time_unit: "s", "ms" or "us" for all times.
        """
        return format_table(
            self, sort_by, row_limit, max_src_column_width, max_name_column_width, max_shapes_column_width, header,
            top_level_events_only, time_unit, self._profile_memory, self._with_flops,
        )  # fmt: skip

    def key_averages(
        self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """The sums of events of one name; also by the shapes of inputs, or by where they were called."""
        groups: dict[Any, FunctionEventAvg] = {}
        for event in self:
            key: list[Any] = [event.key, event.is_user_annotation]
            if group_by_input_shapes:
                key.append(str(event.input_shapes))
            key += event.stack[:group_by_stack_n]
            groups.setdefault(tuple(key), FunctionEventAvg()).add(event)
        for group in groups.values():
            group.stack = group.stack[:group_by_stack_n]
            if not group_by_input_shapes:
                group.input_shapes = ""
        return EventList(groups.values(), self._profile_memory, self._with_flops)

    def total_average(self) -> FunctionEventAvg:
        """The sum of all events."""
        total = FunctionEventAvg()
        for event in self:
            total.add(event)
        total.key, total.input_shapes = "Total", ""
        return total

    def export_chrome_trace(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        """Writes the events for chrome://tracing or Perfetto; a path that ends in .gz is compressed."""
        pid = os.getpid()
        program = {"name": os.path.basename(sys.executable)}
        trace = [{"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": program}]
        trace += [_as_chrome_event(event, pid) for event in self]
        content = {"schemaVersion": 1, **(metadata or {}), "displayTimeUnit": "ms", "traceEvents": trace}
        opener: Callable[..., Any] = gzip.open if str(path).endswith(".gz") else open
        with opener(path, "wt") as file:
            json.dump(content, file)

    def supported_export_stacks_metrics(self) -> list[str]:
        """What `export_stacks` can write."""
        return ["self_cpu_time_total"]

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Writes where events were called and their microseconds, a line for each, as flame graphs are made of."""
        if metric not in self.supported_export_stacks_metrics():
            raise ValueError(f"metric should be one of: {self.supported_export_stacks_metrics()}")
        separators = str.maketrans(" ;\t\n", "____")
        with open(path, "w") as file:
            for event in self:
                value = int(getattr(event, metric))
                if event.stack and value > 0:
                    stack = ";".join([entry.translate(separators) for entry in reversed(event.stack)])
                    file.write(f"{stack} {value}\n")


def _as_chrome_event(event: FunctionEvent, pid: int) -> dict[str, Any]:
    args: dict[str, Any] = {"External id": event.id}
    if event.input_shapes:
        args["Input Dims"] = event.input_shapes
    if event.stack:
        args["Call stack"] = event.stack
    return {
        "ph": "X", "cat": "user_annotation" if event.is_user_annotation else "cpu_op", "name": event.name, "pid": pid,
        "tid": event.thread, "ts": event.time_range.start, "dur": event.time_range.elapsed_us(), "args": args,
    }  # fmt: skip
