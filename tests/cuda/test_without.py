"""Without a GPU: what is asked is answered, what needs one raises PyTorch's error, and nothing is imported for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import cupy
import pytest

import rushlight as torch
from rushlight.cuda import library


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_module", None)
    monkeypatch.setattr(library, "_count", None)
    monkeypatch.setattr(library, "has_driver", lambda: False)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)


def test_what_programs_ask(no_gpu: None) -> None:
    assert not torch.cuda.is_available()
    assert torch.cuda.device_count() == 0
    assert not torch.cuda.is_initialized()
    assert torch.cuda.memory_allocated() == torch.cuda.max_memory_allocated() == torch.cuda.max_memory_reserved() == 0
    assert torch.cuda.memory_stats() == {}
    assert torch.cuda.get_rng_state_all() == []
    assert torch.cuda.get_arch_list() == []
    assert not torch.cuda.is_bf16_supported()
    assert len(torch.cuda.default_generators) == 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.manual_seed(1)
    torch.cuda.manual_seed_all(1)
    torch.cuda.seed()
    with torch.cuda.nvtx.range("step {}", 1):
        torch.cuda.nvtx.mark("here")
    assert "cupy" not in sys.modules


NEEDS_ONE: dict[str, Callable[[], object]] = {
    "init": torch.cuda.init,
    "current_device": torch.cuda.current_device,
    "synchronize": torch.cuda.synchronize,
    "Stream": torch.cuda.Stream,
    "current_stream": torch.cuda.current_stream,
    "mem_get_info": torch.cuda.mem_get_info,
    "memory_summary": torch.cuda.memory_summary,
    "get_device_properties": torch.cuda.get_device_properties,
    "get_rng_state": torch.cuda.get_rng_state,
}


@pytest.mark.parametrize("name", NEEDS_ONE)
def test_what_needs_one(no_gpu: None, name: str) -> None:
    with pytest.raises(RuntimeError, match="Found no NVIDIA driver on your system"):
        NEEDS_ONE[name]()


def test_reasons(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver without CuPy, and CuPy without a GPU."""
    monkeypatch.setattr(library, "has_driver", lambda: True)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(
        AssertionError, match=r"Torch not compiled with CUDA enabled: CuPy is not installed\. `pip install"
    ):
        torch.cuda.init()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(library, "_count", 0)
    with pytest.raises(RuntimeError, match="No CUDA GPUs are available"):
        torch.cuda.init()


def test_only_asking_imports_neither() -> None:
    code = (
        "import sys, rushlight as torch; assert 'rushlight.cuda' not in sys.modules; torch.manual_seed(1); torch.rand(2)\n"
        "assert 'rushlight.cuda' not in sys.modules; torch.cuda.is_available(); import rushlight.cuda.amp\n"
        "print('cupy' in sys.modules, torch.cuda.library.has_driver())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    imported, has_driver = done.stdout.split()
    assert imported == "False" or has_driver == "True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process(gpus: object) -> None:
    """What a GPU was used for before stays with the process that used it."""
    torch.cuda.init()
    reader, writer = os.pipe()
    if not (child := os.fork()):
        try:
            torch.cuda.current_device()
        except RuntimeError as error:
            os.write(writer, f"{torch.cuda.is_available()} {error}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        assert stream.read().startswith("False Cannot re-initialize CUDA in forked subprocess")
