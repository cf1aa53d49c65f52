"""Every function of the array API standard, on generated inputs, against array-api-strict: dtypes, shapes, values, signatures.

Values are drawn by hypothesis, with NaN, infinities, both zeros and the ends of integer ranges among them.
`ARRAY_API_EXAMPLES=200 pytest tests/array_api` draws more per function.
"""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight import array_api as xp

strict = pytest.importorskip("array_api_strict")
hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies
extra = pytest.importorskip("hypothesis.extra.numpy")

strict.set_array_api_strict_flags(api_version="2025.12")
EXAMPLES = int(os.environ.get("ARRAY_API_EXAMPLES", "12"))
settings = hypothesis.settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)  # fmt: skip

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS, COMPLEX = ("float32", "float64"), ("complex64", "complex128")
NUMERIC = INTEGERS + FLOATS + COMPLEX
REAL, ALL = INTEGERS + FLOATS, ("bool", *NUMERIC)


@pytest.fixture(autouse=True, scope="module")
def _default_dtype_of_strict() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# ---------------------------------------------------------------- drawing


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 0) -> Any:
    return extra.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=4)


def arrays(dtype: str, shape: Any, finite: bool = False) -> Any:
    """NumPy arrays; `finite` ones have values near 1, for algorithms."""
    elements: Any = None
    if finite and dtype not in ("bool", *INTEGERS):
        part = st.floats(-4, 4, width=32, allow_subnormal=False)
        elements = st.builds(complex, part, part) if dtype in COMPLEX else part
    elif finite and dtype != "bool":
        elements = st.integers(0 if dtype[0] == "u" else -9, 9)
    return extra.arrays(np.dtype(dtype), shape, elements=elements, fill=st.nothing())


def drawn(data: Any, dtypes: tuple[str, ...], finite: bool = False, **limits: Any) -> np.ndarray:
    return data.draw(arrays(data.draw(st.sampled_from(dtypes)), shapes(**limits), finite))


def axis_of(data: Any, ndim: int, none: bool = True, several: bool = True) -> Any:
    one = st.integers(-ndim, ndim - 1) if ndim else st.nothing()
    options = [st.none()] if none else []
    if ndim:
        options.append(one)
        if several:
            options.append(st.lists(one, min_size=1, max_size=ndim, unique_by=lambda i: i % ndim).map(tuple))
    return data.draw(st.one_of(options)) if options else None


def two(data: Any, dtypes: tuple[str, ...], finite: bool = False) -> tuple[Any, Any]:
    """Two arrays of shapes that broadcast and dtypes that promote; one may be a Python number."""
    first = data.draw(st.sampled_from(dtypes))
    kind = np.dtype(first).kind
    partners = [
        d
        for d in dtypes
        if np.dtype(d).kind == kind
        or {np.dtype(d).kind, kind} == {"f", "c"}
        or {d[0], first[0]} == {"u", "i"}
        and "uint64" not in (d, first)
    ]
    second = data.draw(st.sampled_from(partners))
    both = data.draw(extra.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4)).input_shapes
    x, y = data.draw(arrays(first, both[0], finite)), data.draw(arrays(second, both[1], finite))
    if data.draw(st.integers(0, 4)) == 0:
        number = {
            "b": st.booleans(),
            "i": st.integers(-128, 127),
            "u": st.integers(0, 255),
            "f": st.floats(width=32),
            "c": st.complex_numbers(width=64),
        }[kind]
        y = data.draw(st.integers(0, 9) if finite else number)
    return x, y


# ---------------------------------------------------------------- comparing


def ours(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, np.dtype):
        return getattr(xp, value.name)
    return type(value)(ours(v) for v in value) if isinstance(value, (list, tuple)) else value


