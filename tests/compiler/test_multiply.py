"""Products of large matrices and of batches: against NumPy in double precision, whatever the sizes and the order in memory."""

import threading
from itertools import pairwise

import numpy as np
import pytest

from rushlight.compiler import schedule
from rushlight.compiler.multiply import multiply


def numbers(*shape: int, dtype: str = "f") -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def check(a: np.ndarray, b: np.ndarray) -> None:
    found = multiply(a, b)
    assert found is not None
    assert found.dtype == a.dtype and found.flags.c_contiguous
    expected = np.matmul(a.astype("d"), b.astype("d"))
    assert found.shape == expected.shape
    tolerance = 2e-5 if a.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.sqrt(a.shape[-1]))


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 1, 1), (3, 5, 7), (300, 64, 20), (20, 64, 300), (1031, 77, 517), (512, 1, 512)]
)
@pytest.mark.parametrize("order", ["NN", "TN", "NT", "TT"])
def test_matrices(dtype: str, m: int, k: int, n: int, order: str) -> None:
    a = numbers(m, k, dtype=dtype) if order[0] == "N" else numbers(k, m, dtype=dtype).T
    b = numbers(k, n, dtype=dtype) if order[1] == "N" else numbers(n, k, dtype=dtype).T
    check(a, b)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((6, 4, 5), (6, 5, 3)),
        ((2, 3, 4, 5), (3, 5, 6)),
        ((2, 1, 4, 5), (1, 3, 5, 6)),
        ((4, 5), (7, 5, 6)),
        ((1, 4, 5), (500, 5, 2)),
    ],
)
def test_batches(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    check(numbers(*left), numbers(*right))
    check(
        numbers(*left[:-2], left[-1], left[-2]).swapaxes(-1, -2),
        numbers(*right[:-2], right[-1], right[-2]).swapaxes(-1, -2),
    )


def test_heads_of_attention_are_read_where_they_lie() -> None:
    q, k, v = (part.reshape(3, 16, 4, 8).transpose(0, 2, 1, 3) for part in np.split(numbers(3, 16, 96), 3, axis=2))
    check(q, k.swapaxes(-1, -2))
    check(numbers(3, 4, 16, 16).swapaxes(-1, -2), v)
    check(numbers(1, 1, 16, 16), np.broadcast_to(v[:1], v.shape))


def test_what_blas_cannot_read_is_left_to_numpy() -> None:
    whole = numbers(8, 8)
    assert multiply(whole[:, ::2], whole[::2]) is None
    assert multiply(whole[::-1], whole) is None
    assert multiply(whole, whole.astype("d")) is None
    assert multiply(whole.astype("i"), whole.astype("i")) is None
    assert multiply(numbers(0, 8), whole) is None
    assert multiply(whole, numbers(7, 8)) is None


def test_from_several_threads() -> None:
    a, b = numbers(256, 256), numbers(256, 256)
    expected, wrong = a @ b, []

    def work() -> None:
        for _ in range(30):
            found = multiply(a, b)
            if found is not None and not np.allclose(found, expected, atol=1e-3):
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("extent", [1, 127, 128, 300, 1000, 5000])
@pytest.mark.parametrize("flops", [10**6, 10**8, 10**10])
def test_pieces_are_the_whole(extent: int, flops: int) -> None:
    edges = schedule.product_edges(extent, flops)
    assert edges[0][0] == 0 and edges[-1][1] == extent
    assert all(low < high for low, high in edges) and all(a[1] == b[0] for a, b in pairwise(edges))
    assert len(edges) == 1 or len(edges) % 2 == 0
