"""The table from NumPy's functions to ours, and how families enter it."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

TABLE: dict[Any, Callable[..., Any]] = {}


def implements(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enters a function under NumPy's names, such as "sum" or "linalg.norm"."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            TABLE[attrgetter(name)(np)] = function
        return function

    return enter
