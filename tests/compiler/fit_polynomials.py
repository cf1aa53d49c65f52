"""Derives the coefficients in rushlight/compiler/math.py: run it and compare."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

Function = Callable[[np.ndarray], np.ndarray]


def fit(function: Function, low: float, high: float, degree: int, weight: Function) -> tuple[list[float], float]:
    """Least squares on Chebyshev nodes, weighted anew by the error until that is level (Lawson's algorithm)."""
    count = 4000
    nodes = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    x = (low + high) / 2 + (high - low) / 2 * nodes
    y, scale = function(x), weight(x)
    powers, weights = np.vander(x, degree + 1, increasing=True), np.ones(count)
    for _ in range(60):
        root = np.sqrt(weights) * scale
        coefficients = np.linalg.lstsq(powers * root[:, None], y * root, rcond=None)[0]
        error = np.abs(powers @ coefficients - y) * scale
        weights *= error / error.max() + 1e-3
        weights /= weights.sum()
    return coefficients.tolist(), float(error.max())


def main() -> None:
    sqrt, erf, erfc = np.sqrt, special.erf, special.erfc
    half = np.log(2) / 2 * 1.001
    low, high = np.sqrt(0.5) - 1 - 1e-4, np.sqrt(2) - 1 + 1e-4
    square = (np.pi / 4) ** 2 * 1.001
    fits = {
        "EXP": fit(lambda r: (np.expm1(r) - r) / r**2, -half, half, 4, lambda r: r**2 / np.exp(r)),
        "LOG": fit(lambda f: (np.log1p(f) - f + f * f / 2) / f**3, low, high, 7, lambda f: np.abs(f**3 / np.log1p(f))),
        "ERF": fit(lambda u: erf(sqrt(u)) / sqrt(u), 1e-12, 1.0, 6, lambda u: sqrt(u) / erf(sqrt(u))),
        "ERFC": fit(lambda x: np.log(erfc(x)), 0.98, 4.05, 7, lambda x: erfc(x) / erf(x)),
        "SIN": fit(lambda u: (np.sin(sqrt(u)) / sqrt(u) - 1) / u, 1e-9, square, 2, lambda u: u * sqrt(u) / np.sin(sqrt(u))),
        "COS": fit(lambda u: (np.cos(sqrt(u)) - 1 + u / 2) / u**2, 1e-6, square, 2, lambda u: u**2 / np.cos(sqrt(u))),
    }  # fmt: skip
    for name, (coefficients, error) in fits.items():
        print(f"{name} = {coefficients}  # {error:.2g}")


if __name__ == "__main__":
    main()
