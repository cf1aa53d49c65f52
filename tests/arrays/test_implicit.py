"""Derivatives of gamma and beta samples, against differences of SciPy's quantiles and against PyTorch's approximations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import special

import rushlight
from rushlight.arrays import implicit


def difference(quantile: Callable[[np.ndarray], np.ndarray], a: np.ndarray) -> np.ndarray:
    h = 1e-4 * a
    return (8 * (quantile(a + h) - quantile(a - h)) - quantile(a + 2 * h) + quantile(a - 2 * h)) / (12 * h)


def test_gamma() -> None:
    generator = np.random.default_rng(0)
    a, u = np.exp(generator.uniform(np.log(0.02), np.log(1e5), 400)), generator.uniform(1e-3, 1 - 1e-3, 400)
    x = special.gammaincinv(a, u)
    found = implicit.standard_gamma_grad(a, x)
    np.testing.assert_allclose(found, difference(lambda a: special.gammaincinv(a, u), a), rtol=1e-7)
    np.testing.assert_allclose(found, torch._standard_gamma_grad(torch.tensor(a), torch.tensor(x)), rtol=1e-3)


def test_beta() -> None:
    generator = np.random.default_rng(0)
    a, b = np.exp(generator.uniform(np.log(0.1), np.log(1e3), (2, 400)))
    u = generator.uniform(1e-2, 1 - 1e-2, 400)
    x = special.betaincinv(a, b, u)
    keep = (x > 1e-100) & (x < 1 - 1e-6)  # where quantiles have their digits
    a, b, u, x = a[keep], b[keep], u[keep], x[keep]
    found = implicit.dirichlet_grad(x, a, a + b) * (1 - x)
    np.testing.assert_allclose(found, difference(lambda a: special.betaincinv(a, b, u), a), rtol=2e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_and_dtypes(dtype: str) -> None:
    a, x = np.full((2, 3), 1.5, dtype), np.array([0.2, 1.0, 4.0], dtype)
    found = implicit.standard_gamma_grad(a, x)
    assert (found.shape, found.dtype) == ((2, 3), np.dtype(dtype))
    assert implicit.standard_gamma_grad(a[:0], x).shape == (0, 3)


@pytest.mark.parametrize("name", ["_standard_gamma", "_sample_dirichlet"])
def test_there_is_no_second_derivative(name: str) -> None:
    x = rushlight.tensor([0.5, 2.0], requires_grad=True)
    (grad,) = rushlight.autograd.grad((getattr(rushlight, name)(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(
        NotImplementedError, match=r"the derivative for '_(standard_gamma|dirichlet)_grad' is not implemented"
    ):
        grad.sum().backward()
