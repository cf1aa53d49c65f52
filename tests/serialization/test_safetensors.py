"""safetensors files against the package of that name."""

import json

import numpy as np
import pytest

import rushlight
from rushlight.serialization import safetensors

torch = pytest.importorskip("torch")
package = pytest.importorskip("safetensors.torch")

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "uint16", "uint32",
    "uint64", "complex64",
]  # fmt: skip


def content(t):
    return {
        "weights": t.arange(12.0).reshape(3, 4),
        "transposed": t.arange(6).reshape(2, 3).t().clone().contiguous(),
        "one": t.tensor(2.5),
        "none": t.zeros(0, 3),
        **{name: t.tensor([0, 1, 1]).to(getattr(t, name)) for name in DTYPES},
    }


def plain(tensors):
    return {name: (str(x.dtype), tuple(x.shape), x.tolist()) for name, x in tensors.items()}


def test_the_package_reads_ours(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.save_file(content(rushlight), path, {"format": "pt"})
    assert plain(package.load_file(path)) == plain(content(torch))
    assert path.read_bytes() == safetensors.save(content(rushlight), {"format": "pt"})


def test_we_read_the_packages(tmp_path):
    path = tmp_path / "x.safetensors"
    package.save_file(content(torch), path, {"format": "pt"})
    assert plain(safetensors.load_file(path)) == plain(content(rushlight))
    assert plain(safetensors.load(path.read_bytes())) == plain(content(rushlight))
    with safetensors.safe_open(path, "pt", device="cpu") as file:
        assert file.metadata() == {"format": "pt"}
        assert sorted(file.keys()) == sorted(content(rushlight))
        assert file.get_slice("weights")[1:, :2].tolist() == [[4, 5], [8, 9]]
        with pytest.raises(safetensors.SafetensorError, match="File does not contain tensor x"):
            file.get_tensor("x")


def test_memory_is_the_files_until_it_is_written_to(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.save_file({"x": rushlight.arange(100.0), "y": rushlight.arange(5)}, path)
    before = path.read_bytes()
    x = safetensors.load_file(path)["x"]
    assert isinstance(x.numpy().base.base, np.memmap) or isinstance(x.numpy().base, np.memmap)
    x.zero_()
    assert path.read_bytes() == before
    assert safetensors.load_file(path)["x"].sum().item() == 4950


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.save_file({"x": rushlight.ones(1)}, path)
    x = rushlight.ones(4)
    with pytest.raises(ValueError, match=r"share memory.*\['a', 'b'\]"):
        safetensors.save_file({"a": x, "b": x[1:], "c": rushlight.ones(2)}, path)
    with pytest.raises(TypeError, match=r"no torch.complex128, which 'z' is"):
        safetensors.save_file({"z": x + 1j * x.double()}, path)
    with pytest.raises(ValueError, match=r"expected torch.Tensor but received <class 'int'>"):
        safetensors.save_file({"z": 1}, path)
    assert list(safetensors.load_file(path)) == ["x"]
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


def made(header, data=b"\0" * 8):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(text).to_bytes(8, "little") + text + data


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "header too small"),
        (b"\xff" * 8, "header too large"),
        (b"\xff\xff\0\0\0\0\0\0{}", "cut off"),
        (made(b"[]"), "invalid JSON"),
        (made(b"\xff\xfe"), "invalid JSON"),
        (made({"x": {**ENTRY, "dtype": "F3"}}), "F3"),
        (made({"x": {**ENTRY, "shape": [3]}}), "8 bytes for shape"),
        (made({"x": {**ENTRY, "shape": [-1, -2]}}), "negative"),
        (made({"x": {**ENTRY, "more": 1}}), "more"),
        (made({"x": {**ENTRY, "data_offsets": [8, 16]}}), "invalid offset"),
        (made({"x": ENTRY}, b"\0" * 4), "not fully covered"),
        (made({"x": ENTRY}, b"\0" * 12), "not fully covered"),
        (made({"x": ENTRY, "y": ENTRY}), "invalid offset"),
    ],
)
def test_damaged_files(data, message, tmp_path):
    (tmp_path / "x").write_bytes(data)
    for read, source in ((safetensors.load, data), (safetensors.load_file, tmp_path / "x")):
        with pytest.raises(safetensors.SafetensorError, match=message):
            read(source)
