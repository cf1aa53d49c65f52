"""Of rows of data: covariance, correlation, principal components."""

# ruff: noqa: N803  (PyTorch's names of arguments)

from __future__ import annotations

from typing import Any

from rushlight import dtypes
from rushlight.api.draws import randn
from rushlight.api.linalg_factor import qr, svd
from rushlight.dtypes import legacy_name
from rushlight.ops import create
from rushlight.tensor import Tensor


def cov(input: Tensor, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """The covariances of variables (rows) over observations (columns).

    Args:
        correction: taken from the number of observations in the denominator.
        fweights: how often each observation occurred. aweights: how much it matters.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    if input.dtype is dtypes.bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input.reshape(1, -1) if input.ndim < 2 else input
    weights = _observation_weights(x.shape[1], fweights, aweights)
    if not (x.dtype.is_floating_point or x.is_complex()):
        x = x.to(dtypes.get_default_dtype())
    count = (
        create.tensor(float(x.shape[1]), dtype=dtypes.float64, device=x.device) if weights is None else weights.sum()
    )
    mean = (x if weights is None else x * weights).sum(1) / count
    lost = correction * (weights * aweights).sum() / count if aweights is not None and correction else correction
    freedom = (count - lost).clamp(min=0)
    deviation = x - mean.unsqueeze(1)
    weighted = deviation if weights is None else deviation * weights
    return (deviation @ weighted.mH / freedom).squeeze()


def _observation_weights(count: int, fweights: Any, aweights: Any) -> Any:
    """The product of both kinds of weights; None without any."""
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is None:
            continue
        if weights.ndim > 1:
            raise RuntimeError(
                f"cov(): expected {name} to have one or fewer dimensions but got {name} with {weights.ndim} dimensions"
            )
        is_integer = not (weights.dtype.is_floating_point or weights.is_complex())
        if is_integer != (name == "fweights"):
            kind = "integral" if name == "fweights" else "floating point"
            raise RuntimeError(
                f"cov(): expected {name} to have {kind} dtype but got {name} with {legacy_name(weights)} dtype"
            )
        if weights.numel() != count:
            raise RuntimeError(
                f"cov(): expected {name} to have the same numel as there are observations in the input but got "
                f"{weights.numel()} != {count}"
            )
        if bool((weights < 0).any()):
            raise RuntimeError(f"cov(): {name} cannot be negative")
    if fweights is None or aweights is None:
        return aweights if fweights is None else fweights
    return fweights * aweights


def corrcoef(input: Tensor) -> Tensor:
    """The correlations of variables (rows) over observations (columns): covariances over both standard deviations."""
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    covariance = cov(input)
    if covariance.ndim == 0:
        return covariance / covariance
    deviations = covariance.diagonal().real.sqrt() if covariance.is_complex() else covariance.diagonal().sqrt()
    result = covariance / deviations.unsqueeze(-1) / deviations.unsqueeze(0)
    if result.is_complex():
        return result.real.clamp(-1, 1) + 1j * result.imag.clamp(-1, 1)
    return result.clamp(-1, 1)


# ---------------------------------------------------------------- principal components


def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None) -> Any:
    """(U, S, V): about the q largest singular values of A (of A - M), and their vectors.

    By N. Halko, P. Martinsson, J. Tropp, "Finding structure with randomness" (2009), algorithm 5.1.
    """
    A = A if M is None else A - M
    m, n = A.shape[-2:]
    if m < n:
        left, values, right = svd_lowrank(A.mH, q, niter)
        return right, values, left
    basis = _range_of(A, 6 if q is None else q, 2 if niter is None else niter)
    left, values, right = svd(basis.mH @ A, False)
    return basis @ left, values, right.mH


def _range_of(A: Tensor, q: int, niter: int) -> Tensor:
    """q orthonormal columns that about span A's range: the same, algorithm 4.4, from q random vectors."""
    basis = qr(A @ randn(A.shape[-1], q, dtype=A.dtype, device=A.device))[0]
    for _ in range(niter):
        basis = qr(A @ qr(A.mH @ basis)[0])[0]
    return basis


def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
    """(U, S, V): the q largest principal components, V, of the rows of A; `center` subtracts their mean."""
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)
