"""Kullback-Leibler divergences of two distributions of one kind."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions.bernoulli import Bernoulli
from rushlight.distributions.beta import Beta
from rushlight.distributions.binomial import Binomial
from rushlight.distributions.categorical import Categorical
from rushlight.distributions.cauchy import Cauchy
from rushlight.distributions.continuous_bernoulli import ContinuousBernoulli
from rushlight.distributions.dirichlet import Dirichlet
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.exponential import Exponential
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.gaussian import half_log_det, mahalanobis
from rushlight.distributions.geometric import Geometric
from rushlight.distributions.gumbel import Gumbel
from rushlight.distributions.half_normal import HalfNormal
from rushlight.distributions.independent import Independent
from rushlight.distributions.kl import kl_divergence, register_kl
from rushlight.distributions.laplace import Laplace
from rushlight.distributions.lowrank_multivariate_normal import (
    LowRankMultivariateNormal,
    lowrank_log_det,
    lowrank_mahalanobis,
)  # fmt: skip
from rushlight.distributions.multivariate_normal import MultivariateNormal
from rushlight.distributions.normal import Normal
from rushlight.distributions.one_hot_categorical import OneHotCategorical
from rushlight.distributions.pareto import Pareto
from rushlight.distributions.poisson import Poisson
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.uniform import Uniform
from rushlight.distributions.utils import euler_constant, replaced, sum_rightmost
from rushlight.nn.functional import softplus
from rushlight.tensor import Tensor

# ---------------------------------------------------------------- discrete


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Tensor:
    of_ones = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    of_ones = replaced(replaced(of_ones, q.probs == 0, torch.inf), p.probs == 0, 0.0)
    of_zeros = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    return of_ones + replaced(replaced(of_zeros, q.probs == 1, torch.inf), p.probs == 1, 0.0)


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Tensor:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    of_one = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return replaced(p.total_count * of_one, p.total_count > q.total_count, torch.inf)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    return replaced(replaced(terms, q.probs == 0, torch.inf), p.probs == 0, 0.0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p: Any, q: Any) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - torch.log1p(-q.probs) / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


# ---------------------------------------------------------------- continuous


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Tensor:
    total_p, total_q = p.concentration.sum(-1), q.concentration.sum(-1)
    log_beta = (q.concentration.lgamma() - p.concentration.lgamma()).sum(-1) + total_p.lgamma() - total_q.lgamma()
    mean_log = p.concentration.digamma() - total_p.digamma().unsqueeze(-1)
    return log_beta + ((p.concentration - q.concentration) * mean_log).sum(-1)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Tensor:
    """Chyzak & Nielsen, "A closed-form formula for the KL divergence between Cauchy distributions" (2019)."""
    return ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log() - (4 * p.scale * q.scale).log()


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: Any, q: Any) -> Tensor:
    log_norm_p = p._cont_bern_log_norm() + torch.log1p(-p.probs)
    log_norm_q = q._cont_bern_log_norm() + torch.log1p(-q.probs)
    return p.mean * (p.logits - q.logits) + log_norm_p - log_norm_q


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Tensor:
    of_shape = torch.lgamma(q.concentration) - torch.lgamma(p.concentration)
    of_shape = of_shape + (p.concentration - q.concentration) * torch.digamma(p.concentration)
    return q.concentration * (p.rate / q.rate).log() + of_shape + (q.rate - p.rate) * (p.concentration / p.rate)


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Tensor:
    ratio, off = p.scale / q.scale, (p.loc - q.loc) / q.scale
    mean_exp = torch.exp((1 + ratio).lgamma() - off)
    return off - ratio.log() + ratio * euler_constant + mean_exp - (1 + euler_constant)


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: Any, q: Any) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Tensor:
    ratio, off = p.scale / q.scale, (p.loc - q.loc).abs()
    return off / q.scale + ratio * torch.exp(-off / p.scale) - ratio.log() - 1


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return replaced(result, p.scale < q.scale, torch.inf)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Tensor:
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return replaced(result, (q.low > p.low) | (q.high < p.high), torch.inf)


# ---------------------------------------------------------------- families of distributions


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: Any, q: Any) -> Tensor:
    """The Bregman divergence of the log-normalizer."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman "
            "divergences"
        )
    of_p = [parameter.detach().requires_grad_() for parameter in p._natural_params]
    of_q = q._natural_params
    normalizer = p._log_normalizer(*of_p)
    gradients = torch.autograd.grad(normalizer.sum(), of_p, create_graph=True)
    result = q._log_normalizer(*of_q) - normalizer
    for from_, to, gradient in zip(of_p, of_q, gradients, strict=True):
        result = result - sum_rightmost((to - from_) * gradient, len(q.event_shape))
    return result


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Tensor:
    """That of the base distributions, if both are transformed alike."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


# ---------------------------------------------------------------- normal vectors


def _require_one_event_shape(p: Any, q: Any, kind: str) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(f"KL-divergence between two {kind} with different event shapes cannot be computed")


def _squares(matrix: Tensor) -> Tensor:
    """The trace of M M^T."""
    return matrix.pow(2).sum((-2, -1))


def _solved(factor: Tensor, matrix: Tensor) -> Tensor:
    """L^-1 M."""
    batch = torch.broadcast_shapes(factor.shape[:-2], matrix.shape[:-2])
    factor, matrix = factor.expand((*batch, -1, -1)), matrix.expand((*batch, -1, -1))
    return torch.linalg.solve_triangular(factor, matrix, upper=False)


def _divergence(log_det_q: Tensor, log_det_p: Tensor, trace: Tensor, distance: Tensor, count: int) -> Tensor:
    """Of normal vectors, with log |Sigma|, tr(Sigma_q^-1 Sigma_p) and the distance of the means."""
    return 0.5 * (log_det_q - log_det_p + trace + distance - count)


def _low_rank(distribution: Any) -> tuple[Tensor, Tensor, Tensor]:
    return (*distribution._parts, distribution._capacitance_tril)


def _trace_under_low_rank(q: Any, factor_p: Tensor) -> Tensor:
    """tr(Sigma_q^-1 F F^T), by Woodbury's identity."""
    factor, diagonal, capacitance_tril = _low_rank(q)
    inner = _solved(capacitance_tril, factor.mT / diagonal.unsqueeze(-2))
    return _squares(factor_p * diagonal.rsqrt().unsqueeze(-1)) - _squares(inner @ factor_p)


