"""The gemm that compiled programs call, from NumPy and through SciPy, against NumPy's products."""

import ctypes
import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from rushlight.compiler import blas, scheduler
from rushlight.compiler.workers import Job

SOURCES = {"numpy": blas._from_numpy, "scipy": blas._from_scipy}
REALS = {"f": ctypes.c_float, "d": ctypes.c_double}


@pytest.fixture(params=SOURCES)
def library(request):
    found = SOURCES[request.param]()
    if found is None:
        pytest.skip(f"no BLAS in {request.param}")
    return found


def call_gemm(address, char, transa, transb, sizes, alpha, a, b, beta, c):
    """gemm on 2-d arrays whose rows are contiguous but may be apart."""
    real, flag, size, pointer = REALS[char], ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
    kinds = [flag] * 3 + [size] * 3 + [real, pointer, size, pointer, size, real, pointer, size]
    flags = [blas.TRANSPOSE if flag else blas.NO_TRANSPOSE for flag in (transa, transb)]
    itemsize = np.dtype(char).itemsize
    places = [(x.ctypes.data, x.strides[0] // itemsize) for x in (a, b, c)]
    function = ctypes.CFUNCTYPE(None, *kinds)(address)
    function(blas.ROW_MAJOR, *flags, *sizes, alpha, *places[0], *places[1], beta, *places[2])


def padded(rng, rows, columns, padding, char):
    return rng.standard_normal((rows, columns + padding)).astype(char)[:, :columns]


@pytest.mark.parametrize("char", "fd")
@pytest.mark.parametrize(("transa", "transb"), [*itertools.product((False, True), repeat=2)])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 5, 7), (64, 10, 64), (33, 70, 129), (128, 96, 200)])
@pytest.mark.parametrize("padding", [0, 3])
def test_gemm_matches_numpy(library, char, transa, transb, sizes, padding):
    m, n, k = sizes
    rng = np.random.default_rng(0)
    a = padded(rng, *((k, m) if transa else (m, k)), padding, char)
    b = padded(rng, *((n, k) if transb else (k, n)), padding, char)
    c = padded(rng, m, n, padding, char)
    around = c.base.copy()
    expected = 0.5 * (a.T if transa else a) @ (b.T if transb else b) + 2 * c
    call_gemm(library.gemm[char][1], char, transa, transb, sizes, 0.5, a, b, 2.0, c)
    np.testing.assert_allclose(c, expected, rtol=0, atol=1e-4 if char == "f" else 1e-12)
    np.testing.assert_array_equal(c.base[:, n:], around[:, n:])


@pytest.mark.parametrize("char", "fd")
def test_beta_zero_ignores_what_was_there(library, char):
    a = np.eye(4, dtype=char)
    c = np.full((4, 4), np.nan, dtype=char)
    call_gemm(library.gemm[char][1], char, False, False, (4, 4, 4), 1.0, a, a, 0.0, c)
    np.testing.assert_array_equal(c, a)


def test_gemm_symbol_by_dtype():
    name, address = blas.gemm_symbol(np.dtype("float32"))
    assert "sgemm" in name
    assert address
    assert "dgemm" in blas.gemm_symbol(np.dtype("float64"))[0]
    assert blas.gemm_symbol(np.dtype("int32")) is None


@pytest.fixture
def get_threads():
    found = blas.find_blas()
    if found is None or not found.set_threads:
        pytest.skip("BLAS without a number of threads")
    get_threads = ctypes.CFUNCTYPE(ctypes.c_int)(found.get_threads)
    set_threads = ctypes.CFUNCTYPE(None, ctypes.c_int)(found.set_threads)
    before = get_threads()
    set_threads(2)
    yield get_threads
    set_threads(before)


def test_single_threaded_gives_threads_back(get_threads):
    with blas.single_threaded():
        assert get_threads() == 1
        with blas.single_threaded():
            assert get_threads() == 1
        assert get_threads() == 1
    assert get_threads() == 2


def test_single_threaded_from_many_threads(get_threads):
    seen = set()

    def work():
        for _ in range(500):
            with blas.single_threaded():
                seen.add(get_threads())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {1}
    assert get_threads() == 2


def test_single_threaded_keeps_what_the_user_sets_meanwhile(get_threads):
    set_threads = ctypes.CFUNCTYPE(None, ctypes.c_int)(blas.find_blas().set_threads)
    with blas.single_threaded():
        set_threads(3)
    assert get_threads() == 3


def test_job_holds_blas(get_threads):
    """A phase that notes BLAS's number of threads while it runs."""
    address = blas.find_blas().get_threads
    text = f"""
    define void @note(ptr %table, i64 %chunk) {{
      %get = inttoptr i64 {address} to ptr
      %threads = call i32 %get()
      %at = getelementptr i32, ptr %table, i64 %chunk
      store i32 %threads, ptr %at
      ret void
    }}"""
    note = scheduler.Library(text).address("note")
    for uses_blas, expected in ((True, 1), (False, 2)):
        seen = np.zeros(8, np.int32)
        Job([(note, 8)], seen.ctypes.data, uses_blas=uses_blas).run()
        np.testing.assert_array_equal(seen, expected)
        assert get_threads() == 2


FORK = """
import ctypes, os
from rushlight.compiler import blas
found = blas.find_blas()
get_threads = ctypes.CFUNCTYPE(ctypes.c_int)(found.get_threads)
ctypes.CFUNCTYPE(None, ctypes.c_int)(found.set_threads)(2)
with blas.single_threaded():
    child = os.fork()
    if child == 0:
        os._exit(0 if get_threads() == 2 else 1)
assert get_threads() == 2
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_gets_its_threads_back(get_threads):
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], check=True, timeout=60)
