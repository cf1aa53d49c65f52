"""`assert_close`: two nested containers are taken apart into pairs, and each pair is compared by its kind.

First all pairs are found, which settles that both have one structure; then they are compared, and the first that
differs is reported.
"""

from __future__ import annotations

import cmath
import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

import rushlight as torch
from rushlight.tensor import Tensor

# (rtol, atol) of floats; everything else is compared exactly.
TOLERANCES = {
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float32: (1.3e-6, 1e-5),
    torch.float64: (1e-7, 1e-7),
    torch.complex32: (1e-3, 1e-5),
    torch.complex64: (1.3e-6, 1e-5),
    torch.complex128: (1e-7, 1e-7),
}
_NUMBERS = {int: torch.int64, float: torch.float64, complex: torch.complex128}
_PROMOTED_AS_INT64 = {torch.uint16, torch.uint32, torch.uint64}


class _Mismatch(Exception):
    """A difference, at a place in the containers."""

    def __init__(self, kind: type[Exception], text: str, path: tuple = ()):
        super().__init__(text)
        self.kind, self.text, self.path = kind, text, path

    def error(self, msg: Any = None) -> Exception:
        """The exception for users, with their message or what their function makes of ours."""
        if isinstance(msg, str):
            return self.kind(msg)
        text = self.text
        if self.path:
            text += f"\n\nThe failure occurred for item {''.join(str([item]) for item in self.path)}"
        return self.kind(msg(text) if callable(msg) else text)


