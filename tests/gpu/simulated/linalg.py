"""`cupy.linalg` and `cupyx.scipy.linalg` of the stand-in: LAPACK's results under cuSOLVER's contracts.

CuPy raises for a matrix that could not be factored only under `errstate(linalg="raise")`, and gives numbers without
meaning otherwise; its solvers do not broadcast batches; half precision is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cupy as real
import cupyx as real_extensions
import numpy as np
import scipy.linalg
from cupy.linalg import _decomposition
from gpu.simulated import arrays


def _checked(theirs: Any, ours: Callable[..., Any]) -> Callable[..., Any]:
    """`ours` with CuPy's refusals of dtypes, shapes and, where it was asked for, failures."""

    def call(*args: Any, **kwargs: Any) -> Any:
        given = [x for x in args if isinstance(x, np.ndarray)]
        if any(x.dtype.char == "e" for x in given):
            raise TypeError("float16 is unsupported in linalg")
        if len(given) == 2 and given[1].ndim > 1 and given[0].shape[:-1] != given[1].shape[:-1]:
            raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
        try:
            return ours(*args, **kwargs)
        except np.linalg.LinAlgError:
            if real_extensions._ufunc_config.get_config_linalg() == "raise":
                raise
            shape = given[-1].shape
            return np.full(shape, np.nan, given[-1].dtype)

    return arrays.function_like(theirs, call)


_NAMES = ("cholesky", "eig", "eigh", "inv", "qr", "slogdet", "solve", "svd")
FUNCTIONS = {name: _checked(getattr(real.linalg, name), getattr(np.linalg, name)) for name in _NAMES}


def _lu(a_t: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transposed in and out, swaps counted from 1: as cuBLAS has it."""
    getrf = scipy.linalg.get_lapack_funcs("getrf", dtype=dtype)
    lu, pivots, info = (
        np.empty(a_t.shape, dtype),
        np.empty(a_t.shape[:-1], np.int32),
        np.empty(a_t.shape[:-2], np.int32),
    )
    for i in np.ndindex(a_t.shape[:-2]):
        found, swaps, info[i] = getrf(a_t[i].T)
        lu[i], pivots[i] = found.T, swaps + 1
    return lu, pivots, info


decomposition = SimpleNamespace(_lu_factor=arrays.function_like(_decomposition._lu_factor, _lu))


def _solve_triangular(
    a: np.ndarray, b: np.ndarray, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, **_: Any
) -> np.ndarray:
    if a.shape[:-2] != b.shape[: a.ndim - 2]:
        raise ValueError("incompatible batch count")
    trsm = scipy.linalg.get_blas_funcs("trsm", dtype=b.dtype)
    out = np.empty_like(b)
    for i in np.ndindex(a.shape[:-2]):
        out[i] = trsm(1, a[i], b[i], lower=lower, trans_a=trans, diag=unit_diagonal)
    return out


@functools.cache
def real_scipy_linalg() -> Any:
    """CuPy's module, which asks for cuBLAS when it is imported: there may be none here, and none is called."""
    import importlib

    from cupy_backends.cuda import libs

    libs.cublas = SimpleNamespace()  # type: ignore[attr-defined]
    try:
        return importlib.import_module("cupyx.scipy.linalg")
    finally:
        del libs.cublas  # type: ignore[attr-defined]


def scipy_functions() -> dict[str, Any]:
    return {"solve_triangular": arrays.function_like(real_scipy_linalg().solve_triangular, _solve_triangular)}
