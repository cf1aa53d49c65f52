"""Where each buffer of a program is: one arena, planned ahead, in which buffers share room when their lives do not meet."""

from __future__ import annotations

from rushlight.compiler.loops import Buffer

ALIGNMENT = 64


def plan_arena(lives: dict[Buffer, tuple[int, int]]) -> tuple[dict[Buffer, int], int]:
    """The offset of each buffer in bytes, and the arena's size. A life is (first, last) step, both included.

    Largest first, each at the lowest offset that is free for its whole life.
    """
    offsets: dict[Buffer, int] = {}
    placed: list[tuple[int, int, int, int]] = []  # (offset, end, first, last), by offset
    total = 0
    for buffer in sorted(lives, key=lambda b: (-b.nbytes, b.number)):
        first, last = lives[buffer]
        size = -(-max(buffer.nbytes, 1) // ALIGNMENT) * ALIGNMENT
        offset = 0
        for start, end, born, died in placed:
            if born <= last and first <= died:
                if offset + size <= start:
                    break
                offset = max(offset, end)
        offsets[buffer] = offset
        placed.append((offset, offset + size, first, last))
        placed.sort()
        total = max(total, offset + size)
    return offsets, total
