"""Programs as builtin functions: arguments checked, results made, and elementwise programs of any length."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest

import rushlight
from rushlight.arrays import numpy as numpy_arrays
from rushlight.compiler import calls
from rushlight.compiler.flat import BLOCK
from rushlight.ops.fused import PATIENCE, Fused
from rushlight.ops.large import LARGE, Large

RNG = np.random.default_rng(5)
pytestmark = pytest.mark.skipif(not calls.layout_holds(), reason="ndarray objects have another layout here")


def softmax(xp, x, *, axis):
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


def two_results(xp, x, y):
    return x + y, xp.sum(x)


def compiled(function, *arrays, **attrs):
    fused = Fused(function)
    for _ in range(PATIENCE + 2):
        fused(numpy_arrays, *arrays, **attrs)
    assert fused.last is not None
    assert fused.last.call is not None
    return fused


def test_a_call_gives_a_new_array_each_time() -> None:
    x = RNG.random((3, 4), np.float32)
    fused = compiled(softmax, x, axis=1)
    first, second = (fused.last.call(x) for _ in range(2))
    assert first is not second
    assert sys.getrefcount(first) == 2
    np.testing.assert_allclose(first, softmax(numpy_arrays, x, axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((4, 3), np.float32), np.zeros((3, 4)), np.zeros((3, 5), np.float32), np.zeros((3, 8), np.float32)[:, ::2],
        np.zeros((3, 4), np.float32).T, np.zeros(12, np.float32), np.zeros((3, 4), ">f4"), [[1.0] * 4] * 3, None, 3.0,
        np.frombuffer(b"\0" * 49, np.uint8)[1:].view(np.float32).reshape(3, 4),
    ],
)  # fmt: skip
def test_other_arguments_are_refused(other) -> None:
    x = RNG.random((3, 4), np.float32)
    call = compiled(softmax, x, axis=1).last.call
    assert call(other) is False
    assert call() is False
    assert call(x, x) is False


def test_other_arguments_fall_back_to_numpy() -> None:
    x = RNG.random((3, 4), np.float32)
    fused = compiled(softmax, x, axis=1)
    for y in (RNG.random((5, 4), np.float32), x.T.copy().T, RNG.random((3, 4))):
        np.testing.assert_allclose(fused(numpy_arrays, y, axis=1), softmax(numpy_arrays, y, axis=1), rtol=1e-6)
    np.testing.assert_allclose(fused(numpy_arrays, x, axis=0), softmax(numpy_arrays, x, axis=0), rtol=1e-6)


def test_several_results_come_as_a_tuple() -> None:
    x, y = RNG.random((2, 3, 4), np.float32)
    fused = compiled(two_results, x, y)
    total, sums = fused(numpy_arrays, x, y)
    np.testing.assert_allclose(total, x + y)
    np.testing.assert_allclose(sums, x.sum(), rtol=1e-6)


def test_what_is_no_array_has_to_be_equal() -> None:
    x = RNG.random((3, 4), np.float32)
    fused = compiled(lambda xp, a, axis: xp.sum(a, axis=axis), x, (1,))
    assert fused.last.call(x, (1,)) is not False
    assert fused.last.call(x, (0,)) is False
    assert fused.last.call(x, 1) is False
    np.testing.assert_allclose(fused(numpy_arrays, x, (0,)), x.sum(0), rtol=1e-6)


def test_memory_is_given_back() -> None:
    x = RNG.random((256, 256), np.float32)
    fused = compiled(softmax, x, axis=1)
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1000):
        fused(numpy_arrays, x, axis=1)
        fused.last.call(None)
    assert sys.getallocatedblocks() - before < 50


# ---------------------------------------------------------------- any length


def _large(function, *operands, numbers=False):
    large = Large(function, numbers)
    large(operands)
    assert large(operands) is not None
    return large


LENGTHS = [BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 7 * BLOCK + 13, 40 * BLOCK + 4095, 300_001]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_one_program_serves_every_length(length: int, offset: int) -> None:
    x, y = (RNG.random(LARGE + 5, np.float32) for _ in range(2))
    large = _large(lambda xp, a, b: xp.multiply(a, b) + a, x, y)
    x, y = (RNG.random(length + offset, np.float32)[offset:] for _ in range(2))
    got = large((x, y))
    assert len(large.programs) == 1
    np.testing.assert_allclose(got, x * y + x, rtol=1e-6)


def test_shapes_are_kept_and_have_to_agree() -> None:
    x = RNG.random((40, 50, 60))
    large = _large(lambda xp, a, b: xp.add(a, b), x, x)
    assert large((x, x)).shape == x.shape
    assert large((x, x.reshape(-1))) is None
    assert large((x, x[:1])) is None
    assert large((x[:, ::2], x[:, ::2])) is None
    assert large((x.T, x.T)) is None
    assert large((x[:0], x[:0])) is None


def test_numbers_are_inputs() -> None:
    x = RNG.random(LARGE, np.float32)
    large = _large(lambda xp, a, b: xp.multiply(a, b), x, 2.0, numbers=True)
    for number in (0.1, 3.0, float("inf")):
        np.testing.assert_array_equal(large((x, number)), x * np.float32(number))
    assert len(large.programs) == 1


@pytest.mark.parametrize("length", LENGTHS)
def test_in_place(length: int) -> None:
    x, y = rushlight.rand(length), rushlight.rand(length)
    expected = x.numpy().copy()
    for _ in range(4):
        x.add_(y)
        expected += y.numpy()
    np.testing.assert_array_equal(x.numpy(), expected)
    x.mul_(0.5)
    x.sub_(x)
    assert not x.any()


def test_in_place_on_memory_that_overlaps() -> None:
    base = rushlight.arange(100_001.0)
    expected = base.numpy().copy()
    for _ in range(3):
        base[1:].add_(base[:-1])
        expected[1:] += expected[:-1].copy()
    np.testing.assert_array_equal(base.numpy(), expected)


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "sqrt", "neg", "erf", "relu", "sin", "log1p"])
def test_large_operations_and_their_derivatives(name: str) -> None:
    x = rushlight.rand(3, 20_011, dtype=rushlight.float64).requires_grad_()
    for _ in range(3):
        out = getattr(x, name)()
        (grad,) = rushlight.autograd.grad(out, x, rushlight.ones_like(out))
    small = x.detach()[:, :7].clone().requires_grad_()
    few = getattr(small, name)()
    (expected,) = rushlight.autograd.grad(few, small, rushlight.ones_like(few))
    np.testing.assert_allclose(out.detach().numpy()[:, :7], few.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(grad.numpy()[:, :7], expected.numpy(), rtol=1e-12)


def test_threads_share_a_program() -> None:
    x, y = rushlight.rand(200_000), rushlight.rand(200_000)
    expected = (x * y).numpy()
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            if not np.array_equal((x * y).numpy(), expected):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("other", [0.5, 2, -1.5])
def test_numbers_have_the_dtype_of_what_they_are_chosen_with(other):
    """`where`'s first array is its condition: a number in that one's dtype would be True."""
    x = rushlight.linspace(-1, 1, LARGE + 3, dtype=rushlight.float64)
    for _ in range(3):
        for chosen, expected in (
            (rushlight.where(x < 0, other, x), np.where(x.numpy() < 0, other, x.numpy())),
            (rushlight.where(x < 0, x, other), np.where(x.numpy() < 0, x.numpy(), other)),
        ):
            np.testing.assert_array_equal(chosen.numpy(), expected)
