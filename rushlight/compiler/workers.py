"""The threads of compiled programs: a pool of helpers, and the jobs that a program hands to it.

The last step of the compiler's path: a program's loop nests, cut into chunks, are the phases of a
`Job`; `job.run()` executes them on the calling thread and on helper threads, which sit inside the
native scheduler (scheduler.py) without the GIL. The pool starts with the first job that has
something to share, and anew in a forked child.

Left out: work that Python does, a pool per job, binding threads to cores (machines are shared).
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from rushlight.compiler import blas, scheduler
from rushlight.compiler.scheduler import CORES_SIZE, LINE, POOL

MAX_CHUNKS = 2**32 - 1
MAX_CORES = 2 ** (8 * CORES_SIZE) - 1
METH_NOARGS = 0x0004

# How long a worker looks for work before it sleeps, and how long a job runs before it wakes a
# sleeping helper. Waking costs the waker 5 to 10 us and the woken 20 to 50 (benchmarks/workers.py):
# helpers stay awake across the Python between two steps, and a short job leaves them asleep.
SPIN_MICROSECONDS = 200.0  # the gap between two steps of a training loop in Python
WAKE_AFTER_MICROSECONDS = 10.0


class Job:
    """Native loops to run together: phases in order, the chunks of one in any order and place.

    `phases` holds (address of a C function `void phase(ptr table, i64 chunk)`, number of chunks).
    What a phase writes, every chunk of a later phase sees; chunks of one phase must not wait for
    each other, since one thread may run them all. The caller keeps the code and the table alive,
    and does not run a job on two threads at once unless its code allows that. `uses_blas` keeps
    BLAS to one thread during the run. `is_long` wakes a helper at once: without it a job of a few
    long chunks is over before it has proved worth waking anybody.

    Calling `job.run()` executes the phases and returns after the last chunk. It never raises.
    """

    __slots__ = ("record", "run")

    run: Callable[[], None]

    def __init__(
        self,
        phases: Sequence[tuple[int, int]],
        table_address: int,
        uses_blas: bool = False,
        is_long: bool = False,
    ) -> None:
        if any(not 0 <= chunks <= MAX_CHUNKS for _, chunks in phases):
            raise ValueError(f"a phase has 0 to {MAX_CHUNKS} chunks")
        parallel = any(chunks > 1 for _, chunks in phases)
        hold = blas.hold_address() if uses_blas else 0
        numbers = [number for phase in phases for number in phase]
        header = (table_address, hold, parallel * (1 + is_long), len(phases))
        record = struct.pack(f"=4Q{len(numbers)}Q", *header, *numbers)
        self.record = record
        self.run = builtin_function("run_builtin", METH_NOARGS, record)


class _MethodDefinition(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    ]


class _Pool:
    """Helper threads and the memory they share, never freed: a late helper may look at it."""

    def __init__(self, num_threads: int) -> None:
        size = POOL["SLOTS"] + LINE * num_threads
        memory = ctypes.create_string_buffer(size + LINE)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
        self.address = -(-ctypes.addressof(memory) // LINE) * LINE
        self.num_threads = num_threads
        turns, ticks = _calibrate(self.address)
        spin = float(os.environ.get("RUSHLIGHT_SPIN_US", SPIN_MICROSECONDS))
        self._write("SPINS", int(spin * turns))
        self._write("PATIENCE", int(WAKE_AFTER_MICROSECONDS * ticks))
        for worker in range(num_threads):
            self._write("SLOTS", _new_lock(), LINE * worker + 8)
        self._write_cores()
        self.threads = self._start_helpers()
        self._write("WORKERS", 1 + len(self.threads))

    def _start_helpers(self) -> list[threading.Thread]:
        """As many as were asked for, or as the system allows: a job runs without any."""
        threads: list[threading.Thread] = []
        for worker in range(1, self.num_threads):
            thread = threading.Thread(target=self._help, args=(worker,), name=f"rushlight-{worker}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                break
            threads.append(thread)
        return threads

    def _write(self, field: str, value: int, offset: int = 0) -> None:
        ctypes.c_int64.from_address(self.address + POOL[field] + offset).value = value

    def _write_cores(self) -> None:
        """Note where helpers may run: where this thread may."""
        if hasattr(os, "sched_getaffinity"):
            cores = sum(1 << core for core in os.sched_getaffinity(0)) & MAX_CORES
            place = self.address + POOL["CORES"]
            ctypes.memmove(place, cores.to_bytes(CORES_SIZE, sys.byteorder), CORES_SIZE)

    def _help(self, worker: int) -> None:
        self._write("SLOTS", threading.get_native_id(), LINE * worker + 16)
        scheduler.library().function("help", ctypes.c_void_p, ctypes.c_int64)(self.address, worker)

    def stop(self) -> None:
        """Let the helpers end; wait for them, but not for ever."""
        scheduler.library().function("stop", ctypes.c_void_p)(self.address)
        for thread in self.threads:
            thread.join(timeout=1.0)


class _State:
    """What this process has: its pool, the threads asked for, the lock for changing either."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.pool: _Pool | None = None
        self.num_threads: int | None = None
        self.ended = False


