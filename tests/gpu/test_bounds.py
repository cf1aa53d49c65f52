"""Indices out of range on a GPU: told when the CPU next waits, and then the process goes on."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cupy
import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight.arrays import kinds
from rushlight.ops.fused import Fused

bounds = kinds.gpu().bounds


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    torch.cuda.synchronize()


@pytest.fixture
def blocking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "is_blocking", True)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations for which a check is launched."""
    launched: list[str] = []
    require_range = bounds.require_range

    def watched(name: str, *rest: Any) -> None:
        launched.append(name)
        require_range(name, *rest)

    monkeypatch.setattr(bounds, "require_range", watched)
    return launched


def _x(device: str = "cuda") -> Any:
    return torch.arange(12.0).reshape(4, 3).to(device)


def _at(device: str, *indices: Any) -> Any:
    return torch.tensor(indices, device=device)


# name: function(x of (4, 3), an index as a tensor), which indices the CPU refuses among -13, -5, -1, 3, 4, 12
INDICES = (-13, -5, -1, 2, 3, 4, 12)
CASES: dict[str, Callable[[Any, Any], Any]] = {
    "x[i]": lambda x, i: x[i],
    "x[:, i]": lambda x, i: x[:, i],
    "x[..., i]": lambda x, i: x[..., i],
    "x[None, i]": lambda x, i: x[None, i],
    "x[i, j]": lambda x, i: x[i, i * 0],
    "x[mask, i]": lambda x, i: x[_at(x.device.type, True, False, False, False), i],
    "x[i] = number": lambda x, i: x.__setitem__(i, 1.0),
    "x[i] = values": lambda x, i: x.__setitem__(i, x[:1] * 2),
    "index_put": lambda x, i: x.index_put((i,), x[:1]),
    "index_put_": lambda x, i: x.index_put_((i,), x[:1], accumulate=True),
    "index_select": lambda x, i: x.index_select(0, i),
    "index_select of columns": lambda x, i: x.index_select(1, i.int()),
    "gather": lambda x, i: x.gather(0, i.reshape(1, 1)),
    "gather of a 0-dimensional tensor": lambda x, i: x[0, 0].gather(0, i),
    "take": lambda x, i: x.take(i),
    "take_along_dim": lambda x, i: x.take_along_dim(i.reshape(1, 1), 0),
    "scatter": lambda x, i: x.scatter(0, i.reshape(1, 1), 1.0),
    "scatter_": lambda x, i: x.scatter_(1, i.reshape(1, 1), x[:1]),
    "scatter_add": lambda x, i: x.scatter_add(0, i.expand(1, 3), x[:1]),
    "scatter_reduce": lambda x, i: x.scatter_reduce(0, i.reshape(1, 1), x[:1], "amax"),
    "index_add": lambda x, i: x.index_add(0, i, x[:1]),
    "index_copy": lambda x, i: x.index_copy(0, i, x[:1]),
    "index_fill": lambda x, i: x.index_fill(1, i, 0.0),
    "index_reduce": lambda x, i: x.index_reduce(0, i, x[:1], "prod"),
    "put": lambda x, i: x.put(i, x[0, :1]),
    "put_": lambda x, i: x.put_(i, x[0, :1], accumulate=True),
    "embedding": lambda x, i: F.embedding(i, x),
    "embedding with max_norm": lambda x, i: F.embedding(i, x, max_norm=1.0),
    "embedding_bag": lambda x, i: F.embedding_bag(i.reshape(1, 1), x),
    "embedding_bag with offsets": lambda x, i: F.embedding_bag(i * 0, x, i),
    "cross_entropy": lambda x, i: F.cross_entropy(x, i.expand(4)),
    "cross_entropy that ignores -1": lambda x, i: F.cross_entropy(x, i.expand(4), ignore_index=-1),
    "smoothed cross_entropy": lambda x, i: F.cross_entropy(x, i.expand(4), label_smoothing=0.1),
    "nll_loss": lambda x, i: F.nll_loss(x[:1], i, torch.ones_like(x[0])),
    "multi_margin_loss": lambda x, i: F.multi_margin_loss(x[:1], i),
    "multilabel_margin_loss": lambda x, i: F.multilabel_margin_loss(x[:1], i.expand(1, 3).clone()),
    "linear_cross_entropy": lambda x, i: F.linear_cross_entropy(
        x, x, i.expand(4), options=torch.nn.LinearCrossEntropyOptions()
    ),
    "lu_unpack": lambda x, i: torch.lu_unpack(x, i.int().expand(3)),
    "lu_solve": lambda x, i: torch.linalg.lu_solve(x[1:] + torch.eye(3, device=x.device), i.int().expand(3), x[1:]),
    "one_hot": lambda x, i: F.one_hot(i, 4),
    "max_unpool1d": lambda x, i: F.max_unpool1d(x[:1, None, :1], i.reshape(1, 1, 1), 2),
    "ctc_loss": lambda x, i: F.ctc_loss(x[:, None].log_softmax(-1), i.reshape(1, 1), (4,), (1,), blank=0),
    "searchsorted": lambda x, i: torch.searchsorted(x[0, :1], x[1], sorter=i),
}  # fmt: skip


