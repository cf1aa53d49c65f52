"""What the rows of tests/ops do not say of linear algebra: errors, complex gradients, edges, einsum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rushlight

rng = np.random.default_rng(0)


def random(*shape: int) -> np.ndarray:
    """Complex numbers."""
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


# ---------------------------------------------------------------- complex gradients, of first and second order

SQUARE, RIGHT = random(3, 3) + 4 * np.eye(3), random(3, 2)
TALL, WIDE, TAU = random(4, 2), random(2, 4), np.array([0.3 + 0.2j, 0.5 - 0.1j])


def hermitian(t: Any, x: Any) -> Any:
    return x @ x.mH + 4 * t.eye(3, dtype=x.dtype)


def without_phases(t: Any, results: Any) -> list[Any]:
    return [t.abs(x) for x in results]


COMPLEX: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "solve": (lambda t, a, b: t.linalg.solve(a, b), (SQUARE, RIGHT)),
    "inv": (lambda t, a: t.linalg.inv(a), (SQUARE,)),
    "det": (lambda t, a: t.linalg.det(a), (SQUARE,)),
    "slogdet": (lambda t, a: tuple(t.linalg.slogdet(a)), (SQUARE,)),
    "cholesky": (lambda t, a: t.linalg.cholesky(hermitian(t, a)), (SQUARE,)),
    "cholesky upper": (lambda t, a: t.linalg.cholesky(hermitian(t, a), upper=True), (SQUARE,)),
    "cholesky_solve": (lambda t, b, a: t.cholesky_solve(b, a.tril()), (RIGHT, SQUARE)),
    "qr": (lambda t, a: tuple(t.linalg.qr(a)), (SQUARE,)),
    "qr tall": (lambda t, a: tuple(t.linalg.qr(a)), (TALL,)),
    "qr wide": (lambda t, a: tuple(t.linalg.qr(a)), (WIDE,)),
    "lu": (lambda t, a: t.linalg.lu_factor(a)[0], (SQUARE,)),
    "lu tall": (lambda t, a: t.linalg.lu_factor(a)[0], (TALL,)),
    "lu wide": (lambda t, a: t.linalg.lu_factor(a)[0], (WIDE,)),
    "lu_solve adjoint": (lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b, adjoint=True), (SQUARE, RIGHT)),
    "eigh": (lambda t, a: without_phases(t, t.linalg.eigh(hermitian(t, a))), (SQUARE,)),
    "eig": (lambda t, a: [x.sum() for x in without_phases(t, t.linalg.eig(a))], (SQUARE,)),
    "svd": (lambda t, a: without_phases(t, t.linalg.svd(a)), (SQUARE,)),
    "svd tall": (lambda t, a: without_phases(t, t.linalg.svd(a, full_matrices=False)), (TALL,)),
    "svd wide": (lambda t, a: without_phases(t, t.linalg.svd(a, full_matrices=False)), (WIDE,)),
    "pinv": (lambda t, a: t.linalg.pinv(a), (TALL,)),
    "matrix_exp": (lambda t, a: t.linalg.matrix_exp(a * 0.2), (SQUARE,)),
    "householder_product": (lambda t, a, tau: t.linalg.householder_product(a, tau), (TALL, TAU)),
    "ormqr": (lambda t, a, tau, b: t.ormqr(a, tau, b, False, True), (TALL, TAU, random(2, 4))),
    **{
        f"vector_norm {p}": (lambda t, a, p=p: t.linalg.vector_norm(a, p), (TALL,))
        for p in (0.5, 1, 1.5, 2, 3, float("inf"))
    },
    "nuclear norm": (lambda t, a: t.linalg.matrix_norm(a, "nuc"), (TALL,)),
    "vdot": (lambda t, a, b: t.vdot(a, b), (random(3), random(3))),
    "cov": (lambda t, a: t.cov(a), (TALL,)),
}


def gradients(t: Any, function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Those of a real number made of the results, then those of the sum of their absolute values."""
    inputs = [t.from_numpy(a.copy()).requires_grad_() for a in arrays]
    results = function(t, *inputs)
    results = results if isinstance(results, (tuple, list)) else [results]
    weights = np.random.default_rng(1)
    loss: Any = 0
    for result in results:
        shape = tuple(result.shape)
        weight = t.from_numpy(np.asarray(weights.normal(size=shape) + 1j * weights.normal(size=shape)))
        loss = loss + t.abs(result * weight + 1).sum()
    first = t.autograd.grad(loss, inputs, create_graph=True)
    second = t.autograd.grad(sum(t.abs(g + 1).sum() for g in first), inputs, allow_unused=True)
    return [np.zeros(()) if g is None else np.asarray(g.detach().resolve_conj().numpy()) for g in (*first, *second)]


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradients(name: str) -> None:
    function, arrays = COMPLEX[name]
    for theirs, mine in zip(gradients(torch, function, arrays), gradients(rushlight, function, arrays), strict=True):
        np.testing.assert_allclose(mine, theirs, 1e-9, 1e-9)


