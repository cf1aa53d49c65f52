"""How tensors print: PyTorch's format, character by character.

All elements of a tensor share one format: integers, fixed point or scientific, as wide as the widest. Large tensors
are summarised: only the elements at their edges are looked at and shown.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.arrays.kinds import Abstract
from rushlight.tensor import Tensor

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}
_options: dict[str, Any] = {**_PROFILES["default"], "sci_mode": None}
_PLAIN_NAMES = ("Tensor", "Parameter", "Buffer")


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None,
    linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """Sets how tensors print.

    Args:
        precision: digits behind the point (4).
        threshold: more elements than this are summarised (1000).
        edgeitems: elements shown at each end of a summarised dimension (3).
        linewidth: characters in a line (80).
        profile: "default", "short" or "full": values for all of these.
        sci_mode: scientific notation always, never, or (None) where the numbers ask for it.
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update(_PROFILES.get(profile or "", {}))
    _options.update({name: value for name, value in given.items() if value is not None})
    _options["sci_mode"] = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options, as `set_printoptions` takes them."""
    return dict(_options)


@contextlib.contextmanager
def printoptions(**kwargs: Any) -> Iterator[None]:
    """Sets options for a block."""
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


def format_tensor(tensor: Tensor) -> str:
    """The `repr` of a tensor.

    Example:
        >>> import rushlight as torch
        >>> print(format_tensor(torch.tensor([1.0, 0.5], requires_grad=True)))
        tensor([1.0000, 0.5000], requires_grad=True)
    """
    name = type(tensor).__name__
    prefix = "tensor(" if name in _PLAIN_NAMES else f"{name}("
    if tensor.is_sparse:
        return _format_sparse(tensor, prefix)
    array = tensor._array
    if tensor.is_cuda and not isinstance(array, Abstract):
        array = tensor._host_values("repr()")
    has_values = isinstance(array, np.ndarray)
    body = _format_array(array, len(prefix)) if has_values else "..."
    return _with_suffixes(prefix + body, _suffixes(tensor, has_values), len(prefix))


# ---------------------------------------------------------------- what follows the elements


def _suffixes(tensor: Tensor, has_values: bool) -> list[str]:
    """`device=`, `size=`, `dtype=`, `grad_fn=` and `requires_grad=`, where they do not go without saying."""
    suffixes = [] if tensor.device.type == "cpu" else [f"device='{tensor.device}'"]
    default = dtypes.get_default_dtype()
    is_evident = tensor.dtype is default
    if not has_values or tensor.numel() == 0:
        if not has_values or tensor.ndim != 1:
            suffixes.append(f"size={tuple(tensor.shape)}")
    else:
        if not _options["edgeitems"]:
            suffixes.append(f"size={tuple(tensor.shape)}")
        default_complex = dtypes.complex128 if default is dtypes.float64 else dtypes.complex64
        is_evident = tensor.dtype in (default, default_complex, dtypes.int64, dtypes.bool)
    if not is_evident:
        suffixes.append(f"dtype={tensor.dtype}")
    node = tensor.grad_fn
    if node is not None:
        suffixes.append(f"grad_fn=<{type(node).__name__}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return suffixes


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """Adds each suffix to the last line if it fits, else on a new line."""
    width = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if width + len(suffix) + 2 > _options["linewidth"]:
            text += ",\n" + " " * indent + suffix
            width = indent + len(suffix)
        else:
            text += ", " + suffix
            width += len(suffix) + 2
    return text + ")"


def _format_sparse(tensor: Tensor, prefix: str) -> str:
    """Places and values on lines of their own, and always the size, the number of entries and the layout."""
    array, indent, parts = tensor.detach().cpu()._array, len(prefix), []
    for name, part in (("indices", array.indices), ("values", array.values)):
        start = f"{name}=tensor("
        size = "" if part.size else f", size={tuple(part.shape)}"
        parts.append(f"{start}{_format_array(part, indent + len(start))}{size})")
    body = (",\n" + " " * indent).join(parts)
    default = (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool)
    suffixes = [] if tensor.device.type == "cpu" else [f"device='{tensor.device}'"]
    suffixes += [f"size={tuple(tensor.shape)}", f"nnz={len(array.values)}"]
    suffixes += [] if tensor.dtype in default else [f"dtype={tensor.dtype}"]
    suffixes.append("layout=torch.sparse_coo")
    return _with_suffixes(f"{prefix}{body},\n{' ' * indent}{suffixes[0]}", suffixes[1:], indent)


# ---------------------------------------------------------------- one element


class _Format:
    """The format that all elements of an array share.

    Args:
        values: those elements that are shown.
    """

    def __init__(self, values: np.ndarray):
        self.is_float = values.dtype.kind == "f"
        self.specification, self.point, self.width = ".0f", ".", 1
        if not self.is_float:
            self.width = max(1, *(len(str(value)) for value in values.ravel().tolist())) if values.size else 1
            return
        values = values[np.isfinite(values) & (values != 0)]
        if not values.size:
            return
        sizes, precision = np.abs(values), _options["precision"]
        largest, smallest = float(sizes.max()), float(sizes.min())
        scientific = _options["sci_mode"]
        if scientific is None:
            scientific = largest / smallest > 1000.0 or largest > 1e8 or smallest < 1e-4
        if scientific:
            self.specification, self.point = f".{precision}e", ""
        elif (values != np.ceil(values)).any():
            self.specification, self.point = f".{precision}f", ""
        self.width = max(len(format(value, self.specification)) for value in values.tolist()) + len(self.point)

    def __call__(self, value: Any) -> str:
        if not self.is_float:
            return str(value).rjust(self.width)
        return (format(value, self.specification) + (self.point if math.isfinite(value) else "")).rjust(self.width)


class _ComplexFormat:
    """The formats of the real and the imaginary parts."""

    def __init__(self, values: np.ndarray):
        self.real, self.imaginary = _Format(values.real), _Format(values.imag)
        self.width = self.real.width + self.imaginary.width + 1

    def __call__(self, value: complex) -> str:
        imaginary = (self.imaginary(value.imag) + "j").lstrip()
        return self.real(value.real) + ("" if imaginary[0] in "+-" else "+") + imaginary


# ---------------------------------------------------------------- all elements


def _format_array(array: np.ndarray, indent: int) -> str:
    if array.size == 0:
        return "[]"
    if array.dtype.name == "complex32":
        array = array.astype(np.complex64)
    if array.dtype.kind not in "biufc" or array.dtype.kind == "f" and array.dtype != np.float64:
        array = array.astype(np.float64)  # the numbers of float16, bfloat16, float32 are float64's too
    summarise = array.size > _options["threshold"]
    shown = _edges(array) if summarise else array
    if array.dtype.kind == "c":
        with np.errstate(all="ignore"):
            return _lines(array, indent, summarise, _ComplexFormat(shown.astype(np.complex128)))
    return _lines(array, indent, summarise, _Format(shown))


def _edges(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    count = _options["edgeitems"]
    for axis, size in enumerate(array.shape):
        if size > 2 * count:
            ends = [*range(count), *range(size - count, size)]
            array = np.take(array, np.array(ends, dtype=np.int64), axis)
    return array


def _lines(array: np.ndarray, indent: int, summarise: bool, formatted: Any) -> str:
    if array.ndim == 0:
        return str(formatted(array.item()))
    if array.ndim == 1:
        return _vector(array, indent, summarise, formatted)
    count = _options["edgeitems"]
    cut = summarise and len(array) > 2 * count
    rows = [*array[:count], *array[len(array) - count :]] if cut else list(array)
    texts = [_lines(row, indent + 1, summarise, formatted) for row in rows]
    if cut:
        texts.insert(count, "...")
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(texts) + "]"


def _vector(array: np.ndarray, indent: int, summarise: bool, formatted: Any) -> str:
    count = _options["edgeitems"]
    if summarise and not count:
        texts = ["..."]
    elif summarise and len(array) > 2 * count:
        texts = [*map(formatted, array[:count].tolist()), " ...", *map(formatted, array[-count:].tolist())]
    else:
        texts = [formatted(value) for value in array.tolist()]
    in_line = max(1, (_options["linewidth"] - indent) // (formatted.width + 2))
    lines = [", ".join(texts[i : i + in_line]) for i in range(0, len(texts), in_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
