"""Matrix products on GPUs: of half precision without a detour, of float32 as exactly as is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cupy._core import _routines_linalg as routines

import rushlight as torch
from rushlight.arrays import kinds
from rushlight.nn import functional as F


def test_how_exact_products_of_float32_are(monkeypatch: pytest.MonkeyPatch) -> None:
    x, told = torch.ones(2, 2, device="cuda"), []
    monkeypatch.setattr(kinds.gpu().linalg_routines, "set_compute_type", lambda *given: told.append(given))
    for precision in ("highest", "high", "medium", "highest"):
        torch.set_float32_matmul_precision(precision)
        assert torch.equal((x @ x).cpu(), torch.full((2, 2), 2.0))
    assert told == [(np.float32, routines.COMPUTE_TYPE_TF32), (np.float32, routines.COMPUTE_TYPE_DEFAULT)]


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
