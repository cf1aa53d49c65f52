"""What the CUDA writer writes: NVRTC compiles it, and on the emulator it gives NumPy's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_steps import ARCHITECTURES, check_all, compile_by_nvrtc
from random_graphs import random_graph
from steps import make_graph
from test_operations import CASES


def check(cases, tolerance: float = 1e-4) -> None:
    _, source = check_all(cases, tolerance)
    for architecture in ARCHITECTURES:
        assert compile_by_nvrtc(source, architecture)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_graphs(first: int) -> None:
    check([random_graph(seed, size=20) for seed in range(first, first + 20)])


def test_cases_of_the_compiler() -> None:
    cases = []
    for function, *arrays in CASES.values():
        cases.append((make_graph(function, list(arrays)), list(arrays)))
    check(cases, tolerance=2e-5)
