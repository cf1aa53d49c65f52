"""`profile`: when to record, and what to do with what was recorded."""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from rushlight.profiler.events import EventList
from rushlight.profiler.recording import Recorder, record_function


class ProfilerActivity(Enum):
    """What can be recorded; there is only the CPU."""

    CPU = 0
    XPU = 1
    CUDA = 3


class ProfilerAction(Enum):
    """What a profiler does during a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def supported_activities() -> set[ProfilerActivity]:
    """What can be recorded here."""
    return {ProfilerActivity.CPU}


def kineto_available() -> bool:
    """Whether PyTorch's own tracing library is there: it is not needed."""
    return False


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """Records `active` steps after `wait` idle ones and `warmup` ones whose events are dropped, again and again.

    Args:
        wait: idle steps of each cycle.
        warmup: steps before it records.
        active: steps that are recorded.
        repeat: how many cycles; 0: until the end.
        skip_first: idle steps before the first cycle.
        skip_first_wait: not 0: the first cycle has no idle steps.

    Example:
        >>> [schedule(wait=1, warmup=1, active=2)(step).name for step in range(4)]
        ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE']
    """
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} (need >= 0), "
            f"active={active} (need > 0), repeat={repeat} (need >= 0), skip_first={skip_first} (need >= 0)."
        )
    if warmup == 0:
        warnings.warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)
    length = wait + warmup + active

    def action_of(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait != 0:
            step += wait
        if repeat > 0 and step / length >= repeat:
            return ProfilerAction.NONE
        place = step % length
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action_of


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """For `on_trace_ready`: writes each trace to a file of its own in a folder.

    Args:
        dir_name: the folder, which is made.
        worker_name: the beginning of the files' names; default: host and process.
        use_gzip: whether they are compressed.
    """

    def write(prof: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json" + (".gz" if use_gzip else "")
        prof.export_chrome_trace(os.path.join(dir_name, name))

    return write


class _Results:
    """What both kinds of profilers can tell of their events."""

    def events(self) -> EventList:
        """All events, in the order in which they began."""
        raise NotImplementedError

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """The sums of events of one name; also by the shapes of inputs, or by where they were called."""
        return self.events().key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path: str) -> None:
        """Writes the events for chrome://tracing or Perfetto."""
        self.events().export_chrome_trace(path)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Writes where events were called, as flame graphs are made of; needs `with_stack=True`."""
        self.events().export_stacks(path, metric)


class autograd_profile(_Results):
    """`torch.autograd.profiler.profile`: records a block.

    Args:
        enabled: whether it does.
        record_shapes: keep the shapes of inputs.
        with_flops: estimate the floating-point operations of matrix products, sums and products.
        profile_memory: keep the memory of results.
        with_stack: keep where operations were called.
    """

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, use_device: str | None = None,
        record_shapes: bool = False, with_flops: bool = False, profile_memory: bool = False, with_stack: bool = False,
        with_modules: bool = False,
        use_kineto: bool = False, use_cpu: bool = True, acc_events: bool = False,
    ):  # fmt: skip
        self.enabled, self.profile_memory, self.with_flops = enabled, profile_memory, with_flops
        self._recorder = Recorder(record_shapes, profile_memory, with_stack, with_flops) if enabled else None
        self.function_events: EventList | None = None

    def __enter__(self) -> autograd_profile:
        if self._recorder is not None:
            self._recorder.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._recorder is not None:
            self._recorder.stop()
            self.function_events = EventList(self._recorder.events, self.profile_memory, self.with_flops)

    def events(self) -> EventList:
        if self.function_events is None:
            raise RuntimeError("Profiler didn't finish running")
        return self.function_events

    def table(self, **options: Any) -> str:
        """The events as a table: `EventList.table`."""
        return self.events().table(**options)

    def total_average(self) -> Any:
        """The sum of all events."""
        return self.events().total_average()

    @property
    def self_cpu_time_total(self) -> float:
        return self.events().self_cpu_time_total

    def __str__(self) -> str:
        return "<unfinished torch.autograd.profile>" if self.function_events is None else str(self.function_events)

    __repr__ = __str__


class profile(_Results):
    """Records the operations of a block, or of some of its steps.

    Args:
        activities: only the CPU can be recorded.
        schedule: which steps are; a function of the step's number, see `schedule`. Default: all.
        on_trace_ready: called with the profiler whenever a cycle of the schedule, or the block, is done.
        record_shapes: keep the shapes of inputs.
        profile_memory: keep the memory of results.
        with_stack: keep where operations were called.
        with_flops: estimate the floating-point operations of matrix products, sums and products.
        acc_events: keep the events of all cycles, not of the last one only.

    Example:
        >>> import rushlight as torch
        >>> with profile(record_shapes=True) as prof:
        ...     _ = torch.ones(2, 3) @ torch.ones(3, 2)
        >>> print(prof.key_averages().table(sort_by="cpu_time_total", row_limit=10))  # doctest: +SKIP
    """

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None, on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_flops: bool = False, with_modules: bool = False, experimental_config: Any = None,
        execution_trace_observer: Any = None, acc_events: bool = False, use_cuda: bool | None = None,
        custom_trace_id_callback: Any = None,
    ):  # fmt: skip
        self.activities = supported_activities() if activities is None else set(activities)
        if not self.activities:
            raise AssertionError("No valid profiler activities found")
        if use_cuda is not None:
            warnings.warn("`use_cuda` is deprecated, use `activities` argument instead", FutureWarning, stacklevel=2)
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self.with_stack, self.with_flops, self.acc_events = with_stack, with_flops, acc_events
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.record_steps = schedule is not None
        self.on_trace_ready = on_trace_ready
        self.step_num, self.current_action = 0, self.schedule(0)
        self._recorder: Recorder | None = None
        self._events: list[Any] | None = None
        self._step_block: record_function | None = None
        self._metadata: dict[str, Any] = {}

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begins with the first step."""
        self._move(ProfilerAction.NONE, self.current_action)
        self._enter_step()

    def stop(self) -> None:
        """Ends the last step, and what is recorded."""
        self._leave_step()
        self._move(self.current_action, None)

    def step(self) -> None:
        """Tells the profiler that the next step begins."""
        self._leave_step()
        before, self.step_num = self.current_action, self.step_num + 1
        self.current_action = self.schedule(self.step_num)
        self._move(before, self.current_action)
        self._enter_step()

    def _enter_step(self) -> None:
        if self.record_steps:
            self._step_block = record_function(f"ProfilerStep#{self.step_num}")
            self._step_block.__enter__()

    def _leave_step(self) -> None:
        if self._step_block is not None:
            self._step_block.__exit__(None, None, None)
            self._step_block = None

    def _move(self, before: ProfilerAction, after: ProfilerAction | None) -> None:
        """From what was done to what is to be done; None: the end."""
        if before is ProfilerAction.WARMUP and after is ProfilerAction.NONE:
            warnings.warn("Incorrect schedule: WARMUP followed by NONE", stacklevel=4)
        if before is ProfilerAction.RECORD and after in (ProfilerAction.NONE, ProfilerAction.WARMUP):
            warnings.warn(f"Incorrect schedule: RECORD followed by {after.name}", stacklevel=4)
        is_saved = before is ProfilerAction.RECORD_AND_SAVE or after is None and before in _RECORDING
        if self._recorder is not None and (is_saved or after not in _RECORDING):
            self._recorder.stop()
            earlier = self._events if self.acc_events and self._events else []
            self._events = [*earlier, *self._recorder.events]
            self._recorder = None
            if is_saved and self.on_trace_ready is not None:
                self.on_trace_ready(self)
        if after in _RECORDING and self._recorder is None:
            self._recorder = Recorder(self.record_shapes, self.profile_memory, self.with_stack, self.with_flops)
            self._recorder.start()

    def events(self) -> EventList:
        if self._events is None:
            raise AssertionError("Profiler must be initialized before accessing events")
        return EventList(self._events, self.profile_memory, self.with_flops)

    def export_chrome_trace(self, path: str) -> None:
        self.events().export_chrome_trace(path, self._metadata)

    def add_metadata(self, key: str, value: str) -> None:
        """A text to go with the trace."""
        self._metadata[key] = value

    add_metadata_json = add_metadata

    def __repr__(self) -> str:
        return f"<{'unfinished ' if self._events is None else ''}torch.profiler.profile>"
