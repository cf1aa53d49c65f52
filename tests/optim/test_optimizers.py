"""Optimizers against PyTorch's: the same parameters after every step, the same state, each other's checkpoints, its errors."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

import rushlight
from rushlight.optim import compiled

SHAPES = [(), (5,), (3, 4), (2, 3, 2, 2)]
CASES = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-6, "weight_decay": 0.1}),
    ("Adagrad", {"maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-5, "weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"maximize": True, "fused": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}),
    ("Adamax", {"betas": (0.7, 0.8), "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.01}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {"lr": 0.05, "betas": (0.9, 0.8), "weight_decay": 0.1}),  # crosses r = 5 within the steps
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RMSprop", {"alpha": 0.8}),
    ("RMSprop", {"centered": True, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {"etas": (0.4, 1.3), "step_sizes": (1e-3, 0.05)}),
    ("Adadelta", {"rho": 0.8, "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.05, "lambd": 0.1, "t0": 3, "weight_decay": 0.1}),  # averages from step 4 on
    ("Adafactor", {"lr": 0.05, "weight_decay": 0.1, "d": 1.5}),
]
IDS = [f"{name}-{'-'.join(options) or 'default'}" for name, options in CASES]


def arrays(seed: int, dtype: type) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [np.asarray(generator.standard_normal(shape), dtype) for shape in SHAPES]


def make(library, name, options, dtype=np.float64):
    params = [library.from_numpy(array).requires_grad_() for array in arrays(0, dtype)]
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.03}]
    return params, getattr(library.optim, name)(groups, **options)


def step(library, params, optimizer, number: int, dtype=np.float64) -> None:
    for i, (param, grad) in enumerate(zip(params, arrays(number + 1, dtype), strict=True)):
        param.grad = None if i == 1 and number % 2 else library.from_numpy(grad)
    optimizer.step()


def assert_same(mine, theirs, rtol=1e-12):
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_trajectory_and_state(name, options):
    mine, my_optimizer = make(rushlight, name, options)
    theirs, their_optimizer = make(torch, name, options)
    for number in range(8):
        step(rushlight, mine, my_optimizer, number)
        step(torch, theirs, their_optimizer, number)
        assert_same(mine, theirs)
    my_state, their_state = my_optimizer.state_dict(), their_optimizer.state_dict()
    assert my_state["param_groups"] == their_state["param_groups"]
    assert my_state["state"].keys() == their_state["state"].keys()
    for number, values in their_state["state"].items():
        assert my_state["state"][number].keys() == values.keys()
        assert_same(my_state["state"][number].values(), values.values())


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_compiled_updates_are_the_eager_ones(name, options, monkeypatch):
    monkeypatch.setattr(compiled, "PATIENCE", 2)
    mine, my_optimizer = make(rushlight, name, options, np.float32)
    theirs, their_optimizer = make(torch, name, options, np.float32)
    for number in range(12):
        if number == 7:
            for optimizer in (my_optimizer, their_optimizer):
                optimizer.param_groups[0]["lr"] *= 0.5
        step(rushlight, mine, my_optimizer, number, np.float32)
        step(torch, theirs, their_optimizer, number, np.float32)
        assert_same(mine, theirs, rtol=2e-5)
    assert my_optimizer._compiled.programs, "no program ran"
    if name in ("Rprop", "RMSprop"):  # a sign, or a root of almost 0, may differ after the last digits have
        return
    changed = "nesterov" if options.get("momentum") and not options.get("dampening") else "maximize"
    for optimizer in (my_optimizer, their_optimizer):
        optimizer.param_groups[0][changed] = not optimizer.param_groups[0][changed]
    for number in range(12, 16):
        step(rushlight, mine, my_optimizer, number, np.float32)
        step(torch, theirs, their_optimizer, number, np.float32)
    assert_same(mine, theirs, rtol=1e-4)


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_checkpoints_continue_in_the_other_library(name):
    options = {"momentum": 0.9} if name == "SGD" else {}
    theirs, their_optimizer = make(torch, name, options)
    for number in range(4):
        step(torch, theirs, their_optimizer, number)
    mine, my_optimizer = make(rushlight, name, options)
    with rushlight.no_grad():
        for a, b in zip(mine, theirs, strict=True):
            a.copy_(rushlight.from_numpy(b.detach().numpy()))
    my_optimizer.load_state_dict(_carried(their_optimizer.state_dict(), rushlight, torch))
    back, back_optimizer = make(torch, name, options)
    with torch.no_grad():
        for a, b in zip(back, mine, strict=True):
            a.copy_(torch.from_numpy(b.detach().numpy()))
    back_optimizer.load_state_dict(_carried(my_optimizer.state_dict(), torch, rushlight))
    for number in range(4, 8):
        for library, params, optimizer in (
            (torch, theirs, their_optimizer), (rushlight, mine, my_optimizer), (torch, back, back_optimizer)
        ):  # fmt: skip
            step(library, params, optimizer, number)
    rtol = 1e-7 if name == "NAdam" else 1e-12  # loading gives its running product the parameters' precision, there too
    assert_same(mine, theirs, rtol)
    assert_same(back, theirs, rtol)


def _carried(state, to, source, known=None):
    """The same state with the other library's tensors: one for each."""
    known = {} if known is None else known
    if isinstance(state, source.Tensor):
        if id(state) not in known:
            known[id(state)] = _carried_tensor(state, to, source)
        return known[id(state)]
    if isinstance(state, dict):
        return {key: _carried(value, to, source, known) for key, value in state.items()}
    is_list = isinstance(state, (list, tuple))
    return type(state)([_carried(item, to, source, known) for item in state]) if is_list else state


