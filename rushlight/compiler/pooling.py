"""Maxima of windows, and numbers put where indices say: one native loop over all planes, shared among threads.

NumPy needs several passes for either. Windows come as tables of offsets, for the lines of a plane and for its
columns, so a program knows how many taps a window has and nothing else: padding, dilation and unequal windows are in
the tables.
"""

from __future__ import annotations

import functools
from itertools import product

import numpy as np
from numpy import ndarray

from rushlight.compiler import workers
from rushlight.compiler.module import Module
from rushlight.compiler.native import Library
from rushlight.compiler.vectors import Vectors, run_on_table

MOST_TAPS = 64  # the code has instructions for each
CHUNKS = 8  # for each thread

# Slots of the tables: those of both functions, then those of each.
VALUES, INDICES, PLANES, LENGTH, PARTS = range(5)
X, LINES, COLUMNS, NUM_LINES, NUM_COLUMNS = range(5, 10)
OUT, FAULTS, COUNT = range(5, 8)


def max_windows(x: ndarray, lines: ndarray, columns: ndarray, values: ndarray, indices: ndarray) -> bool:
    """Writes the maxima of windows and their flat indices; False if NumPy shall do it.

    Args:
        x: (planes, length). lines: (lines, taps), the offset of the line that each tap of a line of results reads.
        columns: (columns, taps), the same along a line. values, indices: (planes, lines * columns).
    """
    taps = lines.shape[1], columns.shape[1]
    if x.dtype.char not in "fd" or taps[0] * taps[1] > MOST_TAPS:
        return False
    parts = _parts(len(x))
    results, arrays = ([array.ctypes.data for array in group] for group in ((values, indices), (x, lines, columns)))
    table = [*results, *x.shape, parts, *arrays, len(lines), len(columns)]
    run_on_table([(_maxima(x.dtype, *taps).address("maxima"), parts)], table)
    return True


def put_at(values: ndarray, indices: ndarray, out: ndarray, accumulate: bool) -> bool:
    """Fills `out`, (planes, length), with zeros and values at indices, both (planes, count); False if it did not."""
    if values.dtype.char not in "fd":
        return False
    faults, parts = np.zeros(1, np.int64), _parts(len(out))
    given, written = ([array.ctypes.data for array in group] for group in ((values, indices), (out, faults)))
    table = [*given, *out.shape, parts, *written, values.shape[1]]
    run_on_table([(_put(values.dtype, accumulate).address("put"), parts)], table)
    return not faults[0]


def _parts(num_planes: int) -> int:
    num_threads = workers.get_num_threads()
    return 1 if num_threads == 1 else min(num_planes, CHUNKS * num_threads)


@functools.cache
def _maxima(dtype: np.dtype, num_lines: int, num_columns: int) -> Library:
    """`maxima(table, part)` for windows of so many taps."""
    code = Vectors(Module(), dtype)
    lines, columns, x, values, indices = (code.slot(slot) for slot in (LINES, COLUMNS, X, VALUES, INDICES))
    length, height, width = (code.slot(slot, "i64") for slot in (LENGTH, NUM_LINES, NUM_COLUMNS))

    def plane(number: str) -> None:
        pixels = code.at(x, (code.define(f"mul i64 {number}, {length}"), code.item))
        first = code.define(f"mul i64 {number}, {code.define(f'mul i64 {height}, {width}')}")
        code.loop(
            height,
            lambda line: one_line(
                pixels, code.define(f"add i64 {first}, {code.define(f'mul i64 {line}, {width}')}"), line
            ),
        )

    def one_line(pixels: str, first: str, line: str) -> None:
        starts = [
            code.define(f"load i64, ptr {code.at(lines, (line, num_lines * 8), (tap, 8))}") for tap in range(num_lines)
        ]
        code.loop(width, lambda column: one(pixels, starts, code.define(f"add i64 {first}, {column}"), column))

    def one(pixels: str, starts: list[str], place: str, column: str) -> None:
        offsets = [
            code.define(f"load i64, ptr {code.at(columns, (column, num_columns * 8), (tap, 8))}")
            for tap in range(num_columns)
        ]
        best = best_at = ""
        for start, offset in product(starts, offsets):
            at = code.define(f"add i64 {start}, {offset}")
            value = code.define(f"load {code.number}, ptr {code.at(pixels, (at, code.item))}")
            if not best:
                best, best_at = value, at
                continue
            is_no_less = code.define(f"fcmp ule {code.number} {value}, {best}")
            is_number = code.define(f"fcmp ord {code.number} {value}, {value}")
            stays = code.define(f"and i1 {is_number}, {is_no_less}")
            best = code.define(f"select i1 {stays}, {code.number} {best}, {code.number} {value}")
            best_at = code.define(f"select i1 {stays}, i64 {best_at}, i64 {at}")
        code.do(f"store {code.number} {best}, ptr {code.at(values, (place, code.item))}")
        code.do(f"store i64 {best_at}, ptr {code.at(indices, (place, 8))}")

    begin, end = code.share("%chunk", code.slot(PARTS, "i64"), code.slot(PLANES, "i64"))
    code.loop(end, plane, start=begin)
    return code.library("maxima")


@functools.cache
def _put(dtype: np.dtype, accumulate: bool) -> Library:
    """`put(table, part)`. An index that is out of bounds is counted and left out."""
    code = Vectors(Module(), dtype)
    out, values, indices = (code.slot(slot) for slot in (OUT, VALUES, INDICES))
    length, count = (code.slot(slot, "i64") for slot in (LENGTH, COUNT))

    def plane(number: str) -> None:
        target = code.at(out, (code.define(f"mul i64 {number}, {length}"), code.item))
        first = code.define(f"mul i64 {number}, {count}")
        code.clear(target, code.define(f"mul i64 {length}, {code.item}"))

        def one(i: str) -> None:
            place = code.define(f"add i64 {first}, {i}")
            at = code.define(f"load i64, ptr {code.at(indices, (place, 8))}")
            value = code.define(f"load {code.number}, ptr {code.at(values, (place, code.item))}")
            code.when(code.define(f"icmp ult i64 {at}, {length}"), lambda: put(at, value))
            code.when(
                code.define(f"icmp uge i64 {at}, {length}"), lambda: code.do(f"store i64 1, ptr {code.slot(FAULTS)}")
            )

        def put(at: str, value: str) -> None:
            to = code.at(target, (at, code.item))
            if accumulate:
                old = code.define(f"load {code.number}, ptr {to}")
                value = code.define(f"fadd {code.number} {old}, {value}")
            code.do(f"store {code.number} {value}, ptr {to}")

        code.loop(count, one)

    begin, end = code.share("%chunk", code.slot(PARTS, "i64"), code.slot(PLANES, "i64"))
    code.loop(end, plane, start=begin)
    return code.library("put")
