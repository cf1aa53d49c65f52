"""Per-sample gradients and ensembles of models by functional_call, vmap and grad, beside PyTorch's and a loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from beside import filled, numbers, parameters_of, same

import rushlight

pytestmark = pytest.mark.filterwarnings("ignore:.*performance drop")


def mlp(torch: Any) -> Any:
    nn = torch.nn
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def convnet(torch: Any) -> Any:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.GroupNorm(1, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.GELU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


def attention(torch: Any) -> Any:
    return _attention_class(torch)(whole=False)


def attention_in_one_call(torch: Any) -> Any:
    return _attention_class(torch)(whole=True)


@functools.cache
def _attention_class(torch: Any) -> Any:
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, whole: bool) -> None:
            super().__init__()
            self.whole = whole
            self.norm, self.norm_2 = nn.LayerNorm(8), nn.LayerNorm(8)
            self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
            self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
            self.head = nn.Linear(8, 3)

        def mix(self, q: Any, k: Any, v: Any) -> Any:
            if self.whole:
                return functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            hidden = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).triu(1)
            scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(hidden, float("-inf"))
            return scores.softmax(-1) @ v

        def forward(self, x: Any) -> Any:
            batch, time, width = x.shape
            q, k, v = self.qkv(self.norm(x)).view(batch, time, 3, 2, width // 2).permute(2, 0, 3, 1, 4).unbind(0)
            x = x + self.out(self.mix(q, k, v).transpose(1, 2).reshape(batch, time, width))
            x = x + self.mlp(self.norm_2(x))
            return self.head(x.mean(1))

    return Block


MODELS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "mlp": (mlp, (6, 4)),
    "convnet": (convnet, (6, 1, 8, 8)),
    "attention": (attention, (6, 5, 8)),
    "attention in one call": (attention_in_one_call, (6, 5, 8)),
}
TWICE_FORWARD = ["mlp", "convnet", "attention"]  # of the other PyTorch has no forward-mode derivative


def losses_of(torch: Any, model: Any) -> Callable[..., Any]:
    def loss(parameters: Any, x: Any, target: Any) -> Any:
        logits = torch.func.functional_call(model, parameters, (x.unsqueeze(0),))
        return torch.nn.functional.cross_entropy(logits, target.unsqueeze(0))

    return loss


def targets(torch: Any) -> Any:
    return torch.tensor([0, 2, 1, 1, 0, 2])


@pytest.mark.parametrize("name", MODELS)
def test_per_sample_gradients(name: str) -> None:
    make, shape = MODELS[name]

    def program(torch: Any) -> Any:
        model = filled(make(torch), torch)
        each = torch.func.vmap(torch.func.grad(losses_of(torch, model)), in_dims=(None, 0, 0))
        return each(parameters_of(model), numbers(torch, *shape), targets(torch))

    same(program)


@pytest.mark.parametrize("name", MODELS)
def test_per_sample_gradients_are_those_of_a_loop(name: str) -> None:
    make, shape = MODELS[name]
    model, x, y = filled(make(rushlight), rushlight), numbers(rushlight, *shape), targets(rushlight)
    loss = losses_of(rushlight, model)
    together = rushlight.func.vmap(rushlight.func.grad(loss), in_dims=(None, 0, 0))(parameters_of(model), x, y)
    for i in range(len(x)):
        model.zero_grad()
        rushlight.nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        for key, parameter in model.named_parameters():
            np.testing.assert_allclose(together[key][i].numpy(), parameter.grad.numpy(), 1e-9, 1e-9)


@pytest.mark.parametrize("name", TWICE_FORWARD)
def test_hessian_vector_products_of_models(name: str) -> None:
    make, shape = MODELS[name]

    def program(torch: Any) -> Any:
        model = filled(make(torch), torch)
        loss, parameters = losses_of(torch, model), parameters_of(model)
        x, y = numbers(torch, *shape)[0], targets(torch)[0]
        gradient = torch.func.grad(lambda p: loss(p, x, y))
        return torch.func.jvp(gradient, (parameters,), ({k: p.cos() for k, p in parameters.items()},))

    same(program)


@pytest.mark.parametrize("name", MODELS)
def test_ensembles(name: str) -> None:
    make, shape = MODELS[name]

    def program(torch: Any) -> Any:
        models = [filled(make(torch), torch, seed) for seed in range(3)]
        parameters, buffers = torch.func.stack_module_state(models)
        skeleton = make(torch).double()

        def call(parameters: Any, buffers: Any, x: Any) -> Any:
            return torch.func.functional_call(skeleton, (parameters, buffers), (x,))

        x = numbers(torch, *shape)
        shared = torch.func.vmap(call, in_dims=(0, 0, None))(parameters, buffers, x)
        own = torch.func.vmap(call)(parameters, buffers, numbers(torch, 3, *shape))
        detached = {key: value.detach() for key, value in parameters.items()}
        gradients = torch.func.grad(lambda p: torch.func.vmap(call, (0, 0, None))(p, buffers, x).square().sum())(
            detached
        )
        return parameters, buffers, shared, own, gradients

    same(program)


def test_an_ensemble_trains() -> None:
    def program(torch: Any) -> Any:
        models = [filled(mlp(torch), torch, seed) for seed in range(3)]
        parameters, buffers = torch.func.stack_module_state(models)
        skeleton, x, y = mlp(torch).double(), numbers(torch, 6, 4), targets(torch)

        def loss(parameters: Any, buffers: Any) -> Any:
            logits = torch.func.functional_call(skeleton, (parameters, buffers), (x,))
            return torch.nn.functional.cross_entropy(logits, y)

        found = []
        for _ in range(3):
            value = torch.func.vmap(loss)(parameters, buffers)
            grads = torch.autograd.grad(value.sum(), list(parameters.values()))
            with torch.no_grad():
                for parameter, grad in zip(parameters.values(), grads, strict=True):
                    parameter -= 0.1 * grad
            found.append(value)
        return found

    same(program)


def test_functional_call() -> None:
    def program(torch: Any) -> Any:
        model = filled(mlp(torch), torch)
        x, before = numbers(torch, 2, 4), model[0].weight.detach().clone()
        changed = {"0.weight": model[0].weight.detach() * 2}
        result = torch.func.functional_call(model, changed, x)
        return result, model(x), torch.equal(model[0].weight, before)

    same(program)


def test_jacobians_of_models_by_parameters() -> None:
    """The neural tangent kernel of a pair of inputs, from two Jacobians."""

    def program(torch: Any) -> Any:
        model = filled(mlp(torch), torch)
        call = lambda p, x: torch.func.functional_call(model, p, (x.unsqueeze(0),)).squeeze(0)  # noqa: E731
        jacobian = torch.func.vmap(torch.func.jacrev(call), (None, 0))
        first = jacobian(parameters_of(model), numbers(torch, 3, 4))
        forward = torch.func.vmap(torch.func.jacfwd(call), (None, 0))(parameters_of(model), numbers(torch, 3, 4))
        kernel = sum(torch.einsum("naf,mbf->nmab", j.flatten(2), j.flatten(2)) for j in first.values())
        return first, forward, kernel

    same(program)


def test_modules_with_buffers() -> None:
    def program(torch: Any) -> Any:
        model = filled(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)), torch).eval()
        models = [model, filled(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)), torch, 1).eval()]
        parameters, buffers = torch.func.stack_module_state(models)
        call = lambda p, b, x: torch.func.functional_call(model, (p, b), (x,))  # noqa: E731
        return buffers, torch.func.vmap(call, (0, 0, None))(parameters, buffers, numbers(torch, 5, 4))

    same(program)
