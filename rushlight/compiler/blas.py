"""Matrix products for compiled programs: the address of a BLAS `gemm` that is already there.

Sources, best first: the OpenBLAS inside NumPy's wheel; whatever BLAS SciPy was built with, through
`scipy.linalg.cython_blas` (any vendor, wrapped to the same signature); none. Programs cut a product
into blocks of rows themselves, one block a worker, so BLAS is kept to one thread while a program
runs.

Left out: other routines than gemm, complex numbers, and BLAS libraries that neither NumPy nor SciPy
has loaded.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from rushlight.compiler import scheduler

ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE = 101, 111, 112


@dataclass(frozen=True, slots=True)
class Blas:
    """One BLAS: gemm by NumPy's type character, getter and setter of its threads (0: none)."""

    source: str
    gemm: dict[str, tuple[str, int]]
    get_threads: int
    set_threads: int


def gemm_symbol(dtype: np.dtype) -> tuple[str, int] | None:
    """Name and address of a C function for products of float32 or float64; None without BLAS.

    With T float or double, the integers of the sizes always 64 bits wide, and the flags as in CBLAS
    (order 101 for row-major, the only one supported; transposition 111 for none, 112 for
    transposed):

        void gemm(i32 order, i32 transa, i32 transb, i64 m, i64 n, i64 k, T alpha, ptr a, i64 lda,
                  ptr b, i64 ldb, T beta, ptr c, i64 ldc)

    computes c = alpha * op(a) @ op(b) + beta * c, op(a) being m x k, op(b) k x n, c m x n; lda,
    ldb, ldc are the distances between rows as stored. With beta = 0, c is not read. It may be
    called from any thread.
    """
    blas = find_blas()
    return None if blas is None else blas.gemm.get(np.dtype(dtype).char)


@functools.cache
def find_blas() -> Blas | None:
    """The BLAS to use, found once."""
    return _from_numpy() or _from_scipy()


# ---- NumPy's OpenBLAS


def _libraries(package: Any, pattern: str) -> list[Any]:
    """The files that a package brought with it."""
    from pathlib import Path  # 5 ms at import

    home = Path(package.__file__).parent
    folders = [home.parent / f"{home.name}.libs", home / ".dylibs", home / ".libs"]
    return [path for folder in folders for path in sorted(folder.glob(pattern))]


def _from_numpy() -> Blas | None:
    for path in _libraries(np, "*openblas64_*"):
        try:
            library = ctypes.CDLL(str(path))  # NumPy has loaded it: this is the same one
        except OSError:
            continue
        gemm: dict[str, tuple[str, int]] = {}
        for char, letter in (("f", "s"), ("d", "d")):
            for name in (f"scipy_cblas_{letter}gemm64_", f"cblas_{letter}gemm64_"):
                if hasattr(library, name):
                    gemm.setdefault(char, (name, _address(library, name)))
        if len(gemm) == 2:
            return Blas(path.name, gemm, *_thread_functions(library))
    return None


THREAD_FUNCTIONS = [
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
]


def _thread_functions(library: ctypes.CDLL) -> tuple[int, int]:
    for get, set_ in THREAD_FUNCTIONS:
        if hasattr(library, get) and hasattr(library, set_):
            return _address(library, get), _address(library, set_)
    return 0, 0


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


# ---- SciPy's BLAS


# Row-major c = op(a) op(b) is column-major c' = op(b)' op(a)': the operands change places, the
# flags stay.
SHIM = """
define void @rushlight_{letter}gemm(i32 %order, i32 %transa, i32 %transb, i64 %m, i64 %n, i64 %k,
    {real} %alpha, ptr %a, i64 %lda, ptr %b, i64 %ldb, {real} %beta, ptr %c, i64 %ldc) {{
  %chars = alloca [2 x i8]
  %sizes = alloca [6 x i32]
  %reals = alloca [2 x {real}]
{body}
  ret void
}}
"""


def _from_scipy() -> Blas | None:
    try:
        from scipy.linalg import cython_blas
    except ImportError:
        return None
    capsules = cython_blas.__pyx_capi__
    if not all(_is_lp64(capsules.get(f"{letter}gemm")) for letter in "sd"):
        return None
    gemm = {
        char: (
            f"rushlight_{letter}gemm",
            _wrap(letter, real, _capsule_pointer(capsules[f"{letter}gemm"])),
        )
        for char, letter, real in (("f", "s", "float"), ("d", "d", "double"))
    }
    return Blas("scipy", gemm, *_scipy_thread_functions())


def _capsule_name(capsule: object) -> bytes:
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    name: bytes = get_name(capsule)
    return name


def _is_lp64(capsule: object) -> bool:
    """Whether the function's signature, which is the capsule's name, has 32-bit sizes."""
    return capsule is not None and _capsule_name(capsule).count(b", int *") == 6


