"""Data types: PyTorch's names over NumPy's dtypes, and PyTorch's promotion rules.

A tensor keeps a NumPy dtype in its array; `dtype` objects are what users see. bfloat16 and the
float8 types come from ml_dtypes, which is imported when one of them is first used.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

builtins_bool, builtins_int, builtins_float = bool, int, float  # this module's own names hide them


class dtype:
    """A data type, such as `rushlight.float32`. Comparable by identity; `str` gives PyTorch's spelling."""

    __slots__ = ("name", "_numpy", "kind", "itemsize")

    def __init__(self, name: str, numpy_dtype: np.dtype | None, kind: str, itemsize: int):
        self.name, self._numpy, self.kind, self.itemsize = name, numpy_dtype, kind, itemsize

    @property
    def numpy(self) -> np.dtype:
        """The NumPy dtype that arrays of this type have."""
        if self._numpy is None:
            import ml_dtypes

            self._numpy = np.dtype(getattr(ml_dtypes, self.name))
            _FROM_NUMPY[self._numpy] = self
        return self._numpy

    @property
    def __numpy_dtype__(self) -> np.dtype:
        """What `np.dtype(torch.float32)` and `np.zeros(3, torch.float32)` ask for (NumPy 2.4)."""
        return self.numpy

    @property
    def is_floating_point(self) -> builtins_bool:
        return self.kind == "f"

    @property
    def is_complex(self) -> builtins_bool:
        return self.kind == "c"

    @property
    def is_signed(self) -> builtins_bool:
        return self.kind in "fci"

    def to_complex(self) -> dtype:
        return {"float16": complex64, "float64": complex128}.get(self.name, complex64) if self.kind != "c" else self

    def to_real(self) -> dtype:
        return {"complex32": float16, "complex64": float32, "complex128": float64}.get(self.name, self)

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


bool = dtype("bool", np.dtype(np.bool_), "b", 1)
uint8 = dtype("uint8", np.dtype(np.uint8), "u", 1)
uint16 = dtype("uint16", np.dtype(np.uint16), "u", 2)
uint32 = dtype("uint32", np.dtype(np.uint32), "u", 4)
uint64 = dtype("uint64", np.dtype(np.uint64), "u", 8)
int8 = dtype("int8", np.dtype(np.int8), "i", 1)
int16 = short = dtype("int16", np.dtype(np.int16), "i", 2)
int32 = int = dtype("int32", np.dtype(np.int32), "i", 4)
int64 = long = dtype("int64", np.dtype(np.int64), "i", 8)
float16 = half = dtype("float16", np.dtype(np.float16), "f", 2)
bfloat16 = dtype("bfloat16", None, "f", 2)
float32 = float = dtype("float32", np.dtype(np.float32), "f", 4)
float64 = double = dtype("float64", np.dtype(np.float64), "f", 8)
complex32 = chalf = dtype("complex32", None, "c", 4)  # to store: there is no arithmetic on it
complex64 = cfloat = dtype("complex64", np.dtype(np.complex64), "c", 8)
complex128 = cdouble = dtype("complex128", np.dtype(np.complex128), "c", 16)

