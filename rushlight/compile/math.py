"""Mathematical functions as LLVM functions on vectors.

Those in `POLYNOMIALS` are straight-line code; every other one calls the C library element by element.
"""

from __future__ import annotations

import numpy as np

from rushlight.compile.module import Module


def definition(module: Module, full: str, name: str, dtype: np.dtype, width: int, arity: int) -> str:
    scalar = "float" if dtype.itemsize == 4 else "double"
    return _library(module, full, name + ("f" if scalar == "float" else ""), scalar, width, arity)


def _library(module: Module, full: str, symbol: str, scalar: str, width: int, arity: int) -> str:
    """Takes the vector apart, calls the C library for each element, and puts the results together."""
    module.declare(f"@{symbol}", f"declare {scalar} @{symbol}({', '.join([scalar] * arity)})")
    kind = scalar if width == 1 else f"<{width} x {scalar}>"
    lines = [f"define internal {kind} {full}({', '.join(f'{kind} %x{i}' for i in range(arity))}) {{"]
    result = "poison"
    for lane in range(width):
        arguments = []
        for i in range(arity):
            name = f"%x{i}"
            if width > 1:
                lines.append(f"  %a{lane}.{i} = extractelement {kind} %x{i}, i64 {lane}")
                name = f"%a{lane}.{i}"
            arguments.append(f"{scalar} {name}")
        lines.append(f"  %r{lane} = call {scalar} @{symbol}({', '.join(arguments)})")
        if width > 1:
            lines.append(f"  %s{lane} = insertelement {kind} {result}, {scalar} %r{lane}, i64 {lane}")
            result = f"%s{lane}"
        else:
            result = "%r0"
    return "\n".join([*lines, f"  ret {kind} {result}", "}"])
