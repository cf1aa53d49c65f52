"""Schedulers beside PyTorch's: sequences and states are in tests/conformance; here errors, warnings, and what is special."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

import rushlight

LIBRARIES = (rushlight, torch)


def optimizer(library, name="SGD", lr=0.5, **options):
    first, second = library.ones(1, requires_grad=True), library.ones(1, requires_grad=True)
    return getattr(library.optim, name)([{"params": [first]}, {"params": [second], "lr": 0.2}], lr=lr, **options)


BAD = [
    lambda s, o: s.StepLR(3, 1),
    lambda s, o: s.LambdaLR(o, [lambda e: 1.0]),
    lambda s, o: s.MultiplicativeLR(o, [lambda e: 1.0]),
    lambda s, o: s.MultiplicativeLR(o, 3),
    lambda s, o: s.ConstantLR(o, 1.5),
    lambda s, o: s.LinearLR(o, 0.0),
    lambda s, o: s.LinearLR(o, 0.5, 1.5),
    lambda s, o: s.ExponentialLR(o, 0.9, last_epoch=3),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=0),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3).step(-1),
    lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    lambda s, o: s.ReduceLROnPlateau(o, "best"),
    lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="none"),
    lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    lambda s, o: s.CyclicLR(o, 0.1, 1.0, mode="square"),
    lambda s, o: s.CyclicLR(o, [0.1], 1.0),
    lambda s, o: s.OneCycleLR(o, 1.0),
    lambda s, o: s.OneCycleLR(o, 1.0, total_steps=0),
    lambda s, o: s.OneCycleLR(o, 1.0, epochs=3, steps_per_epoch=0),
    lambda s, o: s.OneCycleLR(o, 1.0, 10, pct_start=2.0),
    lambda s, o: s.OneCycleLR(o, 1.0, 10, anneal_strategy="square"),
    lambda s, o: s.SequentialLR(o, [], []),
    lambda s, o: s.SequentialLR(o, [s.ConstantLR(o)], [1]),
    lambda s, o: s.SequentialLR(o, [s.ConstantLR(o), s.ReduceLROnPlateau(o)], [1]),
    lambda s, o: s.ChainedScheduler([]),
    lambda s, o: s.ChainedScheduler([s.ConstantLR(o), 3]),
]


@pytest.mark.parametrize("make", BAD)
def test_bad_arguments_raise_pytorchs_errors(make):
    messages = []
    for library in LIBRARIES:
        with pytest.raises(Exception) as caught:
            make(library.optim.lr_scheduler, optimizer(library, momentum=0.9))
        messages.append((caught.type, str(caught.value).splitlines()[0][:60]))
    assert messages[0] == messages[1]


def test_momentum_needs_momentum():
    for library in LIBRARIES:
        with pytest.raises(ValueError, match="optimizer must support momentum or beta1"):
            library.optim.lr_scheduler.OneCycleLR(optimizer(library, "Adagrad"), 1.0, 10)


def test_the_order_of_steps_is_watched():
    for library in LIBRARIES:
        scheduler = library.optim.lr_scheduler.StepLR(optimizer(library), 1)
        with pytest.warns(UserWarning, match="before `optimizer.step"):
            scheduler.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = optimizer(rushlight)
        scheduler = rushlight.optim.lr_scheduler.StepLR(chosen, 1)
        chosen.step()
        scheduler.step()


def test_get_lr_is_not_for_users_and_epochs_are_deprecated():
    chosen = optimizer(rushlight)
    scheduler = rushlight.optim.lr_scheduler.ExponentialLR(chosen, 0.5)
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()
    chosen.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)
    assert scheduler.get_last_lr() == [0.5 * 0.5**3, 0.2 * 0.5**3]


@pytest.mark.parametrize("make", [
    lambda s, o: s.StepLR(o, 2), lambda s, o: s.MultiStepLR(o, [1, 4]), lambda s, o: s.ConstantLR(o, 0.3, 4),
    lambda s, o: s.LinearLR(o, 0.3, 0.9, 4), lambda s, o: s.ExponentialLR(o, 0.8), lambda s, o: s.PolynomialLR(o, 9, 2.0),
    lambda s, o: s.CosineAnnealingLR(o, 7, 0.01),
])  # fmt: skip
def test_the_closed_form_is_where_steps_lead(make):
    chosen = optimizer(rushlight)
    scheduler = make(rushlight.optim.lr_scheduler, chosen)
    chosen.step()
    for _ in range(6):
        scheduler.step()
        np.testing.assert_allclose(scheduler.get_last_lr(), scheduler._get_closed_form_lr(), rtol=1e-12)


def test_fractions_of_epochs():
    rates = []
    for library in LIBRARIES:
        scheduler = library.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer(library), 2, T_mult=2)
        found = []
        for epoch in np.arange(0, 15, 0.7).tolist():
            scheduler.step(epoch)
            found.append(scheduler.get_last_lr())
        rates.append(found)
    np.testing.assert_allclose(*rates, rtol=1e-12)


def test_callable_objects_are_saved():
    class Factor:
        def __init__(self, base):
            self.base = base

        def __call__(self, epoch):
            return self.base**epoch

    make = rushlight.optim.lr_scheduler.LambdaLR
    saved = make(optimizer(rushlight), [Factor(0.5), lambda epoch: 1.0]).state_dict()
    assert saved["lr_lambdas"] == [{"base": 0.5}, None]
    other = make(optimizer(rushlight), [Factor(0.1), lambda epoch: 1.0])
    other.load_state_dict(saved)
    assert other.lr_lambdas[0].base == 0.5


def test_rates_that_are_tensors_are_written_to():
    results = []
    for library in LIBRARIES:
        lr = library.tensor(0.5)
        p = library.ones(1, requires_grad=True)
        chosen = library.optim.SGD([p], lr=lr)
        scheduler = library.optim.lr_scheduler.ExponentialLR(chosen, 0.5)
        p.grad = library.ones(1)
        chosen.step()
        scheduler.step()
        assert chosen.param_groups[0]["lr"] is lr
        results.append((lr.item(), chosen.param_groups[0]["initial_lr"].item()))
    assert results[0] == results[1] == (0.25, 0.5)


def test_a_compiled_step_follows():
    p = rushlight.zeros(1, requires_grad=True)
    chosen = rushlight.optim.SGD([p], lr=1.0)
    scheduler = rushlight.optim.lr_scheduler.StepLR(chosen, 1, gamma=0.5)

    @rushlight.compile(fullgraph=True)
    def step():
        chosen.zero_grad()
        p.sum().backward()
        chosen.step()

    for _ in range(4):
        step()
        scheduler.step()
    assert p.item() == -(1 + 0.5 + 0.25 + 0.125)


def test_plateaus_add_groups():
    chosen = optimizer(rushlight)
    scheduler = rushlight.optim.lr_scheduler.ReduceLROnPlateau(chosen, patience=0, min_lr=0.1)
    chosen.add_param_group({"params": [rushlight.ones(1, requires_grad=True)], "lr": 4.0})
    for metric in (1.0, math.nan, 2.0):
        scheduler.step(rushlight.tensor(metric))
    np.testing.assert_allclose(scheduler.get_last_lr(), [0.1, 0.1, 0.1])
