"""The native scheduler of compiled programs: its LLVM IR and the table of its functions.

A job is a list of phases, a phase a number of chunks. The one idea: nobody is in charge. Whoever is
free takes the next chunk of the running phase by compare-and-swap on a `ticket`, and whoever
completes the last chunk of a phase opens the next (`advance`). The calling thread is a worker like
any other, so a helper that is asleep or preempted costs nothing unless it holds a chunk.

    ticket = generation << 32 | chunks not yet taken      pending = chunks not yet completed

Why a late helper can do no harm. It reads the ticket, then the phase's function, table and size,
then swaps the ticket for one chunk less. These fields change only after the ticket has counted down
to 0 and all chunks are completed; a ticket of 0 chunks is never swapped, and the next phase has
another generation. So a swap that succeeds proves that the fields belonged to the ticket, and
without a swap no memory but the pool's own is touched. Pools are never freed. A job's memory is
read only by those who hold a chunk of it, and by whoever advances it, and its caller returns only
after the last of them is done.

Left out: priorities, nested jobs (a second job at the same time runs on its caller's thread alone),
and wrap-around (a helper stopped between two instructions for exactly 2**32 phases).
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from collections.abc import Callable
from string import Template

from rushlight.compiler import calls

# Byte offsets in a pool. What different threads write lies on different cache lines (128 bytes:
# lines come in pairs).
LINE = 128
POOL = {
    "TICKET": 0,  # with the phase it stands for: one transfer of a cache line brings all four
    "FUNCTION": 8,
    "TABLE": 16,
    "CHUNKS": 24,
    "PENDING": 1 * LINE,
    "NEXT": 2 * LINE,  # the job's phases still to come; for whoever advances
    "END": 2 * LINE + 8,
    "STARTED": 2 * LINE + 16,  # when the job did, in ticks
    "RUNNING": 3 * LINE,  # 1 until the job's last phase is complete
    "STARVED": 3 * LINE + 8,  # ticks that short jobs lately ran while helpers slept
    "ENDED": 3 * LINE + 16,  # when the last job did
    "BUSY": 4 * LINE,  # 1 while a caller owns the pool
    "SLEEPERS": 5 * LINE,
    "STOP": 6 * LINE,
    "SPINS": 6 * LINE + 8,
    "WORKERS": 6 * LINE + 16,  # the caller and the helpers
    "PATIENCE": 6 * LINE + 24,  # how long a job runs before it wakes a helper, in ticks
    "CORES": 7 * LINE,  # the cores that helpers may run on, as a set of bits
    "SLOTS": 8 * LINE,  # one a worker, the caller's first: (asleep, lock, thread id, barred core)
}
JOB = {"JOB_TABLE": 0, "JOB_HOLD": 8, "JOB_PARALLEL": 16, "JOB_COUNT": 24, "JOB_PHASES": 32}
HOLD = {"HOLD_LOCK": 0, "HOLD_USERS": 8, "HOLD_SAVED": 16, "HOLD_GET": 24, "HOLD_SET": 32}

# What one turn of a waiting loop does: tell the core that it waits. (arm64's `yield` is a no-op on
# most cores.)
RELAX = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.isb(i32)", "call void @llvm.aarch64.isb(i32 15)"),
}
# A clock that user code may read. (arm64's cycle counter it may not.)
CLOCK = {
    "x86_64": ("declare i64 @llvm.readcyclecounter()", "call i64 @llvm.readcyclecounter()"),
    "aarch64": (
        'declare i64 @llvm.read_volatile_register.i64(metadata)\n!0 = !{!"cntvct_el0"}',
        "call i64 @llvm.read_volatile_register.i64(metadata !0)",
    ),
}
MACHINES = {
    "AMD64": "x86_64",
    "amd64": "x86_64",
    "x86": "x86_64",
    "arm64": "aarch64",
    "ARM64": "aarch64",
}

# PyThread's locks are the portable way to sleep without holding the GIL: they may be taken and
# released from native code, and released by another thread than the taker (on Linux they are
# semaphores on a futex).
IMPORTS = [
    "PyThread_acquire_lock",
    "PyThread_release_lock",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyBytes_AsString",
    "PyObject_CallObject",
    "Py_IncRef",
    "Py_DecRef",
]

TEXT = Template("""
declare i32 @PyThread_acquire_lock(ptr, i32)
declare void @PyThread_release_lock(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyBytes_AsString(ptr)
declare ptr @PyObject_CallObject(ptr, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
$DECLARE_RELAX
$DECLARE_CLOCK
@_Py_NoneStruct = external global i8

@current_pool = global ptr null      ; null: none has been started in this process
@start_pool = global ptr null        ; the Python callable that starts it

; ---- taking chunks ----

; Take a chunk and run it. False if there was none to take.
define internal i1 @take(ptr %pool) {
entry:
  %function_at = getelementptr i8, ptr %pool, i64 $FUNCTION
  %table_at = getelementptr i8, ptr %pool, i64 $TABLE
  %chunks_at = getelementptr i8, ptr %pool, i64 $CHUNKS
  %pending_at = getelementptr i8, ptr %pool, i64 $PENDING
  %ticket = load atomic i64, ptr %pool acquire, align 8
  %left = and i64 %ticket, 4294967295
  %none = icmp eq i64 %left, 0
  br i1 %none, label %nothing, label %try
try:
  %function = load atomic ptr, ptr %function_at monotonic, align 8
  %table = load atomic ptr, ptr %table_at monotonic, align 8
  %chunks = load atomic i64, ptr %chunks_at monotonic, align 8
  ; (tests delay a worker here)
  %fewer = sub i64 %ticket, 1
  %swap = cmpxchg ptr %pool, i64 %ticket, i64 %fewer acq_rel monotonic
  %taken = extractvalue { i64, i1 } %swap, 1
  br i1 %taken, label %work, label %done          ; another was quicker: look again
work:
  %chunk = sub i64 %chunks, %left
  call void %function(ptr %table, i64 %chunk)
  %pending = atomicrmw sub ptr %pending_at, i64 1 acq_rel
  %last = icmp eq i64 %pending, 1
  br i1 %last, label %next, label %done
next:
  call void @advance(ptr %pool)
  br label %done
done:
  ret i1 true
nothing:
  ret i1 false
}

; Open the next phase; a phase of one chunk is run here and now. Only one thread at a time is ever
; in here: the one that completed a phase, or the caller at the start.
define internal void @advance(ptr %pool) {
entry:
  %function_at = getelementptr i8, ptr %pool, i64 $FUNCTION
  %table_at = getelementptr i8, ptr %pool, i64 $TABLE
  %chunks_at = getelementptr i8, ptr %pool, i64 $CHUNKS
  %pending_at = getelementptr i8, ptr %pool, i64 $PENDING
  %next_at = getelementptr i8, ptr %pool, i64 $NEXT
  %end_at = getelementptr i8, ptr %pool, i64 $END
  %running_at = getelementptr i8, ptr %pool, i64 $RUNNING
  %caller_slot = getelementptr i8, ptr %pool, i64 $SLOTS
  %table = load atomic ptr, ptr %table_at monotonic, align 8
  %end = load ptr, ptr %end_at
  br label %look
look:
  %phase = load ptr, ptr %next_at
  %finished = icmp eq ptr %phase, %end
  br i1 %finished, label %finish, label %open
open:
  %following = getelementptr i8, ptr %phase, i64 16
  store ptr %following, ptr %next_at
  %function = load ptr, ptr %phase
  %size_at = getelementptr i8, ptr %phase, i64 8
  %chunks = load i64, ptr %size_at
  switch i64 %chunks, label %publish [ i64 0, label %look
                                       i64 1, label %single ]
single:
  call void %function(ptr %table, i64 0)
  br label %look
publish:
  store atomic ptr %function, ptr %function_at monotonic, align 8
  store atomic i64 %chunks, ptr %chunks_at monotonic, align 8
  store atomic i64 %chunks, ptr %pending_at monotonic, align 8
  %old = load atomic i64, ptr %pool monotonic, align 8
  %generation = add i64 %old, 4294967296
  %ticket = or i64 %generation, %chunks
  store atomic i64 %ticket, ptr %pool seq_cst, align 8
  call void @wake_one(ptr %pool, i64 %chunks)
  ret void
finish:
  store atomic i64 0, ptr %running_at seq_cst, align 8
  %woken = call i1 @wake(ptr %pool, ptr %caller_slot)
  ret void
}

; ---- waiting, sleeping, waking ----

; Sleep and wake meet as in Dekker's algorithm: the sleeper says "asleep" and then looks for work,
; the other makes work and then looks for sleepers, all sequentially consistent: one of them sees
; the other.
define internal void @sleep(ptr %pool, i64 %worker) {
entry:
  %sleepers_at = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %stop_at = getelementptr i8, ptr %pool, i64 $STOP
  %running_at = getelementptr i8, ptr %pool, i64 $RUNNING
  %slots = getelementptr i8, ptr %pool, i64 $SLOTS
  %offset = mul i64 %worker, $LINE
  %slot = getelementptr i8, ptr %slots, i64 %offset
  %lock_at = getelementptr i8, ptr %slot, i64 8
  %lock = load ptr, ptr %lock_at
  store atomic i64 1, ptr %slot seq_cst, align 8
  %count = atomicrmw add ptr %sleepers_at, i64 1 seq_cst
  %ticket = load atomic i64, ptr %pool seq_cst, align 8
  %left = and i64 %ticket, 4294967295
  %work = icmp ne i64 %left, 0
  br i1 %work, label %stay, label %who
who:
  %is_caller = icmp eq i64 %worker, 0
  br i1 %is_caller, label %caller, label %helper
caller:
  %running = load atomic i64, ptr %running_at seq_cst, align 8
  %finished = icmp eq i64 %running, 0
  br i1 %finished, label %stay, label %block
helper:
  %stop = load atomic i64, ptr %stop_at seq_cst, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %stay, label %block
stay:
  %swap = cmpxchg ptr %slot, i64 1, i64 0 seq_cst seq_cst
  %unseen = extractvalue { i64, i1 } %swap, 1
  br i1 %unseen, label %awake, label %block   ; woken meanwhile: the lock will be released
awake:
  %less = atomicrmw sub ptr %sleepers_at, i64 1 seq_cst
  ret void
block:
  %got = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  ret void
}

; Wake the worker of a slot, if it sleeps.
define internal i1 @wake(ptr %pool, ptr %slot) {
entry:
  %asleep = load atomic i64, ptr %slot seq_cst, align 8
  %sleeps = icmp eq i64 %asleep, 1
  br i1 %sleeps, label %try, label %no
try:
  %swap = cmpxchg ptr %slot, i64 1, i64 0 seq_cst seq_cst
  %mine = extractvalue { i64, i1 } %swap, 1
  br i1 %mine, label %release, label %no
release:
  %sleepers_at = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %less = atomicrmw sub ptr %sleepers_at, i64 1 seq_cst
  %lock_at = getelementptr i8, ptr %slot, i64 8
  %lock = load ptr, ptr %lock_at
  call void @send_elsewhere(ptr %pool, ptr %slot)
  call void @PyThread_release_lock(ptr %lock)
  ret i1 true
no:
  ret i1 false
}

$PLACEMENT
; Wake one sleeper if there are more chunks than workers awake and the job is not a short one, or short ones
; follow each other closely: waking costs the waker 5 to 10 us. One only: the woken one wakes the next.
define internal void @wake_one(ptr %pool, i64 %chunks) {
entry:
  %sleepers_at = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %sleepers = load atomic i64, ptr %sleepers_at seq_cst, align 8
  %some = icmp sgt i64 %sleepers, 0
  br i1 %some, label %count, label %done
count:
  %workers_at = getelementptr i8, ptr %pool, i64 $WORKERS
  %workers = load i64, ptr %workers_at
  %awake = sub i64 %workers, %sleepers
  %wanted = icmp sgt i64 %chunks, %awake
  br i1 %wanted, label %time, label %done
time:
  %started_at = getelementptr i8, ptr %pool, i64 $STARTED
  %patience_at = getelementptr i8, ptr %pool, i64 $PATIENCE
  %started = load atomic i64, ptr %started_at monotonic, align 8
  %patience = load i64, ptr %patience_at
  %now = $CLOCK
  %starved_at = getelementptr i8, ptr %pool, i64 $STARVED
  %starved = load atomic i64, ptr %starved_at monotonic, align 8
  %alone = sub i64 %now, %started
  %elapsed = add i64 %alone, %starved
  %due = icmp sge i64 %elapsed, %patience
  br i1 %due, label %scan, label %done
scan:
  %worker = phi i64 [ 0, %time ], [ %worker_next, %scan_next ]
  %offset = mul i64 %worker, $LINE
  %slots = getelementptr i8, ptr %pool, i64 $SLOTS
  %slot = getelementptr i8, ptr %slots, i64 %offset
  %woken = call i1 @wake(ptr %pool, ptr %slot)
  br i1 %woken, label %done, label %scan_next
scan_next:
  %worker_next = add i64 %worker, 1
  %more = icmp slt i64 %worker_next, %workers
  br i1 %more, label %scan, label %done
done:
  ret void
}

; What a helper thread does: take chunks; with none for a while, sleep; leave when the pool is
; stopped.
define void @help(ptr %pool, i64 %worker) {
entry:
  %spins_at = getelementptr i8, ptr %pool, i64 $SPINS
  %stop_at = getelementptr i8, ptr %pool, i64 $STOP
  %spins = load i64, ptr %spins_at
  br label %loop
loop:
  %idle = phi i64 [ %spins, %entry ], [ %spins, %loop ], [ %spins, %woken ], [ %rest, %wait ]
  %took = call i1 @take(ptr %pool)
  br i1 %took, label %loop, label %idling
idling:
  %stop = load atomic i64, ptr %stop_at monotonic, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %leave, label %patience
patience:
  %tired = icmp sle i64 %idle, 0
  br i1 %tired, label %rest_now, label %wait
wait:
  $RELAX
  %rest = sub i64 %idle, 1
  br label %loop
rest_now:
  call void @sleep(ptr %pool, i64 %worker)
  %ticket = load atomic i64, ptr %pool monotonic, align 8
  %left = and i64 %ticket, 4294967295
  %work = icmp ugt i64 %left, 1
  br i1 %work, label %pass_on, label %woken
pass_on:
  %workers_at = getelementptr i8, ptr %pool, i64 $WORKERS
  call void @wake_one(ptr %pool, i64 %left)
  br label %woken
woken:
  br label %loop
leave:
  ret void
}

; Ask the helpers to leave. Chunks that they hold are completed first.
define void @stop(ptr %pool) {
entry:
  %stop_at = getelementptr i8, ptr %pool, i64 $STOP
  %workers_at = getelementptr i8, ptr %pool, i64 $WORKERS
  %workers = load i64, ptr %workers_at
  store atomic i64 1, ptr %stop_at seq_cst, align 8
  br label %loop
loop:
  %worker = phi i64 [ 0, %entry ], [ %worker_next, %loop ]
  %offset = mul i64 %worker, $LINE
  %slots = getelementptr i8, ptr %pool, i64 $SLOTS
  %slot = getelementptr i8, ptr %slots, i64 %offset
  %woken = call i1 @wake(ptr %pool, ptr %slot)
  %worker_next = add i64 %worker, 1
  %more = icmp slt i64 %worker_next, %workers
  br i1 %more, label %loop, label %done
done:
  ret void
}

; Wait for so many turns of the waiting loop: what SPINS is calibrated with.
define void @spin(ptr %pool, i64 %turns) {
entry:
  br label %loop
loop:
  %left = phi i64 [ %turns, %entry ], [ %rest, %loop ]
  %ticket = load atomic i64, ptr %pool acquire, align 8
  $RELAX
  %rest = sub i64 %left, 1
  %more = icmp sgt i64 %rest, 0
  br i1 %more, label %loop, label %done
done:
  ret void
}

; What the clock says.
define void @read_clock(ptr %answer) {
  %now = $CLOCK
  store i64 %now, ptr %answer
  ret void
}

; ---- running a job ----

define internal void @run_shared(ptr %pool, ptr %job) {
entry:
  %table_from = getelementptr i8, ptr %job, i64 $JOB_TABLE
  %count_from = getelementptr i8, ptr %job, i64 $JOB_COUNT
  %phases = getelementptr i8, ptr %job, i64 $JOB_PHASES
  %table_at = getelementptr i8, ptr %pool, i64 $TABLE
  %next_at = getelementptr i8, ptr %pool, i64 $NEXT
  %end_at = getelementptr i8, ptr %pool, i64 $END
  %started_at = getelementptr i8, ptr %pool, i64 $STARTED
  %running_at = getelementptr i8, ptr %pool, i64 $RUNNING
  %busy_at = getelementptr i8, ptr %pool, i64 $BUSY
  %spins_at = getelementptr i8, ptr %pool, i64 $SPINS
  %spins = load i64, ptr %spins_at
  %table = load ptr, ptr %table_from
  %count = load i64, ptr %count_from
  %size = mul i64 %count, 16
  %end = getelementptr i8, ptr %phases, i64 %size
  store atomic ptr %table, ptr %table_at monotonic, align 8
  store ptr %phases, ptr %next_at
  store ptr %end, ptr %end_at
  %now = $CLOCK
  %parallel_from = getelementptr i8, ptr %job, i64 $JOB_PARALLEL
  %patience_from = getelementptr i8, ptr %pool, i64 $PATIENCE
  %parallel = load i64, ptr %parallel_from
  %patience_long = load i64, ptr %patience_from
  %is_long = icmp ugt i64 %parallel, 1          ; wakes at once: its first chunk may take as long as all others together
  %head = select i1 %is_long, i64 %patience_long, i64 0
  %began = sub i64 %now, %head
  store atomic i64 %began, ptr %started_at monotonic, align 8
  store atomic i64 1, ptr %running_at monotonic, align 8
  %starved_at = getelementptr i8, ptr %pool, i64 $STARVED
  %ended_at = getelementptr i8, ptr %pool, i64 $ENDED
  %patience_at = getelementptr i8, ptr %pool, i64 $PATIENCE
  %ended = load i64, ptr %ended_at
  %patience_now = load i64, ptr %patience_at
  %gap = sub i64 %now, %ended
  %longest = mul i64 %patience_now, 10          ; after that a woken helper would sleep again
  %is_old = icmp sgt i64 %gap, %longest
  %starved_before = load atomic i64, ptr %starved_at monotonic, align 8
  %starved_now = select i1 %is_old, i64 0, i64 %starved_before
  store atomic i64 %starved_now, ptr %starved_at monotonic, align 8
  call void @keep_apart(ptr %pool)
  call void @advance(ptr %pool)
  br label %loop
loop:
  %idle = phi i64 [ %spins, %entry ], [ %spins, %took_one ], [ %spins, %asleep ], [ %rest, %wait ]
  %running = load atomic i64, ptr %running_at acquire, align 8
  %finished = icmp eq i64 %running, 0
  br i1 %finished, label %done, label %work
work:
  %took = call i1 @take(ptr %pool)
  br i1 %took, label %took_one, label %patience
took_one:           ; a long phase may be worth waking somebody for by now
  %ticket = load atomic i64, ptr %pool monotonic, align 8
  %left = and i64 %ticket, 4294967295
  call void @wake_one(ptr %pool, i64 %left)
  br label %loop
patience:
  %tired = icmp sle i64 %idle, 0
  br i1 %tired, label %asleep, label %wait
wait:
  $RELAX
  %rest = sub i64 %idle, 1
  br label %loop
asleep:             ; gives this core to a helper that was preempted with a chunk
  call void @lift_bars(ptr %pool)
  call void @sleep(ptr %pool, i64 0)
  br label %loop
done:
  %end_time = $CLOCK
  %took_time = sub i64 %end_time, %now
  %sleepers_at = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %sleepers = load atomic i64, ptr %sleepers_at monotonic, align 8
  %nobody = icmp eq i64 %sleepers, 0
  %more_starved = add i64 %starved_now, %took_time
  %starved_then = select i1 %nobody, i64 0, i64 %more_starved
  store atomic i64 %starved_then, ptr %starved_at monotonic, align 8
  store i64 %end_time, ptr %ended_at
  store atomic i64 0, ptr %busy_at release, align 8
  ret void
}

define internal void @run_alone(ptr %job) {
entry:
  %table_from = getelementptr i8, ptr %job, i64 $JOB_TABLE
  %count_from = getelementptr i8, ptr %job, i64 $JOB_COUNT
  %phases = getelementptr i8, ptr %job, i64 $JOB_PHASES
  %table = load ptr, ptr %table_from
  %count = load i64, ptr %count_from
  br label %phase_loop
phase_loop:
  %index = phi i64 [ 0, %entry ], [ %index_next, %phase_done ]
  %more = icmp slt i64 %index, %count
  br i1 %more, label %phase, label %done
phase:
  %offset = mul i64 %index, 16
  %phase_at = getelementptr i8, ptr %phases, i64 %offset
  %size_at = getelementptr i8, ptr %phase_at, i64 8
  %function = load ptr, ptr %phase_at
  %chunks = load i64, ptr %size_at
  br label %chunk_loop
chunk_loop:
  %chunk = phi i64 [ 0, %phase ], [ %chunk_next, %chunk_work ]
  %some = icmp slt i64 %chunk, %chunks
  br i1 %some, label %chunk_work, label %phase_done
chunk_work:
  call void %function(ptr %table, i64 %chunk)
  %chunk_next = add i64 %chunk, 1
  br label %chunk_loop
phase_done:
  %index_next = add i64 %index, 1
  br label %phase_loop
done:
  ret void
}

; With the helpers if the job has something to share, there are helpers and no other caller has
; them; else alone.
define void @execute(ptr %pool, ptr %job) {
entry:
  %hold_from = getelementptr i8, ptr %job, i64 $JOB_HOLD
  %parallel_from = getelementptr i8, ptr %job, i64 $JOB_PARALLEL
  %hold = load ptr, ptr %hold_from
  %parallel = load i64, ptr %parallel_from
  %holds = icmp ne ptr %hold, null
  br i1 %holds, label %enter, label %choose
enter:
  call void @hold_enter(ptr %hold)
  br label %choose
choose:
  %shares = icmp ne i64 %parallel, 0
  %exists = icmp ne ptr %pool, null
  %both = and i1 %shares, %exists
  br i1 %both, label %helped, label %alone
helped:
  %workers_at = getelementptr i8, ptr %pool, i64 $WORKERS
  %workers = load i64, ptr %workers_at
  %several = icmp sgt i64 %workers, 1
  br i1 %several, label %claim, label %alone
claim:
  %busy_at = getelementptr i8, ptr %pool, i64 $BUSY
  %swap = cmpxchg ptr %busy_at, i64 0, i64 1 acquire monotonic
  %mine = extractvalue { i64, i1 } %swap, 1
  br i1 %mine, label %shared, label %alone
shared:
  call void @run_shared(ptr %pool, ptr %job)
  br label %end
alone:
  call void @run_alone(ptr %job)
  br label %end
end:
  br i1 %holds, label %leave, label %done
leave:
  call void @hold_leave(ptr %hold)
  br label %done
done:
  ret void
}

; Run a job without the GIL, on the pool if there is something to share; it is made at the first such job. False after
; a Python exception.
define internal i1 @run_job(ptr %job) {
entry:
  %parallel_from = getelementptr i8, ptr %job, i64 $JOB_PARALLEL
  %parallel = load i64, ptr %parallel_from
  %pool_now = load atomic ptr, ptr @current_pool acquire, align 8
  %shares = icmp ne i64 %parallel, 0
  %missing = icmp eq ptr %pool_now, null
  %start = and i1 %shares, %missing
  br i1 %start, label %create, label %run
create:
  %callable = load ptr, ptr @start_pool
  %answer = call ptr @PyObject_CallObject(ptr %callable, ptr null)
  %failed = icmp eq ptr %answer, null
  br i1 %failed, label %error, label %created
created:
  call void @Py_DecRef(ptr %answer)
  %pool_new = load atomic ptr, ptr @current_pool acquire, align 8
  br label %run
run:
  %pool = phi ptr [ %pool_now, %entry ], [ %pool_new, %created ]
  %thread = call ptr @PyEval_SaveThread()
  call void @execute(ptr %pool, ptr %job)
  call void @PyEval_RestoreThread(ptr %thread)
  ret i1 true
error:
  ret i1 false
}

; Job.run as CPython calls it, `record` being the bytes object that holds the job: a builtin
; function, because a call through ctypes costs several times as much.
define ptr @run_builtin(ptr %record, ptr %ignored) {
entry:
  %job = call ptr @PyBytes_AsString(ptr %record)
  %ran = call i1 @run_job(ptr %job)
  br i1 %ran, label %done, label %error
done:
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
error:
  ret ptr null
}

define void @set_pool(ptr %pool, ptr %start) {
  store ptr %start, ptr @start_pool
  store atomic ptr %pool, ptr @current_pool release, align 8
  ret void
}

; ---- BLAS at one thread ----

; The number of BLAS's threads belongs to the process: the first who enters notes it and sets one,
; the last who leaves sets it back, unless the user has changed it meanwhile.
define internal void @hold_lock(ptr %hold) {
entry:
  br label %loop
loop:
  %old = atomicrmw xchg ptr %hold, i64 1 acquire
  %taken = icmp eq i64 %old, 0
  br i1 %taken, label %done, label %wait
wait:
  $RELAX
  br label %loop
done:
  ret void
}

define void @hold_enter(ptr %hold) {
entry:
  call void @hold_lock(ptr %hold)
  %users_at = getelementptr i8, ptr %hold, i64 $HOLD_USERS
  %users = load i64, ptr %users_at
  %more = add i64 %users, 1
  store i64 %more, ptr %users_at
  %first = icmp eq i64 %users, 0
  br i1 %first, label %set, label %done
set:
  %get_at = getelementptr i8, ptr %hold, i64 $HOLD_GET
  %set_at = getelementptr i8, ptr %hold, i64 $HOLD_SET
  %saved_at = getelementptr i8, ptr %hold, i64 $HOLD_SAVED
  %get = load ptr, ptr %get_at
  %set_threads = load ptr, ptr %set_at
  %threads = call i32 %get()
  store i32 %threads, ptr %saved_at
  %several = icmp ne i32 %threads, 1
  br i1 %several, label %change, label %done
change:
  call void %set_threads(i32 1)
  br label %done
done:
  store atomic i64 0, ptr %hold release, align 8
  ret void
}

define void @hold_leave(ptr %hold) {
entry:
  call void @hold_lock(ptr %hold)
  %users_at = getelementptr i8, ptr %hold, i64 $HOLD_USERS
  %users = load i64, ptr %users_at
  %fewer = sub i64 %users, 1
  store i64 %fewer, ptr %users_at
  %last = icmp eq i64 %users, 1
  br i1 %last, label %look, label %done
look:
  %get_at = getelementptr i8, ptr %hold, i64 $HOLD_GET
  %set_at = getelementptr i8, ptr %hold, i64 $HOLD_SET
  %saved_at = getelementptr i8, ptr %hold, i64 $HOLD_SAVED
  %get = load ptr, ptr %get_at
  %set_threads = load ptr, ptr %set_at
  %saved = load i32, ptr %saved_at
  %threads = call i32 %get()
  %ours = icmp eq i32 %threads, 1
  %differs = icmp ne i32 %saved, 1
  %restore = and i1 %ours, %differs
  br i1 %restore, label %change, label %done
change:
  call void %set_threads(i32 %saved)
  br label %done
done:
  store atomic i64 0, ptr %hold release, align 8
  ret void
}
""")


# Linux wakes a thread on the core of its waker if no other core looks idle to it, and on virtual
# machines a core that has been idle for a millisecond does not (the host has taken it away): helper
# and caller then shared one core for 1.8 ms beside an idle one. So the waker bars its own core to
# the helper. The bar stays, because a system call costs 3 us, until the caller itself goes to
# sleep: then its core is the one to run a helper that was preempted. Two who change a bar at once
# may leave the note and the fact different; that costs time, and the next change ends it.
PLACEMENT = Template("""
declare i32 @sched_getcpu()
declare i32 @sched_setaffinity(i32, i64, ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal void @send_elsewhere(ptr %pool, ptr %slot) {
entry:
  %others = alloca [$CORES_SIZE x i8]
  %thread_at = getelementptr i8, ptr %slot, i64 16
  %barred_at = getelementptr i8, ptr %slot, i64 24
  %thread = load i64, ptr %thread_at
  %is_helper = icmp ne i64 %thread, 0
  br i1 %is_helper, label %look, label %done
look:
  %core = call i32 @sched_getcpu()
  %core_wide = zext i32 %core to i64
  %bar = add i64 %core_wide, 1
  %barred = load atomic i64, ptr %barred_at monotonic, align 8
  %already = icmp eq i64 %bar, %barred
  br i1 %already, label %done, label %set
set:
  %cores = getelementptr i8, ptr %pool, i64 $CORES
  call void @llvm.memcpy.p0.p0.i64(ptr %others, ptr %cores, i64 $CORES_SIZE, i1 false)
  %word = lshr i64 %core_wide, 6
  %bit = and i64 %core_wide, 63
  %inside = and i64 %word, 15
  %word_at = getelementptr i64, ptr %others, i64 %inside
  %mask = shl i64 1, %bit
  %inverse = xor i64 %mask, -1
  %old = load i64, ptr %word_at
  %new = and i64 %old, %inverse
  store i64 %new, ptr %word_at
  %id = trunc i64 %thread to i32
  %result = call i32 @sched_setaffinity(i32 %id, i64 $CORES_SIZE, ptr %others) ; may fail
  store atomic i64 %bar, ptr %barred_at monotonic, align 8
  br label %done
done:
  ret void
}

; The caller may have moved to a helper's core since it woke it: nothing but a core number to compare, as a rule.
define internal void @keep_apart(ptr %pool) {
entry:
  %workers_at = getelementptr i8, ptr %pool, i64 $WORKERS
  %workers = load i64, ptr %workers_at
  br label %loop
loop:
  %worker = phi i64 [ 1, %entry ], [ %worker_next, %look ]
  %more = icmp slt i64 %worker, %workers
  br i1 %more, label %look, label %done
look:
  %offset = mul i64 %worker, $LINE
  %slots = getelementptr i8, ptr %pool, i64 $SLOTS
  %slot = getelementptr i8, ptr %slots, i64 %offset
  call void @send_elsewhere(ptr %pool, ptr %slot)
  %worker_next = add i64 %worker, 1
  br label %loop
done:
  ret void
}

define internal void @lift_bars(ptr %pool) {
entry:
  %workers_at = getelementptr i8, ptr %pool, i64 $WORKERS
  %workers = load i64, ptr %workers_at
  %cores = getelementptr i8, ptr %pool, i64 $CORES
  br label %loop
loop:
  %worker = phi i64 [ 1, %entry ], [ %worker_next, %next ]
  %more = icmp slt i64 %worker, %workers
  br i1 %more, label %look, label %done
look:
  %offset = mul i64 %worker, $LINE
  %slots = getelementptr i8, ptr %pool, i64 $SLOTS
  %slot = getelementptr i8, ptr %slots, i64 %offset
  %thread_at = getelementptr i8, ptr %slot, i64 16
  %barred_at = getelementptr i8, ptr %slot, i64 24
  %barred = load atomic i64, ptr %barred_at monotonic, align 8
  %is_barred = icmp ne i64 %barred, 0
  br i1 %is_barred, label %lift, label %next
lift:
  %thread = load i64, ptr %thread_at
  %id = trunc i64 %thread to i32
  %result = call i32 @sched_setaffinity(i32 %id, i64 $CORES_SIZE, ptr %cores)
  store atomic i64 0, ptr %barred_at monotonic, align 8
  br label %next
next:
  %worker_next = add i64 %worker, 1
  br label %loop
done:
  ret void
}
""")
NO_PLACEMENT = """
define internal void @keep_apart(ptr %pool) {
  ret void
}

define internal void @send_elsewhere(ptr %pool, ptr %slot) {
  ret void
}
define internal void @lift_bars(ptr %pool) {
  ret void
}
"""
CORES_SIZE = LINE  # bytes: 1024 cores


def scheduler_text() -> str:
    """The scheduler's LLVM IR for this machine."""
    machine = MACHINES.get(platform.machine(), platform.machine())
    relax_declaration, relax = RELAX.get(machine, ("", ""))
    clock_declaration, clock = CLOCK.get(machine, ("", "add i64 0, 0"))
    placement = NO_PLACEMENT
    if sys.platform == "linux":
        placement = PLACEMENT.substitute(POOL, LINE=LINE, CORES_SIZE=CORES_SIZE)
    instructions = {
        "DECLARE_RELAX": relax_declaration,
        "RELAX": relax,
        "DECLARE_CLOCK": clock_declaration,
        "CLOCK": clock,
        "PLACEMENT": placement,
    }
    return TEXT.substitute({**POOL, **JOB, **HOLD, **instructions}, LINE=LINE) + calls.calls_text(JOB)


class Library:
    """A compiled module. Its code is never freed, because helper threads may be in it."""

    def __init__(self, text: str, optimization: int = 1) -> None:
        from llvmlite import binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        for name in (*IMPORTS, *calls.IMPORTS):
            function = getattr(ctypes.pythonapi, name)
            llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
        for name, value in (("_Py_NoneStruct", None), ("_Py_TrueStruct", True), ("_Py_FalseStruct", False)):
            llvm.add_symbol(name, id(value))
        llvm.add_symbol("PyArray_Empty", calls.array_maker())
        machine = llvm.Target.from_default_triple().create_target_machine(opt=optimization, jit=True)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)
        self._engine.finalize_object()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._engine))

    def address(self, name: str) -> int:
        """Where the function of this name starts."""
        return int(self._engine.get_function_address(name))

    def function(self, name: str, *kinds: type) -> Callable[..., None]:
        """The function of this name for Python, called without the GIL."""
        return ctypes.CFUNCTYPE(None, *kinds)(self.address(name))


@functools.cache
def library() -> Library:
    """The scheduler, compiled at the first call.

    Not optimized: that took 60 to 150 ms instead of 15, and what costs here is the memory traffic
    between cores.
    """
    return Library(scheduler_text(), optimization=0)
