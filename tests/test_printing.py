"""How tensors print, against PyTorch's own text."""

import math

import ml_dtypes
import numpy as np
import pytest

import rushlight
from rushlight import nn, printing

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)

ARRAYS = {
    "0-dim": np.array(3.14159),
    "0-dim integer float": np.array(2.0),
    "0-dim int": np.array(-7),
    "0-dim bool": np.array(True),
    "0-dim nan": np.array(math.nan),
    "vector": np.array([1.0, -2.5, 3.25]),
    "integers as floats": np.array([1.0, 2.0, -30.0]),
    "integers as floats with inf": np.array([1.0, math.inf, -math.inf, math.nan]),
    "only inf": np.array([math.inf, math.nan]),
    "zeros": np.zeros((2, 3)),
    "negative zero": np.array([-0.0, 0.0]),
    "small": np.array([1e-5, 1.0]),
    "large": np.array([1e9, 1.0]),
    "wide range": np.array([0.001, 10.0]),
    "wide range of integers": np.array([1.0, 2000.0]),
    "scientific with inf": np.array([1e-10, math.inf, -1.0]),
    "huge": np.array([1e300, -1e-300]),
    "matrix": RANDOM.standard_normal((3, 4)),
    "rank 3": RANDOM.standard_normal((2, 3, 4)),
    "rank 4": RANDOM.standard_normal((2, 1, 2, 2)),
    "long": RANDOM.standard_normal(100),
    "long ints": np.arange(100) * 12345,
    "bools": RANDOM.random((2, 9)) > 0.5,
    "uint8": np.arange(5, dtype=np.uint8),
    "int32": np.array([[-1, 100], [3, 4]], dtype=np.int32),
    "float16": np.array([0.1, 65504.0], dtype=np.float16),
    "float32": np.array([0.1, 1 / 3], dtype=np.float32),
    "complex64": np.array([1 + 2j, -0.5 - 1j], dtype=np.complex64),
    "complex128": np.array([[1e-7 + 2j, math.inf - 1j]]),
    "0-dim complex": np.array(1 - 2j),
    "empty": np.zeros(0),
    "empty float32": np.zeros(0, np.float32),
    "empty with shape": np.zeros((2, 0, 3)),
    "empty ints": np.zeros((0,), np.int64),
    "summarised vector": np.arange(1001.0),
    "summarised matrix": RANDOM.standard_normal((40, 50)),
    "summarised tall": RANDOM.standard_normal((1000, 2)),
    "summarised rank 3": RANDOM.standard_normal((3, 20, 20)).astype(np.float32),
    "summarised with large values inside": np.pad(np.full((90, 90), 1e10), 5, constant_values=0.5),
}


def both(array):
    return rushlight.from_numpy(array), torch.from_numpy(array)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_values(array):
    ours, theirs = both(array)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": 2}, {"precision": 8, "linewidth": 40}, {"threshold": 5}, {"edgeitems": 1, "threshold": 2},
        {"edgeitems": 0, "threshold": 2}, {"sci_mode": True}, {"sci_mode": False}, {"profile": "short"},
        {"profile": "full"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("name", ["vector", "integers as floats", "small", "matrix", "rank 3", "long", "complex64"])
def test_options(name, options):
    ours, theirs = both(ARRAYS[name])
    with printing.printoptions(**options), torch._tensor_str.printoptions(**options):
        assert repr(ours) == repr(theirs)
    assert repr(ours) == repr(theirs)


def test_random_arrays():
    for seed in range(200):
        random = np.random.default_rng(seed)
        shape = tuple(random.integers(1, 5, random.integers(0, 4)))
        array = np.asarray(random.standard_normal(shape) * 10.0 ** random.integers(-6, 7, shape))
        if seed % 3 == 0:
            array = np.asarray(np.round(array))
        if seed % 2:
            array = np.asarray(array.astype(np.float32))
        ours, theirs = both(array)
        assert repr(ours) == repr(theirs)


def test_bfloat16():
    values = [0.1, 3.0, -2.5]
    theirs = torch.tensor(values, dtype=torch.bfloat16)
    assert repr(rushlight.from_numpy(np.array(values, ml_dtypes.bfloat16))) == repr(theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_meta(dtype):
    ours = rushlight.zeros(2, 3, dtype=getattr(rushlight, dtype), device="meta")
    theirs = torch.zeros(2, 3, dtype=getattr(torch, dtype), device="meta")
    assert repr(ours) == repr(theirs)


def test_history():
    def texts(t):
        x = t.ones(3, requires_grad=True)
        long = t.ones(2, 12, dtype=t.float64, requires_grad=True)
        return [repr(y) for y in (x, x * 2, x.detach(), x.exp(), long, long * 0.5, (x * 2).sum())]

    assert texts(rushlight) == texts(torch)


def test_default_dtype():
    def texts(t):
        before = t.get_default_dtype()
        t.set_default_dtype(t.float64)
        try:
            return [repr(t.ones(2)), repr(t.ones(2, dtype=t.float32)), repr(t.ones(2, dtype=t.complex64))]
        finally:
            t.set_default_dtype(before)

    assert texts(rushlight) == texts(torch)


def test_parameter():
    ours = nn.Parameter(rushlight.ones(2))
    assert repr(ours) == repr(torch.nn.Parameter(torch.ones(2)))
