"""What the doctor says of GPUs."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import cupy
import pytest

from rushlight.cuda import library, report


def test_devices(gpus: Any) -> None:
    assert list(report.device_lines()) == [(f"cuda:{i}", "Hosted GPU, 1.0 GiB, sm_90") for i in range(2)]


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "has_driver", lambda: False)
    monkeypatch.setattr(library, "_count", 0)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert list(report.device_lines()) == [("cuda", "none that rushlight can use")]
    lines = list(report.lines())
    assert ("driver", "none") in lines
    assert ("missing", "NVIDIA's driver, from https://www.nvidia.com/drivers") in lines


def test_one_line_installs_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel for the driver's CUDA."""
    monkeypatch.setattr(report, "_version", lambda package: None)
    for driver, wheel in ((12040, "cupy-cuda12x[ctk]"), (13000, "cupy-cuda13x[ctk]")):
        monkeypatch.setattr(report, "_driver_version", lambda driver=driver: driver)
        lines = list(report.lines())
        assert lines[0] == ("driver", f"for CUDA up to {driver // 1000}.{driver % 1000 // 10}")
        assert lines[1] == ("CuPy", "none")
        (missing,) = lines[2:]
        assert missing[0] == "missing"
        assert missing[1].endswith(f"-m pip install {wheel}")


def test_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVRTC's version is that of the compiler CuPy loads; a library that is not there is named."""
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(library, "_count", 0)
    found = dict(report._libraries())
    assert found["NVRTC"] == ".".join(map(str, cupy.cuda.nvrtc.getVersion()))
    real = importlib.import_module

    def without(name: str, *args: Any) -> Any:
        if name.endswith("cublas"):
            raise ImportError("libcublas.so.13: cannot open shared object file\nand more")
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    assert dict(report._libraries())["cuBLAS"] == "none: libcublas.so.13: cannot open shared object file"
