"""Programs as builtin functions of arrays: `call(*arrays, *others)`, checked and run in native code.

What an eager operation costs on small arrays is the Python around it. So a program's function compares its
arguments itself with what it was compiled for (type, dtype, shape, order in memory; anything that is no array by
`==`), makes the arrays for its results through NumPy's C interface, and runs. A call costs 0.2 us.

A *flat* program works on arrays of one shape, any shape: it was compiled for one block of so many elements and is
run over all blocks of however many there are. The last block begins so early that it is whole, and does some elements
again: so nothing may be written to what is read.

    an array, or a tuple of them: the results (True: there are none to make, the program writes to its arguments)
    False: these are not its arguments, or another thread is inside
    None: an index was out of bounds
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

import numpy as np

from rushlight.compiler.binding import DATA_OFFSET

# Byte offsets in a record, which is the `self` of such a function; entries of 32 bytes for the arguments follow.
RECORD = {
    "TABLE_AT": 0,  # the program's table of pointers
    "DIRECT": 8,  # the one function to run with the GIL held; 0: run the job
    "JOB_AT": 16,
    "BUSY_AT": 24,
    "FLAG_AT": 32,
    "TYPE": 40,  # numpy.ndarray
    "COUNT": 48,  # arguments
    "OUTPUTS": 56,  # results to make
    "BLOCK": 64,  # elements in a block of a flat program, else 0
    "MOST": 72,  # blocks in a chunk, where there are many
    "LEAST": 80,  # and where there are few: below that a chunk is not worth a turn
    "LENGTH_SLOT": 88,  # the table's slot for the number of elements; the next one is for the blocks in a chunk
    "MODEL": 96,  # which argument has the shape that -1 stands for
    "ENTRIES": 104,
}
# In an entry, first for each argument, then for each result: the table slot (-1: no array), the dtype object (or what
# the argument has to equal), the number of dimensions (-1: the model's shape), the address of the sizes.
ENTRY = {"SLOT": 0, "EXPECTED": 8, "NDIM": 16, "SIZES": 24}
ARRAY = {"ND": DATA_OFFSET + 8, "DIMS": DATA_OFFSET + 16, "DESCR": DATA_OFFSET + 40, "FLAGS": DATA_OFFSET + 48}
CONTIGUOUS_AND_ALIGNED = 0x101
METH_FASTCALL = 0x0080
IMPORTS = ["PyObject_RichCompareBool", "PyTuple_New", "PyTuple_SetItem"]
PYARRAY_EMPTY = 184  # PyArray_Empty's place in NumPy's table of C functions, fixed since NumPy 1.0

TEXT = Template("""
declare i32 @PyObject_RichCompareBool(ptr, ptr, i32)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyArray_Empty(i32, ptr, ptr, i32)
@_Py_TrueStruct = external global i8
@_Py_FalseStruct = external global i8

