"""Two GPUs that are the CPU's memory, fresh for each test."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from gpu import hosted

from rushlight.cuda import memory
from rushlight.random import default


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`cupy.cuda`, with a pool of its own in devices of 1 GiB."""
    cupy = hosted.show()
    cuda = cupy.cuda
    monkeypatch.setattr(memory, "_uses", {})
    monkeypatch.setattr(default, "_of_cuda", {})
    pool = cuda.MemoryPool()
    _emptied(cupy)
    monkeypatch.setattr("cupy.get_default_memory_pool", lambda: pool)
    cuda.set_allocator(pool.malloc)
    for device in range(2):
        hosted.control().hosted_capacity(device, 2**30)
    yield cuda
    _emptied(cupy)
    monkeypatch.undo()
    cuda.set_allocator(cupy.get_default_memory_pool().malloc)
    for device in range(2):
        with cuda.Device(device):
            cuda.Stream.null.use()
    hosted.hide()


def _emptied(cupy: Any) -> None:
    gc.collect()
    for device in range(2):
        with cupy.cuda.Device(device):
            cupy.get_default_memory_pool().free_all_blocks()
