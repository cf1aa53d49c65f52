"""Files, pickles and storages of tensors on GPUs. PyTorch, which has no GPU here, reads the files too."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch as pytorch

import rushlight as torch
from rushlight import nn
from rushlight.arrays import kinds
from rushlight.serialization import safetensors

COUNT = kinds.gpu().cupy.cuda.runtime.getDeviceCount()
several = pytest.mark.skipif(COUNT < 2, reason="needs two GPUs (the stand-in has two)")


@pytest.fixture
def tensors() -> dict[str, Any]:
    x = torch.randn(3, 4, device="cuda")
    return {
        "x": x, "rows": x[1:], "turned": x.T, "columns": x[:, ::2], "bfloat16": torch.ones(2, device="cuda").bfloat16(),
        "unsigned": torch.tensor([1, 2], dtype=torch.uint16, device="cuda"), "none": torch.empty(0, 3, device="cuda"),
        "parameter": nn.Parameter(torch.ones(2, device="cuda")), "here": torch.ones(2),
    }  # fmt: skip


def saved(value: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


PLACES = [
    (None, "cuda:0"), ("cpu", "cpu"), (torch.device("cpu"), "cpu"), ("cuda", "cuda:0"), ({"cuda:0": "cpu"}, "cpu"),
    (lambda storage, place: storage, "cpu"), (lambda storage, place: None, "cuda:0"),
    (lambda storage, place: storage.cuda(0), "cuda:0"),
]  # fmt: skip


@pytest.mark.parametrize("map_location, expected", PLACES)
def test_load(tensors: dict[str, Any], map_location: Any, expected: str) -> None:
    loaded = torch.load(saved(tensors), map_location=map_location)
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name].cpu(), tensor.cpu()) and loaded[name].stride() == tensor.stride()
        if name != "here":
            assert str(loaded[name].device) == expected
    assert isinstance(loaded["parameter"], nn.Parameter)
    loaded["x"][1, 0] = 99.0  # what shared memory shares it again
    assert loaded["rows"][0, 0] == 99


@several
def test_another_gpu(tensors: dict[str, Any]) -> None:
    assert torch.load(saved(tensors), map_location={"cuda:0": "cuda:1"})["rows"].device.index == 1
    assert torch.load(saved(tensors), map_location=lambda storage, place: storage.cuda(1))["x"].device.index == 1
    assert torch.load(saved(torch.ones(2, device="cuda:1"))).device.index == 1


def test_pytorch_reads_it(tensors: dict[str, Any]) -> None:
    places = []
    loaded = pytorch.load(saved(tensors), map_location=lambda storage, place: (places.append(place), storage)[1])
    assert set(places) == {"cuda:0", "cpu"}
    assert all(loaded[name].tolist() == tensor.tolist() for name, tensor in tensors.items())
    message = r"Attempting to deserialize object on a CUDA device but torch\.cuda\.is_available\(\) is False"
    if not pytorch.cuda.is_available():
        with pytest.raises(RuntimeError, match=message):
            pytorch.load(saved(tensors))


def test_without_a_gpu_or_without_that_gpu(tensors: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(tensors)
    with pytest.raises(RuntimeError, match=rf"on CUDA device {COUNT} but torch.cuda.device_count\(\) is {COUNT}"):
        torch.load(file, map_location=f"cuda:{COUNT}")
    monkeypatch.setattr("rushlight.devices.has_gpu", lambda: False)
    file.seek(0)
    with pytest.raises(RuntimeError, match=r"torch.load with map_location=torch.device\('cpu'\) to map your storages"):
        torch.load(file)


def test_state_dicts() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).cuda()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 2, device="cuda")).sum().backward()
    optimizer.step()
    file = saved({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    loaded = torch.load(file, map_location="cpu")
    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).cuda()
    other.load_state_dict(loaded["model"])
    again = torch.optim.Adam(other.parameters())
    again.load_state_dict(loaded["optimizer"])
    assert torch.equal(other[0].weight, model[0].weight)
    assert again.state[other[0].weight]["exp_avg"].is_cuda and again.state[other[0].weight]["step"].is_cpu


def test_copies_and_pickles(tensors: dict[str, Any]) -> None:
    for tensor in tensors.values():
        for again in (copy.deepcopy(tensor), pickle.loads(pickle.dumps(tensor))):
            assert again.device == tensor.device and torch.equal(again.cpu(), tensor.cpu())
            assert type(again) is type(tensor)


def test_safetensors(tensors: dict[str, Any], tmp_path: Path) -> None:
    given = {name: tensors[name] for name in ("x", "bfloat16", "here")}
    safetensors.save_file(given, tmp_path / "x.safetensors")
    for device, expected in (("cuda", "cuda:0"), (0, "cuda:0"), ("cpu", "cpu")):
        loaded = safetensors.load_file(tmp_path / "x.safetensors", device=device)
        assert all(str(tensor.device) == expected for tensor in loaded.values())
        assert torch.equal(loaded["x"].cpu(), tensors["x"].cpu())
    with pytest.raises(ValueError, match="Some tensors share memory"):
        safetensors.save({"x": tensors["x"], "rows": tensors["rows"]})


def test_storages() -> None:
    x = torch.arange(12.0, device="cuda").reshape(3, 4)
    untyped, typed = x.untyped_storage(), x.storage()
    assert untyped.device == typed.device == x.device and untyped.is_cuda and untyped.get_device() == 0
    assert untyped.nbytes() == 48 and typed.size() == 12 and untyped.data_ptr() == x.data_ptr()
    assert x[1:].untyped_storage().data_ptr() == x.data_ptr() and x[1:].storage_offset() == 4
    typed[0] = 7.0
    assert x[0, 0] == 7 and typed[0] == 7.0
    assert repr(untyped).endswith("[torch.storage.UntypedStorage(device=cuda:0) of size 48]")
    assert untyped.cpu().device.type == "cpu" and untyped.clone().device == x.device
    shown = torch.empty(0, device="cuda").set_(untyped, 4, (2, 4), (4, 1))
    shown.fill_(1.0)
    assert x[1:].sum() == 8
    assert torch.zeros(2, device="cuda").set_(x).is_set_to(x)
    assert x.is_shared() and x.share_memory_() is x
    untyped.fill_(0)
    assert x.sum() == 0


def test_resize() -> None:
    x = torch.tensor([1.0, 2.0], device="cuda")
    x.resize_(3, 2)
    assert x.is_cuda and x.shape == (3, 2) and x.flatten()[:2].tolist() == [1.0, 2.0]
    assert x.resize_(1).tolist() == [1.0]
