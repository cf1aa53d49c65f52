"""Memory that another stream than its own uses (`Tensor.record_stream`): kept from the pool until that work is done.

CuPy's pool gives a block to the next array of the stream on which it was taken, as soon as nothing refers to it: what
that stream does next comes after what it did before. Work on another stream may not be done by then. So a reference to
such a block is held here. When it is the last one, an event is put behind the work of each stream that uses the block;
when these are over, the reference goes, and the block to the pool. Whoever takes memory (`cuda/memory.py`) has both
looked for.

Arrays come to an end where Python says so, not here; the event may be later than PyTorch's, never earlier.
"""

from __future__ import annotations

import sys
from typing import Any

from rushlight.cuda.streams import Event, Stream


class _Block:
    """A block, the streams that use it, and, once nothing else refers to it, the events to wait for."""

    __slots__ = ("events", "memory", "streams")

    def __init__(self, memory: Any):
        self.memory, self.streams = memory, set[Stream]()
        self.events: list[Event] | None = None

    def is_over(self, waits: bool) -> bool:
        """Whether no array and no work uses it any more."""
        if self.events is None:
            if sys.getrefcount(self.memory) > 2:  # this object's, and the call's own
                return False
            self.events = [stream.record_event() for stream in self.streams]
        if waits:
            for event in self.events:
                event.synchronize()
        return all(event.query() for event in self.events)


blocks: dict[int, _Block] = {}  # by the identity of a block's memory


def lend(memory: Any, stream: Stream) -> None:
    """Notes that a stream uses a block of memory."""
    blocks.setdefault(id(memory), _Block(memory)).streams.add(stream)


def take_back(waits: bool = False) -> None:
    """Drops what is over; with `waits`, after the work that is queued."""
    for key, block in list(blocks.items()):
        if block.is_over(waits):
            blocks.pop(key, None)