def _capsule_pointer(capsule: object) -> int:
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    pointer: int = get_pointer(capsule, _capsule_name(capsule))
    return pointer


def _wrap(letter: str, real: str, fortran: int) -> int:
    """The address of a function with gemm_symbol's signature that calls a Fortran gemm."""
    return scheduler.Library(shim_text(letter, real, fortran)).address(f"rushlight_{letter}gemm")


def shim_text(letter: str, real: str, fortran: int) -> str:
    """The wrapper's LLVM IR: all arguments by address, sizes as 32 bits, flags as characters."""
    lines = []
    for index, flag in enumerate(("transb", "transa")):
        lines += [
            f"%is_{flag} = icmp eq i32 %{flag}, {TRANSPOSE}",
            f"%char_{flag} = select i1 %is_{flag}, i8 {ord('T')}, i8 {ord('N')}",
            f"%at_{flag} = getelementptr i8, ptr %chars, i64 {index}",
            f"store i8 %char_{flag}, ptr %at_{flag}",
        ]
    for index, size in enumerate(("m", "n", "k", "lda", "ldb", "ldc")):
        lines += [
            f"%int_{size} = trunc i64 %{size} to i32",
            f"%at_{size} = getelementptr i32, ptr %sizes, i64 {index}",
            f"store i32 %int_{size}, ptr %at_{size}",
        ]
    for index, scale in enumerate(("alpha", "beta")):
        lines += [
            f"%at_{scale} = getelementptr {real}, ptr %reals, i64 {index}",
            f"store {real} %{scale}, ptr %at_{scale}",
        ]
    flags_and_sizes = ["at_transb", "at_transa", "at_n", "at_m", "at_k"]
    matrices = ["at_alpha", "b", "at_ldb", "a", "at_lda", "at_beta", "c", "at_ldc"]
    arguments = ", ".join(f"ptr %{name}" for name in flags_and_sizes + matrices)
    lines += [f"%gemm = inttoptr i64 {fortran} to ptr", f"call void %gemm({arguments})"]
    body = "\n".join(f"  {line}" for line in lines)
    return SHIM.format(letter=letter, real=real, body=body)


def _scipy_thread_functions() -> tuple[int, int]:
    import scipy

    for path in _libraries(scipy, "*openblas*"):
        functions = _thread_functions(ctypes.CDLL(str(path)))
        if functions[1]:
            return functions
    return 0, 0


# ---- BLAS at one thread


class _Hold(ctypes.Structure):
    """Who keeps BLAS to one thread, as hold_enter and hold_leave read and write it."""

    _fields_ = [
        ("lock", ctypes.c_int64),
        ("users", ctypes.c_int64),
        ("saved", ctypes.c_int32),
        ("get_threads", ctypes.c_void_p),
        ("set_threads", ctypes.c_void_p),
    ]


@functools.cache
def _hold() -> _Hold | None:
    blas = find_blas()
    if blas is None or not blas.set_threads:
        return None
    return _Hold(0, 0, 0, blas.get_threads, blas.set_threads)


def hold_address() -> int:
    """What a job hands to hold_enter and hold_leave; 0 if BLAS has no threads to hold."""
    hold = _hold()
    return 0 if hold is None else ctypes.addressof(hold)


@dataclass(frozen=True, slots=True)
class SingleThreaded:
    """Keeps BLAS to one thread inside a with statement, from any number of threads at once."""

    hold: int
    enter: Callable[[int], None]
    leave: Callable[[int], None]

    def __enter__(self) -> None:
        self.enter(self.hold)

    def __exit__(self, *error: object) -> None:
        self.leave(self.hold)


@functools.cache
def single_threaded() -> AbstractContextManager[None]:
    """`with single_threaded():` keeps BLAS to one thread, then gives NumPy its threads back.

    Costs about a microsecond; jobs with uses_blas=True do the same natively in hundredths. While
    anyone is inside, the user's own products on other threads run on one thread too: the number
    belongs to the process.
    """
    hold = hold_address()
    if not hold:
        return nullcontext()
    kind = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
    library = scheduler.library()
    return SingleThreaded(hold, kind(library.address("hold_enter")), kind(library.address("hold_leave")))


def keep_one_thread() -> None:
    """NumPy's BLAS uses one thread from now on: for a process that is one of several."""
    blas = _from_numpy()
    if blas is not None and blas.set_threads:
        ctypes.CFUNCTYPE(None, ctypes.c_int)(blas.set_threads)(1)


def _let_go() -> None:
    """In a forked child: whoever was inside on another thread did not come along."""
    if _hold.cache_info().currsize and (hold := _hold()) and hold.users:
        ctypes.CFUNCTYPE(None, ctypes.c_int)(hold.set_threads)(hold.saved)
        hold.lock = hold.users = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
