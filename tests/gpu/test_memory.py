"""A GPU's memory and streams with tensors in them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from gpu import hosted

import rushlight as torch
from rushlight.cuda import lent

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


on_stand_in = pytest.mark.skipif(not hosted.is_prepared(), reason="hosted streams are busy as long as a test says")


@pytest.fixture
def busy() -> Iterator[Any]:
    """A stream with work that is not done."""
    stream = torch.cuda.Stream()
    keep_busy(stream)
    yield stream
    stream.synchronize()


def keep_busy(stream: Any) -> None:
    """Until somebody waits for it."""
    hosted.control().hosted_busy(stream.cuda_stream)


@on_stand_in
def test_memory_that_a_stream_uses_is_kept_until_that_is_done(busy: Any) -> None:
    x = torch.zeros(MB, device="cuda")
    before = torch.cuda.memory_allocated() - 4 * MB

    def taken() -> int:
        torch.zeros(1, device="cuda")  # whoever takes memory has the rest looked at
        return torch.cuda.memory_allocated() - before

    x.record_stream(busy)
    part = x[: MB // 2]
    del x
    assert taken() == 4 * MB
    part.record_stream(torch.cuda.current_stream())
    del part
    assert taken() == 4 * MB  # no tensor, but work
    busy.synchronize()
    assert taken() == 0 and not lent.blocks


@on_stand_in
def test_work_that_begins_after_record_stream_counts(busy: Any) -> None:
    x = torch.zeros(MB, device="cuda")
    busy.synchronize()
    x.record_stream(busy)
    keep_busy(busy)
    before = torch.cuda.memory_allocated()
    del x
    torch.zeros(1, device="cuda")
    assert torch.cuda.memory_allocated() == before


@on_stand_in
def test_work_is_waited_for_where_memory_is_short(busy: Any) -> None:
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    size = free * 3 // 4
    x = torch.empty(size, dtype=torch.uint8, device="cuda")
    x.record_stream(busy)
    del x
    assert torch.empty(size, dtype=torch.uint8, device="cuda").is_cuda and busy.query()


def test_record_stream_on_a_gpu_and_what_it_refuses() -> None:
    stream, x = torch.cuda.Stream(), torch.ones(1000, device="cuda")
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        y = x + 1
        x.record_stream(stream)
    del x
    torch.cuda.current_stream().wait_stream(stream)
    assert y.sum().item() == 2000
    with pytest.raises(
        NotImplementedError, match="Could not run 'aten::record_stream' with arguments from the 'CPU' backend"
    ):
        torch.ones(2).record_stream(stream)
    with pytest.raises(RuntimeError, match="unknown parameter type: int"):
        y.record_stream(3)
    torch.sparse_coo_tensor([[0]], [1.0], (2,), device="cuda").record_stream(stream)


@on_stand_in
def test_copies_from_pinned_memory(busy: Any) -> None:
    """The GPU reads it when it comes to that: later with `non_blocking`, else before the program goes on."""
    for copy in (
        lambda x, later: x.to("cuda", non_blocking=later), lambda x, later: x.to("cuda", torch.float32, later),
        lambda x, later: x.cuda(non_blocking=later), lambda x, later: torch.zeros(3, device="cuda").copy_(x, non_blocking=later),
    ):  # fmt: skip
        for later in (False, True):
            x = torch.ones(3).pin_memory()
            with torch.cuda.stream(busy):
                keep_busy(busy)
                there = copy(x, later)
                assert busy.query() != later
                x.fill_(2.0)
            if not later or "copy_" not in copy.__code__.co_names:  # hosted streams do not wait to copy on from there
                busy.synchronize()
                assert there.tolist() == [1.0 + later] * 3
    with torch.cuda.stream(busy):
        keep_busy(busy)
        assert torch.ones(3).to("cuda").tolist() == [1.0] * 3  # has been copied to memory that the GPU reads
        assert torch.tensor(1.0).pin_memory().to("cuda").item() == 1.0
