"""Tensors on GPUs in the hands of CuPy and NumPy, in loaders, and in compiled functions."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.utils.data import DataLoader, TensorDataset

# The stand-in is put in place by conftest.py, before this file is imported: `cupy` is that, or the real one.


def test_dlpack_shares_memory() -> None:
    x = torch.zeros(2, 3, device="cuda")
    assert tuple(x.__dlpack_device__()) == (2, 0)
    array = cupy.from_dlpack(x)
    array[0, 0] = 5
    assert x[0, 0] == 5
    again = torch.from_dlpack(array)
    again[0, 1] = 6
    assert x[0, 1] == 6 and again.device == x.device
    assert torch.from_dlpack(x.bfloat16()).dtype is torch.bfloat16
    assert torch.from_dlpack(x, device="cpu").is_cpu
    copied = torch.from_dlpack(array, copy=True)
    copied.fill_(9)
    assert x.max() == 6


def test_what_dlpack_refuses() -> None:
    with pytest.raises(BufferError, match="Can't export tensors that require gradient"):
        torch.ones(1, device="cuda", requires_grad=True).__dlpack__()
    if cupy.cuda.runtime.getDeviceCount() > 1:
        with pytest.raises(BufferError, match=r"different CUDA device index. Expected: 1. Current device: 0."):
            torch.ones(1, device="cuda:1").__dlpack__()


def test_arrays_of_cupy() -> None:
    array = cupy.asarray(np.arange(3.0))
    for shared in (torch.as_tensor(array), torch.asarray(array), torch.from_dlpack(array)):
        shared += 1
        assert shared.is_cuda
    assert array.tolist() == [3.0, 4.0, 5.0]
    copied = torch.tensor(array)
    copied.fill_(0)
    assert array.tolist() == [3.0, 4.0, 5.0] and copied.is_cuda
    assert torch.as_tensor(array, dtype=torch.float32, device="cpu").tolist() == [3.0, 4.0, 5.0]
    assert (torch.ones(3, device="cuda", dtype=torch.float64) + array).tolist() == [4.0, 5.0, 6.0]


def test_cuda_array_interface() -> None:
    x = torch.zeros(2, 3, device="cuda")
    interface = x.__cuda_array_interface__
    assert interface == {
        "typestr": "<f4",
        "shape": (2, 3),
        "strides": None,
        "data": (x.data_ptr(), False),
        "version": 2,
    }
    assert x.T.__cuda_array_interface__["strides"] == (4, 12)
    assert cupy.asarray(x).shape == (2, 3)
    assert not hasattr(torch.zeros(1), "__cuda_array_interface__")
    with pytest.raises(AttributeError, match=r"on non-CUDA tensor type: .torch\.FloatTensor."):
        torch.zeros(1).__cuda_array_interface__  # noqa: B018
    with pytest.raises(RuntimeError, match="on Variable that requires grad"):
        nn.Parameter(x).__cuda_array_interface__  # noqa: B018


FUNCTIONS: dict[str, Any] = {
    **{name: getattr(np, name) for name in (
        "sum", "mean", "exp", "max", "argmax", "sort", "cumsum", "transpose", "std", "abs", "any", "triu", "diag",
        "zeros_like", "ones_like",
    )},
    "where": lambda x: np.where(x > 0, x, 0), "concatenate": lambda x: np.concatenate([x, x]),
    "dot": lambda x: np.dot(x, x.T), "pad": lambda x: np.pad(x, 1), "full_like": lambda x: np.full_like(x, 2),
    "einsum": lambda x: np.einsum("ij,kj", x, x), "inverse": lambda x: np.linalg.inv(x),
    "reduce": np.multiply.reduce, "outer": lambda x: np.add.outer(x[0], x[1]), "number": lambda x: np.float32(2) * x,
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpys_functions(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(3, 3))
    got = FUNCTIONS[name](torch.from_numpy(x).cuda())
    assert got.is_cuda
    np.testing.assert_allclose(got.cpu().numpy(), FUNCTIONS[name](x), rtol=1e-12)


def test_numpys_functions_without_a_counterpart() -> None:
    x = torch.ones(3, device="cuda")
    for refused in (lambda: np.interp(x, [0, 1], [0, 1]), lambda: np.convolve(x, x), lambda: np.unique(x)):
        with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\) to copy the tensor to host memory first"):
            refused()
    with pytest.raises(RuntimeError, match="found at least two devices, cuda:0 and cpu"):
        np.add(x, np.ones(3, np.float32))
    assert np.array_equal(x, np.ones(3)) and np.allclose(x, x)


def test_compiled_functions_run_eager_with_one_warning() -> None:
    model = nn.Linear(3, 1).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    @torch.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    x = torch.randn(8, 3, device="cuda")
    with pytest.warns(UserWarning, match="runs eager: a tensor is on cuda:0, and recorded programs compute on the CPU"):
        losses = [step(x)]
    losses += [step(x) for _ in range(10)]  # a second warning would be an error
    assert losses[-1].is_cuda and losses[-1] < losses[0]
    with pytest.raises(RuntimeError, match="a tensor is on cuda:0"):
        torch.compile(lambda x: x * 2, fullgraph=True)(x)
    assert torch.compile(lambda x: x * 2)(torch.ones(2)).tolist() == [2.0, 2.0]


def test_batches_go_there() -> None:
    data = TensorDataset(torch.arange(10.0), torch.arange(10))
    for workers in (0, 2):
        seen = [
            (x.to("cuda", non_blocking=True), y.cuda(non_blocking=True))
            for x, y in DataLoader(data, batch_size=4, num_workers=workers)
        ]
        assert all(x.is_cuda and y.is_cuda for x, y in seen)
        assert torch.cat([x for x, _ in seen]).tolist() == list(range(10))
