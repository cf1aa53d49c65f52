"""Convolution by cuDNN: on the stand-in what the library is asked for, on a GPU that has it what it computes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gpu import hosted
from gpu.hosted.cudnn import Library
from gpu.test_routines import CALLS, gpu

from rushlight.arrays import numpy as cpu
from rushlight.arrays.gpu import cudnn
from rushlight.backends import cudnn as switches

NAMES = {"convolve": "Forward", "convolve_transposed": "BackwardData", "convolve_weight": "BackwardFilter"}
on_stand_in = pytest.mark.skipif(not hosted.is_prepared(), reason="the library's stand-in reads the CPU's memory")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library()
    monkeypatch.setattr(cudnn, "library", lambda: found)
    monkeypatch.setattr(cudnn, "_plans", {})
    monkeypatch.setattr(cudnn, "_thread", cudnn._Thread())
    monkeypatch.setattr(gpu.cupy.cuda, "get_current_stream", lambda: SimpleNamespace(ptr=0), raising=False)
    return found


def _agrees(name: str, arrays: Any, attrs: Any, tolerance: float = 1e-4) -> None:
    found = getattr(gpu, name)(*map(gpu.cupy.asarray, arrays), **attrs).get()
    expected = getattr(cpu, name)(*arrays, **attrs)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, tolerance, tolerance)


@on_stand_in
@pytest.mark.parametrize("name", NAMES)
def test_every_convolution(name: str, library: Library) -> None:
    for arrays, attrs in CALLS[name]:
        library.calls.clear()
        _agrees(name, arrays, attrs)
        is_plain = arrays[0].dtype.char in "fd" and all(x.size for x in arrays)
        assert (f"Convolution{NAMES[name]}" in library.calls) == is_plain


@on_stand_in
def test_shapes_are_told_once(library: Library) -> None:
    arrays, attrs = CALLS["convolve"][3]
    _agrees("convolve", arrays, attrs)
    library.calls.clear()
    _agrees("convolve", arrays, attrs)
    assert library.calls == ["SetStream", "ConvolutionForward"]


def test_its_version(library: Library) -> None:
    assert switches.is_available() and switches.version() == 92801


@on_stand_in
def test_switches(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays, attrs = CALLS["convolve"][3]
    arrays = tuple([x.astype("f") for x in arrays])
    for allowed, math in ((True, cudnn.DEFAULT_MATH), (False, cudnn.FMA_MATH)):
        monkeypatch.setattr(switches, "allow_tf32", allowed)
        _agrees("convolve", arrays, attrs)
        assert library.math == math
    assert "FindConvolutionForwardAlgorithmEx" not in library.calls
    monkeypatch.setattr(switches, "benchmark", True)
    _agrees("convolve", arrays, attrs)
    assert "FindConvolutionForwardAlgorithmEx" in library.calls
    monkeypatch.setattr(switches, "enabled", False)
    library.calls.clear()
    _agrees("convolve", arrays, attrs)
    assert not library.calls


@on_stand_in
@pytest.mark.parametrize("refused", ["Create", "GetConvolutionForwardAlgorithm_v7", "ConvolutionForward"])
def test_what_cudnn_cannot_do_is_done_without_it_and_not_asked_again(library: Library, refused: str) -> None:
    arrays, attrs = CALLS["convolve"][3]
    library.refused = {refused}
    _agrees("convolve", arrays, attrs)
    assert refused in library.calls
    library.calls.clear()
    _agrees("convolve", arrays, attrs)
    assert not library.calls


@pytest.mark.skipif(hosted.is_prepared() or cudnn.library() is None, reason="needs a GPU and cuDNN")
@pytest.mark.parametrize("name", NAMES)
def test_the_library_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switches, "allow_tf32", False)
    for arrays, attrs in CALLS[name]:
        _agrees(name, arrays, attrs)
    assert any(key[0] == NAMES[name] and plan is not None for key, plan in cudnn._plans.items())
