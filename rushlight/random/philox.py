"""Philox4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011): words by counters.

A word is a function of a counter of 128 bits and a key of 64, so no number waits for another. The functions are array
code on a namespace `xp` of the waist, in uint64: any kind of array computes them, and the compiler can trace them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# The paper's multipliers, and what is added to the key after each round.
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_STEPS = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

Words = tuple[Any, Any, Any, Any]


def philox(counter: Words, key: tuple[Any, Any]) -> Words:
    """Four words for each counter.

    Args:
        counter: four arrays or NumPy numbers, uint64 with values below 2**32.
        key: two of the same.

    Returns:
        Four of the same, random.

    Example:
        >>> zero = np.uint64(0)
        >>> [hex(word) for word in philox((zero, zero, zero, zero), (zero, zero))]
        ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    first, second, third, fourth = counter
    for i in range(_ROUNDS):
        keys = [(part + np.uint64(i * step % 2**32)) & _LOW for part, step in zip(key, _STEPS, strict=True)]
        product, other = first * _MULTIPLIERS[0], third * _MULTIPLIERS[1]  # both factors have 32 bits
        first, second, third, fourth = (
            (other >> _HALF) ^ second ^ keys[0],
            other & _LOW,
            (product >> _HALF) ^ fourth ^ keys[1],
            product & _LOW,
        )
    return first, second, third, fourth


def start(seed: int, offset: int) -> Words:
    """(key, key, counter, counter): what all words of a seed and an offset have in common."""
    step = offset // 4
    low, high = seed % 2**32, seed >> 32
    return np.uint64(low), np.uint64(high), np.uint64(step % 2**32), np.uint64(step >> 32)


def words(xp: Any, begin: Words, count: int) -> Words:
    """Four arrays of `count` words (uint64, below 2**32): element i has those of the counter (offset, i).

    So it is in cuRAND's generator, where i is the number of a thread, and four words are one step of the offset.

    Args:
        begin: as `start` gives it; or four arrays without dimensions, which a program that is compiled once can take.
    """
    index = xp.arange(0, count, 1, np.dtype(np.uint64))
    return philox((begin[2], begin[3], index & _LOW, index >> _HALF), (begin[0], begin[1]))
