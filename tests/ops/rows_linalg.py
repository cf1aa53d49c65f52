"""Linear algebra: factorizations, solvers, determinants, norms, and products in other forms."""

from __future__ import annotations

from typing import Any

from table import FLOATS, INTEGERS, A, S, row

_DOUBLE = ("float32", "float64")
_NUMBERS = (*FLOATS, *INTEGERS)
_SHAPES = ((3, 3), (1, 1), (0, 0), (2, 3, 3), (0, 2, 2))


def regular(torch: Any, x: Any) -> Any:
    """A matrix far from singular: it dominates its diagonal."""
    return x + 8 * torch.eye(x.shape[-1], dtype=x.dtype)


def positive(torch: Any, x: Any) -> Any:
    return x @ x.mT + 4 * torch.eye(x.shape[-1], dtype=x.dtype)


def spread(torch: Any, x: Any) -> Any:
    """A symmetric matrix with eigenvalues apart."""
    return x + x.mT + torch.diag(torch.arange(x.shape[-1], dtype=x.dtype) * 30)


_SQUARE = [S(A(*shape)) for shape in _SHAPES]
_L = "linalg."


def _row(name: str, samples: list, call: Any = None, **options: Any) -> None:
    row(name, samples, call=call, method=False, dtypes=options.pop("dtypes", _DOUBLE), tolerance=20, **options)


# ---------------------------------------------------------------- solvers

_row(_L + "solve", [S(A(3, 3), A(3, 2)), S(A(3, 3), A(3)), S(A(2, 3, 3), A(3, 1)), S(A(3, 3), A(2, 3, 2)), S(A(0, 0), A(0, 2))], lambda t, a, b: t.linalg.solve(regular(t, a), b))  # fmt: skip
_row(_L + "solve right", [S(A(3, 3), A(2, 3)), S(A(2, 3, 3), A(2, 2, 3))], lambda t, a, b: t.linalg.solve(regular(t, a), b, left=False), ops=("solve",))  # fmt: skip
_row(_L + "inv", _SQUARE, lambda t, x: t.linalg.inv(regular(t, x)))
for _name, _upper, _unit in (("lower", False, False), ("upper", True, False), ("unit", True, True)):
    _row(_L + f"solve_triangular {_name}", [S(A(3, 3), A(3, 2)), S(A(2, 3, 3), A(3, 1)), S(A(3, 3, layout="transposed"), A(3, 0))], lambda t, a, b, u=_upper, v=_unit: t.linalg.solve_triangular(regular(t, a), b, upper=u, unitriangular=v), ops=("solve_triangular",))  # fmt: skip
_row("cholesky_solve", [S(A(3, 2), A(3, 3)), S(A(2, 3, 2), A(3, 3)), S(A(3, 2), A(3, 3), True)], lambda t, b, x, u=False: t.cholesky_solve(b, regular(t, x).triu() if u else regular(t, x).tril(), u))  # fmt: skip
_row(_L + "lu_solve", [S(A(3, 3), A(3, 2)), S(A(2, 3, 3), A(2, 3, 1))], lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(regular(t, a)), b), ops=("lu_factor", "permutation_matrix"))  # fmt: skip
_row(_L + "pinv", [S(A(4, 2)), S(A(2, 4)), S(A(2, 3, 2)), S(A(0, 3))])
_row(_L + "pinv hermitian", [S(A(3, 3))], lambda t, x: t.linalg.pinv(positive(t, x), hermitian=True), ops=("pinv",))
_row(_L + "lstsq", [S(A(4, 2), A(4, 3)), S(A(2, 4), A(2))], lambda t, a, b: t.linalg.lstsq(a, b, driver="gels")[0], ops=("pinv",))  # fmt: skip
_row(_L + "ldl_solve", [S(A(3, 3), A(3, 2))], lambda t, a, b: t.linalg.ldl_solve(*t.linalg.ldl_factor(positive(t, a)), b), ops=("ldl_factor", "ldl_solve"), differentiable=False)  # fmt: skip

# ---------------------------------------------------------------- determinants, functions of matrices

_row(_L + "det", [*_SQUARE], second=False)
_row(_L + "det twice", _SQUARE[:2], lambda t, x: t.linalg.det(regular(t, x)), ops=("det", "adjugate"))
_row(_L + "slogdet", _SQUARE, lambda t, x: t.linalg.slogdet(regular(t, x)))
_row(_L + "matrix_exp", _SQUARE, domain=(-1, 1))

# ---------------------------------------------------------------- factorizations

