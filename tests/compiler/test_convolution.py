"""Convolution by kernels of vectors, for every kind of machine, against PyTorch in float64."""

import os

import numpy as np
import pytest
from guarded import can_guard, guarded

import rushlight
from rushlight.arrays.windows import Spacing
from rushlight.compiler import convolution, convolution_calls, convolution_lines, convolution_shape, vectors

torch = pytest.importorskip("torch")

# Shape of images, outputs, kernel, stride, padding, dilation.
SHAPES = [
    ((3, 2, 5, 7), 5, (3, 3), (1, 1), (1, 1), (1, 1)),  # fewer outputs than lanes
    ((2, 3, 11, 8), 40, (3, 2), (2, 3), (2, 1), (2, 1)),  # a last block of one vector; places that read nothing
    ((2, 17, 4, 9), 33, (1, 1), (2, 2), (0, 0), (1, 1)),
    ((1, 2, 19), 6, (4,), (3,), (2,), (1,)),
    ((5, 1, 16, 16), 32, (5, 5), (1, 1), (0, 0), (1, 1)),  # several tiles of positions
    ((2, 2, 4, 5, 6), 3, (2, 3, 2), (2, 1, 1), (1, 0, 1), (1, 1, 2)),
    ((1, 1, 40, 33), 2, (3, 3), (1, 1), (3, 3), (1, 1)),  # more padding than the kernel needs; blocks of lines
    ((2, 3, 23, 25), 18, (11, 9), (4, 3), (2, 4), (1, 1)),  # kernels that are loops: of lines
    ((2, 2, 37, 4), 17, (21, 2), (2, 1), (4, 0), (1, 1)),
    ((1, 1, 5, 90), 16, (2, 37), (1, 2), (0, 20), (2, 1)),  # and of pieces of a line
    ((3, 4, 6, 7), 34, (3, 3), (1, 1), (1, 1), (1, 1), 2),  # groups
    ((2, 6, 9, 8), 99, (3, 3), (2, 2), (1, 1), (1, 1), 3),
    # Groups of few outputs, where lanes are places:
    ((2, 9, 9, 7), 9, (3, 3), (1, 1), (1, 1), (1, 1), 9),  # a line is less than a vector
    ((2, 4, 17, 37), 8, (3, 3), (2, 2), (1, 1), (1, 1), 4),  # split lines; two outputs for each channel
    ((1, 12, 19, 41), 9, (5, 3), (2, 3), (2, 1), (1, 2), 3),  # odd numbers of outputs; a last place that is not there
    ((3, 8, 83), 8, (11,), (1,), (5,), (1,), 8),  # several vectors of a line
    ((1, 24, 50), 24, (31,), (2,), (15,), (1,), 24),  # a kernel so long that channels are the lanes
    ((1, 8, 130), 8, (97,), (2,), (40,), (1,), 8),  # pieces of a line
    ((2, 8, 3, 18, 35), 16, (3, 2, 2), (2, 2, 1), (1, 0, 1), (1, 1, 1), 8),
    ((1, 8, 25, 30), 8, (13, 11), (3, 2), (5, 4), (1, 1), 8),  # pieces of the kernel
    ((2, 8, 6, 5), 8, (1, 1), (2, 2), (0, 0), (1, 1), 8),  # phases and lines that read nothing
    ((2, 21, 7, 7), 21, (3, 3), (1, 1), (1, 1), (1, 1), 21),  # lines so short that channels are the lanes
    ((1, 32, 9, 17), 32, (5, 3), (2, 2), (2, 0), (1, 1), 32),
    ((2, 16, 6), 16, (4,), (1,), (3,), (2,), 16),
    ((1, 16, 3, 40), 16, (2, 11), (1, 9), (0, 2), (1, 1), 16),  # many phases
    ((1, 10, 12, 33), 3, (3, 3), (1, 1), (1, 1), (1, 1)),  # without groups
    ((2, 8, 21), 3, (3,), (1,), (1,), (1,)),  # more outputs than a tile has
    ((1, 8, 20, 60), 8, (2, 9), (9, 8), (0, 3), (1, 1), 8),  # more phases of lines than a tile has
]
MACHINES = {"avx512": (64, 32), "avx2": (32, 16), "sse": (16, 16)}  # bytes of a vector, registers


