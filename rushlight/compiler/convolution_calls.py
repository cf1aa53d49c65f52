"""Calls of the programs for convolutions: when they are compiled, and into how many chunks the work falls.

A program serves every number of images. It is compiled at once where the matrix of windows would take as long, at the second
large call of its sizes, or after some small ones, as those of `ops/fused.py`; before that, and where there is none,
`arrays/windows.py` multiplies with that matrix.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.compiler import workers
from rushlight.compiler.convolution import images_scratch, images_text
from rushlight.compiler.convolution_lines import MOST_PHASES, Lines, lines_text
from rushlight.compiler.convolution_lines_weight import lines_weight_scratch, lines_weight_text
from rushlight.compiler.convolution_shape import LINE, Places, Shape, rounded
from rushlight.compiler.convolution_weight import weights_scratch, weights_text
from rushlight.compiler.flat import keep_freed_memory
from rushlight.compiler.native import Library
from rushlight.compiler.vectors import registers_of, run_on_table

HUGE = 4_000_000  # elements of the matrix of windows, some 15 ms: compiled at the first call
LARGE = 100_000  # elements of images or results: compiled at the second call
PATIENCE = 20  # smaller calls before compiling, which takes 20 ms
LIMIT = 256  # programs that are kept
LARGE_FRAME = 1 << 20  # bytes: every thread has one and no more
TURN = 1 << 21  # floating-point operations of a chunk at least: 10 us
LINES_TURN = TURN // 4  # the same where lanes are places: what is read and written counts for more
PARTS = 16  # chunks of weights' sums: not a matter of the number of threads, so neither are the sums' last bits
SHORT = 0.6  # lines that fill a smaller part of their vectors are short: channels are the better lanes
LONG = 12  # a kernel of one line, and so long: a vector of pixels would serve one vector of places only
LEAST_PAIRS = 8  # of a channel and its group's outputs: these are what threads take

Sizes = tuple[int, ...]


class _Images:
    """Images from images and weights."""

    def __init__(self, shape: Shape):
        self.shape, self.library = shape, Library(images_text(shape), is_plain=True)
        self.pack, self.images = (self.library.address(name) for name in ("pack", "images"))

    def run(self, images: ndarray, factor: ndarray, out: ndarray) -> None:
        num_blocks, most = self.shape.groups * len(self.shape.blocks), workers.get_num_threads()
        if self.shape.frame < LARGE_FRAME and most > 1:
            most *= 4
        turn = LINES_TURN if self.shape.is_turned else TURN
        chunks = max(1, min(len(images) * num_blocks, most, num_flops(self.shape, len(images)) // turn))
        phases = [(self.pack, num_blocks), (self.images, chunks)]
        _run(phases, (images, factor, out), images_scratch(self.shape, chunks), (len(images), chunks))


class _Lines:
    """Images from images and weights, for groups of few outputs."""

    def __init__(self, shape: Shape):
        self.shape = Lines.of(shape)
        self.library = Library(lines_text(self.shape), is_plain=True)
        self.images = self.library.address("images")

    def run(self, images: ndarray, factor: ndarray, out: ndarray) -> None:
        pieces, most = len(images) * self.shape.groups, workers.get_num_threads()
        if self.shape.frame < LARGE_FRAME and most > 1:
            most *= 4
        chunks = max(1, min(pieces, most, num_flops(self.shape, len(images)) // LINES_TURN))
        _run([(self.images, chunks)], (images, factor, out), chunks * self.shape.frame, (len(images), chunks))


class _LinesWeights:
    """Weights from images and gradients of the results, for groups of few outputs."""

    def __init__(self, shape: Shape):
        self.shape = Lines.of(shape)
        self.library = Library(lines_weight_text(self.shape), is_plain=True)
        self.weights = self.library.address("weights")

    def run(self, images: ndarray, factor: ndarray, out: ndarray) -> None:
        pairs, most = self.shape.groups * self.shape.channels, workers.get_num_threads()
        most = most * 4 if most > 1 else 1
        chunks = max(1, min(pairs, most, num_flops(self.shape, len(images)) // LINES_TURN))
        scratch = lines_weight_scratch(self.shape, chunks)
        _run([(self.weights, chunks)], (images, factor, out), scratch, (len(images), chunks))


class _Weights:
    """Weights from images and gradients of the results."""

    def __init__(self, shape: Shape):
        self.shape, self.library = shape, Library(weights_text(shape), is_plain=True)
        self.weights, self.sums = (self.library.address(name) for name in ("weights", "sums"))

    def run(self, images: ndarray, factor: ndarray, out: ndarray) -> None:
        num_blocks = self.shape.groups * len(self.shape.blocks)
        parts = max(1, min(len(images), PARTS // num_blocks, num_flops(self.shape, len(images)) // TURN))
        phases = [(self.weights, parts * num_blocks), (self.sums, num_blocks)]
        scratch = weights_scratch(self.shape, parts)
        _run(phases, (images, factor, out), scratch, (len(images), parts))


def num_flops(shape: Shape, batch: int) -> int:
    places = shape.result // shape.dtype.itemsize
    return 2 * batch * shape.groups * shape.num_weights * places


def _run(
    phases: list[tuple[int, int]], arrays: tuple[ndarray, ...], scratch_size: int, numbers: tuple[int, int]
) -> None:
    """Runs phases with scratch memory of their own."""
    scratch = np.empty(scratch_size + LINE, np.uint8)
    begin = -(-scratch.ctypes.data // LINE) * LINE
    run_on_table(phases, [*[array.ctypes.data for array in arrays], begin, *numbers])


_Program = _Images | _Lines | _Weights | _LinesWeights

_programs: dict[Any, _Program | None] = {}  # None: windows are quicker
_calls: dict[Any, int] = {}


def compute(kind: str, images: ndarray, factor: ndarray, out: ndarray, kernel: Sizes, spacing: Any) -> bool:
    """Computes a convolution or a derivative of one into `out`, if there is a program for it.

    Args:
        kind: "forward": `out` from images and weights. "transposed": the derivative by the images, from gradients and
            weights. "weight": the derivative by the weights, from images and gradients.
        spacing: of `arrays.windows`.
    """
    is_plain = images.dtype.char in "fd" and images.dtype == factor.dtype == out.dtype
    if not is_plain:
        return False
    key = (kind, images.shape[1:], out.shape[1:], factor.shape[1:], images.dtype.char, spacing)
    program = _programs.get(key)
    if program is None and key not in _programs:
        calls = _calls[key] = _calls.get(key, 0) + 1
        if calls <= PATIENCE and (calls == 1 or max(images.size, out.size, factor.size) < LARGE):
            places = {"forward": out, "transposed": images, "weight": factor}[kind]
            num_channels = (out if kind == "transposed" else images).shape[1]
            if places.size // places.shape[1] * num_channels * math.prod(kernel) < HUGE:
                return False
        program = _build(key, kind, images, factor, out, kernel, spacing)
    if program is None:
        return False
    program.run(np.ascontiguousarray(images), np.ascontiguousarray(factor), out)
    return True


def _build(
    key: Any, kind: str, images: ndarray, factor: ndarray, out: ndarray, kernel: Sizes, spacing: Any
) -> _Program | None:
    keep_freed_memory()
    places = factor if kind == "weight" else out
    lengths = zip(images.shape[2:], places.shape[2:], kernel, *spacing[:3], strict=True)
    axes = tuple([Places(*along, is_transposed=kind == "transposed") for along in lengths])
    if len(_programs) >= LIMIT:
        _programs.clear()
    groups: int = spacing.groups
    shape = Shape(images.shape[1] // groups, places.shape[1] // groups, axes, images.dtype, groups)
    program = _programs[key] = (_weights if kind == "weight" else _images)(shape)
    return program


def _images(shape: Shape) -> _Images | _Lines | None:
    """None where there are many phases: windows hardly overlap then, so there is little to copy."""
    lanes, units = registers_of(shape.dtype.itemsize)[0], Lines.of(shape).units
    has_many_phases = shape.axes[-1].period > MOST_PHASES
    is_long = shape.kernel[-1] >= LONG and shape.kernel[-2:-1] in ((), (1,))
    if has_many_phases or is_long or units < SHORT * rounded(units, lanes):
        if shape.channels == shape.outputs == 1 and shape.groups >= lanes:
            return _Images(replace(shape, outputs=shape.groups, groups=1, is_turned=True))
        if has_many_phases:
            return None
    return _Lines(shape) if _is_narrow(shape) else _Images(shape)


def _weights(shape: Shape) -> _Weights | _LinesWeights:
    has_pairs = shape.groups * shape.channels >= LEAST_PAIRS
    return _LinesWeights(shape) if has_pairs and _is_narrow(shape) else _Weights(shape)


def _is_narrow(shape: Shape) -> bool:
    """Whether vectors of places are quicker than vectors of outputs."""
    return 2 * shape.outputs <= registers_of(shape.dtype.itemsize)[0]