def _distance_under_low_rank(p: Any, q: Any) -> Tensor:
    factor, diagonal, capacitance_tril = _low_rank(q)
    return lowrank_mahalanobis(factor, diagonal, q.loc - p.loc, capacitance_tril)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: Any, q: Any) -> Tensor:
    _require_one_event_shape(p, q, "Multivariate Normals")
    of_p, of_q = p._unbroadcasted_scale_tril, q._unbroadcasted_scale_tril
    trace, distance = _squares(_solved(of_q, of_p)), mahalanobis(of_q, q.loc - p.loc)
    return _divergence(2 * half_log_det(of_q), 2 * half_log_det(of_p), trace, distance, p.event_shape[0])


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _lowrank_multivariate_normal(p: Any, q: Any) -> Tensor:
    _require_one_event_shape(p, q, "Low Rank Multivariate Normals")
    factor, diagonal, _ = _low_rank(p)
    trace = _trace_under_low_rank(q, factor) + _trace_under_low_rank(q, torch.diag_embed(diagonal.sqrt()))
    log_dets = lowrank_log_det(*_low_rank(q)), lowrank_log_det(*_low_rank(p))
    return _divergence(*log_dets, trace, _distance_under_low_rank(p, q), p.event_shape[0])


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _multivariate_and_lowrank(p: Any, q: Any) -> Tensor:
    _require_one_event_shape(p, q, "(Low Rank) Multivariate Normals")
    of_p = p._unbroadcasted_scale_tril
    log_dets = lowrank_log_det(*_low_rank(q)), 2 * half_log_det(of_p)
    distance = _distance_under_low_rank(p, q)
    return _divergence(*log_dets, _trace_under_low_rank(q, of_p), distance, p.event_shape[0])


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _lowrank_and_multivariate(p: Any, q: Any) -> Tensor:
    _require_one_event_shape(p, q, "(Low Rank) Multivariate Normals")
    factor, diagonal, _ = _low_rank(p)
    of_q = q._unbroadcasted_scale_tril
    trace = _squares(_solved(of_q, factor)) + _squares(_solved(of_q, torch.diag_embed(diagonal.sqrt())))
    log_dets = 2 * half_log_det(of_q), lowrank_log_det(*_low_rank(p))
    return _divergence(*log_dets, trace, mahalanobis(of_q, q.loc - p.loc), p.event_shape[0])
