"""Random functions on tensors: PyTorch's numbers from the same seed, and the right distributions where they are not."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

import rushlight

sys.path.insert(0, str(Path(__file__).parent))

from test_random_stream import not_with_mkl


def multinomial(t: Any, x: Any, *args: Any) -> Any:
    """Of ones, in the first two dimensions of a tensor."""
    return t.multinomial(x.fill_(1)[(..., *[0] * (x.ndim - 2))], *args) if x.numel() else x


FILLS: dict[str, Callable[[Any, Any], Any]] = {
    "uniform_": lambda t, x: x.uniform_(1, 2),
    "normal_": lambda t, x: x.normal_(1, 2),
    "random_": lambda t, x: x.random_(100),
    "bernoulli_ of a tensor": lambda t, x: x.bernoulli_(t.full(x.shape, 0.4)),
    "log_normal_": lambda t, x: x.log_normal_(),
    "geometric_": lambda t, x: x.geometric_(0.1),
    "cauchy_": lambda t, x: x.cauchy_(),
    "rand_like": lambda t, x: t.rand_like(x),
    "rand_like complex": lambda t, x: t.rand_like(x, dtype=t.complex64),
    "randn_like": lambda t, x: t.randn_like(x),
    "randn_like complex": lambda t, x: t.randn_like(x, dtype=t.complex64),
    "randint_like": lambda t, x: t.randint_like(x, 9),
    "bernoulli": lambda t, x: t.bernoulli(x.fill_(0.5)),
    "normal of means": lambda t, x: t.normal(x, 1.5),
    "normal of deviations": lambda t, x: t.normal(3.0, x.fill_(2)),
    "normal of both": lambda t, x: t.normal(x, x.fill_(2)),
}
FILLS_OF_MKL: dict[str, Callable[[Any, Any], Any]] = {
    "bernoulli_": lambda t, x: x.bernoulli_(0.3),
    "bernoulli of a number": lambda t, x: t.bernoulli(x, 0.3),
    "exponential_": lambda t, x: x.exponential_(2),
    "dropout": lambda t, x: t.nn.functional.dropout(x.fill_(1), 0.4),
    "multinomial": lambda t, x: multinomial(t, x, 2),
    "multinomial with replacement": lambda t, x: multinomial(t, x, 7, True),
}


def layouts(t: Any) -> Iterator[tuple[str, Any]]:
    """Tensors that lie in memory in all kinds of ways."""
    yield "plain", t.zeros(40, 9)
    yield "transposed", t.zeros(9, 40).t()
    yield "few, transposed", t.zeros(3, 4).t()
    yield "every second", t.zeros(40, 4)[:, ::2]
    yield "permuted", t.zeros(3, 4, 5).permute(2, 0, 1)
    yield "part of a permuted", t.zeros(3, 4, 5).permute(1, 0, 2)[1:3]
    yield "rows", t.zeros(30, 20)[:3]
    yield "with dimensions of one", t.zeros(1, 5, 1, 6).transpose(0, 2)
    yield "empty", t.zeros(0, 4).t()


def check_same_numbers(fill: Callable[[Any, Any], Any]) -> None:
    for (name, theirs), (_, mine) in zip(layouts(torch), layouts(rushlight), strict=True):
        torch.manual_seed(5)
        rushlight.manual_seed(5)
        expected, got = fill(torch, theirs), fill(rushlight, mine)
        assert str(expected.dtype) == str(got.dtype), name
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=3e-5, atol=1e-6, err_msg=name)
        assert torch.rand(1).item() == rushlight.rand(1).item(), f"{name}: the streams part"


@pytest.mark.parametrize("name", FILLS)
def test_fill_in_the_order_of_memory(name: str) -> None:
    check_same_numbers(FILLS[name])


@not_with_mkl
@pytest.mark.parametrize("name", FILLS_OF_MKL)
def test_fill_in_the_order_of_memory_without_mkl(name: str) -> None:
    check_same_numbers(FILLS_OF_MKL[name])


def both(function: Callable[[Any], Any]) -> tuple[Any, Any]:
    torch.manual_seed(11)
    rushlight.manual_seed(11)
    return function(torch), function(rushlight)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "complex64", "complex128"])
def test_new_tensors(dtype: str) -> None:
    for call in (
        lambda t: t.rand(3, 5, dtype=getattr(t, dtype)),
        lambda t: t.randn(40, dtype=getattr(t, dtype)),
        lambda t: t.normal(1.0, 2.0, (20,), dtype=getattr(t, dtype)),
    ):
        expected, got = both(call)
        np.testing.assert_allclose(np.array(got.tolist()), np.array(expected.tolist()), rtol=3e-6, atol=1e-6)


@not_with_mkl
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("num_samples, replacement", [(1, False), (1, True), (5, False), (99, True)])
def test_multinomial(dtype: str, num_samples: int, replacement: bool) -> None:
    weights = np.random.default_rng(0).random((4, 7))
    weights[:, 2] = 0

    def call(t: Any) -> Any:
        given = t.tensor(weights, dtype=getattr(t, dtype))
        return t.multinomial(given, num_samples, replacement), t.multinomial(given[0], num_samples, replacement)

    for expected, got in zip(*both(call), strict=True):
        assert got.tolist() == expected.tolist()


@pytest.mark.parametrize("weights", [[-1.0, 1.0], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], [[[1.0]]]])
@pytest.mark.parametrize("num_samples, replacement", [(1, True), (1, False), (5, False), (0, True)])
def test_bad_multinomial(weights: Any, num_samples: int, replacement: bool) -> None:
    with pytest.raises(RuntimeError) as expected:
        torch.multinomial(torch.tensor(weights), num_samples, replacement)
    with pytest.raises(RuntimeError) as actual:
        rushlight.multinomial(rushlight.tensor(weights), num_samples, replacement)
    assert str(actual.value) == str(expected.value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_bernoulli_of_a_tensor(dtype: str) -> None:
    def call(t: Any) -> Any:
        probabilities = t.rand(50, 20).to(getattr(t, dtype))
        return t.bernoulli(probabilities), t.empty(50, 20, dtype=t.bool).bernoulli_(probabilities)

    for expected, got in zip(*both(call), strict=True):
        assert got.tolist() == expected.tolist()


def test_gradients_are_zeros() -> None:
    rate = rushlight.full((4,), 0.5, requires_grad=True)
    for draw in (
        lambda: rushlight.normal(rate, 1.0), lambda: rushlight.normal(0.0, rate), lambda: rushlight.bernoulli(rate),
        lambda: rushlight.poisson(rate), lambda: rushlight.binomial(rate + 3, rate), lambda: (rate * 1).cauchy_(),
    ):  # fmt: skip
        (grad,) = rushlight.autograd.grad(draw().sum(), rate)
        assert grad.tolist() == [0.0] * 4


# ---------------------------------------------------------------- Poisson and binomial numbers, by their distributions


@pytest.mark.parametrize("rate", [0.2, 3.0, 40.0])
def test_poisson(rate: float) -> None:
    rushlight.manual_seed(0)
    drawn = rushlight.poisson(rushlight.full((20000,), rate)).numpy()
    assert drawn.dtype == np.float32
    edges = np.unique(scipy.stats.poisson.ppf(np.linspace(0.02, 0.98, 12), rate))
    check_counts(drawn, edges, scipy.stats.poisson(rate))


@pytest.mark.parametrize("count, probability", [(1, 0.3), (10, 0.5), (500, 0.02)])
def test_binomial(count: int, probability: float) -> None:
    rushlight.manual_seed(0)
    drawn = rushlight.binomial(rushlight.full((20000,), float(count)), rushlight.tensor(probability)).numpy()
    edges = np.unique(scipy.stats.binom.ppf(np.linspace(0.02, 0.98, 12), count, probability))
    check_counts(drawn, edges, scipy.stats.binom(count, probability))


def check_counts(drawn: np.ndarray, edges: np.ndarray, distribution: Any) -> None:
    """How many numbers fall between the edges, by the chi-squared test."""
    probabilities = np.diff(distribution.cdf(edges), prepend=0.0, append=1.0)
    observed = np.bincount(np.searchsorted(edges, drawn), minlength=len(probabilities))
    kept = probabilities > 1e-9
    expected = probabilities[kept] * len(drawn)
    assert scipy.stats.chisquare(observed[kept], expected * observed[kept].sum() / expected.sum()).pvalue > 1e-3


def test_binomial_of_the_ends() -> None:
    nan = float("nan")
    count, probability = rushlight.tensor([3.0, 3.0, -2.0, nan, 3.0]), rushlight.tensor([0.0, 1.0, 0.5, 0.5, nan])
    np.testing.assert_array_equal(rushlight.binomial(count, probability).numpy(), [0, 3, 0, nan, nan])


@pytest.mark.parametrize("fill, distribution", [
    (lambda x: x.exponential_(2.0), scipy.stats.expon(scale=0.5)),
    (lambda x: x.cauchy_(1.0, 2.0), scipy.stats.cauchy(1, 2)),
    (lambda x: x.log_normal_(0.5, 0.7), scipy.stats.lognorm(0.7, scale=np.exp(0.5))),
    (lambda x: x.normal_(1.0, 3.0), scipy.stats.norm(1, 3)),
    (lambda x: x.uniform_(-1.0, 3.0), scipy.stats.uniform(-1, 4)),
])  # fmt: skip
def test_continuous_distributions(fill: Any, distribution: Any) -> None:
    """Also for Intel's CPUs, where PyTorch's numbers are MKL's."""
    rushlight.manual_seed(0)
    assert scipy.stats.kstest(fill(rushlight.empty(20000)).numpy(), distribution.cdf).pvalue > 1e-3


