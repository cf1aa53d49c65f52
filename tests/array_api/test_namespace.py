"""The array API namespace: how it is found, what it says of itself, that autograd follows its functions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rushlight as torch
from rushlight import array_api as xp


def test_tensors_lead_to_it() -> None:
    x = torch.ones(2)
    assert x.__array_namespace__() is xp
    assert x.__array_namespace__(api_version="2024.12") is xp
    assert xp.__array_api_version__ == "2025.12"
    with pytest.raises(ValueError, match=r"array API version '2031.01' is not one of"):
        x.__array_namespace__(api_version="2031.01")


def test_inspection() -> None:
    info = xp.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert info.default_dtypes() == {
        "real floating": xp.float32, "complex floating": xp.complex64, "integral": xp.int64, "indexing": xp.int64,
    }  # fmt: skip
    assert info.devices() == (info.default_device(),)
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    assert len(info.dtypes()) == 13
    with pytest.raises(ValueError, match="unsupported kind"):
        info.dtypes(kind="text")


def test_constants() -> None:
    assert (xp.e, xp.pi, xp.inf) == (math.e, math.pi, math.inf)
    assert math.isnan(xp.nan) and xp.newaxis is None
    assert torch.ones(2)[xp.newaxis].shape == (1, 2)


def test_devices() -> None:
    x = xp.asarray([1.0])
    assert x.to_device(x.device) is x
    assert xp.zeros(2, device=x.device).device == x.device
    with pytest.raises(ValueError, match="stream must be None"):
        x.to_device("cpu", stream=1)


def test_promotion_is_the_standards_here_and_pytorchs_in_operators() -> None:
    x, number = xp.ones(2, dtype=xp.float32), xp.asarray(1.0, dtype=xp.float64)
    assert xp.add(x, number).dtype is xp.float64
    assert (x + number).dtype is xp.float32
    assert xp.add(xp.ones(2, dtype=xp.uint16), xp.ones(2, dtype=xp.uint8)).dtype is xp.uint16
    with pytest.raises(TypeError, match="no common integer dtype"):
        xp.add(xp.ones(2, dtype=xp.uint64), xp.ones(2, dtype=xp.int8))


def test_copy() -> None:
    x = xp.asarray([1.0, 2.0])
    assert xp.asarray(x) is x and xp.asarray(x, copy=True) is not x
    assert np.shares_memory(xp.reshape(x, (2, 1), copy=False).numpy(), x.numpy())
    with pytest.raises(ValueError, match="without copying"):
        xp.reshape(xp.ones((2, 3)).mT, (6,), copy=False)


def test_autograd_follows() -> None:
    x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64, requires_grad=True)
    for result in (
        xp.sum(xp.linalg.inv(x)), xp.std(x, correction=1), xp.linalg.det(x), xp.abs(xp.fft.rfft(x))[0, 0],
        xp.sum(xp.sort(xp.concat([x, x], axis=1), axis=1)[:, 0]), xp.sum(xp.unique_values(x)), xp.sum(xp.clip(x, 1.5, 2.5)),
        xp.sum(xp.take(x, torch.tensor([1]), axis=0)), xp.cumulative_prod(x, axis=1)[1, 1], xp.sum(xp.where(x > 1, x, 0.0)),
        xp.linalg.vector_norm(x), xp.linalg.eigh(x).eigenvalues[0], xp.linalg.solve(x, xp.asarray([1.0, 2.0], dtype=xp.float64))[0],
    ):  # fmt: skip
        (grad,) = torch.autograd.grad(result, x)
        assert bool(grad.abs().sum() > 0)
