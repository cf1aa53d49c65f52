"""Writing through indices on a GPU: in place, on the tensor's own device, whatever lies in the same memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rushlight as torch
from rushlight.arrays import kinds

DEVICES = ["cuda", "cuda:1"] if torch.cuda.device_count() > 1 else ["cuda"]


def _at(x: Any, *indices: Any) -> Any:
    return torch.tensor(indices, device=x.device)


WRITES: dict[str, Callable[[Any], Any]] = {
    "a number": lambda x: x.__setitem__(_at(x, 3, 1), 5),
    "rows": lambda x: x.__setitem__(_at(x, 3, 1), x[:2] * 2),
    "a list": lambda x: x.__setitem__(_at(x, 3, 1), [1, 2, 3]),
    "a number on the CPU": lambda x: x.__setitem__(_at(x, 3, 1), torch.tensor(7).to(x.dtype)),
    "columns": lambda x: x.__setitem__((slice(1, 3), _at(x, 2, 0)), x[2:, :2] + 1),
    "elements": lambda x: x.__setitem__((_at(x, 0, 3), _at(x, 2, -1)), 9),
    "a mask": lambda x: x.__setitem__(x > 8, _at(x, 1, 2, 3).to(x.dtype)),
    "a mask of rows": lambda x: x.__setitem__((x > 6)[:, 2], x[0]),
    "its own rows": lambda x: x.__setitem__(_at(x, 1, 2, 3), x[:3]),
    "its own rows, turned": lambda x: x.__setitem__(_at(x, 0, 1, 2, 3), x.as_strided((4, 3), (0, 1), 3)),
    "its own elements as indices": lambda x: x.view(torch.int64)[0].__setitem__(x.view(torch.int64)[0] % 3, 7),
    "into a view": lambda x: x.T.__setitem__(_at(x, 2, 0), x.T[:2]),
    "into every other row": lambda x: x[::2].__setitem__(_at(x, 1), x[1]),
    "added": lambda x: x.index_put_((_at(x, 1, 1, 2),), x[:3], accumulate=True),
    "added to a view": lambda x: x[:, 1:].index_put_((_at(x, 1, 1, 2),), x[:3, :2], accumulate=True),
    "added by a mask": lambda x: x.index_put_((x > 8,), _at(x, 1).to(x.dtype), accumulate=True),
}


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64], ids=str)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", WRITES)
def test_as_on_the_cpu(name: str, device: str, dtype: Any) -> None:
    def written(device: str) -> Any:
        x = torch.arange(12, device=device).to(dtype).reshape(4, 3)
        WRITES[name](x)
        return x.tolist()

    assert written(device) == written("cpu")
    assert torch.cuda.current_device() == 0


@pytest.mark.parametrize("name", [name for name in WRITES if name.startswith("added") and "mask" not in name])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.bfloat16, torch.int8], ids=str)
def test_sums_of_every_kind(name: str, dtype: Any) -> None:
    def written(device: str) -> Any:
        x = torch.arange(12, device=device).to(dtype).reshape(4, 3)
        x = x * (1 + 2j) if dtype.is_complex else x
        WRITES[name](x)
        return x.tolist()

    assert written("cuda") == written("cpu")


@pytest.mark.parametrize("device", DEVICES)
def test_gradients(device: str) -> None:
    def gradients(device: str) -> list[Any]:
        x = torch.arange(12.0).reshape(4, 3).to(device).requires_grad_(True)
        y = torch.ones(2, 3).to(device).requires_grad_(True)
        z = x * 2
        z[_at(x, 1, 3)] = y * y
        z.index_put_((_at(x, 0, 0),), y, accumulate=True)
        return [grad.tolist() for grad in torch.autograd.grad((z * z).sum(), (x, y))]

    assert gradients(device) == gradients("cpu")


def test_what_is_not_written_is_not_touched() -> None:
    """A write costs what is written, not what there is."""
    x, rows = torch.zeros(1000, 1000, device="cuda"), torch.tensor([3, 900]).cuda()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    x[rows] = torch.ones(2, 1000, device="cuda")
    x.index_put_((rows,), torch.ones(1, device="cuda"), accumulate=True)
    assert torch.cuda.max_memory_allocated() - before < x.numel()
    assert x.sum().item() == 4000


def test_values_on_another_device() -> None:
    x = torch.zeros(4, 3, device="cuda")
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        x[_at(x, 0)] = torch.ones(3)


def test_what_is_read_is_not_written_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy sees to that, CuPy does not."""
    xp, shared = kinds.gpu(), []

    def watched(target: Any, *read: Any, **how: Any) -> None:
        shared.extend(xp.cupy.may_share_memory(target, x) for x in read)

    monkeypatch.setattr(xp, "put", watched)
    x = torch.arange(12, device="cuda").reshape(4, 3)
    x[_at(x, 1, 2)], x[0][x[1] % 3] = x[:2], x[2]
    assert shared == [False] * 4
