"""Matrix products on GPUs: of half precision without a detour, of float32 as exactly as is asked for, where operands lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight.arrays import kinds
from rushlight.arrays.gpu import products
from rushlight.nn import functional as F

DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128, torch.float16, torch.bfloat16]
SHAPES = [
    ((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (6, 4, 5)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (4,)), ((2, 3, 0), (2, 0, 5)), ((0, 3, 4), (4, 5)), ((1, 1), (1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_shapes_and_dtypes(shapes: tuple[Any, Any], dtype: Any) -> None:
    torch.manual_seed(0)
    x, y = (
        torch.randn(shape, dtype=torch.complex64 if dtype.is_complex else torch.float32).to(dtype) for shape in shapes
    )
    got, expected = (x.cuda() @ y.cuda()).cpu(), _exact(x) @ _exact(y)
    assert got.dtype == dtype and tuple(got.shape) == expected.shape
    step = torch.finfo(dtype).eps
    np.testing.assert_allclose(_exact(got), expected, rtol=4 * step, atol=8 * step)


def _exact(x: Any) -> np.ndarray:
    return x.to(torch.complex128 if x.is_complex() else torch.float64).numpy()


@pytest.mark.parametrize("seed", range(12))
def test_operands_are_read_where_they_lie(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transposed, sliced, expanded and reversed ones; those that are only transposed or cut out are not copied."""
    random = np.random.default_rng(seed)
    batch, rows, inner, columns = random.integers(1, 5, 4)
    copies, contiguous = [], products.cupy.ascontiguousarray
    monkeypatch.setattr(products.cupy, "ascontiguousarray", lambda x: copies.append(x) or contiguous(x))

    def operand(down: int, across: int, how: str) -> Any:
        if how == "transposed":
            return torch.randn(batch, across, down, device="cuda").transpose(1, 2)
        if how == "cut out":
            return torch.randn(batch + 1, down + 2, across + 3, device="cuda")[1:, 1:-1, 2:-1]
        if how == "every other":
            return torch.randn(batch, down, 2 * across, device="cuda")[..., ::2]
        if how == "expanded":
            return torch.randn(down, across, device="cuda").expand(batch, down, across)
        if how == "heads":
            return torch.randn(down, batch, across, device="cuda").permute(1, 0, 2)
        return torch.randn(batch, down, across, device="cuda").flip(1)

    kinds_of = ["transposed", "cut out", "every other", "expanded", "heads", "reversed"]
    for first in kinds_of:
        for second in kinds_of:
            x, y = operand(rows, inner, first), operand(inner, columns, second)
            copies.clear()
            got = x @ y
            np.testing.assert_allclose(got.cpu().numpy(), x.cpu().numpy() @ y.cpu().numpy(), rtol=1e-5, atol=1e-5)
            assert len(copies) <= (first == "every other") + (second == "every other")


def test_how_exact_products_of_float32_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from cupy_backends.cuda.libs import cublas

    computed, multiply = [], cublas.gemmEx
    monkeypatch.setattr(cublas, "gemmEx", lambda *given: computed.append(given[-2]) or multiply(*given))
    x = torch.ones(2, 2, device="cuda")
    for precision in ("highest", "high", "medium", "highest"):
        torch.set_float32_matmul_precision(precision)
        assert torch.equal((x @ x).cpu(), torch.full((2, 2), 2.0))
    exact, fast = 68, 77  # CUBLAS_COMPUTE_32F and CUBLAS_COMPUTE_32F_FAST_TF32, as cublas_api.h has them
    assert computed == [exact, fast, fast, exact]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_not_widened(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, matmul = [], kinds.gpu().matmul
    monkeypatch.setattr(kinds.gpu(), "matmul", lambda x, y: seen.append((x.dtype, y.dtype)) or matmul(x, y))
    values = torch.randn(6, 16), torch.randn(5, 16), torch.randn(5)
    results = []
    for device in ("cuda", "cpu"):
        x, weight, bias = (v.to(device, dtype).requires_grad_() for v in values)
        out = F.linear(x, weight, bias)
        out.sum().backward()
        results.append([t.detach().float().cpu().numpy() for t in (out, x.grad, weight.grad, bias.grad)])
    assert len(seen) == 3 and all(x == y == dtype.numpy for x, y in seen)
    ours, theirs = results
    step = torch.finfo(dtype).eps  # of the sum and of the bias one rounding each
    for got, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2 * step, atol=4 * step)


def test_products_of_integers() -> None:
    x, y = torch.arange(12).reshape(3, 4), torch.arange(20).reshape(4, 5)
    assert torch.equal((x.cuda() @ y.cuda()).cpu(), x @ y)
