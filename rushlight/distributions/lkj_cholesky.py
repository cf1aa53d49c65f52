"""The LKJ distribution of correlation matrices, as their Cholesky factors."""

from __future__ import annotations

import math
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.beta import Beta
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.utils import broadcast_all
from rushlight.tensor import Tensor


class LKJCholesky(Distribution):
    """Cholesky factors of correlation matrices R with a density of R in proportion to det(R)^(concentration - 1).

    Samples are made by the onion method of Lewandowski, Kurowicka & Joe, "Generating random correlation matrices based
    on vines and extended onion method" (2009), section 3.2, for the factors.

    Args:
        dim: the number of variables.
        concentration: 1 for the uniform distribution; above, correlations are weaker.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: fewer than 2 variables.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None):
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        first = self.concentration + 0.5 * (dim - 2)
        offset = torch.cat([first.new_zeros((1,)), torch.arange(dim - 1, dtype=first.dtype)])
        self._beta = Beta(offset + 0.5, first.unsqueeze(-1) - 0.5 * offset)
        super().__init__(self.concentration.size(), torch.Size((dim, dim)), validate_args)

    expand = expanded("concentration", "_beta", shared=("dim",))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        squared_length = self._beta.sample(sample_shape).unsqueeze(-1)  # of each row, left of the diagonal
        normal = torch.randn(self._extended_shape(sample_shape), dtype=squared_length.dtype).tril(-1)
        direction = normal / normal.norm(dim=-1, keepdim=True)
        direction[..., 0, :].fill_(0.0)
        rows = torch.sqrt(squared_length) * direction
        rest = torch.clamp(1 - torch.sum(rows**2, dim=-1), min=torch.finfo(rows.dtype).tiny)
        return rows + torch.diag_embed(rest.sqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - torch.arange(2, self.dim + 1)
        count = self.dim - 1
        alpha = self.concentration + 0.5 * count
        normalizer = torch.mvlgamma(alpha - 0.5, count) - torch.lgamma(alpha) * count
        return torch.sum(order * diagonal.log(), dim=-1) - normalizer - 0.5 * count * math.log(math.pi)
