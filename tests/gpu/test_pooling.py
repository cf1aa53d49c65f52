"""Pooling and interpolation of half precision on GPUs: the CPU's numbers, and no array widened on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight.arrays import kinds
from rushlight.nn import functional as F

CASES: dict[str, Callable[[Any], Any]] = {
    "max": lambda x: F.max_pool2d(x, 3, 2, padding=1),
    "max of pairs": lambda x: F.max_pool2d(x, 2),
    "max along a line": lambda x: F.max_pool1d(x[:, :, 0], 2, 1),
    "average": lambda x: F.avg_pool2d(x, 2),
    "average of overlapping windows": lambda x: F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
    "mean": lambda x: F.adaptive_avg_pool2d(x, 1),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "nearest": lambda x: F.interpolate(x, size=(3, 11)),
}


def test_what_the_cpu_does_not_have() -> None:
    x = torch.randn(2, 3, 2, 4, 6)
    for function in (lambda x: F.avg_pool3d(x, 2), lambda x: F.max_pool3d(x, 2)):
        found, expected = function(x.half().cuda()), function(x.half().float())
        np.testing.assert_allclose(found.cpu().float().numpy(), expected.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_as_on_the_cpu(name: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 3, 8, 7, generator=generator)
    values[0, 0, 2, 2], values[0, 1, 3, 3] = float("nan"), -0.0
    astype = kinds.gpu().astype
    monkeypatch.setattr(
        kinds.gpu(), "astype", lambda x, kind: pytest.fail("widened") if x.size > 50 else astype(x, kind)
    )
    results = []
    for device in ("cpu", "cuda"):
        x = values.to(dtype).to(device).requires_grad_()
        out = CASES[name](x)
        far = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(dtype).to(device)
        (grad,) = torch.autograd.grad(out, x, far)
        assert out.dtype is grad.dtype is dtype
        results.append([t.detach().cpu().float().numpy() for t in (out, grad)])
    step = torch.finfo(dtype).eps
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=step, atol=step / 4)