def theirs(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return strict.asarray(value.copy())
    if isinstance(value, np.dtype):
        return getattr(strict, value.name)
    return type(value)(theirs(v) for v in value) if isinstance(value, (list, tuple)) else value


def same(found: Any, expected: Any, rtol: float | None = None, exact_zeros: bool = False) -> None:
    if isinstance(expected, (tuple, list)):
        assert getattr(found, "_fields", None) == getattr(expected, "_fields", None)
        assert len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            same(f, e, rtol, exact_zeros)
        return
    if isinstance(expected, strict._dtypes.DType):
        assert found.name == expected._np_dtype.name
        return
    if not hasattr(expected, "dtype"):
        assert found == expected
        return
    e = np.asarray(expected._array)
    assert isinstance(found, torch.Tensor)
    assert found.dtype.name == e.dtype.name
    assert tuple(found.shape) == e.shape
    f = found.numpy()
    if e.dtype.kind in "fc":
        tolerance = (
            rtol if rtol is not None else 1e-5 if e.dtype.itemsize // (1 + (e.dtype.kind == "c")) == 4 else 1e-12
        )
        scale = np.max(np.abs(e[np.isfinite(e)]), initial=1e-30) if rtol is not None else 0
        np.testing.assert_allclose(f, e, rtol=tolerance, atol=float(tolerance * min(scale, 1e30)))
        if exact_zeros and e.dtype.kind == "f":
            numbers = ~np.isnan(e)
            np.testing.assert_array_equal(np.signbit(f)[numbers], np.signbit(e)[numbers])
    else:
        np.testing.assert_array_equal(f, e)


def compare(
    name: str, args: tuple[Any, ...], options: dict[str, Any], rtol: float | None = None, exact_zeros: bool = False
) -> None:
    """The function on both; what strict refuses to take is not compared."""

    def of(namespace: Any) -> Any:
        for part in name.split("."):
            namespace = getattr(namespace, part)
        return namespace

    with np.errstate(all="ignore"):
        try:
            expected = of(strict)(*theirs(args), **{k: theirs(v) for k, v in options.items()})
        except (TypeError, ValueError, IndexError, OverflowError, np.linalg.LinAlgError):
            hypothesis.assume(False)
    same(of(xp)(*ours(args), **{k: ours(v) for k, v in options.items()}), expected, rtol, exact_zeros)


# ---------------------------------------------------------------- elementwise

UNARY = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil", "conj", "cos", "cosh", "exp", "expm1",
    "floor", "imag", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not", "negative", "positive", "real",
    "reciprocal", "round", "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
]  # fmt: skip
BINARY = [
    "add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "copysign", "divide",
    "equal", "floor_divide", "greater", "greater_equal", "hypot", "less", "less_equal", "logaddexp", "logical_and", "logical_or",
    "logical_xor", "maximum", "minimum", "multiply", "nextafter", "not_equal", "pow", "remainder", "subtract",
]  # fmt: skip
OPERATORS = {
    "__add__": "add", "__sub__": "subtract", "__mul__": "multiply", "__truediv__": "divide", "__floordiv__": "floor_divide",
    "__mod__": "remainder", "__pow__": "pow", "__and__": "bitwise_and", "__or__": "bitwise_or", "__xor__": "bitwise_xor",
    "__lshift__": "bitwise_left_shift", "__rshift__": "bitwise_right_shift", "__lt__": "less", "__le__": "less_equal",
    "__gt__": "greater", "__ge__": "greater_equal", "__eq__": "equal", "__ne__": "not_equal",
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
@settings
@hypothesis.given(data=st.data())
def test_unary(name: str, data: Any) -> None:
    compare(name, (drawn(data, ALL),), {}, exact_zeros=True)


def _defined(name: str, x: Any, y: Any) -> bool:
    """What the standard leaves open: division by zero and shifts by too much, of integers; negative integer powers."""
    integer = x.dtype.kind in "iu"
    if name in ("floor_divide", "remainder"):
        return not integer or bool(np.all(np.asarray(y) != 0))
    if "shift" in name:
        return integer and bool(np.all(np.asarray(y) >= 0) and np.all(np.asarray(y) < x.dtype.itemsize * 8))
    return name != "pow" or not integer or bool(np.all(np.asarray(y) >= 0))


@pytest.mark.parametrize("name", BINARY)
@settings
@hypothesis.given(data=st.data())
def test_binary(name: str, data: Any) -> None:
    x, y = two(data, INTEGERS if "shift" in name else ALL)
    hypothesis.assume(_defined(name, x, y))
    compare(name, (x, y), {}, exact_zeros=True)
    if not isinstance(y, np.ndarray) and name not in ("floor_divide", "remainder", "pow") and "shift" not in name:
        compare(name, (y, x), {}, exact_zeros=True)


@pytest.mark.parametrize("name", OPERATORS)
@settings
@hypothesis.given(data=st.data())
def test_operators(name: str, data: Any) -> None:
    """Where both have dimensions or neither: between the two PyTorch's promotion differs from the standard's."""
    x, y = two(data, INTEGERS if "shift" in name else ALL)
    hypothesis.assume(_defined(OPERATORS[name], x, y))  # for what the standard defines
    if isinstance(y, np.ndarray):
        hypothesis.assume(
            x.dtype == y.dtype
            or bool(x.ndim) == bool(y.ndim)
            and not {x.dtype.name, y.dtype.name} & {"uint16", "uint32", "uint64"}
        )
    with np.errstate(all="ignore"):
        try:
            expected = getattr(theirs(x), name)(theirs(y))
        except (TypeError, OverflowError):
            hypothesis.assume(False)
        hypothesis.assume(expected is not NotImplemented)
    same(getattr(ours(x), name)(ours(y)), expected, exact_zeros=True)


@settings
@hypothesis.given(data=st.data())
def test_clip(data: Any) -> None:
    x = drawn(data, REAL)
    bounds = [data.draw(st.one_of(st.none(), arrays(x.dtype.name, ()))) for _ in range(2)]
    bounds = [b if b is None or data.draw(st.booleans()) else b.item() for b in bounds]
    hypothesis.assume(not any(b is not None and np.isnan(b) for b in bounds))
    compare("clip", (x, *bounds), {})


# ---------------------------------------------------------------- reductions


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "var", "std", "all", "any", "count_nonzero"])
@settings
@hypothesis.given(data=st.data())
def test_reductions(name: str, data: Any) -> None:
    x = drawn(
        data,
        ALL,
        finite=name in ("prod", "mean", "var", "std", "sum"),
        min_side=int(name in ("max", "min", "mean", "var", "std")),
    )
    options: dict[str, Any] = {"axis": axis_of(data, x.ndim), "keepdims": data.draw(st.booleans())}
    if name in ("var", "std"):
        options["correction"] = data.draw(st.sampled_from([0, 0.5]))
    compare(name, (x,), options, rtol=1e-5)


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
@settings
@hypothesis.given(data=st.data())
def test_running(name: str, data: Any) -> None:
    x = drawn(data, NUMERIC, finite=True, min_dims=1)
    compare(
        name,
        (x,),
        {"axis": axis_of(data, x.ndim, x.ndim == 1, several=False), "include_initial": data.draw(st.booleans())},
        rtol=1e-5,
    )


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@settings
@hypothesis.given(data=st.data())
def test_arg_extremes(name: str, data: Any) -> None:
    x = drawn(data, REAL, min_side=1)
    compare(name, (x,), {"axis": axis_of(data, x.ndim, several=False), "keepdims": data.draw(st.booleans())})


