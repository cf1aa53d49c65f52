"""Files against PyTorch: each reads what the other has written."""

import io
import os
import pickle
import threading
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

import rushlight
from rushlight import nn
from rushlight.serialization import load, save

torch = pytest.importorskip("torch")

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128", "uint16", "uint32", "uint64",
]  # fmt: skip


def plain(value):
    """Tensors of either library as text; containers as they are."""
    if isinstance(value, (rushlight.Tensor, torch.Tensor)):
        kind = "parameter" if isinstance(value, (nn.Parameter, torch.nn.Parameter)) else "tensor"
        return (
            kind,
            str(value.dtype),
            tuple(value.shape),
            value.numel() and value.stride(),
            value.tolist(),
            value.requires_grad,
        )
    if isinstance(value, (rushlight.dtype, torch.dtype, rushlight.device, torch.device)):
        return repr(value)
    if isinstance(value, dict):
        return type(value), {key: plain(item) for key, item in value.items()}, plain(vars_of(value))
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(item) for item in value]
    return type(value), value


def vars_of(value):
    return list(getattr(value, "__dict__", {}).values())


def content(t, nn):
    """One of everything."""
    shared = t.arange(12.0).reshape(3, 4)
    both = [1, 2]
    model = nn.Sequential(OrderedDict(fc=nn.Linear(3, 2), norm=nn.LayerNorm(2)))
    return {
        "numbers": [1, -1, 255, 256, 2**31, -(2**31), 2**70, 0.5, float("inf"), True, False, None, 1 + 2j],
        "text": ["", "a", "ü \N{SNOWMAN}", "a", "x" * 300],
        "bytes": b"\x00\xff",
        "tuples": ((), (1,), (1, (2, 3), 4, 5)),
        "sets": {1, 2},
        "counter": Counter({30: 1, 80: 2}),
        "same list twice": [both, both],
        3: {"nested": {"deeper": OrderedDict(a=1)}},
        "dtype": t.float16,
        "device": t.device("cpu"),
        "size": t.zeros(2, 3).shape,
        "state": model.state_dict(),
        "parameters": list(model.parameters()),
        "frozen": nn.Parameter(t.ones(2), requires_grad=False),
        "leaf": t.ones(2, requires_grad=True),
        "views": [shared, shared[1], shared.t(), shared[:, 1:3]],
        "0-dim": t.tensor(2.5),
        "empty": t.zeros(0, 3),
        "expanded": t.ones(1, 1).expand(2, 3),
    }


def seeded_content(t, nn):
    t.manual_seed(0)
    return content(t, nn)


def saved(value, library=None):
    file = io.BytesIO()
    (library.save if library else save)(value, file)
    file.seek(0)
    return file


def test_pytorch_reads_ours():
    file = saved(seeded_content(rushlight, nn))
    assert plain(torch.load(file, weights_only=True)) == plain(seeded_content(torch, torch.nn))


def test_we_read_pytorchs():
    file = saved(seeded_content(torch, torch.nn), torch)
    assert plain(load(file)) == plain(seeded_content(rushlight, nn))


def test_we_read_ours():
    value = seeded_content(rushlight, nn)
    assert plain(load(saved(value))) == plain(value)


@pytest.mark.parametrize("name", DTYPES)
def test_dtypes(name):
    ours = rushlight.tensor([0, 1, 1, 0]).to(getattr(rushlight, name))[1:]
    theirs = torch.tensor([0, 1, 1, 0]).to(getattr(torch, name))[1:]
    assert plain(torch.load(saved(ours))) == plain(theirs)
    assert plain(load(saved(theirs, torch))) == plain(ours)


def test_meta():
    assert torch.load(saved(rushlight.zeros(2, 3, device="meta"))).is_meta
    assert repr(load(saved(torch.zeros(2, 3, device="meta"), torch))) == repr(torch.zeros(2, 3, device="meta"))


# ---------------------------------------------------------------- shared memory


@pytest.mark.parametrize(("writer", "reader"), [(None, torch.load), (torch, load), (None, load)])
def test_views_stay_views(writer, reader):
    library = writer or rushlight
    x = library.arange(6.0)
    again, row, same = reader(saved([x, x[2:4], x], writer))
    again[2] = 100.0
    assert row[0].item() == 100.0
    assert same is again


def test_views_are_saved_once():
    x = rushlight.zeros(1000)
    assert len(saved([x, x[:500], x.reshape(10, 100)]).getvalue()) < 6000


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0)[::-1],
        np.arange(6.0).reshape(2, 3)[:, ::-1],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">i4"),
        np.arange(6.0).view(np.int64),
        np.transpose(np.arange(24.0).reshape(2, 3, 4), (1, 2, 0)).copy(order="K"),
        np.broadcast_to(np.arange(3.0), (2, 3)).copy(),
        np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")])["b"],
    ],
    ids=["reversed", "reversed rows", "columns", "big-endian", "other dtype", "permuted", "copy", "field"],
)
def test_any_memory(array):
    tensor = rushlight.from_numpy(array)
    np.testing.assert_array_equal(load(saved(tensor)).numpy(), array)
    np.testing.assert_array_equal(torch.load(saved(tensor)).numpy(), array)


# ---------------------------------------------------------------- files


