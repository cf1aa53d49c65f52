"""Special functions: of the error function, gamma, zeta and Bessel families, and orthogonal polynomials.

Values are SciPy's (`arrays.special`). Derivatives are those of the Digital Library of Mathematical Functions (DLMF).
"""

from __future__ import annotations

import math
from typing import Any

from rushlight.ops.arithmetic import as_arrays, refuse_integers
from rushlight.ops.define import op

_SQRT_2, _SQRT_PI, _SQRT_2_PI = math.sqrt(2), math.sqrt(math.pi), math.sqrt(2 * math.pi)


def _of_waist(name: str, grad_name: str | None = None) -> Any:
    """The operation that is the waist's function of this name, of one real array."""

    def forward(xp: Any, x: Any) -> Any:
        return getattr(xp, name)(x)

    return op(forward, name=name, floats=True, refuses="c", waist=name, grad_name=grad_name)


# ---------------------------------------------------------------- error function and normal distribution

erfc, erfinv, erfcx = _of_waist("erfc"), _of_waist("erfinv"), _of_waist("erfcx", "SpecialErfcx")
ndtr, ndtri, log_ndtr = _of_waist("ndtr"), _of_waist("ndtri", "SpecialNdtri"), _of_waist("log_ndtr", "SpecialLogNdtr")

erfc.derivative(x=lambda xp, grad, x: grad * (-2 / _SQRT_PI * xp.exp(-x * x)))
erfinv.derivative(x=lambda xp, grad, out: grad * (_SQRT_PI / 2 * xp.exp(out * out)))
erfcx.derivative(x=lambda xp, grad, x, out: grad * (2 * x * out - 2 / _SQRT_PI))
ndtr.derivative(x=lambda xp, grad, x: grad * (xp.exp(-0.5 * x * x) / _SQRT_2_PI))
ndtri.derivative(x=lambda xp, grad, out: grad * (_SQRT_2_PI * xp.exp(0.5 * out * out)))
log_ndtr.derivative(x=lambda xp, grad, x: grad * (_SQRT_2 / _SQRT_PI / xp.erfcx(x / -_SQRT_2)))

# ---------------------------------------------------------------- gamma and zeta functions

lgamma, digamma = _of_waist("lgamma"), _of_waist("digamma")


@op(floats=True, refuses="c", waist="polygamma")
def polygamma(xp, x, *, n):
    """The n-th derivative of the digamma function (DLMF 5.15)."""
    return xp.polygamma(x, n=n)


lgamma.derivative(x=lambda xp, grad, x: grad * xp.digamma(x))
digamma.derivative(x=lambda xp, grad, x: grad * xp.polygamma(x, n=1))
polygamma.derivative(x=lambda xp, grad, x, n: grad * xp.polygamma(x, n=n + 1))


@op(elementwise=True, waist="igamma")
def igamma(xp, x, y):
    """The regularized lower incomplete gamma function P(x, y) (DLMF 8.2.4)."""
    refuse_integers("igamma", x)
    return xp.igamma(x, y)


@op(elementwise=True, waist="igammac")
def igammac(xp, x, y):
    """The regularized upper incomplete gamma function Q(x, y) (DLMF 8.2.4)."""
    refuse_integers("igammac", x)
    return xp.igammac(x, y)


def _gamma_density(xp: Any, x: Any, y: Any) -> Any:
    """d/dy P(x, y) = y^(x-1) exp(-y) / Gamma(x)."""
    return xp.exp((x - 1) * xp.log(y) - y - xp.lgamma(x))


igamma.derivative(y=lambda xp, grad, x, y: grad * _gamma_density(xp, x, y))
igammac.derivative(y=lambda xp, grad, x, y: -grad * _gamma_density(xp, x, y))


@op(floats=True, refuses="c", waist="zeta", grad_name="SpecialZeta")
def zeta(xp, x, y):
    """Hurwitz's zeta function, the sum of (y + k)^-x over k from 0 (DLMF 25.11.1)."""
    return xp.zeta(*as_arrays(xp, x, y))


zeta.derivative(y=lambda xp, grad, x, y: grad * -x * xp.zeta(x + 1, y))  # DLMF 25.11.17

# ---------------------------------------------------------------- Bessel and Airy functions

i0, i0e, i1, i1e = (
    _of_waist(name, grad_name)
    for name, grad_name in (("i0", None), ("i0e", "SpecialI0E"), ("i1", "SpecialI1"), ("i1e", "SpecialI1E"))
)


def _over_x(xp: Any, value: Any, x: Any) -> Any:
    """value / x, where the limit at 0 is 1/2: that of I_1(x) / x."""
    at_zero = xp.equal(x, 0)
    return xp.where(at_zero, 0.5, value / xp.where(at_zero, 1.0, x))