; Whether an argument is what the entry says.
define internal i1 @matches(ptr %wish, ptr %argument, ptr %type, i64 %model_nd, ptr %model_dims) {
entry:
  %expected_at = getelementptr i8, ptr %wish, i64 $EXPECTED
  %nd_at = getelementptr i8, ptr %wish, i64 $NDIM
  %sizes_at = getelementptr i8, ptr %wish, i64 $SIZES
  %slot = load i64, ptr %wish
  %expected = load ptr, ptr %expected_at
  %kind_at = getelementptr i8, ptr %argument, i64 8
  %kind = load ptr, ptr %kind_at
  %is_array = icmp sge i64 %slot, 0
  br i1 %is_array, label %array, label %other
other:
  %same_object = icmp eq ptr %argument, %expected
  br i1 %same_object, label %yes, label %compare_kinds
compare_kinds:
  %expected_kind_at = getelementptr i8, ptr %expected, i64 8
  %expected_kind = load ptr, ptr %expected_kind_at
  %same_kind = icmp eq ptr %kind, %expected_kind
  br i1 %same_kind, label %compare, label %no
compare:
  %answer = call i32 @PyObject_RichCompareBool(ptr %argument, ptr %expected, i32 2)
  %equal = icmp eq i32 %answer, 1
  ret i1 %equal
array:
  %is_ndarray = icmp eq ptr %kind, %type
  br i1 %is_ndarray, label %look, label %no
look:
  %descr_at = getelementptr i8, ptr %argument, i64 $DESCR
  %descr = load ptr, ptr %descr_at
  %flags_at = getelementptr i8, ptr %argument, i64 $FLAGS
  %flags = load i32, ptr %flags_at
  %wanted_flags = and i32 %flags, $CONTIGUOUS_AND_ALIGNED
  %flags_fit = icmp eq i32 %wanted_flags, $CONTIGUOUS_AND_ALIGNED
  %descr_fits = icmp eq ptr %descr, %expected
  %own_nd = load i64, ptr %nd_at
  %own_sizes = load ptr, ptr %sizes_at
  %as_last = icmp slt i64 %own_nd, 0
  %nd = select i1 %as_last, i64 %model_nd, i64 %own_nd
  %sizes = select i1 %as_last, ptr %model_dims, ptr %own_sizes
  %found_at = getelementptr i8, ptr %argument, i64 $ND
  %found = load i32, ptr %found_at
  %found_nd = sext i32 %found to i64
  %nd_fits = icmp eq i64 %nd, %found_nd
  %both = and i1 %flags_fit, %descr_fits
  %fits = and i1 %both, %nd_fits
  br i1 %fits, label %shape, label %no
shape:
  %dims_at = getelementptr i8, ptr %argument, i64 $DIMS
  %dims = load ptr, ptr %dims_at
  br label %loop
loop:
  %i = phi i64 [ 0, %shape ], [ %i_next, %size ]
  %more = icmp slt i64 %i, %nd
  br i1 %more, label %size, label %yes
size:
  %size_at = getelementptr i64, ptr %dims, i64 %i
  %wanted_at = getelementptr i64, ptr %sizes, i64 %i
  %size_found = load i64, ptr %size_at
  %wanted = load i64, ptr %wanted_at
  %i_next = add i64 %i, 1
  %agrees = icmp eq i64 %size_found, %wanted
  br i1 %agrees, label %loop, label %no
yes:
  ret i1 true
no:
  ret i1 false
}

; Prepare a flat program for so many elements. False if they are less than a block.
define internal i1 @stretch(ptr %record, ptr %table, ptr %job, i64 %nd, ptr %dims) {
entry:
  %block_at = getelementptr i8, ptr %record, i64 $BLOCK
  %most_at = getelementptr i8, ptr %record, i64 $MOST
  %least_at = getelementptr i8, ptr %record, i64 $LEAST
  %slot_at = getelementptr i8, ptr %record, i64 $LENGTH_SLOT
  %block = load i64, ptr %block_at
  %most = load i64, ptr %most_at
  %least = load i64, ptr %least_at
  %slot = load i64, ptr %slot_at
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i_next, %size ]
  %length = phi i64 [ 1, %entry ], [ %longer, %size ]
  %more = icmp slt i64 %i, %nd
  br i1 %more, label %size, label %known
size:
  %size_at = getelementptr i64, ptr %dims, i64 %i
  %size_found = load i64, ptr %size_at
  %longer = mul i64 %length, %size_found
  %i_next = add i64 %i, 1
  br label %loop
known:
  %enough = icmp sge i64 %length, %block
  br i1 %enough, label %cut, label %no
cut:                                              ; into an even number of chunks, as two cores share best
  %blocks_less_one = udiv i64 %length, %block
  %blocks = add i64 %blocks_less_one, 1
  %two_most = mul i64 %most, 2
  %pairs_above = add i64 %blocks, %two_most
  %pairs_rounded = sub i64 %pairs_above, 1
  %pairs = udiv i64 %pairs_rounded, %two_most
  %parts = mul i64 %pairs, 2
  %parts_above = add i64 %blocks, %parts
  %parts_rounded = sub i64 %parts_above, 1
  %even = udiv i64 %parts_rounded, %parts
  %is_short = icmp ult i64 %even, %least
  %per = select i1 %is_short, i64 %least, i64 %even
  %length_at = getelementptr i64, ptr %table, i64 %slot
  %table_per_at = getelementptr i64, ptr %length_at, i64 1
  store i64 %length, ptr %length_at
  store i64 %per, ptr %table_per_at
  %all = mul i64 %block, %per
  %rounded = add i64 %length, %all
  %above = add i64 %rounded, 63                  ; one more, for blocks that begin earlier (`flat.py`)
  %chunks = udiv i64 %above, %all
  %parallel = icmp sgt i64 %chunks, 1
  %parallel_wide = zext i1 %parallel to i64
  %parallel_at = getelementptr i8, ptr %job, i64 $JOB_PARALLEL
  %chunks_at = getelementptr i8, ptr %job, i64 $FIRST_CHUNKS
  store i64 %parallel_wide, ptr %parallel_at
  store i64 %chunks, ptr %chunks_at
  ret i1 true
