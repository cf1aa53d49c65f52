"""What running a compiled program's loops on several threads costs and brings (compiler/workers.py).

Prints the cost of a run, of a barrier and of waking a helper, and a synthetic program's time on one
and on two threads, alone and with one core kept busy by another process.

    python benchmarks/workers.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from rushlight.compiler import scheduler, workers
from rushlight.compiler.workers import Job

PHASES = """
define void @empty(ptr %table, i64 %chunk) {
  ret void
}

; Wait until both chunks are taken: two threads are surely at work. table[0]: arrivals so far.
; (No phase of a program may do this: it needs a helper, so here jobs wake one at once.)
define void @meet(ptr %table, i64 %chunk) {
entry:
  %before = atomicrmw add ptr %table, i64 1 acq_rel
  %even = and i64 %before, -2
  %both = add i64 %even, 2
  br label %wait
wait:
  %now = load atomic i64, ptr %table acquire, align 8
  %missing = icmp slt i64 %now, %both
  br i1 %missing, label %wait, label %done
done:
  ret void
}

; table[0] turns of a chain of multiplications (4 cycles each)
define void @work(ptr %table, i64 %chunk) {
entry:
  %turns = load i64, ptr %table
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %x = phi double [ 1.0, %entry ], [ %y, %loop ]
  %y = fmul double %x, 0x3FEFFFFFFFFFFFFF
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %turns
  br i1 %more, label %loop, label %done
done:
  %at = getelementptr double, ptr %table, i64 1
  store volatile double %y, ptr %at
  ret void
}
"""

BUSY = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


def times(run: Callable[[], object], repeats: int, number: int = 1, pause: float = 0.0) -> list[float]:
    """Microseconds of one call, `repeats` times; `number` calls are timed together."""
    found = []
    for _ in range(repeats):
        if pause:
            time.sleep(pause)
        start = time.perf_counter()
        for _ in range(number):
            run()
        found.append((time.perf_counter() - start) / number * 1e6)
    return found


def report(title: str, found: list[float], phases: int = 1) -> None:
    """One line: least, median and ninetieth percentile, for each phase."""
    ordered = sorted(value / phases for value in found)
    ninetieth = ordered[len(ordered) * 9 // 10]
    print(f"{title:<58}{ordered[0]:9.3f}{statistics.median(ordered):9.3f}{ninetieth:9.3f} us")


def overheads(library: scheduler.Library) -> None:
    """What a run, a barrier and a wake-up cost."""
    empty, meet = library.address("empty"), library.address("meet")
    usual_patience, workers.WAKE_AFTER_MICROSECONDS = workers.WAKE_AFTER_MICROSECONDS, 0.0
    workers.set_num_threads(1)
    workers.set_num_threads(2)
    arrivals = np.zeros(2, np.int64)
    report("a Python function that does nothing", times(lambda: None, 50, 2000))
    report("run, 1 phase of 1 chunk", times(Job([(empty, 1)], 0).run, 50, 2000))
    report("run, 1 phase of 1 chunk, holding BLAS", times(Job([(empty, 1)], 0, True).run, 50, 2000))
    report("run, 1 phase of 2 chunks", times(Job([(empty, 2)], 0).run, 50, 2000))
    report("run, 1 phase of 2 chunks, holding BLAS", times(Job([(empty, 2)], 0, True).run, 50, 2000))
    for chunks in (2, 16):
        job = Job([(empty, chunks)] * 100, 0)
        report(f"a phase of {chunks} empty chunks, of 100", times(job.run, 200), 100)
    meeting = Job([(meet, 2)] * 100, arrivals.ctypes.data)
    report("a phase in which two threads meet, of 100 (barrier)", times(meeting.run, 200), 100)
    once = Job([(meet, 2)], arrivals.ctypes.data)
    report("a run in which two threads meet, helper awake", times(once.run, 200, 50))
    report("a run in which two threads meet, helper asleep (wake)", times(once.run, 200, pause=2e-3))
    asleep = Job([(empty, 2)], 0)
    report("a run that wakes the helper and goes on", times(asleep.run, 200, pause=2e-3))
    workers.WAKE_AFTER_MICROSECONDS = usual_patience
    workers.set_num_threads(1)
    workers.set_num_threads(2)
    report("a short run that lets it sleep", times(asleep.run, 200, pause=2e-3))


def program(library: scheduler.Library, chunk_microseconds: float) -> tuple[Job, np.ndarray]:
    """20 phases of 8 chunks of about so many microseconds, with a phase of one chunk between."""
    table = np.array([int(chunk_microseconds * 800), 0], np.int64)
    work, empty = library.address("work"), library.address("empty")
    return Job([(work, 8), (empty, 1)] * 20, table.ctypes.data), table


def speedups(library: scheduler.Library, circumstances: str) -> None:
    """The same program on one and on two threads."""
    for chunk_microseconds in (1, 10, 100):
        job, _table = program(library, chunk_microseconds)
        for num_threads in (1, 2):
            workers.set_num_threads(num_threads)
            job.run()
            title = f"{circumstances}: 20 x 8 chunks of {chunk_microseconds} us, {num_threads} threads"
            report(title, times(job.run, 100, pause=1e-4))


def main() -> None:
    library = scheduler.Library(PHASES)
    start = time.perf_counter()
    scheduler.Library(scheduler.scheduler_text(), optimization=0)
    print(f"compiling the scheduler: {(time.perf_counter() - start) * 1e3:.1f} ms")
    print(f"{'':<58}{'least':>9}{'median':>9}{'90%':>9}")
    overheads(library)
    speedups(library, "alone")
    if hasattr(os, "sched_getaffinity"):
        core = max(os.sched_getaffinity(0))
        busy = subprocess.Popen([sys.executable, "-c", BUSY, str(core)])
        try:
            time.sleep(0.2)
            speedups(library, "one core taken")
        finally:
            busy.kill()
            busy.wait()


if __name__ == "__main__":
    main()
