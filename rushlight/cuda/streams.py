"""Streams and events: PyTorch's names for CuPy's.

Each GPU has a current stream in each thread, on which operations and copies run. CuPy keeps it, so operations need not know.
Left out: events and streams shared with other processes.
"""

from __future__ import annotations

import ctypes
import threading
from types import SimpleNamespace
from typing import Any

from rushlight import devices
from rushlight.arrays import kinds
from rushlight.cuda import library
from rushlight.cuda.devices import current_device, device as device_block, require_index


class Stream:
    """A queue of work of one GPU.

    Args:
        device: the GPU; the current one unless named.
        priority: less comes first: 0, or -1 for a stream whose work goes before others'.
    """

    __slots__ = ("_stream", "device", "priority")

    def __init__(self, device: Any = None, priority: int = 0):
        index = require_index(device)
        with device_block(index):
            stream = library.cupy().cuda.Stream(non_blocking=True, priority=min(priority, 0))
        self._hold(stream, index, priority)

    def _hold(self, stream: Any, index: int, priority: int = 0) -> None:
        self._stream, self.device, self.priority = stream, devices.device("cuda", index), priority

    @property
    def device_index(self) -> int:
        """The GPU's index."""
        return int(self.device.index)  # type: ignore[arg-type]

    @property
    def cuda_stream(self) -> int:
        """The stream's handle in CUDA; 0 is the default stream."""
        return int(self._stream.ptr)

    stream_id = cuda_stream

    @property
    def _as_parameter_(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.cuda_stream)

    def __cuda_stream__(self) -> tuple[int, int]:
        """By which other libraries take the stream: (version, handle)."""
        return 0, self.cuda_stream

    def wait_event(self, event: Event) -> None:
        """What is queued from now on waits for an event."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """What is queued from now on waits for all that is queued on another stream."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Event | None = None) -> Event:
        """Puts an event, a new one unless given, behind all that is queued. Returns it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def query(self) -> bool:
        """Whether all that was queued is done."""
        with device_block(self.device_index):
            return bool(self._stream.done)

    def synchronize(self) -> None:
        """Waits until all that was queued is done."""
        with device_block(self.device_index):
            self._stream.synchronize()
        kinds.check_bounds()

    def __enter__(self) -> Stream:
        block = StreamContext(self)
        block.__enter__()
        _entered.blocks.append(block)
        return self

    def __exit__(self, *error: object) -> None:
        _entered.blocks.pop().__exit__(*error)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self.cuda_stream, self.device) == (other.cuda_stream, other.device)

    def __hash__(self) -> int:
        return hash((self.cuda_stream, self.device))

    def __repr__(self) -> str:
        return f"<torch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class _Entered(threading.local):
    """The blocks `with stream:` that a thread is in."""

    def __init__(self) -> None:
        self.blocks: list[StreamContext] = []


_entered = _Entered()


class ExternalStream(Stream):
    """A stream that another library made and keeps.

    Args:
        stream_ptr: its handle in CUDA.
        device: its GPU; the current one unless named.
    """

    __slots__ = ()

    def __init__(self, stream_ptr: int, device: Any = None):
        index = require_index(device)
        theirs = SimpleNamespace(__cuda_stream__=lambda: (0, stream_ptr))
        self._hold(library.cupy().cuda.Stream.from_external(theirs), index)


def _wrapped(stream: Any, index: int) -> Stream:
    made = Stream.__new__(Stream)
    made._hold(stream, index)
    return made


class Event:
    """A mark in a stream: others can wait for it, and two of them tell the time between.

    Args:
        enable_timing: whether it notes the time.
        blocking: whether waiting for it leaves the processor to others.
        interprocess: not supported.
    """

    __slots__ = ("_arguments", "_event", "device")

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False, external: bool = False
    ):
        if interprocess:
            raise NotImplementedError("torch.cuda.Event(interprocess=True): events are not shared with other processes")
        self._arguments = {"block": blocking, "disable_timing": not enable_timing}
        self._event: Any = None  # made on the GPU of the stream that first records it
        self.device: devices.device | None = None

    @property
    def cuda_event(self) -> int:
        """The event's handle in CUDA; 0 before it is recorded."""
        return 0 if self._event is None else int(self._event.ptr)

    def record(self, stream: Stream | None = None) -> None:
        """Puts the mark behind all that is queued on a stream, the current one unless named.

        Raises:
            RuntimeError: it was recorded on another GPU before.
        """
        stream = current_stream() if stream is None else stream
        if self.device is not None and self.device != stream.device:
            raise RuntimeError(
                f"Event device {self.device.index} does not match recording stream's device {stream.device_index}."
            )
        with device_block(stream.device_index):
            if self._event is None:
                self._event = library.cupy().cuda.Event(**self._arguments)
                self.device = stream.device
            self._event.record(stream._stream)

    def wait(self, stream: Stream | None = None) -> None:
        """What is queued on a stream from now on waits for the mark."""
        if self._event is not None:
            stream = current_stream() if stream is None else stream
            with device_block(stream.device_index):
                stream._stream.wait_event(self._event)

    def query(self) -> bool:
        """Whether all before the mark is done."""
        return self._event is None or bool(self._event.done)

    def synchronize(self) -> None:
        """Waits until all before the mark is done."""
        if self._event is not None:
            self._event.synchronize()
            kinds.check_bounds()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this mark to another.

        Raises:
            ValueError: one of them does not note the time, or was not recorded.
        """
        if self._arguments["disable_timing"] or end_event._arguments["disable_timing"]:
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._event is None or end_event._event is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise RuntimeError("CUDA error: device not ready")
        return float(library.cupy().cuda.get_elapsed_time(self._event, end_event._event))

    def __repr__(self) -> str:
        return (
            f"<torch.cuda.Event {self.cuda_event:#x}>"
            if self._event is not None
            else "<torch.cuda.Event uninitialized>"
        )


# ---------------------------------------------------------------- the current stream


def current_stream(device: Any = None) -> Stream:
    """The stream that a GPU's operations run on, in this thread."""
    index = require_index(device)
    return _wrapped(library.cupy().cuda.get_current_stream(index), index)


def default_stream(device: Any = None) -> Stream:
    """The stream that a GPU's operations run on unless another is set."""
    index = require_index(device)
    return _wrapped(library.cupy().cuda.Stream.null, index)


def set_stream(stream: Stream | None) -> None:
    """Makes a stream the current one of its GPU, and its GPU the current one; None changes nothing."""
    if stream is not None:
        library.cupy().cuda.Device(stream.device_index).use()
        stream._stream.use()


def get_stream_from_external(data_ptr: int, device: Any = None) -> Stream:
    """A stream that another library made, by its handle."""
    return ExternalStream(data_ptr, device)


class StreamContext:
    """Inside a block `with`, a stream is the current one; None changes nothing."""

    def __init__(self, stream: Stream | None):
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            self._device = current_device()
            self._before = current_stream(self.stream.device)
            set_stream(self.stream)

    def __exit__(self, *error: object) -> None:
        if self.stream is not None:
            set_stream(self._before)
            library.cupy().cuda.Device(self._device).use()


def stream(stream: Stream | None) -> StreamContext:
    """`with torch.cuda.stream(s):` what is inside runs on the stream s."""
    return StreamContext(stream)


def is_current_stream_capturing() -> bool:
    """Whether the current stream is being recorded into a CUDA graph."""
    return library.is_ready() and bool(current_stream()._stream.is_capturing())