def _carried_tensor(x, to, source):
    if not x.is_sparse:
        return to.from_numpy(x.detach().numpy().copy()).requires_grad_(x.requires_grad)
    x = x.coalesce()
    parts = [_carried(part, to, source) for part in (x.indices(), x.values())]
    return to.sparse_coo_tensor(*parts, tuple(x.shape))


def test_a_state_that_does_not_fit_changes_nothing():
    mine, optimizer = make(rushlight, "Adam", {})
    step(rushlight, mine, optimizer, 0)
    before = copy.deepcopy(optimizer.state_dict())
    for broken in ({"param_groups": before["param_groups"][:1]}, {"param_groups": [{"params": [0]}, {"params": [1]}]}):
        with pytest.raises(ValueError, match="loaded state dict"):
            optimizer.load_state_dict({**before, **broken})
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert_same(after["state"][0].values(), before["state"][0].values())


def test_closures_hooks_zero_grad_and_groups():
    p, q = rushlight.ones(3, requires_grad=True), rushlight.ones(2, requires_grad=True)
    optimizer = rushlight.optim.SGD([("p", p)], lr=0.1)
    optimizer.add_param_group({"params": [("q", q)], "lr": 1.0})
    calls = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum() + (q * q).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 5
    np.testing.assert_allclose(p.detach().numpy(), 0.8 * np.ones(3), rtol=1e-6)
    np.testing.assert_allclose(q.detach().numpy(), -np.ones(2), rtol=1e-6)
    assert calls == ["before", "after"] and optimizer.param_groups[0]["param_names"] == ["p"]
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0, 0]
    optimizer.zero_grad()
    assert p.grad is None
    assert repr(optimizer).startswith("SGD (\nParameter Group 0\n    dampening: 0\n")
    assert pickle.loads(pickle.dumps(optimizer)).param_groups[1]["lr"] == 1.0


