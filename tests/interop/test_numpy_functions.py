"""NumPy's functions on tensors: the values NumPy gives for the arrays, a Tensor back, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as torch

A = np.random.default_rng(0).uniform(0.5, 2, (3, 4))
V = np.random.default_rng(1).uniform(0.5, 2, 4)
S = np.random.default_rng(2).uniform(0.1, 1, (3, 3)) + 3 * np.eye(3)
P = S @ S.T
C = A + 1j * A[::-1]
N = np.arange(12).reshape(3, 4) % 5
M = A > 1

# (name, function of the arrays, the arrays). The first array becomes a tensor that requires grad if it is a float one.
CASES: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
    ("sum", lambda a: np.sum(a), (A,)), ("sum axis", lambda a: np.sum(a, axis=(0, 1), keepdims=True), (A,)),
    ("sum where", lambda a, m: np.sum(a, 1, where=m, initial=2.0), (A, M)), ("sum int", lambda n: np.sum(n, 0), (N,)),
    ("prod", lambda a: np.prod(a, 1), (A,)), ("mean", lambda a: np.mean(a, axis=0), (A,)),
    ("mean where", lambda a, m: np.mean(a, axis=1, where=m), (A, M)), ("max", lambda a: np.max(a, 1), (A,)),
    ("amin", lambda a: np.amin(a), (A,)), ("min initial", lambda a: np.min(a, 0, initial=0.7), (A,)),
    ("all", lambda n: np.all(n, 0), (N,)), ("any", lambda n: np.any(n), (N,)), ("ptp", lambda a: np.ptp(a, 1), (A,)),
    ("var", lambda a: np.var(a, axis=1), (A,)), ("std", lambda a: np.std(a, ddof=1), (A,)),
    ("var where", lambda a, m: np.var(a, axis=1, where=m), (A, M)),
    ("average", lambda a, v: np.average(a, axis=1, weights=v), (A, V)), ("cumsum", lambda a: np.cumsum(a), (A,)),
    ("cumprod", lambda a: np.cumprod(a, axis=1), (A,)), ("cumulative", lambda a: np.cumulative_sum(a, axis=1, include_initial=True), (A,)),
    ("median", lambda a: np.median(a, axis=1), (A,)), ("median all", lambda a: np.median(a), (A,)),
    ("quantile", lambda a: np.quantile(a, [0.1, 0.7], axis=0), (A,)), ("percentile", lambda a: np.percentile(a, 30), (A,)),
    ("quantile keepdims", lambda a: np.quantile(a, 0.3, axis=1, keepdims=True, method="lower"), (A,)),
    ("nansum", lambda a: np.nansum(a, 0), (np.where(M, A, np.nan),)), ("nanmean", lambda a: np.nanmean(a, 0), (np.where(N > 0, A, np.nan),)),
    ("nanmax", lambda a: np.nanmax(a, 0), (np.where(N > 0, A, np.nan),)), ("nanstd", lambda a: np.nanstd(a, 1), (np.where(N > 0, A, np.nan),)),
    ("diff", lambda a: np.diff(a, 2, axis=0, prepend=1.0), (A,)), ("ediff1d", lambda a: np.ediff1d(a, to_end=3.0), (A,)),
    ("trapezoid", lambda a, v: np.trapezoid(a, v, axis=1), (A, np.cumsum(V))), ("trapezoid dx", lambda a: np.trapezoid(a, dx=0.5), (A,)),
    ("concatenate", lambda a, b: np.concatenate([a, b], axis=1), (A, A)), ("concatenate flat", lambda a, b: np.concatenate((a, b), axis=None), (A, V)),
    ("concatenate mixed", lambda a, b: np.concatenate([a, b]), (A, N)), ("stack", lambda a, b: np.stack([a, b], -1), (A, A)),
    ("hstack", lambda a, b: np.hstack([a, b]), (A, A)), ("vstack", lambda a, v: np.vstack([a, v]), (A, V)), ("dstack", lambda a: np.dstack([a, a]), (A,)),
    ("column_stack", lambda v: np.column_stack([v, v]), (V,)), ("append", lambda a, v: np.append(a, v), (A, V)),
    ("block", lambda a, v: np.block([[a, a], [v, v]]), (A, V)), ("split", lambda a: np.split(a, 2, axis=1), (A,)),
    ("array_split", lambda a: np.array_split(a, 3, 1), (A,)), ("hsplit", lambda a: np.hsplit(a, [1, 3]), (A,)), ("vsplit", lambda a: np.vsplit(a, 3), (A,)),
    ("reshape", lambda a: np.reshape(a, (2, -1)), (A,)), ("reshape F", lambda a: np.reshape(a, (2, 6), order="F"), (A,)),
    ("ravel", lambda a: np.ravel(a), (A,)), ("transpose", lambda a: np.transpose(a), (A,)), ("moveaxis", lambda a: np.moveaxis(a, 0, -1), (A,)),
    ("rollaxis", lambda a: np.rollaxis(a, 1), (A,)), ("swapaxes", lambda a: np.swapaxes(a, 0, 1), (A,)),
    ("expand_dims", lambda a: np.expand_dims(a, (0, -1)), (A,)), ("squeeze", lambda a: np.squeeze(a, 0), (A[None],)),
    ("broadcast_to", lambda v: np.broadcast_to(v, (2, 4)), (V,)), ("broadcast_arrays", lambda a, v: np.broadcast_arrays(a, v), (A, V)),
    ("atleast_3d", lambda a: np.atleast_2d(a), (V,)), ("flip", lambda a: np.flip(a), (A,)), ("fliplr", lambda a: np.fliplr(a), (A,)),
    ("rot90", lambda a: np.rot90(a, 3), (A,)), ("roll", lambda a: np.roll(a, 2, axis=1), (A,)), ("roll flat", lambda a: np.roll(a, 5), (A,)),
    ("tile", lambda a: np.tile(a, (2, 1)), (A,)), ("repeat", lambda a: np.repeat(a, 2, axis=1), (A,)), ("repeat each", lambda a: np.repeat(a, [1, 0, 2], axis=0), (A,)),
    ("unstack", lambda a: np.unstack(a, axis=1), (A,)), ("tril", lambda a: np.tril(a, -1), (A,)), ("diag", lambda v: np.diag(v, 1), (V,)),
    ("diagonal", lambda a: np.diagonal(a, 1), (A,)), ("trace", lambda a: np.trace(a), (A,)), ("meshgrid", lambda v: np.meshgrid(v, v), (V,)),
    ("pad", lambda a: np.pad(a, ((1, 0), (2, 1))), (A,)), ("copy", lambda a: np.copy(a), (A,)), ("astype", lambda a: np.astype(a, np.float32), (A,)),
    ("where", lambda a, m: np.where(m, a, 0.0), (A, M)), ("where index", lambda n: np.where(n), (N,)), ("clip", lambda a: np.clip(a, 0.8, 1.5), (A,)),
    ("take", lambda a: np.take(a, [[0, 2]], axis=1), (A,)), ("take flat", lambda a, n: np.take(a, n), (A, N)),
    ("take_along_axis", lambda a, n: np.take_along_axis(a, n, 1), (A, N % 4)), ("compress", lambda a: np.compress([True, False, True], a, axis=0), (A,)),
    ("extract", lambda a, m: np.extract(m, a), (A, M)), ("select", lambda a, m: np.select([m], [a], 0.5), (A, M)),
    ("nonzero", lambda n: np.nonzero(n), (N,)), ("flatnonzero", lambda n: np.flatnonzero(n), (N,)), ("argwhere", lambda n: np.argwhere(n), (N,)),
    ("count_nonzero", lambda n: np.count_nonzero(n, axis=0), (N,)), ("argmax", lambda a: np.argmax(a, 1), (A,)), ("argmin", lambda a: np.argmin(a), (A,)),
    ("sort", lambda a: np.sort(a, 0), (A,)), ("argsort", lambda a: np.argsort(a), (A,)), ("searchsorted", lambda v, a: np.searchsorted(v, a), (np.sort(V), A)),
    ("isclose", lambda a: np.isclose(a, a + 1e-9), (A,)), ("real", lambda c: np.real(c), (C,)), ("imag", lambda c: np.imag(c), (C,)), ("angle", lambda c: np.angle(c), (C,)),
    ("round", lambda a: np.round(a, 1), (A,)), ("nan_to_num", lambda a: np.nan_to_num(a), (np.where(M, A, np.nan),)), ("sinc", lambda a: np.sinc(a), (A,)),
    ("dot", lambda a, v: np.dot(a, v), (A, V)), ("dot 3", lambda a, b: np.dot(a, b), (A, np.ones((2, 4, 3)))), ("vdot", lambda c: np.vdot(c, c), (C,)),
    ("inner", lambda a, b: np.inner(a, b), (A, A)), ("outer", lambda a, v: np.outer(a, v), (A, V)), ("tensordot", lambda a, b: np.tensordot(a, b, axes=([1], [1])), (A, A)),
    ("einsum", lambda a, b: np.einsum("ij,kj->ik", a, b), (A, A)), ("einsum lists", lambda a, v: np.einsum(a, [0, 1], v, [1], [0]), (A, V)),
    ("kron", lambda a, v: np.kron(a, v), (A, V)), ("cross", lambda a, b: np.cross(a, b, axis=0), (A, A[::-1].copy())),
    ("cov", lambda a: np.cov(a), (A,)), ("corrcoef", lambda a: np.corrcoef(a), (A,)),
    ("inv", lambda s: np.linalg.inv(s), (S,)), ("det", lambda s: np.linalg.det(s), (S,)), ("slogdet", lambda s: np.linalg.slogdet(s), (S,)),
    ("solve", lambda s, a: np.linalg.solve(s, a), (S, A)), ("solve vector", lambda s: np.linalg.solve(s, np.ones(3)), (S,)),
    ("eigvalsh", lambda p: np.linalg.eigvalsh(p), (P,)), ("eigh", lambda p: np.linalg.eigh(p)[0], (P,)), ("svdvals", lambda a: np.linalg.svd(a, compute_uv=False), (A,)),
    ("svd", lambda a: np.linalg.svd(a, full_matrices=False)[1], (A,)), ("qr", lambda s: np.abs(np.linalg.qr(s)[1]), (S,)),
    ("cholesky", lambda p: np.linalg.cholesky(p), (P,)), ("pinv", lambda a: np.linalg.pinv(a), (A,)), ("norm", lambda a: np.linalg.norm(a), (A,)),
    ("norm 1", lambda a: np.linalg.norm(a, 1, axis=1), (A,)), ("norm nuc", lambda a: np.linalg.norm(a, "nuc"), (A,)), ("matrix_power", lambda s: np.linalg.matrix_power(s, 3), (S,)),
    ("matrix_rank", lambda a: np.linalg.matrix_rank(a), (A,)), ("multi_dot", lambda a, b: np.linalg.multi_dot([a, b, a]), (A, A.T.copy())),
    ("fft", lambda a: np.fft.fft(a, axis=0), (A,)), ("rfft", lambda a: np.fft.rfft(a, 6), (A,)), ("irfft", lambda c: np.fft.irfft(c, 5), (C,)),
    ("fft2", lambda a: np.fft.fft2(a, norm="ortho"), (A,)), ("ifftn", lambda c: np.fft.ifftn(c), (C,)), ("fftshift", lambda a: np.fft.fftshift(a), (A,)),
    # Left to NumPy:
    ("interp", lambda n: np.interp(n, [0.0, 10.0], [0.0, 1.0]), (N,)), ("bincount", lambda n: np.bincount(n.reshape(-1)), (N,)),
    ("histogram", lambda n: np.histogram(n, 3), (N,)), ("unique", lambda n: np.unique(n), (N,)), ("array_equal", lambda n: np.array_equal(n, n), (N,)),
    ("shape", lambda a: np.shape(a), (A,)), ("result_type", lambda a: np.result_type(a, np.float32), (A,)),
]  # fmt: skip


def _results(value: Any) -> list[Any]:
    return [x for part in value for x in _results(part)] if isinstance(value, (tuple, list)) else [value]


@pytest.mark.parametrize("name, function, arrays", CASES, ids=[case[0] for case in CASES])
def test_value_and_gradient(name: str, function: Callable[..., Any], arrays: tuple[Any, ...]) -> None:
    tensors = [torch.from_numpy(a.copy()) for a in arrays]
    if tensors[0].dtype.kind in "fc":
        tensors[0].requires_grad_()
    expected, found = _results(function(*arrays)), _results(function(*tensors))
    assert len(found) == len(expected)
    for e, f in zip(expected, found, strict=True):
        if isinstance(e, (np.ndarray, np.inexact)):
            assert type(f) is torch.Tensor
            np.testing.assert_allclose(f.detach().numpy(), e, rtol=1e-10, atol=1e-12)
        else:
            assert f == e
    floats = [f for f in found if isinstance(f, torch.Tensor) and f.dtype.kind in "fc"]
    assert not floats or any(f.requires_grad for f in floats) == tensors[0].requires_grad
    recorded = [f for f in found if isinstance(f, torch.Tensor) and f.requires_grad]
    if recorded:
        sum(f.abs().sum() for f in recorded).backward()
        assert torch.isfinite(tensors[0].grad).all() or name.startswith("nan")


def test_gradients_are_those_of_the_same_expression_in_tensors() -> None:
    x = torch.tensor(A, requires_grad=True)
    (by_numpy,) = torch.autograd.grad((np.einsum("ij,ij->i", x, np.sin(x)) * np.mean(x, 1)).sum(), x)
    (ours,) = torch.autograd.grad(((x * x.sin()).sum(1) * x.mean(1)).sum(), x)
    np.testing.assert_allclose(by_numpy.numpy(), ours.numpy())


def test_what_numpy_computes_refuses_gradients_and_says_so() -> None:
    x = torch.tensor(V, requires_grad=True)
    with pytest.raises(TypeError, match=r"numpy.interp is computed by NumPy.*requires grad"):
        np.interp(x, [0.0, 1.0], [0.0, 1.0])
    with torch.no_grad():
        assert np.interp(x, [0.0, 1.0], [0.0, 1.0]).dtype is torch.float64
    assert np.bincount(np.argsort(x)).tolist() == [1] * 4
    assert np.shape(x) == (4,)


def test_out_in_array_and_in_tensor() -> None:
    x, array, tensor = torch.tensor(A), np.zeros(3), torch.zeros(3, dtype=torch.float64)
    assert np.sum(x, 1, out=array) is array and np.sum(x, axis=1, out=tensor) is tensor
    np.testing.assert_allclose(array, A.sum(1))
    np.testing.assert_allclose(tensor.numpy(), A.sum(1))
    assert tensor._version == 1
    with pytest.raises(TypeError, match="requires grad"):
        np.sum(x.requires_grad_(), 1, out=array)


def test_functions_that_write_bump_the_version() -> None:
    x = torch.zeros(3, 3)
    np.fill_diagonal(x, 5)
    np.copyto(x[0], np.arange(3.0))
    assert x.tolist() == [[0, 1, 2], [0, 5, 0], [0, 0, 5]]
    assert x._version == 2


def test_like() -> None:
    t = torch.ones(1)
    for made in (
        np.zeros((2, 2), like=t),
        np.array([1, 2], like=t),
        np.arange(3, like=t),
        np.ones_like(t),
        np.full(2, 7, like=t),
    ):
        assert type(made) is torch.Tensor


def test_masked_arrays_are_not_taken_for_plain_ones() -> None:
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    with pytest.raises(TypeError):
        np.add(masked, torch.ones(2))
