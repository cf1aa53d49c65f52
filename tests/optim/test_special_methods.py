"""LBFGS, Muon, hooks, half precision, tensors as rates: what the table of test_optimizers.py does not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rushlight


def rosenbrock(library, name, **options):
    """The parameters after each of three steps on Rosenbrock's function, and its last value."""
    x = library.tensor([-1.2, 1.0, 0.3], dtype=library.float64, requires_grad=True)
    optimizer = getattr(library.optim, name)([x], **options)

    def closure():
        optimizer.zero_grad()
        loss = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
        loss.backward()
        return loss

    found = []
    for _ in range(3):
        optimizer.step(closure)
        found.append(x.detach().numpy().copy())
    return found, closure().item(), optimizer.state_dict()["state"][0]


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.001, "max_iter": 5},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "max_iter": 50, "history_size": 3},
        {"line_search_fn": "strong_wolfe", "max_eval": 4},
        {"lr": 30.0, "line_search_fn": "strong_wolfe", "max_iter": 6},  # brackets from far away
    ],
    ids=str,
)
def test_lbfgs_goes_pytorchs_way(options):
    mine, my_loss, my_state = rosenbrock(rushlight, "LBFGS", **options)
    theirs, their_loss, their_state = rosenbrock(torch, "LBFGS", **options)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7)
    assert my_loss == pytest.approx(their_loss, rel=1e-6, abs=1e-12)
    assert (my_state["n_iter"], my_state["func_evals"]) == (their_state["n_iter"], their_state["func_evals"])


def test_lbfgs_finds_the_minimum():
    found, loss, _ = rosenbrock(rushlight, "LBFGS", line_search_fn="strong_wolfe", max_iter=50)
    np.testing.assert_allclose(found[-1], [1, 1, 1], atol=1e-4)
    assert loss < 1e-9


def test_lbfgs_refuses_groups_and_other_searches():
    p, q = rushlight.zeros(1, requires_grad=True), rushlight.zeros(1, requires_grad=True)
    with pytest.raises(ValueError, match="doesn't support per-parameter options"):
        rushlight.optim.LBFGS([{"params": [p]}, {"params": [q]}])
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        rosenbrock(rushlight, "LBFGS", line_search_fn="other")


@pytest.mark.parametrize(
    "options", [{}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}], ids=str
)
def test_muon(options):
    random = np.random.default_rng(0)
    start, grads = random.standard_normal((6, 4)), random.standard_normal((5, 6, 4))

    def run(library):
        p = library.from_numpy(start.copy()).requires_grad_()
        optimizer = library.optim.Muon([p], lr=0.02, **options)
        for grad in grads:
            p.grad = library.from_numpy(grad)
            optimizer.step()
        return p.detach().numpy()

    np.testing.assert_allclose(run(rushlight), run(torch), rtol=0, atol=3e-4)  # an element of bfloat16 may round apart


def test_orthogonalized_has_singular_values_near_one():
    from rushlight.optim.muon import QUINTIC, orthogonalized

    x = rushlight.from_numpy(np.random.default_rng(0).standard_normal((8, 5)))
    values = np.linalg.svd(orthogonalized(x, QUINTIC, 5, 1e-7).float().numpy())[1]
    assert values.min() > 0.5 and values.max() < 1.3


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_keeps_its_state_in_float32(dtype):
    """A second moment that loses 1 - 0.999 of itself stays the same in bfloat16; in float32 it falls."""
    start = np.linspace(-1, 1, 6).astype(np.float32)
    p = rushlight.from_numpy(start).to(getattr(rushlight, dtype)).detach().requires_grad_()
    reference = p.detach().float().requires_grad_()
    optimizers = [rushlight.optim.AdamW([x], lr=0.1) for x in (p, reference)]
    for number in range(5):
        grad = rushlight.from_numpy(np.cos(number + start))
        p.grad, reference.grad = grad.to(p.dtype), grad.to(p.dtype).float()
        for optimizer in optimizers:
            optimizer.step()
        with rushlight.no_grad():
            reference.copy_(reference.to(p.dtype))
    mine, wide = (optimizer.state_dict()["state"][0] for optimizer in optimizers)
    assert mine["exp_avg_sq"].dtype is rushlight.float32
    np.testing.assert_array_equal(mine["exp_avg_sq"].numpy(), wide["exp_avg_sq"].numpy())
    np.testing.assert_array_equal(p.detach().float().numpy(), reference.detach().numpy())
    again = rushlight.optim.AdamW([p])
    again.load_state_dict({"state": {0: {k: v.to(p.dtype) if v.ndim else v for k, v in mine.items()}}, "param_groups": optimizers[0].state_dict()["param_groups"]})  # fmt: skip
    assert again.state[p]["exp_avg"].dtype is rushlight.float32


