"""Updates on GPUs: every method, counters, saved states, guards."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn

METHODS = (
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD",
)  # fmt: skip


def steps(optimizer: Any, params: list[Any], count: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        for param in params:
            param.grad = torch.randn(param.shape, dtype=param.dtype, generator=generator).to(param.device)
        optimizer.step()


@pytest.mark.parametrize("method", METHODS)
def test_as_on_the_cpu(method: str) -> None:
    start = [torch.randn(3, 2, dtype=torch.float64), torch.randn(4, dtype=torch.float64)]
    results = []
    for device in ("cpu", "cuda"):
        params = [nn.Parameter(x.clone().to(device)) for x in start]
        steps(getattr(torch.optim, method)(params), params, 5)
        results.append([param.detach().cpu().numpy() for param in params])
    for expected, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("flag", ["capturable", "fused", "foreach"])
def test_flags_and_where_the_counter_is(flag: str) -> None:
    params = [nn.Parameter(torch.ones(2, device="cuda"))]
    optimizer = torch.optim.Adam(params, **{flag: True})
    steps(optimizer, params, 2)
    (state,) = optimizer.state.values()
    assert state["exp_avg"].is_cuda and state["step"].item() == 2
    assert state["step"].is_cuda or flag == "foreach"  # a compiled update has it on the GPU in any case


def test_a_state_goes_where_the_parameters_are() -> None:
    here, there = [nn.Parameter(torch.ones(2))], [nn.Parameter(torch.ones(2, device="cuda"))]
    of_cpu, of_gpu = torch.optim.Adam(here), torch.optim.Adam(there)
    steps(of_cpu, here, 3)
    of_gpu.load_state_dict(copy.deepcopy(of_cpu.state_dict()))
    state = of_gpu.state[there[0]]
    assert state["exp_avg"].is_cuda and state["step"].is_cpu
    with torch.no_grad():
        there[0].copy_(here[0])
    steps(of_cpu, here, 2), steps(of_gpu, there, 2)
    assert torch.allclose(there[0].cpu(), here[0])
    of_cpu.load_state_dict(of_gpu.state_dict())
    assert of_cpu.state[here[0]]["exp_avg"].is_cpu


def test_an_update_that_is_not_finite_is_taken_back() -> None:
    param = nn.Parameter(torch.ones(3, device="cuda"))
    optimizer = torch.optim.Adam([param])
    optimizer.skip_nonfinite = True
    steps(optimizer, [param], 2)
    before, state = param.detach().clone(), {key: x.clone() for key, x in optimizer.state[param].items()}
    param.grad = torch.tensor([1.0, float("nan"), 1.0], device="cuda")
    with pytest.warns(RuntimeWarning, match="would have written NaN or Inf"):
        optimizer.step()
    assert torch.equal(param, before) and optimizer.num_skipped == 1
    assert all(torch.equal(optimizer.state[param][key], x) for key, x in state.items())


def test_schedules_and_averages() -> None:
    model = nn.Linear(2, 2).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    average = torch.optim.swa_utils.AveragedModel(model)
    first = model.weight.detach().clone()
    average.update_parameters(model)
    steps(optimizer, list(model.parameters()), 1)
    schedule.step()
    average.update_parameters(model)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    assert average.module.weight.is_cuda
    assert torch.allclose(average.module.weight, (first + model.weight) / 2)


def test_lbfgs() -> None:
    param = nn.Parameter(torch.tensor([3.0, -2.0], device="cuda", dtype=torch.float64))
    optimizer = torch.optim.LBFGS([param], line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = ((param - 1) ** 4).sum()
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    assert closure().item() < 1e-6


def test_sparse_gradients_are_dense_here() -> None:
    table = nn.Embedding(4, 2, sparse=True).cuda()
    table(torch.tensor([1, 1], device="cuda")).sum().backward()
    assert not table.weight.grad.is_sparse and table.weight.grad[1].tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        torch.optim.SparseAdam(table.parameters()).step()
