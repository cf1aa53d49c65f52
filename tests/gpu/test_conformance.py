"""Every operator of PyTorch's database on a GPU, its first samples: values, views, in-place forms, gradients twice, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu.hosted import has_gpu

# What does not agree on a GPU and does on the CPU, by kind of check: {operator: reason}. docs/status.md has the same list.
NO_COMPLEX32 = "CuPy has no complex32"
KNOWN: dict[str, dict[str, str]] = {
    "chalf": dict.fromkeys(("forward", "method", "gradient", "gradgrad"), NO_COMPLEX32),
}
ON_THE_CPU_TOO = {
    "as_strided_scatter": ("gradient", "gradgrad"), "matrix_exp": ("forward", "method", "alias"),
    "nn.functional.conv_transpose2d": ("forward", "alias"), "nn.functional.conv_transpose3d": ("forward", "alias"),
}  # fmt: skip


def test_operators_conform_on_a_gpu(harness: Callable[..., dict[str, Any]]) -> None:
    records = harness(
        "ops.py", "--device", "cuda" if has_gpu() else "hosted", "--dtypes", "float32,float64,int64,bool,complex64,bfloat16",
        "--gradgrad", "--errors", "--max-samples", "3", "--seconds-per-op", "300",
    )  # fmt: skip
    assert len(records) > 600
    failures = [
        f"{name} [{kind}] {counts['first']}"
        for name, kinds in records.items()
        for kind, counts in kinds.items()
        if counts["failed"] and kind not in KNOWN.get(name, {}) and kind not in ON_THE_CPU_TOO.get(name, ())
    ]
    assert not failures, "\n".join(failures)
