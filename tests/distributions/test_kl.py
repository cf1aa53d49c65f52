"""Kullback-Leibler divergences: every pair against PyTorch, some against integrals, and how a pair is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate
from torch.distributions.kl import _KL_REGISTRY

import rushlight
from rushlight.distributions import kl
from tests.distributions.cases import CASES, build

# A second distribution of each kind: with scaled parameters, or with these, which make more divergences finite.
SECOND: dict[str, dict[str, Any]] = {
    "Bernoulli": {"probs": [0.4, 0.5]},
    "Binomial": {"total_count": [10.0, 10.0], "probs": [0.5, 0.2]},
    "Categorical": {"probs": [[0.4, 0.3, 0.3], [0.2, 0.1, 0.7]]},
    "OneHotCategorical": {"probs": [[0.4, 0.3, 0.3], [0.2, 0.1, 0.7]]},
    "Pareto": {"scale": [0.5, 1.0], "alpha": [2.5, 2.2]},
    "Uniform": {"low": [-1.0, 0.5], "high": [2.0, 4.0]},
    "LowRankMultivariateNormal": {
        "loc": [[0.5, 1.0]], "cov_factor": [[[1.0], [0.5]]], "cov_diag": [[1.0, 2.0]]
    },
}  # fmt: skip
PAIRS = sorted((p.__name__, q.__name__) for p, q in _KL_REGISTRY)
ABSTRACT = {"ExponentialFamily", "Independent", "TransformedDistribution"}
# PyTorch gives infinity when a uniform distribution ends exactly where the continuous Bernoulli's support does.
AT_THE_EDGE = {("Uniform", "ContinuousBernoulli")}


def scaled(values: Any) -> Any:
    return [scaled(v) if isinstance(v, list) else 1.3 * v for v in values]


def second(module: Any, name: str) -> tuple[Any, list]:
    grown = {k: scaled(v) if isinstance(v, list) and k != "probs" else v for k, v in CASES[name].items()}
    return build(module, name, changes=SECOND.get(name, grown))


def first(module: Any, name: str) -> tuple[Any, list]:
    # the two kinds of normal vectors need one number of components
    return build(module, name, changes=SECOND[name] if name == "LowRankMultivariateNormal" else None)


def test_the_same_pairs() -> None:
    assert sorted((p.__name__, q.__name__) for p, q in kl._REGISTRY) == PAIRS


@pytest.mark.parametrize(("name_p", "name_q"), [pair for pair in PAIRS if not ABSTRACT & set(pair)])
def test_against_torch(name_p: str, name_q: str) -> None:
    results = []
    for module in (torch, rushlight):
        (p, of_p), (q, of_q) = first(module, name_p), second(module, name_q)
        divergence = module.distributions.kl_divergence(p, q)
        grads = [None] * len(of_p + of_q)
        if divergence.requires_grad:
            grads = module.autograd.grad(divergence.sum(), of_p + of_q, allow_unused=True)
        grads = [np.zeros(tuple(x.shape)) if g is None else g.numpy() for x, g in zip(of_p + of_q, grads, strict=True)]
        results.append((divergence.detach().numpy(), *grads))
    theirs, ours = results
    if (name_p, name_q) in AT_THE_EDGE:
        assert np.isinf(theirs[0]).all() and np.isinf(ours[0]).tolist() == [False, True]
        p, q = first(rushlight, name_p)[0], second(rushlight, name_q)[0]
        assert ours[0][0] == pytest.approx(integral(p, q, 0.0, 1.0 - 1e-12), rel=1e-6)
        return
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def integral(p: Any, q: Any, low: float, high: float) -> float:
    """KL of the first distributions of two batches, by quadrature of the log-densities."""

    def density_times_log_ratio(x: float) -> float:
        value = rushlight.full((2,), x, dtype=rushlight.float64)
        log_p, log_q = p.log_prob(value)[0].item(), q.log_prob(value)[0].item()
        return np.exp(log_p) * (log_p - log_q)

    for distribution in (p, q):
        distribution._validate_args = False  # the second distributions of the batches have other supports
    return integrate.quad(density_times_log_ratio, low, high, limit=60, epsrel=1e-7)[0]


@pytest.mark.parametrize(
    ("name_p", "name_q", "low", "high"),
    [
        ("Normal", "Laplace", -12.0, 12.0),
        ("Normal", "Gumbel", -12.0, 12.0),
        ("Gumbel", "Normal", -4.0, 30.0),
        ("Exponential", "Gumbel", 0.0, 80.0),
        ("Uniform", "Gumbel", 0.0, 1.0 - 1e-12),
        ("Gamma", "Normal", 1e-12, 60.0),
        ("Cauchy", "Cauchy", -np.inf, np.inf),
    ],
)
def test_against_integrals(name_p: str, name_q: str, low: float, high: float) -> None:
    p, q = first(rushlight, name_p)[0], second(rushlight, name_q)[0]
    found = rushlight.distributions.kl_divergence(p, q)[0].item()
    assert found == pytest.approx(integral(p, q, low, high), rel=1e-4)


def test_wrapped_distributions() -> None:
    d = rushlight.distributions
    p, q = d.Normal(rushlight.zeros(2, 3), 1.0), d.Normal(rushlight.ones(2, 3), 2.0)
    plain = d.kl_divergence(p, q)
    np.testing.assert_allclose(d.kl_divergence(d.Independent(p, 1), d.Independent(q, 1)), plain.sum(-1))
    np.testing.assert_allclose(d.kl_divergence(d.LogNormal(0.0, 1.0), d.LogNormal(1.0, 2.0)), plain[0, 0])
    with pytest.raises(NotImplementedError):
        d.kl_divergence(d.Independent(p, 1), d.Independent(q, 2))
    with pytest.raises(
        NotImplementedError, match="No KL\\(p \\|\\| q\\) is implemented for p type Cauchy and q type Normal"
    ):
        d.kl_divergence(d.Cauchy(0.0, 1.0), d.Normal(0.0, 1.0))
    with pytest.raises(NotImplementedError, match="The cross KL-divergence between different exponential families"):
        d.kl_divergence(d.Bernoulli(0.5), d.Normal(0.0, 1.0))


def test_exponential_families_by_bregman_divergence() -> None:
    """What no special formula covers; here beside the formula, which is found first."""
    from rushlight.distributions.kl_same import _exponential_family

    for name in ("Gamma", "Normal", "Exponential", "Beta", "Poisson", "Bernoulli"):
        p, q = first(rushlight, name)[0], second(rushlight, name)[0]
        np.testing.assert_allclose(
            _exponential_family(p, q).detach(), rushlight.distributions.kl_divergence(p, q).detach(), rtol=1e-9
        )


def test_the_most_special_pair_is_found() -> None:
    class Base(rushlight.distributions.Distribution):
        arg_constraints = {}  # noqa: RUF012  (PyTorch's contract)

    class Special(Base):
        pass

    try:
        for pair in [(Base, Base), (Special, Base), (Base, Special)]:
            kl.register_kl(*pair)(lambda p, q, pair=pair: pair)
        assert kl.kl_divergence(Base(), Base()) == (Base, Base)
        assert kl.kl_divergence(Special(), Base()) == (Special, Base)
        with pytest.warns(
            RuntimeWarning, match=r"Ambiguous kl_divergence\(Special, Special\). Please register_kl\(Special, Spec"
        ):
            assert kl.kl_divergence(Special(), Special()) == (Special, Base)
        kl.register_kl(Special, Special)(lambda p, q: "found")
        assert kl.kl_divergence(Special(), Special()) == "found"
    finally:
        for pair in [pair for pair in kl._REGISTRY if issubclass(pair[0], Base)]:
            del kl._REGISTRY[pair]
        kl._FOUND.clear()
    with pytest.raises(TypeError, match="Expected type_q to be a Distribution subclass"):
        kl.register_kl(Base, int)
