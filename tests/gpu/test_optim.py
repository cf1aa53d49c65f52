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


SPARSE = [
    ("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adagrad", {"lr_decay": 0.1}), ("Adagrad", {"maximize": True}), ("SparseAdam", {}),
]  # fmt: skip


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize(("method", "options"), SPARSE, ids=str)
def test_sparse_gradients(method: str, options: dict[str, Any], device: str) -> None:
    if torch.device(device).index and torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs (the stand-in has two)")
    start, results = torch.randn(30, 3, dtype=torch.float64), []
    for place in ("cpu", device):
        table = nn.Embedding(30, 3, sparse=True, padding_idx=1, dtype=torch.float64, device=place)
        with torch.no_grad():
            table.weight.copy_(start)
        optimizer = getattr(torch.optim, method)(table.parameters(), lr=0.1, **options)
        generator = torch.Generator().manual_seed(0)
        for _ in range(5):
            indices = torch.randint(0, 20, (2, 8), generator=generator).to(place)  # some rows twice, some never
            optimizer.zero_grad()
            (table(indices).square().sum() + table(indices[0]).sum()).backward()
            assert table.weight.grad.is_sparse and str(table.weight.grad.device) == str(table.weight.device)
            optimizer.step()
        results.append(table.weight.detach().cpu().numpy())
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)
    assert np.array_equal(results[1][20:], start[20:].numpy())


def test_sparse_gradients_that_are_scaled_and_clipped() -> None:
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        table = nn.Embedding(6, 2, sparse=True, dtype=torch.float64).to(device)
        optimizer, scaler = torch.optim.SparseAdam(table.parameters()), torch.amp.GradScaler(device, init_scale=8.0)
        for _ in range(3):
            optimizer.zero_grad()
            scaler.scale(table(torch.tensor([1, 1, 4], device=device)).exp().sum()).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(table.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        results.append(table.weight.detach().cpu().numpy())
    np.testing.assert_allclose(*results, rtol=1e-6)
