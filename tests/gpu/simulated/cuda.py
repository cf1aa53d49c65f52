"""`cupy.cuda` of two simulated GPUs: which one is current, streams, events, a pool of memory that can be full.

Names and errors are the real CuPy's, read from it where that needs no GPU. Work is done when it is asked for, so a stream is
always done, unless a test says that it is not (`busy`).
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import cupy.cuda as real

COUNT = 2
CAPACITY = 2**30  # bytes of memory that each of them has; `capacities` can be changed by a test
BLOCK = 512

OutOfMemoryError = real.memory.OutOfMemoryError
CUDARuntimeError = real.runtime.CUDARuntimeError
_INVALID_DEVICE = 101

nvrtc = real.nvrtc
capacities = [CAPACITY] * COUNT


class _Thread(threading.local):
    current = 0

    def __init__(self) -> None:
        self.streams: dict[int, Any] = {}


_thread = _Thread()


def get_device_id() -> int:
    """The number of the device on which this thread computes."""
    return _thread.current


current_device = get_device_id


def _use(device: int) -> None:
    if not 0 <= device < COUNT:
        raise CUDARuntimeError(_INVALID_DEVICE)
    _thread.current = device


class Device:
    """A device; in a `with` block, the current one."""

    def __init__(self, device: Any = None):
        self.id = _thread.current if device is None else int(device)
        self._before: list[int] = []

    def __enter__(self) -> Device:
        self._before.append(_thread.current)
        _use(self.id)
        return self

    def __exit__(self, *_: object) -> None:
        _thread.current = self._before.pop()

    def use(self) -> None:
        _use(self.id)

    def synchronize(self) -> None:
        for stream in _streams[self.id]:
            stream.synchronize()

    @property
    def mem_info(self) -> tuple[int, int]:
        with self:
            return _mem_get_info()

    @property
    def compute_capability(self) -> str:
        return "90"

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


# ---------------------------------------------------------------- streams and events

_streams: dict[int, list[Any]] = defaultdict(list)
_next_handle = iter(range(0x1000, 10**9, 0x10))


class Stream:
    """A stream of the device that is current when it is made.

    Attributes:
        busy: whether work is still to be done, which a test may say.
        waits: the events that it was told to wait for.
    """

    null: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: int | None = None):
        self._begin(0 if null else next(_next_handle), -1 if null else _thread.current)
        self.is_non_blocking, self.priority = non_blocking, priority

    def _begin(self, ptr: int, device_id: int) -> None:
        self.ptr, self.device_id, self.busy = ptr, device_id, False
        self.waits: list[Event] = []
        _streams[device_id].append(self)

    @property
    def done(self) -> bool:
        return not self.busy

    def synchronize(self) -> None:
        self.busy = False

    def use(self) -> Stream:
        if self.device_id not in (-1, _thread.current):
            raise RuntimeError(f"a stream of device {self.device_id} cannot be used on device {_thread.current}")
        _thread.streams[_thread.current] = self
        return self

    def record(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        self.waits.append(event)

    def is_capturing(self) -> bool:
        return False


class ExternalStream(Stream):
    """A stream that something else made."""

    def __init__(self, ptr: int, device_id: int = -1):
        self._begin(ptr, device_id)


Stream.null = Stream(null=True)


def get_current_stream(device_id: int = -1) -> Stream:
    return _thread.streams.get(_thread.current if device_id == -1 else device_id, Stream.null)


class Event:
    """A mark in a stream of the device that is current when it is made."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False):
        self.ptr, self.device_id, self.disable_timing = next(_next_handle), _thread.current, disable_timing
        self._stream: Stream | None = None
        self._time = 0.0

    def record(self, stream: Stream | None = None) -> None:
        self._stream = get_current_stream() if stream is None else stream
        if self._stream.device_id not in (-1, self.device_id):
            raise CUDARuntimeError(400)
        self._time = time.perf_counter()

    @property
    def done(self) -> bool:
        return self._stream is None or self._stream.done

    def synchronize(self) -> None:
        if self._stream is not None:
            self._stream.synchronize()


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    if start_event.disable_timing or end_event.disable_timing:
        raise CUDARuntimeError(400)
    return (end_event._time - start_event._time) * 1e3


# ---------------------------------------------------------------- memory


class _Block:
    """Memory of a size: back in its pool when nothing refers to it."""

    def __init__(self, pool: MemoryPool, size: int):
        self.pool, self.size, self.device_id = pool, size, _thread.current

    def __del__(self) -> None:
        self.pool._used[self.device_id] -= self.size
        self.pool._free[self.device_id].append(self.size)