@pytest.mark.parametrize("name", ["sort", "argsort"])
@settings
@hypothesis.given(data=st.data())
def test_sorting(name: str, data: Any) -> None:
    x = drawn(data, REAL, min_dims=1)
    hypothesis.assume(not np.isnan(x).any())
    compare(name, (x,), {"axis": axis_of(data, x.ndim, False, False), "descending": data.draw(st.booleans())})


@settings
@hypothesis.given(data=st.data())
def test_diff(data: Any) -> None:
    x = drawn(data, NUMERIC, finite=True, min_dims=1, min_side=2)
    compare("diff", (x,), {"axis": axis_of(data, x.ndim, False, False), "n": data.draw(st.integers(0, 3))}, rtol=1e-5)


# ---------------------------------------------------------------- shapes


@settings
@hypothesis.given(data=st.data())
def test_shapes(data: Any) -> None:
    x = drawn(data, ALL)
    axes = tuple(data.draw(st.permutations(range(x.ndim))))
    axis = axis_of(data, x.ndim)
    compare("permute_dims", (x, axes), {})
    compare("flip", (x,), {"axis": axis})
    compare("expand_dims", (x,), {"axis": data.draw(st.integers(-x.ndim - 1, x.ndim))})
    compare("reshape", (x, (-1,) if x.size else (0,)), {})
    compare("reshape", (x, tuple(reversed(x.shape))), {"copy": True})
    compare("broadcast_to", (x, (2, *x.shape)), {})
    compare("tile", (x, tuple(data.draw(st.lists(st.integers(0, 3), max_size=4)))), {})
    compare("squeeze", (x[None], 0), {})
    if x.ndim:
        shift = data.draw(st.integers(-5, 5))
        compare("roll", (x, shift), {"axis": axis if not isinstance(axis, tuple) else None})
        compare("moveaxis", (x, axes[0], axes[-1]), {})
        compare("unstack", (x,), {"axis": axes[0]})
        compare("stack", ([x, x],), {"axis": axes[0]})
        compare("repeat", (x, data.draw(st.integers(0, 3))), {"axis": axes[0]})
        compare("repeat", (x, np.arange(x.shape[axes[0]])), {"axis": axes[0]})
        compare("nonzero", (x,), {})


