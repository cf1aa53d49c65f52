"""Parametrizations that are often wanted: orthogonal matrices, weight normalization, spectral normalization."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from rushlight.api.joining import cat
from rushlight.api.linalg_factor import geqrf, householder_product
from rushlight.api.linalg_solve import solve
from rushlight.api.ranges import eye
from rushlight.autograd.modes import no_grad
from rushlight.nn import functional as F
from rushlight.nn.module import Module
from rushlight.nn.utils import parametrize
from rushlight.nn.utils.spectral_norm import as_matrix, output_dim, random_direction
from rushlight.nn.utils.weight_norm import norm_except_dim, normalized_weight
from rushlight.tensor import Tensor


def _tensor_of(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


# ---------------------------------------------------------------- orthogonal matrices


class _OrthMaps(Enum):
    matrix_exp = auto()
    cayley = auto()
    householder = auto()


class _Orthogonal(Module):
    """A matrix with orthonormal columns (rows, if it is wide), as a function of any matrix.

    With a `base` the map starts there: base @ map(original), where map(original) is the identity at first (Lezcano-Casado, 2019).
    """

    def __init__(self, weight: Tensor, orthogonal_map: _OrthMaps, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == _OrthMaps.householder:
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Any) -> Tensor:  # noqa: N803  (the paper's letters)
        is_wide = X.shape[-2] < X.shape[-1]
        X = X.mT if is_wide else X
        Q = self._by_householder(X) if self.orthogonal_map == _OrthMaps.householder else self._by_skew(X)
        if hasattr(self, "base"):
            Q = self.base @ Q
        return Q.mT if is_wide else Q

    def _by_householder(self, X: Any) -> Any:  # noqa: N803
        """A product of reflections, one for each column below the diagonal; the diagonal has signs."""
        A = X.tril(diagonal=-1)
        tau = 2.0 / (1.0 + (A * A).sum(dim=-2))
        return householder_product(A, tau) * X.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)

    def _by_skew(self, X: Any) -> Any:  # noqa: N803
        """The exponential, or Cayley's map, of the skew matrix with this lower triangle."""
        n, k = X.shape[-2:]
        X = X.tril()
        if n != k:
            X = cat([X, X.new_zeros(*X.shape[:-2], n, n - k)], dim=-1)
        A = X - X.mH
        if self.orthogonal_map == _OrthMaps.matrix_exp:
            Q = A.matrix_exp()
        else:
            identity = eye(n, dtype=A.dtype, device=A.device)
            Q = solve(identity - 0.5 * A, identity + 0.5 * A)
        return Q if n == k else Q[..., :k]

    @no_grad()
    def right_inverse(self, Q: Any) -> Any:  # noqa: N803
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}."
            )
        given = Q
        is_wide = Q.shape[-2] < Q.shape[-1]
        Q = Q.mT if is_wide else Q
        n, k = Q.shape[-2:]
        if not hasattr(self, "base"):
            if self.orthogonal_map != _OrthMaps.householder:
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            A, tau = geqrf(Q)
            A.diagonal(dim1=-2, dim2=-1).sign_()
            A.diagonal(dim1=-2, dim2=-1)[tau == 0.0] *= -1
            return A.mT if is_wide else A
        if n == k:
            self.base = Q.clone() if _is_orthogonal(Q) else _orthogonalized(Q)
        else:
            more = Q.new_empty((*Q.shape[:-2], n, n - k)).normal_()
            self.base = _orthogonalized(cat([Q, more], dim=-1))
        start = given.new_zeros(given.shape)
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)  # which every map takes to the identity
        return start


def _is_orthogonal(Q: Any) -> bool:  # noqa: N803
    from rushlight.dtypes import finfo

    n, k = Q.shape[-2:]
    identity = eye(k, dtype=Q.dtype, device=Q.device)
    return bool(((Q.mH @ Q - identity).abs() <= 10.0 * n * finfo(Q.dtype).eps + 1e-5 * identity.abs()).all())


def _orthogonalized(A: Any) -> Any:  # noqa: N803
    """The orthogonal factor of A's QR factorization with a positive diagonal."""
    X, tau = geqrf(A)
    return householder_product(X, tau) * X.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keeps a weight orthogonal (unitary, if complex): its columns, or rows if it is wide, are orthonormal.

    Args:
        orthogonal_map: "matrix_exp", "cayley" or "householder". Default: the first for square or complex matrices, else the last.
        use_trivialization: start from the present weight, made orthogonal; an assignment then sets a new start.

    Raises:
        ValueError: no such tensor, not a matrix, or no such map.

    Example:
        >>> import rushlight as torch
        >>> layer = orthogonal(torch.nn.Linear(4, 3))
        >>> bool((layer.weight @ layer.weight.T - torch.eye(3)).abs().max() < 1e-5)
        True
    """
    weight = _tensor_of(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        is_square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if is_square or weight.is_complex() else "householder"
    if orthogonal_map not in _OrthMaps.__members__:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    made = _Orthogonal(weight, _OrthMaps[orthogonal_map], use_trivialization=use_trivialization)
    return parametrize.register_parametrization(module, name, made, unsafe=True)


# ---------------------------------------------------------------- lengths


class _WeightNorm(Module):
    """g v / |v|."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return normalized_weight(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Takes a weight apart into its length, `original0`, and its direction, `original1` (Salimans & Kingma, 2016).

    Args:
        dim: each slice along it has a length of its own; None for one length of all.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict: Any, prefix: str, *others: Any) -> None:
        """The state of the first form of weight normalization."""
        old = f"{prefix}{name}_g", f"{prefix}{name}_v"
        if all(key in state_dict for key in old):
            for number, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{number}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    """A weight over its greatest singular value, whose vectors are buffers; a vector over its length."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.ndim
        if not -ndim <= dim < ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                self.register_buffer(name, random_direction(matrix, size, eps))
            self._power_method(matrix, 15)

    @no_grad()
    def _power_method(self, matrix: Any, n_power_iterations: int) -> None:
        for _ in range(n_power_iterations):
            self._u.copy_(F.normalize(matrix.mv(self._v), dim=0, eps=self.eps))
            self._v.copy_(F.normalize(matrix.H.mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix: Any = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the buffers may change again before backward
        return weight / u.vdot(matrix.mv(v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divides a weight by its greatest singular value (Miyato et al., 2018).

    Args:
        n_power_iterations: steps of the power method at each call in training.
        eps: what keeps lengths from 0.
        dim: the dimension that counts outputs. Default: 0, and 1 for transposed convolutions.
    """
    weight = _tensor_of(module, name)
    made = _SpectralNorm(weight, n_power_iterations, output_dim(module, dim), eps)
    return parametrize.register_parametrization(module, name, made)