BAD = [
    ("SGD", {"lr": -1.0}), ("SGD", {"momentum": -0.1}), ("SGD", {"weight_decay": -1}),
    ("SGD", {"nesterov": True}), ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("SGD", {"fused": True, "differentiable": True}), ("SGD", {"fused": True, "foreach": True}),
    ("Adagrad", {"lr": -1.0}), ("Adagrad", {"lr_decay": -1.0}), ("Adagrad", {"eps": -1.0}),
    ("Adagrad", {"initial_accumulator_value": -1.0}), ("Adagrad", {"lr": float("nan")}),
    ("Adam", {"lr": float("nan")}), ("Adam", {"betas": (1.0, 0.9)}), ("Adam", {"betas": (0.9, -0.1)}),
    ("Adam", {"eps": -1e-8}), ("AdamW", {"weight_decay": -0.1}),
    ("Adamax", {"eps": -1.0}), ("NAdam", {"momentum_decay": -1.0}), ("RAdam", {"weight_decay": -1.0}),
    ("RMSprop", {"alpha": -1.0}), ("RMSprop", {"momentum": -1.0}), ("Rprop", {"etas": (1.1, 1.2)}),
    ("Adadelta", {"rho": 1.5}), ("Adadelta", {"eps": -1.0}), ("ASGD", {"lr": -1.0}), ("ASGD", {"weight_decay": -1.0}),
    ("LBFGS", {"lr": -1.0}), ("Adafactor", {"lr": -1.0}), ("Adafactor", {"eps": (None, -1.0)}),
    ("Adafactor", {"d": 0.5}), ("Adafactor", {"beta2_decay": 0.5}), ("Muon", {"adjust_lr_fn": "none"}),
    ("Muon", {"momentum": -1.0}), ("Muon", {}), ("SparseAdam", {"lr": 0.0}), ("SparseAdam", {"eps": 0.0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), BAD, ids=[f"{n}-{o}" for n, o in BAD])
def test_bad_options_raise_pytorchs_errors(name, options):
    errors = []
    for library in (rushlight, torch):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            getattr(library.optim, name)([library.zeros(2, requires_grad=True)], **options)
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


DATABASE = [(info, i) for info in optim_db for i in range(len(info.optim_error_inputs_func("cpu", torch.float32)))]


@pytest.mark.parametrize(("info", "number"), DATABASE, ids=[f"{info.name}-{i}" for info, i in DATABASE])
def test_errors_of_pytorchs_database(info, number):
    """What PyTorch's own tests expect to fail fails here with the same type and message."""
    case = info.optim_error_inputs_func("cpu", torch.float32)[number]
    given = case.optimizer_error_input
    params, kwargs = _carried(given.params, rushlight, torch), _carried(given.kwargs, rushlight, torch)
    if case.error_on is OptimizerErrorEnum.STEP_ERROR:
        if given.params is None:
            params = [rushlight.zeros(2, 2, dtype=rushlight.complex64, requires_grad=True)]
        for p in params:
            p.grad = rushlight.ones_like(p)
        with pytest.raises(case.error_type, match=case.error_regex):
            getattr(rushlight.optim, info.name)(params, **kwargs).step()
    elif case.error_type is UserWarning:
        with pytest.warns(case.error_type, match=case.error_regex):
            getattr(rushlight.optim, info.name)(params, **kwargs)
    else:
        with pytest.raises(case.error_type, match=case.error_regex):
            getattr(rushlight.optim, info.name)(params, **kwargs)


def test_sgd_refuses_nan_as_the_others_do():
    """PyTorch's SGD compares `lr < 0` and takes it; its Adam and Adagrad refuse it."""
    with pytest.raises(ValueError, match="Invalid learning rate: nan"):
        rushlight.optim.SGD([rushlight.zeros(2, requires_grad=True)], lr=float("nan"))


def test_bad_parameters_raise_pytorchs_errors():
    def cases(library):
        p = library.zeros(2, requires_grad=True)
        yield lambda: library.optim.SGD([])
        yield lambda: library.optim.SGD(p)
        yield lambda: library.optim.SGD(["p"])
        yield lambda: library.optim.SGD([p * 2])
        yield lambda: library.optim.SGD([{"params": [p]}, {"params": [p]}])
        yield lambda: library.optim.SGD([{"params": {p}}])
        yield lambda: library.optim.SGD([p]).add_param_group([p])

    for mine, theirs in itertools.zip_longest(cases(rushlight), cases(torch)):
        with pytest.raises(Exception) as expected:
            theirs()
        with pytest.raises(expected.type) as caught:
            mine()
        assert str(caught.value)[:40] == str(expected.value)[:40]
