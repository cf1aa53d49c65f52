"""LLVM IR as text: functions being written, and the module they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


class Module:
    """Function definitions and declarations, each once."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}

    def text(self) -> str:
        return "\n".join(self.parts.values())

    def declare(self, name: str, declaration: str) -> None:
        self.parts.setdefault(name, declaration)

    def add(self, name: str, make: Callable[[], str]) -> None:
        """Adds a function unless it is there; its own helpers come first."""
        if name not in self.parts:
            self.parts[name] = ""
            text = make()
            del self.parts[name]
            self.parts[name] = text

    def intrinsic(self, code: Code, name: str, dtype: np.dtype, width: int, operands: Sequence[str]) -> str:
        scalar = "float" if dtype.itemsize == 4 else "double"
        suffix = f"f{8 * dtype.itemsize}" if width == 1 else f"v{width}f{8 * dtype.itemsize}"
        kind = scalar if width == 1 else f"<{width} x {scalar}>"
        full = f"@llvm.{name}.{suffix}"
        self.declare(full, f"declare {kind} {full}({', '.join([kind] * len(operands))})")
        return code.define(f"call {kind} {full}({', '.join(f'{kind} {x}' for x in operands)})")

    def function(self, code: Code, name: str, dtype: np.dtype, width: int, operands: Sequence[str]) -> str:
        """A call of a mathematical function, ours if there is one, else the C library's, element by element."""
        from rushlight.compiler import math as own_math

        scalar = "float" if dtype.itemsize == 4 else "double"
        kind = scalar if width == 1 else f"<{width} x {scalar}>"
        arguments = ", ".join(f"{kind} {x}" for x in operands)
        full = f"@{name}.{dtype.char}{width}"
        self.add(full, lambda: own_math.definition(self, full, name, dtype, width, len(operands)))
        return code.define(f"call {kind} {full}({arguments})")


class Code:
    """The instructions of one function, in order; names are fresh numbers."""

    def __init__(self, module: Module):
        self.module = module
        self.lines: list[str] = []
        self.count = 0

    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def define(self, text: str) -> str:
        name = "%" + self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def flag_error(self, condition: str, width: int) -> None:
        """Sets the program's error flag where a condition holds."""
        if width > 1:
            full = f"@llvm.vector.reduce.or.v{width}i1"
            self.module.declare(full, f"declare i1 {full}(<{width} x i1>)")
            condition = self.define(f"call i1 {full}(<{width} x i1> {condition})")
        flag = self.define("load ptr, ptr %table")
        number = self.define(f"zext i1 {condition} to i64")
        old = self.define(f"load i64, ptr {flag}")
        self.do(f"store i64 {self.define(f'or i64 {old}, {number}')}, ptr {flag}")
