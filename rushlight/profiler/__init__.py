"""Where a program's time and memory go, operation by operation: PyTorch's `torch.profiler`.

Nothing of it is in the operations. While a profiler records, `sys.setprofile` reports every Python call, and
`recording.py` looks up whether its code is that of an operation. So a program that is not profiled pays nothing.
`events.py` has the events, `table.py` prints them, `session.py` is `profile` and its schedule. Left out: GPUs,
modules, memory timelines.
"""

from rushlight.profiler.events import DeviceType, EventList, FunctionEvent, FunctionEventAvg
from rushlight.profiler.recording import record_function
from rushlight.profiler.session import (
    ProfilerAction, ProfilerActivity, kineto_available, profile, schedule, supported_activities,
    tensorboard_trace_handler,
)  # fmt: skip

__all__ = [
    "DeviceType", "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function", "schedule",
    "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip
