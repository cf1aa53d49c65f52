"""Special functions in PyTorch's spelling; those that need no handling are the operations themselves."""

from __future__ import annotations  # noqa: I001  (the long list below, as PyTorch names them)

import math
from collections.abc import Callable
from typing import Any

from rushlight import dtypes
from rushlight.api.forms import in_place_form
from rushlight.api.operands import invalid_combination, of_any, of_tensors
from rushlight.api.ranges import arange
from rushlight.ops import elementwise, reduce, special as ops
from rushlight.ops.precision import NUMBERS
from rushlight.ops.inplace import in_place
from rushlight.ops.special import (
    airy_ai, bessel_j0, bessel_j1, bessel_y0, bessel_y1, digamma, entr, erfc, erfcx, erfinv, i0, i0e, i1, i1e, lgamma,
    log_ndtr, modified_bessel_k0, modified_bessel_k1, ndtr, ndtri, scaled_modified_bessel_k0, scaled_modified_bessel_k1,
    sinc, spherical_bessel_j0,
)  # fmt: skip
from rushlight.tensor import Tensor

igamma, igammac = of_tensors(ops.igamma), of_tensors(ops.igammac)
xlogy, xlog1py, zeta = of_any(ops.xlogy), of_any(ops.xlog1py, "special_xlog1py"), of_any(ops.zeta, "special_zeta")


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """`log(x / (1 - x))`, of x limited to [eps, 1 - eps] first, if eps is given."""
    return ops.logit(input, eps=eps)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of the digamma function.

    Raises:
        RuntimeError: n is negative.
    """
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return digamma(input) if n == 0 else ops.polygamma(input, n=n)


def _polygamma_of(self: Tensor, n: int) -> Tensor:
    return polygamma(n, self)


def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p (DLMF 35.3.4).

    Raises:
        RuntimeError: p is less than 1.
    """
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    if not input.is_floating_point():
        input = input.to(dtypes.get_default_dtype())
    halves = arange(p, dtype=input.dtype, device=input.device) * -0.5
    terms = lgamma(elementwise.add(input.unsqueeze(-1), halves))
    return elementwise.add(reduce.sum(terms, axis=(input.ndim,)), p * (p - 1) / 4 * math.log(math.pi))


def _polynomial(family: str) -> Callable[..., Tensor]:
    def function(x: Any, n: Any) -> Tensor:
        if x.__class__ in NUMBERS and n.__class__ in NUMBERS:
            kinds = (("Tensor", "Tensor"), ("Number", "Tensor"), ("Tensor", "Number"))
            signatures = [f"({first} x, {second} n, *, Tensor out = None)" for first, second in kinds]
            raise invalid_combination(f"special_{family}", (x, n), *signatures)
        return ops.orthogonal_polynomial(x, n, family=family)

    function.__name__ = function.__qualname__ = family
    function.__doc__ = f"The {family.replace('_', ' ')} of degree n at each element."
    return function


(
    chebyshev_polynomial_t, chebyshev_polynomial_u, chebyshev_polynomial_v, chebyshev_polynomial_w,
    shifted_chebyshev_polynomial_t, shifted_chebyshev_polynomial_u, shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w, hermite_polynomial_h, hermite_polynomial_he, laguerre_polynomial_l,
    legendre_polynomial_p,
) = POLYNOMIALS = tuple(
    _polynomial(family)
    for family in (
        "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w",
        "shifted_chebyshev_polynomial_t", "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
        "shifted_chebyshev_polynomial_w", "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l",
        "legendre_polynomial_p",
    )
)  # fmt: skip

gammaln, psi, gammainc, gammaincc, multigammaln = lgamma, digamma, igamma, igammac, mvlgamma
modified_bessel_i0, modified_bessel_i1 = i0, i1

IN_PLACE = {
    f.__name__ + "_": in_place(f) for f in (digamma, erfc, erfinv, i0, ops.igamma, ops.igammac, lgamma, sinc, ops.xlogy)
} | {f.__name__ + "_": in_place_form(f) for f in (logit, mvlgamma)} | {
    "polygamma_": in_place_form(_polygamma_of, "polygamma_")
}  # fmt: skip