@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("Adam", {}), ("RAdam", {}), ("ASGD", {})])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_tensor_as_learning_rate(name, options, shape):
    start, grad = np.linspace(-1, 1, 40_000).astype(np.float32), np.linspace(1, 2, 40_000).astype(np.float32)

    def run(library):
        lr = library.full(shape, 0.05)
        p = library.from_numpy(start.copy()).requires_grad_()
        q = library.from_numpy(start.repeat(3)).requires_grad_()  # large enough to be compiled at once
        optimizer = getattr(library.optim, name)([p, q], lr=lr, **options)
        for number in range(4):
            p.grad, q.grad = library.from_numpy(grad), library.from_numpy(grad.repeat(3))
            if number == 2:
                lr.fill_(0.2)
            optimizer.step()
        return p.detach().numpy(), q.detach().numpy()

    for mine, theirs in zip(run(rushlight), run(torch), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_hooks_of_all_kinds():
    calls = []
    p = rushlight.ones(2, requires_grad=True)
    p.grad = rushlight.ones(2)
    optimizer = rushlight.optim.SGD([p], lr=0.1)
    handles = [
        rushlight.optim.optimizer.register_optimizer_step_pre_hook(lambda *_: calls.append("all before")),
        rushlight.optim.optimizer.register_optimizer_step_post_hook(lambda *_: calls.append("all after")),
    ]
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("saving"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: {k: v for k, v in state.items() if k != "more"})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: calls.append(sorted(state)), prepend=True)
    optimizer.register_load_state_dict_post_hook(lambda o: calls.append("loaded"))
    optimizer.step()
    for handle in handles:
        handle.remove()
    state = optimizer.state_dict()
    optimizer.load_state_dict(state)
    optimizer.step()
    assert calls == [
        "all before", "before", "after", "all after", "saving", ["more", "param_groups", "state"], "loaded", "before", "after",
    ]  # fmt: skip


def test_a_step_hook_may_replace_the_arguments():
    p = rushlight.ones(1, requires_grad=True)
    optimizer = rushlight.optim.SGD([p], lr=0.1)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((lambda: 7.0,), {}))
    assert optimizer.step() == 7.0
    optimizer.register_step_pre_hook(lambda *_: 3)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        optimizer.step()


def test_methods_of_users_have_hooks_too():
    class Plain(rushlight.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @rushlight.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p -= group["lr"] * p.grad

    p = rushlight.ones(2, requires_grad=True)
    p.grad = rushlight.ones(2)
    optimizer, calls = Plain([p], 0.25), []
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer.step()
    assert p.tolist() == [0.75, 0.75] and calls == ["after"]


def test_gradients_through_a_step():
    """The derivative of the parameters after two steps by the first gradient, by finite differences."""

    def after(value, library=rushlight):
        p = library.zeros(1, dtype=library.float64).requires_grad_() * 1 + 0.5
        grad = library.tensor([value], dtype=library.float64, requires_grad=True)
        optimizer = library.optim.NAdam([p], lr=0.1, differentiable=True)
        for _ in range(2):
            p.grad = grad
            optimizer.step()
        return p, grad

    p, grad = after(0.3)
    p.sum().backward()
    numeric = (after(0.3 + 1e-5)[0] - after(0.3 - 1e-5)[0]).item() / 2e-5
    assert grad.grad.item() == pytest.approx(numeric, rel=1e-4)


def test_a_state_of_another_shape_changes_nothing():
    p, q = rushlight.ones(3, requires_grad=True), rushlight.ones(4, requires_grad=True)
    mine, other = rushlight.optim.Adam([p], lr=0.5), rushlight.optim.Adam([q])
    for x, optimizer in ((p, mine), (q, other)):
        x.grad = rushlight.ones_like(x)
        optimizer.step()
    with pytest.raises(ValueError, match=r"'exp_avg' of parameter 0 has shape \[4\], expected \[3\]"):
        mine.load_state_dict(other.state_dict())
    assert mine.param_groups[0]["lr"] == 0.5 and mine.state[p]["exp_avg"].shape == (3,)
