"""Log-densities, distribution functions, moments and entropies against scipy.stats; samples against their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import rushlight

d, tensor = rushlight.distributions, rushlight.tensor


def double(x: float) -> Any:
    return tensor(x, dtype=rushlight.float64)


# (name, our parameters, SciPy's distribution)
CONTINUOUS: list[tuple[str, tuple[float, ...], Any]] = [
    ("Beta", (2.0, 0.7), stats.beta(2.0, 0.7)),
    ("Cauchy", (1.0, 2.0), stats.cauchy(1.0, 2.0)),
    ("Chi2", (3.0,), stats.chi2(3.0)),
    ("Exponential", (2.0,), stats.expon(scale=0.5)),
    ("FisherSnedecor", (3.0, 6.0), stats.f(3.0, 6.0)),
    ("Gamma", (2.5, 3.0), stats.gamma(2.5, scale=1 / 3)),
    ("GeneralizedPareto", (1.0, 2.0, 0.2), stats.genpareto(0.2, 1.0, 2.0)),
    ("Gumbel", (1.0, 2.0), stats.gumbel_r(1.0, 2.0)),
    ("HalfCauchy", (2.0,), stats.halfcauchy(scale=2.0)),
    ("HalfNormal", (2.0,), stats.halfnorm(scale=2.0)),
    ("InverseGamma", (3.5, 2.0), stats.invgamma(3.5, scale=2.0)),
    ("Laplace", (1.0, 2.0), stats.laplace(1.0, 2.0)),
    ("LogNormal", (0.5, 0.8), stats.lognorm(0.8, scale=np.exp(0.5))),
    ("Normal", (1.0, 2.0), stats.norm(1.0, 2.0)),
    ("Pareto", (2.0, 3.5), stats.pareto(3.5, scale=2.0)),
    ("StudentT", (5.0, 1.0, 2.0), stats.t(5.0, 1.0, 2.0)),
    ("Uniform", (1.0, 3.0), stats.uniform(1.0, 2.0)),
    ("VonMises", (0.5, 2.0), stats.vonmises(2.0, 0.5)),
    ("Weibull", (2.0, 1.5), stats.weibull_min(1.5, scale=2.0)),
]
DISCRETE: list[tuple[str, tuple[float, ...], Any]] = [
    ("Bernoulli", (0.3,), stats.bernoulli(0.3)),
    ("Binomial", (10.0, 0.3), stats.binom(10, 0.3)),
    ("Geometric", (0.3,), stats.geom(0.3, loc=-1)),
    ("NegativeBinomial", (4.0, 0.3), stats.nbinom(4, 0.7)),
    ("Poisson", (3.5,), stats.poisson(3.5)),
]
IDS = [name for name, _, _ in CONTINUOUS + DISCRETE]


@pytest.mark.parametrize(("name", "parameters", "scipys"), CONTINUOUS + DISCRETE, ids=IDS)
def test_values(name: str, parameters: tuple, scipys: Any) -> None:
    ours = getattr(d, name)(*[double(x) for x in parameters])
    x = scipys.ppf(np.array([0.03, 0.3, 0.5, 0.8, 0.99]))
    log_density = scipys.logpdf if hasattr(scipys.dist, "logpdf") else scipys.logpmf
    np.testing.assert_allclose(ours.log_prob(double(x)), log_density(x), rtol=1e-8)
    if name != "VonMises":  # whose variance is a circular one
        np.testing.assert_allclose(ours.mean, scipys.mean() if name != "HalfCauchy" else np.inf, rtol=1e-9)
        np.testing.assert_allclose(ours.variance, scipys.var() if "Cauchy" not in name else np.inf, rtol=1e-9)
    try:
        below = ours.cdf(double(x))
    except NotImplementedError:
        pass
    else:
        np.testing.assert_allclose(below, scipys.cdf(x), rtol=1e-8)
    try:
        entropy = ours.entropy()
    except NotImplementedError:
        pass
    else:
        np.testing.assert_allclose(entropy, scipys.entropy(), rtol=1e-8)


@pytest.mark.parametrize(("name", "parameters", "scipys"), CONTINUOUS, ids=IDS[: len(CONTINUOUS)])
def test_samples(name: str, parameters: tuple, scipys: Any) -> None:
    rushlight.manual_seed(0)
    samples = getattr(d, name)(*[double(x) for x in parameters]).sample((3000,)).numpy()
    assert stats.kstest(samples, scipys.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("name", "parameters", "scipys"), DISCRETE, ids=IDS[len(CONTINUOUS) :])
def test_discrete_samples(name: str, parameters: tuple, scipys: Any) -> None:
    rushlight.manual_seed(0)
    samples = getattr(d, name)(*[double(x) for x in parameters]).sample((4000,)).numpy()
    top = int(scipys.ppf(0.97))
    counts = np.bincount(np.minimum(samples, top + 1).astype(int), minlength=top + 2)
    chances = np.append(scipys.pmf(np.arange(top + 1)), scipys.sf(top))
    keep = chances > 0
    assert stats.chisquare(counts[keep], 4000 * chances[keep]).pvalue > 1e-3


def test_vectors_and_matrices() -> None:
    weights, point = np.array([0.5, 2.0, 3.0]), np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(
        d.Dirichlet(double(weights)).log_prob(double(point)), stats.dirichlet(weights).logpdf(point), rtol=1e-9
    )
    np.testing.assert_allclose(d.Dirichlet(double(weights)).entropy(), stats.dirichlet(weights).entropy(), rtol=1e-9)
    counts = np.array([2.0, 1.0, 2.0])
    multinomial = d.Multinomial(5, probs=double(point))
    np.testing.assert_allclose(
        multinomial.log_prob(double(counts)), stats.multinomial(5, point).logpmf(counts), rtol=1e-9
    )
    np.testing.assert_allclose(multinomial.entropy(), stats.multinomial(5, point).entropy(), rtol=1e-9)

    covariance, x = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([0.3, -0.7])
    scipys = stats.multivariate_normal([0.0, 1.0], covariance)
    for form in (
        {"covariance_matrix": covariance},
        {"precision_matrix": np.linalg.inv(covariance)},
        {"scale_tril": np.linalg.cholesky(covariance)},
    ):
        normal = d.MultivariateNormal(double([0.0, 1.0]), **{key: double(value) for key, value in form.items()})
        np.testing.assert_allclose(normal.log_prob(double(x)), scipys.logpdf(x), rtol=1e-9)
        np.testing.assert_allclose(normal.entropy(), scipys.entropy(), rtol=1e-9)
        np.testing.assert_allclose(normal.covariance_matrix, covariance, rtol=1e-9)
        np.testing.assert_allclose(normal.precision_matrix, np.linalg.inv(covariance), rtol=1e-9)
        np.testing.assert_allclose(normal.scale_tril, np.linalg.cholesky(covariance), rtol=1e-9)

    wishart, theirs = d.Wishart(double(4.5), double(covariance)), stats.wishart(4.5, covariance)
    matrix = np.array([[5.0, 1.0], [1.0, 3.0]])
    np.testing.assert_allclose(wishart.log_prob(double(matrix)), theirs.logpdf(matrix), rtol=1e-9)
    np.testing.assert_allclose(wishart.entropy(), theirs.entropy(), rtol=1e-9)
    np.testing.assert_allclose(wishart.mean, theirs.mean(), rtol=1e-9)


def test_wishart_samples() -> None:
    """Means, variances and gradients: the mean is df times the covariance, so its gradient by df is the covariance."""
    rushlight.manual_seed(0)
    covariance = double([[2.0, 0.5], [0.5, 1.0]])
    df = double(4.5).requires_grad_()
    wishart = d.Wishart(df, covariance)
    samples = wishart.rsample((4000,))
    np.testing.assert_allclose(samples.mean(0).detach(), wishart.mean.detach(), atol=0.2)
    np.testing.assert_allclose(samples.var(0).detach(), wishart.variance.detach(), rtol=0.15)
    samples.mean(0)[0, 0].backward()
    assert df.grad.item() == pytest.approx(2.0, abs=0.1)
    assert wishart.expand((3,)).sample((2,)).shape == (2, 3, 2, 2)


def test_singular_wishart_samples_are_drawn_anew() -> None:
    rushlight.manual_seed(0)
    with pytest.warns(UserWarning, match="Low df values detected"):
        wishart = d.Wishart(tensor(1.0 + 1e-3), rushlight.eye(2))
    with pytest.warns(UserWarning, match="Singular sample detected"):
        samples = wishart.sample((200,))
    with pytest.warns(UserWarning, match="Singular sample detected"):
        once = wishart.rsample((200,), max_try_correction=1)
    regular = d.constraints.positive_definite.check
    assert regular(samples).sum() > regular(once).sum()
