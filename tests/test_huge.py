"""Arrays of 2**31 elements and more, where a 32-bit index would wrap around: one case for each family of operations."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as torch

SIZE = 2**31 + 7
NEEDED = 14 * 2**30  # bytes: three arrays of int8, one of indices, what NumPy keeps meanwhile


def available_memory() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, AttributeError):  # a system that does not say
        return 0


pytestmark = [
    pytest.mark.skipif(available_memory() < NEEDED, reason=f"needs {NEEDED >> 30} GiB of free memory"),
    pytest.mark.xdist_group("huge"),
]


@pytest.fixture(scope="module")
def x() -> Any:
    """int8: zeros, but for a 3 in front, a 5 at 2**31 and a 7 at the end."""
    array = np.zeros(SIZE, np.int8)
    array[0], array[2**31], array[-1] = 3, 5, 7
    return torch.from_numpy(array)


ENDS = [0, 1, 2**31 - 1, 2**31, SIZE - 1]

# name: (function, what it gives at ENDS, or the result itself)
CASES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "elementwise": (lambda x: x + x, [6, 0, 0, 10, 14]),
    "comparison": (lambda x: x > 4, [0, 0, 0, 1, 1]),
    "in place": (lambda x: x.clone().mul_(2), [6, 0, 0, 10, 14]),
    "where": (lambda x: torch.where(x == 0, 1, x), [3, 1, 1, 5, 7]),
    "reduction": (lambda x: x.sum(), 15),
    "maximum": (lambda x: x.max(), 7),
    "index of the maximum": (lambda x: x.argmax(), SIZE - 1),
    "count": (lambda x: x.count_nonzero(), 3),
    "view": (lambda x: x.view(-1, 1)[2**31 :, 0], None),
    "flip": (lambda x: x.flip(0), [7, 0, 0, 0, 3]),
    "concatenation": (lambda x: torch.cat([x[: 2**31], x[2**31 :]]), [3, 0, 0, 5, 7]),
    "index": (lambda x: x[torch.tensor([0, 2**31, -1])], None),
    "gather": (lambda x: x.gather(0, torch.tensor([0, 2**31, SIZE - 1])), None),
    "scatter": (lambda x: x.scatter(0, torch.tensor([2**31]), torch.tensor([9], dtype=torch.int8)), [3, 0, 0, 9, 7]),
    "nonzero": (lambda x: x.nonzero().flatten(), None),
    "masked": (lambda x: x.masked_select(x != 0), None),
    "search": (lambda x: torch.searchsorted(torch.zeros(SIZE, dtype=torch.int8), torch.tensor([1], dtype=torch.int8)), None),
    "creation": (lambda x: torch.full((SIZE,), 2, dtype=torch.int8), [2, 2, 2, 2, 2]),
}  # fmt: skip
RESULTS = {
    "view": [5, 0, 0, 0, 0, 0, 7], "index": [3, 5, 7], "gather": [3, 5, 7], "nonzero": [0, 2**31, SIZE - 1],
    "masked": [3, 5, 7], "search": [SIZE],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_huge(name: str, x: Any) -> None:
    function, expected = CASES[name]
    result = function(x)
    if name in RESULTS:
        assert result.tolist() == RESULTS[name]
    elif isinstance(expected, list):
        assert result.shape == x.shape
        assert [int(result[i]) for i in ENDS] == expected
    else:
        assert result.item() == expected