ALL = (
    bool, uint8, uint16, uint32, uint64, int8, int16, int32, int64,
    float16, bfloat16, float32, float64, complex64, complex128,
)  # fmt: skip
_FROM_NUMPY: dict[np.dtype, dtype] = {d._numpy: d for d in ALL if d._numpy is not None}
LEGACY_NAMES = {  # in the texts of PyTorch's errors
    "float16": "Half", "bfloat16": "BFloat16", "float32": "Float", "float64": "Double", "int8": "Char",
    "int16": "Short", "int32": "Int", "int64": "Long", "uint8": "Byte", "uint16": "UInt16", "uint32": "UInt32",
    "uint64": "UInt64", "bool": "Bool", "complex32": "ComplexHalf", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip
_default = float32


def legacy_name(of: Any) -> str:
    """The name that PyTorch's errors use, such as "Float", of a dtype (ours or NumPy's) or of what has one."""
    found = of if isinstance(of, (dtype, np.dtype, type)) else of.dtype
    return LEGACY_NAMES[(found if type(found) is dtype else from_numpy(np.dtype(found))).name]


def no_kernel(kernel: str, of: Any) -> NotImplementedError:
    """PyTorch's error for a dtype that its kernel of this name does not have."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{legacy_name(of)}'")


def from_numpy(numpy_dtype: np.dtype) -> dtype:
    """The dtype of arrays of a NumPy dtype, of either byte order.

    Raises:
        TypeError: NumPy's dtype has no counterpart (strings, objects, dates, structures).
    """
    found = _FROM_NUMPY.get(numpy_dtype) or _FROM_NUMPY.get(numpy_dtype.newbyteorder("="))
    if found is None and numpy_dtype.name in ("bfloat16", "complex32"):
        found = bfloat16 if numpy_dtype.name == "bfloat16" else complex32
        found.numpy  # noqa: B018  (registers it)
    if found is None:
        raise TypeError(
            f"can't convert np.ndarray of type {numpy_dtype}. The only supported types are: float64, float32, "
            "float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
        )
    return found


def as_numpy(given: Any) -> np.dtype:
    """The NumPy dtype of a rushlight dtype, a NumPy dtype, or Python's bool, int, float, complex."""
    if type(given) is dtype:
        return given.numpy
    by_type = {builtins_bool: bool, builtins_int: int64, builtins_float: _default, complex: _default.to_complex()}
    if given in by_type:
        return by_type[given].numpy
    if isinstance(given, np.dtype) or isinstance(given, type) and issubclass(given, np.generic):
        return from_numpy(np.dtype(given)).numpy
    raise TypeError(f"dtype must be a torch.dtype, not {type(given).__name__}")


def get_default_dtype() -> dtype:
    return _default


def set_default_dtype(d: dtype) -> None:
    """Sets the floating-point dtype that new tensors get: float32 at first.

    Raises:
        TypeError: `d` is not a floating-point dtype.
    """
    global _default
    if type(d) is not dtype:
        raise TypeError(f"invalid dtype object: only floating-point types are supported as the default type, not {d}")
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    _default = d
    result_type_of_kinds.cache_clear()


_ORDER = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


@lru_cache(maxsize=1024)
def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype that both can be converted to, by PyTorch's table.

    Raises:
        RuntimeError: one is uint16, uint32 or uint64, for which PyTorch defines promotion with floats only.
    """
    if a is b:
        return a
    if _ORDER[a.kind] < _ORDER[b.kind]:
        a, b = b, a
    if {a, b} & {uint16, uint32, uint64} and a.kind != "f":
        raise RuntimeError(
            f"Promotion for uint16, uint32, uint64 types is not supported, attempted to promote {a.name} and {b.name}"
        )
    if a.kind == "c":
        wide = b in (float64, complex128) or a is complex128
        return complex128 if wide else complex64
    if a.kind == "f":
        if b.kind != "f":
            return a
        return float32 if {a, b} == {float16, bfloat16} else a if a.itemsize > b.itemsize else b
    if b is bool:
        return a
    return from_numpy(np.promote_types(a.numpy, b.numpy))


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """PyTorch's priority rule: a lower category (0-dim tensors, Python numbers) decides only by its kind."""
    if higher is None or lower is None:
        return higher or lower
    if higher.kind == "c" or higher.kind == "f":
        return higher.to_complex() if lower.kind == "c" and higher.kind == "f" else higher
    if higher is bool or lower.kind in "fc":
        return promote_types(higher, lower)
    return higher


@lru_cache(maxsize=4096)
def result_type_of_kinds(*operands: Any) -> dtype:
    """The result dtype of operands given as (dtype, number of dimensions) or a Python type."""
    dims = zero = number = None
    by_type = {builtins_bool: bool, builtins_int: int64, builtins_float: _default, complex: _default.to_complex()}
    for operand in operands:
        if isinstance(operand, type):
            found = by_type[operand]
            number = found if number is None else promote_types(number, found)
        elif operand[1]:
            dims = operand[0] if dims is None else promote_types(dims, operand[0])
        else:
            zero = operand[0] if zero is None else promote_types(zero, operand[0])
    return _combine(dims, _combine(zero, number)) or _default


def can_cast(from_: dtype, to: dtype) -> builtins_bool:
    """Whether PyTorch lets a result of one dtype be written into a tensor of another."""
    return _ORDER[from_.kind] <= _ORDER[to.kind]


class finfo:
    """Limits of a floating-point dtype: bits, eps, max, min, tiny, smallest_normal, resolution."""

    def __init__(self, type: dtype | None = None):
        d = type or _default
        if d.kind not in "fc":
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{d.name}'")
        import ml_dtypes

        info = ml_dtypes.finfo(d.to_real().numpy)
        self.bits, self.dtype = info.bits, d.to_real().name
        self.eps, self.max, self.min = (builtins_float(v) for v in (info.eps, info.max, info.min))
        self.tiny = self.smallest_normal = builtins_float(info.tiny)
        self.resolution = 10.0**-info.precision

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{n}={getattr(self, n):g}' for n in names)}, dtype={self.dtype})"


class iinfo:
    """Limits of an integer dtype: bits, max, min."""

    def __init__(self, type: dtype):
        if type.kind not in "ui":
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type.name}'")
        info = np.iinfo(type.numpy)
        self.bits, self.max, self.min, self.dtype = info.bits, builtins_int(info.max), builtins_int(info.min), type.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
