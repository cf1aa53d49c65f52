"""Elementwise functions on NumPy arrays that only a library of numerical routines has.

Part of the waist: names here are listed in `protocol.HOST`. Most are SciPy's, which is imported when first needed. Of
CuPy arrays they are CuPy's: it has a module like `scipy.special`, and stands in for NumPy's functions itself (NEP 18).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import kinds

copysign = np.copysign
frexp = np.frexp
gcd = np.gcd
hypot = np.hypot
lcm = np.lcm
nextafter = np.nextafter
signbit = np.signbit


def isin(elements: ndarray, test_elements: ndarray, *, invert: bool = False) -> ndarray:
    """Whether each element is among the test elements; or, inverted, is not."""
    return np.isin(elements, test_elements, invert=invert)


def scipy_special(*arrays: Any) -> Any:
    """The module of special functions for a kind of array: half a second to import, so loaded when first needed."""
    is_on_gpu = kinds.GPU is not None and any(type(x) is kinds.GPU.ndarray for x in arrays)
    return import_module("cupyx.scipy.special" if is_on_gpu else "scipy.special")


def _of_scipy(name: str) -> Callable[..., Any]:
    def call(*arrays: Any) -> Any:
        return getattr(scipy_special(*arrays), name)(*arrays)

    call.__name__ = call.__qualname__ = name
    return call


# ---------------------------------------------------------------- error function and normal distribution

erfc, erfcx, erfinv = _of_scipy("erfc"), _of_scipy("erfcx"), _of_scipy("erfinv")
ndtr, log_ndtr, ndtri = _of_scipy("ndtr"), _of_scipy("log_ndtr"), _of_scipy("ndtri")

# ---------------------------------------------------------------- gamma and zeta functions

digamma = _of_scipy("psi")
igamma, igammac = _of_scipy("gammainc"), _of_scipy("gammaincc")
zeta = _of_scipy("zeta")  # Hurwitz's, of (s, q)


def lgamma(x: ndarray) -> ndarray:
    """log |Gamma(x)|; of either infinity it is infinity, as the C standard has it."""
    return scipy_special(x).gammaln(np.where(np.isneginf(x), -x, x))


def polygamma(x: ndarray, *, n: int) -> ndarray:
    """The n-th derivative of the digamma function, DLMF 5.15.2: (-1)^(n+1) n! zeta(n + 1, x)."""
    if n == 0:
        return digamma(x)
    if n == 1:
        return _trigamma(x)
    return (-1) ** (n + 1) * math.gamma(n + 1) * zeta(x.dtype.type(n + 1), x)


def _trigamma(x: ndarray) -> ndarray:
    """zeta(2, x), left of 1/2 by reflection, DLMF 5.15.6: psi'(x) = (pi / sin(pi x))^2 - psi'(1 - x)."""
    reflected = x < 0.5
    right = zeta(x.dtype.type(2), np.where(reflected, 1 - x, x))
    return np.where(reflected, np.square(math.pi / np.sin(math.pi * x)) - right, right)


# ---------------------------------------------------------------- Bessel and Airy functions

bessel_j0, bessel_j1, bessel_y0, bessel_y1 = (_of_scipy(name) for name in ("j0", "j1", "y0", "y1"))
i0, i0e, i1, i1e = (_of_scipy(name) for name in ("i0", "i0e", "i1", "i1e"))
modified_bessel_k0, modified_bessel_k1 = _of_scipy("k0"), _of_scipy("k1")
scaled_modified_bessel_k0, scaled_modified_bessel_k1 = _of_scipy("k0e"), _of_scipy("k1e")


def airy_ai(x: ndarray) -> ndarray:
    """Airy's function Ai, which is 0 in double precision from 104 on."""
    from scipy.special import airy

    return airy(np.minimum(x, 104))[0]


def spherical_bessel_j0(x: ndarray) -> ndarray:
    """sin(x) / x, and 1 at 0 (DLMF 10.49.3)."""
    return np.where(np.isinf(x), 0, np.sinc(x / math.pi)).astype(x.dtype, copy=False)


# ---------------------------------------------------------------- orthogonal polynomials

# Of each family the polynomial of degree 1, as (a, b) of `a x + b`, and the step from degrees k and k - 1 to k + 1, as
# (a, b, c) of `(a x + b) p_k - c p_(k-1)`: DLMF 18.9.1 with tables 18.9.1 and 18.9.2. Degree 0 is 1 for all.
_CHEBYSHEV, _SHIFTED = (2, 0, 1), (4, -2, 1)
_RECURRENCES: dict[str, tuple[tuple[float, float], Callable[[int], tuple[float, float, float]]]] = {
    "chebyshev_polynomial_t": ((1, 0), lambda k: _CHEBYSHEV),
    "chebyshev_polynomial_u": ((2, 0), lambda k: _CHEBYSHEV),
    "chebyshev_polynomial_v": ((2, -1), lambda k: _CHEBYSHEV),
    "chebyshev_polynomial_w": ((2, 1), lambda k: _CHEBYSHEV),
    "shifted_chebyshev_polynomial_t": ((2, -1), lambda k: _SHIFTED),  # with 2 x - 1 for x
    "shifted_chebyshev_polynomial_u": ((4, -2), lambda k: _SHIFTED),
    "shifted_chebyshev_polynomial_v": ((4, -3), lambda k: _SHIFTED),
    "shifted_chebyshev_polynomial_w": ((4, -1), lambda k: _SHIFTED),
    "hermite_polynomial_h": ((2, 0), lambda k: (2, 0, 2 * k)),
    "hermite_polynomial_he": ((1, 0), lambda k: (1, 0, k)),
    "laguerre_polynomial_l": ((-1, 1), lambda k: (-1 / (k + 1), (2 * k + 1) / (k + 1), k / (k + 1))),
    "legendre_polynomial_p": ((1, 0), lambda k: ((2 * k + 1) / (k + 1), 0, k / (k + 1))),
}


def orthogonal_polynomial(x: Any, n: Any, *, family: str) -> ndarray:
    """The polynomial of a family and of degree n (rounded towards zero; 0 where that is negative), at x."""
    dtype, like = np.result_type(x, n), x if hasattr(x, "shape") else n
    x, n = (np.asarray(value, like=like) for value in (x, n))
    x, degree = np.broadcast_arrays(x.astype(dtype), np.where(np.isfinite(n), np.trunc(n), -1))
    out = np.where(degree == 0, 1, 0).astype(dtype)
    (a, b), step = _RECURRENCES[family]
    last, current = np.ones_like(x), a * x + b
    for k in range(1, (int(degree.max()) if degree.size else 0) + 1):
        np.copyto(out, current, where=degree == k)
        a, b, c = step(k)
        last, current = current, (a * x + b) * current - c * last
    return out
