"""swa_utils beside PyTorch's: averages, statistics of batch norms, and the rate's way to its last value."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rushlight

LIBRARIES = (rushlight, torch)


def model(library):
    net = library.nn.Sequential(library.nn.Linear(3, 4), library.nn.BatchNorm1d(4), library.nn.Linear(4, 2))
    random = np.random.default_rng(0)
    with library.no_grad():
        for p in net.parameters():
            p.copy_(library.from_numpy(random.standard_normal(tuple(p.shape)).astype(np.float32)))
    return net


AVERAGES = [
    lambda u: {}, lambda u: {"avg_fn": u.get_ema_avg_fn(0.7)}, lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.7)},
    lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()}, lambda u: {"avg_fn": u.get_swa_avg_fn(), "use_buffers": True},
    lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.7), "use_buffers": True},
    lambda u: {"avg_fn": lambda average, value, count: average * 0.5 + value * 0.5},
]  # fmt: skip


@pytest.mark.parametrize("options", AVERAGES)
def test_averages(options):
    states = []
    for library in LIBRARIES:
        net, random = model(library), np.random.default_rng(1)
        averaged = library.optim.swa_utils.AveragedModel(net, **options(library.optim.swa_utils))
        for _ in range(4):
            net(library.from_numpy(random.standard_normal((5, 3)).astype(np.float32)))
            with library.no_grad():
                for p in net.parameters():
                    p.add_(library.from_numpy(random.standard_normal(tuple(p.shape)).astype(np.float32)))
            averaged.update_parameters(net)
        states.append({key: value.numpy() for key, value in averaged.state_dict().items()})
    assert list(states[0]) == list(states[1]) and states[0]["n_averaged"] == 4
    for key, value in states[1].items():
        np.testing.assert_allclose(states[0][key], value, rtol=1e-5, atol=1e-6, err_msg=key)


def test_update_bn():
    found = []
    for library in LIBRARIES:
        net, random = model(library), np.random.default_rng(1)
        batches = [library.from_numpy(random.standard_normal((6, 3)).astype(np.float32)) for _ in range(3)]
        net.eval()
        library.optim.swa_utils.update_bn([(batches[0], 0), *batches[1:]], net)
        assert not net.training and net[1].momentum == 0.1
        found.append((net[1].running_mean.numpy(), net[1].running_var.numpy(), int(net[1].num_batches_tracked)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"anneal_epochs": 4, "anneal_strategy": "linear"}, {"anneal_epochs": 0}], ids=str
)
def test_swalr(options):
    sequences = []
    for library in LIBRARIES:
        p, q = library.ones(1, requires_grad=True), library.ones(1, requires_grad=True)
        optimizer = library.optim.SGD([{"params": [p], "lr": 0.5}, {"params": [q], "lr": 0.1}])
        scheduler = library.optim.swa_utils.SWALR(optimizer, swa_lr=[0.05, 0.2], **options)
        optimizer.step()
        found = []
        for epoch in range(14):
            scheduler.step()
            found.append(scheduler.get_last_lr())
            if epoch == 5:
                scheduler.load_state_dict(scheduler.state_dict())
        sequences.append(found)
    np.testing.assert_allclose(*sequences, rtol=1e-9)


def test_bad_arguments():
    for library in LIBRARIES:
        utils = library.optim.swa_utils
        with pytest.raises(ValueError, match=r"Invalid decay value 1\.5 provided"):
            utils.get_ema_avg_fn(1.5)
        with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
            utils.AveragedModel(
                model(library), avg_fn=utils.get_swa_avg_fn(), multi_avg_fn=utils.get_swa_multi_avg_fn()
            )
        optimizer = library.optim.SGD([library.ones(1, requires_grad=True)])
        with pytest.raises(ValueError, match="anneal_strategy must be one of"):
            utils.SWALR(optimizer, 0.1, anneal_strategy="other")
        with pytest.raises(ValueError, match="anneal_epochs must be equal or greater than 0"):
            utils.SWALR(optimizer, 0.1, anneal_epochs=-1)
