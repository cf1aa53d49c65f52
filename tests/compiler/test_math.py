"""The accuracy of the float32 functions over the whole range, in units in the last place, against float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from steps import check, make_graph, run_program

from rushlight.arrays import symbolic as xp
from rushlight.compiler.program import build_program

FUNCTIONS = ["exp", "expm1", "tanh", "log", "log2", "log10", "log1p", "erf", "sin", "cos", "sqrt"]
LIMITS = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1,
    -1,
    1e-45,
    -1e-45,
    1e-38,
    88.72,
    88.73,
    -103.9,
    -104,
    128,
    3.4e38,
]


def arguments() -> np.ndarray:
    random = np.random.default_rng(0)
    every = random.integers(0, 2**32, 1 << 18, dtype=np.uint64).astype(np.uint32).view(np.float32)
    ranges = [np.linspace(-110, 110, 50001), np.linspace(-6, 6, 50001), np.linspace(1e-3, 3, 50001)]
    near_one = [np.linspace(0.9, 1.1, 50001), random.standard_normal(50000) * 1e-3]
    return np.concatenate([every, *(np.float32(x) for x in (*ranges, *near_one)), np.float32(LIMITS)])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name: str) -> None:
    x = arguments()
    graph = make_graph(getattr(xp, name), [x])
    (result,) = run_program(build_program(graph, num_threads=1), graph, [x])
    with np.errstate(all="ignore"):
        want = (special.erf if name == "erf" else getattr(np, name))(x.astype(np.float64))
        rounded = want.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(result[~finite], rounded[~finite])
    unit = np.spacing(np.maximum(np.abs(rounded[finite]), np.float32(1.2e-38))).astype(np.float64)
    error = np.abs(result[finite] - want[finite]) / unit
    assert error.max() < 3, x[finite][error.argmax()]


def test_signed_zeros() -> None:
    x = np.array([0.0, -0.0], np.float32)
    graph = make_graph(lambda x: [getattr(xp, name)(x) for name in ("expm1", "tanh", "log1p", "erf", "sin")], [x])
    for result in run_program(build_program(graph, num_threads=1), graph, [x]):
        assert np.signbit(result).tolist() == [False, True]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64(name: str) -> None:
    x = np.concatenate([np.linspace(-20, 20, 1001), [0.0, np.inf, -np.inf, np.nan, 1e-300, 1e300]])
    check(getattr(xp, name), x, tolerance=1e-14)
