"""Numbers that are drawn by rejection are PyTorch's, to the bit, and leave the stream where PyTorch leaves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rushlight

MODULES = (torch, rushlight)


def drawn(draw: Any) -> list[Any]:
    """The numbers of both, and the states of the generators behind them."""
    results = []
    for module in MODULES:
        module.manual_seed(11)
        numbers = draw(module)
        results.append((numbers.numpy(), module.rand(3).numpy(), np.asarray(module.get_rng_state())))
    return results


def check(draw: Any, ulps: int = 0) -> None:
    (expected, uniforms, state), (found, our_uniforms, our_state) = drawn(draw)
    assert found.dtype == expected.dtype
    np.testing.assert_array_max_ulp(found, expected, ulps) if ulps else np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(our_uniforms, uniforms)
    np.testing.assert_array_equal(our_state, state)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["_standard_gamma", "_sample_dirichlet"])
def test_gamma(name: str, dtype: str) -> None:
    concentration = np.concatenate([np.linspace(0.02, 2, 150), np.linspace(2, 60, 150)]).reshape(20, 15).astype(dtype)
    ulps = 4  # powers, logarithms and cosines are those of another library
    check(lambda module: getattr(module, name)(module.from_numpy(concentration)), ulps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_poisson(dtype: str) -> None:
    rate = np.concatenate([np.linspace(0, 12, 200), np.linspace(10, 500, 200)]).astype(dtype)
    check(lambda module: module.poisson(module.from_numpy(rate)))


def test_binomial() -> None:
    count, probability = np.meshgrid([0.0, 1, 7, 40, 1000, 1e6], [0.0, 1e-3, 0.2, 0.5, 0.7, 0.999, 1.0])
    count, probability = (np.repeat(x.ravel(), 20) for x in (count, probability))
    check(lambda module: module.binomial(module.from_numpy(count), module.from_numpy(probability)))


def test_cached_normals_are_shared_with_normals() -> None:
    """A gamma number takes normals in pairs: the second of a pair waits for whoever asks next."""

    def draw(module: Any) -> Any:
        gamma = module._standard_gamma(module.full((3,), 2.0, dtype=module.float64))
        return module.cat([gamma, module.randn(3, dtype=module.float64), module._standard_gamma(gamma)])

    check(draw, ulps=4)


def test_edges() -> None:
    nan, infinity = float("nan"), float("inf")
    assert rushlight.poisson(rushlight.zeros(3)).tolist() == [0, 0, 0]
    assert rushlight._standard_gamma(rushlight.tensor([1e-30])).item() >= np.finfo(np.float32).tiny
    assert np.isnan(rushlight._standard_gamma(rushlight.tensor([nan])).item())
    assert rushlight.binomial(rushlight.tensor([nan, 3.0]), rushlight.tensor([0.5, 0.0]))[1].item() == 0
    assert rushlight.poisson(rushlight.tensor([infinity])).item() == infinity
    assert rushlight._standard_gamma(rushlight.zeros(0, 3)).shape == (0, 3)