# DLMF 10.29.3, I_0' = I_1, and 10.29.2, I_1' = I_0 - I_1 / x; a factor of exp(-|x|) adds its own.
i0.derivative(x=lambda xp, grad, x: grad * xp.i1(x))
i0e.derivative(x=lambda xp, grad, x, out: grad * (xp.i1e(x) - xp.sign(x) * out))
i1.derivative(x=lambda xp, grad, x, out: grad * (xp.i0(x) - _over_x(xp, out, x)))
i1e.derivative(x=lambda xp, grad, x, out: grad * (xp.i0e(x) - xp.sign(x) * out - _over_x(xp, out, x)))

(
    airy_ai, bessel_j0, bessel_j1, bessel_y0, bessel_y1, modified_bessel_k0, modified_bessel_k1,
    scaled_modified_bessel_k0, scaled_modified_bessel_k1, spherical_bessel_j0,
) = (
    _of_waist(name)
    for name in (
        "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_k0", "modified_bessel_k1",
        "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0",
    )
)  # fmt: skip


@op(floats=True, refuses="c")
def orthogonal_polynomial(xp, x, n, *, family):
    """The polynomial of degree n of a family, such as "legendre_polynomial_p" (DLMF 18)."""
    return xp.orthogonal_polynomial(*as_arrays(xp, x, n), family=family)


# ---------------------------------------------------------------- logarithms that meet zeros


def _times_log(xp: Any, x: Any, y: Any, log: Any) -> Any:
    """x log(y), and 0 where x is 0 unless y is NaN."""
    x, y = as_arrays(xp, x, y)
    vanishes = xp.logical_and(xp.equal(x, 0), xp.logical_not(xp.isnan(y)))
    return xp.where(vanishes, 0.0, x * log(y))


@op(floats=True, refuses="c")
def xlogy(xp, x, y):
    """x log(y), and 0 where x is 0."""
    return _times_log(xp, x, y, xp.log)


@op(floats=True, refuses="c", grad_name="SpecialXlog1Py")
def xlog1py(xp, x, y):
    """x log(1 + y), and 0 where x is 0."""
    return _times_log(xp, x, y, xp.log1p)


def _unless_limit(xp: Any, x: Any, inside: Any, value: Any) -> Any:
    """The value, and 0 where x is 0 and its factor's argument is not inside the domain."""
    return xp.where(xp.logical_or(xp.not_equal(x, 0), inside), value, 0.0)


xlogy.derivative(
    x=lambda xp, grad, x, y: _unless_limit(xp, x, xp.greater(y, 0), _times_log(xp, grad, y, xp.log)),
    y=lambda xp, grad, x, y: grad * x / y,
)
xlog1py.derivative(
    x=lambda xp, grad, x, y: _unless_limit(xp, x, xp.greater(y, -1), _times_log(xp, grad, y, xp.log1p)),
    y=lambda xp, grad, x, y: grad * x / (y + 1),
)


@op(floats=True, refuses="c", grad_name="SpecialEntr")
def entr(xp, x):
    """The terms of an entropy: -x log(x), 0 at 0, minus infinity below."""
    positive = xp.greater(x, 0)
    value = -x * xp.log(xp.where(positive, x, 1.0))  # right above 0, at 0 and for NaN
    return xp.where(xp.less(x, 0), -math.inf, value)


entr.derivative(x=lambda xp, grad, x: -grad * (1 + xp.log(x)))


@op(floats=True, refuses="c")
def logit(xp, x, *, eps):
    """log(x / (1 - x)), of x limited to [eps, 1 - eps] first unless eps is None."""
    if eps is not None:
        x = xp.minimum(xp.maximum(x, eps), 1 - eps)
    return xp.log(x / (1 - x))


def _logit_gradient(xp: Any, grad: Any, x: Any, eps: float | None) -> Any:
    """1 / (x (1 - x)); where a limit holds 0, outside the domain NaN."""
    low, outside = (0.0, math.nan) if eps is None else (eps, 0.0)
    inside = xp.logical_and(xp.greater_equal(x, low), xp.less_equal(x, 1 - low))
    return xp.where(inside, grad / (x * (1 - x)), outside)


logit.derivative(x=_logit_gradient)


@op(floats=True)
def sinc(xp, x):
    """sin(pi x) / (pi x), and 1 at 0."""
    at_zero = xp.equal(x, 0)
    angle = math.pi * xp.where(at_zero, 1.0, x)
    return xp.where(at_zero, 1.0, xp.sin(angle) / angle)


def _sinc_gradient(xp: Any, grad: Any, x: Any) -> Any:
    at_zero = xp.equal(x, 0)
    safe = xp.where(at_zero, 1.0, x)
    angle = math.pi * safe
    return xp.where(at_zero, 0.0, grad * ((angle * xp.cos(angle) - xp.sin(angle)) / (angle * safe)))


sinc.derivative(x=_sinc_gradient)
