"""`rushlight.return_types`: the named tuples of functions with several results."""

from __future__ import annotations

from collections import namedtuple
from typing import Any


def _named(name: str, fields: str) -> Any:
    return namedtuple(name, fields, module="torch.return_types")  # type: ignore[misc]


aminmax = _named("aminmax", "min max")
cummax, cummin, kthvalue, max, median, min, mode, nanmedian, sort, topk = (
    _named(name, "values indices")
    for name in ("cummax", "cummin", "kthvalue", "max", "median", "min", "mode", "nanmedian", "sort", "topk")
)
frexp = _named("frexp", "mantissa exponent")
geqrf = _named("geqrf", "a tau")
histogram, histogramdd = (_named(name, "hist bin_edges") for name in ("histogram", "histogramdd"))
linalg_cholesky_ex = _named("linalg_cholesky_ex", "L info")
linalg_eig, linalg_eigh = (_named(name, "eigenvalues eigenvectors") for name in ("linalg_eig", "linalg_eigh"))
linalg_inv_ex = _named("linalg_inv_ex", "inverse info")
linalg_ldl_factor = _named("linalg_ldl_factor", "LD pivots")
linalg_ldl_factor_ex = _named("linalg_ldl_factor_ex", "LD pivots info")
linalg_lstsq = _named("linalg_lstsq", "solution residuals rank singular_values")
linalg_lu, lu_unpack = (_named(name, "P L U") for name in ("linalg_lu", "lu_unpack"))
linalg_lu_factor = _named("linalg_lu_factor", "LU pivots")
linalg_lu_factor_ex = _named("linalg_lu_factor_ex", "LU pivots info")
linalg_qr, qr = (_named(name, "Q R") for name in ("linalg_qr", "qr"))
linalg_slogdet, slogdet = (_named(name, "sign logabsdet") for name in ("linalg_slogdet", "slogdet"))
linalg_solve_ex = _named("linalg_solve_ex", "result info")
linalg_svd = _named("linalg_svd", "U S Vh")
svd = _named("svd", "U S V")
triangular_solve = _named("triangular_solve", "solution cloned_coefficient")
