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


# ---------------------------------------------------------------- random tensors under random options

FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = (
    *FLOATS,
    "complex64",
    "complex128",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)


def random_reals(random, shape):
    """Numbers of one size or of very different ones, whole or not, with infinities, nans and negative zeros among them."""
    x = random.standard_normal(shape)
    kinds = (
        lambda: x, lambda: np.round(x * 10), lambda: x * 10.0 ** random.integers(-6, 9, shape),
        lambda: x * 10.0 ** random.integers(-9, 9), lambda: np.round(x) * 10.0 ** random.integers(0, 9),
        lambda: np.full(shape, -0.0), lambda: np.full(shape, np.nan),
    )  # fmt: skip
    x = kinds[random.integers(len(kinds))]()
    if random.random() < 0.3:
        chance = random.random(shape)
        for limit, value in ((0.5, -0.0), (0.4, -np.inf), (0.3, np.inf), (0.15, np.nan)):
            x = np.where(chance < limit, value, x)
    return np.asarray(x).reshape(shape)


def random_array(random, dtype, shape):
    with np.errstate(all="ignore"):
        if dtype == "bool":
            return np.asarray(random.random(shape) > 0.5).reshape(shape)
        if "int" in dtype:
            limits = np.iinfo(dtype)
            low, high = (limits.min, limits.max) if random.random() < 0.4 else (max(limits.min, -20), 20)
            return np.asarray(random.integers(low, high, shape, dtype=dtype)).reshape(shape)
        if dtype.startswith("complex"):
            return np.asarray(random_reals(random, shape) + 1j * random_reals(random, shape)).astype(dtype)
        return random_reals(random, shape).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def to_torch(array):
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def random_shape(random):
    if random.random() < 0.05:
        return [(1200,), (3, 400), (30, 5, 9), (1001, 1), (2, 0, 700)][random.integers(5)]
    least, most = (0 if random.random() < 0.1 else 1), (14 if random.random() < 0.15 else 5)
    return tuple(random.integers(least, most, random.integers(0, 5)).tolist())


def random_options(random):
    every = {
        "precision": random.integers(0, 8), "linewidth": random.integers(10, 120), "threshold": random.integers(0, 30),
        "edgeitems": random.integers(1, 5), "sci_mode": bool(random.integers(2)),
        "profile": ["default", "short", "full"][random.integers(3)],
    }  # fmt: skip
    return {name: value for name, value in every.items() if random.random() < 0.15}


def with_history(tensor, which):
    """As it is, requiring gradients, or the result of an operation or of a view."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or which > 2:
        return tensor
    tensor.requires_grad_()
    return (tensor, tensor * 1, tensor.reshape(-1))[which]


@pytest.mark.parametrize("block", range(8))
def test_random_tensors(block):
    for seed in range(100 * block, 100 * block + 100):
        random = np.random.default_rng(seed)
        dtype, shape = DTYPES[random.integers(len(DTYPES))], random_shape(random)
        array, which = random_array(random, dtype, shape), random.integers(8)
        ours, theirs = rushlight.from_numpy(array.copy()), to_torch(array.copy())
        ours, theirs = with_history(ours, which), with_history(theirs, which)
        options = random_options(random)
        wide = random.random() < 0.1
        for t in (rushlight, torch):
            t.set_default_dtype(t.float64 if wide else t.float32)
        try:
            with printing.printoptions(**options), torch._tensor_str.printoptions(**options):
                assert repr(ours) == repr(theirs), f"seed {seed}: {dtype}{shape} {options}"
        finally:
            for t in (rushlight, torch):
                t.set_default_dtype(t.float32)


@pytest.mark.parametrize("dtype", [*FLOATS, "complex64", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 4)])
def test_meta_of_every_dtype(dtype, shape):
    ours, theirs = (repr(t.empty(shape, dtype=getattr(t, dtype), device="meta")) for t in (rushlight, torch))
    assert ours == theirs


def test_not_contiguous():
    array = RANDOM.standard_normal((40, 60))
    ours, theirs = both(array)
    assert repr(ours.T[::3, ::2]) == repr(theirs.T[::3, ::2])
    assert repr(ours[:3, 1]) == repr(theirs[:3, 1])


def test_format():
    def texts(t):
        x = t.tensor(2.5)
        return [
            f"{x:.2f}",
            f"{x}",
            f"{t.tensor(3)}",
            f"{t.tensor(3):>5}",
            f"{t.tensor([1.0])}",
            str(x),
            f"{t.tensor(True)}",
        ]

    assert texts(rushlight) == texts(torch)


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
