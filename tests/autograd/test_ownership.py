"""Gradients are handed over without a copy where nothing else holds them, and copied where something does."""

from __future__ import annotations

import numpy as np

import rushlight as torch
from rushlight.autograd import engine


def copies_made(monkeypatch, run) -> int:
    """How many gradients `_owned` copied while `run` ran."""
    made = []
    real = engine._owned

    def counting(grad, leaf=None):
        given = grad
        del grad  # so that this function adds no reference of its own but `given`
        engine.REFERENCES += 1
        try:
            result = real(given, leaf)
        finally:
            engine.REFERENCES -= 1
        made.append(result is not given)
        return result

    monkeypatch.setattr(engine, "_owned", counting)
    run()
    return sum(made)


def test_a_gradient_of_a_product_is_not_copied(monkeypatch):
    x = torch.ones(3, 4)
    w = torch.ones(4, 2, requires_grad=True)
    assert copies_made(monkeypatch, lambda: (x @ w).sum().backward()) == 0


def test_leaves_that_get_the_same_array_do_not_share_it():
    a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    (a + b).backward(torch.ones(3))
    a.grad.zero_()
    assert b.grad.tolist() == [1, 1, 1]


def test_the_given_weight_stays_the_callers():
    a, weight = torch.ones(3, requires_grad=True), torch.ones(3)
    a.clone().backward(weight)
    a.grad.zero_()
    assert weight.tolist() == [1, 1, 1]
    (found,) = torch.autograd.grad(a.clone(), a, weight)
    assert not np.shares_memory(found.numpy(), weight.numpy())


def test_a_kept_gradient_is_not_written_to_by_the_next_pass():
    a = torch.ones(3, requires_grad=True)
    kept = []
    a.register_hook(lambda grad: kept.append(grad))
    (a * 2).sum().backward()
    a.grad.add_(5)
    assert kept[0].tolist() == [2, 2, 2]
