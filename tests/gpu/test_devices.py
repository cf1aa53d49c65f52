"""Tensors on GPUs: where they are, how they get there and back, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import rushlight as torch
from rushlight.arrays import kinds

several = pytest.mark.skipif(
    kinds.gpu().cupy.cuda.runtime.getDeviceCount() < 2, reason="needs two GPUs (the stand-in has two)"
)


def test_a_tensor_there_and_back() -> None:
    x = torch.randn(3, 4)
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool):
        y = x.to(dtype)
        there = y.to("cuda")
        assert there.device == torch.device("cuda", 0) and there.is_cuda and not there.is_cpu
        assert there.dtype is dtype and there.get_device() == 0
        assert torch.equal(there.cpu(), y) and there.cpu().device == torch.device("cpu")


def test_it_is_itself_where_it_is() -> None:
    x = torch.ones(2, device="cuda")
    assert x.to("cuda") is x and x.cuda() is x and x.to("cuda", torch.float32) is x
    assert x.to("cuda", copy=True) is not x


def test_where_new_tensors_are() -> None:
    x = torch.ones(2, 3, device="cuda")
    for y in (
        torch.zeros(2, device="cuda"), torch.empty(2, device="cuda"), torch.full((2,), 3, device="cuda"),
        torch.tensor([1, 2], device="cuda"), torch.arange(3, device="cuda"), torch.linspace(0, 1, 3, device="cuda"),
        torch.eye(2, device="cuda"), torch.rand(2, device="cuda"), torch.randn(2, device="cuda"),
        torch.randint(3, (2,), device="cuda"), torch.randperm(3, device="cuda"), torch.as_tensor([1.0], device="cuda"),
        torch.zeros_like(x), torch.rand_like(x), x.new_zeros(2), x.new_tensor([1.0]), x[0], x.T, x + 1, x.sum(), x > 0,
        torch.tensor(x), torch.as_tensor(np.ones(2), device="cuda"),
    ):  # fmt: skip
        assert y.device == torch.device("cuda:0")


@several
def test_several_devices() -> None:
    x = torch.ones(2, device="cuda:1", requires_grad=True)
    y = (x * 3).exp()
    assert y.device == torch.device("cuda:1")
    moved = y.to("cuda:0")
    moved.sum().backward()
    assert x.grad is not None and x.grad.device == x.device
    assert torch.allclose(x.grad.cpu(), 3 * torch.full((2,), 3.0).exp())
    assert torch.ones(1, device="cuda").device.index == 0  # the current device is what it was


@several
def test_operands_on_several_devices() -> None:
    x, y = torch.ones(2, device="cuda:0"), torch.ones(2, device="cuda:1")
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device, but found at least two"):
        x + y


def test_operands_on_the_cpu() -> None:
    x = torch.ones(2, 2, device="cuda", requires_grad=True)
    for operation in (torch.add, torch.matmul, torch.minimum):
        with pytest.raises(RuntimeError, match="found at least two devices, cuda:0 and cpu"):
            operation(x, torch.ones(2, 2))
    factor = torch.tensor(3.0, requires_grad=True)  # a number may be anywhere
    (x * factor).sum().backward()
    assert factor.grad is not None and factor.grad.device.type == "cpu" and factor.grad.item() == 4
    assert x.grad is not None and x.grad.is_cuda


def test_gradients_pass_between_devices() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x.cuda() ** 2).cpu().sum().backward()
    assert x.grad is not None and x.grad.tolist() == [2.0, 4.0] and x.grad.device.type == "cpu"
    (grad,) = torch.autograd.grad((x.cuda() ** 3).sum(), x, create_graph=True)
    assert grad.requires_grad
    assert torch.autograd.grad(grad.sum(), x)[0].tolist() == [6.0, 12.0]


def test_numpy_asks_for_the_cpu() -> None:
    x = torch.ones(2, device="cuda")
    for convert in (lambda: x.numpy(), lambda: np.asarray(x)):
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            convert()
    assert x.numpy(force=True).tolist() == x.tolist() == [1.0, 1.0]
    assert x.sum().item() == 2.0 and bool(x[0]) and float(x[1]) == 1.0


def test_its_text() -> None:
    assert repr(torch.ones(2, device="cuda")) == "tensor([1., 1.], device='cuda:0')"


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        torch.ones(2, device="cuda:99")


def test_writes() -> None:
    x = torch.zeros(4, device="cuda")
    x[1:3] = 1
    x += 1
    x[torch.tensor([0, 3], device="cuda")] = 5.0
    x.copy_(x.cpu() * 2)
    assert x.tolist() == [10.0, 4.0, 4.0, 10.0]
    host = torch.zeros(4)
    host.copy_(x)
    assert host.tolist() == x.tolist() and host.device.type == "cpu"


def test_a_model_learns_as_on_the_cpu() -> None:
    losses = {}
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.GELU(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 3)
        )
        x, y = torch.randn(16, 6), torch.randint(3, (16,))
        model, x, y = model.to(device), x.to(device), y.to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        losses[device] = []
        for _ in range(30):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses[device].append(loss.item())
        assert all(p.device.type == device for p in model.parameters())
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=1e-4)


def test_a_network_of_convolutions_and_recurrence_learns_as_on_the_cpu() -> None:
    torch.manual_seed(0)
    nn, x, y = torch.nn, torch.randn(8, 1, 12, 12, dtype=torch.float64), torch.randint(3, (8,))
    losses = {}
    for device in ("cpu", "cuda"):
        torch.manual_seed(1)
        images = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, stride=2))
        rows, last = nn.LSTM(2, 5, bidirectional=True), nn.Linear(10, 3)
        model = nn.ModuleList([images, rows, last]).to(device, torch.float64)
        optimizer, losses[device] = torch.optim.SGD(model.parameters(), lr=0.5), []
        for _ in range(5):
            found = images(x.to(device)).flatten(2).mT.reshape(8, -1, 2).transpose(0, 1)
            loss = nn.functional.cross_entropy(last(rows(found)[0][-1]), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[device].append(loss.item())
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=1e-9)
    assert losses["cpu"][-1] < losses["cpu"][0]


@several
def test_writes_at_indices_of_another_device_than_the_current_one() -> None:
    x = torch.zeros(4, 2, device="cuda:1")
    at = torch.tensor([1, 2], device="cuda:1")
    x[at] = 1.0
    x[at, at - 1] = torch.tensor([5.0, 6.0], device="cuda:1")
    x.index_put_((at,), x[:2], accumulate=True)
    x[torch.tensor([3, 0], device="cuda:1")] = x[:2]  # what is written to is what is read
    assert x.tolist() == [[5.0, 1.0], [5.0, 1.0], [6.0, 7.0], [0.0, 0.0]]
    with pytest.raises(RuntimeError, match="shape mismatch: value tensor of shape \\[3\\]"):
        x[at] = torch.ones(3, device="cuda:1")