no:
  ret i1 false
}

define ptr @call_builtin(ptr %self, ptr %arguments, i64 %count) {
entry:
  %record = call ptr @PyBytes_AsString(ptr %self)
  %table_at = getelementptr i8, ptr %record, i64 $TABLE_AT
  %direct_at = getelementptr i8, ptr %record, i64 $DIRECT
  %job_at = getelementptr i8, ptr %record, i64 $JOB_AT
  %busy_at = getelementptr i8, ptr %record, i64 $BUSY_AT
  %flag_at = getelementptr i8, ptr %record, i64 $FLAG_AT
  %type_at = getelementptr i8, ptr %record, i64 $TYPE
  %count_at = getelementptr i8, ptr %record, i64 $COUNT
  %block_at = getelementptr i8, ptr %record, i64 $BLOCK
  %entries = getelementptr i8, ptr %record, i64 $ENTRIES
  %table = load ptr, ptr %table_at
  %direct = load ptr, ptr %direct_at
  %job = load ptr, ptr %job_at
  %flag = load ptr, ptr %flag_at
  %type = load ptr, ptr %type_at
  %expected_count = load i64, ptr %count_at
  %same_count = icmp eq i64 %expected_count, %count
  br i1 %same_count, label %model, label %mismatch
model:
  %model_at = getelementptr i8, ptr %record, i64 $MODEL
  %outputs_at = getelementptr i8, ptr %record, i64 $OUTPUTS
  %outputs = load i64, ptr %outputs_at
  %model_number = load i64, ptr %model_at
  %no_model = icmp slt i64 %model_number, 0
  br i1 %no_model, label %verify, label %look
look:
  %model_place = getelementptr ptr, ptr %arguments, i64 %model_number
  %model_argument = load ptr, ptr %model_place
  %kind_at = getelementptr i8, ptr %model_argument, i64 8
  %kind = load ptr, ptr %kind_at
  %is_ndarray = icmp eq ptr %kind, %type
  br i1 %is_ndarray, label %shape, label %mismatch
shape:
  %nd_at = getelementptr i8, ptr %model_argument, i64 $ND
  %dims_at = getelementptr i8, ptr %model_argument, i64 $DIMS
  %nd_short = load i32, ptr %nd_at
  %nd_found = sext i32 %nd_short to i64
  %dims_found = load ptr, ptr %dims_at
  br label %verify
verify:
  %i = phi i64 [ 0, %model ], [ 0, %shape ], [ %i_next, %verify_one ]
  %nd = phi i64 [ 0, %model ], [ %nd_found, %shape ], [ %nd, %verify_one ]
  %dims = phi ptr [ null, %model ], [ %dims_found, %shape ], [ %dims, %verify_one ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %verify_one, label %claim
verify_one:
  %offset = mul i64 %i, 32
  %entry_i = getelementptr i8, ptr %entries, i64 %offset
  %argument_at = getelementptr ptr, ptr %arguments, i64 %i
  %argument = load ptr, ptr %argument_at
  %i_next = add i64 %i, 1
  %fits = call i1 @matches(ptr %entry_i, ptr %argument, ptr %type, i64 %nd, ptr %dims)
  br i1 %fits, label %verify, label %mismatch
claim:
  %swap = cmpxchg ptr %busy_at, i64 0, i64 1 acquire monotonic
  %mine = extractvalue { i64, i1 } %swap, 1
  br i1 %mine, label %bind, label %mismatch
bind:
  %j = phi i64 [ 0, %claim ], [ %j_next, %bound ]
  %unbound = icmp slt i64 %j, %count
  br i1 %unbound, label %bind_one, label %choose
bind_one:
  %offset_j = mul i64 %j, 32
  %entry_j = getelementptr i8, ptr %entries, i64 %offset_j
  %slot = load i64, ptr %entry_j
  %is_array = icmp sge i64 %slot, 0
  br i1 %is_array, label %write, label %bound
write:
  %place = getelementptr ptr, ptr %table, i64 %slot
  %bound_at = getelementptr ptr, ptr %arguments, i64 %j
  %bound_argument = load ptr, ptr %bound_at
  store ptr %bound_argument, ptr %place
  br label %bound
bound:
  %j_next = add i64 %j, 1
  br label %bind
choose:
  %block = load i64, ptr %block_at
  %is_flat = icmp ne i64 %block, 0
  br i1 %is_flat, label %flat, label %make
flat:
  %long_enough = call i1 @stretch(ptr %record, ptr %table, ptr %job, i64 %nd, ptr %dims)
  br i1 %long_enough, label %make, label %give_up
make:
  %k = phi i64 [ 0, %choose ], [ 0, %flat ], [ %k_next, %made ]
  %unmade = icmp slt i64 %k, %outputs
  br i1 %unmade, label %make_one, label %start
make_one:
  %entry_number = add i64 %k, %count
  %offset_k = mul i64 %entry_number, 32
  %entry_k = getelementptr i8, ptr %entries, i64 %offset_k
  %made_slot = load i64, ptr %entry_k
  %made_descr_at = getelementptr i8, ptr %entry_k, i64 $EXPECTED
  %made_nd_at = getelementptr i8, ptr %entry_k, i64 $NDIM
  %made_sizes_at = getelementptr i8, ptr %entry_k, i64 $SIZES
  %made_descr = load ptr, ptr %made_descr_at
  %own_nd = load i64, ptr %made_nd_at
  %own_sizes = load ptr, ptr %made_sizes_at
  %as_model = icmp slt i64 %own_nd, 0
  %made_nd = select i1 %as_model, i64 %nd, i64 %own_nd
  %made_sizes = select i1 %as_model, ptr %dims, ptr %own_sizes
  %made_nd_short = trunc i64 %made_nd to i32
  call void @Py_IncRef(ptr %made_descr)          ; PyArray_Empty takes this reference
  %array = call ptr @PyArray_Empty(i32 %made_nd_short, ptr %made_sizes, ptr %made_descr, i32 0)
  %failed = icmp eq ptr %array, null
  br i1 %failed, label %discard, label %made
made:
  %made_place = getelementptr ptr, ptr %table, i64 %made_slot
  store ptr %array, ptr %made_place
  %k_next = add i64 %k, 1
  br label %make
start:
  %is_direct = icmp ne ptr %direct, null
  br i1 %is_direct, label %here, label %shared
here:
  call void %direct(ptr %table, i64 0)
  br label %done
shared:
  %ran = call i1 @run_job(ptr %job)
  br i1 %ran, label %done, label %discard_all
done:
  %flagged = load i64, ptr %flag
  %wrong = icmp ne i64 %flagged, 0
  br i1 %wrong, label %out_of_bounds, label %answer
answer:
  switch i64 %outputs, label %several [ i64 0, label %true
                                        i64 1, label %single ]
single:
  %only_entry_offset = mul i64 %count, 32
  %only_entry = getelementptr i8, ptr %entries, i64 %only_entry_offset
  %only_slot = load i64, ptr %only_entry
  %only_place = getelementptr ptr, ptr %table, i64 %only_slot
  %only = load ptr, ptr %only_place
  store atomic i64 0, ptr %busy_at release, align 8
  ret ptr %only
several:
  %tuple = call ptr @PyTuple_New(i64 %outputs)
  br label %collect
collect:
  %m = phi i64 [ 0, %several ], [ %m_next, %collect ]
  %m_entry_number = add i64 %m, %count
  %m_offset = mul i64 %m_entry_number, 32
  %m_entry = getelementptr i8, ptr %entries, i64 %m_offset
  %m_slot = load i64, ptr %m_entry
  %m_place = getelementptr ptr, ptr %table, i64 %m_slot
  %m_array = load ptr, ptr %m_place
  %m_set = call i32 @PyTuple_SetItem(ptr %tuple, i64 %m, ptr %m_array)
  %m_next = add i64 %m, 1
  %m_more = icmp slt i64 %m_next, %outputs
  br i1 %m_more, label %collect, label %collected
collected:
  store atomic i64 0, ptr %busy_at release, align 8
  ret ptr %tuple
true:
  store atomic i64 0, ptr %busy_at release, align 8
  call void @Py_IncRef(ptr @_Py_TrueStruct)
  ret ptr @_Py_TrueStruct
out_of_bounds:
  store i64 0, ptr %flag
  call void @drop(ptr %entries, ptr %table, i64 %count, i64 %outputs)
  store atomic i64 0, ptr %busy_at release, align 8
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
give_up:
  store atomic i64 0, ptr %busy_at release, align 8
  br label %mismatch
mismatch:
  call void @Py_IncRef(ptr @_Py_FalseStruct)
  ret ptr @_Py_FalseStruct
discard:
  call void @drop(ptr %entries, ptr %table, i64 %count, i64 %k)
  store atomic i64 0, ptr %busy_at release, align 8
  ret ptr null
discard_all:
  call void @drop(ptr %entries, ptr %table, i64 %count, i64 %outputs)
  store atomic i64 0, ptr %busy_at release, align 8
  ret ptr null
}

; Give up the first results that were made.
define internal void @drop(ptr %entries, ptr %table, i64 %count, i64 %made) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i_next, %one ]
  %more = icmp slt i64 %i, %made
  br i1 %more, label %one, label %done
