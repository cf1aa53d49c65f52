"""`biject_to` and `transform_to`: a transform from unconstrained numbers to those that satisfy a constraint.

`biject_to` gives bijective transforms, for sampling; `transform_to` may give ones that are better to optimize through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.distributions import constraints, transforms
from rushlight.distributions.utils import NUMBER


class ConstraintRegistry:
    """Functions from constraints to transforms, by the type of the constraint.

    Example:
        >>> import rushlight as torch
        >>> torch.distributions.transform_to(constraints.positive)(torch.zeros(2))
        tensor([1., 1.])
    """

    def __init__(self) -> None:
        self._registry: dict[type, Callable[[Any], Any]] = {}
        super().__init__()

    def register(self, constraint: Any, factory: Callable[[Any], Any] | None = None) -> Any:
        """Adds a function for a type of constraint (or that of an instance); without one, a decorator that adds it.

        Raises:
            TypeError: no constraint.
        """
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        kind = type(constraint) if isinstance(constraint, constraints.Constraint) else constraint
        if not isinstance(kind, type) or not issubclass(kind, constraints.Constraint):
            raise TypeError(f"Expected constraint to be either a Constraint subclass or instance, but got {constraint}")
        self._registry[kind] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        """The transform for a constraint.

        Raises:
            NotImplementedError: there is none.
        """
        factory = self._registry.get(type(constraint))
        if factory is None:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints")
        return factory(constraint)


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _exp_then(loc: Any, scale: Any) -> Any:
    return transforms.ComposeTransform([transforms.ExpTransform(), transforms.AffineTransform(loc, scale)])


def _to_interval(constraint: Any) -> Any:
    lower, upper = constraint.lower_bound, constraint.upper_bound
    if isinstance(lower, NUMBER) and lower == 0 and isinstance(upper, NUMBER) and upper == 1:
        return transforms.SigmoidTransform()
    return transforms.ComposeTransform(
        [transforms.SigmoidTransform(), transforms.AffineTransform(lower, upper - lower)]
    )


def _fill(registry: ConstraintRegistry) -> None:
    """What both registries have. Transforms of parts use the registry that they are in."""
    register = registry.register
    register(constraints.real, lambda constraint: transforms.identity_transform)
    register(
        constraints.independent,
        lambda constraint: transforms.IndependentTransform(
            registry(constraint.base_constraint), constraint.reinterpreted_batch_ndims
        ),
    )
    # `positive` and `nonnegative` are instances of these two.
    for kind in (constraints.greater_than, constraints.greater_than_eq):
        register(kind, lambda constraint: _exp_then(constraint.lower_bound, 1))
    register(constraints.less_than, lambda constraint: _exp_then(constraint.upper_bound, -1))
    for kind in (constraints.interval, constraints.half_open_interval):
        register(kind, _to_interval)
    register(constraints.corr_cholesky, lambda constraint: transforms.CorrCholeskyTransform())
    register(
        constraints.cat,
        lambda constraint: transforms.CatTransform(
            [registry(part) for part in constraint.cseq], constraint.dim, constraint.lengths
        ),
    )
    register(
        constraints.stack,
        lambda constraint: transforms.StackTransform([registry(part) for part in constraint.cseq], constraint.dim),
    )


_fill(biject_to)
_fill(transform_to)
biject_to.register(constraints.simplex, lambda constraint: transforms.StickBreakingTransform())
transform_to.register(constraints.simplex, lambda constraint: transforms.SoftmaxTransform())
transform_to.register(constraints.lower_cholesky, lambda constraint: transforms.LowerCholeskyTransform())
for _kind in (constraints.positive_definite, constraints.positive_semidefinite):
    transform_to.register(_kind, lambda constraint: transforms.PositiveDefiniteTransform())