# ---------------------------------------------------------------- failures

ZERO = [[0.0, 0.0], [0.0, 0.0]]
BATCH = [[[1.0, 0.0], [0.0, 1.0]], ZERO]


@pytest.mark.parametrize("name", ["inv", "cholesky", "solve", "lu_factor", "matrix_power"])
@pytest.mark.parametrize("values", [ZERO, BATCH], ids=["one", "batch"])
def test_singular_matrices_raise_as_in_pytorch(name: str, values: Any) -> None:
    def message(t: Any) -> tuple[str, str]:
        x = t.tensor(values)
        arguments = {"solve": (x,), "matrix_power": (-1,)}.get(name, ())
        with pytest.raises(RuntimeError) as caught:
            getattr(t.linalg, name)(x, *arguments)
        return type(caught.value).__name__.lstrip("_"), str(caught.value)

    assert message(rushlight) == message(torch)


def test_failures_are_told_by_info() -> None:
    x = rushlight.tensor(BATCH)
    assert rushlight.linalg.inv_ex(x).info.tolist() == [0, 1]
    assert rushlight.linalg.cholesky_ex(x).info.tolist() == [0, 1]
    assert rushlight.linalg.solve_ex(x, x).info.tolist() == [0, 1]
    assert rushlight.linalg.inv_ex(x).inverse[0].equal(x[0])


def test_a_compiled_step_raises_too() -> None:
    step = rushlight.compile(rushlight.linalg.inv)
    step(rushlight.eye(2))
    with pytest.raises(rushlight.linalg.LinAlgError, match="singular"):
        step(rushlight.zeros(2, 2))


def test_the_determinant_of_a_singular_matrix_has_a_derivative() -> None:
    x = rushlight.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=rushlight.float64, requires_grad=True)
    rushlight.linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[4, -2], [-2, 1]], atol=1e-12)


# ---------------------------------------------------------------- edges

UNARY = (
    "cholesky", "cond", "det", "eig", "eigh", "eigvals", "eigvalsh", "inv", "ldl_factor", "lu", "lu_factor", "matrix_exp",
    "matrix_norm", "matrix_rank", "pinv", "qr", "slogdet", "svd", "svdvals",
)  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_empty_matrices(name: str) -> None:
    for shape in ((0, 0), (2, 0, 0), (0, 2, 2)):
        theirs = getattr(torch.linalg, name)(torch.zeros(shape))
        mine = getattr(rushlight.linalg, name)(rushlight.zeros(shape))
        theirs, mine = ((x,) if hasattr(x, "shape") else x for x in (theirs, mine))
        for t, m in zip(theirs, mine, strict=True):
            assert (tuple(t.shape), str(t.dtype)) == (tuple(m.shape), str(m.dtype)), shape
            np.testing.assert_array_equal(m.numpy(), t.numpy())


