"""Every module of PyTorch's database: names, first values, state, repr, output and gradients, by `modules.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_modules_conform(tmp_path: Path) -> None:
    here, report = Path(__file__).parent, tmp_path / "report.json"
    command = [
        sys.executable, str(here / "modules.py"), "--seeded", "--max-samples", "6", "--jobs", "2", "--json", str(report),
    ]  # fmt: skip
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(here.parents[1])}
    subprocess.run(command, check=True, env=environment, cwd=here.parents[1], capture_output=True)
    records = {record["name"]: record["kinds"] for record in json.loads(report.read_text())["records"]}
    assert len(records) >= 114
    failures = [
        f"{name} [{kind}] {counts['first']}"
        for name, kinds in records.items()
        for kind, counts in kinds.items()
        if counts["failed"]
    ]
    assert not failures, "\n".join(failures)
