"""The random stream against PyTorch's: the same seed gives the same bits.

Every test draws from both after the same seed, and compares the state afterwards too, so that a
number too many or too few shows. `test_sampling.py` has the functions on tensors.
"""

import math
import platform
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

import rushlight
from rushlight import random

SEEDS = [0, 42, 2**40 + 7]
DTYPES = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.float16: np.float16,
    torch.bfloat16: ml_dtypes.bfloat16,
}
FLOATS = list(DTYPES)
CACHED_NORMAL = 5024  # where in the state of a generator: bytes
SIZES = [0, 1, 2, 3, 7, 8, 15, 16, 17, 20, 31, 32, 33, 100, 623, 624, 625, 1000, 4097]


def is_intel():
    """There PyTorch's bernoulli_(p) and exponential_ come from MKL's own generator."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "GenuineIntel" in text or (not text and "Intel" in platform.processor())


not_with_mkl = pytest.mark.skipif(is_intel(), reason="PyTorch draws this from MKL on Intel's CPUs")
needs_avx2 = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX2", reason="PyTorch's bits are another kernel's"
)


def numpy_has_libm():
    """Whether NumPy's float64 functions are the C library's, PyTorch's too; with AVX-512 they are its own, a last bit off."""
    x = np.linspace(0.001, 0.999, 997)
    return all(np.array_equal(f(x), [g(v) for v in x]) for f, g in ((np.log, math.log), (np.cos, math.cos)))


# Recipes are exact; what remains is that last bit of log and cos, which tan near its poles (Cauchy) makes a few more.
FLOAT64 = 0.0 if numpy_has_libm() else 4e-15


def pair(seed):
    """Both generators, at the same seed."""
    return random.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)


def to_numpy(tensor):
    """A torch tensor as an array; bfloat16 as ml_dtypes' own."""
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def check_state(ours, theirs):
    actual, expected = ours.get_state().numpy(), theirs.get_state().numpy()
    cached = slice(CACHED_NORMAL, CACHED_NORMAL + 8)
    check(actual[cached].view(np.float64), torch.from_numpy(expected[cached].view(np.float64)))
    np.testing.assert_array_equal(np.delete(actual, cached), np.delete(expected, cached))


def check(actual, expected, tolerance=0.0):
    expected = to_numpy(expected)
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    if actual.dtype == np.float64:
        np.testing.assert_allclose(actual, expected, rtol=FLOAT64, atol=0)
    elif tolerance and actual.dtype == np.float32:
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(actual, expected)


# ---- seeds and state


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**63, 2**64 - 1, -1, -5, -(2**63)])
def test_seed(seed):
    ours, theirs = pair(seed)
    assert ours.initial_seed() == theirs.initial_seed()
    check(ours.uniform((5,)), torch.rand(5, generator=theirs))


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, 1.5, "a", None, True])
def test_bad_seed(seed):
    with pytest.raises((RuntimeError, ValueError)) as expected:
        torch.Generator().manual_seed(seed)
    with pytest.raises(expected.type) as actual:
        random.Generator().manual_seed(seed)
    assert str(actual.value) == str(expected.value)


def test_default_seed_and_fresh_seeds():
    assert random.Generator().initial_seed() == torch.Generator().initial_seed()
    generator = random.Generator()
    assert generator.seed() == generator.initial_seed() != generator.seed()
    assert generator.manual_seed(3) is generator


@pytest.mark.parametrize("num_normals", [0, 3])
@pytest.mark.parametrize("num_words", [0, 1, 5, 623, 624, 625, 1248, 2000])
def test_state_goes_both_ways(num_words, num_normals):
    ours, theirs = pair(9)
    ours.uniform((num_words,))
    torch.rand(num_words, generator=theirs)
    ours.normal((num_normals,))
    torch.randn(num_normals, generator=theirs)
    check_state(ours, theirs)

    resumed = random.Generator().set_state(rushlight.from_numpy(theirs.get_state().numpy()))
    handed_over = torch.Generator()
    handed_over.set_state(torch.from_numpy(ours.get_state().numpy()))
    for _ in range(2):
        check(resumed.normal((3,)), torch.randn(3, generator=handed_over))
        check(resumed.uniform((700,)), torch.rand(700, generator=handed_over))
    assert resumed.initial_seed() == 9
    check_state(resumed, handed_over)


