"""A GPU's memory and streams with tensors in them."""

from __future__ import annotations

import gc

import pytest

import rushlight as torch

MB = 2**20


def test_tensors_take_memory() -> None:
    gc.collect()
    torch.cuda.init()  # until then there are no figures
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    x = torch.zeros(MB, device="cuda")  # 4 MB
    assert torch.cuda.memory_allocated() - before == 4 * MB
    view = x[: MB // 2]
    del x
    assert torch.cuda.memory_allocated() - before == 4 * MB
    del view
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.max_memory_allocated() - before >= 4 * MB
    assert torch.cuda.memory_reserved() >= torch.cuda.memory_allocated()


def test_out_of_memory_and_on() -> None:
    """Sizes are told, and the process goes on."""
    _, total = torch.cuda.mem_get_info()
    with pytest.raises(
        torch.OutOfMemoryError, match=r"CUDA out of memory\. Tried to allocate [\d.]+ GiB\. GPU 0 has a total"
    ):
        torch.empty(2 * total, dtype=torch.uint8, device="cuda")
    with pytest.raises(RuntimeError, match="is free"):
        torch.zeros(3 * total // 4, device="cuda")
    assert (torch.ones(10, device="cuda") + 1).sum().item() == 20


def test_pinned_copies() -> None:
    pinned = torch.arange(100.0).pin_memory()
    there = pinned.to("cuda", non_blocking=True)
    torch.cuda.synchronize()
    assert torch.equal(there.cpu(), pinned)
    assert not there.is_pinned()
    with pytest.raises(
        RuntimeError, match=r"cannot pin 'torch\.cuda\.FloatTensor' only dense CPU tensors can be pinned"
    ):
        there.pin_memory()


def test_work_on_a_stream() -> None:
    stream = torch.cuda.Stream()
    x = torch.arange(1000.0, device="cuda")
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        y = x * 2
        done = stream.record_event()
    torch.cuda.current_stream().wait_event(done)
    assert y.sum().item() == 999_000
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    x @ x
    end.record()
    end.synchronize()
    assert start.elapsed_time(end) > 0


def test_old_names_of_tensors() -> None:
    made = torch.cuda.FloatTensor([1, 2])
    assert made.device == torch.device("cuda:0")
    assert isinstance(made, torch.cuda.FloatTensor)
    assert not isinstance(made, torch.FloatTensor)
    assert made.type() == "torch.cuda.FloatTensor"
    assert made.cpu().type() == "torch.FloatTensor"
    for name in ("torch.cuda.IntTensor", torch.cuda.IntTensor):
        moved = made.cpu().type(name)
        assert moved.is_cuda and moved.dtype is torch.int32
    assert not made.type("torch.FloatTensor").is_cuda
    assert made.type(torch.float64).is_cuda


def test_devices_of_tensors() -> None:
    x = torch.ones(1, device=torch.device("cuda", torch.cuda.device_count() - 1))
    with torch.cuda.device_of(x):
        assert torch.cuda.current_device() == x.device.index
        assert torch.ones(1, device="cuda").device == x.device
