"""How batches come from a worker process: a short message through a pipe, arrays through shared memory.

A batch is pickled with its arrays left out (pickle's protocol 5), and they are copied to a *segment*, memory that both
processes map. Segments have no names: they are files in memory whose descriptor is sent along, so nothing can leak, however
a process ends. A segment is used again once the arrays of its batch are gone, which saves mapping it anew and touching
its pages for the first time: for large batches that costs more than the copy.

Left out: views that share memory before they are sent are arrays of their own afterwards. Without Unix sockets (Windows)
arrays go through the pipe.
"""

from __future__ import annotations

import mmap
import os
import pickle
import sys
import weakref
from collections import deque
from multiprocessing import reduction
from typing import Any

import numpy as np

_ALIGNMENT = 64
_LONGEST_MESSAGE = 16384  # bytes: a longer pickle goes to the segment too
_MOST_IDLE = 8  # segments that a sender keeps without use
HAS_SEGMENTS = reduction.HAVE_SEND_HANDLE and sys.platform != "win32"

_num_forks = 0


def _count_fork() -> None:
    global _num_forks
    _num_forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_count_fork)


class Sender:
    """The worker's end.

    Args:
        connection: to the receiver.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._idle: list[tuple[int, mmap.mmap]] = []
        self._lent: dict[int, mmap.mmap] = {}
        self._next_segment = 0

    def give_back(self, segment: int, is_reusable: bool) -> None:
        """The receiver no longer needs a segment."""
        memory = self._lent.pop(segment)
        if is_reusable:
            self._idle.append((segment, memory))

    def send(self, head: Any, value: Any) -> None:
        """Sends a value, with a small object beside it.

        Raises:
            Exception: whatever pickling the value raises; nothing has then been sent.
        """
        buffers: list[pickle.PickleBuffer] = []
        text = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        parts: list[Any] = [buffer.raw() for buffer in buffers]
        if not HAS_SEGMENTS:
            self._connection.send((head, text, [bytes(part) for part in parts], None, 0, []))
            return
        is_long = len(text) > _LONGEST_MESSAGE
        if is_long:
            parts.append(text)
        if not parts:
            self._connection.send((head, text, [], None, 0, []))
            return
        places, size = _laid_out(parts)
        segment, memory, descriptor, dropped = self._segment(size)
        for (start, length), part in zip(places, parts, strict=True):
            memory[start : start + length] = part
        new_size = 0 if descriptor is None else len(memory)
        self._connection.send((head, None if is_long else text, places, segment, new_size, dropped))
        if descriptor is not None:
            reduction.send_handle(self._connection, descriptor, os.getppid())
            os.close(descriptor)

    def _segment(self, size: int) -> tuple[int, mmap.mmap, int | None, list[int]]:
        """A segment of at least a size: (number, memory, its descriptor if it is new, numbers of segments let go)."""
        fitting = [i for i, (_, memory) in enumerate(self._idle) if size <= len(memory) <= 4 * size + mmap.PAGESIZE]
        if fitting:
            number, memory = self._idle.pop(min(fitting, key=lambda i: len(self._idle[i][1])))
            self._lent[number] = memory
            return number, memory, None, []
        num_idle = len(self._idle)
        dropped = [number for number, _ in self._idle[: num_idle - _MOST_IDLE]] if num_idle > _MOST_IDLE else []
        del self._idle[: len(dropped)]
        number, self._next_segment = self._next_segment, self._next_segment + 1
        descriptor = _file_in_memory()
        room = 1 << max(size.bit_length() - 3, 12)  # so that batches that differ a little fit too
        os.ftruncate(descriptor, -(-size // room) * room)
        memory = mmap.mmap(descriptor, -(-size // room) * room)
        self._lent[number] = memory
        return number, memory, descriptor, dropped


class Receiver:
    """The loading process's end.

    Args:
        connection: from the sender.

    Attributes:
        returned: segments that no array uses any more, as (number, whether they may be used again).
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.returned: deque[tuple[int, bool]] = deque()
        self._segments: dict[int, mmap.mmap] = {}
        self._lent: dict[int, dict[int, Any]] = {}

    def receive(self) -> tuple[Any, Any]:
        """The next (head, value) that was sent.

        Raises:
            EOFError, OSError: the sender is gone.
        """
        head, text, places, segment, new_size, dropped = self.connection.recv()
        for number in dropped:
            self._segments.pop(number, None)
        if segment is None:
            return head, pickle.loads(text, buffers=[bytearray(part) for part in places])
        if new_size:
            descriptor = reduction.recv_handle(self.connection)
            self._segments[segment] = mmap.mmap(descriptor, new_size)
            os.close(descriptor)
        memory = self._segments[segment]
        if text is None:
            start, length = places.pop()
            text = memory[start : start + length]
        # Each is the owner of an array's memory: NumPy's views of it refer to it, not to the memory map.
        arrays = [np.ndarray((length,), np.uint8, memory, start) for start, length in places]
        self._lend(segment, arrays)
        return head, pickle.loads(text, buffers=arrays)

    def _lend(self, segment: int, arrays: list[np.ndarray]) -> None:
        """Notes when the last of some arrays goes."""
        if not arrays:
            self.returned.append((segment, True))
            return
        lent, segments, returned, forks_before = self._lent, self._segments, self.returned, _num_forks
        references: dict[int, Any] = {}  # by id: a weak reference has the hash of its array, which has none

        def is_gone(reference: Any) -> None:
            references.pop(id(reference), None)
            # `pop` gives the references to one thread only, should the last two arrays go at once on two. A process forked
            # meanwhile may still read the memory: such a segment is not written again.
            if not references and lent.pop(segment, None) is not None:
                is_reusable = _num_forks == forks_before
                if not is_reusable:
                    segments.pop(segment)
                returned.append((segment, is_reusable))

        for array in arrays:
            reference = weakref.ref(array, is_gone)
            references[id(reference)] = reference
        lent[segment] = references


def _laid_out(parts: list[Any]) -> tuple[list[tuple[int, int]], int]:
    """Where parts lie one after the other: (start, length) of each, and the length of all."""
    places, stop = [], 0
    for part in parts:
        length = part.nbytes if isinstance(part, memoryview) else len(part)
        places.append((stop, length))
        stop += -(-length // _ALIGNMENT) * _ALIGNMENT
    return places, max(stop, 1)


def _file_in_memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rushlight", os.MFD_CLOEXEC)
    import tempfile  # elsewhere a file that has lost its name at once

    descriptor, path = tempfile.mkstemp(prefix="rushlight-")
    os.unlink(path)
    return descriptor