@pytest.mark.parametrize("dtype, size", [(torch.uint8, 10), (torch.float32, 5056), (None, 5056)])
def test_bad_state(dtype, size):
    state = [1] * size if dtype is None else torch.zeros(size, dtype=dtype)
    with pytest.raises((RuntimeError, TypeError)) as expected:
        torch.Generator().set_state(state)
    with pytest.raises(expected.type) as actual:
        random.Generator().set_state(state if dtype is None else state.numpy())
    assert str(actual.value) == str(expected.value)


def test_invalid_state():
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        random.Generator().set_state(np.zeros(5056, np.uint8))


def test_default_generator():
    assert random.manual_seed(11.0) is random.default_generator
    torch.manual_seed(11)
    assert random.initial_seed() == 11
    np.testing.assert_array_equal(random.get_rng_state().numpy(), torch.get_rng_state().numpy())
    with random.fork_rng():
        first = random.default_generator.uniform((4,))
    state = random.get_rng_state()
    np.testing.assert_array_equal(random.default_generator.uniform((4,)), first)
    random.set_rng_state(state)
    check(random.default_generator.uniform((4,)), torch.rand(4))


def test_words_are_those_of_the_reference_code():
    words = random.Generator().manual_seed(5489).random32(3)
    assert words.tolist() == [3499211612, 581869302, 3890346734]
    high, low = (int(word) for word in words[:2])
    assert random.Generator().manual_seed(5489).random64(1).tolist() == [high << 32 | low]


# ---- uniform and normal


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("bounds", [(0, 1), (-1 / 3, 1 / 3), (2.0, 7.7), (-0.036, 0.25), (1, 1)])
def test_uniform(dtype, bounds):
    for seed in SEEDS:
        ours, theirs = pair(seed)
        for size in (0, 1, 5, 16, 1000, 20000):
            expected = torch.empty(size, dtype=dtype).uniform_(*bounds, generator=theirs)
            check(ours.uniform((size,), *bounds, dtype=DTYPES[dtype]), expected)
        check_state(ours, theirs)


def test_shapes():
    ours, theirs = pair(1)
    check(ours.uniform(()), torch.rand((), generator=theirs))
    check(ours.uniform((2, 0, 3)), torch.rand((2, 0, 3), generator=theirs))
    check(ours.uniform((2, 3, 4)), torch.rand((2, 3, 4), generator=theirs))
    check(ours.normal(()), torch.randn((), generator=theirs))
    check(ours.normal((3, 7)), torch.randn((3, 7), generator=theirs), 3e-6)


def normal_pair(seed, size, dtype, mean, std, is_exact=False):
    ours, theirs = pair(seed)
    ours.exact_normals = is_exact
    actual = [ours.normal((size,), mean, std, DTYPES[dtype]) for _ in range(2)]
    expected = [torch.empty(size, dtype=dtype).normal_(mean, std, generator=theirs) for _ in "ab"]
    check_state(ours, theirs)
    return np.concatenate(actual), torch.cat(expected)


@pytest.mark.parametrize("mean, std", [(0.0, 1.0), (0.3, 1.7)])
@pytest.mark.parametrize("size", SIZES)
def test_normal(size, mean, std):
    for seed in SEEDS:
        check(*normal_pair(seed, size, torch.float32, mean, std), 3e-6)
        check(*normal_pair(seed, size, torch.float64, mean, std))


