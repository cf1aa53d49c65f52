"""The standard's dtypes: what they are called, how they promote, their limits.

Promotion here is the standard's. It differs from PyTorch's in one rule: arrays without dimensions count like others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

import rushlight as torch
from rushlight import dtypes
from rushlight.dtypes import dtype as DType
from rushlight.tensor import Tensor

Scalar = bool | int | float | complex
SCALARS = (bool, int, float, complex)
KINDS: dict[str, tuple[DType, ...]] = {
    "bool": (dtypes.bool,),
    "signed integer": (dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64),
    "unsigned integer": (dtypes.uint8, dtypes.uint16, dtypes.uint32, dtypes.uint64),
    "real floating": (dtypes.float32, dtypes.float64),
    "complex floating": (dtypes.complex64, dtypes.complex128),
}
KINDS["integral"] = KINDS["signed integer"] + KINDS["unsigned integer"]
KINDS["numeric"] = KINDS["integral"] + KINDS["real floating"] + KINDS["complex floating"]
_KIND_OF_LETTER = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "f",
    "complex floating": "c", "numeric": "iufc",
}  # fmt: skip
_RANK = {bool: 0, int: 1, float: 2, complex: 3, "b": 0, "i": 1, "u": 1, "f": 2, "c": 3}


def astype(x: Tensor, dtype: DType, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """A copy in another dtype; without `copy` the array itself if it has the dtype already."""
    return x.to(device or x.device, dtype, copy=copy)


def can_cast(from_: DType | Tensor, to: DType, /) -> bool:
    """Whether promotion leads from one dtype to the other."""
    source = from_.dtype if isinstance(from_, Tensor) else from_
    try:
        return _promoted(source, to) is to
    except TypeError:
        return False


def isdtype(dtype: DType, kind: DType | str | tuple[DType | str, ...]) -> bool:
    """Whether a dtype is another, is of a kind ("integral", "real floating", ...), or is one of several."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str):
        if kind not in _KIND_OF_LETTER:
            raise ValueError(f"{kind!r} is no kind of dtype: {', '.join(_KIND_OF_LETTER)}")
        return dtype.kind in _KIND_OF_LETTER[kind]
    return dtype is kind


def result_type(*arrays_and_dtypes: Tensor | Scalar | DType) -> DType:
    """The dtype of a result of these operands, by the standard's rules; Python numbers only choose the kind.

    Raises:
        TypeError: no array and no dtype among them, or dtypes that have no common one (uint64 and a signed integer).
    """
    found = [x.dtype if isinstance(x, Tensor) else x for x in arrays_and_dtypes if not isinstance(x, SCALARS)]
    if not found:
        raise TypeError("result_type() needs an array or a dtype among its arguments")
    target = reduce(_promoted, found)
    for number in arrays_and_dtypes:
        if isinstance(number, SCALARS) and _RANK[type(number)] > _RANK[target.kind]:
            default = {int: dtypes.int64, float: dtypes.get_default_dtype()}.get(type(number))
            target = default or (target if target.kind == "f" else dtypes.get_default_dtype()).to_complex()
    return target


def _promoted(a: DType, b: DType) -> DType:
    if a.kind in "iu" and b.kind in "iu":
        target = np.promote_types(a.numpy, b.numpy)
        if target.kind == "f":
            raise TypeError(f"{a} and {b} have no common integer dtype")
        return dtypes.from_numpy(target)
    if _RANK[a.kind] != _RANK[b.kind] and {a.kind, b.kind} != {"f", "c"}:  # which the standard leaves open
        return a if _RANK[a.kind] > _RANK[b.kind] else b
    return dtypes.promote_types(a, b)


def promoted(*operands: Tensor | Scalar) -> list[Tensor]:
    """The operands as arrays of their common dtype."""
    target = result_type(*operands)
    return [x.to(target) if isinstance(x, Tensor) else torch.full((), x, dtype=target) for x in operands]


# ---------------------------------------------------------------- limits


@dataclass(frozen=True, slots=True)
class FloatLimits:
    """What `finfo` gives."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True, slots=True)
class IntegerLimits:
    """What `iinfo` gives."""

    bits: int
    max: int
    min: int
    dtype: DType


def finfo(type: DType | Tensor, /) -> FloatLimits:
    """The limits of a floating-point dtype; of a complex one, those of its parts."""
    given = type.dtype if isinstance(type, Tensor) else type
    limits = torch.finfo(given)
    return FloatLimits(limits.bits, limits.eps, limits.max, limits.min, limits.smallest_normal, given.to_real())


def iinfo(type: DType | Tensor, /) -> IntegerLimits:
    """The limits of an integer dtype."""
    given = type.dtype if isinstance(type, Tensor) else type
    limits = torch.iinfo(given)
    return IntegerLimits(limits.bits, limits.max, limits.min, given)


def dtypes_of(kind: str | Sequence[str] | None) -> dict[str, DType]:
    """The standard's dtypes of a kind, or of several, by name."""
    if kind is None:
        kind = ("bool", "numeric")
    kinds = (kind,) if isinstance(kind, str) else kind
    for name in kinds:
        if name not in KINDS:
            raise ValueError(f"unsupported kind: {name!r}")
    return {d.name: d for name in kinds for d in KINDS[name]}
