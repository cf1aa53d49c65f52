"""Every distribution against PyTorch's: values, samples for a seed, gradients, errors, expanded batches."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rushlight
from tests.distributions.cases import CASES, build

# PyTorch computes gradients of gamma and beta samples by approximations, good to 1e-3 or so.
APPROXIMATE = {"Beta", "Chi2", "Dirichlet", "FisherSnedecor", "Gamma", "InverseGamma", "StudentT"}
# PyTorch tests its samples of the wrong sign of "singular": it draws the regular ones anew, and fails to differentiate.
OTHER_SAMPLES = {"Wishart"}
# PyTorch compares the concentration with a float32 zero, which fails; its Bessel functions are good to 7 digits, and it
# has log(n!) of multinomial distributions in float32.
ONLY_FLOAT32, SEVEN_DIGITS = {"GeneralizedPareto"}, {"VonMises", "Multinomial"}


def outcome(function: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function()
        except Exception as error:  # noqa: BLE001  (which error it is gets compared)
            return error


def compare(
    name: str, ask: Callable[[Any, Any, list], Any], dtype: str = "float64", tolerance: float | None = None
) -> None:
    """`ask(module, distribution, parameters)` of both: equal tensors, or errors of one type and message."""
    if dtype == "float64" and name in ONLY_FLOAT32:
        dtype = "float32"
    tolerance = tolerance or (1e-6 if name in SEVEN_DIGITS else 2e-5 if dtype == "float32" else 1e-9)
    expected, found = (outcome(lambda m=m: ask(m, *build(m, name, dtype))) for m in (torch, rushlight))
    if isinstance(expected, Exception) or isinstance(found, Exception):
        assert type(found) is type(expected), (found, expected)
        assert normal_text(found) == normal_text(expected)
        return
    assert str(found.dtype) == str(expected.dtype)
    assert tuple(found.shape) == tuple(expected.shape)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=tolerance, atol=tolerance)


def normal_text(error: Any) -> str:
    return re.sub(r"rushlight\.", "torch.", str(error))


def gradients(module: Any, value: Any, parameters: list) -> Any:
    found = module.autograd.grad((value * value + value).sum(), parameters, allow_unused=True)
    return module.cat([module.zeros(1).to(value) if grad is None else grad.reshape(-1) for grad in found])


def seeded_value(name: str, dtype: str = "float64") -> np.ndarray:
    torch.manual_seed(9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(torch, name, dtype)[0].sample((3,)).detach().numpy()


every = pytest.mark.parametrize("name", CASES)


def test_all_are_here() -> None:
    ours = rushlight.distributions
    assert set(torch.distributions.__all__) <= set(ours.__all__)
    abstract = {"Distribution", "ExponentialFamily"}
    built = {*CASES, "Independent", "MixtureSameFamily", "TransformedDistribution", *abstract}
    classes = {name for name in torch.distributions.__all__ if isinstance(getattr(ours, name), type)}
    assert {name for name in classes if issubclass(getattr(ours, name), ours.Distribution)} == built


@every
def test_shape_and_repr(name: str) -> None:
    theirs, ours = build(torch, name)[0], build(rushlight, name)[0]
    assert repr(ours) == repr(theirs)
    for attribute in ("batch_shape", "event_shape", "has_rsample", "has_enumerate_support"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    assert repr(ours.support) == repr(theirs.support)
    assert list(ours.arg_constraints) == list(theirs.arg_constraints)
    assert [repr(c) for c in ours.arg_constraints.values()] == [repr(c) for c in theirs.arg_constraints.values()]


@every
def test_moments(name: str) -> None:
    for attribute in ("mean", "mode", "variance", "stddev"):
        compare(name, lambda module, distribution, parameters, a=attribute: getattr(distribution, a))


@every
def test_methods_without_values(name: str) -> None:
    for method in ("entropy", "perplexity", "enumerate_support"):
        compare(name, lambda module, distribution, parameters, m=method: getattr(distribution, m)())


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["sample", "rsample"])
def test_samples_for_a_seed(name: str, method: str, dtype: str) -> None:
    if name in OTHER_SAMPLES:
        pytest.skip("tests/distributions/test_matrices.py has these samples")

    def ask(module: Any, distribution: Any, parameters: list) -> Any:
        module.manual_seed(5)
        return getattr(distribution, method)((4,))

    compare(name, ask, dtype)


@every
def test_gradients_of_samples(name: str) -> None:
    if name in OTHER_SAMPLES:
        pytest.skip("tests/distributions/test_matrices.py has these samples")

    def ask(module: Any, distribution: Any, parameters: list) -> Any:
        module.manual_seed(5)
        return gradients(module, distribution.rsample((4,)), parameters)

    compare(name, ask, tolerance=5e-3 if name in APPROXIMATE else None)


@every
def test_methods_of_values(name: str) -> None:
    for method in ("log_prob", "cdf"):

        def ask(module: Any, distribution: Any, parameters: list, method: str = method) -> Any:
            value = module.from_numpy(seeded_value(name, str(parameters[0].dtype).split(".")[1]))
            return getattr(distribution, method)(value)

        compare(name, ask)


@every
def test_gradients_of_log_densities(name: str) -> None:
    def ask(module: Any, distribution: Any, parameters: list) -> Any:
        value = module.from_numpy(seeded_value(name, str(parameters[0].dtype).split(".")[1]))
        return gradients(module, distribution.log_prob(value), parameters)

    compare(name, ask)


@every
def test_icdf(name: str) -> None:
    def ask(module: Any, distribution: Any, parameters: list) -> Any:
        return distribution.icdf(module.tensor([[0.1, 0.2], [0.6, 0.9]], dtype=parameters[0].dtype))

    compare(name, ask)


@every
def test_expanded(name: str) -> None:
    def ask(module: Any, distribution: Any, parameters: list) -> Any:
        wide = distribution.expand((3, *distribution.batch_shape))
        assert wide.batch_shape == (3, *distribution.batch_shape)
        assert wide.event_shape == distribution.event_shape
        value = module.from_numpy(seeded_value(name, str(parameters[0].dtype).split(".")[1]))
        return wide.log_prob(value)

    compare(name, ask)


@every
def test_expanded_samples(name: str) -> None:
    if name in OTHER_SAMPLES:
        pytest.skip("tests/distributions/test_matrices.py has these samples")

    def ask(module: Any, distribution: Any, parameters: list) -> Any:
        module.manual_seed(5)
        return distribution.expand((3, *distribution.batch_shape)).sample((2,))

    compare(name, ask)


@every
def test_errors_of_values(name: str) -> None:
    for value in (seeded_value(name, "float32") * 0 - 5, np.zeros((5, 7), np.float32)):
        compare(name, lambda module, d, parameters, value=value: d.log_prob(module.from_numpy(value)), "float32")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Normal", {"loc": [0.0], "scale": [-1.0]}),
        ("Uniform", {"low": [1.0], "high": [0.0]}),
        ("Bernoulli", {"probs": [1.5]}),
        ("Bernoulli", {}),
        ("Bernoulli", {"probs": [0.5], "logits": [0.5]}),
        ("Bernoulli", {"probs": "no"}),
        ("Geometric", {"probs": [0.0]}),
        ("Categorical", {"probs": 0.5}),
        ("Categorical", {"probs": [-1.0, 2.0]}),
        ("Dirichlet", {"concentration": 1.0}),
        ("LKJCholesky", {"dim": 1}),
        ("MultivariateNormal", {"loc": [0.0]}),
        ("MultivariateNormal", {"loc": [0.0], "scale_tril": [1.0]}),
        ("MultivariateNormal", {"loc": [0.0, 0.0], "covariance_matrix": [[1.0, 2.0], [2.0, 1.0]]}),
        ("LowRankMultivariateNormal", {"loc": [0.0], "cov_factor": [[1.0]], "cov_diag": [1.0, 2.0]}),
        ("Wishart", {"df": 1.0, "scale_tril": [[1.0, 0.0], [0.0, 1.0]]}),
        ("Multinomial", {"total_count": [1.0], "probs": [0.5, 0.5]}),
    ],
)
def test_errors_of_parameters(name: str, changes: dict[str, Any]) -> None:
    kinds = [
        type(outcome(lambda m=m: build(m, name, "float32", changes or {"validate_args": True})))
        for m in (torch, rushlight)
    ]
    texts = [
        normal_text(outcome(lambda m=m: build(m, name, "float32", changes or {"validate_args": True})))
        for m in (torch, rushlight)
    ]
    assert issubclass(kinds[0], Exception)
    assert kinds[1] is kinds[0]
    assert texts[1] == texts[0]


def test_numbers_as_parameters() -> None:
    for module in (torch, rushlight):
        distribution = module.distributions.Normal(0, 1.0)
        assert distribution.batch_shape == ()
        assert distribution.loc.dtype == module.float32


def test_validation_can_be_turned_off() -> None:
    distributions = rushlight.distributions
    assert distributions.Normal(rushlight.tensor(0.0), rushlight.tensor(-1.0), validate_args=False).scale.item() == -1.0
    distributions.Distribution.set_default_validate_args(False)
    try:
        distributions.Normal(0.0, -1.0)
    finally:
        distributions.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="to satisfy the constraint"):
        distributions.Normal(0.0, -1.0)


def test_subclasses_must_say_how_they_expand() -> None:
    class Standard(rushlight.distributions.Normal):
        def __init__(self) -> None:
            super().__init__(0.0, 1.0)

    with pytest.raises(NotImplementedError, match="Subclass Standard of Normal that defines a custom __init__"):
        Standard().expand((2,))


def test_own_distribution() -> None:
    class Point(rushlight.distributions.Distribution):
        arg_constraints = {}  # noqa: RUF012  (PyTorch's contract)

        def rsample(self, sample_shape: Any = ()) -> Any:
            return rushlight.zeros(self._extended_shape(sample_shape))

    assert Point(rushlight.Size((2,))).sample((3,)).shape == (3, 2)
    with pytest.raises(NotImplementedError):
        Point().expand((2,))
    with pytest.warns(FutureWarning, match="sample_n"):
        assert Point().sample_n(2).shape == (2,)


@pytest.mark.parametrize("module", [torch, rushlight])
def test_wrappers(module: Any) -> None:
    """Independent, mixture and transformed distributions: shapes, and values against sums written out."""
    d = module.distributions
    normal = d.Normal(module.zeros(2, 3), module.ones(2, 3))
    independent = d.Independent(normal, 1)
    assert (independent.batch_shape, independent.event_shape) == ((2,), (3,))
    x = module.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(independent.log_prob(x), normal.log_prob(x).sum(-1))
    assert repr(independent) == "Independent(Normal(loc: torch.Size([2, 3]), scale: torch.Size([2, 3])), 1)"
    assert independent.expand((5, 2)).base_dist.batch_shape == (5, 2, 3)
    with pytest.raises(ValueError, match="Expected reinterpreted_batch_ndims"):
        d.Independent(normal, 3)

    weights = module.tensor([0.25, 0.75])
    mixture = d.MixtureSameFamily(
        d.Categorical(weights), d.Normal(module.tensor([0.0, 2.0]), module.tensor([1.0, 0.5]))
    )
    value = module.tensor(0.5)
    parts = [d.Normal(0.0, 1.0).log_prob(value).exp(), d.Normal(2.0, 0.5).log_prob(value).exp()]
    np.testing.assert_allclose(mixture.log_prob(value).exp(), 0.25 * parts[0] + 0.75 * parts[1], rtol=1e-6)
    np.testing.assert_allclose(mixture.mean, 1.5)
    np.testing.assert_allclose(mixture.variance, 0.25 * (1 + 1.5**2) + 0.75 * (0.25 + 0.5**2))
    assert mixture.expand((4,)).sample((2,)).shape == (2, 4)
    assert repr(mixture).startswith(
        "MixtureSameFamily(\n  Categorical(probs: torch.Size([2]), logits: torch.Size([2])),\n  Normal("
    )

    transformed = d.TransformedDistribution(normal, [d.ExpTransform(), d.AffineTransform(1.0, -2.0)])
    y = 1 - 2 * x.exp()
    np.testing.assert_allclose(transformed.log_prob(y), normal.log_prob(x) - x - np.log(2), rtol=2e-4, atol=1e-4)
    np.testing.assert_allclose(transformed.cdf(y), 1 - normal.cdf(x), atol=1e-5)


def test_mixtures_draw_torchs_numbers() -> None:
    def draw(module: Any) -> Any:
        d, tensor = module.distributions, module.tensor
        components = d.MultivariateNormal(tensor([[0.0, 1.0], [5.0, 3.0]]), scale_tril=module.eye(2))
        module.manual_seed(3)
        return d.MixtureSameFamily(d.Categorical(tensor([0.3, 0.7])), components).sample((5,)).numpy()

    np.testing.assert_allclose(draw(rushlight), draw(torch), rtol=1e-5)