_row(_L + "cholesky", _SQUARE, lambda t, x: t.linalg.cholesky(positive(t, x)))
_row(_L + "cholesky upper", _SQUARE[:1], lambda t, x: t.linalg.cholesky(positive(t, x), upper=True), ops=("cholesky",))
_row(_L + "lu_factor", [S(A(3, 3)), S(A(4, 2)), S(A(2, 4)), S(A(2, 3, 3)), S(A(0, 2))])
_row(_L + "qr", [S(A(3, 3)), S(A(4, 2)), S(A(2, 4)), S(A(2, 3, 3)), S(A(0, 2)), S(A(3, 3), "complete")])
_row(_L + "householder_product", [S(A(4, 3), A(2)), S(A(2, 3, 3), A(2, 3)), S(A(3, 0), A(0))], ops=("unrelated",), domain=(-1, 1))  # fmt: skip
_row("geqrf", [S(A(3, 3)), S(A(4, 2)), S(A(2, 2, 4))], differentiable=False)
_row(_L + "eigh", _SQUARE[:4], lambda t, x: (lambda found: (found[0], found[1].abs()))(t.linalg.eigh(spread(t, x))))
_row(_L + "eig", _SQUARE[:4], lambda t, x: t.linalg.eig(spread(t, x))[1].abs().sort()[0], domain=(-1, 1))
_row(_L + "svd", [S(A(4, 2)), S(A(2, 4)), S(A(2, 3, 3))], lambda t, x: (lambda u, s, vh: (u.abs(), s, vh.abs()))(*t.linalg.svd(x, full_matrices=False)))  # fmt: skip

# ---------------------------------------------------------------- norms

_NORMS = [
    S(A(2, 3)), S(A(2, 3), 2, 1), S(A(2, 3), ord=2, dim=(0, 1), keepdim=True), S(A()), S(A(2, 3), 1), S(A(0)),
    S(A(2, 3), float("inf"), 1), S(A(2, 3), -float("inf")), S(A(2, 3), 0), S(A(2, 3), 3, 0), S(A(2, 3), 1.5), S(A(2, 3), 0.5),
]  # fmt: skip
row(_L + "vector_norm", _NORMS, domain=(1, 3), dtypes=FLOATS, method=False)
row(_L + "vector_norm at zero", [S(A(3, values=[0.0, 0.0, 0.0]), p) for p in (0, 1, 1.5, 2, 3, float("inf"))], ops=("vector_norm",), dtypes=FLOATS, second=False, method=False)  # fmt: skip
row("norm", [S(A(2, 3)), S(A(2, 3), 1, 0), S(A(2, 3), "fro", (0, 1))], ops=("vector_norm",), dtypes=FLOATS)
row("dist", [S(A(2, 3), A(2, 3)), S(A(2, 3), A(3), 1)], ops=("vector_norm",), dtypes=FLOATS)

# ---------------------------------------------------------------- products

row("addmv", [S(A(2), A(2, 3), A(3)), S(A(), A(2, 3), A(3), beta=2, alpha=3)], ops=("matmul",), in_place=True, dtypes=_NUMBERS)  # fmt: skip
row("addbmm", [S(A(2, 4), A(2, 2, 3), A(2, 3, 4)), S(A(4), A(2, 2, 3), A(2, 3, 4), beta=0, alpha=3)], ops=("matmul",), dtypes=_NUMBERS, tolerance=4)  # fmt: skip
row("baddbmm", [S(A(2, 2, 4), A(2, 2, 3), A(2, 3, 4)), S(A(4), A(2, 2, 3), A(2, 3, 4), beta=2)], ops=("matmul",), dtypes=_NUMBERS, tolerance=4)  # fmt: skip
row("tensordot", [S(A(2, 3, 4), A(3, 4, 2)), S(A(2, 3), A(4, 3), ([1], [1])), S(A(2), A(3), 0)], ops=("matmul",), dtypes=_NUMBERS, method=False, tolerance=4)  # fmt: skip
row("einsum", [
    S("ij,jk", A(2, 3), A(3, 4)), S("bij,bjk->bik", A(2, 2, 3), A(2, 3, 2)), S("ii->i", A(3, 3)), S("...ij->...ji", A(2, 2, 3)),
    S("i,ij,j", A(2), A(2, 3), A(3)), S("i,j->ij", A(2), A(3)), S("ij->", A(2, 3)), S("bi,i->b", A(1, 3), A(3)),
], ops=("matmul",), dtypes=_DOUBLE, method=False)  # fmt: skip
row("cdist", [S(A(3, 2), A(4, 2)), S(A(2, 3, 2), A(4, 2), 1.0)], ops=("vector_norm",), dtypes=_DOUBLE, method=False, second=False)  # fmt: skip
