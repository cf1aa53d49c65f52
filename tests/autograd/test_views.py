"""In-place operations on views: random programs of views and writes, beside PyTorch."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import rushlight


def program(seed: int, torch: Any) -> Any:
    """Runs a random program: returns values, gradients of the leaves, and what requires gradients."""
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    leaves = [
        torch.tensor(numbers.uniform(0.5, 1.5, (2, 3, 4)).tolist(), dtype=torch.float64, requires_grad=True)
        for _ in range(2)
    ]
    tensors = [leaves[0] * 2, leaves[1].clone() if rng.random() < 0.7 else torch.ones(2, 3, 4, dtype=torch.float64)]
    for _ in range(rng.randint(3, 9)):
        x = rng.choice(tensors)
        kind = rng.choice(["view", "view", "write", "write", "read"])
        if kind == "view" and x.ndim:
            tensors.append(view_of(x, rng, torch))
        elif kind == "write":
            write_to(x, rng, tensors, torch)
        else:
            tensors.append(x * rng.choice([1.5, -0.5]) + 0.25)
    loss = sum(((t * t * (i + 1)).sum() for i, t in enumerate(tensors)), torch.zeros((), dtype=torch.float64))
    flags = [t.requires_grad for t in tensors] + [t.is_leaf for t in tensors] + [t._base is not None for t in tensors]
    if loss.requires_grad:
        loss.backward()
    return tensors, [leaf.grad for leaf in leaves], flags


def view_of(x: Any, rng: random.Random, torch: Any) -> Any:
    axis = rng.randrange(x.ndim)
    size = x.shape[axis]
    choices = [
        lambda: x.transpose(0, -1),
        lambda: x.unsqueeze(axis),
        lambda: x.select(axis, rng.randrange(size)),
        lambda: x.narrow(axis, size // 2, size - size // 2),
        lambda: x[..., ::2],
        lambda: x.permute(*reversed(range(x.ndim))),
        lambda: x.view(-1) if x.is_contiguous() else x.transpose(0, -1),
        lambda: x.squeeze(),
        lambda: x[0],
        lambda: x.view_as(x),
    ]
    return rng.choice(choices)()


def write_to(x: Any, rng: random.Random, tensors: list[Any], torch: Any) -> None:
    kind = rng.randrange(8)
    _ = x.grad_fn  # PyTorch takes a view whose base was written to for a leaf until it is asked
    if kind == 0:
        x.mul_(rng.choice([2.0, 0.5]))
    elif kind == 1:
        x.add_(rng.choice(tensors).sum() * 0.1)
    elif kind == 2:
        x.tanh_()
    elif kind == 3:
        x.copy_(rng.choice(tensors).mean().expand_as(x))
    elif kind == 4:
        x.zero_()
    elif kind == 5 and x.ndim:
        x[0] = rng.choice(tensors).sum() * 0.01
    elif kind == 6:
        x.exp_()
    else:
        x.sub_(x.detach() * 0.5)


@pytest.mark.parametrize("block", range(10))
def test_random_programs_of_views_and_writes(block: int) -> None:
    for seed in range(60 * block, 60 * block + 60):
        results = []
        for torch in (pytorch, rushlight):
            try:
                results.append((program(seed, torch), None))
            except RuntimeError as error:
                results.append((None, str(error)))
        (theirs, wrong), (mine, error) = results
        if wrong is not None:
            assert error is not None, f"seed {seed}: no error, PyTorch: {wrong}"
            assert error[:40] == wrong[:40], f"seed {seed}: {error}; PyTorch: {wrong}"
            continue
        assert error is None, f"seed {seed}: {error}"
        assert theirs[2] == mine[2], f"seed {seed}: requires_grad, is_leaf, is a view: {mine[2]}, not {theirs[2]}"
        for name, expected, got in zip(("value", "gradient"), theirs[:2], mine[:2], strict=True):
            for i, (e, g) in enumerate(zip(expected, got, strict=True)):
                if e is None or g is None:
                    assert e is g, f"seed {seed}: {name} {i}: {g}, not {e}"
                else:
                    np.testing.assert_allclose(
                        g.detach().numpy(), e.detach().numpy(), 1e-10, 1e-10, err_msg=f"seed {seed}: {name} {i}"
                    )


def both(function: Any) -> None:
    for e, g in zip(function(pytorch), function(rushlight), strict=True):
        np.testing.assert_allclose(np.asarray(g.detach().tolist()), np.asarray(e.detach().tolist()), 1e-12)


def test_views_share_memory_both_ways() -> None:
    x = rushlight.zeros(2, 3)
    view, flat = x[1], x.view(-1)
    flat[4] = 7
    view[0] = 5
    assert x.tolist() == [[0, 0, 0], [5, 7, 0]]
    array = x.numpy()
    array[0, 0] = 9
    assert flat[0].item() == 9
    back = rushlight.from_numpy(array)
    back.add_(1)
    assert x.tolist() == [[10, 1, 1], [6, 8, 1]]


def test_history_of_a_base_after_a_write_to_a_view() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        w = torch.tensor(5.0, requires_grad=True)
        y = x * 1
        y[1:].mul_(w)
        y.sum().backward()
        return x.grad, w.grad

    both(program)


def test_history_of_a_view_after_a_write_to_the_base() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 1
        view = y[1:]
        y.mul_(3)
        view.sum().backward()
        return (x.grad,)

    both(program)


def test_constant_memory_that_gets_a_history() -> None:
    def program(torch: Any) -> Any:
        buffer = torch.zeros(4)
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        buffer[1:3] = x * 2
        (buffer * buffer).sum().backward()
        return x.grad, buffer

    both(program)


def test_the_gradient_need_not_lie_in_memory_as_the_base_does() -> None:
    """A sum's gradient is one number everywhere: a flat view of a copy of it is none."""

    def gradients(torch: Any) -> list[Any]:
        found = []
        for write in (
            lambda y, x: y.view(-1)[0].copy_(x.sum()),
            lambda y, x: y.view(9)[::2].mul_(x.reshape(-1)[:5]),
            lambda y, x: y.t().unsqueeze(0)[..., 1].add_(x[0]),
        ):
            x = torch.tensor(
                [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]], dtype=torch.float64, requires_grad=True
            )
            y = x * 1.5
            write(y, x)
            weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
            found.append(torch.autograd.grad(y.sum(-2), x, weights, create_graph=True)[0])
            found.append(torch.autograd.grad((found[-1] * y).sum(0), x, weights)[0])
        return found

    for expected, got in zip(gradients(pytorch), gradients(rushlight), strict=True):
        np.testing.assert_allclose(got.detach().numpy(), expected.detach().numpy(), 1e-12)


def test_a_view_that_was_written_to_finds_its_history_before_it_is_used() -> None:
    """Its node is made anew when it is next used, and has to come before that of the use: the order of the walk, and masks."""
    results = []
    for lib in (rushlight, pytorch):
        x, w = (lib.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
        h = (x * w).unsqueeze(0)
        h.mul_(3)
        loss = (h**2).sum() + (h * w).sum() + h.exp().sum()
        grads = [*lib.autograd.grad(loss, [x], retain_graph=True), *lib.autograd.grad(loss, [x, w])]
        results.append([g.tolist() for g in grads])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)
