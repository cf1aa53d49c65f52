"""Rows of special functions and windows."""

from __future__ import annotations

from table import BINARY, FLOATS, INTEGERS, A, S, row

WIDE = ("float32", "float64")  # half precision rounds what is compared away

for _name, _domain in {
    "erfc": (-2, 2), "erfinv": (-0.9, 0.9), "lgamma": (0.5, 4), "digamma": (0.5, 4), "i0": (-3, 3), "sinc": (-2, 2),
    "logit": (0.1, 0.9),
}.items():  # fmt: skip
    row(_name, in_place=True, domain=_domain, tolerance=4, dtypes=FLOATS)
    row(f"{_name} integers", [S(A(2, 3, low=0, high=1))], ops=(_name,), dtypes=(*INTEGERS, "bool"), differentiable=False, tolerance=4)  # fmt: skip
row("logit eps", [S(A(2, 3), eps=0.2), S(A(2, 3), 1e-6)], ops=("logit",), in_place=True, domain=(0, 1), dtypes=FLOATS, tolerance=4)  # fmt: skip
for _name, _domain in {
    "erfcx": (-1, 3), "ndtr": (-2, 2), "ndtri": (0.1, 0.9), "log_ndtr": (-3, 3), "i0e": (-3, 3), "i1": (-3, 3),
    "i1e": (-3, 3), "entr": (0.2, 3),
}.items():  # fmt: skip
    row(f"special.{_name}", domain=_domain, method=False, tolerance=4, dtypes=WIDE)
for _name in (
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_i0", "modified_bessel_i1",
    "modified_bessel_k0", "modified_bessel_k1", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1",
    "spherical_bessel_j0",
):  # fmt: skip
    row(f"special.{_name}", ops=(_name.replace("modified_bessel_i", "i"),), domain=(0.5, 4), dtypes=(*WIDE, *INTEGERS, "bool"), differentiable=False, method=False, tolerance=8)  # fmt: skip

_ORDERS = [S(order, A(2, 3)) for order in range(4)]
row("polygamma", _ORDERS, domain=(0.5, 4), dtypes=(*WIDE, "int64"), method=False, tolerance=100)
row("polygamma left", [S(1, A(3, values=[-0.3, -1.7, -2.5]))], ops=("polygamma",), dtypes=("float64",), method=False, tolerance=100)  # fmt: skip
row("mvlgamma", [S(A(2, 3), 1), S(A(2, 3), 3), S(A(), 2)], ops=("lgamma",), in_place=True, domain=(2, 5), dtypes=(*WIDE, "int64"), tolerance=8)  # fmt: skip
for _name in ("igamma", "igammac"):
    row(_name, [*BINARY[:4], S(A(2, 3, dtype="float64"), A(2, 3))], in_place=True, domain=(0.5, 4), dtypes=(*WIDE, "int64"), tolerance=8)  # fmt: skip
_WITH_NUMBERS = [*BINARY, S(A(2, 3), 2.5), S(1.5, A(2, 3))]
row(
    "xlogy",
    [*_WITH_NUMBERS, S(A(2, values=[0.0, 0.0]), A(2, values=[0.0, 2.0]))],
    domain=(0.5, 3),
    promotes="numbers",
    method=False,
    tolerance=4,
)
row("xlogy in place", [S(A(2, 3), A(3)), S(A(2, 3), 2.5)], ops=("xlogy",), in_place=True, domain=(0.5, 3), dtypes=FLOATS)  # fmt: skip
row("special.xlog1py", _WITH_NUMBERS, domain=(0.5, 3), method=False, tolerance=4)
row("special.zeta", _WITH_NUMBERS, domain=(1.5, 4), dtypes=(*WIDE, "int64"), method=False, tolerance=8)

_DEGREES = [S(A(2, 9), A(9, values=range(-1, 8), dtype="int64")), S(A(2, 3), 3), S(0.5, A(3, dtype="float32")), S(A(), A(2))]  # fmt: skip
for _name in (
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w",
    "shifted_chebyshev_polynomial_t", "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w", "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l",
    "legendre_polynomial_p",
):  # fmt: skip
    row(f"special.{_name}", _DEGREES, ops=("orthogonal_polynomial",), domain=(0, 1), dtypes=(*WIDE, "int64"), differentiable=False, method=False, tolerance=100)  # fmt: skip

_LENGTHS = [S(0), S(1), S(2), S(7), S(8, sym=False), S(6, dtype="torch.float64")]
for _name in ("bartlett", "blackman", "cosine", "exponential", "gaussian", "hamming", "hann", "kaiser", "nuttall"):
    row(f"signal.windows.{_name}", _LENGTHS, ops=(), dtypes=("float32",), differentiable=False, method=False)
for _name in ("bartlett", "blackman", "hamming", "hann", "kaiser"):
    row(f"{_name}_window", [S(0), S(1), S(8), S(8, False), S(5, dtype="torch.float64")], ops=(), dtypes=("float32",), differentiable=False, method=False)  # fmt: skip
