"""Work that NumPy does, shared among threads: pieces of one array that are each a few calls of NumPy.

NumPy lets the GIL go while it copies and multiplies. BLAS is kept to one thread meanwhile: threads that take whole pieces never
wait for each other, while those of one product do at every block, for long where other processes use the cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from rushlight.compiler.blas import single_threaded
from rushlight.compiler.workers import get_num_threads

_helpers: ThreadPoolExecutor | None = None
_num_helpers = 0


def share(run: Callable[[Iterator[Any]], None], pieces: Sequence[Any], is_large: bool = True) -> None:
    """Calls `run(pieces)` on several threads at once, each with an iterator that gives it what no other has taken.

    Args:
        run: does the pieces that it is given, one after the other; it may be given none.
        pieces: in the order in which they are begun.
        is_large: whether they are worth a thread's waking up. If not, they run here, on BLAS of one thread all the same: the
            pieces' products are too small for two, whose threads spin for 25 ms after each.
    """
    num_helpers = min(get_num_threads(), len(pieces)) - 1
    left = iter(pieces)
    if num_helpers < 1 or not is_large:
        with single_threaded():
            run(left)
        return
    with single_threaded():
        helpers = _pool(num_helpers)
        others = [helpers.submit(copy_context().run, run, left) for _ in range(num_helpers)]
        try:
            run(left)
        finally:
            for _ in left:  # after an exception: nothing is begun any more
                pass
            for other in others:
                other.result()


def _pool(size: int) -> ThreadPoolExecutor:
    """Helpers, as many as were ever asked for."""
    global _helpers, _num_helpers
    if _helpers is None or _num_helpers < size:
        _helpers, _num_helpers = ThreadPoolExecutor(size, thread_name_prefix="rushlight-share"), size
    return _helpers


def _forget() -> None:
    """In a forked child: the helpers did not come along."""
    global _helpers
    _helpers = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
