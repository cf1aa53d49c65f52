"""Parameters of every distribution, and the same distribution here and in PyTorch."""

from __future__ import annotations

from types import ModuleType
from typing import Any

TWO = {"loc": [0.0, 1.0], "scale": [1.0, 2.0]}
WEIGHTS = [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]

# Lists and floats become tensors.
CASES: dict[str, dict[str, Any]] = {
    "Bernoulli": {"probs": [0.2, 0.7]},
    "Beta": {"concentration1": [0.5, 3.0], "concentration0": [2.0, 0.7]},
    "Binomial": {"total_count": [10.0, 10.0], "probs": [0.3, 0.6]},
    "Categorical": {"probs": WEIGHTS},
    "Cauchy": TWO,
    "Chi2": {"df": [1.0, 5.0]},
    "ContinuousBernoulli": {"probs": [0.3, 0.5]},
    "Dirichlet": {"concentration": [[0.5, 1.0, 3.0], [2.0, 2.0, 2.0]]},
    "Exponential": {"rate": [0.5, 2.0]},
    "FisherSnedecor": {"df1": [3.0, 5.0], "df2": [6.0, 9.0]},
    "Gamma": {"concentration": [0.5, 3.0], "rate": [1.0, 2.0]},
    "GeneralizedPareto": {**TWO, "concentration": [0.2, -0.3]},
    "Geometric": {"probs": [0.2, 0.7]},
    "Gumbel": TWO,
    "HalfCauchy": {"scale": [1.0, 2.0]},
    "HalfNormal": {"scale": [1.0, 2.0]},
    "InverseGamma": {"concentration": [2.5, 3.0], "rate": [1.0, 2.0]},
    "Kumaraswamy": {"concentration1": [0.5, 3.0], "concentration0": [2.0, 1.7]},
    "LKJCholesky": {"dim": 3, "concentration": [1.0, 2.0]},
    "Laplace": TWO,
    "LogNormal": {"loc": [0.0, 1.0], "scale": [1.0, 0.5]},
    "LogisticNormal": {"loc": [[0.0, 1.0], [1.0, 2.0]], "scale": [[1.0, 0.5], [1.0, 2.0]]},
    "LowRankMultivariateNormal": {
        "loc": [[0.0, 1.0, 2.0]], "cov_factor": [[[1.0], [0.5], [2.0]]], "cov_diag": [[1.0, 2.0, 0.5]]
    },
    "Multinomial": {"total_count": 5, "probs": WEIGHTS},
    "MultivariateNormal": {"loc": [[0.0, 1.0], [2.0, 3.0]], "covariance_matrix": [[2.0, 0.5], [0.5, 1.0]]},
    "NegativeBinomial": {"total_count": [3.0, 5.0], "probs": [0.2, 0.7]},
    "Normal": TWO,
    "OneHotCategorical": {"probs": WEIGHTS},
    "OneHotCategoricalStraightThrough": {"probs": WEIGHTS},
    "Pareto": {"scale": [1.0, 2.0], "alpha": [1.5, 3.0]},
    "Poisson": {"rate": [0.5, 20.0]},
    "RelaxedBernoulli": {"temperature": 0.7, "probs": [0.2, 0.7]},
    "RelaxedOneHotCategorical": {"temperature": 0.7, "probs": WEIGHTS},
    "StudentT": {"df": [1.5, 5.0], **TWO},
    "Uniform": {"low": [0.0, 1.0], "high": [1.0, 3.0]},
    "VonMises": {"loc": [0.0, 1.0], "concentration": [0.5, 3.0]},
    "Weibull": {"scale": [1.0, 2.0], "concentration": [0.8, 2.0]},
    "Wishart": {"df": [4.0, 5.0], "covariance_matrix": [[2.0, 0.5], [0.5, 1.0]]},
}  # fmt: skip


def build(
    torch: ModuleType, name: str, dtype: str = "float64", changes: dict[str, Any] | None = None
) -> tuple[Any, list]:
    """The distribution of a module, and its parameters that are tensors."""
    parameters = {
        key: torch.tensor(value, dtype=getattr(torch, dtype), requires_grad=True)
        if isinstance(value, (list, float))
        else value
        for key, value in (changes or CASES[name]).items()
    }
    tensors = [value for value in parameters.values() if isinstance(value, torch.Tensor)]
    return getattr(torch.distributions, name)(**parameters), tensors
