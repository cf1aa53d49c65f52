"""What tests beside PyTorch share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import rushlight


def flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flat(item)]
    if isinstance(value, dict):
        return flat(sorted(value.items()))
    return [value.detach().numpy() if hasattr(value, "detach") else value]


def same(program: Callable[[Any], Any], tolerance: float = 1e-12) -> None:
    """Runs a program on both libraries; what it returns, flattened, has to be the same."""
    theirs, mine = (flat(program(torch)) for torch in (pytorch, rushlight))
    assert len(theirs) == len(mine), (theirs, mine)
    for t, m in zip(theirs, mine, strict=True):
        if isinstance(t, np.ndarray):
            assert t.shape == m.shape
            np.testing.assert_allclose(m, t, tolerance, tolerance)
        else:
            assert t == m


def raised(function: Callable[[], Any], length: int = 60) -> str:
    """The type and the first letters of the message of what a function raises; "nothing" if it does not."""
    try:
        function()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is compared or raised)
        return f"{type(error).__name__}: {str(error).strip()[:length]}"
    return "nothing"


@pytest.fixture(name="same")
def same_fixture() -> Callable[..., None]:
    return same


@pytest.fixture(name="raised")
def raised_fixture() -> Callable[..., str]:
    return raised
