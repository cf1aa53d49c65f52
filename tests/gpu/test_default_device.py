"""Where new tensors come to be: `set_default_device`, `with torch.device(...)`, numbers for devices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import rushlight as torch
from rushlight.arrays import kinds

CUDA = torch.device("cuda:0")
several = pytest.mark.skipif(
    kinds.gpu().cupy.cuda.runtime.getDeviceCount() < 2, reason="needs two GPUs (the stand-in has two)"
)


@pytest.fixture(autouse=True)
def default_again() -> Iterator[None]:
    yield
    torch.set_default_device(None)


def test_everything_new_is_there() -> None:
    torch.set_default_device("cuda")
    assert torch.get_default_device() == CUDA
    for made in (
        torch.zeros(2), torch.empty(2), torch.full((2,), 1.0), torch.tensor([1.0]), torch.arange(3), torch.eye(2),
        torch.linspace(0, 1, 3), torch.rand(2), torch.randn(2), torch.randint(3, (2,)), torch.randperm(3),
        torch.as_tensor(np.ones(2)), torch.asarray([1]), torch.hann_window(4), torch.tril_indices(2, 2),
        torch.nn.Linear(2, 3).weight, torch.zeros(3).sum(), torch.normal(0.0, 1.0, (2,)),
    ):  # fmt: skip
        assert made.device == CUDA
    assert torch.from_numpy(np.ones(2)).device.type == "cpu"  # it is on NumPy's memory
    assert torch.zeros(2, device="cpu").device.type == "cpu"


def test_blocks_nest_and_end() -> None:
    with torch.device("cuda"):
        assert torch.zeros(1).is_cuda
        with torch.device("cpu"):
            assert torch.zeros(1).is_cpu
        with torch.device("meta"):
            assert torch.nn.Linear(2, 3).weight.is_meta
        assert torch.zeros(1).is_cuda
    assert torch.zeros(1).is_cpu
    with pytest.raises(ZeroDivisionError), torch.device("cuda"):
        1 / 0  # noqa: B018
    assert torch.zeros(1).is_cpu


def test_tensors_of_the_cpu_beside_it() -> None:
    torch.set_default_device("cuda")
    x = torch.randn(4, 3, device="cpu", requires_grad=True)
    model = torch.nn.Linear(3, 2, device="cpu")
    loss = torch.nn.functional.cross_entropy(model(x), torch.tensor([0, 1, 1, 0], device="cpu"))
    loss.backward()
    assert loss.is_cpu and x.grad is not None and x.grad.is_cpu
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.step()
    assert all(value.is_cpu for state in optimizer.state.values() for value in state.values())


def test_a_number_is_a_gpu() -> None:
    assert torch.device(0) == CUDA
    assert torch.zeros(2, device=0).device == torch.zeros(2).to(0).device == torch.zeros(2).cuda(0).device == CUDA
    assert torch.nn.Linear(2, 2).cuda(0).weight.device == torch.nn.Linear(2, 2).to(0).weight.device == CUDA
    with pytest.raises(RuntimeError, match="Device index must not be negative"):
        torch.device(-1)
    with pytest.raises(RuntimeError, match="Invalid device string: 'cuda:01'"):
        torch.device("cuda:01")


def test_the_module_of_a_device() -> None:
    assert torch.get_device_module("cuda") is torch.cuda and torch.get_device_module() is torch.cuda
    assert torch.get_device_module(torch.device("cpu")) is torch.cpu
    with pytest.raises(RuntimeError, match=r"does not have a corresponding module registered as 'torch\.meta'"):
        torch.get_device_module("meta")


@several
def test_a_device_by_number() -> None:
    with torch.device("cuda:1"):
        assert torch.zeros(1).device.index == 1 and torch.nn.LSTM(2, 3).weight_ih_l0.device.index == 1
