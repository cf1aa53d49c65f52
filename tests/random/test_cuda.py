"""The GPU's generator, on NumPy arrays: known answers, the distributions, what its state means."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from scipy import stats

import rushlight as torch
from rushlight import dtypes
from rushlight.arrays import numpy as xp
from rushlight.random import default
from rushlight.random.cuda import CudaGenerator
from rushlight.random.philox import philox, start, words

COUNT = 50_000


def seeded(seed: int = 0) -> CudaGenerator:
    generator = CudaGenerator("cuda:1")
    generator.manual_seed(seed)
    return generator


# The known answers of Random123, the authors' library: counter, key, words.
KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter: list[int], key: list[int], expected: list[int]) -> None:
    found = philox(tuple(np.full(3, part, np.uint64) for part in counter), (np.uint64(key[0]), np.uint64(key[1])))
    for word, value in zip(found, expected, strict=True):
        assert word.tolist() == [value] * 3


def test_words_are_numpys() -> None:
    """NumPy's Philox is the one of 64-bit words; that of 32 is checked against plain Python here, counter by counter."""

    def plain(counter: list[int], key: list[int]) -> list[int]:
        a, b, c, d = counter
        for i in range(10):
            k = [(part + i * step) & 0xFFFFFFFF for part, step in zip(key, (0x9E3779B9, 0xBB67AE85), strict=True)]
            high, low = divmod(0xD2511F53 * a, 2**32)
            other_high, other_low = divmod(0xCD9E8D57 * c, 2**32)
            a, b, c, d = other_high ^ b ^ k[0], other_low, high ^ d ^ k[1], low
        return [a, b, c, d]

    seed, offset = 2**63 + 12345678901, 2**34 + 8
    found = np.stack(words(xp, start(seed, offset), 5), -1)
    for place in range(5):
        counter = [offset // 4 % 2**32, offset // 4 >> 32, place, 0]
        assert found[place].tolist() == plain(counter, [seed % 2**32, seed >> 32])


def test_pytorchs_numbers() -> None:
    """What PyTorch prints on NVIDIA's GPUs for the seed 0: `rand` twice, and `randn`."""
    generator = seeded()
    first, second = generator.uniform(xp, (10,)), generator.uniform(xp, (4,))
    assert first.round(4).tolist() == pytest.approx(
        [0.3990, 0.5167, 0.0249, 0.9401, 0.9459, 0.7967, 0.4150, 0.8203, 0.2290, 0.9096], abs=1e-6
    )
    assert second.round(4).tolist() == pytest.approx([0.9722, 0.7910, 0.4690, 0.3300], abs=1e-6)
    normal = seeded().normal(xp, (2, 8)).round(4)
    assert normal.ravel().tolist() == pytest.approx(
        [-0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797, -0.6229, -0.3284,
         -1.0745, -0.3631, -1.6711, 2.2655, 0.3117, -0.1842, 1.2866, 1.1820], abs=1e-6,
    )  # fmt: skip


CONTINUOUS = {
    "uniform": ((), stats.uniform()),
    "uniform between bounds": ((-3.0, 5.0), stats.uniform(-3, 8)),
    "normal": ((1.5, 2.0), stats.norm(1.5, 2.0)),
    "log_normal": ((0.5, 0.25), stats.lognorm(0.25, scale=math.exp(0.5))),
    "exponential": ((3.0,), stats.expon(scale=1 / 3)),
    "cauchy": ((1.0, 2.0), stats.cauchy(1.0, 2.0)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_distributions(name: str, dtype: type) -> None:
    """Kolmogorov and Smirnov's distance, which such a sample exceeds once in 10,000 times; the seed is fixed."""
    args, expected = CONTINUOUS[name]
    numbers = getattr(seeded(7), name.split()[0])(xp, (COUNT // 10, 10), *args, dtype=dtype)
    assert numbers.shape == (COUNT // 10, 10)
    assert numbers.dtype == dtype
    assert stats.kstest(numbers.ravel().astype(np.float64), expected.cdf).pvalue > 1e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_of_normal_numbers(dtype: type) -> None:
    numbers = seeded(3).normal(xp, (4 * COUNT,), dtype=dtype).astype(np.float64)
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        deviation = math.sqrt(stats.norm.moment(2 * power) - moment**2)
        assert abs((numbers**power).mean() - moment) < 4 * deviation / math.sqrt(len(numbers))
    neighbours = np.corrcoef(numbers[:-1], numbers[1:])[0, 1]
    assert abs(neighbours) < 4 / math.sqrt(len(numbers))


def chi_square(counts: np.ndarray, chances: np.ndarray) -> float:
    return stats.chisquare(counts, counts.sum() * chances / chances.sum()).pvalue


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float32])
def test_integers(dtype: type) -> None:
    numbers = seeded(5).randint(xp, (COUNT,), 10, 27, np.dtype(dtype))
    assert numbers.dtype == dtype
    counts = np.bincount(numbers.astype(int) - 10, minlength=17)
    assert len(counts) == 17
    assert chi_square(counts, np.ones(17)) > 1e-4


@pytest.mark.parametrize("low, high", [(-(2**62), 2**62), (0, 2**40), (-(2**63), None), (-5, 2**28)])
def test_integers_of_two_words(low: int, high: int | None) -> None:
    numbers = seeded(5).randint(xp, (COUNT,), low, high)
    end = 2**63 if high is None else high
    assert numbers.min() >= low
    assert numbers.max() < end
    shares = (numbers.astype(np.float64) - low) / (float(end) - low)
    assert stats.kstest(shares, "uniform").pvalue > 1e-4


def test_whole_ranges() -> None:
    assert set(seeded().random_full(xp, (5000,), np.uint8).tolist()) == set(range(256))
    assert seeded().random_full(xp, (99,), np.int64).max() > 2**60
    assert seeded().random_full(xp, (COUNT,), np.float32).max() <= 2**24
    assert set(seeded().random_full(xp, (99,), np.bool_).tolist()) == {False, True}


def test_bernoulli_and_geometric() -> None:
    kept = seeded(2).bernoulli(xp, (COUNT,), 0.3)
    assert kept.dtype == np.float32
    assert chi_square(np.bincount(kept.astype(int)), np.array([0.7, 0.3])) > 1e-4
    assert seeded().bernoulli(xp, (COUNT,), 1.0).all()
    assert not seeded().bernoulli(xp, (COUNT,), 0.0).any()
    trials = seeded(2).geometric(xp, (COUNT,), 0.4)
    counts = np.bincount(np.minimum(trials, 12).astype(int))
    chances = np.array([0.4 * 0.6**k for k in range(11)] + [0.6**11])
    assert counts[0] == 0
    assert chi_square(counts[1:], chances) > 1e-4


def test_multinomial() -> None:
    weights = np.array([[1.0, 0.0, 3.0, 0.0], [0.0, 2.0, 2.0, 4.0]], np.float32)
    drawn = seeded(4).multinomial(xp, weights, COUNT)
    assert drawn.dtype == np.int64
    for row, chances in zip(drawn, weights, strict=True):
        counts = np.bincount(row, minlength=4)
        assert not counts[chances == 0].any()
        assert chi_square(counts[chances > 0], chances[chances > 0]) > 1e-4


def test_permutations() -> None:
    generator = seeded(6)
    places = np.array([generator.permutation(xp, (4,)) for _ in range(2400)])
    assert (np.sort(places, 1) == np.arange(4)).all()
    _, counts = np.unique(places, axis=0, return_counts=True)
    assert len(counts) == 24
    assert chi_square(counts, np.ones(24)) > 1e-4
    assert seeded().permutation(xp, (0,)).shape == (0,)


def test_rejection_by_a_stream_of_the_cpu() -> None:
    rate, generator = np.full(4000, 3.5), seeded(8)
    first, second = generator.poisson(rate), generator.poisson(rate)
    assert (first != second).any()
    assert generator.get_offset() == 8
    assert (seeded(8).poisson(rate) == first).all()
    assert abs(np.concatenate([first, second]).mean() - 3.5) < 4 * math.sqrt(3.5 / 8000)
    assert abs(generator.gamma(np.full(4000, 2.0)).mean() - 2.0) < 4 * math.sqrt(2.0 / 4000)
    assert abs(generator.binomial(np.full(4000, 9.0), np.full(4000, 0.5)).mean() - 4.5) < 4 * 1.5 / math.sqrt(4000)


def test_a_place_has_its_number_whatever_the_shape() -> None:
    """Shorter tensors are beginnings of longer ones, of any shape: nothing depends on how many threads a GPU has."""
    whole = seeded(1).normal(xp, (1000,))
    assert (seeded(1).normal(xp, (10, 37)).ravel() == whole[:370]).all()
    assert (seeded(1).normal(xp, (3,)) == whole[:3]).all()


def test_calls_differ_and_seeds_repeat() -> None:
    generator = seeded(9)
    first, second = generator.uniform(xp, (100,)), generator.uniform(xp, (100,))
    assert not set(first.tolist()) & set(second.tolist())
    assert generator.get_offset() == 8
    generator.set_offset(4)
    assert (generator.uniform(xp, (100,)) == second).all()
    generator.manual_seed(9)
    assert (generator.uniform(xp, (100,)) == first).all()
    assert not set(seeded(10).uniform(xp, (100,)).tolist()) & set(first.tolist())
    with pytest.raises(RuntimeError, match="offset must be a multiple of 4"):
        generator.set_offset(3)


def test_state_is_seed_and_offset() -> None:
    """16 bytes, little-endian, as PyTorch's; one of 8 has the offset 0."""
    generator = seeded(-1)
    generator.set_offset(12)
    state = generator.get_state()
    assert state.dtype is torch.uint8
    assert state.numpy().tobytes() == b"\xff" * 8 + b"\x0c" + b"\0" * 7
    other = seeded()
    assert other.set_state(state) is other
    assert (other.initial_seed(), other.get_offset()) == (2**64 - 1, 12)
    for twin in (other.clone_state(), pickle.loads(pickle.dumps(other)), copy.deepcopy(other)):
        assert twin.get_state().tolist() == state.tolist()
        assert str(twin.device) == "cuda:1"
    assert other.set_state(state[:8]).get_offset() == 0
    with pytest.raises(RuntimeError, match="RNG state is wrong size"):
        other.set_state(state[:4])
    with pytest.raises(TypeError, match=r"RNG state must be a torch\.ByteTensor"):
        other.set_state(state.float())
    assert other.seed() == other.initial_seed()


def test_half_precision_and_the_open_end() -> None:
    """Where rounding reaches the end that does not belong to it, the other end is put, as in PyTorch."""
    for dtype in (np.dtype(np.float16), dtypes.as_numpy(torch.bfloat16)):
        numbers = seeded(3).uniform(xp, (COUNT,), dtype=dtype)
        assert numbers.dtype == dtype
        assert float(numbers.max()) < 1
    assert float(seeded(3).normal(xp, (COUNT,), dtype=np.dtype(np.float16)).std()) == pytest.approx(1, abs=0.02)


def test_bad_parameters() -> None:
    generator = seeded()
    for draw, message in [
        (lambda: generator.uniform(xp, (1,), 2, 1), "uniform_ expects to return a"),
        (lambda: generator.log_normal(xp, (1,), 0, 0), "log_normal_ expects std > 0.0"),
        (lambda: generator.bernoulli(xp, (1,), 1.5), "bernoulli_ expects p to be in"),
        (lambda: generator.exponential(xp, (1,), 0), "exponential_ expects lambda > 0.0"),
        (lambda: generator.geometric(xp, (1,), 1.0), "geometric_ expects p to be in"),
        (lambda: generator.cauchy(xp, (1,), 0, -1), "cauchy_ expects sigma > 0.0"),
        (lambda: generator.randint(xp, (1,), 3, 3), "'from' to be less than 'to'"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            draw()
    assert generator.get_offset() == 0


def test_defaults_are_seeded_before_they_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "_of_cuda", {})
    state = torch.get_rng_state()
    torch.manual_seed(5)
    made = default.generator_of(torch.device("cuda", 0))
    assert made.initial_seed() == 5
    made.uniform(xp, (3,))
    torch.manual_seed(6)
    assert (made.initial_seed(), made.get_offset()) == (6, 0)
    assert default.generator_of(torch.device("cuda", 0)) is made
    assert default.generator_of(torch.device("cuda", 1)) is not made
    assert default.generator_of(torch.device("cpu")) is torch.default_generator
    torch.set_rng_state(state)


def test_states_of_all_devices_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "_of_cuda", {})
    torch.manual_seed(5)
    made = default.generator_of(torch.device("cuda", 0))
    made.uniform(xp, (3,))
    with torch.random.fork_rng():
        first = made.uniform(xp, (3,))
        late = default.generator_of(torch.device("cuda", 1))
        late.uniform(xp, (3,))
        torch.manual_seed(6)
    assert (made.initial_seed(), made.get_offset()) == (5, 4)
    assert (late.initial_seed(), late.get_offset()) == (5, 0)
    assert (made.uniform(xp, (3,)) == first).all()


def test_one_class_of_generators() -> None:
    assert isinstance(torch.Generator(), torch.Generator)
    assert isinstance(seeded(), torch.Generator)
    with pytest.raises(RuntimeError, match=r"Device type meta is not supported for torch.Generator\(\) api"):
        torch.Generator("meta")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["uniform", "normal", "log_normal", "bernoulli", "exponential", "geometric", "cauchy"])
def test_one_program_draws(name: str, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU runs: traced with the seed as an input, compiled for the CPU here."""
    from rushlight.ops import draw

    args = {"bernoulli": (0.3,), "geometric": (0.3,)}.get(name, ())
    plain = [getattr(seeded(seed), name)(xp, (5000,), *args, dtype=dtype) for seed in (1, 2, 3)]
    programs = []

    def run(function: Any, xp: Any, begin: Any, attrs: dict[str, Any]) -> Any:
        programs.append(draw.program_of(function))
        return programs[-1](xp, np.array(begin, np.int64), **attrs)

    monkeypatch.setattr("rushlight.random.cuda.run", run)
    for seed, expected in ((1, plain[0]), (2, plain[1]), (3, plain[2])):
        drawn = getattr(seeded(seed), name)(xp, (5000,), *args, dtype=dtype)
        assert drawn.dtype == dtype
        np.testing.assert_allclose(drawn, expected, rtol=2e-5 if dtype is np.float32 else 1e-12, atol=1e-6)
    assert any(programs[-1].programs.values())


@pytest.mark.parametrize("span", [(0, 10), (-7, 2**40), (-(2**63), None)])
def test_one_program_draws_integers(span: tuple[int, int | None], monkeypatch: pytest.MonkeyPatch) -> None:
    from rushlight.ops import draw

    plain = seeded(4).randint(xp, (5000,), *span)
    programs = []

    def run(function: Any, xp: Any, begin: Any, attrs: dict[str, Any]) -> Any:
        programs.append(draw.program_of(function))
        return programs[-1](xp, np.array(begin, np.int64), **attrs)

    monkeypatch.setattr("rushlight.random.cuda.run", run)
    for _ in range(3):
        assert (seeded(4).randint(xp, (5000,), *span) == plain).all()
    assert any(programs[-1].programs.values())