@settings
@hypothesis.given(data=st.data())
def test_joining(data: Any) -> None:
    x, y = two(data, ALL)
    hypothesis.assume(isinstance(y, np.ndarray))
    compare("broadcast_arrays", (x, y), {})
    compare("broadcast_shapes", (x.shape, y.shape), {})
    compare("result_type", (x, y), {})
    compare("can_cast", (x, y.dtype), {})
    compare("concat", ([x, y],), {"axis": None})
    compare("concat", ([x, x],), {"axis": 0})
    if x.dtype == y.dtype:
        compare("isin", (x, y), {})
    compare("where", (np.broadcast_to(x, np.broadcast_shapes(x.shape, y.shape)) != 0, x, y), {})


@pytest.mark.parametrize("name", ["unique_all", "unique_counts", "unique_inverse", "unique_values"])
@settings
@hypothesis.given(data=st.data())
def test_sets(name: str, data: Any) -> None:
    x = drawn(data, ALL)
    hypothesis.assume(name != "unique_inverse" or not np.isnan(x).any())  # several NaNs are in any order
    compare(name, (x,), {})


@settings
@hypothesis.given(data=st.data())
def test_indexing(data: Any) -> None:
    x = drawn(data, ALL, min_dims=1, min_side=1)
    axis = axis_of(data, x.ndim, False, False)
    picks = data.draw(extra.arrays(np.int64, 3, elements=st.integers(-x.shape[axis], x.shape[axis] - 1)))
    compare("take", (x, picks), {"axis": axis})
    compare("take_along_axis", (x, np.argsort(np.zeros(x.shape), axis)), {"axis": axis})
    index = data.draw(extra.basic_indices(x.shape, allow_newaxis=True, allow_ellipsis=True))
    mask = x != 0
    same(ours(x)[ours(mask)], theirs(x)[theirs(mask)])
    a, b = ours(x), theirs(x)
    value = 1 if x.dtype != bool else True
    try:
        same(a[index], b[index])
        b[index] = value
    except IndexError:
        hypothesis.assume(False)
    a[index] = value
    same(a, b)