def test_negative_strides() -> None:
    x = (random(3, 3).real + 4 * np.eye(3))[::-1, ::-1]
    assert min(x.strides) < 0
    y = rushlight.from_numpy(x)
    np.testing.assert_allclose(rushlight.linalg.inv(y).numpy(), np.linalg.inv(x), 1e-12)
    np.testing.assert_allclose((y @ rushlight.linalg.solve(y, y)).numpy(), x, 1e-12)
    packed = rushlight.linalg.lu(y)
    np.testing.assert_allclose((packed.P @ packed.L @ packed.U).numpy(), x, 1e-12)


# ---------------------------------------------------------------- einsum

EQUATIONS = [
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]), ("ij,jk,kl", [(2, 3), (3, 4), (4, 2)]), ("bij,bjk->ik", [(2, 3, 4), (2, 4, 3)]),
    ("...ij,...jk->...ik", [(2, 1, 2, 3), (5, 3, 2)]), ("ii", [(3, 3)]), ("iij->ji", [(3, 3, 2)]), ("i,i,i", [(3,), (3,), (3,)]),
    ("ij,kl->lkji", [(2, 3), (4, 5)]), ("i...,j->j...", [(2, 3), (4,)]), ("bi,bj,bk->ijk", [(1, 2), (3, 2), (3, 2)]),
    ("ij->", [(0, 3)]), ("...->", [(2, 3)]), (" i j , j k ", [(2, 3), (3, 4)]),
]  # fmt: skip


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = [rng.normal(size=shape) for shape in shapes]
    mine = rushlight.einsum(equation, *[rushlight.from_numpy(a) for a in arrays])
    theirs = torch.einsum(equation, *[torch.from_numpy(a) for a in arrays])
    assert tuple(mine.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), 1e-12, 1e-12)


def test_einsum_takes_lists_of_labels() -> None:
    a, b = rushlight.randn(2, 3), rushlight.randn(3, 4)
    expected = a @ b
    assert rushlight.einsum(a, [0, 1], b, [1, 2], [0, 2]).allclose(expected)
    assert rushlight.einsum(a, [0, 1], b, [1, 2]).allclose(expected)
    assert rushlight.einsum(a, [..., 1], b, [1, 2], [..., 2]).allclose(expected)
    assert rushlight.einsum("ij,jk", [a, b]).allclose(expected)


WRONG = [
    ("ij,jk", [(2, 2), (3, 3)]), ("ij,jk", [(2, 2)]), ("ijk", [(2, 2)]), ("i1", [(2, 2)]), ("ij->k", [(2, 2)]),
    ("ij->ii", [(2, 2)]), ("i...j...", [(2, 2)]), ("i", [(2, 2)]), ("ij", [(2, 2), (2, 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("equation", "shapes"), WRONG)
def test_einsum_complains_as_pytorch_does(equation: str, shapes: list[tuple[int, ...]]) -> None:
    def message(t: Any) -> str:
        with pytest.raises(RuntimeError) as caught:
            t.einsum(equation, *[t.zeros(shape) for shape in shapes])
        return str(caught.value)

    assert message(rushlight) == message(torch)


def test_opt_einsum_takes_our_tensors() -> None:
    opt_einsum = pytest.importorskip("opt_einsum")
    a, b, c = rushlight.randn(2, 3), rushlight.randn(3, 4), rushlight.randn(4, 2)
    assert opt_einsum.contract("ij,jk,kl->il", a, b, c).allclose(a @ b @ c)


# ---------------------------------------------------------------- low rank


def test_low_rank_svd_finds_the_largest_singular_values() -> None:
    rushlight.manual_seed(0)
    x = rushlight.randn(20, 3, dtype=rushlight.float64) @ rushlight.randn(3, 10, dtype=rushlight.float64)
    for y in (x, x.mT):
        u, s, v = rushlight.svd_lowrank(y, 3)
        np.testing.assert_allclose(((u * s) @ v.mT).numpy(), y.numpy(), atol=1e-10)
    u, s, v = rushlight.pca_lowrank(x, 3)
    np.testing.assert_allclose(((u * s) @ v.mT).numpy(), (x - x.mean(0)).numpy(), atol=1e-10)