@needs_avx2
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("mean, std", [(0.0, 1.0), (0.3, 1.7)])
@pytest.mark.parametrize("size", [*SIZES, 50000])
def test_exact_normal(size, mean, std, dtype):
    for seed in SEEDS:
        check(*normal_pair(seed, size, dtype, mean, std, is_exact=True))


@needs_avx2
def test_fast_normals_are_near_the_exact_ones():
    actual, expected = normal_pair(3, 200000, torch.float32, 0.0, 1.0)
    assert np.abs(actual - expected.numpy()).max() < 5e-7
    assert np.mean(actual == expected.numpy()) > 0.8


def test_normal_into_a_strided_view():
    ours, theirs = pair(2)
    view = torch.empty(101)[::2].normal_(generator=theirs)
    check(ours.normal_in_pairs((51,)), view)
    check_state(ours, theirs)


def test_mixed_draws_keep_the_cached_normal():
    ours, theirs = pair(8)
    for dtype, size in [(torch.float32, 1), (torch.float64, 16), (torch.float32, 17),
                        (torch.float64, 2), (torch.bfloat16, 3), (torch.float16, 5),
                        (torch.float32, 0), (torch.float32, 1), (torch.float64, 15)]:  # fmt: skip
        expected = torch.randn(size, dtype=dtype, generator=theirs)
        check(ours.normal((size,), dtype=DTYPES[dtype]), expected, 3e-6)
        check(ours.uniform((3,)), torch.rand(3, generator=theirs))
        check_state(ours, theirs)


# ---- integers


RANGES = [(0, 1), (0, 10), (-5, 1000), (0, 2**28 - 1), (0, 2**28), (7, 2**32), (3, 2**40),
          (-(2**63), 2**63 - 1), (-(2**62), 2**62 + 5)]  # fmt: skip


@pytest.mark.parametrize("low, high", RANGES)
def test_randint(low, high):
    for seed in SEEDS:
        ours, theirs = pair(seed)
        check(ours.randint((999,), low, high), torch.randint(low, high, (999,), generator=theirs))
        check_state(ours, theirs)


@pytest.mark.parametrize("name", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16",
                                  "float32", "float64"])  # fmt: skip
def test_integers_by_dtype(name):
    ours, theirs = pair(6)
    tensor = torch.empty(500, dtype=getattr(torch, name))
    check(ours.random_full((500,), name), tensor.random_(generator=theirs))
    high = 2 if name == "bool" else 100
    check(ours.randint((500,), 0, high, name), tensor.random_(0, high, generator=theirs))
    check_state(ours, theirs)


def test_all_of_int64():
    ours, theirs = pair(6)
    expected = torch.empty(500, dtype=torch.int64).random_(-(2**63), None, generator=theirs)
    check(ours.randint((500,), -(2**63), None), expected)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 10, 100, 1000, 30000, 100000])
def test_permutation(count):
    for seed in SEEDS:
        ours, theirs = pair(seed)
        check(ours.permutation((count,)), torch.randperm(count, generator=theirs))
        check_state(ours, theirs)


def test_many_small_permutations():
    ours, theirs = pair(4)
    for count in range(60):
        expected = torch.randperm(count, dtype=torch.int32, generator=theirs)
        check(ours.permutation((count,), np.int32), expected)


# ---- the other distributions


@not_with_mkl
@pytest.mark.parametrize("probability", [0.0, 0.3, 1 / 3, 0.5, 0.9, 1.0])
def test_bernoulli_of_a_number(probability):
    ours, theirs = pair(5)
    for size in (*range(1, 41), 1000, 100000):
        expected = torch.empty(size).bernoulli_(probability, generator=theirs)
        check(ours.bernoulli((size,), probability), expected)
    check_state(ours, theirs)


