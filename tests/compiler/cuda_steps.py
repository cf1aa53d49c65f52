"""Graphs through the CUDA writer: compiled by NVRTC, and run on the CPU by the emulator (tests/gpu/emulator)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rushlight.compiler.cuda import Kernel
from rushlight.compiler.cuda_prelude import PRELUDE
from rushlight.compiler.cuda_program import plan_kernels
from rushlight.compiler.fuse import alias_base
from rushlight.compiler.graph import Graph, evaluate, interpret
from rushlight.compiler.loops import Buffer
from rushlight.compiler.nvrtc import OPTIONS

sys.path.insert(0, str(Path(__file__).parents[1] / "gpu"))
import emulator

GUARD = 64  # elements before and after each array that nobody may write to
NUMBER = np.int64(7)  # of the error that kernels tell of an index out of bounds
ARCHITECTURES = ("sm_80", "sm_90")


class Emulated:
    """A graph's kernels, to be run on NumPy arrays by the emulator."""

    def __init__(self, graph: Graph, prefix: str):
        self.graph = graph
        self.plan, self.steps = plan_kernels(graph, prefix)

    @property
    def text(self) -> str:
        return "\n".join(step.text for step in self.steps if isinstance(step, Kernel))

    def run(self, module: Any, arrays: list[np.ndarray], order: int = 0) -> list[np.ndarray]:
        """The outputs. Every array has a guard on either side; a kernel that writes there fails."""
        self.memory: dict[Buffer, np.ndarray] = {}
        self.found = np.zeros(3, np.int64)  # the number of an error, the index, the size
        for buffer, array in zip(self.plan.inputs, arrays, strict=True):
            self._array(buffer)[...] = np.ascontiguousarray(array).reshape(-1)
        for step in self.steps:
            if isinstance(step, Kernel):
                given = [*map(self._array, step.arguments), *([self.found, NUMBER] if step.finds else [])]
                module.launch(step.name, step.grid, (step.block,), 0, given, order)
            else:
                self._call(*step)
        self._check_guards()
        outputs = []
        for i, (node, target) in enumerate(zip(self.graph.outputs, self.graph.targets, strict=True)):
            buffer = self.plan.outputs[i] if target is None else self.plan.inputs[target]
            outputs.append(self._array(buffer).reshape(node.shape).copy())
        return outputs

    def _array(self, buffer: Buffer) -> np.ndarray:
        if buffer not in self.memory:
            whole = np.full((buffer.size + 2 * GUARD) * buffer.dtype.itemsize, 0x5A, np.uint8)
            self.memory[buffer] = whole
            if buffer.kind == "constant":
                self._array(buffer)[...] = self.plan.constants[buffer.number].reshape(-1)
        edge = GUARD * buffer.dtype.itemsize
        return self.memory[buffer][edge : edge + buffer.size * buffer.dtype.itemsize].view(buffer.dtype)

    def _check_guards(self) -> None:
        for buffer, whole in self.memory.items():
            edge = GUARD * buffer.dtype.itemsize
            assert (whole[:edge] == 0x5A).all() and (whole[len(whole) - edge :] == 0x5A).all(), (
                f"written beside {buffer}"
            )

    def _call(self, unit: Any, node: Any) -> None:
        plan, target = self.plan, self._array(self.plan.locate(node))
        if unit.kind == "matmul":
            operands = []
            for x in node.inputs:
                base, offset, strides = plan._matrix(x, unit)
                array = self._array(plan.locate(base))
                steps = [stride * array.itemsize for stride in strides]
                operands.append(np.lib.stride_tricks.as_strided(array[offset:], x.shape, steps))
            target[...] = np.matmul(*operands).reshape(-1)
        else:
            sources = [self._array(plan.locate(alias_base(x))).reshape(x.shape) for x in node.inputs]
            target[...] = np.asarray(evaluate(node, *sources)).reshape(-1)


def check_all(cases: list[tuple[Graph, list[np.ndarray]]], tolerance: float = 1e-4) -> tuple[list[Emulated], str]:
    """Compiles all programs as one source, by g++ and by NVRTC, and compares each with the interpreter in two orders."""
    programs = [Emulated(graph, f"program{i}_") for i, (graph, _) in enumerate(cases)]
    source = PRELUDE + "\n".join(program.text for program in programs)
    module = emulator.load(source)
    for program, (graph, arrays) in zip(programs, cases, strict=True):
        with np.errstate(all="ignore"):
            expected = interpret(graph, [array.copy() for array in arrays])
        for order in (0, 5):
            for want, result in zip(expected, program.run(module, arrays, order), strict=True):
                assert (result.shape, result.dtype) == (want.shape, want.dtype)
                np.testing.assert_allclose(result, want, rtol=tolerance, atol=tolerance)
    return programs, source


def compile_by_nvrtc(source: str, architecture: str) -> bytes:
    pytest.importorskip("cupy", reason="CuPy is not installed: NVRTC cannot be had")
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(source, "kernels.cu", [], [])
    try:
        nvrtc.compileProgram(program, [f"--gpu-architecture={architecture}", *OPTIONS])
        return nvrtc.getCUBIN(program)
    except nvrtc.NVRTCError:
        raise AssertionError(nvrtc.getProgramLog(program)[:3000]) from None
    finally:
        nvrtc.destroyProgram(program)
