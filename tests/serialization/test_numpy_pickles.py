"""NumPy arrays in `.pt` files: both ways with PyTorch, and nothing but arrays of numbers and texts."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import rushlight

ARRAYS = [
    np.arange(6.0).reshape(2, 3), np.arange(6).reshape(2, 3).T, np.arange(8)[::2], np.array(3.5), np.zeros((0, 3)), np.array([True, False]),
    np.array([1 + 2j], np.complex64), np.arange(4, dtype=np.uint16), np.array(["ab", "c"]), np.array([b"xy", b"z"]),
]  # fmt: skip


def written(save: Any, value: Any) -> io.BytesIO:
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return file


def same(got: Any, expected: np.ndarray) -> None:
    assert type(got) is np.ndarray
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{list(a.shape)}")
def test_both_ways(array: np.ndarray) -> None:
    same(rushlight.load(written(rushlight.save, array)), array)
    same(rushlight.load(written(torch.save, array)), array)
    same(torch.load(written(rushlight.save, array), weights_only=False), array)


def test_an_array_that_occurs_twice_is_one_array() -> None:
    array = np.arange(3)
    for save in (rushlight.save, torch.save):
        first, second = rushlight.load(written(save, [array, array]))
        assert first is second
        first[0] = 7  # it has memory of its own


def test_dtypes_and_scalars() -> None:
    assert rushlight.load(written(rushlight.save, np.dtype("f4"))) == np.float32
    assert rushlight.load(written(rushlight.save, np.dtype(">i8"))) == np.dtype(">i8")
    value = rushlight.load(written(torch.save, np.float32(1.5)))
    assert (type(value), value) == (np.float32, 1.5)


@pytest.mark.parametrize(
    "value",
    [np.array([{}], object), np.array(["2020"], "M8[D]"), np.zeros(2, [("a", "f4")])],
    ids=["objects", "dates", "records"],
)
def test_other_arrays_are_refused(value: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"cannot save numpy\.ndarray"):
        rushlight.save(value, io.BytesIO())
    with pytest.raises(pickle.UnpicklingError, match="a NumPy dtype that files of tensors do not have"):
        rushlight.load(written(torch.save, value))


class Forged:
    """Pickles as what a file is made to say."""

    def __init__(self, *reduced: Any):
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


RECONSTRUCT = np.zeros(0).__reduce__()[0]
F8 = np.dtype("f8")


@pytest.mark.parametrize(
    "forged",
    [
        Forged(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (10**12,), F8, False, b"")),
        Forged(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (-1,), F8, False, b"")),
        Forged(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (1,), "f8", False, bytes(8))),
        Forged(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (1,), F8, False, [1.0])),
        Forged(RECONSTRUCT, (np.ndarray, (0,), b"b"), "state"),
        Forged(RECONSTRUCT, (set, (0,), b"b"), None),
        Forged(np.float64(0).__reduce__()[0], (F8, b"1234")),
        Forged(np.dtype, ("f8", False, True), (3, "sideways")),
        Forged(bytes, (10**12,)),
    ],
    ids=[
        "huge",
        "negative",
        "no dtype",
        "no bytes",
        "no state",
        "another class",
        "scalar",
        "byte order",
        "bytes of a length",
    ],
)
def test_forged_files(forged: Forged) -> None:
    with pytest.raises((pickle.UnpicklingError, RuntimeError, TypeError)) as caught:
        rushlight.load(written(torch.save, forged))
    assert not isinstance(caught.value, MemoryError)
