"""A GPU's memory: CuPy's pool with a count of the most that was used, and PyTorch's error when there is no more.

CuPy takes every array's memory from the allocator that is set here: the pool's own, and one addition (0.2 us of every
operation). What is in use is asked of the pool only when it may be more than ever before (CuPy 13 sums it up from all blocks):
`_Use.bound` is at least what is in use, since it grows with each block and nothing is taken off when one is freed.

Left out: counts of blocks and of CuPy's second tries, snapshots, allocators of users, memory on the host.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any

from rushlight.cuda import lent, library
from rushlight.cuda.devices import get_device_properties, require_index
from rushlight.errors import OutOfMemoryError as OutOfMemoryError


class _Use:
    """What was used of one GPU's memory, in bytes."""

    __slots__ = ("bound", "num_ooms", "peak", "peak_reserved", "total")

    def __init__(self) -> None:
        self.bound = self.peak = self.peak_reserved = self.total = 0
        self.num_ooms = 0


_uses: dict[int, _Use] = {}
_BLOCK = 512  # the pool's blocks are multiples of this


def _use_of(index: int) -> _Use:
    found = _uses.get(index)
    if found is None:
        found = _uses[index] = _Use()
    return found


def start(cupy: Any) -> None:
    """Sets the allocator: done once, when a GPU is first used."""
    pool = cupy.get_default_memory_pool()
    malloc, used_bytes, device_id, lent_blocks = pool.malloc, pool.used_bytes, cupy.cuda.get_device_id, lent.blocks
    for index in range(library.device_count()):
        _use_of(index)

    def allocate(size: int) -> Any:
        if lent_blocks:
            lent.take_back()
        use = _uses[device_id()]
        try:
            block = malloc(size)
        except MemoryError:  # after CuPy has given back what it held unused, and tried again
            block = None
        if block is None and lent_blocks:
            lent.take_back(waits=True)
            block = _tried(malloc, size)
        if (
            block is None
        ):  # outside of the handler: CuPy's error would keep its frames, and with them their arrays, in memory
            use.num_ooms += 1
            raise OutOfMemoryError(_message(cupy, pool, size))
        taken = (size + _BLOCK - 1) & -_BLOCK
        use.total += taken
        use.bound = bound = use.bound + taken
        if bound > use.peak:
            use.bound = used = used_bytes()
            if used > use.peak:
                use.peak = used
        return block

    cupy.cuda.set_allocator(allocate)


def _tried(malloc: Any, size: int) -> Any:
    """A block, or None where there is not enough for it."""
    try:
        return malloc(size)
    except MemoryError:
        return None


def _message(cupy: Any, pool: Any, size: int) -> str:
    index = int(cupy.cuda.get_device_id())
    free, total = cupy.cuda.runtime.memGetInfo()
    used, reserved, limit = pool.used_bytes(), pool.total_bytes(), pool.get_limit()
    allowed = f" {_size(limit)} allowed;" if limit else ""
    return (
        f"CUDA out of memory. Tried to allocate {_size(size)}. GPU {index} has a total capacity of {_size(total)} of which "
        f"{_size(free)} is free.{allowed} Process {os.getpid()} has {_size(reserved)} memory in use. Of the allocated memory "
        f"{_size(used)} is allocated by rushlight, and {_size(reserved - used)} is reserved by rushlight but unallocated."
    )


def _size(count: int) -> str:
    """A count of bytes as PyTorch writes it."""
    if count <= 1024:
        return f"{count} bytes"
    unit, name = next(
        pair for pair in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")) if count >= pair[0] or pair[0] == 2**10
    )
    return f"{count / unit:.2f} {name}"


# ---------------------------------------------------------------- how much


def _in_pool(device: Any, question: str) -> int:
    """What the pool says of a GPU; 0 where none has been used."""
    if not library.is_ready():
        return 0
    cupy = library.cupy()
    with cupy.cuda.Device(require_index(device)):
        return int(getattr(cupy.get_default_memory_pool(), question)())


def _noted(device: Any) -> _Use:
    return _use_of(require_index(device)) if library.is_ready() else _Use()


def memory_allocated(device: Any = None) -> int:
    """Bytes that tensors take on a GPU, in blocks of 512."""
    return _in_pool(device, "used_bytes")


def max_memory_allocated(device: Any = None) -> int:
    """The most that tensors took since the start, or since `reset_peak_memory_stats`."""
    return max(_noted(device).peak, memory_allocated(device))


def memory_reserved(device: Any = None) -> int:
    """Bytes that the pool has of a GPU's memory: those of tensors, and those kept for the next."""
    return _in_pool(device, "total_bytes")


def max_memory_reserved(device: Any = None) -> int:
    """The most that the pool had."""
    return max(_noted(device).peak_reserved, memory_reserved(device))


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """From now on the peaks are those since now."""
    if library.is_ready():
        use = _noted(device)
        use.peak = use.bound = memory_allocated(device)
        use.peak_reserved = memory_reserved(device)


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Counts from now on what is allocated and freed, and how often there was not enough."""
    use = _noted(device)
    use.total = memory_allocated(device)
    use.num_ooms = 0


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(bytes that are free on a GPU, bytes it has), whoever uses it."""
    cupy = library.cupy()
    with cupy.cuda.Device(require_index(device)):
        free, total = cupy.cuda.runtime.memGetInfo()
    return int(free), int(total)


