"""Invertible transformations with the logarithm of their Jacobian's determinant."""

from rushlight.distributions.transforms.base import (
    ComposeTransform,
    IndependentTransform,
    Transform,
    identity_transform,
)
from rushlight.distributions.transforms.elementwise import (
    AbsTransform, AffineTransform, CumulativeDistributionTransform, ExpTransform, PowerTransform, SigmoidTransform,
    SoftplusTransform, TanhTransform,
)  # fmt: skip
from rushlight.distributions.transforms.matrices import (
    CorrCholeskyTransform, LowerCholeskyTransform, PositiveDefiniteTransform,
)  # fmt: skip
from rushlight.distributions.transforms.parts import CatTransform, ReshapeTransform, StackTransform
from rushlight.distributions.transforms.vectors import SoftmaxTransform, StickBreakingTransform

__all__ = [
    "AbsTransform", "AffineTransform", "CatTransform", "ComposeTransform", "CorrCholeskyTransform",
    "CumulativeDistributionTransform", "ExpTransform", "IndependentTransform", "LowerCholeskyTransform",
    "PositiveDefiniteTransform", "PowerTransform", "ReshapeTransform", "SigmoidTransform", "SoftplusTransform",
    "TanhTransform", "SoftmaxTransform", "StackTransform", "StickBreakingTransform", "Transform", "identity_transform",
]  # fmt: skip
