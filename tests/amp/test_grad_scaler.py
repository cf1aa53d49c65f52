"""GradScaler beside PyTorch's: the same factors, the same steps left out, each other's states."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rushlight

OPTIONS = {"init_scale": 1024.0, "growth_factor": 3.0, "backoff_factor": 0.25, "growth_interval": 2}


def train(library, bad_at=(), steps=8, state=None):
    p = library.tensor([1.0, 2.0], requires_grad=True)
    optimizer = library.optim.SGD([p], lr=0.1)
    scaler = library.amp.GradScaler("cpu", **OPTIONS)
    if state is not None:
        scaler.load_state_dict(state)
    history = []
    for number in range(steps):
        optimizer.zero_grad()
        loss = (p * p).sum() * (float("inf") if number in bad_at else 1.0)
        scaler.scale(loss).backward()
        if number % 2:
            scaler.unscale_(optimizer)
            library.nn.utils.clip_grad_norm_([p], 1.0)
        scaler.step(optimizer)
        scaler.update()
        history.append((scaler.get_scale(), p.detach().numpy().copy()))
    return history, scaler


@pytest.mark.parametrize("bad_at", [(), (2,), (1, 2, 5)])
def test_scales_and_steps(bad_at):
    (mine, my_scaler), (theirs, their_scaler) = train(rushlight, bad_at), train(torch, bad_at)
    for (a, p), (b, q) in zip(mine, theirs, strict=True):
        assert a == b
        np.testing.assert_allclose(p, q, rtol=1e-6)
    assert my_scaler.state_dict() == their_scaler.state_dict()
    going_on = [train(library, (3,), 4, state)[0] for library, state in ((rushlight, their_scaler.state_dict()), (torch, my_scaler.state_dict()))]  # fmt: skip
    assert [scale for scale, _ in going_on[0]] == [scale for scale, _ in going_on[1]]


def test_lists_of_losses_and_sparse_gradients():
    scaler = rushlight.amp.GradScaler("cpu", init_scale=4.0)
    a, b = scaler.scale([rushlight.tensor(1.0), rushlight.tensor(2.0)])
    assert (a.item(), b.item()) == (4, 8)
    w = rushlight.ones(4, 2, requires_grad=True)
    optimizer = rushlight.optim.SGD([w], lr=1.0)
    rushlight.nn.functional.embedding(rushlight.tensor([1, 1]), w, sparse=True).sum().mul(4.0).backward()
    scaler.step(optimizer)
    assert w[1].tolist() == [-1, -1] and w[0].tolist() == [1, 1]


def test_a_disabled_scaler_does_nothing(without_gpu):
    scaler = rushlight.amp.GradScaler("cpu", enabled=False)
    loss = rushlight.tensor(2.0)
    assert scaler.scale(loss) is loss and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not rushlight.amp.GradScaler().is_enabled()


def test_a_compiled_step_with_a_scaler_runs_eager():
    p = rushlight.ones(1, requires_grad=True)
    optimizer, scaler = rushlight.optim.SGD([p], lr=0.25), rushlight.amp.GradScaler("cpu")

    @rushlight.compile
    def step():
        optimizer.zero_grad()
        scaler.scale(p.sum()).backward()
        scaler.step(optimizer)
        scaler.update()

    with pytest.warns(UserWarning, match="runs eager"):
        step()
    step()
    assert p.item() == 0.5


def misuse(library):
    p = library.ones(1, requires_grad=True)
    optimizer = library.optim.SGD([p], lr=0.1)
    scaler = library.amp.GradScaler("cpu")
    yield lambda: scaler.step(optimizer)
    yield lambda: library.amp.GradScaler("cpu", growth_factor=1.0)
    yield lambda: library.amp.GradScaler("cpu", backoff_factor=1.0)
    scaler.scale(p.sum()).backward()
    yield lambda: scaler.update()
    yield lambda: scaler.step(optimizer, closure=lambda: 0)
    scaler.unscale_(optimizer)
    yield lambda: scaler.unscale_(optimizer)
    scaler.step(optimizer)
    yield lambda: scaler.step(optimizer)
    yield lambda: scaler.unscale_(optimizer)
    yield lambda: scaler.load_state_dict({})
    half = library.ones(1, dtype=library.float16, requires_grad=True)
    half.grad = library.ones(1, dtype=library.float16)
    yield lambda: scaler.unscale_(library.optim.SGD([half], lr=0.1))


def test_misuse_raises_pytorchs_errors():
    for mine, theirs in zip(misuse(rushlight), misuse(torch), strict=True):
        with pytest.raises((AssertionError, RuntimeError, ValueError)) as expected:
            theirs()
        with pytest.raises(expected.type) as caught:
            mine()
        assert str(caught.value)[:40] == str(expected.value)[:40]