@settings
@hypothesis.given(data=st.data())
def test_searchsorted(data: Any) -> None:
    x, v = drawn(data, FLOATS, True, min_dims=1, max_dims=1), drawn(data, FLOATS, True)
    compare("searchsorted", (np.sort(x), v), {"side": data.draw(st.sampled_from(["left", "right"]))})
    compare("searchsorted", (x, v), {"sorter": np.argsort(x)})


# ---------------------------------------------------------------- creation and dtypes


@settings
@hypothesis.given(data=st.data())
def test_creation(data: Any) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(ALL)))
    shape = data.draw(shapes())
    number = data.draw(arrays(dtype.name, ())).item()
    for name in ("zeros", "ones"):
        compare(name, (shape,), {"dtype": dtype})
        compare(name, (shape,), {})
    compare("full", (shape, number), {"dtype": dtype})
    compare("full", (shape, number), {})
    x = data.draw(arrays(dtype.name, shape))
    for name in ("zeros_like", "ones_like"):
        compare(name, (x,), {})
    compare("full_like", (x, number), {})
    compare("asarray", (x.tolist(),), {"dtype": dtype})
    compare("asarray", (number,), {})
    start, stop, step = (
        data.draw(st.integers(-9, 9)),
        data.draw(st.integers(-9, 9)),
        data.draw(st.sampled_from([-3, -1, 1, 2])),
    )
    compare("arange", (start, stop, step), {})
    compare("arange", (start / 2, stop / 2, step / 4), {"dtype": np.dtype("float64")})
    compare("linspace", (start, stop), {"num": abs(step) * 3, "endpoint": data.draw(st.booleans())}, rtol=1e-6)
    compare("eye", (abs(start), abs(stop)), {"k": step})
    if x.ndim > 1:
        compare("tril", (x,), {"k": step})
        compare("triu", (x,), {"k": step})
    vectors = [np.arange(n) for n in shape]
    compare("meshgrid", tuple(vectors), {"indexing": data.draw(st.sampled_from(["xy", "ij"]))})


@pytest.mark.parametrize("name", ALL)
def test_dtypes(name: str) -> None:
    for other in ALL:
        compare_or_both_refuse("result_type", np.dtype(name), np.dtype(other))
        compare_or_both_refuse("can_cast", np.dtype(name), np.dtype(other))
        with np.errstate(all="ignore"):
            x = np.array([0, 1, 3, 100]).astype(name)
            if np.dtype(name).kind != "c" or np.dtype(other).kind == "c":
                same(xp.astype(ours(x), getattr(xp, other)), strict.astype(theirs(x), getattr(strict, other)))
    for kind in (
        "bool",
        "integral",
        "signed integer",
        "unsigned integer",
        "real floating",
        "complex floating",
        "numeric",
    ):
        assert xp.isdtype(getattr(xp, name), kind) == strict.isdtype(getattr(strict, name), kind)
    info = {"f": "finfo", "c": "finfo", "i": "iinfo", "u": "iinfo"}.get(np.dtype(name).kind)
    if info:
        found, expected = getattr(xp, info)(getattr(xp, name)), getattr(strict, info)(getattr(strict, name))
        for field in ("bits", "eps", "max", "min", "smallest_normal"):
            assert getattr(found, field, None) == getattr(expected, field, None)


def compare_or_both_refuse(name: str, *operands: np.dtype) -> None:
    try:
        expected = getattr(strict, name)(*theirs(operands))
    except TypeError:
        kinds = {d.kind for d in operands}
        if kinds <= {"i", "u"} and name == "result_type":
            with pytest.raises(TypeError):
                xp.result_type(*ours(operands))
        return
    if isinstance(expected, bool):
        assert getattr(xp, name)(*ours(operands)) or not expected
    else:
        assert getattr(xp, name)(*ours(operands)).name == expected._np_dtype.name