def test_paths(tmp_path):
    path = tmp_path / "model.pt"
    save({"a": rushlight.ones(3)}, path)
    assert load(str(path))["a"].tolist() == [1, 1, 1]
    assert torch.load(path)["a"].tolist() == [1, 1, 1]
    assert os.listdir(tmp_path) == ["model.pt"]


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    save(1, path)
    with pytest.raises(TypeError):
        save({"a": lambda: 1}, path)
    monkeypatch.setattr("rushlight.serialization.writer._add", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(2, path)
    assert load(path) == 1
    assert os.listdir(tmp_path) == ["model.pt"]


def test_mapped_files(tmp_path):
    path = tmp_path / "model.pt"
    for library in (rushlight, torch):
        (save if library is rushlight else torch.save)([library.arange(100.0), library.arange(5)], path)
        before = path.read_bytes()
        x, y = load(path, mmap=True)
        assert x.tolist() == list(range(100))
        assert y.tolist() == list(range(5))
        x[0] = 7.0
        assert path.read_bytes() == before
    save([rushlight.arange(100.0), rushlight.arange(5)], path)
    assert torch.load(path, mmap=True)[1].tolist() == list(range(5))
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            header = 30 + len(entry.filename) + len(entry.extra)
            assert (entry.header_offset + header) % 64 == 0


def test_files_that_cannot_seek():
    read, write = os.pipe()
    os.close(write)
    message = r"You can only torch\.load from a file that is seekable"
    with os.fdopen(read, "rb") as file, pytest.raises(io.UnsupportedOperation, match=message):
        load(file)


def test_no_folder(tmp_path):
    with pytest.raises(RuntimeError, match=r"Parent directory .* does not exist"):
        save(1, tmp_path / "none" / "model.pt")


@pytest.mark.parametrize("place", ["cpu", rushlight.device("cpu"), {"cuda:0": "cpu"}, lambda storage, place: storage])
def test_map_location(place, without_gpu):
    file = saved(torch.ones(2), torch)
    data = file.getvalue().replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    repacked = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file.getvalue())) as old, zipfile.ZipFile(repacked, "w") as new:
        for entry in old.infolist():
            content = old.read(entry.filename)
            new.writestr(entry.filename, content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    assert data != file.getvalue()
    repacked.seek(0)
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        load(repacked)
    repacked.seek(0)
    assert load(repacked, map_location=place).tolist() == [1, 1]
    repacked.seek(0)
    assert load(repacked, map_location="meta").is_meta


# ---------------------------------------------------------------- what is refused


class Dangerous:
    def __reduce__(self):
        return os.system, ("echo boom > /tmp/rushlight_boom",)


@pytest.mark.parametrize("value", [Dangerous(), {"a": [Dangerous()]}, print, torch.nn.Linear(1, 1)])
def test_other_names_are_refused(value):
    with pytest.raises(pickle.UnpicklingError, match=r"Unsupported global: GLOBAL .* was not an allowed global"):
        load(saved(value, torch))
    assert not os.path.exists("/tmp/rushlight_boom")


def test_what_cannot_be_saved_is_named_with_its_place():
    with pytest.raises(
        TypeError, match=r"cannot save builtins.function, which is at \['a'\]\[1\]: .*<lambda>' is no name"
    ):
        save({"a": [1, lambda: 1]}, io.BytesIO())
    with pytest.raises(TypeError, match=r"cannot save _thread.lock"):
        save([threading.Lock()], io.BytesIO())


def forged(name_of_archive, pickled, storage=b"\0" * 8):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name_of_archive}/data.pkl", pickled)
        archive.writestr(f"{name_of_archive}/data/0", storage)
    file.seek(0)
    return file


def test_tensors_cannot_reach_beyond_their_storage():
    value = saved(torch.zeros(2), torch)
    with zipfile.ZipFile(value) as archive:
        good = archive.read("archive/data.pkl")
    assert load(forged("a", good)).tolist() == [0, 0]
    with pytest.raises(pickle.UnpicklingError, match="beyond its storage"):
        load(forged("a", good.replace(b"K\x00K\x02\x85", b"K\x01K\x02\x85")))
    with pytest.raises(RuntimeError, match="has 4 bytes where the pickle says 8"):
        load(forged("a", good, b"\0" * 4))
    for cut in range(1, len(good)):
        with pytest.raises((pickle.UnpicklingError, RuntimeError)):
            load(forged("a", good[:cut]))


def test_damaged_files(tmp_path):
    good = saved({"a": rushlight.arange(1000)}).getvalue()
    path = tmp_path / "model.pt"
    cases = [
        (good[:-100], "failed finding central directory"),
        (good[: len(good) // 2], "failed finding central directory"),
        (good[:3000] + b"junk" + good[3004:], "Bad CRC-32"),
        (b"hello world", "starts with b'hell'"),
        (pickle.dumps({"a": 1}), "bare pickle"),
    ]
    for data, message in cases:
        path.write_bytes(data)
        with pytest.raises(RuntimeError, match=message):
            load(path)
    path.write_bytes(b"")
    with pytest.raises(EOFError):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.pt")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other/file", b"")
    with pytest.raises(RuntimeError, match=r"failed locating file data.pkl"):
        load(path)
