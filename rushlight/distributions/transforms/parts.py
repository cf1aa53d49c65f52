"""Transforms of the parts of a tensor, and of its shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.transforms.base import Transform
from rushlight.distributions.transforms.vectors import require_dims
from rushlight.distributions.utils import lazy_property, sum_rightmost
from rushlight.tensor import Size, Tensor


class ReshapeTransform(Transform):
    """Reshapes events.

    Args:
        in_shape: the shape of an event of x.
        out_shape: the shape of an event of y.
        cache_size: 1 keeps the last pair.

    Raises:
        ValueError: the shapes have different numbers of elements.
    """

    bijective = True

    def __init__(self, in_shape: Any, out_shape: Any, cache_size: int = 0):
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError("in_shape, out_shape have different numbers of elements")
        super().__init__(cache_size)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.independent(constraints.real, len(self.in_shape))

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.independent(constraints.real, len(self.out_shape))

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[: x.dim() - len(self.in_shape)] + self.out_shape)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(y.shape[: y.dim() - len(self.out_shape)] + self.in_shape)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[: x.dim() - len(self.in_shape)])

    def forward_shape(self, shape: Any) -> Any:
        return _exchanged(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Any) -> Any:
        return _exchanged(shape, self.out_shape, self.in_shape)


def _exchanged(shape: Any, old: Size, new: Size) -> Any:
    require_dims(shape, len(old))
    cut = len(shape) - len(old)
    if shape[cut:] != old:
        raise ValueError(f"Shape mismatch: expected {shape[cut:]} but got {old}")
    return shape[:cut] + new


class _Parts(Transform):
    """A transform for each part of a tensor along a dimension."""

    transforms: list[Transform]

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0):
        if not all(isinstance(transform, Transform) for transform in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.dim = dim

    def with_cache(self, cache_size: int = 1) -> Any:
        new = super().with_cache(cache_size)
        if new is not self:
            new.transforms = [transform.with_cache(cache_size) for transform in self.transforms]
        return new

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(transform.bijective for transform in self.transforms)

    def _cut(self, value: Tensor, name: str) -> Sequence[Tensor]:
        raise NotImplementedError

    def _join(self, parts: list[Tensor], dim: int) -> Tensor:
        raise NotImplementedError

    def _require_dim(self, value: Tensor, name: str) -> None:
        if not -value.dim() <= self.dim < value.dim():
            raise AssertionError(f"dim {self.dim} out of range for {name} with {value.dim()} dimensions")

    def _call(self, x: Tensor) -> Tensor:
        parts = zip(self.transforms, self._cut(x, "tensor"), strict=True)
        return self._join([transform(part) for transform, part in parts], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        parts = zip(self.transforms, self._cut(y, "tensor"), strict=True)
        return self._join([transform.inv(part) for transform, part in parts], self.dim)

    def _log_dets(self, x: Tensor, y: Tensor) -> list[Tensor]:
        parts = zip(self.transforms, self._cut(x, "x"), self._cut(y, "y"), strict=True)
        return [transform.log_abs_det_jacobian(*part) for transform, *part in parts]


class CatTransform(_Parts):
    """A transform for each part, of given lengths, that `torch.cat` has joined.

    Args:
        tseq: the transforms.
        dim: the dimension along which the parts lie.
        lengths: of the parts; 1 each if not given.
        cache_size: of each transform.
    """

    def __init__(
        self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None, cache_size: int = 0
    ):  # fmt: skip
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(f"lengths ({len(self.lengths)}) must match transforms ({len(self.transforms)})")

    @lazy_property
    def event_dim(self) -> int:  # type: ignore[override]
        return max(transform.event_dim for transform in self.transforms)

    @lazy_property
    def length(self) -> int:
        """Of all parts together."""
        return sum(self.lengths)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.cat([transform.domain for transform in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.cat([transform.codomain for transform in self.transforms], self.dim, self.lengths)

    def _cut(self, value: Tensor, name: str) -> Sequence[Tensor]:
        self._require_dim(value, name)
        if value.size(self.dim) != self.length:
            name = "y" if name == "y" else "x"
            raise AssertionError(f"{name}.size({self.dim}) = {value.size(self.dim)} must equal length {self.length}")
        return value.split(self.lengths, self.dim)

    def _join(self, parts: list[Tensor], dim: int) -> Tensor:
        return torch.cat(parts, dim=dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        terms = [
            sum_rightmost(term, self.event_dim - transform.event_dim)
            for term, transform in zip(self._log_dets(x, y), self.transforms, strict=True)
        ]
        dim = (self.dim - x.dim() if self.dim >= 0 else self.dim) + self.event_dim
        return self._join(terms, dim) if dim < 0 else sum(terms[1:], terms[0])  # the parts may be inside of an event


class StackTransform(_Parts):
    """A transform for each part that `torch.stack` has joined.

    Args:
        tseq: the transforms.
        dim: the dimension along which the parts lie.
        cache_size: of each transform.
    """

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.stack([transform.domain for transform in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.stack([transform.codomain for transform in self.transforms], self.dim)

    def _cut(self, value: Tensor, name: str) -> Sequence[Tensor]:
        self._require_dim(value, name)
        if value.size(self.dim) != len(self.transforms):
            name = "y" if name == "y" else "x"
            raise AssertionError(
                f"{name}.size({self.dim}) = {value.size(self.dim)} must equal len(transforms) {len(self.transforms)}"
            )
        return value.unbind(self.dim)

    def _join(self, parts: list[Tensor], dim: int) -> Tensor:
        return torch.stack(parts, dim=dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self._join(self._log_dets(x, y), self.dim)