# ---------------------------------------------------------------- linear algebra and Fourier transforms


def matrices(data: Any, square: bool = False, symmetric: bool = False, min_side: int = 1) -> np.ndarray:
    """Well conditioned ones."""
    dtype = data.draw(st.sampled_from(FLOATS + COMPLEX))
    rows = data.draw(st.integers(min_side, 4))
    columns = rows if square else data.draw(st.integers(min_side, 4))
    x = data.draw(arrays(dtype, (*data.draw(shapes(0, 1)), rows, columns), finite=True))
    x = x / 16 + np.eye(rows, columns) * np.arange(1, columns + 1)
    return ((x + np.conj(np.swapaxes(x, -1, -2))) / 2 if symmetric else x).astype(dtype)


@settings
@hypothesis.given(data=st.data())
def test_matrix_functions(data: Any) -> None:
    square, symmetric, any_ = matrices(data, True), matrices(data, True, True), matrices(data)
    for name in ("det", "slogdet", "inv", "trace"):
        compare(f"linalg.{name}", (square,), {}, rtol=1e-4)
    compare("linalg.matrix_power", (square, data.draw(st.integers(-2, 3))), {}, rtol=1e-4)
    compare("linalg.eigvalsh", (symmetric,), {}, rtol=1e-4)
    compare(
        "linalg.cholesky",
        (symmetric + 3 * np.eye(symmetric.shape[-1], dtype=symmetric.dtype),),
        {"upper": data.draw(st.booleans())},
        rtol=1e-4,
    )
    for name in ("svdvals", "matrix_rank", "pinv", "diagonal", "matrix_transpose"):
        compare(f"linalg.{name}", (any_,), {}, rtol=1e-4)
    for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        compare("linalg.matrix_norm", (any_,), {"ord": order, "keepdims": data.draw(st.booleans())}, rtol=1e-4)
    for order in (0, 1, 2, 3.5, *((-1, np.inf, -np.inf) if any_.size else ())):
        compare(
            "linalg.vector_norm",
            (any_,),
            {"ord": order, "axis": axis_of(data, any_.ndim), "keepdims": data.draw(st.booleans())},
            rtol=1e-4,
        )
    compare("linalg.solve", (square, data.draw(arrays(square.dtype.name, (square.shape[-1],), True))), {}, rtol=1e-4)
    compare("linalg.solve", (square, square), {}, rtol=1e-4)


@settings
@hypothesis.given(data=st.data())
def test_decompositions_multiply_back(data: Any) -> None:
    x, symmetric = matrices(data), matrices(data, True, True)
    t, s = ours(x), ours(symmetric)
    for full in (False, True):
        found, expected = xp.linalg.svd(t, full_matrices=full), strict.linalg.svd(theirs(x), full_matrices=full)
        assert found._fields == ("U", "S", "Vh")
        assert [tuple(part.shape) for part in found] == [part.shape for part in expected]
        k = found.S.shape[-1]
        back = (found.U[..., :k] * found.S[..., None, :].to(found.U.dtype)) @ found.Vh[..., :k, :]
        np.testing.assert_allclose(back.numpy(), x, rtol=1e-3, atol=1e-3)
    for mode in ("reduced", "complete"):
        q, r = xp.linalg.qr(t, mode=mode)
        assert [tuple(part.shape) for part in (q, r)] == [part.shape for part in strict.linalg.qr(theirs(x), mode=mode)]
        np.testing.assert_allclose((q @ r).numpy(), x, rtol=1e-3, atol=1e-3)
    values, vectors = xp.linalg.eigh(s)
    np.testing.assert_allclose(
        (vectors * values[..., None, :].to(vectors.dtype)).numpy(), (s @ vectors).numpy(), atol=1e-3
    )
    values, vectors = xp.linalg.eig(s)
    assert values.is_complex()
    np.testing.assert_allclose(
        (vectors * values[..., None, :]).numpy(), (s.to(vectors.dtype) @ vectors).numpy(), atol=1e-3
    )
    np.testing.assert_allclose(np.sort(xp.linalg.eigvals(s).numpy().real), np.sort(values.numpy().real), atol=1e-3)


