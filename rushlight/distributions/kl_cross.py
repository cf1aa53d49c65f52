"""Kullback-Leibler divergences of two kinds of distributions: minus p's entropy, minus the mean of log q under p."""

from __future__ import annotations

import math
from typing import Any

import rushlight as torch
from rushlight.distributions.bernoulli import Bernoulli
from rushlight.distributions.beta import Beta
from rushlight.distributions.binomial import Binomial
from rushlight.distributions.continuous_bernoulli import ContinuousBernoulli
from rushlight.distributions.exponential import Exponential
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.gumbel import Gumbel
from rushlight.distributions.kl import register_kl
from rushlight.distributions.laplace import Laplace
from rushlight.distributions.normal import Normal
from rushlight.distributions.pareto import Pareto
from rushlight.distributions.poisson import Poisson
from rushlight.distributions.uniform import Uniform
from rushlight.distributions.utils import euler_constant, replaced
from rushlight.tensor import Tensor

# ---------------------------------------------------------------- infinite: p goes where q has no density

_INFINITE = {
    Beta: (Pareto,),
    ContinuousBernoulli: (Pareto,),
    Exponential: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gamma: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gumbel: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Laplace: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Normal: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Pareto: (Beta, ContinuousBernoulli, Uniform),
    Poisson: (Bernoulli, Binomial),
}


def _infinite(p: Any, q: Any) -> Tensor:
    return torch.full(p.batch_shape, torch.inf, dtype=p.mean.dtype)


for _kind_p, _kinds_q in _INFINITE.items():
    for _kind_q in _kinds_q:
        register_kl(_kind_p, _kind_q)(_infinite)

# ---------------------------------------------------------------- the mean of -log q, by moments of p


def _under_exponential(q: Any, mean: Tensor) -> Tensor:
    return q.rate * mean - q.rate.log()


def _under_gamma(q: Any, mean: Tensor, mean_log: Tensor) -> Tensor:
    log_norm = q.concentration.lgamma() - q.concentration * q.rate.log()
    return log_norm - (q.concentration - 1) * mean_log + q.rate * mean


def _under_normal(q: Any, mean: Tensor, variance: Tensor) -> Tensor:
    squared = q.scale.pow(2)
    return 0.5 * (2 * math.pi * squared).log() + (variance + (mean - q.loc).pow(2)) / (2 * squared)


def _under_gumbel(q: Any, mean: Tensor, mean_exp: Tensor) -> Tensor:
    """`mean_exp` is that of exp(-x / scale)."""
    return q.scale.log() + (mean - q.loc) / q.scale + torch.exp(q.loc / q.scale) * mean_exp


def _under_continuous_bernoulli(q: Any, mean: Tensor) -> Tensor:
    return -mean * q.logits - torch.log1p(-q.probs) - q._cont_bern_log_norm()


def _mean_log_of_beta(p: Any) -> Tensor:
    return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()


def _mean_log_of_gamma(p: Any) -> Tensor:
    return p.concentration.digamma() - p.rate.log()


def _mean_log_of_uniform(p: Any) -> Tensor:
    """(high log(high) - low log(low)) / (high - low) - 1, and for a bound at 0 the limit."""
    return (torch.xlogy(p.high, p.high) - torch.xlogy(p.low, p.low)) / (p.high - p.low) - 1


# ---------------------------------------------------------------- p is Bernoulli, beta or continuous Bernoulli


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Beta, ContinuousBernoulli)
def _beta_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return -p.entropy() + _under_continuous_bernoulli(q, p.mean)


@register_kl(Beta, Gamma)
def _beta_gamma(p: Any, q: Any) -> Tensor:
    return -p.entropy() + _under_gamma(q, p.mean, _mean_log_of_beta(p))


@register_kl(Beta, Exponential)
@register_kl(ContinuousBernoulli, Exponential)
@register_kl(Gamma, Exponential)
def _with_exponential(p: Any, q: Any) -> Tensor:
    return -p.entropy() + _under_exponential(q, p.mean)


@register_kl(Beta, Normal)
@register_kl(ContinuousBernoulli, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Gumbel, Normal)
@register_kl(Laplace, Normal)
@register_kl(Uniform, Normal)
def _with_normal(p: Any, q: Any) -> Tensor:
    return -p.entropy() + _under_normal(q, p.mean, p.variance)


