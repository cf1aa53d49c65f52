"""Two simulated GPUs, fresh for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import cupy as real
import pytest
from gpu.simulated import cuda as simulated

from rushlight.cuda import devices, library, memory
from rushlight.random import default


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The simulated `cupy.cuda`."""
    cupy: Any = ModuleType("cupy")
    cupy._environment = real._environment  # for the real NVRTC
    cupy.cuda, cupy.get_default_memory_pool = simulated, simulated.get_default_memory_pool
    monkeypatch.setitem(sys.modules, "cupy", cupy)
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
