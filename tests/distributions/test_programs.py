"""Programs that use distributions: trained beside PyTorch for a seed, compiled, and under transforms of functions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import rushlight


def variational_autoencoder(module: Any) -> list[float]:
    """Losses of a few steps: the evidence lower bound with a normal posterior."""
    module.manual_seed(0)
    d, nn = module.distributions, module.nn
    encoder, decoder = nn.Linear(6, 4), nn.Linear(2, 6)
    optimizer = module.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    data, losses = (module.rand(20, 6) > 0.5).float(), []
    for _ in range(6):
        mean, log_scale = encoder(data).chunk(2, dim=-1)
        posterior = d.Independent(d.Normal(mean, log_scale.exp()), 1)
        prior = d.Independent(d.Normal(module.zeros(2), module.ones(2)), 1)
        likelihood = d.Bernoulli(logits=decoder(posterior.rsample()))
        loss = (d.kl_divergence(posterior, prior) - likelihood.log_prob(data).sum(-1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def policy_gradient(module: Any) -> list[float]:
    """Rewards of a bandit whose policy follows the gradient of log-probabilities."""
    module.manual_seed(1)
    logits = module.zeros(4, requires_grad=True)
    optimizer, rewards = module.optim.SGD([logits], lr=0.5), []
    for _ in range(20):
        policy = module.distributions.Categorical(logits=logits)
        action = policy.sample((8,))
        reward = module.distributions.Normal(action.float(), 1.0).sample()
        loss = -(policy.log_prob(action) * (reward - reward.mean())).mean() - 0.01 * policy.entropy()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(reward.mean().item())
    return rewards


def gamma_regression(module: Any) -> list[float]:
    """Losses through samples of gamma distributions, whose gradients PyTorch approximates."""
    module.manual_seed(2)
    shape = module.full((50,), 0.5).requires_grad_()
    optimizer, losses = module.optim.SGD([shape], lr=0.02), []
    for _ in range(8):
        loss = (module.distributions.Gamma(shape.exp(), 2.0).rsample() - 1).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_seeded_programs_give_torchs_losses() -> None:
    for program in (variational_autoencoder, policy_gradient, gamma_regression):
        np.testing.assert_allclose(program(rushlight), program(torch), rtol=1e-4, err_msg=program.__name__)


def test_in_compiled_steps() -> None:
    d = rushlight.distributions

    def step(mean: Any, log_scale: Any) -> Any:
        posterior = d.Normal(mean, log_scale.exp())
        sample = posterior.rsample()
        return (
            (sample**2).sum() + d.kl_divergence(posterior, d.Normal(0.0, 1.0)).sum() - posterior.log_prob(sample).sum()
        )

    mean, log_scale = rushlight.zeros(4), rushlight.zeros(4)
    rushlight.manual_seed(0)
    expected = [step(mean, log_scale).item() for _ in range(3)]
    rushlight.manual_seed(0)
    compiled = rushlight.compile(step)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [compiled(mean, log_scale).item() for _ in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(set(found)) == 3  # every run draws anew


def test_under_transforms_of_functions() -> None:
    d, func = rushlight.distributions, rushlight.func
    a = rushlight.tensor([0.5, 2.0, 3.0])
    scores = func.vmap(func.grad(lambda mean, x: d.Normal(mean, 1.0).log_prob(x)))(a, 2 * a)
    np.testing.assert_allclose(scores, a)
    divergences = func.vmap(lambda rate: d.kl_divergence(d.Gamma(2.0, rate), d.Gamma(rate, 1.0)))(a)
    np.testing.assert_allclose(divergences, d.kl_divergence(d.Gamma(2.0, a), d.Gamma(a, 1.0)), rtol=1e-6)

    def sample(shape: Any) -> Any:
        rushlight.manual_seed(0)
        return d.Gamma(shape, 1.0).rsample()

    forward = func.jvp(sample, (a,), (rushlight.ones(3),))[1]
    np.testing.assert_allclose(forward, func.grad(lambda shape: sample(shape).sum())(a), rtol=1e-6)
