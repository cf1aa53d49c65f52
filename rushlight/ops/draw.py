"""A GPU's random numbers, each draw one program: Philox's twenty multiplications for a number stay in registers.

Seed and offset are an input of the program, so that it is compiled once for all draws of a distribution and a size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.arrays import kinds
from rushlight.ops.fused import Fused
from rushlight.random import cuda

_UINT64 = np.dtype(np.uint64)
_programs: dict[Callable[..., Any], Fused] = {}


def _run(function: Callable[..., Any], xp: Any, begin: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    if xp is not kinds.GPU:
        return function(xp, begin, **attrs)
    state = xp.from_host(np.array(begin, np.int64), xp.current_device())
    return program_of(function)(xp, state, **attrs)


def program_of(function: Callable[..., Any]) -> Fused:
    """A function of `rushlight.random.cuda` with one array as its beginning: four int64, each below 2**32."""
    found = _programs.get(function)
    if found is None:

        def numbers(xp: Any, state: Any, **attrs: Any) -> Any:
            return function(xp, tuple([xp.astype(xp.slice(state, (i,)), _UINT64) for i in range(4)]), **attrs)

        found = _programs[function] = Fused(numbers, patience=1)
    return found


cuda.run = _run
