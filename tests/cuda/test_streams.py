"""Streams and events: which stream is current, who waits for whom."""

from __future__ import annotations

from typing import Any

import pytest
from gpu import hosted

import rushlight as torch


def test_current_and_default_streams(gpus: Any) -> None:
    default = torch.cuda.default_stream()
    assert default == torch.cuda.current_stream()
    assert default.cuda_stream == 0
    assert repr(default) == "<torch.cuda.Stream device=cuda:0 cuda_stream=0x0>"
    assert default != torch.cuda.default_stream(1)
    assert default != "a stream"
    made = torch.cuda.Stream()
    with torch.cuda.stream(made):
        assert torch.cuda.current_stream() == made
        assert hash(torch.cuda.current_stream()) == hash(made)
        with torch.cuda.stream(None):
            assert torch.cuda.current_stream() == made
    assert torch.cuda.current_stream() == default
    with made as entered:
        assert entered is made
        assert torch.cuda.current_stream() == made
    assert torch.cuda.current_stream() == default
    torch.cuda.set_stream(made)
    torch.cuda.set_stream(None)
    assert torch.cuda.current_stream() == made
    assert made.__cuda_stream__() == (0, made.cuda_stream)
    assert made._stream.is_non_blocking


def test_a_stream_of_another_device(gpus: Any) -> None:
    other = torch.cuda.Stream("cuda:1", priority=-1)
    assert (other.device_index, other.priority, other._stream.priority) == (1, -1, -1)
    with torch.cuda.stream(other):
        assert torch.cuda.current_device() == 1
        assert torch.cuda.current_stream() == other
        assert torch.cuda.current_stream(0) == torch.cuda.default_stream(0)
    assert torch.cuda.current_device() == 0
    assert torch.cuda.current_stream(1) == torch.cuda.default_stream(1)


def test_waiting(gpus: Any) -> None:
    first, second = torch.cuda.Stream(), torch.cuda.Stream()
    hosted.control().hosted_busy(first.cuda_stream)
    assert not first.query()
    event = first.record_event()
    assert not event.query()
    second.wait_event(event)
    second.wait_stream(first)
    assert hosted.control().hosted_waits(second.cuda_stream) == 2
    event.synchronize()
    assert event.query()
    assert first.query()
    hosted.control().hosted_busy(first.cuda_stream)
    torch.cuda.synchronize()
    assert first.query()
    hosted.control().hosted_busy(first.cuda_stream)
    first.synchronize()
    assert first.query()


def test_events_tell_time(gpus: Any) -> None:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    assert repr(start) == "<torch.cuda.Event uninitialized>"
    assert start.query()
    start.wait()
    with pytest.raises(ValueError, match="Both events must be recorded before calculating elapsed time"):
        start.elapsed_time(end)
    start.record()
    end.record()
    assert start.elapsed_time(end) > 0
    assert repr(end) == f"<torch.cuda.Event {end.cuda_event:#x}>"
    with pytest.raises(ValueError, match="must be created with argument 'enable_timing=True'"):
        torch.cuda.Event().elapsed_time(end)
    with pytest.raises(RuntimeError, match="Event device 0 does not match recording stream's device 1"):
        start.record(torch.cuda.Stream(1))


def test_streams_of_other_libraries(gpus: Any) -> None:
    theirs = torch.cuda.ExternalStream(0xABC, device=1)
    assert (theirs.cuda_stream, str(theirs.device)) == (0xABC, "cuda:1")
    assert theirs == torch.cuda.get_stream_from_external(0xABC, "cuda:1")
    assert theirs._as_parameter_.value == 0xABC
    assert not torch.cuda.is_current_stream_capturing()


def test_marks(gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.cuda.init()
    marks: list[tuple[str, ...]] = []
    monkeypatch.setattr(gpus.nvtx, "available", True)
    for name, kind in (("RangePush", "push"), ("RangePop", "pop"), ("Mark", "mark")):
        monkeypatch.setattr(gpus.nvtx, name, lambda *text, kind=kind: marks.append((kind, *text)))
    with torch.cuda.nvtx.range("step {}", 3):
        torch.cuda.nvtx.mark("here")
        assert torch.cuda.nvtx.range_push("inner") == 1
        assert torch.cuda.nvtx.range_pop() == 1
    assert torch.cuda.nvtx.range_pop() == -1
    assert marks == [("push", "step 3"), ("mark", "here"), ("push", "inner"), ("pop",), ("pop",)]
