"""The numerical routines of the waist on CuPy arrays: the CPU's numbers, dtypes and shapes, and no detour over the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rushlight import settings
from rushlight.arrays import kinds, lapack, numpy as cpu, protocol, taps
from rushlight.arrays.windows import Spacing

gpu = kinds.gpu()
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def positive(*shape: int) -> np.ndarray:
    return RNG.uniform(0.1, 4, shape)


def turned(x: np.ndarray) -> np.ndarray:
    """The same numbers, not in order in memory."""
    return np.ascontiguousarray(x.swapaxes(0, -1)).swapaxes(0, -1)


def definite(*batch: int, n: int = 4, dtype: Any = float) -> np.ndarray:
    x = normal(*batch, n, n) + (1j * normal(*batch, n, n) if np.dtype(dtype).kind == "c" else 0)
    return (x @ x.swapaxes(-1, -2).conj() + np.eye(n)).astype(dtype)


def complex_of(*shape: int) -> np.ndarray:
    return normal(*shape) + 1j * normal(*shape)


SQUARES = [
    normal(4, 4),
    turned(normal(4, 4)),
    normal(2, 3, 5, 5),
    normal(0, 0),
    normal(0, 3, 3),
    complex_of(2, 3, 3),
    normal(3, 3).astype("f"),
]
DEFINITE = [definite(), definite(2, 3), definite(2, dtype=complex), turned(definite()), normal(0, 0), normal(2, 0, 0)]
OBLONG = [normal(5, 3), normal(3, 5), normal(2, 4, 3), complex_of(2, 2, 5), normal(0, 3), normal(2, 0, 3)]


def _product(result: tuple) -> Any:
    """What factors multiply to: of several right results each has its own signs."""
    first, *rest = result
    return (
        first @ rest[0]
        if len(rest) == 1
        else (first[..., : rest[0].shape[-1]] * rest[0][..., None, :]) @ rest[1][..., : rest[0].shape[-1], :]
    )


def _of_eigenvectors(result: tuple) -> Any:
    values, vectors = result
    return values, (vectors * values[..., None, :]) @ vectors.swapaxes(-1, -2).conj()


def _of_reflections(result: tuple) -> Any:
    return np.abs(np.triu(result[0]))


def spacing(stride: Any, padding: Any, dilation: Any, groups: int, axes: int) -> Spacing:
    return Spacing(
        *[(value,) * axes if isinstance(value, int) else value for value in (stride, padding, dilation)], groups
    )


def _convolutions() -> list[tuple[np.ndarray, np.ndarray, Spacing]]:
    found = []
    for shape, outputs, kernel, *how in (
        ((2, 3, 9), 4, (3,), 1, 1, 1, 1), ((2, 4, 9), 6, (3,), 2, 1, 2, 2), ((2, 3, 8, 7), 4, (3, 2), 1, 0, 1, 1),
        ((3, 4, 8, 8), 6, (3, 3), (2, 1), (1, 2), (1, 2), 2), ((2, 4, 6, 6), 4, (3, 3), 1, 1, 1, 4),
        ((2, 3, 5, 5), 4, (1, 1), 1, 0, 1, 1), ((2, 2, 5, 5), 4, (1, 1), 2, 1, 1, 1), ((2, 2, 5, 6, 4), 3, (2, 3, 2), 2, 1, 1, 1),
        ((1, 2, 5, 5), 3, (2, 2), 1, 3, 1, 1), ((0, 2, 5, 5), 3, (2, 2), 1, 0, 1, 1), ((2, 2, 7, 7), 3, (3, 3), 3, 0, 1, 1),
    ):  # fmt: skip
        groups = how[-1]
        found.append((normal(*shape), normal(outputs, shape[1] // groups, *kernel), spacing(*how, len(kernel))))
    x, weight, first = found[2]
    return [
        *found,
        (turned(x), turned(weight), first),
        (x.astype("f"), weight.astype("f"), first),
        (x + 1j * x, weight * 1j, first),
    ]


CONVOLUTIONS = _convolutions()
IMAGES = [(x, weight.shape[2:], how) for x, weight, how in CONVOLUTIONS]


def _places(x: np.ndarray, kernel: Any, how: Spacing) -> tuple[int, ...]:
    return how.places(x.shape[2:], kernel)


WINDOWS = taps.Windows(8, 4, kernel=2, stride=2, padding=0)
LAPPED = taps.Windows(8, 5, kernel=3, stride=2, padding=2)
DILATED = taps.Windows(8, 3, kernel=2, stride=2, padding=0, dilation=3)
WITH_NAN = normal(2, 3, 8)
WITH_NAN[0, 0, 3:5] = np.nan
TIED = RNG.integers(0, 3, (2, 3, 8, 8))
RULES = [WINDOWS, LAPPED, taps.Adaptive(8, 3), taps.Interpolated(8, 5, mode="linear"), taps.Interpolated(8, 13, mode="cubic"),
         taps.Padded(8, 11, before=1, after=2, mode="reflect"), LAPPED.transposed, taps.Windows(8, 1, kernel=8, stride=8, padding=0, divisor="window"),
         taps.Interpolated(8, 5, mode="lanczos", antialias=True), taps.Interpolated(8, 5, mode="nearest")]  # fmt: skip

SCANNED = [normal(3, 7), turned(normal(4, 5)), normal(3, 0), WITH_NAN[0], RNG.integers(-3, 3, (3, 7)), normal(3, 1)]
LINE = np.array([0.0, 1.0, 1.0, 2.0, 5.0])

# name: (arrays, attributes) of calls, and what is made of a result before it is compared
Calls = list[tuple[tuple, dict[str, Any]]]
CALLS: dict[str, Calls] = {
    "convolve": [((x, w), {"spacing": how}) for x, w, how in CONVOLUTIONS],
    "convolve_transposed": [
        ((normal(len(x), len(w), *_places(x, w.shape[2:], how)).astype(x.dtype), w), {"size": x.shape[2:], "spacing": how})
        for x, w, how in CONVOLUTIONS
    ],
    "convolve_weight": [
        ((normal(len(x), len(w), *_places(x, w.shape[2:], how)).astype(x.dtype), x), {"kernel": w.shape[2:], "spacing": how})
        for x, w, how in CONVOLUTIONS
    ],
    "unfold": [((x,), {"kernel": kernel, "spacing": how}) for x, kernel, how in IMAGES],
    "fold": [
        ((normal(len(x), x.shape[1] * math.prod(kernel), math.prod(_places(x, kernel, how))),),
         {"size": x.shape[2:], "kernel": kernel, "spacing": how})
        for x, kernel, how in IMAGES
    ],
    "resample": [
        *[((normal(2, 3, rule.size),), {"rules": (rule,)}) for rule in RULES],
        ((normal(2, 8, 8),), {"rules": (WINDOWS, RULES[4])}), ((turned(normal(8, 8)),), {"rules": (None, LAPPED)}),
        ((RNG.integers(0, 255, (2, 8), dtype=np.uint8),), {"rules": (RULES[3],)}), ((normal(0, 8),), {"rules": (WINDOWS,)}),
        ((normal(2, 8, 8),), {"rules": (RULES[7], RULES[7])}),
    ],
    "max_windows": [
        *[((x,), {"rules": (rule,)}) for x in (normal(2, 3, 8), WITH_NAN, turned(normal(8, 8))) for rule in (WINDOWS, LAPPED, DILATED)],
        *[((x,), {"rules": (LAPPED, WINDOWS)}) for x in (normal(2, 3, 8, 8), TIED, normal(0, 3, 8, 8).astype("f"))],
        ((normal(1, 8, 8, 8),), {"rules": (LAPPED, WINDOWS, RULES[2])}),
        ((normal(2, 3, 8, 8), RNG.uniform(0, 1, (2, 3, 2))), {"rules": (taps.Fractional(8, 3, kernel=2),) * 2}),
        ((normal(2, 8),), {"rules": (taps.Windows(8, 0, kernel=3, stride=1, padding=0),)}),
    ],
    "put_at": [
        ((values, RNG.integers(0, 8, values.shape)), {"size": (2, 4), "accumulate": True})
        for values in (normal(2, 3, 2, 2), normal(2, 2).astype("f"), RNG.integers(0, 5, (3, 2, 2)), normal(0, 2, 2))
    ] + [((normal(2, 1, 3), np.array([[[0, 5, 3]], [[7, 1, 2]]])), {"size": (2, 4), "accumulate": False})],
    "solve": [((a, normal(*a.shape[:-1], 2).astype(a.dtype)), {}) for a in SQUARES] + [((SQUARES[0], normal(3, 4, 2)), {})],
    "inv": [((a,), {}) for a in SQUARES],
    "det": [((a,), {}) for a in (*SQUARES, np.ones((3, 3)))],
    "slogdet": [((a,), {}) for a in SQUARES],
    "adjugate": [((a,), {}) for a in SQUARES],
    "cholesky": [((a,), {"upper": upper}) for a in DEFINITE for upper in (False, True)],
    "cholesky_solve": [
        ((normal(*a.shape[:-1], 2).astype(a.dtype), cpu.cholesky(a, upper=upper)[0]), {"upper": upper})
        for a in DEFINITE for upper in (False, True)
    ],
    "solve_triangular": [
        ((a, normal(*a.shape[:-1], 2).astype(a.dtype)), {"upper": upper, "unitriangular": unit})
        for a in (*DEFINITE, *SQUARES) for upper in (False, True) for unit in (False, True)
    ],
    "lu_factor": [((a,), {}) for a in SQUARES if a.size],
    "permutation_matrix": [((np.array([3, 2, 4, 4], np.int32),), {"size": 4}), ((np.array([[2, 2], [1, 3]], np.int32),), {"size": 3})],
    "qr": [((a,), {"mode": mode}) for a in OBLONG for mode in ("reduced", "complete")],
    "geqrf": [((a,), {}) for a in OBLONG],
    "eigh": [((a,), {"uplo": uplo}) for a in DEFINITE for uplo in "LU"],
    "svd": [((a,), {"full_matrices": full}) for a in OBLONG for full in (True, False)],
    "fft": [
        ((x,), {"axes": axes, "inverse": inverse, "norm": norm})
        for x in (normal(4, 6), turned(complex_of(4, 6)), normal(4, 6).astype("f"), normal(0, 6))
        for axes in ((), (1,), (0, 1)) for inverse, norm in ((False, "backward"), (True, "ortho")) if x.size or 0 not in axes
    ],
    "rfft": [((x,), {"axis": 1, "norm": "backward"}) for x in (normal(4, 6), normal(3, 5).astype("f"), turned(normal(4, 6)), normal(0, 4))],
    "irfft": [
        ((x,), {"axis": 1, "n": n, "norm": "forward"})
        for x in (complex_of(4, 4), complex_of(3, 4).astype("F"), complex_of(0, 4)) for n in (6, 7)
    ],
    "frames": [((x,), {"size": 4, "hop": 3}) for x in (normal(11), normal(2, 11), turned(normal(10, 10)))],
    "overlap_add": [((x,), {"hop": 3, "length": 14}) for x in (normal(4, 4), normal(2, 4, 4), normal(0, 4, 4))],
    "cumulative_prod": [((x,), {"axis": axis}) for x in SCANNED for axis in (0, 1)],
    "cumulative_argmax": [((x,), {"axis": axis}) for x in SCANNED for axis in (0, 1)],
    "cumulative_argmin": [((x,), {"axis": axis}) for x in SCANNED for axis in (0, 1)],
    "cumulative_logsumexp": [((x,), {"axis": axis}) for x in (*SCANNED[:4], complex_of(2, 5)) for axis in (0, 1)],
    "first_places": [((np.array([3, 1, 3, 0, 1, 3]),), {"size": 5}), ((np.zeros(0, np.int64),), {"size": 5})],
    "index_of_rank": [((x,), {"rank": 2, "axis": axis}) for x in (normal(3, 7), turned(normal(4, 5))) for axis in (0, 1)],
    "mode_index": [((x,), {"axis": axis}) for x in (TIED[0, 0], turned(TIED[0, 1])) for axis in (0, 1)],
    "top_indices": [
        ((x,), {"count": count, "axis": axis, "largest": largest})
        for x in (normal(3, 7), turned(normal(4, 5))) for count in (0, 2, 3) for axis in (0, 1) for largest in (True, False)
    ],
    "searchsorted": [
        ((LINE, values), {"right": right})
        for values in (normal(3, 4), np.array(1.0), normal(0), LINE) for right in (True, False)
    ] + [((np.sort(normal(3, 6)), normal(3, 2)), {"right": right}) for right in (True, False)],
    "standard_gamma_grad": [((positive(3, 4), positive(3, 4)), {}), ((positive(3), positive(3)), {}), ((positive(0), positive(0)), {})],
    "dirichlet_grad": [((RNG.uniform(0.1, 0.9, 5), positive(5), positive(5) + 4), {})],
    "orthogonal_polynomial": [
        ((normal(3, 4), RNG.integers(-1, 5, (3, 4)).astype(float)), {"family": family})
        for family in ("chebyshev_polynomial_t", "legendre_polynomial_p", "hermite_polynomial_h")
    ] + [((normal(0), normal(0)), {"family": "laguerre_polynomial_l"})],
    "polygamma": [((positive(3, 4),), {"n": n}) for n in (0, 1, 2)] + [((positive(3).astype("f"),), {"n": 2})],
    "isin": [((np.arange(6).reshape(2, 3), np.array([1, 4])), {"invert": invert}) for invert in (False, True)],
}  # fmt: skip
for _name in ("gcd", "lcm"):
    CALLS[_name] = [((RNG.integers(1, 20, (3, 4)), RNG.integers(1, 20, (3, 4))), {})]
for _name in ("copysign", "hypot", "nextafter", "igamma", "igammac", "zeta"):
    _draw = normal if _name in ("copysign", "hypot", "nextafter") else lambda *shape: positive(*shape) + 1
    CALLS[_name] = [((_draw(*shape), _draw(*shape)), {}) for shape in ((3, 4), (), (0,))]
for _name in protocol.HOST["special"]:
    if _name not in CALLS and _name not in gpu.ON_HOST:
        _wide = _name in ("erfinv", "ndtri")
        CALLS[_name] = [
            ((x,), {})
            for x in (
                RNG.uniform(0.1, 0.9, (3, 4)),
                RNG.uniform(0.1, 0.9, ()),
                positive(0),
                RNG.uniform(0.1, 0.9, 3).astype("f"),
            )
        ]
_OF: dict[str, Callable[..., Any]] = {
    "qr": _product,
    "svd": _product,
    "eigh": _of_eigenvectors,
    "geqrf": _of_reflections,
}
COMPOSED = set(protocol.HOST["recurrent"])  # operations have these steps themselves: `ops/recurrent.py`


def test_every_routine_is_here_or_on_the_host() -> None:
    assert {*CALLS, *gpu.ON_HOST, *COMPOSED} == set(protocol.HOST_NAMES)
    assert not set(CALLS) & set(gpu.ON_HOST)


def _refused(name: str, *_: Any, **__: Any) -> Any:
    raise AssertionError(f"{name} ran on the CPU")


@pytest.mark.parametrize("name", sorted(CALLS))
def test_it_gives_what_the_cpu_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "on_host", _refused)
    for arrays, attrs in CALLS[name]:
        there = [gpu.cupy.asarray(x) for x in arrays]
        with np.errstate(all="ignore"):
            expected, found = getattr(cpu, name)(*arrays, **attrs), getattr(gpu, name)(*there, **attrs)
        for x, before in zip(there, arrays, strict=True):
            np.testing.assert_array_equal(x.get(), before, "an operand was written to")
        if isinstance(expected, tuple):
            assert [x.dtype for x in found] == [x.dtype for x in expected]
            assert [x.shape for x in found] == [x.shape for x in expected]
            found, change = tuple([x.get() for x in found]), _OF.get(name, lambda x: x)
            _compare(change(found), change(expected))
        else:
            assert isinstance(found, gpu.ndarray)
            assert (found.dtype, found.shape) == (np.asarray(expected).dtype, np.shape(expected))
            _compare(found.get(), expected)


def _compare(found: Any, expected: Any) -> None:
    for x, y in zip(found, expected, strict=True) if isinstance(expected, tuple) else ((found, expected),):
        tolerance = 1e-4 if np.asarray(y).dtype.char in "fF" else 1e-9
        np.testing.assert_allclose(x, y, tolerance, tolerance)


def test_a_matrix_of_windows_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from rushlight.arrays.gpu import windows

    monkeypatch.setattr(windows, "MOST", 1)
    for name in ("convolve", "convolve_transposed", "convolve_weight"):
        test_it_gives_what_the_cpu_gives(name, monkeypatch)


@pytest.mark.parametrize("caller", ["", "linalg.name"])
def test_failures_are_the_cpus(caller: str) -> None:
    singular, indefinite = np.stack([np.eye(3), np.zeros((3, 3))]), np.stack([np.eye(3), -np.eye(3)])
    for name, arrays in {
        "solve": (singular, np.ones((2, 3, 1))), "inv": (singular,), "cholesky": (indefinite,), "lu_factor": (singular,),
        "cholesky_solve": (np.ones((2, 3, 1)), singular),
    }.items():  # fmt: skip
        there = [gpu.cupy.asarray(x) for x in arrays]
        if caller:
            with pytest.raises(RuntimeError) as expected:
                getattr(cpu, name)(*arrays, caller=caller)
            with pytest.raises(type(expected.value)) as found:
                getattr(gpu, name)(*there, caller=caller)
            assert str(found.value) == str(expected.value)
        elif name != "cholesky_solve":
            for x, y in zip(getattr(gpu, name)(*there), getattr(cpu, name)(*arrays), strict=True):
                np.testing.assert_allclose(x.get(), y)
    assert issubclass(lapack.LinAlgError, RuntimeError)


@pytest.mark.parametrize("reduce", ["prod", "amax", "amin"])
@pytest.mark.parametrize("dtype", ["d", "f", "l", "b", "?", "D"])
def test_values_are_reduced_by_index(reduce: str, dtype: str) -> None:
    if dtype == "D" and reduce != "prod":
        return
    x, values = (RNG.integers(0, 3, (5, 4)) + 0.5).astype(dtype), (RNG.integers(-2, 3, (9, 4)) + 0.25).astype(dtype)
    index = RNG.integers(-5, 5, 9)
    for target in (x, turned(x)):
        arrays, attrs = (target, values, index), {"spec": (("array", 0),), "reduce": reduce}
        expected = cpu.index_reduce(*arrays, **attrs)
        for _ in range(2):
            found = gpu.index_reduce(*map(gpu.cupy.asarray, arrays), **attrs)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found.get(), expected)


@pytest.mark.parametrize("reduce", ["amax", "amin"])
@pytest.mark.parametrize("dtype", ["e", "f", "d"])
def test_the_greatest_and_the_least_are_exact_and_know_nan(reduce: str, dtype: str) -> None:
    x, values = RNG.normal(size=(5, 4)).astype(dtype), RNG.normal(size=(9, 4)).astype(dtype)
    x[0, 0], values[3, 1], values[5, 2], values[6, 2], x[:, 3], values[:, 3] = (
        np.nan,
        np.nan,
        -np.inf,
        np.inf,
        -0.0,
        -0.0,
    )
    arrays, attrs = (x, values, RNG.integers(-5, 5, 9)), {"spec": (("array", 0),), "reduce": reduce}
    found = gpu.index_reduce(*map(gpu.cupy.asarray, arrays), **attrs).get()
    np.testing.assert_array_equal(found, cpu.index_reduce(*arrays, **attrs))


@pytest.mark.parametrize("dtype", ["f", "d", "D"])
def test_sums_by_index_are_reproducible_on_request(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.scattering, "_scattered", _refused)
    settings.use_deterministic_algorithms(True)
    try:
        rows, columns, one = ("array", 0), ("array", 1), slice(1, 3)
        for spec, indices, shape in (
            ((rows,), (RNG.integers(-5, 5, (2, 6)),), (2, 6, 4)), ((rows, columns), RNG.integers(0, 4, (2, 9)), (9,)),
            ((one, rows), (RNG.integers(0, 4, 7),), (2, 7)), ((rows,), (np.zeros(0, np.int64),), (0, 4)), ((rows,), (np.arange(5),), ()),
            ((rows,), (RNG.integers(0, 2, (5, 4)).astype(bool),), ()),
        ):  # fmt: skip
            for target in (normal(5, 4).astype(dtype), turned(normal(5, 4)).astype(dtype, order="K")):
                arrays, attrs = (target, normal(*shape).astype(dtype), *indices), {"spec": spec, "accumulate": True}
                found = gpu.index_put(*map(gpu.cupy.asarray, arrays), **attrs)
                np.testing.assert_allclose(found.get(), cpu.index_put(*arrays, **attrs), 1e-5)
    finally:
        settings.use_deterministic_algorithms(False)


@pytest.mark.parametrize("char", "?bBhHiIlLqQefd")
def test_maxima_of_every_dtype(char: str) -> None:
    x = RNG.integers(0, 100, (2, 8, 8)).astype(char)
    found, expected = (
        kind.max_windows(array, rules=(LAPPED, WINDOWS)) for kind, array in ((gpu, gpu.cupy.asarray(x)), (cpu, x))
    )
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one.get(), other)
