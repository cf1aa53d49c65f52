"""The operations built so far pass PyTorch's own database: values, views, in place, gradients.

`python tests/conformance/ops.py` runs the whole database (see README.md); this runs the entries named in passing.txt, a
dozen samples each. An entry that comes to pass is added there, and stays.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PASSING = (Path(__file__).parent / "passing.txt").read_text().split()
COMPLEX_IS_NOT_BUILT = {  # only their forward values for complex64 fail: the waist has no real, imag and conj yet
    "H", "mH", "logsumexp", "norm", "norm.fro", "nn.functional.normalize", "std", "std.unbiased", "std_mean",
    "std_mean.unbiased", "var", "var.unbiased", "var_mean", "var_mean.unbiased",
}  # fmt: skip
KINDS = ("forward", "views", "method", "in-place", "gradient", "in-place grad")


@pytest.mark.parametrize(
    ("names", "dtypes"),
    [
        (PASSING, "float32,float64,int64,bool"),
        ([name for name in PASSING if name not in COMPLEX_IS_NOT_BUILT], "complex64"),
    ],
    ids=["real", "complex"],
)
def test_operations_conform(names: list[str], dtypes: str, tmp_path: Path) -> None:
    here, report = Path(__file__).parent, tmp_path / "report.json"
    pattern = "^(" + "|".join(name.replace(".", r"\.") for name in names) + ")$"
    command = [
        sys.executable, str(here / "ops.py"), "--only", pattern, "--dtypes", dtypes, "--max-samples", "12", "--json",
        str(report), "--jobs", "2",
    ]  # fmt: skip
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(here.parents[1])}
    subprocess.run(command, check=True, env=environment, cwd=here.parents[1], capture_output=True)
    records = {record["name"]: record for record in json.loads(report.read_text())["records"]}
    failures = [
        f"{name} [{kind}] {records[name]['kinds'][kind]['first']}"
        for name in names
        for kind in KINDS
        if kind in records[name]["kinds"] and records[name]["kinds"][kind]["failed"]
    ]
    assert set(names) <= set(records)
    assert not failures, "\n".join(failures)
