"""Every operator of PyTorch's database: values, views, methods, in-place forms, aliases, gradients twice, seeds, errors.

`python tests/conformance/ops.py --help` tells what the program does that this runs whole, on every sample of six dtypes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# What does not agree, by kind of check: {operator: reason}. docs/status.md has the same list.
ROUNDED_ON_THE_WAY = "bfloat16: PyTorch's sums are bfloat16 on the way, ours float32 and rounded once"
KNOWN: dict[str, dict[str, str]] = {
    "matrix_exp": dict.fromkeys(("forward", "method", "alias"), "bfloat16: PyTorch gives NaN, ours is finite"),
    "nn.functional.conv_transpose2d": dict.fromkeys(("forward", "alias"), ROUNDED_ON_THE_WAY),
    "nn.functional.conv_transpose3d": dict.fromkeys(("forward", "alias"), ROUNDED_ON_THE_WAY),
    "as_strided_scatter": dict.fromkeys(
        ("gradient", "gradgrad"), "PyTorch's gradient is that of the elements written over; it fails its own gradcheck"
    ),
    "cov": {"gradgrad": "PyTorch's is float32 noise where the true value is 0"},
    "svd_lowrank": {"seeded": "the signs of singular vectors are LAPACK's choice"},
    "pca_lowrank": {"seeded": "the signs of singular vectors are LAPACK's choice"},
}


def test_operators_conform(harness: Callable[..., dict[str, Any]]) -> None:
    records = harness(
        "ops.py", "--dtypes", "float32,float64,int64,bool,complex64,bfloat16", "--gradgrad", "--seeded", "--errors",
        "--seconds-per-op", "300",
    )  # fmt: skip
    assert len(records) > 600
    failures = [
        f"{name} [{kind}] {counts['first']}"
        for name, kinds in records.items()
        for kind, counts in kinds.items()
        if counts["failed"] and kind not in KNOWN.get(name, {})
    ]
    assert not failures, "\n".join(failures)
