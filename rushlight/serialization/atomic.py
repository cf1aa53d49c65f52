"""Writing a file beside its place and moving it there: a save that fails leaves what was there before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[IO[bytes]]:
    """A file open for writing bytes, which takes the place of `path` when the block ends well.

    Raises:
        RuntimeError: the folder does not exist.
    """
    place = os.path.realpath(os.fspath(path))
    if not os.path.isdir(os.path.dirname(place)):
        raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(path))} does not exist.")
    if os.path.exists(place) and not os.path.isfile(place):  # a pipe or a device
        with open(place, "wb") as file:
            yield file
        return
    beside = f"{place}.{os.getpid()}.part"
    try:
        with open(beside, "wb") as file:
            yield file
        os.replace(beside, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(beside)
        raise
