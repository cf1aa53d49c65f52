"""How a random number moves with the shape of its distribution, at a fixed quantile: implicit reparameterization.

For a distribution function F(x; a) with density p, a sample that keeps its quantile moves by dx/da = -(dF/da) / p
(Figurnov, Mohamed & Mnih, "Implicit Reparameterization Gradients", 2018; Jankowiak & Obermeyer, "Pathwise Derivatives
Beyond the Reparameterization Trick", 2018). dF/da is the integral of p(t) (s(t) - E s) below x, where s = d log p / da;
it vanishes over the whole line, so the integral above x is the same with the other sign. Taken on the side where s(t) -
E s keeps its sign, nothing cancels. Part of the waist: names here are listed in `protocol.HOST`. float64 inside.
NumPy's functions on CuPy arrays are CuPy's (NEP 18), so this serves these too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays.special import scipy_special

_NUM_NODES = 128
_NUM_AT_ONCE = 4096  # elements, so that what is made on the way stays small
_NUM_ON_GPU = 1 << 17
_FIRST = -3.7  # exp(-exp(3.7)) is beyond double precision
_NEGLIGIBLE = 45.0  # and so is exp(-45)


def _integral(function: Callable[[ndarray], ndarray], smallest: ndarray, largest: ndarray) -> ndarray:
    """The integrals of functions from 0 to infinity, whose features are between these two scales, one to an element.

    The trapezoidal rule in s, where w = smallest * exp(s - exp(-s)): even in log w, and doubly exponential towards 0
    (Takahasi & Mori, "Double Exponential Formulas for Numerical Integration", 1974).
    """
    last = np.log(largest / smallest)
    step = (last - _FIRST) / (_NUM_NODES - 1)
    s = _FIRST + step[:, None] * np.arange(_NUM_NODES, like=smallest)
    w = smallest[:, None] * np.exp(s - np.exp(-s))
    return step * np.sum(function(w) * w * (1 + np.exp(-s)), axis=1)


def _elementwise(derivative: Callable[..., ndarray], *arrays: Any) -> ndarray:
    """A derivative of one-dimensional float64 arrays, on arrays of any shape and of the dtype of the first."""
    like = arrays[0]
    shape = np.broadcast_shapes(*[np.shape(array) for array in arrays])
    flat = [np.broadcast_to(array, shape).astype(np.float64).reshape(-1) for array in arrays]
    out, num_at_once = np.empty(flat[0].size, like=like), _NUM_AT_ONCE if type(like) is ndarray else _NUM_ON_GPU
    with np.errstate(all="ignore"):
        for start in range(0, out.size, num_at_once):
            part = slice(start, start + num_at_once)
            out[part] = derivative(*[array[part] for array in flat])
    return out.reshape(shape).astype(like.dtype)


def standard_gamma_grad(concentration: ndarray, sample: ndarray) -> ndarray:
    """d sample / d concentration of the gamma distribution of rate 1."""
    return _elementwise(_gamma_derivative, concentration, sample)


def _gamma_derivative(a: ndarray, x: ndarray) -> ndarray:
    mean_log, log_x = scipy_special(x).psi(a), np.log(x)
    above = log_x > mean_log
    out = np.empty_like(x)
    for side, on_side in ((_gamma_above, above), (_gamma_below, ~above)):
        if on_side.any():
            out[on_side] = side(a[on_side], x[on_side], log_x[on_side], mean_log[on_side])
    return out


def _gamma_above(a: ndarray, x: ndarray, log_x: ndarray, mean_log: ndarray) -> ndarray:
    """With t = x + u: p(t) / p(x) = (1 + u/x)^(a-1) exp(-u)."""
    a, x, log_x, mean_log = (array[:, None] for array in (a, x, log_x, mean_log))

    def density_times_score(u: ndarray) -> ndarray:
        log_ratio = np.log1p(u / x)
        return np.exp((a - 1) * log_ratio - u) * (log_x + log_ratio - mean_log)

    smallest = 1 / (1 + (1 + np.abs(a - 1)) / x)
    largest = _NEGLIGIBLE + 10 * np.sqrt(np.maximum(a, 1))
    return _integral(density_times_score, smallest[:, 0], largest[:, 0])


def _gamma_below(a: ndarray, x: ndarray, log_x: ndarray, mean_log: ndarray) -> ndarray:
    """With t = x exp(-w): p(t) dt / p(x) = x exp(-a w + x - t) dw."""
    a, x, log_x, mean_log = (array[:, None] for array in (a, x, log_x, mean_log))

    def density_times_score(w: ndarray) -> ndarray:
        return np.exp(-a * w - x * np.expm1(-w)) * (mean_log - log_x + w)

    return x[:, 0] * _integral(density_times_score, (1 / (a + x))[:, 0], ((_NEGLIGIBLE + x) / a)[:, 0])


def dirichlet_grad(sample: ndarray, concentration: ndarray, total: ndarray) -> ndarray:
    """d x / d a over 1 - x, for a sample x of Beta(a, total - a): what one component of a Dirichlet sample is.

    A change of x takes from the other components what it adds, in proportion: so this factor times
    (grad - sum(x grad)) is the gradient of each concentration.
    """
    return _elementwise(_beta_derivative, sample, concentration, total)


def _beta_derivative(x: ndarray, a: ndarray, total: ndarray) -> ndarray:
    psi = scipy_special(x).psi
    b, mean_log, log_x = total - a, psi(a) - psi(total), np.log(x)
    above = log_x > mean_log
    out = np.empty_like(x)
    if (part := above).any():  # with 1 - t = (1 - x) exp(-w)
        out[part] = _beta_tail(b[part], a[part], 1 - x[part], _first, mean_log[part])
        out[part] /= 1 - x[part]
    if (part := ~above).any():  # with t = x exp(-w)
        out[part] = _beta_tail(a[part], b[part], x[part], _minus_second, -mean_log[part])
        out[part] /= 1 - x[part]
    return out


def _first(log_1_t: ndarray, log_t: ndarray) -> ndarray:
    return log_1_t


def _minus_second(log_1_t: ndarray, log_t: ndarray) -> ndarray:
    return -log_t


def _beta_tail(a: ndarray, b: ndarray, x: ndarray, score: Callable[..., ndarray], mean: ndarray) -> ndarray:
    """The integral, over t from x down to 0, of (score - mean) p(t) / p(x) for the density p of Beta(a, b).

    With t = x exp(-w): p(t) dt / p(x) = x exp(-a w) ((1 - t) / (1 - x))^(b-1) dw. The score is of log(1 - t) and log t.
    """
    a, b, x, mean = (array[:, None] for array in (a, b, x, mean))
    log_x, log_rest = np.log(x), np.log1p(-x)

    def density_times_score(w: ndarray) -> ndarray:
        log_1_t = np.log1p(-x * np.exp(-w))
        return np.exp(-a * w + (b - 1) * (log_1_t - log_rest)) * (score(log_1_t, log_x - w) - mean)

    smallest = 1 / (a + (1 + b) * x / (1 - x))
    largest = (_NEGLIGIBLE - np.maximum(b - 1, 0) * log_rest) / a
    return x[:, 0] * _integral(density_times_score, smallest[:, 0], largest[:, 0])
