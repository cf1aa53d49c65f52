"""Every row of the table against PyTorch: values, dtypes, shapes, gradients, in place, compiled, on the meta device."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rushlight
import rushlight.ops

sys.path.insert(0, str(Path(__file__).parent))

from table import (
    ROWS,
    Row,
    Sample,
    assert_same,
    filled,
    leaves,
    numpy_of,
    to_rushlight,
    to_torch,
)  # fmt: skip

for _rows in sorted(Path(__file__).parent.glob("rows*.py")):
    importlib.import_module(_rows.stem)

_NAMES = [r.name for r in ROWS]
assert len(set(_NAMES)) == len(_NAMES), "two rows of one name"

pytestmark = pytest.mark.filterwarnings("ignore")


def rows(test: str, *, where: Any = lambda row: True) -> Any:
    """Parametrises a test over the rows that have it."""
    return pytest.mark.parametrize("row", [r for r in ROWS if test not in r.skips and where(r)], ids=lambda r: r.name)


def outcome(function: Any, *args: Any, **kwargs: Any) -> Any:
    """(result, None) or (None, exception)."""
    try:
        return function(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001  (compared)
        return None, error


def built_in(error: BaseException) -> type:
    return next(t for t in type(error).__mro__ if t.__module__ == "builtins")


def same_failure(theirs: Exception | None, mine: Exception | None, where: str) -> bool:
    """Whether PyTorch failed; then rushlight has to, with the same type."""
    if theirs is None:
        if mine is not None:
            raise AssertionError(f"{where}: {type(mine).__name__}: {mine}") from mine
        return False
    assert mine is not None, f"{where}: no error, PyTorch: {type(theirs).__name__}: {theirs}"
    wanted = RuntimeError if built_in(theirs) is NotImplementedError else built_in(theirs)
    assert isinstance(mine, wanted), (
        f"{where}: {type(mine).__name__}: {mine}; PyTorch: {type(theirs).__name__}: {theirs}"
    )
    return True


def both(row: Row, sample: Sample, dtype: str) -> tuple[list[torch.Tensor], list[rushlight.Tensor]]:
    arrays = row.arrays(sample, dtype)
    return [to_torch(a) for a in arrays], [to_rushlight(a) for a in arrays]


def test_every_operation_has_a_row() -> None:
    covered = {name for row in ROWS for name in row.covers()} | {
        "moved",
        "cross_entropy_mean_of_counted",
    }  # on GPUs only: tests/gpu
    missing = []
    for module in pkgutil.iter_modules(rushlight.ops.__path__):
        for function in vars(importlib.import_module(f"rushlight.ops.{module.name}")).values():
            op = getattr(function, "op", None) if callable(function) else None
            if type(op).__name__ == "Op" and not {function.__name__, f"{function.__name__}_"} & covered:
                missing.append(function.__name__)
    assert not missing


@rows("values")
def test_values(row: Row) -> None:
    for dtype, sample in itertools.product(row.dtypes, row.samples):
        theirs, mine = both(row, sample, dtype)
        where = f"{dtype} {sample}"
        args, kwargs = filled(sample, theirs, torch)
        expected, wrong = outcome(row.function(torch), *args, **kwargs)
        args, kwargs = filled(sample, mine, rushlight)
        got, error = outcome(row.function(rushlight), *args, **kwargs)
        if same_failure(wrong, error, where):
            continue
        assert_same(expected, got, where, row.tolerance)
        for t, r in zip(theirs, mine, strict=True):
            np.testing.assert_array_equal(numpy_of(t), numpy_of(r), err_msg=f"{where}: an argument was written to")


def with_gradients(row: Row, sample: Sample, module: Any, arrays: list[np.ndarray], order: int) -> Any:
    """(which results require a gradient, first gradients, second gradients)."""
    convert = to_torch if module is torch else to_rushlight
    tensors = [convert(a) for a in arrays]
    inputs = [t.requires_grad_() for t, wanted in zip(tensors, row.differentiated(sample), strict=True) if wanted]
    args, kwargs = filled(sample, tensors, module)
    results = [r for r in leaves(row.function(module)(*args, **kwargs)) if hasattr(r, "requires_grad")]
    requires = [r.requires_grad for r in results]
    asked = [r for r in results if r.requires_grad]
    if not asked or not inputs:
        return requires, None, None
    rng = np.random.default_rng(7)
    weights = [convert(np.asarray(rng.uniform(-1, 1, tuple(r.shape)))).to(r.dtype) for r in asked]
    if order == 2:
        weights = [w.requires_grad_() for w in weights]
    first = module.autograd.grad(asked, inputs, weights, create_graph=order == 2, allow_unused=True)
    if order == 1:
        return requires, list(first), None
    again = [g for g in first if g is not None and g.requires_grad]
    if not again:
        return requires, list(first), None
    for_each = [convert(np.asarray(rng.uniform(-1, 1, tuple(t.shape)))) for t in inputs]
    weights2 = [w for w, g in zip(for_each, first, strict=True) if g is not None and g.requires_grad]
    return requires, list(first), list(module.autograd.grad(again, [*inputs, *weights], weights2, allow_unused=True))


def compare_gradients(row: Row, order: int) -> None:
    for sample in row.samples:
        arrays = row.arrays(sample, "float64")
        expected, refused = outcome(with_gradients, row, sample, torch, arrays, order)
        if refused is not None:  # PyTorch has no such derivative, or no such call in place
            continue
        got = with_gradients(row, sample, rushlight, arrays, order)
        assert expected[0] == got[0], f"{sample}: requires_grad {got[0]}, not {expected[0]}"
        for name, theirs, mine in zip(("first", "second"), expected[1:], got[1:], strict=True):
            theirs, mine = theirs or [], mine or []
            if name == "second" and len(theirs) != len(mine):  # a constant first gradient: PyTorch may have zeros
                assert all(g is None or not numpy_of(g).any() for g in [*theirs, *mine]), f"{sample}: second gradient"
                continue
            for t, m in zip(theirs, mine, strict=True):
                if t is None or m is None:
                    other = m if t is None else t
                    assert other is None or not numpy_of(other).any(), f"{sample}: {name} gradient {m}, not {t}"
                else:
                    assert_same(t, m, f"{sample}: {name} gradient", 10)


def can_differentiate(row: Row) -> bool:
    return row.differentiable and any(any(row.differentiated(s)) for s in row.samples)


@rows("gradient", where=can_differentiate)
def test_first_gradient(row: Row) -> None:
    compare_gradients(row, 1)


@rows("second", where=lambda row: can_differentiate(row) and row.second)
def test_second_gradient(row: Row) -> None:
    compare_gradients(row, 2)


# ---------------------------------------------------------------- other spellings


@rows("in_place", where=lambda row: row.in_place)
def test_in_place(row: Row) -> None:
    name = row.path.rpartition(".")[2] + "_"
    for dtype, sample in itertools.product(row.dtypes, row.samples):
        theirs, mine = both(row, sample, dtype)
        where = f"{name} {dtype} {sample}"
        (x, *args), kwargs = filled(sample, theirs, torch)
        expected, wrong = outcome(getattr(x, name), *args, **kwargs)
        (y, *args), kwargs = filled(sample, mine, rushlight)
        got, error = outcome(getattr(y, name), *args, **kwargs)
        if same_failure(wrong, error, where):
            continue
        assert got is y, f"{where}: another tensor came back"
        assert_same(expected, got, where, row.tolerance)


@rows("in_place", where=lambda row: row.in_place and can_differentiate(row))
def test_in_place_gradient(row: Row) -> None:
    name = row.path.rpartition(".")[2] + "_"

    def on_a_clone(module: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x.clone(), name)(*args, **kwargs)

    compare_gradients(Row(row.name, row.samples, domain=row.domain, call=on_a_clone), 1)


@rows("method", where=lambda row: row.method)
def test_method(row: Row) -> None:
    for sample in row.samples:
        dtype = row.dtypes[0]
        (_, first), (_, second) = both(row, sample, dtype), both(row, sample, dtype)
        args, kwargs = filled(sample, first)
        expected, error = outcome(row.function(rushlight), *args, **kwargs)
        (x, *args), kwargs = filled(sample, second)
        if error is None:
            assert_same(expected, getattr(x, row.path)(*args, **kwargs), str(sample))


@rows("promotion", where=lambda row: row.promotes)
def test_promotion(row: Row) -> None:
    """Every pair of dtypes, for tensors with and without dimensions, and Python numbers on either side."""
    dtypes = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool")
    rng = np.random.default_rng(3)

    def operand(shape: tuple[int, ...], dtype: str) -> np.ndarray:
        from table import numpy_dtype

        return rng.integers(1, 4, shape).astype(numpy_dtype(dtype))

    kwargs = row.samples[0].kwargs
    numbers: tuple[Any, ...] = (2, 2.0, True) if row.promotes == "numbers" else ()
    cases: list[tuple[Any, Any]] = []
    for a, b in itertools.product(dtypes, dtypes):
        cases += [
            (operand((2,), a), operand((2,), b)),
            (operand((2,), a), operand((), b)),
            (operand((), a), operand((), b)),
        ]
    for a, number in itertools.product(dtypes, numbers):
        cases += [(operand((2,), a), number), (operand((), a), number)]
    for x, y in cases:
        where = " ".join(f"{v.dtype}{list(v.shape)}" if isinstance(v, np.ndarray) else repr(v) for v in (x, y))
        theirs = [to_torch(v) if isinstance(v, np.ndarray) else v for v in (x, y)]
        mine = [to_rushlight(v) if isinstance(v, np.ndarray) else v for v in (x, y)]
        expected, wrong = outcome(row.function(torch), *theirs, **kwargs)
        got, error = outcome(row.function(rushlight), *mine, **kwargs)
        if not same_failure(wrong, error, where):
            assert_same(expected, got, where, 4)


# ---------------------------------------------------------------- symbolic = NumPy


def compiled_dtype(row: Row) -> str:
    return next((d for d in ("float32", "int64") if d in row.dtypes), row.dtypes[0])


def usable(row: Row, dtype: str) -> list[tuple[Sample, list[np.ndarray]]]:
    """The samples that run, eager: others are for `test_values`."""
    found = []
    for sample in row.samples:
        arrays = row.arrays(sample, dtype)
        args, kwargs = filled(sample, [to_rushlight(a) for a in arrays])
        if arrays and outcome(row.function(rushlight), *args, **kwargs)[1] is None:
            found.append((sample, arrays))
    return found


@rows("compiled")
def test_compiled(row: Row) -> None:
    """One program that has all samples in it gives what eager gives: values, shapes, dtypes."""
    samples = usable(row, compiled_dtype(row))

    def step(*groups: Any) -> Any:
        results = []
        for (sample, _), group in zip(samples, groups, strict=True):
            args, kwargs = filled(sample, group)
            results.append(
                [r for r in leaves(row.function(rushlight)(*args, **kwargs)) if isinstance(r, rushlight.Tensor)]
            )
        return results

    def groups() -> list[list[rushlight.Tensor]]:
        return [[to_rushlight(a) for a in arrays] for _, arrays in samples]

    expected = step(*groups())
    got = rushlight.compile(step, fullgraph=True)(*groups())
    for (sample, _), e, g in zip(samples, expected, got, strict=True):
        assert_same(e, g, f"{sample}", 8 * row.tolerance)


@rows("compiled", where=can_differentiate)
def test_compiled_gradient(row: Row) -> None:
    """As `test_compiled`, for the first gradient."""
    if "float32" not in row.dtypes:
        pytest.skip("no float32")
    samples = [(s, arrays) for s, arrays in usable(row, "float32") if any(row.differentiated(s))]

    def step(*groups: Any) -> Any:
        results = []
        for (sample, _), group in zip(samples, groups, strict=True):
            wanted = row.differentiated(sample)
            tensors = [t.detach().requires_grad_() if w else t for t, w in zip(group, wanted, strict=True)]
            args, kwargs = filled(sample, tensors)
            asked = [r for r in leaves(row.function(rushlight)(*args, **kwargs)) if getattr(r, "requires_grad", False)]
            if asked:
                weights = [rushlight.full_like(r, 0.5) for r in asked]
                inputs = [t for t, w in zip(tensors, wanted, strict=True) if w]
                found = rushlight.autograd.grad(asked, inputs, weights, allow_unused=True)
                results.append([g for g in found if g is not None])
        return results

    def groups() -> list[list[rushlight.Tensor]]:
        return [[to_rushlight(a) for a in arrays] for _, arrays in samples]

    expected = step(*groups())
    got = rushlight.compile(step, fullgraph=True)(*groups())
    for i, (e, g) in enumerate(zip(expected, got, strict=True)):
        assert_same(e, g, f"{samples[i][0]}", 16 * row.tolerance)


@rows("compiled")
def test_meta(row: Row) -> None:
    """On the meta device: the same shapes and dtypes, no data."""
    for sample, arrays in usable(row, compiled_dtype(row)):
        args, kwargs = filled(sample, [to_rushlight(a) for a in arrays])
        expected = leaves(row.function(rushlight)(*args, **kwargs))
        args, kwargs = filled(sample, [to_rushlight(a).to("meta") for a in arrays])
        for e, g in zip(expected, leaves(row.function(rushlight)(*args, **kwargs)), strict=True):
            if isinstance(e, rushlight.Tensor):
                assert (e.shape, e.dtype) == (g.shape, g.dtype), f"{sample}: {g.dtype}{list(g.shape)}"
                assert g.device.type == "meta", f"{sample}: on {g.device}"
