"""skip_nonfinite: an update that would write NaN or Inf is not made, of no parameter."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import rushlight


def model(name, size=4, **options):
    params = [rushlight.ones(size, requires_grad=True), rushlight.full((3,), 2.0, requires_grad=True)]
    optimizer = getattr(rushlight.optim, name)(params, lr=0.1, **options)
    optimizer.skip_nonfinite = True
    return params, optimizer


def give(params, bad=None):
    for p in params:
        p.grad = rushlight.full(tuple(p.shape), 0.5)
    if bad is not None:
        params[1].grad = rushlight.tensor([1.0, bad, 1.0])


def snapshot(params, optimizer):
    values = [p.detach().numpy().copy() for p in params]
    for p in params:
        values += [
            np.asarray(x.numpy() if hasattr(x, "numpy") else x).copy() for x in optimizer.state.get(p, {}).values()
        ]
    return values


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("name", "options"),
    [("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adam", {}), ("Adagrad", {}), ("RMSprop", {}), ("Adafactor", {})],
)
@pytest.mark.parametrize("size", [4, 120_000])  # eager, and compiled
def test_nothing_is_written(name, options, bad, size):
    params, optimizer = model(name, size, **options)
    give(params, bad)
    with pytest.warns(RuntimeWarning, match="would have written NaN or Inf and was not made; 1 so far"):
        optimizer.step()
    assert optimizer.num_skipped == 1
    assert all((p == p[0]).all() for p in params) and params[1][0] == 2
    for _ in range(3):
        give(params)
        optimizer.step()
    assert params[0][0] != 1
    before = snapshot(params, optimizer)
    give(params, bad)
    with pytest.warns(RuntimeWarning, match="2 so far"):
        optimizer.step()
    after = snapshot(params, optimizer)
    assert len(before) == len(after) and all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    give(params)
    optimizer.step()
    assert optimizer.num_skipped == 2 and not np.array_equal(before[0], params[0].detach().numpy())


def test_finite_updates_are_the_usual_ones():
    params, optimizer = model("Adam")
    others, plain = model("Adam")
    plain.skip_nonfinite = False
    for _ in range(4):
        for group, each in ((params, optimizer), (others, plain)):
            give(group)
            each.step()
    for a, b in zip(params, others, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    assert optimizer.num_skipped == 0


def test_overflow_of_the_update_itself():
    """The gradient is finite; what would be written is not."""
    p = rushlight.tensor([3e38], requires_grad=True)
    optimizer = rushlight.optim.SGD([p], lr=1.0)
    optimizer.skip_nonfinite = True
    p.grad = rushlight.tensor([-3e38])
    with pytest.warns(RuntimeWarning):
        optimizer.step()
    assert p.item() == pytest.approx(3e38)


def test_rows_of_a_sparse_gradient():
    p = rushlight.ones(5, 2, requires_grad=True)
    optimizer = rushlight.optim.SparseAdam([p], lr=0.1)
    optimizer.skip_nonfinite = True
    for value in (1.0, float("nan")):
        p.grad = rushlight.sparse_coo_tensor([[1, 3]], [[1.0, value], [1.0, 1.0]], (5, 2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer.step()
    expected = np.ones((5, 2))
    expected[[1, 3]] -= 0.1
    np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-6)
    assert optimizer.num_skipped == 1 and optimizer.state[p]["step"] == 1


def test_in_a_compiled_step():
    params, optimizer = model("Adam")

    @rushlight.compile(fullgraph=True)
    def step(x):
        optimizer.zero_grad()
        ((params[0] * x).sum() + (params[1] * x).sum()).backward()
        optimizer.step()

    for value in (1.0, 1.0, float("nan"), 1.0):
        before = params[0].detach().numpy().copy()
        step(rushlight.tensor(value))
        assert np.array_equal(before, params[0].detach().numpy()) == (value != value)
    assert optimizer.num_skipped == 1 and optimizer.state[params[0]]["step"] == 3


def test_lbfgs_goes_back():
    p = rushlight.tensor([1.0], requires_grad=True)
    optimizer = rushlight.optim.LBFGS([p], lr=1.0)
    optimizer.skip_nonfinite = True

    def closure():
        optimizer.zero_grad()
        loss = (p - 3).sqrt()  # no number to the left of 3
        loss.backward()
        return loss

    with pytest.warns(RuntimeWarning):
        optimizer.step(closure)
    assert p.item() == 1.0 and optimizer.num_skipped == 1