@register_kl(Beta, Uniform)
@register_kl(ContinuousBernoulli, Uniform)
def _with_uniform(p: Any, q: Any) -> Tensor:
    return replaced((q.high - q.low).log() - p.entropy(), (q.low > 0) | (q.high < 1), torch.inf)


# ---------------------------------------------------------------- p is exponential, gamma, normal or Pareto


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Any, q: Any) -> Tensor:
    return -p.entropy() + _under_gamma(q, p.mean, -p.rate.log() - euler_constant)


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Any, q: Any) -> Tensor:
    product = p.rate * q.scale
    return -p.entropy() + _under_gumbel(q, p.mean, product / (product + 1))


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Any, q: Any) -> Tensor:
    mean_exp = (1 + (p.rate * q.scale).reciprocal()).pow(-p.concentration)
    return -p.entropy() + _under_gumbel(q, p.mean, mean_exp)


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Any, q: Any) -> Tensor:
    mean_exp = torch.exp(-p.loc / q.scale + 0.5 * (p.scale / q.scale).pow(2))
    return -p.entropy() + _under_gumbel(q, p.mean, mean_exp)


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Tensor:
    off = (p.loc - q.loc) / p.scale
    mean_distance = p.scale * (
        math.sqrt(2 / math.pi) * torch.exp(-0.5 * off.pow(2)) + off * torch.erf(off * math.sqrt(0.5))
    )
    return -p.entropy() + (2 * q.scale).log() + mean_distance / q.scale


@register_kl(Pareto, Exponential)
def _pareto_exponential(p: Any, q: Any) -> Tensor:
    return replaced(-p.entropy() + _under_exponential(q, _pareto_mean(p)), p.alpha <= 1, torch.inf)


@register_kl(Pareto, Gamma)
def _pareto_gamma(p: Any, q: Any) -> Tensor:
    mean_log = p.scale.log() + p.alpha.reciprocal()
    return replaced(-p.entropy() + _under_gamma(q, _pareto_mean(p), mean_log), p.alpha <= 1, torch.inf)


@register_kl(Pareto, Normal)
def _pareto_normal(p: Any, q: Any) -> Tensor:
    variance = p.scale.pow(2) * p.alpha / ((p.alpha - 1).pow(2) * (p.alpha - 2))
    return replaced(-p.entropy() + _under_normal(q, _pareto_mean(p), variance), p.alpha <= 2, torch.inf)


def _pareto_mean(p: Any) -> Tensor:
    return p.alpha * p.scale / (p.alpha - 1)  # wrong where it is infinite, which gets replaced


# ---------------------------------------------------------------- p is uniform


@register_kl(Uniform, Beta)
def _uniform_beta(p: Any, q: Any) -> Tensor:
    log_beta = q.concentration1.lgamma() + q.concentration0.lgamma() - (q.concentration1 + q.concentration0).lgamma()
    mean_log = _mean_log_of_uniform(p)
    mean_log_rest = (torch.xlogy(1 - p.low, 1 - p.low) - torch.xlogy(1 - p.high, 1 - p.high)) / (p.high - p.low) - 1
    of_powers = (q.concentration1 - 1) * mean_log + (q.concentration0 - 1) * mean_log_rest
    return replaced(-p.entropy() + log_beta - of_powers, (p.high > 1) | (p.low < 0), torch.inf)


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    result = -p.entropy() + _under_continuous_bernoulli(q, p.mean)
    return replaced(result, (p.high > 1) | (p.low < 0), torch.inf)


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Any, q: Any) -> Tensor:
    return replaced(-p.entropy() + _under_exponential(q, p.mean), p.low < 0, torch.inf)


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Any, q: Any) -> Tensor:
    return replaced(-p.entropy() + _under_gamma(q, p.mean, _mean_log_of_uniform(p)), p.low < 0, torch.inf)


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Any, q: Any) -> Tensor:
    """The mean of exp(-x / scale) is taken at q's location, where it neither over- nor underflows for a q near p."""
    low, high = (p.low - q.loc) / q.scale, (p.high - q.loc) / q.scale
    mean_exp = (torch.exp(-low) - torch.exp(-high)) * q.scale / (p.high - p.low)
    return -p.entropy() + q.scale.log() + 0.5 * (low + high) + mean_exp


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Any, q: Any) -> Tensor:
    log_norm = q.alpha.log() + q.alpha * q.scale.log()
    result = -p.entropy() - log_norm + (q.alpha + 1) * _mean_log_of_uniform(p)
    return replaced(result, p.low < q.scale, torch.inf)
