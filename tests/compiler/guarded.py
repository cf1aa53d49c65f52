"""Arrays next to memory that nobody may touch: whoever reads or writes beyond them is ended by the system."""

import ctypes
import mmap
import sys

import numpy as np

PAGE = mmap.PAGESIZE
can_guard = sys.platform == "linux"


def guarded(array, at_end=True):
    """A copy whose last byte is followed by a forbidden page, or whose first byte comes after one."""
    size = max(1, -(-array.nbytes // PAGE)) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for page in (address, address + PAGE + size):
        if protect(page, PAGE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    offset = PAGE + (size - array.nbytes if at_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy
