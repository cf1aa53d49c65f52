"""Transforms, constraints and their registries: against PyTorch, inverses, and Jacobians by autograd."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rushlight

MODULES = (torch, rushlight)

# (what makes the transform of a module's distributions, an input)
VECTOR, MATRIX = [[0.3, -1.2, 0.7]], [[0.3, -1.2], [0.7, 0.5]]
TRANSFORMS: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "Exp": (lambda d, t: d.ExpTransform(), VECTOR),
    "Power": (lambda d, t: d.PowerTransform(t([2.0, 0.5, -1.0])), [[0.3, 1.2, 0.7]]),
    "Sigmoid": (lambda d, t: d.SigmoidTransform(), VECTOR),
    "Softplus": (lambda d, t: d.SoftplusTransform(), VECTOR),
    "Tanh": (lambda d, t: d.TanhTransform(), VECTOR),
    "Abs": (lambda d, t: d.AbsTransform(), VECTOR),
    "Affine": (lambda d, t: d.AffineTransform(t([1.0, 2.0, 3.0]), -2.0), VECTOR),
    "Affine of vectors": (lambda d, t: d.AffineTransform(0.0, t([1.0, 2.0, 3.0]), event_dim=1), VECTOR),
    "CorrCholesky": (lambda d, t: d.CorrCholeskyTransform(), VECTOR),
    "Softmax": (lambda d, t: d.SoftmaxTransform(), VECTOR),
    "StickBreaking": (lambda d, t: d.StickBreakingTransform(), VECTOR),
    "LowerCholesky": (lambda d, t: d.LowerCholeskyTransform(), MATRIX),
    "PositiveDefinite": (lambda d, t: d.PositiveDefiniteTransform(), MATRIX),
    "Reshape": (lambda d, t: d.ReshapeTransform((3,), (1, 3)), VECTOR),
    "Cdf": (lambda d, t: d.CumulativeDistributionTransform(d.Normal(0.0, 1.0)), VECTOR),
    "Independent": (lambda d, t: d.IndependentTransform(d.ExpTransform(), 1), VECTOR),
    "Compose": (lambda d, t: d.ComposeTransform([d.AffineTransform(0.0, 2.0), d.StickBreakingTransform()]), VECTOR),
    "identity": (lambda d, t: d.identity_transform, VECTOR),
    "inverse": (lambda d, t: d.ExpTransform().inv, [[0.3, 1.2, 0.7]]),
    "Cat": (lambda d, t: d.CatTransform([d.ExpTransform(), d.TanhTransform()], dim=-1, lengths=[1, 2]), VECTOR),
    "Stack": (lambda d, t: d.StackTransform([d.ExpTransform(), d.TanhTransform(), d.AffineTransform(1, 2)], 1), VECTOR),
}  # fmt: skip
every = pytest.mark.parametrize("name", TRANSFORMS)


def make(module: Any, name: str) -> tuple[Any, Any]:
    build, x = TRANSFORMS[name]
    return build(module.distributions, lambda v: module.tensor(v, dtype=module.float64)), module.tensor(
        x, dtype=module.float64
    )


def attempt(function: Callable[[], Any]) -> Any:
    try:
        result = function()
    except (NotImplementedError, ValueError, AssertionError) as error:
        return type(error), str(error)
    return result.numpy() if hasattr(result, "numpy") else result


def same(ask: Callable[[Any, Any, Any], Any], name: str) -> None:
    expected, found = (attempt(lambda m=m: ask(m, *make(m, name))) for m in MODULES)
    if isinstance(expected, np.ndarray):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    else:
        assert found == expected


@every
def test_values(name: str) -> None:
    same(lambda module, transform, x: transform(x), name)
    same(lambda module, transform, x: transform.inv(transform(x)), name)
    same(lambda module, transform, x: transform.log_abs_det_jacobian(x, transform(x)), name)


@every
def test_what_is_known_of_it(name: str) -> None:
    same(lambda module, transform, x: repr(transform), name)
    same(lambda module, transform, x: repr(transform.inv), name)
    same(lambda module, transform, x: transform.bijective, name)
    same(lambda module, transform, x: transform.sign, name)
    same(lambda module, transform, x: (repr(transform.domain), transform.domain.event_dim), name)
    same(lambda module, transform, x: (repr(transform.codomain), transform.codomain.event_dim), name)
    same(lambda module, transform, x: tuple(transform.forward_shape(x.shape)), name)
    same(lambda module, transform, x: tuple(transform.inverse_shape(transform(x).shape)), name)
    same(lambda module, transform, x: tuple(transform.forward_shape(())), name)


@every
def test_inverse_and_cache(name: str) -> None:
    transform, x = make(rushlight, name)
    assert transform.inv.inv is transform
    assert transform.with_cache(transform._cache_size) is transform
    cached = transform.with_cache()
    np.testing.assert_allclose(cached(x), transform(x))
    if transform.bijective and name not in ("inverse", "Cdf"):
        y = cached(x)
        np.testing.assert_allclose(cached.inv(y), x, rtol=1e-9)
    if not isinstance(cached, rushlight.distributions.ComposeTransform) and name != "inverse":
        assert cached(x) is cached(x)
    assert pickle.loads(pickle.dumps(transform)).bijective == transform.bijective


@pytest.mark.parametrize(
    "name", ["Exp", "Power", "Sigmoid", "Softplus", "Tanh", "Affine", "Affine of vectors", "StickBreaking"]
)
def test_jacobian_by_autograd(name: str) -> None:
    transform, x = make(rushlight, name)
    x = x[0].requires_grad_()
    y = transform(x)[..., :3]  # the last component of a simplex follows from the others
    rows = [rushlight.autograd.grad(y[i], x, retain_graph=True)[0] for i in range(3)]
    log_det = transform.log_abs_det_jacobian(x, transform(x))
    expected = np.linalg.slogdet(rushlight.stack(rows).numpy())[1]
    np.testing.assert_allclose(log_det.sum().item(), expected, rtol=1e-9)


def test_equality() -> None:
    for module in MODULES:
        d = module.distributions
        assert d.ExpTransform() == d.ExpTransform() and d.ExpTransform() != d.TanhTransform()
        assert d.AffineTransform(1.0, 2.0) == d.AffineTransform(1, 2) and d.AffineTransform(
            1.0, 2.0
        ) != d.AffineTransform(1.0, 3.0)
        assert d.AffineTransform(module.ones(2), 2.0) == d.AffineTransform(module.ones(2), 2.0)
        assert d.ComposeTransform([d.ExpTransform()]) == d.ComposeTransform([d.ExpTransform()])
        assert d.ExpTransform().inv == d.ExpTransform().inv
        assert d.PowerTransform(2.0) == d.PowerTransform(2.0) and d.PowerTransform(2.0) != d.PowerTransform(3.0)


def test_errors() -> None:
    cases: list[Callable[[Any, Any], Any]] = [
        lambda m, d: d.ExpTransform(cache_size=2),
        lambda m, d: d.ReshapeTransform((2,), (3,)),
        lambda m, d: d.CorrCholeskyTransform().forward_shape((4,)),
        lambda m, d: d.CorrCholeskyTransform().inverse_shape((4, 3)),
        lambda m, d: d.CatTransform([d.ExpTransform()], lengths=[1, 2]),
        lambda m, d: d.CatTransform([1]),
        lambda m, d: d.CatTransform([d.ExpTransform()], dim=1)(m.ones(1)),
        lambda m, d: d.CatTransform([d.ExpTransform()])(m.ones(3)),
        lambda m, d: d.StackTransform([d.ExpTransform()])(m.ones(3)),
        lambda m, d: d.IndependentTransform(d.ExpTransform(), 1)(m.tensor(1.0)),
        lambda m, d: d.TransformedDistribution(d.Normal(0.0, 1.0), d.StickBreakingTransform()),
        lambda m, d: d.TransformedDistribution(d.Normal(0.0, 1.0), "exp"),
        lambda m, d: d.StickBreakingTransform().event_dim + d.CorrCholeskyTransform().event_dim,
    ]
    for case in cases:
        expected, found = (attempt(lambda m=m, case=case: case(m, m.distributions)) for m in MODULES)
        assert isinstance(expected, tuple) and found == expected


# ---------------------------------------------------------------- constraints

CONSTRAINTS: dict[str, Callable[[Any, Any], Any]] = {
    "boolean": lambda c, t: c.boolean,
    "one_hot": lambda c, t: c.one_hot,
    "nonnegative_integer": lambda c, t: c.nonnegative_integer,
    "positive_integer": lambda c, t: c.positive_integer,
    "integer_interval": lambda c, t: c.integer_interval(-1, 2),
    "real": lambda c, t: c.real,
    "real_vector": lambda c, t: c.real_vector,
    "positive": lambda c, t: c.positive,
    "nonnegative": lambda c, t: c.nonnegative,
    "greater_than": lambda c, t: c.greater_than(0.5),
    "greater_than_eq": lambda c, t: c.greater_than_eq(0.5),
    "less_than": lambda c, t: c.less_than(t([0.5, 1.0])),
    "multinomial": lambda c, t: c.multinomial(2),
    "unit_interval": lambda c, t: c.unit_interval,
    "interval": lambda c, t: c.interval(-1.0, 2.0),
    "half_open_interval": lambda c, t: c.half_open_interval(0.0, 1.0),
    "simplex": lambda c, t: c.simplex,
    "lower_triangular": lambda c, t: c.lower_triangular,
    "lower_cholesky": lambda c, t: c.lower_cholesky,
    "corr_cholesky": lambda c, t: c.corr_cholesky,
    "square": lambda c, t: c.square,
    "symmetric": lambda c, t: c.symmetric,
    "positive_semidefinite": lambda c, t: c.positive_semidefinite,
    "positive_definite": lambda c, t: c.positive_definite,
    "cat": lambda c, t: c.cat([c.positive, c.boolean], -1, [1, 1]),
    "stack": lambda c, t: c.stack([c.positive, c.real], -1),
    "independent": lambda c, t: c.independent(c.positive, 1),
    "mixture": lambda c, t: c.MixtureSameFamilyConstraint(c.positive),
    "dependent": lambda c, t: c.dependent(is_discrete=True),
}  # fmt: skip
MATRICES = [
    [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.6, 0.8]], [[2.0, 1.0], [1.0, 1.0]], [[-1.0, 0.0], [2.0, 1.0]],
    [[0.5, 0.5], [0.0, 1.0]], [[float("nan"), 1.0], [2.0, 1.5]],
]  # fmt: skip


def constraint_of(module: Any, name: str) -> Any:
    return CONSTRAINTS[name](module.distributions.constraints, module.tensor)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints(name: str) -> None:
    for matrix in MATRICES:
        expected, found = (attempt(lambda m=m, x=matrix: constraint_of(m, name).check(m.tensor(x))) for m in MODULES)
        np.testing.assert_array_equal(found, expected)
    theirs, ours = (constraint_of(m, name) for m in MODULES)
    assert repr(ours) == repr(theirs)
    for attribute in ("is_discrete", "event_dim"):
        assert attempt(lambda a=attribute: getattr(ours, a)) == attempt(lambda a=attribute: getattr(theirs, a))


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_registries(name: str, registry: str) -> None:
    def transform(module: Any) -> Any:
        return getattr(module.distributions, registry)(constraint_of(module, name))

    expected, found = (attempt(lambda m=m: repr(transform(m))) for m in MODULES)
    assert found == expected
    if isinstance(found, str):
        x = [[0.3, -0.2], [0.5, 1.0]] if name != "corr_cholesky" else [[0.3], [0.5]]
        y = transform(rushlight)(rushlight.tensor(x))
        assert constraint_of(rushlight, name).check(y).all()
        np.testing.assert_allclose(y, transform(torch)(torch.tensor(x)), rtol=1e-6)


def test_registering() -> None:
    registry = rushlight.distributions.constraint_registry.ConstraintRegistry()
    constraints = rushlight.distributions.constraints

    @registry.register(constraints.positive)
    def _exp(constraint: Any) -> Any:
        return "exp"

    assert registry(constraints.greater_than(3.0)) == "exp"
    with pytest.raises(NotImplementedError, match="Cannot transform _Real constraints"):
        registry(constraints.real)
    with pytest.raises(TypeError, match="Expected constraint to be either a Constraint subclass or instance"):
        registry.register(3, _exp)
