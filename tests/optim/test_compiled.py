"""Compiled updates: templates on parameters of any length, programs one by one, and what makes either compile again."""

from __future__ import annotations

import numpy as np
import pytest

import rushlight
from rushlight.optim import compiled
from rushlight.optim.compiled import OneByOne
from rushlight.optim.each import EachUpdate

SIZES = [0, 1, 5, 16, 17, 100, 4096, 70_001]


def run(name, options, steps=5, dtype=np.float32, change=None):
    random = np.random.default_rng(0)
    params = [rushlight.from_numpy(random.standard_normal(n).astype(dtype)).requires_grad_() for n in SIZES]
    params.append(rushlight.from_numpy(random.standard_normal((3, 4)).astype(dtype)).requires_grad_())
    optimizer = getattr(rushlight.optim, name)([{"params": params[:4]}, {"params": params[4:], "lr": 0.02}], **options)
    for number in range(steps):
        for p in params:
            p.grad = rushlight.from_numpy(random.standard_normal(tuple(p.shape)).astype(dtype))
        if change is not None:
            change(number, params, optimizer)
        optimizer.step()
    return params, optimizer


METHODS = ["SGD", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "Adadelta", "ASGD"]


@pytest.mark.parametrize("name", METHODS)
def test_a_template_does_what_the_eager_update_does(name, monkeypatch):
    options = {"weight_decay": 0.1} if name != "Rprop" else {}
    monkeypatch.setattr(compiled, "LARGE", 0)
    mine, optimizer = run(name, options, dtype=np.float64)
    programs = list(optimizer._compiled.programs.values())
    assert len(programs) == 1 and isinstance(programs[0], EachUpdate)
    monkeypatch.setattr(compiled, "LARGE", 1 << 60)
    eager, plain = run(name, options, dtype=np.float64)
    assert not plain._compiled.programs
    for a, b in zip(mine, eager, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-11, atol=1e-13)
    for a, b in zip(mine, eager, strict=True):
        for key, value in plain.state[b].items():
            np.testing.assert_allclose(optimizer.state[a][key].numpy(), value.numpy(), rtol=1e-6, atol=1e-12)


def test_options_and_rates_may_change():
    def change(number, params, optimizer):
        if number == 2:
            optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["betas"] = 0.3, (0.5, 0.6)
        if number == 3:
            optimizer.param_groups[1]["maximize"] = True
        if number == 4:
            params[2].grad = None
        if number == 5:
            params[-1].grad = params[-1].grad.T.contiguous().T  # not contiguous
        if number == 6:
            params[3].data = params[3].data.clone()

    mine, _ = run("Adam", {}, 8, np.float64, change)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "LARGE", 1 << 60)
        eager, _ = run("Adam", {}, 8, np.float64, change)
    for a, b in zip(mine, eager, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-11, atol=1e-13)


def test_one_template_serves_all_parameters_of_a_group(monkeypatch):
    monkeypatch.setattr(compiled, "LARGE", 0)
    _, optimizer = run("Adam", {}, 2)
    assert len(optimizer._compiled.templates) == 2  # one for each group
    sources = {template.program.source for template in optimizer._compiled.templates.values()}
    assert len(sources) == 1


def test_writes_are_noticed():
    x = rushlight.ones(200_000, requires_grad=True)
    optimizer = rushlight.optim.SGD([x], lr=0.1)
    y = (x * x).sum()
    x.grad = rushlight.ones(200_000)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_parameters_that_share_memory_are_updated_in_order():
    whole = rushlight.ones(200_000)
    views = [whole[:150_000].detach().requires_grad_(), whole[50_000:].detach().requires_grad_()]
    optimizer = rushlight.optim.SGD(views, lr=1.0)
    for view in views:
        view.grad = rushlight.ones(150_000)
    optimizer.step()
    assert whole[0] == 0 and whole[100_000] == -1 and whole[-1] == 0


@pytest.mark.parametrize("name", ["Adafactor", "Muon"])
def test_what_is_not_elementwise_compiles_one_by_one(name):
    random = np.random.default_rng(0)
    starts = [random.standard_normal(shape) for shape in ((300, 200), (4, 3), (300, 200))]

    def train(steps):
        params = [rushlight.from_numpy(start.copy()).requires_grad_() for start in starts]
        optimizer = getattr(rushlight.optim, name)(params, lr=0.05)
        for number in range(steps):
            for i, p in enumerate(params):
                p.grad = rushlight.from_numpy(np.cos(starts[i] + number))
            optimizer.step()
        return params, optimizer

    mine, optimizer = train(4)
    (program,) = optimizer._compiled.programs.values()
    assert isinstance(program, OneByOne) and [p is not None for p in program.programs] == [True, False, True]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "LARGE", 1 << 60)
        eager, _ = train(4)
    for a, b in zip(mine, eager, strict=True):
        # Muon rounds to bfloat16 on its way, and where it rounds apart a step differs by lr / 256
        tolerance = {"rtol": 1e-8} if name == "Adafactor" else {"rtol": 0, "atol": 4 * 0.05 / 256}
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), **tolerance)


def test_no_update_compiles_for_long(monkeypatch):
    monkeypatch.setattr(compiled, "BUDGET", 0.0)
    params = [rushlight.ones(200, 300, requires_grad=True) for _ in range(2)]
    optimizer = rushlight.optim.Adafactor(params)
    for _ in range(3):
        for p in params:
            p.grad = rushlight.ones_like(p)
        optimizer.step()
    (program,) = optimizer._compiled.programs.values()
    assert program.programs == [None, None]


def test_a_branch_on_a_number_is_taken_anew():
    def change(number, params, optimizer):
        for group in optimizer.param_groups:
            group["weight_decay"] = [0.0, 0.0, 0.3, 0.3, 0.0][number]

    mine, _ = run("Adam", {"weight_decay": 0.0}, 5, np.float64, change)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "LARGE", 0)
        small, _ = run("Adam", {"weight_decay": 0.0}, 5, np.float64, change)
        patch.setattr(compiled, "LARGE", 1 << 60)
        eager, _ = run("Adam", {"weight_decay": 0.0}, 5, np.float64, change)
    for a, b, c in zip(mine, small, eager, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), c.detach().numpy(), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(b.detach().numpy(), c.detach().numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "how", ["another tensor as rate", "no state", "another tensor in the state", "constants of a tuple"]
)
def test_what_a_program_is_bound_to_may_be_replaced(how, monkeypatch):
    name = "Rprop" if how == "constants of a tuple" else "Adam"

    def change(number, params, optimizer):
        for group in optimizer.param_groups:
            if how == "another tensor as rate":
                group["lr"] = rushlight.tensor([0.1, 0.1, 0.5, 0.5, 0.2][number])
            elif name == "Rprop":
                group["step_sizes"] = (1e-6, 50) if number < 2 else (1e-6, 0.05 + number / 100)
        if number == 2 and how == "no state":
            optimizer.state.clear()
        if number == 2 and how == "another tensor in the state":
            for state in optimizer.state.values():
                state["exp_avg"] = state["exp_avg"] * 0 + 1

    monkeypatch.setattr(compiled, "LARGE", 0)
    mine, _ = run(name, {}, 5, np.float64, change)
    monkeypatch.setattr(compiled, "LARGE", 1 << 60)
    eager, _ = run(name, {}, 5, np.float64, change)
    for a, b in zip(mine, eager, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-7, atol=1e-9)