class MemoryPointer:
    """What an allocator gives."""

    def __init__(self, mem: Any, offset: int):
        self.mem, self.ptr, self.device_id = mem, id(mem) + offset, mem.device_id


class MemoryPool:
    """The memory of all devices: blocks in use, and free ones that are kept for the next of their size."""

    def __init__(self, allocator: Any = None):
        self._used: dict[int, int] = defaultdict(int)
        self._free: dict[int, list[int]] = defaultdict(list)
        self._limits: dict[int, int] = {}

    def malloc(self, size: int) -> MemoryPointer:
        device, size = _thread.current, -(-size // BLOCK) * BLOCK
        if size in self._free[device]:
            self._free[device].remove(size)
        else:
            self._reserve(device, size)
        self._used[device] += size
        return MemoryPointer(_Block(self, size), 0)

    def _reserve(self, device: int, size: int) -> None:
        """As CuPy's: over the limit there is no second try; without free memory, what is kept is given back first."""
        limit = self._limits.get(device, 0)
        if limit and self.total_bytes() + size > limit:
            raise OutOfMemoryError(size, self.total_bytes(), limit)
        if self.total_bytes() + size > capacities[device]:
            self.free_all_blocks()
        if self.total_bytes() + size > capacities[device]:
            raise OutOfMemoryError(size, self.total_bytes())

    def free_all_blocks(self, stream: Stream | None = None) -> None:
        self._free[_thread.current].clear()

    def used_bytes(self) -> int:
        return self._used[_thread.current]

    def free_bytes(self) -> int:
        return sum(self._free[_thread.current])

    def total_bytes(self) -> int:
        return self.used_bytes() + self.free_bytes()

    def get_limit(self) -> int:
        return self._limits.get(_thread.current, 0)

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        assert size is not None
        self._limits[_thread.current] = size


_pool = MemoryPool()
_allocator: Any = None  # None: the pool's


def get_default_memory_pool() -> MemoryPool:
    return _pool


def set_allocator(allocator: Any = None) -> None:
    global _allocator
    _allocator = allocator


def alloc(size: int) -> MemoryPointer:
    return (_allocator or _pool.malloc)(size)


class PinnedMemoryPointer(bytearray):
    """Pinned memory: a buffer, of which NumPy can make arrays, at an address that a GPU knows."""

    @property
    def ptr(self) -> int:
        return ctypes.addressof(ctypes.c_char.from_buffer(self))


def alloc_pinned_memory(size: int) -> PinnedMemoryPointer:
    return PinnedMemoryPointer(size)


def _mem_get_info() -> tuple[int, int]:
    total = capacities[_thread.current]
    return total - _pool.total_bytes(), total


# ---------------------------------------------------------------- the runtime


def _get_device_properties(device: int) -> dict[str, Any]:
    if not 0 <= device < COUNT:
        raise CUDARuntimeError(_INVALID_DEVICE)
    return {
        "name": b"Simulated GPU", "major": 9, "minor": 0, "totalGlobalMem": capacities[device], "multiProcessorCount": 4,
        "uuid": bytes(range(16)), "pciBusID": 16 + device, "pciDeviceID": 0, "pciDomainID": 0, "l2CacheSize": 2**22,
        "integrated": 0, "isMultiGpuBoard": 0, "maxThreadsPerMultiProcessor": 2048, "maxThreadsPerBlock": 1024,
        "warpSize": 32, "regsPerMultiprocessor": 65536, "sharedMemPerBlock": 49152, "sharedMemPerBlockOptin": 232448,
        "sharedMemPerMultiprocessor": 233472, "memoryBusWidth": 5120,
    }  # fmt: skip


def _can_access(device: int, peerDevice: int) -> int:  # noqa: N803 - CUDA's name
    return int(device != peerDevice)


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDeviceCount=lambda: COUNT,
    getDevice=get_device_id,
    setDevice=_use,
    getDeviceProperties=_get_device_properties,
    memGetInfo=_mem_get_info,
    deviceCanAccessPeer=_can_access,
    driverGetVersion=lambda: 13000,
    runtimeGetVersion=real.get_local_runtime_version,
)
memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError, MemoryPool=MemoryPool, MemoryPointer=MemoryPointer)


# ---------------------------------------------------------------- marks

marks: list[tuple[str, ...]] = []  # what was marked, for tests
nvtx = SimpleNamespace(
    available=True,
    RangePush=lambda message, id_color=-1: marks.append(("push", message)),
    RangePop=lambda: marks.append(("pop",)),
    Mark=lambda message, id_color=-1: marks.append(("mark", message)),
)


def is_available() -> bool:
    return True
