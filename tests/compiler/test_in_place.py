"""Outputs written over inputs: what reads the old value has read it before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from steps import check

from rushlight.arrays import symbolic as xp

RANDOM = np.random.default_rng(1)
IDS = RANDOM.integers(-10, 10, (4, 6))


def real(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


CASES: dict[str, tuple[Any, list[np.ndarray], list[int | None]]] = {
    "update": (lambda p, g: [p - g * 0.1], [real(64, 100), real(64, 100)], [0]),
    "exchange": (lambda a, b: [b, a], [real(3, 4), real(3, 4)], [0, 1]),
    "exchange_computed": (lambda a, b: [a + b, a - b], [real(3, 4), real(3, 4)], [0, 1]),
    "reversed": (lambda a: [a[::-1] + a], [real(30, 4)], [0]),
    "transposed": (lambda a: [a.T, a.T + 1], [real(8, 8)], [None, 0]),
    "by_its_sum": (lambda a: [a / xp.sum(a)], [real(30, 40)], [0]),
    "by_its_row_sums": (lambda a: [a / xp.sum(a * a, 1, True)], [real(30, 400)], [0]),
    "product": (lambda a, b: [xp.matmul(a, b), b + 1], [real(8, 8), real(8, 8)], [0, 1]),
    "several_outputs": (lambda a: [a + 1, a + 1, a * 2], [real(8, 8)], [0, None, None]),
    "scatter": (
        lambda a, i, v: [xp.index_put(a, v, i, spec=(("array", 0),), accumulate=True)],
        [real(10, 30), IDS, real(4, 6, 30)],
        [0],
    ),
    "scatter_of_itself": (
        lambda a, i: [xp.index_put(a, xp.take(a, i, 0), i, spec=(("array", 0),), accumulate=True)],
        [real(10, 30), IDS],
        [0],
    ),
    "slice_of_itself": (
        lambda a: [xp.slice_assign(a, a[1:3] * 2, (slice(0, 2),))],
        [real(10, 30)],
        [0],
    ),
    "host": (lambda a: [xp.sort(a, 0), xp.cumulative_sum(a, 0)], [real(5, 4)], [0, None]),
    "untouched": (lambda a: [a, xp.reshape(a, (2, 6)) + 1], [real(3, 4)], [0, None]),
    "scalars": (lambda a: [a + 1, xp.sqrt(a + 1)], [np.array(2, np.float32)], [0, None]),
}


@pytest.mark.parametrize("name", CASES)
def test_in_place(name: str) -> None:
    function, arrays, targets = CASES[name]
    check(function, *arrays, targets=targets)