# ---------------------------------------------------------------- generators


def test_states_are_tensors() -> None:
    state = rushlight.get_rng_state()
    assert state.dtype is rushlight.uint8 and state.shape == (5056,)
    first = rushlight.rand(3).tolist()
    rushlight.set_rng_state(state)
    assert rushlight.rand(3).tolist() == first


@pytest.mark.parametrize("copied", [
    lambda g: g.clone_state(), copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g)),
])  # fmt: skip
def test_copy_of_a_generator(copied: Any) -> None:
    generator = rushlight.Generator(device="cpu").manual_seed(4)
    rushlight.randn(5, generator=generator)
    other = copied(generator)
    assert generator.device == rushlight.device("cpu") and other.initial_seed() == 4
    assert rushlight.randn(5, generator=generator).tolist() == rushlight.randn(5, generator=other).tolist()


def test_fork_rng() -> None:
    rushlight.manual_seed(1)
    with rushlight.random.fork_rng():
        first = rushlight.rand(2).tolist()
    assert rushlight.rand(2).tolist() == first


def test_wrong_generator() -> None:
    with pytest.raises(TypeError, match="generator"):
        rushlight.rand(3, generator=5)


def test_compiled_draws_come_in_order() -> None:
    def step(x: Any) -> Any:
        return rushlight.rand_like(x), rushlight.normal(x, 1.0), rushlight.randint(9, (3,)), rushlight.multinomial(x, 2)

    x = rushlight.full((2, 3), 0.5)
    compiled = rushlight.compile(step, fullgraph=True)
    for seed in (0, 1):
        rushlight.manual_seed(seed)
        got = compiled(x)
        rushlight.manual_seed(seed)
        for expected, mine in zip(step(x), got, strict=True):
            np.testing.assert_array_equal(mine.numpy(), expected.numpy())
