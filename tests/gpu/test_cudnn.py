"""Convolution by cuDNN: on the stand-in what the library is asked for, on a GPU that has it what it computes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gpu import hosted
from gpu.hosted.cudnn import Library
from gpu.test_routines import CALLS, gpu

import rushlight as torch
from rushlight import dtypes
from rushlight.arrays import numpy as cpu
from rushlight.arrays.gpu import cudnn
from rushlight.backends import cudnn as switches
from rushlight.nn import functional as F

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


def _agrees(name: str, arrays: Any, attrs: Any, roundings: int = 1) -> Any:
    """Gives the result on the GPU, which is that of the CPU; of half precision but for some roundings."""
    result = getattr(gpu, name)(*[x if isinstance(x, gpu.ndarray) else gpu.cupy.asarray(x) for x in arrays], **attrs)
    arrays = [x.get() if isinstance(x, gpu.ndarray) else x for x in arrays]
    dtype, found, tolerance = arrays[0].dtype, result.get(), 1e-4
    if dtype.char in "eE":  # summed in float32, and rounded once
        arrays, found = [x.astype("f") for x in arrays], found.astype("f")
        tolerance = roundings * torch.finfo(dtypes.from_numpy(dtype)).eps
    expected = getattr(cpu, name)(*arrays, **attrs)
    assert (found.shape, result.dtype) == (expected.shape, dtype)
    np.testing.assert_allclose(found, expected, tolerance, max(1e-4, tolerance * (roundings > 1)))
    return result


def _channels_last(x: np.ndarray) -> Any:
    """On the GPU, with channels that are neighbours in memory."""
    return gpu.cupy.moveaxis(gpu.cupy.asarray(np.ascontiguousarray(np.moveaxis(x, 1, -1))), -1, 1)


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


HALF = [torch.float16, torch.bfloat16]


@on_stand_in
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_passed_on_as_it_is(name: str, dtype: Any, library: Library) -> None:
    for arrays, attrs in CALLS[name]:
        if arrays[0].dtype.kind == "f" and all(x.size for x in arrays):
            _agrees(name, [x.astype(dtype.numpy) for x in arrays], attrs)
            assert library.math == cudnn.TENSOR_OP_MATH


@on_stand_in
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_without_the_library(name: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rushlight.arrays.gpu import windows

    monkeypatch.setattr(cudnn, "library", lambda: None)
    for most in (windows.MOST, 1):
        monkeypatch.setattr(windows, "MOST", most)
        for arrays, attrs in CALLS[name]:
            if arrays[0].dtype.kind == "f":
                _agrees(name, [x.astype(dtype.numpy) for x in arrays], attrs)


@on_stand_in
@pytest.mark.parametrize("dtype", [*HALF, torch.float32])
@pytest.mark.parametrize(
    "function",
    [
        lambda x, weight, bias: F.conv1d(x[:, :, 0], weight[:, :, 0], bias, padding=1),
        lambda x, weight, bias: F.conv2d(x, weight, bias, stride=2, dilation=(1, 2)),
        lambda x, weight, bias: F.conv2d(x, weight[:, :1], bias, padding=2, groups=4),
        lambda x, weight, bias: F.conv3d(x[:, :, None], weight[:, :, None], bias),
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, stride=2, output_padding=1),
        lambda x, weight, bias: F.conv_transpose1d(x[:, :, 0], weight[:, :2, 0], bias, padding=1, groups=2),
    ],
)
def test_operations_and_gradients(function: Any, dtype: Any, library: Library) -> None:
    values = torch.randn(2, 4, 6, 7), torch.randn(4, 4, 3, 3), torch.randn(4)
    results = []
    for device in ("cpu", "cuda", "cuda", "cuda"):  # a bias's gradient is a kernel from the second time on
        operands = [v.to(dtype).to(device, copy=True).requires_grad_() for v in values]
        out = function(*operands)
        out.square().mean().backward()
        results.append([t.detach().float().cpu().numpy() for t in (out, *[x.grad for x in operands])])
    assert set(library.calls) >= {f"Convolution{way}" for way in NAMES.values()}
    step = 1e-5 if dtype is torch.float32 else torch.finfo(dtype).eps
    for found in results[1:]:
        for got, expected in zip(found, results[0], strict=True):
            np.testing.assert_allclose(got, expected, rtol=4 * step, atol=4 * step)


@on_stand_in
@pytest.mark.parametrize("char", ["e", "f"])
@pytest.mark.parametrize("name", NAMES)
def test_channels_that_come_last(name: str, char: str, library: Library) -> None:
    for arrays, attrs in CALLS[name]:
        if arrays[0].dtype.char != "d" or not all(x.size for x in arrays):
            continue
        arrays = [x.astype(char) for x in arrays]
        images = 2 if name == "convolve_weight" else 1
        found = _agrees(name, [*map(_channels_last, arrays[:images]), *arrays[images:]], attrs)
        assert library.is_last
        assert name == "convolve_weight" or gpu.cupy.moveaxis(found, 1, -1).flags.c_contiguous
        library.has_nhwc = False
        cudnn._plans.clear()
        _agrees(name, [_channels_last(arrays[0]), *arrays[1:]], attrs)
        assert not library.is_last
        library.has_nhwc = True


@on_stand_in
def test_the_format_of_images_is_kept(library: Library) -> None:
    x = torch.randn(2, 3, 5, 5, device="cuda").to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(4, 3, 3, 3, device="cuda", requires_grad=True)
    out = F.conv2d(x, weight)
    assert out.is_contiguous(memory_format=torch.channels_last) and library.is_last
    for operand in (x, weight):
        library.is_last = False
        (grad,) = torch.autograd.grad(out, operand, out.detach(), retain_graph=True)
        assert library.is_last and grad.is_contiguous()


@on_stand_in
def test_operands_at_odd_addresses(library: Library) -> None:
    (x, weight), attrs = CALLS["convolve"][3]
    memory = gpu.cupy.asarray(np.concatenate(([0], x.reshape(-1))).astype("e"))
    _agrees("convolve", (memory[1:].reshape(x.shape), weight.astype("e")), attrs)  # the library refuses others
    assert "ConvolutionForward" in library.calls


@on_stand_in
def test_algorithms(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays, attrs = CALLS["convolve"][3]

    def algorithm() -> int:
        _agrees("convolve", arrays, attrs)
        return library.algorithm

    assert algorithm() == 0  # the quickest
    monkeypatch.setattr(switches, "deterministic", True)
    assert algorithm() == 2  # which gives the same at every run, and needs no more memory than there may be
    monkeypatch.setattr(switches, "deterministic", False)
    torch.use_deterministic_algorithms(True)
    try:
        assert algorithm() == 2
    finally:
        torch.use_deterministic_algorithms(False)
    assert algorithm() == 0
    library.failing = {0}
    assert algorithm() == 2
    library.failing = {0, 2}
    assert algorithm() == 3
    count = len(library.calls)
    library.failing = set()
    assert algorithm() == 3 and library.calls[count:] == ["SetStream", "ConvolutionForward"]


@on_stand_in
def test_too_little_memory_for_an_algorithm(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays, attrs = CALLS["convolve"][3]
    empty = gpu.cupy.empty

    def full(shape: Any, dtype: Any = float) -> Any:
        if shape == 64:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return empty(shape, dtype)

    monkeypatch.setattr(gpu.cupy, "empty", full)
    _agrees("convolve", arrays, attrs)
    assert library.algorithm == 3


def test_precision_by_its_new_name() -> None:
    assert switches.conv.fp32_precision == "tf32" and switches.allow_tf32
    switches.conv.fp32_precision = "ieee"
    try:
        assert not switches.allow_tf32 and switches.conv.fp32_precision == "ieee"
        torch.set_float32_matmul_precision("high")
        assert not switches.allow_tf32  # as PyTorch documents it: of matrix products only
    finally:
        torch.set_float32_matmul_precision("highest")
        switches.conv.fp32_precision = "tf32"
    with switches.flags(enabled=True, fp32_precision="ieee"):
        assert not switches.allow_tf32
    assert switches.allow_tf32
    with pytest.raises(RuntimeError, match="expected one of none, ieee, tf32"):
        switches.conv.fp32_precision = "x"


@pytest.mark.skipif(hosted.is_prepared() or cudnn.library() is None, reason="needs a GPU and cuDNN")
@pytest.mark.parametrize("char", ["d", "f", "e", "E"])
@pytest.mark.parametrize("name", NAMES)
def test_the_library_itself(name: str, char: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switches, "allow_tf32", False)
    dtype = torch.bfloat16.numpy if char == "E" else np.dtype(char)
    for arrays, attrs in CALLS[name]:
        if arrays[0].dtype.kind == "f":
            arrays = [x.astype(dtype) for x in arrays]
            _agrees(name, arrays, attrs, roundings=8)  # some algorithms transform images in half precision
            _agrees(name, [_channels_last(arrays[0]), *arrays[1:]], attrs, roundings=8)
    assert any(key[0].direction == NAMES[name] and key[0].char == char and plan for key, plan in cudnn._plans.items())
