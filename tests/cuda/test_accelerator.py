"""`torch.accelerator` says what `torch.cuda` says."""

from __future__ import annotations

from typing import Any

import pytest
from gpu import hosted

import rushlight as torch
from rushlight.cuda import library


def test_with_gpus(gpus: Any) -> None:
    accelerator = torch.accelerator
    assert accelerator.is_available()
    assert accelerator.device_count() == 2
    assert str(accelerator.current_accelerator()) == "cuda"
    accelerator.synchronize()
    assert not torch.cuda.is_initialized()
    accelerator.set_device_index(1)
    assert accelerator.current_device_index() == torch.cuda.current_device() == 1
    with accelerator.device_index(0), accelerator.device_index(None):
        assert accelerator.current_device_index() == 0
    made = torch.cuda.Stream()
    accelerator.set_stream(made)
    assert accelerator.current_stream() == made
    hosted.control().hosted_busy(made.cuda_stream)
    accelerator.synchronize()
    assert made.query()
    block = gpus.alloc(1000)
    assert accelerator.memory_allocated() == accelerator.max_memory_allocated() == 1024
    del block
    assert accelerator.memory_reserved() == accelerator.max_memory_reserved() == 1024
    accelerator.empty_cache()
    accelerator.reset_peak_memory_stats()
    assert accelerator.max_memory_allocated() == accelerator.memory_reserved() == 0
    assert accelerator.memory_stats() == torch.cuda.memory_stats()
    assert accelerator.get_memory_info() == (2**30, 2**30)


def test_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_count", 0)
    monkeypatch.setattr(library, "_module", None)
    assert not torch.accelerator.is_available()
    assert torch.accelerator.current_accelerator() is None
    torch.accelerator.synchronize()