@dataclass(frozen=True, slots=True)
class _Options:
    allow_subclasses: bool
    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_device: bool = True, check_dtype: bool = True, check_layout: bool = True,
    check_stride: bool = False, msg: str | Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """Raises unless `actual` is close to `expected`: `|actual - expected| <= atol + rtol * |expected|`.

    Args:
        actual: a tensor, an array, a number, None, or nested sequences and mappings of these.
        expected: the same.
        allow_subclasses: tensors may be of a class and its subclass.
        rtol: the relative tolerance; with `atol`, or both by the dtype.
        atol: the absolute tolerance.
        equal_nan: whether NaN equals NaN.
        check_device, check_dtype, check_layout, check_stride: whether these must agree.
        msg: a message instead of ours, or a function of ours.

    Raises:
        AssertionError: they are not close. ValueError: only one tolerance. TypeError: things that cannot be compared.

    Example:
        >>> import rushlight as torch
        >>> assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
        Traceback (most recent call last):
        AssertionError: Tensor-likes are not close!
        <BLANKLINE>
        Mismatched elements: 1 / 2 (50.0%)
        Greatest absolute difference: 0.5 at index (1,) (up to 1e-05 allowed)
        Greatest relative difference: 0.20000000298023224 at index (1,) (up to 1.3e-06 allowed)
    """
    __tracebackhide__ = True
    options = _Options(
        allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride
    )  # fmt: skip
    try:
        comparisons = list(_pairs(actual, expected, (), options))
    except _Mismatch as mismatch:
        raise mismatch.error() from None
    try:
        for path, compare in comparisons:
            compare(path)
    except _Mismatch as mismatch:
        raise mismatch.error(msg) from None


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = True,
    msg: str = "",
) -> None:  # fmt: skip
    """`assert_close` by its old name, with wider tolerances."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a future release. Please "
        "use `torch.testing.assert_close()` instead. You can find detailed upgrade instructions in "
        "https://github.com/pytorch/pytorch/issues/61844.",
        FutureWarning,
        stacklevel=2,
    )
    actual = actual if isinstance(actual, Tensor) else torch.tensor(actual)
    expected = expected if isinstance(expected, Tensor) else torch.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        older = {torch.float16: (1e-3, 1e-3), torch.float32: (1e-4, 1e-5), torch.float64: (1e-5, 1e-8)}
        rtol, atol = _widest([older.get(t.dtype, (0.0, 0.0)) for t in (actual, expected)])
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)


# ---------------------------------------------------------------- finding pairs

_Comparison = Callable[[tuple], None]


def _pairs(actual: Any, expected: Any, path: tuple, options: _Options) -> Iterator[tuple[tuple, _Comparison]]:
    """For each pair where it is, and what compares it."""
    both = actual, expected
    if all(isinstance(x, Sequence) and not isinstance(x, str) for x in both):
        if len(actual) != len(expected):
            text = f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
            raise _Mismatch(AssertionError, text, path)
        for i in range(len(actual)):
            yield from _pairs(actual[i], expected[i], (*path, i), options)
    elif all(isinstance(x, Mapping) for x in both):
        for key in _common_keys(actual, expected, path):
            yield from _pairs(actual[key], expected[key], (*path, key), options)
    else:
        yield path, _comparison(actual, expected, path, options)


def _common_keys(actual: Mapping, expected: Mapping, path: tuple) -> list[Any]:
    keys, wanted = set(actual), set(expected)
    if keys != wanted:
        raise _Mismatch(
            AssertionError,
            "The keys of the mappings do not match:\n"
            f"Missing keys in the actual mapping: {sorted(wanted - keys)}\n"
            f"Additional keys in the actual mapping: {sorted(keys - wanted)}",
            path,
        )
    with contextlib.suppress(TypeError):
        return sorted(keys)
    return list(keys)


def _comparison(actual: Any, expected: Any, path: tuple, options: _Options) -> _Comparison:
    """What compares two things that are no containers."""
    both = actual, expected
    if actual is None or expected is None:
        return lambda path: _compare_none(actual, expected, path)
    if all(isinstance(x, (bool, np.bool_)) for x in both):
        return lambda path: _compare_booleans(bool(actual), bool(expected), path)
    if all(isinstance(x, (int, float, complex, np.number)) for x in both):
        numbers = [x.item() if isinstance(x, np.number) else x for x in both]
        tolerances = _tolerances([_NUMBERS.get(type(x), torch.int64) for x in numbers], path, options)
        return lambda path: _compare_numbers(numbers[0], numbers[1], tolerances, path, options)
    tensors = _as_tensors(actual, expected, options)
    if tensors is None:
        text = f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}."
        raise _Mismatch(TypeError, text, path)
    tolerances = _tolerances([tensor.dtype for tensor in tensors], path, options)
    return lambda path: _compare_tensors(*tensors, tolerances, path, options)


def _as_tensors(actual: Any, expected: Any, options: _Options) -> tuple[Tensor, Tensor] | None:
    if not isinstance(actual, type(expected)) and not isinstance(expected, type(actual)):
        return None
    if not options.allow_subclasses and type(actual) is not type(expected):
        return None
    try:
        return torch.as_tensor(actual), torch.as_tensor(expected)
    except (TypeError, ValueError, RuntimeError):
        return None


def _tolerances(dtypes: list[Any], path: tuple, options: _Options) -> tuple[float, float]:
    rtol, atol = options.rtol, options.atol
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        text = f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
        raise _Mismatch(ValueError, text, path)
    if rtol is not None and atol is not None:
        return rtol, atol
    return _widest([TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in dtypes])


def _widest(tolerances: list[tuple[float, float]]) -> tuple[float, float]:
    return max(rtol for rtol, _ in tolerances), max(atol for _, atol in tolerances)


# ---------------------------------------------------------------- comparing a pair


def _fail(text: str, path: tuple) -> NoReturn:
    raise _Mismatch(AssertionError, text, path)


def _compare_none(actual: Any, expected: Any, path: tuple) -> None:
    if actual is not expected:
        _fail(f"None mismatch: {actual} is not {expected}", path)


def _compare_booleans(actual: bool, expected: bool, path: tuple) -> None:
    if actual is not expected:
        _fail(f"Booleans mismatch: {actual} is not {expected}", path)


def _compare_numbers(
    actual: Any, expected: Any, tolerances: tuple[float, float], path: tuple, options: _Options
) -> None:
    if options.check_dtype and type(actual) is not type(expected):
        _fail(f"The (d)types do not match: {type(actual)} != {type(expected)}.", path)
    if actual == expected or options.equal_nan and cmath.isnan(actual) and cmath.isnan(expected):
        return
    rtol, atol = tolerances
    difference = abs(actual - expected)
    if not (cmath.isfinite(difference) and difference <= atol + rtol * abs(expected)):
        _fail(_text_of_scalars(actual, expected, tolerances), path)


def _compare_tensors(
    actual: Tensor, expected: Tensor, tolerances: tuple[float, float], path: tuple, options: _Options
) -> None:
    _compare_attributes(actual, expected, path, options)
    if actual.is_meta or expected.is_meta:
        return
    if actual.dtype != expected.dtype:
        kinds = [torch.int64 if t.dtype in _PROMOTED_AS_INT64 else t.dtype for t in (actual, expected)]
        dtype = torch.promote_types(*kinds)
        actual, expected = actual.to(dtype), expected.to(dtype)
    rtol, atol = tolerances
    with torch.no_grad():
        matches = torch.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=options.equal_nan)
        if not matches.all():
            if actual.dim() == 0:
                _fail(_text_of_scalars(actual.item(), expected.item(), tolerances), path)
            _fail(_text_of_tensors(actual, expected, matches, tolerances), path)


def _compare_attributes(actual: Tensor, expected: Tensor, path: tuple, options: _Options) -> None:
    def compare(name: str, of_actual: Any, of_expected: Any) -> None:
        if of_actual != of_expected:
            _fail(f"The values for attribute '{name}' do not match: {of_actual} != {of_expected}.", path)

    compare("shape", actual.shape, expected.shape)
    if options.check_layout:
        compare("layout", actual.layout, expected.layout)
    if options.check_stride:
        compare("stride()", actual.stride(), expected.stride())
    if options.check_device:
        compare("device", actual.device, expected.device)
    if options.check_dtype:
        compare("dtype", actual.dtype, expected.dtype)


# ---------------------------------------------------------------- texts


def _text(
    kind: str, details: str, absolute: tuple[Any, Any], relative: tuple[Any, Any], tolerances: tuple[float, float]
) -> str:
    """`absolute` and `relative` are (difference, its index or None)."""
    rtol, atol = tolerances
    is_exact = rtol == 0 and atol == 0
    lines = [f"{kind} are not {'equal' if is_exact else 'close'}!", "", details]
    for name, (difference, index), tolerance in (("absolute", absolute, atol), ("relative", relative, rtol)):
        found = f"{name.title()} difference: {difference}"
        if index is not None:
            found = f"Greatest {name} difference: {difference} at index {index}"
        lines.append(found if is_exact else f"{found} (up to {tolerance} allowed)")
    return "\n".join(lines)


def _text_of_scalars(actual: Any, expected: Any, tolerances: tuple[float, float]) -> str:
    difference = abs(actual - expected)
    relative = float("inf") if expected == 0 else difference / abs(expected)
    details = f"Expected {expected} but got {actual}."
    return _text("Scalars", details, (difference, None), (relative, None), tolerances)


def _text_of_tensors(actual: Tensor, expected: Tensor, matches: Tensor, tolerances: tuple[float, float]) -> str:
    count, wrong = matches.numel(), int((~matches).sum())
    if not (actual.is_floating_point() or actual.is_complex()):
        actual, expected = actual.to(torch.int64), expected.to(torch.int64)
    difference = (actual - expected).abs()
    greatest = []
    for values in (difference, difference / expected.abs()):
        flat = values.masked_fill(matches, 0).flatten()
        value, place = flat.max(0)
        index = tuple([int(i) for i in np.unravel_index(int(place), tuple(matches.shape))])
        greatest.append((value.item(), index))
    details = f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})"
    return _text("Tensor-likes", details, greatest[0], greatest[1], tolerances)
