"""DLPack, to and from NumPy, PyTorch and JAX; buffers; `asarray`."""

from __future__ import annotations

import array
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight.interop import buffers
from rushlight.utils import dlpack

DTYPES = [
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
    "complex64", "complex128",
]  # fmt: skip


@pytest.mark.parametrize("name", DTYPES)
def test_with_pytorch_in_both_directions(name: str) -> None:
    theirs = pytest.importorskip("torch")
    x = torch.arange(6).reshape(2, 3).to(getattr(torch, name))
    y = theirs.from_dlpack(x)
    assert str(y.dtype) == f"torch.{name}"
    assert y.to(theirs.complex128).tolist() == x.to(torch.complex128).tolist()
    back = torch.from_dlpack(y.T)
    assert back.dtype is x.dtype and back.shape == (3, 2) and back.stride() == (1, 3)
    back[0, 1] = 1
    assert x[1, 0] == 1 and y[1, 0] == 1  # one memory


@pytest.mark.parametrize("name", [d for d in DTYPES if d != "bfloat16"])
def test_with_numpy_in_both_directions(name: str) -> None:
    x = torch.arange(4).to(getattr(torch, name))
    y = np.from_dlpack(x)
    assert y.dtype == name and np.shares_memory(y, x.numpy())
    assert torch.from_dlpack(np.arange(3).astype(name)).dtype is x.dtype


def test_with_jax() -> None:
    numpy = pytest.importorskip("jax.numpy", reason="JAX is not installed")
    assert numpy.from_dlpack(torch.arange(3.0)).tolist() == [0, 1, 2]
    assert torch.from_dlpack(numpy.arange(3.0)).tolist() == [0, 1, 2]


def test_capsules() -> None:
    x = torch.arange(3)
    capsule = dlpack.to_dlpack(x)
    y = dlpack.from_dlpack(capsule)
    y[0] = 7
    assert x.tolist() == [7, 1, 2]
    with pytest.raises(RuntimeError, match=r"invalid capsule.*consumed only once"):
        dlpack.from_dlpack(capsule)
    assert "dltensor_versioned" in repr(x.__dlpack__(max_version=(1, 0)))
    assert x.__dlpack_device__() == (1, 0)


def test_copy() -> None:
    x = torch.zeros(2)
    shared, copied = torch.from_dlpack(x), torch.from_dlpack(x, copy=True)
    x += 1
    assert shared.tolist() == [1, 1] and copied.tolist() == [0, 0]


def test_a_producer_of_before_dlpack_1() -> None:
    class Old:
        def __dlpack__(self) -> Any:
            return np.arange(3).__dlpack__()

        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

    assert torch.from_dlpack(Old(), copy=True).tolist() == [0, 1, 2]


def test_what_cannot_be_exported(without_gpu: None) -> None:
    x = torch.ones(2)
    with pytest.raises(BufferError, match=r"Can't export tensors that require gradient, use tensor.detach()"):
        x.clone().requires_grad_().__dlpack__()
    with pytest.raises(BufferError, match="Cannot pack tensors on meta"):
        torch.ones(2, device="meta").__dlpack__()
    with pytest.raises(TypeError, match="stream must be ``int`` or ``none``"):
        x.__dlpack__(stream="1")
    with pytest.raises(BufferError, match="native byte order"):
        torch.from_numpy(np.ones(2, ">f4")).__dlpack__()
    with pytest.raises(RuntimeError, match="invalid capsule"):
        torch.from_dlpack(3)

    class OnGPU:
        def __dlpack__(self, **_: Any) -> Any:
            return np.ones(1).__dlpack__()

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

    with pytest.raises(BufferError, match="DLPack device"):
        torch.from_dlpack(OnGPU())


# ---------------------------------------------------------------- NumPy arrays as they come


