"""Two simulated GPUs, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gpu.simulated import cuda as simulated, install, uninstall

from rushlight.cuda import memory
from rushlight.random import default


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The simulated `cupy.cuda`."""
    install()
    monkeypatch.setattr(memory, "_uses", {})
    monkeypatch.setattr(default, "_of_cuda", {})
    monkeypatch.setattr(simulated, "_pool", simulated.MemoryPool())
    monkeypatch.setattr(simulated, "_allocator", None)
    monkeypatch.setattr(simulated, "capacities", [2**30, 2**30])
    monkeypatch.setattr(simulated, "marks", [])
    simulated._thread.current = 0
    simulated._thread.streams.clear()
    yield simulated
    uninstall()
    simulated._thread.current = 0
    simulated._thread.streams.clear()
