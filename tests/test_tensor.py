"""What a tensor is made of, made from and cut into: the same lines on PyTorch and here, with the same results or errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rushlight

pytestmark = pytest.mark.filterwarnings("ignore")


def described(value):
    """Something that is equal for equal results of both libraries."""
    if isinstance(value, (rushlight.Tensor, torch.Tensor)):
        if value.device.type == "meta":
            return str(value.dtype), tuple(value.shape), "meta"
        return str(value.dtype), tuple(value.shape), value.tolist(), value.requires_grad
    if isinstance(value, (list, tuple)):
        return [described(item) for item in value]
    return value if isinstance(value, (int, float, complex, str, type(None))) else str(value)


def outcome(line, t):
    x = t.arange(12.0).reshape(3, 4)
    try:
        return described(eval(line, {"t": t, "x": x, "np": np, "row": t.arange(4), "z": t.tensor(2.0)}))
    except Exception as error:  # noqa: BLE001  (compared)
        builtin = next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
        return builtin.__name__


SAME = {
    "memory": """
        x.t().contiguous().stride() | x.t().clone().stride() | x.t().clone(memory_format=t.contiguous_format).stride()
        x[1:].storage_offset() | x[1:, 2:].detach().storage_offset() | x[1].untyped_storage().nbytes() | len(x.storage())
        x.storage()[5] | x[1].storage().tolist() | x.untyped_storage().tolist()[:8] | x.diagonal(1).storage_offset()
        x.untyped_storage().data_ptr() == x[1].untyped_storage().data_ptr() | x.is_set_to(x.view(3, 4)) | x.is_set_to(x.view(4, 3))
        x.dim_order() | x.t().dim_order() | t.ones(2, 3, 4, 5).contiguous(memory_format=t.channels_last).dim_order()
        t.ones(2, 3, 4, 5).to(memory_format=t.channels_last).stride() | x.contiguous(memory_format=t.channels_last)
        t.ones(2, 3, 4, 5).is_contiguous(memory_format=t.channels_last) | t.ones(1, 1).dim_order(ambiguity_check=True)
        t.ones(2, 1, 4, 5).is_contiguous(memory_format=t.channels_last) | x.is_contiguous(memory_format=t.channels_last)
        t.empty_like(x.t()).stride() | t.zeros_like(t.ones(2, 3, 4, 5), memory_format=t.channels_last).stride()
        x.expand(2, 3, 4).clone().stride() | t.empty_strided((2, 2), (1, 2)).stride() | t.empty_permuted((2, 3, 4), (2, 0, 1)).stride()
        x.is_shared() | x.share_memory_().is_shared() | x.share_memory_() | x.is_pinned() | x.get_device() | x.layout
        x.clone().resize_(2, 2) | x.clone()[1].resize_(4) | t.ones(2).resize_(3).shape | x.resize_as_(t.ones(4, 3))
        t.ones(2, requires_grad=True).resize_(3) | t.ones(2).set_(x) | t.ones(2).set_().shape | t.ones(4).set_(t.ones(2).double())
        t.ones(4).set_(x.untyped_storage(), 1, (2, 2), (2, 1)) | x.is_same_size(x.t()) | x._is_view() | x[0]._is_view()
    """,
    "conversion": """
        x.type() | x.type(t.float64) | x.type("torch.LongTensor") | x.type(t.DoubleTensor) | x.type("foo") | t.typename(x)
        x.bfloat16().type() | x.to(t.float64, True, True) | x.to(x.double()) | x.to("cpu", t.int32) | x.to() | x.to("foo")
        x.to(device="cpu", dtype=t.int32, non_blocking=True, copy=True, memory_format=t.preserve_format) | x.to("meta")
        x.apply_(lambda v: v + 1) | x.map_(x, lambda a, b: a * b) | x.map2_(x, x, lambda a, b, c: a + b * c)
        x.new(2, 3).shape | x.new([1, 2]) | x.new(x) | x.new().shape | x.to_dense() | x.module_load(t.zeros(3, 4))
        z.__index__() | t.tensor([3]).__index__() | range(10)[t.tensor(3)] | int(t.tensor(2.7)) | complex(z) | int(t.tensor(1j))
        float(t.tensor(1 + 0j)) | 3 in row | "a" in row | t.tensor(1) in row | len(z) | list(reversed(row)) | reversed(z)
        f"{z:.2f} {row}" | f"{row:.2f}" | next(iter(z)) | x.size(5) | x.size(dim=1) | x.stride(5) | x.requires_grad_().numpy()
        bool(row) | bool(t.tensor([])) | x.item() | x.tolist() | x.name | x.is_vulkan | x.is_sparse | x.is_distributed()
    """,
    "made of data": """
        t.Tensor(2, 3).shape | t.Tensor([1, 2]) | t.Tensor((2, 3)) | t.Tensor(t.Size([2, 3])).shape | t.Tensor(5).shape
        t.Tensor(np.ones(3)) | t.Tensor().shape | t.Tensor(2.5) | t.Tensor("a") | t.LongTensor([1, 2]) | t.LongTensor(2).shape
        isinstance(x, t.FloatTensor) | isinstance(x, t.LongTensor) | t.FloatTensor | t.ByteTensor([300]) | t.LongTensor([1.5])
        t.FloatTensor(x) | t.FloatTensor(x.double()) | t.Tensor([[1, 2], [3]]) | t.set_default_tensor_type(t.LongTensor)
        t.tensor([1, 2.5, True]) | t.tensor([1, 2j]) | t.tensor([]) | t.tensor([[], []]) | t.tensor(range(3)) | t.tensor(None)
        t.tensor([t.tensor(1), 2]) | t.tensor([t.ones(2), t.ones(2)]) | t.tensor({1}) | t.tensor(2**63) | t.tensor(2**70)
        t.tensor(np.float32(2)) | t.tensor([np.float64(2)]) | t.tensor([np.int32(2)]) | t.tensor(1, requires_grad=True)
        t.tensor((1, [2])) | t.tensor(300, dtype=t.uint8) | t.tensor([-1], dtype=t.uint8) | t.tensor([1.7], dtype=t.int64)
        t.tensor([float("nan")], dtype=t.int64) | t.tensor([1j], dtype=t.float32) | t.tensor([1e5], dtype=t.float16)
        t.scalar_tensor(True) | t.scalar_tensor(2j) | t.scalar_tensor("a") | t.full((2,), 300, dtype=t.uint8) | t.full((2,), 2)
        t.full((2,), -1, dtype=t.uint8) | t.full((2,), 1e300) | t.full((2,), 1j, dtype=t.float32) | t.full((2,), t.tensor(3))
        t.zeros(2, out=t.empty(2, dtype=t.int64)) | t.zeros(2, out=t.empty(2), dtype=t.int64) | t.zeros(2.5) | t.zeros() | t.zeros(2, -1)
        t.zeros("a") | t.zeros(2, foo=1) | t.zeros(2, dtype=t.int64, requires_grad=True) | x.new_full((2,), 3) | x.new_tensor([1])
        x.long().new_full((2,), 3.5) | x.new_zeros(size=(2,)) | x.new_ones(2, 3, dtype=t.int64) | x.new_empty_strided((2, 2), (1, 2)).stride()
    """,
    "ranges": """
        t.arange(0, 5, 0) | t.arange(0, 5, -1) | t.arange(0, float("inf")) | t.arange(0, 5, 2, out=t.empty(0)) | t.arange(1j)
        t.arange(3, dtype=t.bool) | t.arange(2.5) | t.arange(z) | t.arange(start=1, end=3) | t.arange(2, out=t.empty(0), dtype=t.int64)
        t.linspace(0, 3, 1.0) | t.linspace(0, row, 3) | t.linspace(0, 1, -1) | t.linspace(0, 1 + 1j, 3) | t.linspace(0, 1, 5, dtype=t.bool)
        t.linspace(0, 1, 3, out=t.empty(2, dtype=t.int64)) | t.linspace(2, 3, 1) | t.linspace(4.3, -3, 9, dtype=t.int64)
        t.logspace(0, 3, 4) | t.logspace(0, 3, 4, base=2, dtype=t.int64) | t.logspace(0, 3, 4, base=-2) | t.logspace(0, row, 4)
        t.eye(2, 3) | t.eye(2.5) | t.eye(-1) | t.eye(0, -3) | t.tril_indices(3, 4, -1) | t.triu_indices(3, 2) | t.triu_indices(-1, 2)
    """,
    "indexing": """
        z[0] | z[1:] | z[0, 0] | x[::0] | x["a"] | x[1.5] | x[5] | x[0, 9] | x[0, 0, 0] | x[t.tensor([5])] | x[t.ones(2).bool()]
        x[True] | x[False] | x[row[:2], row[:3]] | x[[True, False, True]] | x[[0, 1], [1, 2]] | x[..., ...] | x[np.int64(1)]
        x[t.ones(3, 4, 2).bool()] | x[{}] | x[t.tensor([1, 0, 1]).byte()] | x[t.tensor([0]).to(t.int16)]
        x.__setitem__([0], t.ones(3)) | x.__setitem__([0], t.ones(4).double()) | x.__setitem__(0, 1j) | x.__setitem__([0], 1j)
        x.__setitem__(x > 5, t.ones(3)) | x.__setitem__(False, 3) | x.__setitem__(5, 1) | x.__setitem__((0, 0), t.ones(3))
    """,
    "cutting and joining": """
        x.tensor_split(2, dim=1) | x.tensor_split(indices=[1], dim=1) | x.tensor_split(sections=2) | x.split(split_size=2)
        t.hsplit(x, indices=[1]) | x.split(0) | x.split([1, -1, 3]) | x.select(-1, 5) | x.unfold(0, 4, 1) | x.unfold(0, 1, 0)
        x.as_strided((2,), (1, 1)) | x.as_strided((2,), (-1,)) | x.as_strided((20,), (1,)) | x[1:].as_strided((2, 2), (4, 1))
        x[1:].as_strided((2, 2), (4, 1), 0) | x.t().as_strided((2, 2), (1, 4)) | x[:, 1:3].as_strided((2,), (5,))
        t.cat([x, x.long()]) | t.cat([]) | t.cat([x, 3]) | t.cat((x, x), axis=1) | t.cat([x, t.ones(0)]) | t.stack([x, x.double()])
        t.cat((x, x), out=x) | t.hstack([]) | t.rot90(x, 1, (0, 0)) | x.rot90(5) | x.roll(()) | z.roll(1, 0) | x.movedim((0, 0), (1, 2))
        t.combinations(row, 3) | t.combinations(x) | t.cartesian_prod(row, row[:2]) | t.repeat_interleave(row) | row.repeat_interleave(row)
        x.repeat_interleave(-1) | x.repeat_interleave(row, 1) | x.repeat_interleave(row, 0) | t.diag_embed(row, 0, 1, 1) | t.diag(x, 1)
        t.zeros(7, 3).fill_diagonal_(1, wrap=True) | t.zeros(2, 2, 2).fill_diagonal_(1) | t.zeros(2, 3, 3).fill_diagonal_(1)
        x.view(t.int32) | x.view(t.float64).shape | t.ones(3).view(t.float64) | x.t().view(t.int16) | x.view(t.complex64)
        x.fill_(1j) | x.fill_(row) | t.fill(x, z) | x.H | t.ones(2, 2, 2).H | row.mT | x.sum_to_size(1, 4) | x.sum_to_size(2, 4)
        t.unravel_index(row, (2, 2)) | t.unravel_index(x, (2, 2)) | t.nonzero_static(x, size=2) | x.take(t.tensor([-13]))
    """,
}  # fmt: skip
LINES = [
    line.strip() for block in SAME.values() for text in block.splitlines() for line in text.split(" | ") if line.strip()
]


@pytest.mark.parametrize("line", LINES)
def test_same(line):
    assert outcome(line, rushlight) == outcome(line, torch)


@pytest.mark.parametrize("change", ["squeeze_()", "unsqueeze_(0)", "transpose_(0, 2)", "as_strided_((2,), (1,))"])
def test_a_tensor_given_another_shape_in_place(change):
    def values(t):
        x = t.arange(6.0).reshape(2, 1, 3).requires_grad_()
        y = x * 2
        same = eval(f"y.{change}", {"y": y})
        (y * y).sum().backward()
        return same is y, tuple(y.shape), y.tolist(), x.grad.tolist(), y._version

    assert values(rushlight) == values(torch)


def test_shared_memory_is_seen_by_a_fork():
    import os

    x = rushlight.zeros(3).share_memory_()
    child = os.fork()
    if child == 0:
        x.fill_(7.0)
        os._exit(0)
    os.waitpid(child, 0)
    assert x.tolist() == [7.0, 7.0, 7.0]


def test_what_an_index_picks_lies_in_order() -> None:
    """NumPy puts the picked axis first in memory, so that no view of another shape could be had."""
    x, i = rushlight.arange(24.0).reshape(2, 3, 4), rushlight.tensor([0, 2, 2])
    for picked in (x[..., i], x[:, i], x[:, i[:, None], i], x[i[:2] // 2, :, i[:2]]):
        assert picked.is_contiguous()
        assert picked.view(-1).tolist() == picked.reshape(-1).tolist()