_state = _State()


def get_num_threads() -> int:
    """How many threads, the calling one included, work on a job."""
    if _state.num_threads is None:
        _state.num_threads = _default_num_threads()
    return _state.num_threads


def set_num_threads(num_threads: int) -> None:
    """Set how many threads, the calling one included, work on a job; running jobs go on."""
    if num_threads < 1:
        raise ValueError(f"expected at least one thread, got {num_threads}")
    with _state.lock:
        old, _state.num_threads = _state.pool, num_threads
        if old is not None and old.num_threads != num_threads:
            _start_pool()
            old.stop()


def _default_num_threads() -> int:
    for variable in ("RUSHLIGHT_NUM_THREADS", "OMP_NUM_THREADS"):
        first = os.environ.get(variable, "").split(",")[0].strip()
        if first.isdigit() and int(first) > 0:
            return int(first)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_pool() -> None:
    """Start a pool and make it the one that jobs use. With the lock held."""
    _state.pool = _Pool(1 if _state.ended else get_num_threads())
    _set_pool(_state.pool.address)


def _start_if_missing() -> None:
    """What the scheduler calls when a job finds no pool."""
    with _state.lock:
        if _state.pool is None:
            _start_pool()


def _set_pool(address: int | None) -> None:
    """Tell the scheduler which pool jobs use, or that there is none yet."""
    set_pool = scheduler.library().function("set_pool", ctypes.c_void_p, ctypes.c_void_p)
    set_pool(address, id(_start_if_missing))


def _calibrate(pool_address: int) -> tuple[float, float]:
    """Turns of the waiting loop, and ticks of the scheduler's clock, in a microsecond."""
    spin = scheduler.library().function("spin", ctypes.c_void_p, ctypes.c_int64)
    read_clock = scheduler.library().function("read_clock", ctypes.c_void_p)
    clocks = (ctypes.c_int64 * 2)()
    turns, found = 1000, []
    for _ in range(3):
        start = time.perf_counter()
        read_clock(ctypes.addressof(clocks))
        spin(pool_address, turns)
        read_clock(ctypes.addressof(clocks) + 8)
        found.append(((time.perf_counter() - start) * 1e6, clocks[1] - clocks[0]))
    microseconds, ticks = min(found)
    return turns / microseconds, ticks / microseconds


def _new_lock() -> int:
    """A taken PyThread lock: who takes it next waits until somebody releases it."""
    allocate = ctypes.pythonapi.PyThread_allocate_lock
    allocate.restype = ctypes.c_void_p
    acquire = ctypes.pythonapi.PyThread_acquire_lock
    acquire.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lock: int = allocate()
    acquire(lock, 1)
    return lock


@functools.cache
def _definition(name: str, flags: int) -> int:
    """The address of a PyMethodDef of this function of the scheduler."""
    definition = _MethodDefinition(name.encode(), scheduler.library().address(name), flags, b"Run native code.")
    for lasting in (definition, _start_if_missing):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(lasting))
    return ctypes.addressof(definition)


def builtin_function(name: str, flags: int, record: bytes, owner: Any = None) -> Callable[..., Any]:
    """A function of the scheduler bound to a record, as a builtin function. It keeps the record and `owner` alive.

    A run of nothing costs 0.11 us this way; calling an empty function through ctypes 0.24 us, with
    an argument 0.45.
    """
    with _state.lock:
        if _state.pool is None:
            _set_pool(None)
    create = ctypes.pythonapi.PyCFunction_NewEx
    create.restype = ctypes.py_object
    create.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    function: Callable[..., Any] = create(_definition(name, flags), record, owner)
    return function


def _forget_pool() -> None:
    """In a forked child: the helpers did not come along, so the first job starts new ones."""
    _state.lock = threading.RLock()
    _state.pool = None
    if scheduler.library.cache_info().currsize:
        _set_pool(None)


def _end() -> None:
    """At exit: helpers leave native code before the interpreter goes; later jobs run alone."""
    with _state.lock:
        _state.ended = True
        pool = _state.pool
        if pool is not None:
            _start_pool()
            pool.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
atexit.register(_end)
