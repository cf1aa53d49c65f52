"""Hooks, functions of one's own, checks, checkpoints and transforms on GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight import autograd, func, nn
from rushlight.arrays import kinds
from rushlight.autograd.gradcheck import GradcheckError
from rushlight.nn import functional as F
from rushlight.utils.checkpoint import checkpoint

PLACES = [f"cuda:{i}" for i in range(min(kinds.gpu().cupy.cuda.runtime.getDeviceCount(), 2))]


def variable(*shape: int) -> Any:
    return torch.randn(*shape, dtype=torch.float64, device="cuda", requires_grad=True)


class Product(autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        return grad * y, grad * x


class Wrong(autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad * 3


def test_functions_of_ones_own_and_hooks() -> None:
    x, y, seen = variable(3), variable(3), []
    x.register_hook(lambda grad: seen.append(grad.device))
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.device))
    Product.apply(x, y).sum().backward()
    assert seen == [x.device] * 2 and torch.equal(x.grad, y.detach())


def test_gradcheck() -> None:
    assert autograd.gradcheck(lambda x, y: (x * y.sin()).sum(0), (variable(3, 2), variable(3, 2)))
    assert autograd.gradcheck(lambda x: x.exp(), (variable(3),), check_forward_ad=True, check_batched_grad=True)
    assert autograd.gradcheck(torch.tanh, (variable(4),), fast_mode=True)
    assert autograd.gradcheck(Product.apply, (variable(2), variable(2)))
    assert autograd.gradgradcheck(lambda x: x**3, (variable(3),))
    number = torch.randn(2, dtype=torch.complex128, device="cuda", requires_grad=True)
    assert autograd.gradcheck(lambda x: (x * x.conj()).real, (number,))
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        autograd.gradcheck(Wrong.apply, (variable(2),))


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_draw_the_same_numbers_again(reentrant: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4)).cuda()
    x, grads = torch.randn(8, 4, device="cuda", requires_grad=True), []
    for run in (lambda: checkpoint(model, x, use_reentrant=reentrant), lambda: model(x)):
        torch.manual_seed(0)
        run().sum().backward()
        grads.append(x.grad)
        x.grad = None
    assert torch.allclose(*grads) and not torch.equal(grads[0][0], grads[0][1])


def test_saved_tensors_on_the_cpu_and_anomalies() -> None:
    x = variable(3)
    with autograd.graph.save_on_cpu():
        y = (x * x).sum()
    y.backward()
    assert torch.allclose(x.grad, 2 * x.detach())
    with (
        pytest.warns(UserWarning, match=r"Anomaly Detection|Error detected in SqrtBackward0"),
        autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match=r"SqrtBackward0.*returned nan"),
    ):
        ((variable(2) * 0).sqrt() * 0).sum().backward()


def per_sample(module: Any, x: Any, y: Any) -> Any:
    params = dict(module.named_parameters())

    def loss(params: Any, sample: Any, target: Any) -> Any:
        return F.cross_entropy(func.functional_call(module, params, (sample[None],)), target[None])

    return func.vmap(func.grad(loss), in_dims=(None, 0, 0))(params, x, y)["0.weight"]


weights = np.random.default_rng(0).normal(size=(3, 3))
TRANSFORMS: dict[str, Any] = {
    "vmap": lambda x, w: func.vmap(lambda a: (a @ w).relu().sum())(x),
    "vmap over one of two": lambda x, w: func.vmap(torch.mul, in_dims=(0, None), out_dims=1)(x, w[0]),
    "vmap in chunks": lambda x, w: func.vmap(lambda a: a.softmax(0), chunk_size=2)(x),
    "vmap, new tensors": lambda x, w: func.vmap(lambda a: a.new_ones(3) + torch.zeros_like(a) + a)(x),
    "vmap of sort": lambda x, w: func.vmap(lambda a: a.sort().values.cumsum(0))(x),
    "vmap of indexing": lambda x, w: func.vmap(lambda a: a[torch.tensor([2, 0], device=a.device)])(x),
    "vmap of statistics": lambda x, w: func.vmap(lambda a: a.std() + a.max() + a.argmax() + a.median())(x),
    "vmap of linalg": lambda x, w: func.vmap(lambda a: torch.linalg.inv(a.outer(a) + w).det())(x),
    "vmap of convolution": lambda x, w: func.vmap(lambda a: F.conv1d(a[None, None], w[None, :1]))(x),
    "grad": lambda x, w: func.grad(lambda a: ((a @ w) ** 2).sum())(x),
    "vjp": lambda x, w: func.vjp(torch.sin, x)[1](x)[0],
    "jvp": lambda x, w: func.jvp(lambda a: F.gelu(a @ w), (x,), (x,))[1],
    "jacrev": lambda x, w: func.jacrev(lambda a: F.softmax(a @ w, 0), chunk_size=2)(x[0]),
    "jacfwd": lambda x, w: func.jacfwd(lambda a: (a @ w).sin())(x[0]),
    "hessian": lambda x, w: func.hessian(lambda a: ((a @ w) ** 3).sum())(x[0]),
    "linearize": lambda x, w: func.linearize(torch.sin, x)[1](x),
    "functional_call": lambda x, w: func.functional_call(nn.Linear(3, 3, bias=False), {"weight": w}, (x,)),
    "jacobian": lambda x, w: autograd.functional.jacobian(lambda a: (a @ w) ** 2, x, vectorize=True),
    "jacobian, forward": lambda x, w: autograd.functional.jacobian(
        lambda a: (a @ w) ** 2, x, vectorize=True, strategy="forward-mode"
    ),
    "hvp": lambda x, w: autograd.functional.hvp(lambda a: ((a @ w) ** 3).sum(), x, x)[1],
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name: str, place: str) -> None:
    x, w = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 3))), torch.from_numpy(weights)
    got, expected = TRANSFORMS[name](x.to(place), w.to(place)), TRANSFORMS[name](x, w)
    assert str(got.device) == place
    np.testing.assert_allclose(got.detach().cpu().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("place", PLACES)
def test_gradients_of_each_sample(place: str) -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 2)).double()
    x, y = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 1, 0])
    expected = per_sample(module, x, y)
    got = per_sample(module.to(place), x.to(place), y.to(place))
    assert str(got.device) == place and torch.allclose(got.cpu(), expected)


def test_the_profiler_and_the_graph_see_it(tmp_path: Path) -> None:
    from rushlight.autograd import graph
    from rushlight.profiler import ProfilerActivity, profile

    model = nn.Linear(3, 2).cuda()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], profile_memory=True) as seen:
        loss = model(torch.randn(4, 3, device="cuda")).sum()
        loss.backward()
    assert {"linear", "AddmmBackward0"} <= {event.key.removeprefix("aten::") for event in seen.key_averages()}
    picture = graph.trace(loss, model)
    picture.save(tmp_path / "graph.svg")
    assert "weight" in (tmp_path / "graph.svg").read_text()
    lonely = nn.Parameter(torch.ones(2, device="cuda"))
    assert str(graph.why(lonely, loss))
