"""`rushlight.return_types`: the named tuples of functions with several results."""

from __future__ import annotations

from operator import itemgetter
from typing import Any


class _Result(tuple):
    """A tuple whose items have names: what `namedtuple` makes, whose 35 classes cost 5 ms at import."""

    __slots__ = ()
    _fields: tuple[str, ...]

    def __new__(cls, *values: Any, **named: Any) -> Any:
        if named:
            values += tuple([named.pop(field) for field in cls._fields[len(values) :]])
        if named or len(values) != len(cls._fields):
            raise TypeError(f"{cls.__name__} takes {', '.join(cls._fields)}")
        return tuple.__new__(cls, values)

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self) -> str:
        items = ",\n".join(f"{name}={value!r}" for name, value in self._asdict().items())
        return f"torch.return_types.{type(self).__name__}(\n{items})"

    def __reduce__(self) -> Any:
        return type(self), tuple(self)


def _named(name: str, fields: str) -> Any:
    names = tuple(fields.split())
    items: dict[str, Any] = {field: property(itemgetter(i)) for i, field in enumerate(names)}
    return type(name, (_Result,), {"__slots__": (), "_fields": names, "__module__": __name__, **items})


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
