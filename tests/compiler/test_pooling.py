"""Maxima of windows in one native loop, against PyTorch: ties, NaN, infinities, windows that overlap or hang over."""

import numpy as np
import pytest

import rushlight
from rushlight.arrays import pooling
from rushlight.compiler import pooling as native

torch = pytest.importorskip("torch")

# shape, kernel, stride, padding, dilation, ceil_mode
CASES = [
    ((2, 3, 9, 8), 2, 2, 0, 1, False),
    ((2, 3, 9, 8), 3, 2, 1, 1, True),
    ((2, 3, 9, 8), 3, 1, 1, 2, False),
    ((1, 2, 5, 6, 7), (2, 3, 2), (1, 2, 3), 1, 1, False),
    ((2, 2, 30), 5, 3, 2, 1, True),
]


@pytest.fixture
def calls(monkeypatch):
    """What the native functions said, for arrays however small."""
    said = []
    monkeypatch.setattr(pooling, "LARGE", 1)
    for name in ("_maxima", "_put"):
        function = getattr(pooling, name)
        monkeypatch.setattr(pooling, name, lambda *a, function=function: said.append(function(*a)) or said[-1])
    return said


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_maxima_places_and_gradients(calls, case, dtype):
    shape, *options = case
    random = np.random.default_rng(0)
    x = random.integers(-2, 3, shape).astype(dtype)
    x.flat[random.integers(0, x.size, 12)] = np.nan
    x.flat[random.integers(0, x.size, 12)] = -np.inf
    results = []
    for library in (torch, rushlight):
        a = library.from_numpy(x.copy()).requires_grad_()
        pool = getattr(library.nn.functional, f"max_pool{len(shape) - 2}d")
        values, indices = pool(a, *options, return_indices=True)
        grad = np.arange(values.numel(), dtype=dtype).reshape(tuple(values.shape))
        values.backward(library.from_numpy(grad))
        results.append((values.detach().numpy(), indices.numpy(), a.grad.numpy()))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    assert calls == [True, True]


def test_adaptive_windows(calls):
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 11))
    expected = torch.nn.functional.adaptive_max_pool2d(torch.from_numpy(x), (3, 4))
    found = rushlight.nn.functional.adaptive_max_pool2d(rushlight.from_numpy(x), (3, 4))
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
    assert calls == [True]


def test_put_at_refuses_what_is_out_of_bounds(calls):
    values, indices = np.ones((2, 3)), np.array([[0, 1, 2], [3, 5, 4]])
    assert not native.put_at(values, indices, np.empty((2, 5)), False)
    with pytest.raises(IndexError):
        pooling.put_at(values, indices, size=(5,), accumulate=False)
    found = pooling.put_at(values, indices % 2, size=(5,), accumulate=True)
    np.testing.assert_array_equal(found, [[2, 1, 0, 0, 0], [1, 2, 0, 0, 0]])