@not_with_mkl
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.75])
def test_dropout(probability):
    for seed in SEEDS:
        random.manual_seed(seed)
        torch.manual_seed(seed)
        for size in (*range(1, 41), 1000, 100000):
            expected = torch.nn.functional.dropout(torch.ones(size), probability)
            mask = random.default_generator.bernoulli((size,), 1 - probability)
            np.testing.assert_array_equal(mask, (expected != 0).numpy())


@not_with_mkl
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_exponential(dtype):
    ours, theirs = pair(5)
    for rate in (1.0, 0.3, 2.5):
        expected = torch.empty(3000, dtype=dtype).exponential_(rate, generator=theirs)
        check(ours.exponential((3000,), rate, DTYPES[dtype]), expected)
    check_state(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_geometric_cauchy_log_normal(dtype):
    ours, theirs = pair(5)
    tensor = torch.empty(3001, dtype=dtype)
    shape, kind = (3001,), DTYPES[dtype]
    check(ours.geometric(shape, 0.3, kind), tensor.geometric_(0.3, generator=theirs))
    check(ours.cauchy(shape, 0.5, 2.0, kind), tensor.cauchy_(0.5, 2.0, generator=theirs))
    expected = tensor.log_normal_(0.2, 0.7, generator=theirs)
    check(ours.log_normal(shape, 0.2, 0.7, kind), expected)
    check_state(ours, theirs)


@pytest.mark.parametrize("method, values, call", [
    ("uniform_", (2, 1), lambda g: g.uniform((3,), 2, 1)),
    ("random_", (5, 3), lambda g: g.randint((3,), 5, 3)),
    ("bernoulli_", (1.5,), lambda g: g.bernoulli((3,), 1.5)),
    ("exponential_", (-1,), lambda g: g.exponential((3,), -1)),
    ("geometric_", (0,), lambda g: g.geometric((3,), 0)),
    ("cauchy_", (0, -1), lambda g: g.cauchy((3,), 0, -1)),
    ("log_normal_", (0, -1), lambda g: g.log_normal((3,), 0, -1)),
])  # fmt: skip
def test_bad_arguments(method, values, call):
    with pytest.raises(RuntimeError) as expected:
        getattr(torch.empty(3), method)(*values)
    with pytest.raises(RuntimeError) as actual:
        call(random.Generator())
    assert str(actual.value) == str(expected.value)


OUT_OF_BOUNDS = [("uint8", 0, 300), ("int8", -200, 3), ("int16", 0, 2**20), ("int32", 0, 2**40),
                 ("bool", 0, 3), ("float16", -70000, 3)]  # fmt: skip


@pytest.mark.parametrize("name, low, high", OUT_OF_BOUNDS)
def test_randint_out_of_bounds(name, low, high):
    with pytest.raises(RuntimeError) as expected:
        torch.empty(3, dtype=getattr(torch, name)).random_(low, high)
    with pytest.raises(RuntimeError) as actual:
        random.Generator().randint((3,), low, high, name)
    assert str(actual.value) == str(expected.value)


# ---- recipes of the layers above


def test_weights_of_a_linear_layer():
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(0)
        random.manual_seed(0)
        layer = torch.nn.Linear(30, 20, dtype=dtype)
        bound = 1 / 30**0.5
        for param in (layer.weight, layer.bias):
            values = random.default_generator.uniform(param.shape, -bound, bound, DTYPES[dtype])
            check(values, param.detach())


def test_shuffle_of_a_data_loader():
    """Two int64 of the default stream: the base seed of the workers, then the sampler's seed."""
    loader = torch.utils.data.DataLoader(range(100), batch_size=None, shuffle=True)
    for seed in SEEDS:
        torch.manual_seed(seed)
        random.manual_seed(seed)
        for _ in range(2):
            expected = [int(item) for item in loader]
            random.default_generator.random_full(())  # the base seed of the workers
            sampler_seed = int(random.default_generator.random_full(()))
            assert random.Generator().manual_seed(sampler_seed).permutation((100,)).tolist() == expected
        check_state(random.default_generator, torch.default_generator)
