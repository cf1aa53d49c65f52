"""Fixtures of all tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gpu import hosted

HERE = Path(__file__).parent

# The GPUs of tests are the CPU's memory where there is no real one.
LACKS = [] if hosted.has_gpu() else hosted.lacks()
if not LACKS and not hosted.has_gpu():
    hosted.prepare()
assert not (LACKS and os.environ.get("CI") and sys.platform == "linux"), f"tests of GPUs need {LACKS}"
collect_ignore = ["gpu", "cuda", "compiler/test_cuda.py"] if LACKS else []


def pytest_report_header() -> str:
    return f"tests of GPUs are left out: there is no {' and no '.join(LACKS)}" if LACKS else "tests of GPUs are in"


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what happens on a machine without one; elsewhere in this process there may be one, or its stand-in."""
    monkeypatch.setattr("rushlight.devices.has_gpu", lambda: False)


@pytest.fixture
def harness(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs one of the programs in tests/conformance: `harness("ops.py", *options)` gives its checks by operator."""

    def run(program: str, *options: str) -> dict[str, Any]:
        report = tmp_path / "report.json"
        command = [
            sys.executable,
            str(HERE / "conformance" / program),
            *options,
            "--jobs",
            str(os.cpu_count() or 2),
            "--json",
            str(report),
        ]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
        subprocess.run(command, check=True, env=environment, cwd=HERE.parent, capture_output=True)
        return {record["name"]: record["kinds"] for record in json.loads(report.read_text())["records"]}

    return run
