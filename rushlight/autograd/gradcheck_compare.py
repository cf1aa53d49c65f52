"""Autograd's Jacobians against those of finite differences.

A *subject* is what is compared in one go: a function from its inputs to its results, of which either no result is complex (the
backward pass) or no input (the forward pass): a complex function is checked as its imaginary part and its real part. In slow mode
whole Jacobians are compared, in fast mode their product with a random direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rushlight.autograd import gradcheck_text as text
from rushlight.autograd.differences import as_tuple, is_inexact, numerical_derivatives, numerical_jacobians
from rushlight.autograd.gradcheck_analytical import (
    checked_rows,
    jacobians_by_columns,
    requires_grad,
    tangents,
    unit_weights,
)
from rushlight.autograd.gradcheck_text import GradcheckError
from rushlight.ops.create import beside
from rushlight.random import Generator
from rushlight.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Options:
    """How a subject is compared: the arguments of `gradcheck` that concern it."""

    eps: float
    atol: float
    rtol: float
    nondet_tol: float
    check_dtypes: bool
    fast: bool


@dataclass(slots=True)
class Subject:
    """A function at a point, all of whose results, or all of whose inputs, are real.

    Attributes:
        part: of complex results or inputs, which part is considered: "real" or "imaginary".
        forward: whether it is for the forward pass.
        complex_at: which differentiable results (or, forward, inputs that require gradients) are complex as a whole.
        results: of one call; `outputs` are those that require gradients, `chosen` their places.
    """

    func: Callable[..., Any]
    inputs: tuple[Any, ...]
    part: str = ""
    forward: bool = False
    complex_at: list[bool] = field(default_factory=list)
    results: tuple[Any, ...] = field(init=False)
    sources: list[Tensor] = field(init=False)
    outputs: list[Tensor] = field(init=False)
    chosen: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.results = as_tuple(self.func(*self.inputs))
        self.sources = [x for x in self.inputs if requires_grad(x)]
        self.chosen = [i for i, result in enumerate(self.results) if result.requires_grad]
        self.outputs = [self.results[i] for i in self.chosen]

    def of_complex(self, i: int, j: int) -> bool:
        return bool(self.complex_at) and self.complex_at[j if self.forward else i]

    def of_outputs(self, parts: list[np.ndarray]) -> list[np.ndarray]:
        """Of what there is for each result of floating-point or complex numbers, that for the outputs."""
        inexact = [i for i, result in enumerate(self.results) if is_inexact(result)]
        return [part for i, part in zip(inexact, parts, strict=True) if i in self.chosen]


# ---------------------------------------------------------------- subjects


def backward_subjects(func: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
    """The function, or its imaginary and its real part if it has complex results."""
    whole = Subject(func, inputs)
    if not any(result.is_complex() for result in whole.results):
        yield whole
        return
    complex_at = [output.is_complex() for output in whole.outputs]
    for part, name in (("imaginary", "imag"), ("real", "real")):

        def of_part(*values: Any, name: str = name) -> tuple[Any, ...]:
            return tuple(getattr(x, name) if x.is_complex() else x for x in as_tuple(func(*values)))

        yield Subject(of_part, inputs, part, complex_at=complex_at)


def forward_subjects(func: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
    """The function, or as one of the imaginary, then of the real parts of its complex inputs, with the other part fixed."""
    is_complex = [isinstance(x, Tensor) and x.is_complex() for x in inputs]
    if not any(is_complex):
        yield Subject(func, inputs, forward=True)
        return
    complex_at = [x.is_complex() for x in inputs if requires_grad(x)]
    fixed = [x.detach() if isinstance(x, Tensor) else x for x in inputs]
    for part, name in (("imaginary", "imag"), ("real", "real")):

        def of_part(*values: Any, name: str = name) -> Any:
            whole = [
                x if not split else y.real + x * 1j if name == "imag" else x + y.imag * 1j
                for x, y, split in zip(values, fixed, is_complex, strict=True)
            ]
            return func(*whole)

        point = tuple(
            getattr(x.detach(), name).clone().requires_grad_(x.requires_grad) if split else x
            for x, split in zip(inputs, is_complex, strict=True)
        )
        yield Subject(of_part, point, part, True, complex_at)


# ---------------------------------------------------------------- comparing


def compare(subject: Subject, options: Options) -> None:
    if not subject.outputs:
        _check_constant(subject, options)
    elif options.fast:
        _compare_products(subject, options)
    else:
        _compare_jacobians(subject, options)


def _compare_jacobians(subject: Subject, options: Options) -> None:
    numerical = [_numerical(subject, j, options) for j in range(len(subject.sources))]
    if subject.forward:
        by_input = [_by_columns(subject, j, options) for j in range(len(subject.sources))]
        analytical = [list(parts) for parts in zip(*by_input, strict=True)]
    for i, output in enumerate(subject.outputs):
        parts = analytical[i] if subject.forward else _by_rows(subject, output, options)
        for j, part in enumerate(parts):
            if not _close(part, numerical[j][i], options.rtol, options.atol):
                places = text.where_they_part(subject, i, j, part, numerical[j][i], options.rtol, options.atol)
                raise GradcheckError(text.mismatch(subject, i, j, part, numerical[j][i]) + places)


def _numerical(subject: Subject, j: int, options: Options) -> list[np.ndarray]:
    return subject.of_outputs(numerical_jacobians(subject.func, subject.inputs, subject.sources[j], options.eps))


def _by_rows(subject: Subject, output: Tensor, options: Options, nondet_tol: float | None = None) -> list[np.ndarray]:
    tolerance = options.nondet_tol if nondet_tol is None else nondet_tol
    return checked_rows(output, subject.sources, lambda: unit_weights(output), options.check_dtypes, tolerance)


def _by_columns(subject: Subject, j: int, options: Options) -> list[np.ndarray]:
    return jacobians_by_columns(subject.func, subject.inputs, subject.sources[j], subject.chosen, options.check_dtypes)


def _compare_products(subject: Subject, options: Options) -> None:
    """Fast mode: `v @ J @ u` for random u, v; forward only `J @ u`."""
    draws = Generator()
    directions = [_direction(x, draws) for x in subject.sources]
    weights = [None if subject.forward else _unit_vector(output, draws) for output in subject.outputs]
    rows = [
        None if v is None else _weighted_rows(subject, output, v, options)
        for output, v in zip(subject.outputs, weights, strict=True)
    ]
    for j, (x, u) in enumerate(zip(subject.sources, directions, strict=True)):
        numerical = subject.of_outputs(numerical_derivatives(subject.func, subject.inputs, x, u, options.eps))
        if subject.forward:
            tangent = beside(x, u.reshape(x.shape).astype(x._array.dtype))
            analytical = tangents(subject.func, subject.inputs, x, tangent, subject.chosen, options.check_dtypes)
        for i, (v, row) in enumerate(zip(weights, rows, strict=True)):
            if v is None or row is None:
                got, expected = analytical[i], numerical[i]
            else:
                got, expected = _product(row[j][:, 0], u), (v * numerical[i]).sum()
            parts = u if isinstance(u, tuple) else (u,)
            atol = options.atol * sum(part.sum() for part in parts) * (1.0 if v is None else v.sum())
            if not _close(got, expected, options.rtol, atol):
                raise GradcheckError(
                    text.mismatch(subject, i, j, got, expected) + _in_slow_mode(subject, i, j, options)
                )


def _weighted_rows(subject: Subject, output: Tensor, v: np.ndarray, options: Options) -> list[np.ndarray]:
    weight = beside(output, v.reshape(output.shape).astype(output._array.dtype))
    return checked_rows(output, subject.sources, lambda: [weight], options.check_dtypes, options.nondet_tol)


def _product(row: np.ndarray, u: Any) -> Any:
    if row.dtype.kind == "c":
        return (row.real * u[0]).sum() + 1j * (row.imag * u[1]).sum()
    return (row * u).sum()


def _in_slow_mode(subject: Subject, i: int, j: int, options: Options) -> str:
    numerical = _numerical(subject, j, options)[i]
    if subject.forward:
        analytical = _by_columns(subject, j, options)[i]
    else:
        analytical = _by_rows(subject, subject.outputs[i], options, nondet_tol=float("inf"))[j]
    told = text.in_slow_mode(analytical, numerical)
    if _close(analytical, numerical, options.rtol, options.atol):
        return told + text.ONLY_FAST
    return told + text.where_they_part(subject, i, j, analytical, numerical, options.rtol, options.atol)


def _direction(x: Tensor, draws: Generator) -> Any:
    return (_unit_vector(x, draws), _unit_vector(x, draws)) if x.is_complex() else _unit_vector(x, draws)


def _unit_vector(x: Tensor, draws: Generator) -> np.ndarray:
    vector = draws.uniform((x.numel(),)).astype(np.float64)
    return vector / np.linalg.norm(vector)


def _check_constant(subject: Subject, options: Options) -> None:
    """A function without differentiable results has to be constant."""
    for j, x in enumerate(subject.sources):
        if options.fast:
            u = _direction(x, Generator())
            parts = numerical_derivatives(subject.func, subject.inputs, x, u, options.eps)
            wrong = any(part.size and np.abs(part).max() > options.nondet_tol for part in parts)
        else:
            parts = numerical_jacobians(subject.func, subject.inputs, subject.sources[j], options.eps)
            wrong = any((part != 0).any() for part in parts)
        if wrong:
            raise GradcheckError("Numerical gradient for function expected to be zero")


def _close(analytical: Any, numerical: Any, rtol: float, atol: float) -> bool:
    return bool(np.isclose(analytical, numerical, rtol, atol).all())
