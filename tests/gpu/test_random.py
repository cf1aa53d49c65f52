"""Random numbers on GPUs: the generator's, whatever the function that asks for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import rushlight as torch
from rushlight.arrays import numpy as numpy_arrays
from rushlight.random.cuda import CudaGenerator


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_pytorchs_numbers() -> None:
    """What PyTorch prints on NVIDIA's GPUs."""
    assert torch.rand(4, device="cuda").tolist() == pytest.approx([0.3990, 0.5167, 0.0249, 0.9401], abs=1e-4)
    assert torch.rand(4, device="cuda").tolist() == pytest.approx([0.9722, 0.7910, 0.4690, 0.3300], abs=1e-4)
    torch.cuda.manual_seed(0)
    assert torch.randn(4, device="cuda").tolist() == pytest.approx([-0.9247, -0.4253, -2.6438, 0.1452], abs=1e-4)


def same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return torch.equal(first.cpu(), second.cpu())


N = 1000
# What draws, and the generator's method on NumPy arrays that has the same numbers.
DRAWS: dict[str, tuple[Callable[..., torch.Tensor], str, tuple]] = {
    "rand": (lambda **kw: torch.rand(N, device="cuda", **kw), "uniform", ((N,),)),
    "randn": (lambda **kw: torch.randn(N, device="cuda", **kw), "normal", ((N,),)),
    "float64": (lambda **kw: torch.randn(N, device="cuda", dtype=torch.float64, **kw), "normal", ((N,), 0.0, 1.0, np.float64)),
    "rand_like": (lambda **kw: torch.rand_like(torch.ones(N, device="cuda"), **kw), "uniform", ((N,),)),
    "randint": (lambda **kw: torch.randint(5, 50, (N,), device="cuda", **kw), "randint", ((N,), 5, 50)),
    "randperm": (lambda **kw: torch.randperm(N, device="cuda", **kw), "permutation", ((N,),)),
    "uniform_": (lambda **kw: torch.ones(N, device="cuda").uniform_(-1, 3, **kw), "uniform", ((N,), -1, 3)),
    "normal_": (lambda **kw: torch.ones(N, device="cuda").normal_(2, 3, **kw), "normal", ((N,), 2, 3)),
    "exponential_": (lambda **kw: torch.ones(N, device="cuda").exponential_(2, **kw), "exponential", ((N,), 2)),
    "geometric_": (lambda **kw: torch.ones(N, device="cuda").geometric_(0.3, **kw), "geometric", ((N,), 0.3)),
    "cauchy_": (lambda **kw: torch.ones(N, device="cuda").cauchy_(**kw), "cauchy", ((N,),)),
    "log_normal_": (lambda **kw: torch.ones(N, device="cuda").log_normal_(**kw), "log_normal", ((N,),)),
    "bernoulli_": (lambda **kw: torch.ones(N, device="cuda").bernoulli_(0.2, **kw), "bernoulli", ((N,), 0.2)),
    "random_": (lambda **kw: torch.ones(N, dtype=torch.int32, device="cuda").random_(**kw), "random_full", ((N,), np.int32)),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_functions_draw_the_generators_numbers(name: str) -> None:
    draw, method, args = DRAWS[name]
    given, host = torch.Generator("cuda"), CudaGenerator()
    given.manual_seed(5)
    host.manual_seed(5)
    drawn, expected = draw(generator=given), getattr(host, method)(numpy_arrays, *args)
    assert drawn.is_cuda
    assert drawn.dtype is torch.from_numpy(expected).dtype
    torch.testing.assert_close(drawn.cpu(), torch.from_numpy(expected), rtol=2e-6, atol=2e-6)
    assert given.get_offset() == 4
    default = draw()
    torch.cuda.manual_seed_all(0)
    assert same(draw(), default)
    assert not same(draw(), default)


def test_numbers_lie_in_memory_as_on_the_cpu() -> None:
    x = torch.ones(3, 4, device="cuda").t()
    drawn = torch.rand_like(x)
    torch.cuda.manual_seed(0)
    assert same(drawn.t(), torch.rand(3, 4, device="cuda"))


def test_generators_are_of_one_device_type() -> None:
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
        torch.rand(2, device="cuda", generator=torch.Generator())
    with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator but found 'cuda'"):
        torch.rand(2, generator=torch.Generator("cuda"))


def test_each_device_has_its_own() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs (the stand-in has two)")
    first, second = (torch.rand(5, device=f"cuda:{i}") for i in range(2))
    assert same(first.cpu(), second.cpu())
    torch.rand(5, device="cuda:1")
    assert [generator.get_offset() for generator in torch.cuda.default_generators][:2] == [4, 8]


def test_the_cpus_numbers_stay_the_cpus() -> None:
    before = torch.get_rng_state()
    torch.rand(5, device="cuda")
    assert same(torch.get_rng_state(), before)


def test_multinomial() -> None:
    weights = torch.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 2.0]], device="cuda")
    drawn = torch.multinomial(weights, 4000, replacement=True)
    assert drawn.is_cuda
    counts = torch.stack([torch.bincount(row, minlength=3) for row in drawn.cpu()]) / 4000
    torch.testing.assert_close(counts, torch.tensor([[0.25, 0.0, 0.75], [0.0, 0.5, 0.5]]), rtol=0, atol=0.03)
    without = torch.multinomial(weights, 2)
    assert without.is_cuda
    assert without.cpu().sort(1).values.tolist() == [[0, 2], [1, 2]]


def test_drawn_by_rejection() -> None:
    rates = torch.full((4000,), 3.0, device="cuda")
    for draw, mean in (
        (lambda: torch.poisson(rates), 3.0),
        (lambda: torch.binomial(rates, torch.full((4000,), 0.5, device="cuda")), 1.5),
        (lambda: torch._standard_gamma(rates), 3.0),
    ):
        first, second = draw(), draw()
        assert first.is_cuda
        assert not same(first, second)
        assert abs(first.mean().item() - mean) < 0.15
    assert torch._sample_dirichlet(torch.ones(2, 3, device="cuda")).sum(-1).tolist() == pytest.approx([1, 1])


def test_dropout_and_initialization() -> None:
    x = torch.ones(10_000, device="cuda")
    kept = torch.nn.functional.dropout(x, 0.25)
    assert kept.cpu().unique().tolist() == pytest.approx([0, 4 / 3])
    assert abs(kept.mean().item() - 1) < 0.03
    layer = torch.nn.Linear(30, 20, device="cuda")
    assert layer.weight.is_cuda
    assert 0 < layer.weight.abs().max().item() <= 30**-0.5


def test_checkpoints_draw_again_what_was_drawn() -> None:
    x = torch.ones(1000, device="cuda", requires_grad=True)
    y = torch.utils.checkpoint.checkpoint(lambda x: torch.nn.functional.dropout(x) * 3, x, use_reentrant=False)
    state = torch.cuda.get_rng_state()
    y.sum().backward()
    assert x.grad is not None
    assert same(x.grad, y.detach())
    assert same(torch.cuda.get_rng_state(), state)


def test_a_generator_is_of_the_current_device() -> None:
    assert torch.Generator("cuda").device == torch.device("cuda:0")
    with torch.cuda.device(torch.cuda.device_count() - 1):
        assert torch.Generator("cuda").device.index == torch.cuda.current_device()
