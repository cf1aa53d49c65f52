"""What is used of a GPU's memory, and what happens when there is no more."""

from __future__ import annotations

import gc
import os
from typing import Any

import cupy
import pytest
from gpu import hosted

import rushlight as torch
from rushlight.cuda import memory

MB = 2**20


def test_figures_follow_what_is_allocated(gpus: Any) -> None:
    torch.cuda.init()
    first = gpus.alloc(10 * MB)
    second = gpus.alloc(100)  # in blocks of 512
    assert torch.cuda.memory_allocated() == torch.cuda.max_memory_allocated() == 10 * MB + 512
    del first
    assert torch.cuda.memory_allocated() == 512
    assert torch.cuda.memory_reserved() == torch.cuda.max_memory_reserved() == 10 * MB + 512
    third = gpus.alloc(4 * MB)
    assert torch.cuda.max_memory_allocated() == 10 * MB + 512
    torch.cuda.reset_peak_memory_stats()
    assert torch.cuda.max_memory_allocated() == 4 * MB + 512
    torch.cuda.empty_cache()
    assert (
        torch.cuda.memory_reserved() == torch.cuda.max_memory_reserved() == 10 * MB + 512
    )  # the third is in the first's place
    assert torch.cuda.memory_allocated(1) == torch.cuda.max_memory_allocated("cuda:1") == 0
    del second, third


def test_peaks_are_exact(gpus: Any) -> None:
    """Against a count made block by block, for blocks that come and go at random."""
    import random

    torch.cuda.init()
    choose, blocks, used, peak = random.Random(1), [], 0, 0
    for step in range(2000):
        if blocks and choose.random() < 0.5:
            used -= 512 * blocks.pop(choose.randrange(len(blocks)))[1]
        else:
            count = choose.randrange(1, 50)
            blocks.append((gpus.alloc(512 * count), count))
            used += 512 * count
        peak = max(peak, used)
        assert torch.cuda.memory_allocated() == used
        assert torch.cuda.max_memory_allocated() == peak
        if step % 500 == 499:
            torch.cuda.reset_max_memory_allocated()
            peak = used


def test_the_pool_is_not_asked_at_every_allocation(gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer takes as long as it has blocks."""
    asked = []
    pool = cupy.get_default_memory_pool()

    class Counting:
        malloc = pool.malloc

        free_all_blocks = pool.free_all_blocks

        def used_bytes(self) -> int:
            asked.append(1)
            return pool.used_bytes()

    monkeypatch.setattr("cupy.get_default_memory_pool", Counting)
    torch.cuda.init()
    large = gpus.alloc(100 * MB)
    del large
    gpus.alloc(512)
    asked.clear()
    for _ in range(1000):
        gpus.alloc(512)
    assert len(asked) <= 2


def test_stats_and_summary(gpus: Any) -> None:
    torch.cuda.init()
    with torch.cuda.device(1):
        gpus.alloc(30 * MB)  # freed at once
        kept = gpus.alloc(20 * MB)
    stats = torch.cuda.memory_stats(1)
    assert list(stats) == sorted(stats)
    assert {name.rpartition(".")[2]: stats[name] for name in stats if name.startswith("allocated_bytes.all.")} == {
        "current": 20 * MB, "peak": 30 * MB, "allocated": 50 * MB, "freed": 30 * MB,
    }  # fmt: skip
    assert stats["reserved_bytes.all.current"] == 30 * MB  # the second is in the first's place
    assert torch.cuda.memory_stats_as_nested_dict(1)["reserved_bytes"]["all"]["peak"] == 30 * MB
    lines = torch.cuda.memory_summary("cuda:1").splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "device ID 1" in lines[1]
    (row,) = [line for line in lines if "Allocated memory" in line]
    assert [cell.strip() for cell in row.strip("|").split("|")[1:]] == ["20 MiB", "30 MiB", "50 MiB", "30 MiB"]
    assert f"process {os.getpid():>10d}" in torch.cuda.list_gpu_processes(1)
    torch.cuda.reset_accumulated_memory_stats(1)
    assert torch.cuda.memory_stats(1)["allocated_bytes.all.freed"] == 0
    assert torch.cuda.mem_get_info(1) == (2**30 - 30 * MB, 2**30)
    assert torch.cuda.device_memory_used(1) == 30 * MB
    del kept


def test_out_of_memory(gpus: Any) -> None:
    """The error tells sizes, keeps nothing alive, and what fits afterwards is allocated."""
    hosted.control().hosted_capacity(0, 24 * MB)
    torch.cuda.init()
    kept, freed = gpus.alloc(10 * MB), gpus.alloc(4 * MB)
    del freed
    with pytest.raises(torch.cuda.OutOfMemoryError) as caught:
        gpus.alloc(20 * MB)
    assert str(caught.value) == (
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 24.00 MiB of which 14.00 MiB is free. "
        f"Process {os.getpid()} has 10.00 MiB memory in use. Of the allocated memory 10.00 MiB is allocated by rushlight, and "
        "0 bytes is reserved by rushlight but unallocated."
    )
    assert torch.cuda.OutOfMemoryError is torch.OutOfMemoryError
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.__cause__ is None
    assert torch.cuda.memory_stats()["num_ooms"] == 1
    del caught
    gc.collect()
    assert gpus.alloc(14 * MB).mem.size == 14 * MB
    assert kept.mem.size == 10 * MB


def test_what_is_kept_is_given_back_before_giving_up(gpus: Any) -> None:
    torch.cuda.set_per_process_memory_fraction(0.5)
    block = gpus.alloc(300 * MB)
    del block
    assert gpus.alloc(400 * MB).mem.size == 400 * MB
    assert torch.cuda.memory_stats()["num_ooms"] == 0
    with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate 600\.00 MiB\. .* 512\.00 MiB allowed;"):
        gpus.alloc(600 * MB)


def test_fractions(gpus: Any) -> None:
    assert torch.cuda.get_per_process_memory_fraction() == 1.0
    torch.cuda.set_per_process_memory_fraction(0.25, 1)
    assert torch.cuda.get_per_process_memory_fraction(1) == 0.25
    assert torch.cuda.get_per_process_memory_fraction(0) == 1.0
    with pytest.raises(TypeError, match="Invalid type for fraction argument, must be `float`"):
        torch.cuda.set_per_process_memory_fraction(1)
    with pytest.raises(ValueError, match=r"Invalid fraction value: 1\.5\. Allowed range: 0~1"):
        torch.cuda.set_per_process_memory_fraction(1.5)
    torch.cuda.set_per_process_memory_fraction(0.0)
    with pytest.raises(torch.OutOfMemoryError):
        gpus.alloc(1)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1024, "1024 bytes"), (1536, "1.50 KiB"), (5 * MB, "5.00 MiB"), (20 << 30, "20.00 GiB")],
)
def test_sizes(count: int, text: str) -> None:
    assert memory._size(count) == text
