"""Least squares: the pseudoinverse, what it solves, and the rank it depends on."""

from __future__ import annotations

from typing import Any

from rushlight import dtypes, return_types
from rushlight.api.forms import holds
from rushlight.api.linalg_check import is_float, require_matrix, with_common_batch
from rushlight.api.linalg_factor import eigvalsh, svdvals
from rushlight.dtypes import legacy_name
from rushlight.ops import create, linalg as ops, linalg_spectral as spectral
from rushlight.ops.autocast import with_autocast
from rushlight.tensor import Tensor


def tolerances(name: str, x: Tensor, atol: Any, rtol: Any) -> tuple[Tensor, Tensor]:
    """(absolute, relative) tolerance for singular values, as real tensors: max(m, n) eps by default."""
    real = dtypes.from_numpy(x._array.real.dtype) if x.is_complex() else x.dtype
    for what, value in (("atol", atol), ("rtol", rtol)):
        if isinstance(value, Tensor) and value.is_complex():
            raise RuntimeError(f"{name}: {what} tensor of complex type is not supported. Got {legacy_name(value)}")
    if rtol is None:
        rtol = max(x.shape[-2:]) * dtypes.finfo(real).eps
        if atol is not None:  # an absolute tolerance that is given, and not 0, replaces the default
            given = atol if isinstance(atol, Tensor) else create.tensor(float(atol), dtype=real, device=x.device)
            rtol = (given <= 0) * rtol
    atol = 0.0 if atol is None else atol
    pair = [
        v.to(real) if isinstance(v, Tensor) else create.tensor(float(v), dtype=real, device=x.device)
        for v in (atol, rtol)
    ]
    return pair[0], pair[1]


def matrix_rank(
    input: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """How many singular values exceed the tolerance max(atol, rtol * largest one)."""
    name = "torch.linalg.matrix_rank"
    if not is_float(input) or input.element_size() == 2:
        raise RuntimeError("This function doesn't handle types other than float and double")
    require_matrix(name, input, "input")
    if tol is not None:
        atol, rtol = tol, 0.0
    absolute, relative = tolerances(name, input.detach(), atol, rtol)
    values = eigvalsh(input.detach()).abs() if hermitian else svdvals(input.detach())
    if not values.shape[-1]:
        return (values > 0).sum(-1)
    limit = absolute.maximum(relative * values.amax(-1))
    return (values > limit.unsqueeze(-1)).sum(-1)


def pinv(input: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The pseudoinverse (Moore-Penrose); singular values up to max(atol, rtol * largest one) count as 0.

    Args:
        rcond: the older name of `rtol`.
        hermitian: the matrices are Hermitian; only their lower triangle is read.
    """
    if input.ndim < 2 or not is_float(input) or input.element_size() == 2:
        raise RuntimeError(
            f"linalg.pinv({legacy_name(input)}{{{list(input.shape)}}}): expected a tensor with 2 or more dimensions of "
            "float, double, cfloat or cdouble types"
        )
    rtol = rtol if rcond is None else rcond
    absolute, relative = tolerances("torch.linalg.pinv", input.detach(), atol, rtol)
    return spectral.pinv(input, absolute.detach(), relative.detach(), hermitian=hermitian)


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudoinverse; singular values up to `rcond` times the largest count as 0."""
    return pinv(input, rcond)


def lstsq(input: Tensor, b: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """x with the least |input x - b|, and of those the one with the least |x|.

    Args:
        input: (..., m, n). b: (..., m, k), or a batch of vectors (..., m).
        rcond: singular values up to this times the largest count as 0; by default max(m, n) eps.
        driver: "gels", "gelsy", "gelsd" or "gelss", LAPACK's names: which of the further results there are.

    Returns:
        (solution, residuals: the sums of squares if m > n and the rank is full, rank, singular_values).
    """
    name = "torch.linalg.lstsq"
    _check_least_squares(name, input, b, driver)
    driver = driver or "gelsy"
    m, n = input.shape[-2:]
    is_vector = input.ndim - 1 == b.ndim and input.shape[:-1] == b.shape
    a, right = with_common_batch(input, b.unsqueeze(-1) if is_vector else b)
    cutoff = dtypes.finfo(input.dtype).eps * max(m, n) if rcond is None else rcond
    solution = pinv(a, rcond=cutoff) @ right
    values = svdvals(input.detach())
    rank = input.new_empty(0, dtype=dtypes.int64)
    if driver != "gels":
        limit = cutoff * values.amax(-1, keepdim=True) if values.shape[-1] else values
        rank = (values > limit).sum(-1)
    residuals = ops.unrelated(values.new_empty(0), solution)
    if m > n and driver != "gelsy" and (driver == "gels" or holds(rank == n)):
        residuals = (a @ solution - right).abs().square().sum(-2)
    singular = values if driver in ("gelsd", "gelss") else values.new_empty(0)
    return return_types.linalg_lstsq(solution.squeeze(-1) if is_vector else solution, residuals, rank, singular)


def _check_least_squares(name: str, input: Tensor, b: Tensor, driver: str | None) -> None:
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if b.ndim < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if input.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype {legacy_name(input)} and "
            f"other's dtype {legacy_name(b)}"
        )
    if not is_float(input) or input.element_size() == 2:
        raise RuntimeError("This function doesn't handle types other than float and double")
    is_vector = input.ndim - 1 == b.ndim and input.shape[:-1] == b.shape
    if not is_vector and (b.ndim < 2 or input.shape[-2] != b.shape[-2]):
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-{1 if b.ndim == 1 else 2})")
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")


with_autocast(globals())