def device_memory_used(device: Any = None) -> int:
    """Bytes of a GPU that are in use, whoever uses them."""
    free, total = mem_get_info(device)
    return total - free


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """`memory_stats`, a dictionary in a dictionary for each part of a name; empty where no GPU has been used."""
    if not library.is_ready():
        return {}
    use, allocated, reserved = _noted(device), memory_allocated(device), memory_reserved(device)
    numbers = {"current": allocated, "peak": max_memory_allocated(device), "allocated": use.total}
    numbers["freed"] = use.total - allocated
    kept = {"current": reserved, "peak": max_memory_reserved(device)}
    return {
        "allocated_bytes": {"all": numbers},
        "active_bytes": {"all": dict(numbers)},
        "reserved_bytes": {"all": kept},
        "num_ooms": use.num_ooms,
    }


def memory_stats(device: Any = None) -> dict[str, Any]:
    """What is known of a GPU's memory, by PyTorch's names: "allocated_bytes.all.current" and others.

    Blocks are not counted, and large and small ones not told apart: CuPy's pool does neither.
    """
    found: dict[str, Any] = OrderedDict()

    def flatten(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, part in value.items():
                flatten(f"{prefix}.{name}" if prefix else name, part)
        else:
            found[prefix] = value

    flatten("", memory_stats_as_nested_dict(device))
    return OrderedDict(sorted(found.items()))


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The figures as a table.

    Args:
        device: the GPU; the current one unless named.
        abbreviated: accepted; the table is short.
    """
    index = require_index(device)
    stats = memory_stats(index)
    columns = ("current", "peak", "allocated", "freed")
    rows = [
        [title, *[_column(stats.get(f"{name}.all.{column}")) for column in columns]]
        for title, name in (("Allocated memory", "allocated_bytes"), ("GPU reserved memory", "reserved_bytes"))
    ]
    head = ["Metric", "Cur Usage", "Peak Usage", "Tot Alloc", "Tot Freed"]
    table = [" | ".join([row[0].ljust(21), *[text.rjust(10) for text in row[1:]]]) for row in (head, *rows)]
    width = len(table[0]) + 2
    title = f"rushlight CUDA memory summary, device ID {index}"
    counts = f"CUDA OOMs: {stats['num_ooms']}"
    lines = [title.center(width), counts.center(width), *[f" {line} " for line in table]]
    rules = ["=", "-", "=", "-", "-"]
    inside = [part for rule, line in zip(rules, lines, strict=True) for part in (rule * width, line)]
    return "".join(f"|{line}|\n" for line in [*inside, "=" * width])


def _column(count: int | None) -> str:
    if count is None:
        return ""
    unit, name = next(((2**k, n) for k, n in ((30, "GiB"), (20, "MiB"), (10, "KiB")) if count >= 10 * 2**k), (1, "B  "))
    return f"{count // unit} {name}"


def list_gpu_processes(device: Any = None) -> str:
    """What runs on a GPU: this process; others are not looked for."""
    index = require_index(device)
    return f"GPU:{index}\nprocess {os.getpid():>10d} uses {memory_reserved(index) / 2**20:>12.3f} MB GPU memory"


# ---------------------------------------------------------------- given back, limited


def empty_cache() -> None:
    """Gives back to the GPUs what the pool keeps for the next tensors."""
    if library.is_ready():
        cupy = library.cupy()
        pool = cupy.get_default_memory_pool()
        lent.take_back()
        for index in range(library.device_count()):
            with cupy.cuda.Device(index):
                use = _use_of(index)  # only here, and where CuPy runs out of memory, does the pool get smaller
                use.peak_reserved = max(use.peak_reserved, pool.total_bytes())
                pool.free_all_blocks()


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Limits what tensors may take to a share of a GPU's memory.

    Raises:
        TypeError: not a float.
        ValueError: not between 0 and 1.
    """
    index = require_index(device)
    if not isinstance(fraction, float):
        raise TypeError("Invalid type for fraction argument, must be `float`")
    if fraction < 0 or fraction > 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    cupy = library.cupy()
    with cupy.cuda.Device(index):
        # 0 is no limit to the pool; one byte is no memory.
        limit = max(1, int(fraction * get_device_properties(index).total_memory))
        cupy.get_default_memory_pool().set_limit(size=limit)


def get_per_process_memory_fraction(device: Any = None) -> float:
    """The share that was set, or 1."""
    index = require_index(device)
    cupy = library.cupy()
    with cupy.cuda.Device(index):
        limit = cupy.get_default_memory_pool().get_limit()
    return limit / get_device_properties(index).total_memory if limit else 1.0


def get_allocator_backend() -> str:
    """Whose allocator it is."""
    return "cupy"
