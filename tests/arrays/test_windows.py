"""Convolution and windows on images large enough to be shared among threads, windows often enough to be compiled."""

import numpy as np
import pytest

import rushlight
from rushlight.arrays import windows
from rushlight.arrays.numpy import index_put
from rushlight.compiler.parallel import share

torch = pytest.importorskip("torch")

# image (N, C, *size), output channels, kernel, stride, padding, dilation, groups
SHAPES = [
    ((8, 4, 32, 32), 6, 3, 1, 1, 1, 1),  # rows of a page
    ((8, 4, 26, 26), 6, 3, 1, 0, 1, 2),
    ((9, 4, 16, 16), 6, 3, 2, 1, 1, 1),
    ((16, 8, 8, 8), 8, 3, 1, 1, 1, 8),
    ((8, 3, 30, 30), 4, 3, 2, 2, 2, 1),
    ((8, 2, 24, 24), 3, 7, 1, 3, 1, 1),  # too many positions to be compiled
    ((8, 4, 600), 6, 5, 1, 2, 1, 1),
    ((4, 2, 12, 12, 12), 3, 3, 1, 1, 1, 1),
]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("shape", "outputs", "kernel", "stride", "padding", "dilation", "groups"), SHAPES)
def test_convolution_and_its_derivatives(
    monkeypatch, shape, outputs, kernel, stride, padding, dilation, groups, threads
):
    """With the matrix of windows; tests/compiler/test_convolution.py has the kernels without it."""
    monkeypatch.setattr(windows, "SHARED", 1)
    monkeypatch.setattr(windows, "_compute", lambda *arguments: False)
    random, axes = np.random.default_rng(0), len(shape) - 2
    x = random.standard_normal(shape)
    weight = random.standard_normal((outputs, shape[1] // groups, *(kernel,) * axes))
    before = rushlight.get_num_threads()
    rushlight.set_num_threads(threads)
    try:
        found = gradients(rushlight, x, weight, stride, padding, dilation, groups)
    finally:
        rushlight.set_num_threads(before)
    expected = gradients(torch, x, weight, stride, padding, dilation, groups)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "dilation"),
    [(shape, *around) for shape, _, *around, _ in SHAPES if len(shape) == 4],
)
def test_windows_and_their_sums(monkeypatch, shape, kernel, stride, padding, dilation, threads):
    monkeypatch.setattr(windows, "SHARED", 1)
    monkeypatch.setattr(windows, "_free_loops", [])
    x = np.random.default_rng(0).standard_normal(shape)
    spacing = windows.Spacing(*((number,) * 2 for number in (stride, padding, dilation)))
    around = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    columns = torch.nn.functional.unfold(torch.from_numpy(x), **around)
    images = torch.nn.functional.fold(columns, shape[2:], **around)
    before = rushlight.get_num_threads()
    rushlight.set_num_threads(threads)
    try:
        for _ in range(13):  # in NumPy, and in compiled loops
            found = windows.unfold(x, kernel=(kernel,) * 2, spacing=spacing)
            np.testing.assert_array_equal(found, columns.numpy())
            found = windows.fold(found, size=shape[2:], kernel=(kernel,) * 2, spacing=spacing)
            np.testing.assert_allclose(found, images.numpy(), rtol=1e-12, atol=1e-12)
    finally:
        rushlight.set_num_threads(before)
    assert bool(windows._free_loops) == (kernel != 7)


def gradients(t, x, weight, stride, padding, dilation, groups):
    a, b = t.from_numpy(x).requires_grad_(), t.from_numpy(weight).requires_grad_()
    convolve = getattr(t.nn.functional, f"conv{x.ndim - 2}d")
    out = convolve(a, b, None, stride, padding, dilation, groups)
    (out * out).sum().backward()
    assert b.grad.is_contiguous()
    return out.detach().numpy(), a.grad.numpy(), b.grad.numpy()


def test_float32_has_a_spare_line_where_rows_would_be_a_page(monkeypatch):
    monkeypatch.setattr(windows, "_compute", lambda *arguments: False)
    random = np.random.default_rng(0)
    x, weight = (random.standard_normal(shape).astype(np.float32) for shape in ((8, 4, 32, 32), (6, 4, 3, 3)))
    found = [gradients(rushlight, x, weight, 1, 1, 1, 1) for _ in range(30)][-1]
    for one, other in zip(found, gradients(torch, x, weight, 1, 1, 1, 1), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_every_piece_is_done_once_and_errors_come_out():
    before = rushlight.get_num_threads()
    rushlight.set_num_threads(3)
    try:
        done = []
        share(lambda pieces: done.extend(pieces), range(1000))
        assert sorted(done) == list(range(1000))
        with pytest.raises(ZeroDivisionError):
            share(lambda pieces: [1 // piece for piece in pieces], [1, 1, 0, 1])
    finally:
        rushlight.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, bool])
@pytest.mark.parametrize("shape", [(7, 3), (7, 2, 3)])
def test_rows_are_added_as_numpy_adds_them(dtype, shape):
    random = np.random.default_rng(0)
    index = random.integers(-7, 7, (4, 50))
    x = random.integers(0, 2, shape).astype(dtype)
    values = random.integers(0, 2, (4, 50, *shape[1:])).astype(dtype)
    expected = x.copy()
    np.add.at(expected, index, values)
    np.testing.assert_array_equal(index_put(x, values, index, spec=(("array", 0),), accumulate=True), expected)
    with pytest.raises(IndexError):
        index_put(x, values, index + 7, spec=(("array", 0),), accumulate=True)