@settings
@hypothesis.given(data=st.data())
def test_products(data: Any) -> None:
    dtype = data.draw(st.sampled_from(NUMERIC))
    n, m, k = (data.draw(st.integers(0, 4)) for _ in range(3))
    a, b = data.draw(arrays(dtype, (n, m), True)), data.draw(arrays(dtype, (m, k), True))
    batch = data.draw(arrays(dtype, (2, n, m), True))
    for x, y in ((a, b), (batch, b), (a, b[:, 0] if k else b)):
        compare("matmul", (x, y), {}, rtol=1e-4)
        compare("linalg.matmul", (x, y), {}, rtol=1e-4)
    compare("tensordot", (a, b), {"axes": 1}, rtol=1e-4)
    compare("tensordot", (batch, a), {"axes": ((1, 2), (0, 1))}, rtol=1e-4)
    compare("vecdot", (batch, a), {"axis": -1}, rtol=1e-4)
    compare("linalg.outer", (a.reshape(-1), b.reshape(-1)), {}, rtol=1e-4)
    three = data.draw(arrays(dtype, (n, 3), True))
    compare("linalg.cross", (three, three[::-1].copy()), {"axis": -1}, rtol=1e-4)


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fftn", "ifftn", "rfftn", "irfftn"])
@settings
@hypothesis.given(data=st.data())
def test_fourier(name: str, data: Any) -> None:
    x = drawn(data, FLOATS if name in ("rfft", "ihfft", "rfftn") else COMPLEX, True, min_dims=1, min_side=2)
    options: dict[str, Any] = {"norm": data.draw(st.sampled_from(["backward", "ortho", "forward"]))}
    if name.endswith("n"):
        axes = axis_of(data, x.ndim)
        options["axes"] = (axes,) if isinstance(axes, int) else axes
        if options["axes"] is not None and data.draw(st.booleans()):
            options["s"] = tuple(data.draw(st.integers(2, 5)) for _ in options["axes"])
    else:
        options |= {
            "axis": axis_of(data, x.ndim, False, False),
            "n": data.draw(st.one_of(st.none(), st.integers(2, 6))),
        }
    compare(f"fft.{name}", (x,), options, rtol=1e-5)


@settings
@hypothesis.given(data=st.data())
def test_frequencies(data: Any) -> None:
    n = data.draw(st.integers(1, 9))
    for name in ("fftfreq", "rfftfreq"):
        compare(f"fft.{name}", (n,), {"d": data.draw(st.sampled_from([1.0, 0.5]))}, rtol=1e-6)
    x = drawn(data, FLOATS + COMPLEX, True)
    for name in ("fftshift", "ifftshift"):
        compare(f"fft.{name}", (x,), {"axes": axis_of(data, x.ndim)})


# ---------------------------------------------------------------- signatures

NAMES = [
    *(n for n in strict.__all__ if inspect.isfunction(getattr(strict, n)) and "flags" not in n),
    *(f"linalg.{n}" for n in strict.linalg.__all__),
    *(f"fft.{n}" for n in strict.fft.__all__),
]


@pytest.mark.parametrize("name", NAMES)
def test_signature(name: str) -> None:
    found, expected = xp, strict
    for part in name.split("."):
        found, expected = getattr(found, part), getattr(expected, part)
    mine, reference = inspect.signature(found).parameters, inspect.signature(expected).parameters
    assert [(p.name, p.kind) for p in mine.values()] == [(p.name, p.kind) for p in reference.values()]
    for p, r in zip(mine.values(), reference.values(), strict=True):
        assert p.default is not inspect.Parameter.empty or r.default is inspect.Parameter.empty
