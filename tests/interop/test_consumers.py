"""Libraries that take arrays take tensors: pandas, matplotlib, SciPy, scikit-learn, einops, opt_einsum."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight import array_api

X = np.random.default_rng(0).normal(size=(20, 3))
T = (X @ [1.0, 2.0, -1.0] > 0).astype(np.int64)


def test_dtypes_are_numpys() -> None:
    if tuple(int(n) for n in np.__version__.split(".")[:2]) < (2, 4):
        pytest.skip("NumPy asks for __numpy_dtype__ since 2.4")
    assert np.zeros(2, torch.float32).dtype == np.float32
    assert np.dtype(torch.bfloat16) == torch.bfloat16.numpy


def test_size_is_a_number_and_a_method() -> None:
    x = torch.ones(2, 3)
    assert x.size == 6 and isinstance(x.size, int)
    assert x.size() == (2, 3) and x.size(1) == 3 and torch.Tensor.size(x, 0) == 2


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    x = torch.tensor(X, requires_grad=True)
    frame = pandas.DataFrame({"a": x[:, 0], "b": np.arange(20)})
    assert frame["a"].dtype == np.float64
    assert pandas.DataFrame(x.detach()).shape == (20, 3)
    assert pandas.Series(torch.arange(3)).tolist() == [0, 1, 2]
    np.testing.assert_allclose(torch.from_numpy(frame["a"].to_numpy(copy=True)).numpy(), X[:, 0])
    assert (frame["b"] + torch.arange(20)).tolist() == list(range(0, 40, 2))


def test_matplotlib() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    x, y = torch.linspace(0, 1, 5), torch.arange(5.0, requires_grad=True)
    (line,) = axes.plot(x, y)
    np.testing.assert_array_equal(line.get_ydata(), np.arange(5.0))
    axes.scatter(x, y, c=y), axes.hist(torch.tensor(X[:, 0])), axes.imshow(torch.tensor(X)), axes.bar(x, y.detach())
    axes.errorbar(x, y, yerr=torch.ones(5)), axes.fill_between(x, y, y + 1)
    figure.canvas.draw()
    plt.close(figure)


def test_scipy_takes_tensors_for_arrays() -> None:
    for name in ("optimize", "linalg", "stats", "interpolate", "sparse"):
        pytest.importorskip(f"scipy.{name}")
    import scipy

    x = torch.tensor(X)
    np.testing.assert_allclose(np.asarray(scipy.linalg.svdvals(x)), scipy.linalg.svdvals(X))
    assert scipy.sparse.csr_array(x).shape == (20, 3)
    found = scipy.optimize.minimize(lambda p: ((torch.tensor(p) - 2) ** 2).sum(), np.zeros(2))
    np.testing.assert_allclose(found.x, 2, atol=1e-4)
    np.testing.assert_allclose(scipy.stats.zscore(np.asarray(x)), scipy.stats.zscore(X))


def test_sklearn_takes_tensors_for_arrays() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.Ridge().fit(torch.tensor(X), torch.tensor(T))
    np.testing.assert_allclose(model.coef_, linear.Ridge().fit(X, T).coef_)
    assert (
        linear.LogisticRegression().fit(torch.tensor(X), torch.tensor(T)).score(torch.tensor(X), torch.tensor(T)) > 0.8
    )


DISPATCH = """
import numpy as np, rushlight as torch
import scipy.special, scipy.stats, scipy.fft, scipy.ndimage
from sklearn import set_config
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import MinMaxScaler, StandardScaler

X = np.random.default_rng(0).normal(size=(20, 3)); T = (X @ [1.0, 2.0, -1.0] > 0).astype(np.int64)
x, t = torch.tensor(X), torch.tensor(T)

def same(found, expected, tolerance=1e-8):
    assert type(found) is torch.Tensor, type(found)
    np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance)

same(scipy.special.logsumexp(x, axis=0), scipy.special.logsumexp(X, axis=0))
same(scipy.special.softmax(x, axis=1), scipy.special.softmax(X, axis=1))
same(scipy.special.expit(x), scipy.special.expit(X))
same(scipy.special.gammaln(abs(x)), scipy.special.gammaln(abs(X)))
same(scipy.stats.zscore(x), scipy.stats.zscore(X))
same(scipy.stats.ttest_ind(x[:10], x[10:]).pvalue, scipy.stats.ttest_ind(X[:10], X[10:]).pvalue)
same(scipy.stats.pearsonr(x[:, 0], x[:, 1]).statistic, scipy.stats.pearsonr(X[:, 0], X[:, 1]).statistic)
same(scipy.stats.skew(x), scipy.stats.skew(X))
same(scipy.fft.rfft(x, axis=0), scipy.fft.rfft(X, axis=0))
same(scipy.ndimage.gaussian_filter(x, 1.0), scipy.ndimage.gaussian_filter(X, 1.0))

