"""The text of a function: the file, the line and the code of a derivative formula or of an operation's forward.

A formula is often one lambda among several on one line, so its text is found in the parsed file by what only its own
code object knows: first line, parameters, and the columns of its instructions.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a function is written, and how."""

    file: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {' '.join(self.code.split())}"


def source_of(function: Any) -> Source | None:
    """The source of a function, of what it wraps, or None where it has no text (a builtin, code typed at a prompt)."""
    code = code_of(function)
    return None if code is None else _source_of_code(code)


def code_of(function: Any) -> CodeType | None:
    for _ in range(10):  # a wrapper (`ops.fused.Fused`, `functools.partial`) around a wrapper
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            return code
        inner = getattr(function, "function", None) or getattr(function, "func", None)
        if inner is None:
            return None
        function = inner
    return None


def short_path(file: str) -> str:
    """A path as a reader wants it: from the package or the current folder on; only the name of what is elsewhere."""
    path = Path(file)
    if path.is_relative_to(PACKAGE):
        return str(path.relative_to(PACKAGE.parent))
    here = os.getcwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name


@functools.lru_cache(maxsize=2048)
def _source_of_code(code: CodeType) -> Source | None:
    parsed = _parsed(code.co_filename)
    if parsed is None:
        return None
    text, functions = parsed
    for node in functions.get(code.co_firstlineno, ()):
        if _parameters(node) == _code_parameters(code) and _encloses(node, code):
            segment = ast.get_source_segment(text, node, padded=True) or ""
            return Source(short_path(code.co_filename), node.lineno, textwrap.dedent(segment).strip())
    return None


@functools.lru_cache(maxsize=256)
def _parsed(file: str) -> tuple[str, dict[int, list[Any]]] | None:
    text = "".join(linecache.getlines(file))
    if not text:
        return None
    try:
        module = ast.parse(text)
    except SyntaxError:
        return None
    functions: dict[int, list[Any]] = {}
    for node in ast.walk(module):
        if isinstance(node, (ast.Lambda, ast.FunctionDef)):
            first = node.decorator_list[0].lineno if isinstance(node, ast.FunctionDef) and node.decorator_list else 0
            functions.setdefault(first or node.lineno, []).append(node)
    return text, functions


def _parameters(node: Any) -> list[str]:
    a = node.args
    return [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg)))]


def _code_parameters(code: CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    return list(code.co_varnames[:count])


def _encloses(node: Any, code: CodeType) -> bool:
    """Whether all instructions of a lambda's code lie inside it: others may begin on the same line."""
    if not isinstance(node, ast.Lambda):
        return True
    first, last = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    for line, end_line, column, end_column in code.co_positions():
        if line is not None and column is not None and end_line is not None and column != end_column:
            if (line, column) < first or (end_line, end_column) > last:
                return False
    return True