def _error(function: Callable[[], Any]) -> Exception | None:
    try:
        function()
    except (IndexError, RuntimeError) as error:
        return error
    return None


@pytest.mark.parametrize("name", CASES)
def test_what_the_cpu_refuses_is_told_later(name: str) -> None:
    function, refused = CASES[name], 0
    for index in INDICES:
        expected = _error(lambda index=index: function(_x("cpu"), _at("cpu", index)))
        function(_x(), _at("cuda", index))
        told = _error(torch.cuda.synchronize)
        assert (told is None) == (expected is None), (index, told, expected)
        torch.cuda.synchronize()  # once
        if expected is not None:
            refused += 1
            first, second = str(told).split("\n")
            assert isinstance(told, type(expected)) and isinstance(told, IndexError)
            if "Index 0 of input" in str(expected):  # which of them a GPU does not say
                expected = RuntimeError(str(expected).replace("Index 0", "An index"))
            assert first == str(expected)
            assert f": index {index}, size" in second and "CUDA_LAUNCH_BLOCKING=1" in second
    assert refused or name == "take_along_dim"


@pytest.mark.parametrize("name", CASES)
def test_what_is_remembered_holds_no_memory(name: str) -> None:
    def used_by(count: int) -> int:
        for _ in range(count):
            CASES[name](_x(), _at("cuda", 0))
            _error(torch.cuda.synchronize)
        return torch.cuda.memory_allocated()

    assert used_by(3) == used_by(2)  # the first calls make programs


@pytest.mark.parametrize("name", CASES)
def test_the_operation_itself_raises_on_request(name: str, blocking: None) -> None:
    for index in INDICES:
        expected = _error(lambda index=index: CASES[name](_x("cpu"), _at("cpu", index)))
        told = _error(lambda index=index: CASES[name](_x(), _at("cuda", index)))
        assert (told is None) == (expected is None), (index, told, expected)
        assert "CUDA_LAUNCH_BLOCKING" not in str(told)


WAITS: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x[0, 0].item(),
    "float": lambda x: float(x[0, 0]),
    "bool": lambda x: bool(x[0, 0] > 0),
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
    "repr": repr,
    "numpy": lambda x: x.numpy(force=True),
    "copy_": lambda x: torch.zeros(2, 3).copy_(x),
    "save": lambda x: torch.save(x, io.BytesIO()),
    "nonzero": lambda x: x.nonzero(),
    "equal": lambda x: torch.equal(x, x),
    "storage": lambda x: x.storage().tolist(),
    "element of a storage": lambda x: x.storage()[0],
    "synchronize": lambda x: torch.cuda.synchronize(),
    "accelerator": lambda x: torch.accelerator.synchronize(),
    "stream": lambda x: torch.cuda.current_stream().synchronize(),
    "event": lambda x: torch.cuda.current_stream().record_event().synchronize(),
    "eig": lambda x: torch.linalg.eigvals(x[:, :2]),
}


@pytest.mark.parametrize("name", WAITS)
def test_whoever_waits_is_told(name: str) -> None:
    found = _x()[_at("cuda", 1, 4)]
    with pytest.raises(IndexError, match="index 4 is out of bounds for dimension 0 with size 4"):
        WAITS[name](found)
    WAITS[name](_x()[_at("cuda", 1, 3)])  # the process goes on