one:
  %number = add i64 %i, %count
  %offset = mul i64 %number, 32
  %at = getelementptr i8, ptr %entries, i64 %offset
  %slot = load i64, ptr %at
  %place = getelementptr ptr, ptr %table, i64 %slot
  %array = load ptr, ptr %place
  call void @Py_DecRef(ptr %array)
  %i_next = add i64 %i, 1
  br label %loop
done:
  ret void
}
""")


def calls_text(job: dict[str, int]) -> str:
    """The LLVM IR of such functions, a part of the scheduler's."""
    constants = {**RECORD, **ENTRY, **ARRAY, "CONTIGUOUS_AND_ALIGNED": CONTIGUOUS_AND_ALIGNED}
    return TEXT.substitute(constants, JOB_PARALLEL=job["JOB_PARALLEL"], FIRST_CHUNKS=job["JOB_PHASES"] + 8)


@functools.cache
def layout_holds() -> bool:
    """Whether ndarray objects lie in memory as this file assumes; where not, programs are bound in Python."""
    array = np.zeros((3, 5), np.float32)[:, ::1]
    address = id(array)
    dims = ctypes.c_size_t.from_address(address + ARRAY["DIMS"]).value
    return (
        DATA_OFFSET == 16
        and ctypes.c_int32.from_address(address + ARRAY["ND"]).value == 2
        and [ctypes.c_int64.from_address(dims + 8 * i).value for i in range(2)] == [3, 5]
        and ctypes.c_size_t.from_address(address + ARRAY["DESCR"]).value == id(array.dtype)
        and ctypes.c_int32.from_address(address + ARRAY["FLAGS"]).value & 0xFFFF == array.flags.num & 0xFFFF
    )