def test_from_numpy_takes_arrays_as_they_are() -> None:
    reversed_, foreign = np.arange(4.0)[::-1], np.arange(3.0).astype(">f8")
    x, y = torch.from_numpy(reversed_), torch.from_numpy(foreign)
    assert x.stride() == (-1,) and np.shares_memory(x.numpy(), reversed_)
    assert (x * 2).tolist() == [6, 4, 2, 0] and x.sum() == 6
    assert (y + 1).tolist() == [1, 2, 3] and y.dtype is torch.float64 and torch.exp(y).numpy().dtype.isnative
    y[0] = 5
    assert foreign[0] == 5
    for name in DTYPES:
        numpy_dtype = getattr(torch, name).numpy
        assert torch.from_numpy(np.zeros(2, numpy_dtype)).dtype is getattr(torch, name)


def test_asarray_of_a_tensor_shares_memory() -> None:
    x = torch.zeros(2, requires_grad=True)
    assert np.shares_memory(np.asarray(x), x.detach().numpy())
    assert np.array(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError):
        np.asarray(x, dtype=np.float64, copy=False)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python calls __buffer__ since 3.12 (PEP 688)")
def test_memoryview() -> None:
    x = torch.arange(3)
    memoryview(x)[0] = 9
    assert x.tolist() == [9, 1, 2]


def test_read_only_arrays_warn_once_and_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_warned", set())
    a = np.ones(2)
    a.flags.writeable = False
    with pytest.warns(UserWarning, match="The given NumPy array is not writable"):
        x = torch.from_numpy(a)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.from_numpy(a)
    with pytest.raises(RuntimeError, match="read-only"):
        x[0] = 2


# ---------------------------------------------------------------- asarray and frombuffer


def test_asarray() -> None:
    a = np.zeros(2)
    torch.asarray(a)[0] = 1
    assert a[0] == 1
    assert torch.asarray(a, copy=True).data_ptr() != a.__array_interface__["data"][0]
    assert torch.asarray([1, 2.5]).dtype is torch.float32
    assert torch.asarray(array.array("i", [1, 2])).tolist() == [1, 2]
    assert torch.asarray(bytearray(8)).dtype is torch.float32
    x = torch.ones(2, requires_grad=True)
    assert torch.asarray(x) is x and not torch.asarray(x, requires_grad=False).requires_grad
    with pytest.raises(ValueError, match="can't alias arbitrary sequence into a tensor"):
        torch.asarray([1], copy=False)
    with pytest.raises(ValueError, match="can't alias tensor with dtype 'Double' into dtype 'Float'"):
        torch.asarray(a, dtype=torch.float32, copy=False)


BUFFER_ERRORS = [
    ({"offset": 3}, "buffer length (13 bytes) after offset (3 bytes) must be a multiple of element size (4)"),
    ({"count": 9}, "requested buffer length (9 * 4 bytes) after offset (0 bytes) must not be greater than actual buffer length (16 bytes)"),
    ({"offset": 16}, "offset (16 bytes) must be non-negative and no greater than buffer length (16 bytes) minus 1"),
    ({"count": 0}, "both buffer length (16) and count (0) must not be 0"),
]  # fmt: skip


def test_frombuffer() -> None:
    memory = bytearray(range(16))
    x = torch.frombuffer(memory, dtype=torch.int32, count=2, offset=4)
    assert x.tolist() == [117835012, 185207048]
    x[0] = 0
    assert memory[4:8] == bytes(4)
    assert torch.frombuffer(memory, dtype=torch.bfloat16).shape == (8,)
    for options, message in BUFFER_ERRORS:
        with pytest.raises(ValueError) as error:
            torch.frombuffer(memory, dtype=torch.int32, **options)
        assert str(error.value) == message
    with pytest.raises(ValueError, match="object does not implement Python buffer protocol"):
        torch.frombuffer([1], dtype=torch.int32)
    with pytest.raises(RuntimeError, match="Only Tensors of floating point"):
        torch.frombuffer(memory, dtype=torch.int32, requires_grad=True)
