"""The Wishart distribution."""

from __future__ import annotations

import math
import warnings
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.chi2 import Chi2
from rushlight.distributions.distribution import expanded
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.gaussian import CovarianceForms, half_log_det, the_one_given
from rushlight.distributions.utils import NUMBER, replaced, vec_to_tril_matrix
from rushlight.tensor import Tensor

_LOG_2 = math.log(2)
_MAX_TRIES = 10


class Wishart(CovarianceForms, ExponentialFamily):
    """Sums of `df` outer products of normal vectors of mean 0: positive definite matrices.

    Args:
        df: the degrees of freedom, above the size of the matrices less 1; not necessarily an integer.
        covariance_matrix: the covariance of the vectors.
        precision_matrix: or its inverse.
        scale_tril: or its lower Cholesky factor.
        validate_args: whether arguments are checked.

    Raises:
        AssertionError: not exactly one of the three is given.
        ValueError: it has too few dimensions, or `df` is too small.
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self, df: Any, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None, validate_args: bool | None = None,
    ):  # fmt: skip
        given = the_one_given(
            scale_tril=scale_tril, covariance_matrix=covariance_matrix, precision_matrix=precision_matrix
        )
        if given is None:
            raise AssertionError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        name, matrix = given
        if matrix.dim() < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        df_tensor = torch.tensor(df, dtype=matrix.dtype) if isinstance(df, NUMBER) else df
        batch_shape = torch.broadcast_shapes(matrix.shape[:-2], df_tensor.shape)
        self.df, event_shape = df_tensor.expand(batch_shape), matrix.shape[-2:]
        size = event_shape[-1]
        if self.df.le(size - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {size - 1}.")
        self.__dict__[name] = matrix.expand((*batch_shape, -1, -1))
        if self.df.lt(size).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._find_factor(name, matrix)
        self._dist_chi2 = Chi2(self.df.unsqueeze(-1) - torch.arange(size, dtype=matrix.dtype))

    expand = expanded(
        "df", "covariance_matrix", "scale_tril", "precision_matrix", "_dist_chi2", shared=("_unbroadcasted_scale_tril",)
    )

    @property
    def arg_constraints(self) -> Any:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    @property
    def _size(self) -> int:
        return self._event_shape[-1]

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self._size - 1
        return replaced(factor, factor <= 0, torch.nan)[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        covariance = self.covariance_matrix
        diagonal = covariance.diagonal(dim1=-2, dim2=-1)
        return self.df[..., None, None] * (covariance.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def _bartlett_sampling(self, sample_shape: Any) -> Tensor:
        """Bartlett's decomposition: chi numbers on the diagonal of a factor, normal ones below."""
        chi = self._dist_chi2.rsample(sample_shape).sqrt()
        chi = chi.clamp(min=torch.finfo(chi.dtype).eps)
        below = self._size * (self._size - 1) // 2
        normal = torch.randn((*sample_shape, *self._batch_shape, below), dtype=chi.dtype)
        noise = torch.diag_embed(chi) + _below_diagonal(normal, self._size)
        factor = self._unbroadcasted_scale_tril @ noise
        return factor @ factor.mT

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> Tensor:
        """Samples; those that come out singular, as can happen for small `df`, are drawn anew.

        Args:
            sample_shape: how many from each distribution of the batch.
            max_try_correction: how often they are drawn anew at most; default: 10 times.
        """
        sample = self._bartlett_sampling(tuple(sample_shape))
        for attempt in range(_MAX_TRIES if max_try_correction is None else max_try_correction):
            is_singular = ~self.support.check(sample)
            if not is_singular.any():
                break
            if attempt == 0:
                warnings.warn("Singular sample detected.", stacklevel=2)
            anew = self._bartlett_sampling(tuple(sample_shape))
            sample = torch.where(is_singular[..., None, None], anew, sample)
        return sample

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        df, size, factor = self.df, self._size, self._unbroadcasted_scale_tril
        log_normalizer = df * (size * _LOG_2 / 2 + half_log_det(factor)) + torch.mvlgamma(df / 2, p=size)
        trace = torch.cholesky_solve(value, factor).diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        return (df - size - 1) / 2 * torch.linalg.slogdet(value).logabsdet - trace / 2 - log_normalizer

    def entropy(self) -> Tensor:
        df, size = self.df, self._size
        log_det = half_log_det(self._unbroadcasted_scale_tril)
        spread = (df - size - 1) / 2 * _multivariate_digamma(df / 2, size)
        log_scale = (size + 1) * (size * _LOG_2 / 2 + log_det)
        return log_scale + torch.mvlgamma(df / 2, p=size) - spread + df * size / 2

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return -self.precision_matrix / 2, (self.df - self._size - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        size = self._size
        half = y + (size + 1) / 2
        return half * (-torch.linalg.slogdet(-2 * x).logabsdet + _LOG_2 * size) + torch.mvlgamma(half, p=size)


def _below_diagonal(numbers: Tensor, size: int) -> Tensor:
    if size == 1:
        return numbers.new_zeros((*numbers.shape[:-1], 1, 1))
    return vec_to_tril_matrix(numbers, diag=-1)


def _multivariate_digamma(x: Tensor, size: int) -> Tensor:
    """The derivative of `mvlgamma`."""
    return torch.digamma(x.unsqueeze(-1) - torch.arange(size, dtype=x.dtype) / 2).sum(-1)