FORMS: list[Callable[[Any], Any]] = [  # of an index, by a function that makes arrays on a device
    lambda t: (t(0), t(0), t(0)),
    lambda t: (..., t(0), t(0), t(0)),
    lambda t: (t(0), None, t(7)),
    lambda t: (None, ..., t(3)),
    lambda t: (True, t(2)),
    lambda t: (0, t(3)),
    lambda t: (slice(None), t(3)[:, None]),
    lambda t: (t(0), slice(2), t(0)),
    lambda t: (t(1, 0) > 0, t(3)),
    lambda t: ((t(1, 0, 1) > 0).expand(2, 3), t(0)),
    lambda t: (t(0, 1), ..., t(-4, 2)),
    lambda t: (t(0, 1), ..., t(-3, 2)),
    lambda t: (..., None, t(2)),
    lambda t: (..., None, t(3)),
    lambda t: (t(0, 1, 0), t(0, 1)),
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_index(form: Callable[[Any], Any]) -> None:
    def outcome(device: str) -> Any:
        x = torch.arange(6.0).reshape(2, 3).to(device)
        try:
            return x[form(functools.partial(_at, device))].tolist()
        except IndexError as error:
            return str(error).split("\n")[0]

    assert outcome("cuda") == outcome("cpu")


def test_what_was_wrong_first_is_told() -> None:
    x = _x()
    x.gather(0, _at("cuda", [1], [9]))
    F.embedding(_at("cuda", 77), x)
    with pytest.raises(RuntimeError, match=r"index 9 is out of bounds for dimension 0 with size 4 \(gather\)"):
        torch.cuda.synchronize()


def test_indices_that_come_from_the_cpu_are_refused_at_once() -> None:
    for index in ([1, 4], np.array([1, 4]), torch.tensor([1, 4]), [-5]):
        with pytest.raises(IndexError, match="is out of bounds for dimension 0 with size 4"):
            _x()[index]


@pytest.mark.parametrize("shape", [(0, 3), (4, 0)], ids=str)
def test_nothing_is_read_or_written_where_there_is_nothing(shape: tuple[int, int]) -> None:
    """CuPy would divide by zero, and write wherever that leads."""
    axis = shape.index(0)
    for call in (
        lambda x, i: x[(slice(None),) * axis + (i,)], lambda x, i: x.__setitem__((slice(None),) * axis + (i,), 1.0),
        lambda x, i: x.index_select(axis, i), lambda x, i: x.index_fill(axis, i, 1.0), lambda x, i: x.take(i),
    ):  # fmt: skip
        with pytest.raises(IndexError):
            call(torch.zeros(shape, device="cuda"), _at("cuda", 0))
    xp, empty = kinds.gpu(), cupy.zeros(shape)
    spec = (*[slice(None)] * axis, ("array", 0))
    xp.put(empty, cupy.ones(()), cupy.asarray(np.array([0])), spec=spec, accumulate=False)
    xp.index_reduce(empty, cupy.ones(()), cupy.asarray(np.array([0])), spec=spec, reduce="prod")


def test_values_that_do_not_fit_a_mask() -> None:
    for device in ("cpu", "cuda"):
        x = _x(device)
        for values in (torch.ones(7, device=device), torch.ones(2, device=device)):
            with pytest.raises(RuntimeError, match=r"shape mismatch: value tensor of shape \[\d\] cannot be broadcast"):
                x[x > 8] = values
        with pytest.raises(IndexError, match="indexing tensors could not be broadcast together with shapes"):
            x[_at(device, 0, 0, 1), _at(device, 0, 0)]
        with pytest.raises(IndexError, match=r"The shape of the mask \[3\] at index 0 does not match"):
            x[_at(device, True, True, True)]
        x[x > 8] = torch.ones(3, device=device)
        assert x.sum().item() == 36 + 3


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "in order": lambda i: i,
    "transposed": lambda i: i.T,
    "columns": lambda i: i[:, 1:],
    "every other": lambda i: i[::2, ::2],
    "expanded": lambda i: i[:, None].expand(6, 5, 8),
    "one row": lambda i: i[1],
    "one column": lambda i: i[:, 1],
    "a row expanded": lambda i: i[1].expand(7, 8),
    "gaps in three": lambda i: i.reshape(2, 3, 8)[:, ::2, ::3],
    "one": lambda i: i[1:2, 1:2],
    "one expanded": lambda i: i[1, 1].expand(3, 4),
    "turned": lambda i: i.reshape(2, 3, 8).permute(2, 0, 1)[1:],
    "swapped": lambda i: i.reshape(2, 3, 8).permute(1, 0, 2),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_order_in_memory(name: str, blocking: None) -> None:
    """Each element that a view has is looked at, and no other."""
    plain = np.arange(48).reshape(6, 8)
    seen = np.unique(LAYOUTS[name](torch.tensor(plain)).numpy())
    for dtype in (np.int64, np.int32):
        i = LAYOUTS[name](torch.tensor(plain.astype(dtype)).cuda())._array
        assert (bounds._in_memory(i)[0] is i) == (name != "gaps in three")  # which is copied
        for wrong in (0, 1, 9, 10, 24, 47):
            for low, high in ((wrong, wrong + 1), (0, wrong), (wrong + 1, 48)):
                is_wrong = ((seen < low) | (seen >= high)).any() or high <= low
                told = _error(lambda low=low, high=high, i=i: bounds.require_range("test", i, low, high, IndexError))
                assert (told is not None) == is_wrong


@pytest.mark.parametrize("char", "bBhHiIlLqQ")
def test_every_dtype(char: str, blocking: None) -> None:
    limits = np.iinfo(char)
    for number in {limits.min, -1, 0, 5, 6, 100, limits.max}:
        if limits.min <= number <= limits.max:
            array = cupy.asarray(np.array([0, number], char))
            told = _error(lambda array=array: bounds.require_range("test", array, -1, 6, IndexError, 100))
            assert (told is None) == (-1 <= number < 6 or number == 100), (char, number)
            if told is not None:
                assert f"index {min(number, 2**63 - 1)}" in str(told)


def test_more_indices_than_threads(blocking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_BLOCKS", 8)
    array = np.zeros(bounds.BLOCK * bounds.MAX_BLOCKS + 1000, np.int32)
    for place in (0, bounds.BLOCK * bounds.MAX_BLOCKS, array.size - 1):
        array[:] = 0
        array[place] = 3
        with pytest.raises(IndexError):
            bounds.require_range("test", cupy.asarray(array), 0, 3, IndexError)
        bounds.require_range("test", cupy.asarray(array), 0, 4, IndexError)


def test_one_launch_for_each_array_of_indices(checks: list[str]) -> None:
    x, i = _x().requires_grad_(True), _at("cuda", 0, 2, 1, 1)
    for name, call in {
        "index": lambda: x[i], "gather": lambda: x.gather(1, i[:, None]), "embedding": lambda: F.embedding(i, x),
        "index_add_": lambda: x.index_add(0, i, x), "scatter": lambda: x.scatter(1, i[:, None], x),
        "nll_loss": lambda: F.cross_entropy(x, i, label_smoothing=0.1), "index_select": lambda: x.index_select(0, i),
    }.items():  # fmt: skip
        checks.clear()
        (found,) = torch.autograd.grad(call().sum(), x, create_graph=True)
        (found * x).sum().backward()
        assert checks == [name]
    checks.clear()
    x.sort(1), x.topk(2), x.median(0), x.max(1), x[1:, ::2], x[x > 3]
    assert not checks


def test_a_kernel_of_many_operations_tells() -> None:
    def doubled(xp: Any, x: Any, i: Any) -> Any:
        return xp.take(x, i, 0) * 2 + 1

    function = Fused(doubled)
    xp, x = kinds.gpu(), cupy.asarray(np.arange(12, dtype=np.float32).reshape(4, 3))
    for _ in range(2):
        function(xp, x, cupy.asarray(np.array([0, -1])))
    for wrong in (4, -5):
        function(xp, x, cupy.asarray(np.array([0, wrong])))
        with pytest.raises(IndexError, match=rf"index {wrong} is out of bounds for a dimension of size 4\n  doubled: "):
            torch.cuda.synchronize()
        torch.cuda.synchronize()
    found = function(xp, x, cupy.asarray(np.array([3, 1])))
    np.testing.assert_array_equal(xp.to_host(found), x.get()[[3, 1]] * 2 + 1)


def test_a_kernel_of_many_operations_raises_on_request(blocking: None) -> None:
    function = Fused(lambda xp, x, i: xp.take(x, i, 0) * 2 + 1)
    xp, x = kinds.gpu(), cupy.asarray(np.ones((4, 3), np.float32))
    for _ in range(2):
        function(xp, x, cupy.asarray(np.array([0, -1])))
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        function(xp, x, cupy.asarray(np.array([0, 4])))


def test_an_error_of_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more has been launched since than is remembered, the index is told all the same."""
    _x()[_at("cuda", 9)]
    for _ in range(bounds.KEPT):
        bounds.announce("another")
    with pytest.raises(IndexError, match="index 9 is out of bounds for a dimension of size 4\n  an operation: "):
        torch.cuda.synchronize()


def test_within_autocast_and_hooks() -> None:
    """Where operations take their long path, on both kinds of array."""
    for device in ("cpu", "cuda"):
        x = _x(device).requires_grad_(True)
        for block in (
            torch.amp.autocast(device, torch.bfloat16), torch.autograd.set_detect_anomaly(True),
            torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t),
        ):  # fmt: skip
            for call in (
                lambda x: x.gather(0, _at(x.device.type, [-1])), lambda x: F.embedding(_at(x.device.type, -1), x),
                lambda x: F.cross_entropy(x, _at(x.device.type, 0, 1, 2, -1)),
                lambda x: F.one_hot(_at(x.device.type, -1), 3),
            ):  # fmt: skip
                with block:
                    told = _error(lambda x=x, call=call: (call(x), torch.cuda.synchronize()))
                assert re.search("-1|out of range|non-negative", str(told))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_within_transforms(device: str) -> None:
    """The indices of all examples are looked at."""
    x = _x(device)

    def derivative(i: Any) -> Any:
        return torch.func.grad(lambda row: row[i].sum())(x[0])

    for call, wrong in (
        (torch.vmap(lambda i: x.gather(0, i)), [[[0]], [[-1]]]), (torch.vmap(lambda i: x[i]), [[0], [4]]),
        (torch.vmap(lambda i: F.embedding(i, x)), [[0], [-1]]), (torch.vmap(derivative), [[0], [3]]),
        (lambda i: torch.func.jvp(lambda y: y.index_select(0, i), (x,), (x,)), [4]),
    ):  # fmt: skip
        indices = torch.tensor(wrong, device=device)
        told = _error(lambda call=call, indices=indices: (call(indices), torch.cuda.synchronize()))
        assert "out of" in str(told)


def test_from_several_threads() -> None:
    """Each wrong index is told to somebody, with the size of the operation that had it."""
    told: list[str] = []

    def work(size: int) -> None:
        device = f"cuda:{size % torch.cuda.device_count()}"
        x = torch.zeros(size, 3, device=device)
        for index in [*range(size), size + 100] * 5:
            try:
                x[_at(device, index)].cpu()
            except IndexError as error:
                told.append(str(error).split("\n")[0])

    threads = [threading.Thread(target=work, args=(size,)) for size in range(3, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with contextlib.suppress(IndexError):
        torch.cuda.synchronize()
    assert told
    wrong = {f"index {size + 100} is out of bounds for dimension 0 with size {size}" for size in range(3, 9)}
    assert set(told) <= wrong


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
def test_on_another_gpu() -> None:
    x = _x("cuda:1")
    x[_at("cuda:1", 4)]
    assert torch.cuda.current_device() == 0
    with pytest.raises(IndexError):
        x.cpu()
    assert x[_at("cuda:1", 3)].tolist() == [[9.0, 10.0, 11.0]]


def test_a_training_step_that_waits_for_nothing(checks: list[str]) -> None:
    """The loss is read at the end: there the wrong word is told, and the next batch trains."""
    model = torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.Flatten(), torch.nn.Linear(8, 3)).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(words: list[list[int]]) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(torch.tensor(words).cuda()), torch.tensor([0, 2]).cuda())
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        first = step([[0, 1], [2, 3]]).item()
    assert checks == ["embedding", "nll_loss"] * 3
    loss = step([[0, 1], [2, 5]])
    with pytest.raises(IndexError, match="index out of range in self\n  embedding: index 5, size 5"):
        loss.item()
    assert np.isfinite(step([[0, 1], [2, 3]]).item()) and first > 0