@pytest.fixture(params=MACHINES)
def machine(request, monkeypatch):
    """LLVM makes instructions of its own machine of whatever vectors it is given."""
    size, registers = MACHINES[request.param]
    for module in (vectors, convolution, convolution_calls, convolution_lines, convolution_shape):
        monkeypatch.setattr(module, "registers_of", lambda itemsize: (size // itemsize, registers))
    monkeypatch.setattr(vectors, "_has_masks", lambda: request.param == "avx512")
    monkeypatch.setattr(convolution_calls, "_programs", {})


def compute(x, weight, grad, spacing, size):
    """The result and both derivatives."""
    kernel = weight.shape[2:]
    out, by_x, by_weight = (np.full_like(like, np.nan) for like in (grad, x, weight))
    for kind, images, factor, result in (
        ("forward", x, weight, out), ("transposed", grad, weight, by_x), ("weight", x, grad, by_weight),
    ):  # fmt: skip
        assert convolution_calls.compute(kind, images, factor, result, kernel, spacing)
    return out, by_x, by_weight


def expected(x, weight, random, spacing):
    a, b = (torch.from_numpy(array.astype(np.float64)).requires_grad_() for array in (x, weight))
    function = getattr(torch.nn.functional, f"conv{x.ndim - 2}d")
    out = function(a, b, None, spacing.stride, *spacing[1:])
    grad = random.standard_normal(tuple(out.shape)).astype(x.dtype)
    out.backward(torch.from_numpy(grad.astype(np.float64)))
    return grad, (out.detach().numpy(), a.grad.numpy(), b.grad.numpy())


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape[0])))
def test_result_and_derivatives(machine, monkeypatch, shape):
    monkeypatch.setattr(convolution_calls, "PATIENCE", 0)
    for name in ("TURN", "LINES_TURN"):
        monkeypatch.setattr(convolution_calls, name, 1)  # each image is a chunk
    size, outputs, kernel, *around = shape
    random, spacing = np.random.default_rng(0), Spacing(*around)
    for dtype, tolerance in ((np.float32, 2e-5), (np.float64, 1e-12)):
        x, weight = (
            random.standard_normal(s).astype(dtype) for s in (size, (outputs, size[1] // spacing.groups, *kernel))
        )
        grad, right = expected(x, weight, random, spacing)
        for found, other in zip(compute(x, weight, grad, spacing, size), right, strict=True):
            np.testing.assert_allclose(found, other, rtol=tolerance, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize(("channels", "outputs", "groups"), [(3, 8, 1), (8, 8, 8), (16, 32, 2)])
def test_a_program_serves_every_batch_and_threads_change_nothing(monkeypatch, channels, outputs, groups):
    monkeypatch.setattr(convolution_calls, "PATIENCE", 0)
    monkeypatch.setattr(convolution_calls, "_programs", {})
    random, spacing = np.random.default_rng(0), Spacing((1, 1), (1, 1), (1, 1), groups)
    weight = random.standard_normal((outputs, channels // groups, 3, 3)).astype(np.float32)
    before = rushlight.get_num_threads()
    for batch in (1, 3, 40):
        x = random.standard_normal((batch, channels, 14, 14)).astype(np.float32)
        grad, right = expected(x, weight, random, spacing)
        results = []
        for threads in (1, 3):
            rushlight.set_num_threads(threads)
            try:
                results.append(compute(x, weight, grad, spacing, x.shape))
            finally:
                rushlight.set_num_threads(before)
        for one, other, true in zip(*results, right, strict=True):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_allclose(one, true, rtol=1e-4, atol=1e-5 * np.abs(true).max())
    assert len(convolution_calls._programs) == 3


@pytest.mark.skipif(not can_guard, reason="forbidden pages are made in Linux's way")
@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_beyond_the_arrays_is_touched(monkeypatch, at_end):
    """In a child process: it would be the end of it."""
    monkeypatch.setattr(convolution_calls, "PATIENCE", 0)
    random = np.random.default_rng(0)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for size, outputs, kernel, *around in SHAPES:
                spacing = Spacing(*around)
                weight = random.standard_normal((outputs, size[1] // spacing.groups, *kernel)).astype(np.float32)
                count = spacing.places(size[2:], kernel)
                arrays = [np.zeros(size, np.float32), weight, np.zeros((size[0], outputs, *count), np.float32)]
                x, weight, grad, *results = [guarded(array, at_end) for array in (*arrays, *arrays[::-1])]
                for kind, images, factor, result in (
                    ("forward", x, weight, results[0]), ("transposed", grad, weight, results[2]),
                    ("weight", x, grad, results[1]),
                ):  # fmt: skip
                    convolution_calls.compute(kind, images, factor, result, kernel, spacing)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(("channels", "outputs", "groups", "side"), [(6, 12, 6, 20), (6, 30, 2, 9), (4, 3, 1, 17)])
def test_second_derivatives(monkeypatch, channels, outputs, groups, side):
    monkeypatch.setattr(convolution_calls, "PATIENCE", 0)
    monkeypatch.setattr(convolution_calls, "_programs", {})
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(s) for s in ((2, channels, side, side), (outputs, channels // groups, 3, 3))]
    vectors = [random.standard_normal(array.shape) for array in arrays]
    found = []
    for library in (rushlight, torch):
        x, weight = (library.from_numpy(array).requires_grad_() for array in arrays)
        out = library.nn.functional.conv2d(x, weight, stride=2, padding=1, groups=groups)
        grads = library.autograd.grad(out.tanh().sum(), (x, weight), create_graph=True)
        directions = [library.from_numpy(vector) for vector in vectors]
        found.append(library.autograd.grad(grads, (x, weight), directions))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-10, atol=1e-10)
    assert len(convolution_calls._programs) == 3


def test_when_it_is_compiled(monkeypatch):
    for name in ("_programs", "_calls"):
        monkeypatch.setattr(convolution_calls, name, {})
    spacing, weight = Spacing((1,), (0,), (1,)), np.ones((2, 1, 3), np.float32)

    def is_computed(length):
        x, out = np.ones((1, 1, length), np.float32), np.empty((1, 2, length - 2), np.float32)
        return convolution_calls.compute("forward", x, weight, out, (3,), spacing)

    assert [is_computed(100_000) for _ in range(3)] == [False, True, True]
    assert [is_computed(10) for _ in range(22)] == [False] * 20 + [True] * 2


def test_noncontiguous_operands_and_what_is_left_to_numpy(monkeypatch):
    monkeypatch.setattr(convolution_calls, "PATIENCE", 0)
    random = np.random.default_rng(0)
    x, weight = random.standard_normal((2, 9, 9, 4)).transpose(0, 3, 1, 2), random.standard_normal((3, 3, 4, 6)).T
    weight = weight.transpose(0, 1, 3, 2)
    grad, right = expected(x, weight, random, Spacing((1, 1), (1, 1), (1, 1)))
    found = compute(x, weight, grad, Spacing((1, 1), (1, 1), (1, 1)), x.shape)[0]
    np.testing.assert_allclose(found, right[0], rtol=1e-12, atol=1e-12)
    arrays = x, weight, grad
    far = Spacing((9, 9), (0, 0), (1, 1))
    assert not convolution_calls.compute(
        "transposed", np.ones((2, 3, 2, 2)), weight, np.ones((2, 4, 12, 12)), (3, 3), far
    )
    of_complex = [array.astype(complex) for array in arrays]
    assert not convolution_calls.compute("forward", *of_complex, (3, 3), Spacing((1, 1), (1, 1), (1, 1)))