@functools.cache
def array_maker() -> int:
    """The address of PyArray_Empty."""
    capsule = np._core._multiarray_umath._ARRAY_API
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address: int = ctypes.c_size_t.from_address(get_pointer(capsule, None) + 8 * PYARRAY_EMPTY).value
    return address


class Argument:
    """What an argument or a result is. `slot` None: no array, but equal to `value`. `shape` None: that of the model."""

    def __init__(self, slot: int | None, value: Any, shape: tuple[int, ...] | None = None):
        self.slot, self.value, self.shape = slot, value, shape


@dataclass(frozen=True)
class Flat:
    """How a flat program is cut: elements in a block, blocks in a chunk, the table's slot for the length, the model."""

    block: int
    most: int
    least: int
    length_slot: int
    model: int


def build_call(
    table_address: int, flag_address: int, job: bytes, direct: int, arguments: Sequence[Argument],
    results: Sequence[Argument], owner: Any, flat: Flat | None = None,
) -> Any:  # fmt: skip
    """The builtin function. It keeps `owner` alive, whose memory and code the addresses are of."""
    from rushlight.compiler.workers import builtin_function

    numbers: list[int] = []
    kept: list[Any] = [job, owner]
    for item in (*arguments, *results):
        shape = item.shape or ()
        sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        kept += [item.value, sizes]
        slot = -1 if item.slot is None else item.slot
        numbers += [slot, id(item.value), -1 if item.shape is None else len(shape), ctypes.addressof(sizes)]
    job_address = ctypes.cast(ctypes.c_char_p(job), ctypes.c_void_p).value or 0
    cut = (flat.block, flat.most, flat.least, flat.length_slot, flat.model) if flat else (0, 1, 1, 0, -1)
    counts = len(arguments), len(results)
    header = (table_address, direct, job_address, 0, flag_address, id(np.ndarray), *counts, *cut)
    record = struct.pack(f"=13q{len(numbers)}q", *header, *numbers)
    return builtin_function("call_builtin", METH_FASTCALL, record, kept)
