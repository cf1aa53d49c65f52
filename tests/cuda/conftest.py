"""Two simulated GPUs, fresh for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from gpu.simulated import cuda as simulated, stand_in

from rushlight.cuda import devices, library, memory
from rushlight.random import default


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The simulated `cupy.cuda`."""
    monkeypatch.setitem(sys.modules, "cupy", stand_in())
    monkeypatch.setattr(library, "_module", None)
    monkeypatch.setattr(library, "_count", None)
    monkeypatch.setattr(memory, "_uses", {})
    monkeypatch.setattr(default, "_of_cuda", {})
    monkeypatch.setattr(simulated, "_pool", simulated.MemoryPool())
    monkeypatch.setattr(simulated, "_allocator", None)
    monkeypatch.setattr(simulated, "capacities", [2**30, 2**30])
    monkeypatch.setattr(simulated, "marks", [])
    devices._properties.cache_clear()
    simulated._thread.current = 0
    simulated._thread.streams.clear()
    yield simulated
    simulated._thread.current = 0
    simulated._thread.streams.clear()
    devices._properties.cache_clear()
