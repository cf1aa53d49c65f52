"""Autocast on GPUs, by PyTorch's documented lists for CUDA, and loss scaling."""

from __future__ import annotations

from typing import Any

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F


def half(*shape: int) -> Any:
    return torch.rand(*shape, device="cuda", dtype=torch.float16) + 0.1


def single(*shape: int) -> Any:
    return torch.rand(*shape, device="cuda")


LOWERED = {
    "matmul": lambda: single(2, 3) @ single(3, 2),
    "addmm": lambda: torch.addmm(single(2), single(2, 3), single(3, 2)),
    "addmv": lambda: torch.addmv(single(2), single(2, 3), half(3)),
    "einsum": lambda: torch.einsum("ij,jk", single(2, 3), single(3, 2)),
    "linear": lambda: nn.Linear(3, 2, device="cuda")(half(1, 3)),
    "conv2d": lambda: F.conv2d(single(1, 2, 4, 4), single(3, 2, 3, 3)),
    "prelu": lambda: F.prelu(single(3), single(1)),
    "attention": lambda: F.scaled_dot_product_attention(single(1, 3, 4), single(1, 3, 4), single(1, 3, 4)),
    "lstm": lambda: nn.LSTM(3, 4, device="cuda")(single(5, 2, 3))[0],
    "gru_cell": lambda: nn.GRUCell(3, 4, device="cuda")(single(2, 3)),
}
IN_FLOAT32 = {
    **{name: lambda n=name: getattr(half(3), n)() for name in (
        "acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log1p", "log2", "reciprocal", "rsqrt", "sinh",
        "sum", "tan", "prod", "norm",
    )},
    **{name: lambda n=name: getattr(half(3), n)(0) for name in ("cumprod", "cumsum", "log_softmax", "softmax")},
    "pow": lambda: half(3) ** 2,
    "softplus": lambda: F.softplus(half(3)),
    "layer_norm": lambda: F.layer_norm(half(2, 3), (3,)),
    "group_norm": lambda: F.group_norm(half(2, 4), 2),
    "cosine_similarity": lambda: F.cosine_similarity(half(2, 3), half(2, 3)),
    "cdist": lambda: torch.cdist(half(2, 3), half(2, 3)),
    "cross_entropy": lambda: F.cross_entropy(half(2, 3), torch.tensor([0, 1], device="cuda")),
    "mse_loss": lambda: F.mse_loss(half(3), half(3)),
    "bce with logits": lambda: F.binary_cross_entropy_with_logits(half(3), half(3)),
}  # fmt: skip
WIDEST = {
    "dot": lambda: torch.dot(half(3), single(3)),
    "cross": lambda: torch.linalg.cross(half(3), single(3)),
    "scatter_add": lambda: torch.scatter_add(single(3), 0, torch.tensor([0], device="cuda"), half(1)),
    "tensordot": lambda: torch.tensordot(half(2, 3), single(3, 2), 1),
    "addcmul": lambda: torch.addcmul(single(3), half(3), half(3)),
    "cat": lambda: torch.cat([half(2), single(2)]),
}
AS_GIVEN = {
    "mean": lambda: half(3).mean(), "gelu": lambda: F.gelu(half(3)), "relu": lambda: half(3).relu(),
    "add": lambda: half(3) + 1, "var": lambda: half(3).var(), "batch_norm": lambda: nn.BatchNorm1d(3, device="cuda")(half(4, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", LOWERED)
def test_computed_in_half_precision(name: str) -> None:
    with torch.autocast("cuda"):
        assert LOWERED[name]().dtype is torch.float16
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert LOWERED[name]().dtype is torch.bfloat16


@pytest.mark.parametrize("name", IN_FLOAT32)
def test_computed_in_float32(name: str) -> None:
    assert IN_FLOAT32[name]().dtype is torch.float16
    with torch.autocast("cuda"):
        assert IN_FLOAT32[name]().dtype is torch.float32


@pytest.mark.parametrize("name", WIDEST)
def test_computed_in_the_widest_dtype(name: str) -> None:
    with torch.autocast("cuda"):
        assert WIDEST[name]().dtype is torch.float32


@pytest.mark.parametrize("name", AS_GIVEN)
def test_computed_as_given(name: str) -> None:
    with torch.autocast("cuda"):
        assert AS_GIVEN[name]().dtype is torch.float16


def test_one_device_is_not_the_other() -> None:
    here, there = torch.rand(2, 2), single(2, 2)
    with torch.autocast("cuda"):
        assert torch.is_autocast_enabled() and torch.get_autocast_dtype("cuda") is torch.float16
        assert (here @ here).dtype is torch.float32
        with pytest.raises(RuntimeError, match="same dtype"):
            here.half() @ here
        with torch.autocast("cpu"):
            assert (here @ here).dtype is torch.bfloat16 and (there @ there).dtype is torch.float16
        with torch.autocast("cuda", enabled=False):
            assert (there @ there).dtype is torch.float32
    with torch.autocast("cpu"):
        assert (there @ there).dtype is torch.float32
    assert not torch.is_autocast_enabled()


def test_what_is_unsafe() -> None:
    with torch.autocast("cuda"), pytest.raises(RuntimeError, match="unsafe to autocast"):
        F.binary_cross_entropy(half(3), half(3))


def test_training_with_a_scaler() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3)).cuda()
    optimizer, scaler = torch.optim.AdamW(model.parameters(), lr=0.02), torch.amp.GradScaler("cuda")
    x, y = torch.randn(16, 4, device="cuda"), torch.randint(3, (16,), device="cuda")
    losses = []
    for _ in range(20):
        with torch.autocast("cuda"):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0] and scaler.get_scale() == 2.0**16
    assert model[0].weight.dtype is torch.float32 and model[0].weight.grad.dtype is torch.float32
    before = model[0].weight.detach().clone()
    model[0].weight.grad[0, 0] = float("inf")
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(before, model[0].weight) and scaler.get_scale() == 2.0**15