def of(model, *arrays):
    return model.fit(*arrays)

numpy_results = {
    "scaler": StandardScaler().fit_transform(X), "minmax": MinMaxScaler().fit_transform(X),
    "ridge": Ridge(solver="svd").fit(X, X[:, 0]).coef_,
    "pca": abs(PCA(2, svd_solver="full").fit_transform(X)), "lda": LinearDiscriminantAnalysis().fit(X, T).predict(X),
}
set_config(array_api_dispatch=True)
same(StandardScaler().fit_transform(x), numpy_results["scaler"])
same(MinMaxScaler().fit_transform(x), numpy_results["minmax"])
same(Ridge(solver="svd").fit(x, x[:, 0]).coef_, numpy_results["ridge"])
same(abs(PCA(2, svd_solver="full").fit_transform(x)), numpy_results["pca"])
lda = LinearDiscriminantAnalysis().fit(x, t)
same(lda.predict(x), numpy_results["lda"])
assert accuracy_score(t, lda.predict(x)) > 0.8
print("all the same")
"""


def test_scipy_and_sklearn_compute_on_tensors_by_the_array_api() -> None:
    """Their switches are read at import, so in a process of its own."""
    pytest.importorskip("sklearn")
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DISPATCH], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "all the same", done.stderr[-3000:]


def test_array_api_compat_finds_the_namespace() -> None:
    compat = pytest.importorskip("array_api_compat")
    x = torch.ones(2, 3)
    assert compat.is_array_api_obj(x)
    assert compat.array_namespace(x, torch.ones(1)) is array_api
    assert compat.size(x) == 6 and compat.device(x) == x.device
    assert compat.to_device(x, "cpu") is x


def test_hypothesis_draws_tensors() -> None:
    extra = pytest.importorskip("hypothesis.extra.array_api")
    hypothesis = pytest.importorskip("hypothesis")
    strategies = extra.make_strategies_namespace(array_api)

    @hypothesis.settings(max_examples=10, deadline=None, database=None)
    @hypothesis.given(strategies.arrays(strategies.scalar_dtypes(), strategies.array_shapes()))
    def check(x: Any) -> None:
        assert isinstance(x, torch.Tensor)

    check()


# ---------------------------------------------------------------- einops and opt_einsum


def test_einops() -> None:
    einops = pytest.importorskip("einops")
    import rushlight.interop.einops  # noqa: F401  (registers itself)

    x = torch.arange(24.0).reshape(2, 3, 4).requires_grad_()
    a = x.detach().numpy()
    for function in (
        lambda x: einops.rearrange(x, "a b c -> (a c) b"),
        lambda x: einops.reduce(x, "a b (c d) -> a c", "mean", d=2),
        lambda x: einops.reduce(x, "a b c -> b", "max"),
        lambda x: einops.reduce(x, "a b c -> b", "prod"),
        lambda x: einops.repeat(x, "a b c -> a b k c", k=2),
        lambda x: einops.rearrange([x, x], "n a b c -> a (n b) c"),
        lambda x: einops.einsum(x, x, "a b c, a d c -> a b d"),
    ):
        found = function(x)
        np.testing.assert_allclose(found.detach().numpy(), function(a))
        assert found.requires_grad
    packed, shapes = einops.pack([x, x[:, 0]], "a * c")
    assert packed.shape == (2, 4, 4) and einops.unpack(packed, shapes, "a * c")[0].shape == (2, 3, 4)


def test_einops_by_the_array_api_needs_no_registration() -> None:
    einops = pytest.importorskip("einops.array_api")
    x = torch.arange(24.0).reshape(2, 3, 4).requires_grad_()
    found = einops.reduce(einops.rearrange(x, "a b c -> c (a b)"), "c k -> c", "sum")
    assert found.tolist() == x.sum((0, 1)).tolist() and found.requires_grad


def test_opt_einsum() -> None:
    opt_einsum = pytest.importorskip("opt_einsum")
    a, b, c = (torch.tensor(X[:4, :3]).requires_grad_(), torch.tensor(X[:3, :2]), torch.tensor(X[4:6, :3]))
    for expression in ("ij,jk,kl->il", "ij,jk,kl->li", "ij,jk,kl->"):
        found = opt_einsum.contract(expression, a, b, c)
        np.testing.assert_allclose(
            found.detach().numpy(), np.einsum(expression, *(x.detach().numpy() for x in (a, b, c)))
        )
        found.sum().backward()
    assert a.grad is not None
