"""Every operator of PyTorch's database in forward mode, under vmap, and with batches of gradients.

`python tests/conformance/ops.py --forward-mode --vmap` runs all samples; here the first two of each operator are run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# What does not agree, by kind of check: {operator: reason}. docs/status.md has the same list.
KNOWN: dict[str, dict[str, str]] = {
    "as_strided_scatter": {"batched grad": "PyTorch's gradient is that of the elements written over"},
    "index_fill": {"vmap": "of a batch of values for a 0-dimensional tensor PyTorch takes the last one for all"},
    "logcumsumexp": {"forward-mode": "PyTorch's is off by 1e-6 where terms differ much in size"},
    "special.airy_ai": {"vmap": "PyTorch's is off by 1e-6 near -2.5, where the sample's batch has values"},
}


def test_operators_conform_in_transforms(harness: Callable[..., dict[str, Any]]) -> None:
    records = harness(
        "ops.py", "--dtypes", "float64", "--no-grad", "--forward-mode", "--vmap", "--max-samples", "2", "--seconds-per-op",
        "300",
    )  # fmt: skip
    transforms = ("forward-mode", "vmap", "vmap grad", "batched grad")
    for kind, least in zip(transforms, (480, 580, 480, 480), strict=True):
        assert sum(kind in kinds for kinds in records.values()) > least
    failures = [
        f"{name} [{kind}] {kinds[kind]['first']}"
        for name, kinds in records.items()
        for kind in transforms
        if kind in kinds and kinds[kind]["failed"] and kind not in KNOWN.get(name, {})
    ]
    assert not failures, "\n".join(failures)
