"""The worker pool under stress: every chunk once, phases in order, whatever helpers do."""

import functools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from rushlight.compiler import scheduler, workers
from rushlight.compiler.workers import Job

PHASES = """
; counts[chunk] += 1
define void @count(ptr %table, i64 %chunk) {
  %counts = load ptr, ptr %table
  %at = getelementptr i64, ptr %counts, i64 %chunk
  %old = atomicrmw add ptr %at, i64 1 monotonic
  ret void
}

; to[chunk] = 3 * from[size - 1 - chunk] + chunk, for table = (from, to, size)
define internal void @mix(ptr %from, ptr %to, ptr %table, i64 %chunk) {
  %size_at = getelementptr i64, ptr %table, i64 2
  %size = load i64, ptr %size_at
  %last = sub i64 %size, 1
  %mirrored = sub i64 %last, %chunk
  %from_at = getelementptr i64, ptr %from, i64 %mirrored
  %value = load i64, ptr %from_at
  %tripled = mul i64 %value, 3
  %sum = add i64 %tripled, %chunk
  %to_at = getelementptr i64, ptr %to, i64 %chunk
  store i64 %sum, ptr %to_at
  ret void
}
define void @forth(ptr %table, i64 %chunk) {
  %second_at = getelementptr ptr, ptr %table, i64 1
  %first = load ptr, ptr %table
  %second = load ptr, ptr %second_at
  call void @mix(ptr %first, ptr %second, ptr %table, i64 %chunk)
  ret void
}
define void @back(ptr %table, i64 %chunk) {
  %second_at = getelementptr ptr, ptr %table, i64 1
  %first = load ptr, ptr %table
  %second = load ptr, ptr %second_at
  call void @mix(ptr %second, ptr %first, ptr %table, i64 %chunk)
  ret void
}

; Like count, after about 0.1 ms.
define void @slow(ptr %table, i64 %chunk) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %next = add i64 %i, 1
  %at = getelementptr i64, ptr %table, i64 1
  store volatile i64 %i, ptr %at
  %more = icmp slt i64 %next, 100000
  br i1 %more, label %loop, label %done
done:
  call void @count(ptr %table, i64 %chunk)
  ret void
}
"""

# A delay between reading the ticket and swapping it, at every fifth taking: long enough for the
# others to complete the phase, and often the whole job and the beginning of the next.
DELAY_AT = "  ; (tests delay a worker here)"
DELAY = """
  call void @delay()
"""
DELAY_FUNCTION = """
@takings = global i64 0
@sink = global i64 0
define internal void @delay() {
entry:
  %taking = atomicrmw add ptr @takings, i64 1 monotonic
  %phase = urem i64 %taking, 5
  %late = icmp eq i64 %phase, 0
  br i1 %late, label %loop, label %done
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %next = add i64 %i, 1
  store volatile i64 %i, ptr @sink
  %more = icmp slt i64 %next, 20000
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


@functools.cache
def phase_library():
    return scheduler.Library(PHASES)


@functools.cache
def delayed_library():
    text = scheduler.scheduler_text()
    assert text.count(DELAY_AT) == 1
    return scheduler.Library(text.replace(DELAY_AT, DELAY) + DELAY_FUNCTION)


def phase(name):
    return phase_library().address(name)


@pytest.fixture(autouse=True)
def restore_num_threads():
    before = workers.get_num_threads()
    yield
    workers.set_num_threads(before)


@pytest.fixture(params=[1, 2, 4])
def num_threads(request):
    workers.set_num_threads(request.param)
    return request.param


@pytest.fixture(params=[0, 50])
def delayed_workers(request, monkeypatch):
    """A scheduler of its own whose workers are late at the worst moment, spinning or not."""
    monkeypatch.setenv("RUSHLIGHT_SPIN_US", str(request.param))
    monkeypatch.setattr(scheduler, "library", delayed_library)
    monkeypatch.setattr(workers, "_state", workers._State())
    workers._definition.cache_clear()
    workers.set_num_threads(4)
    yield
    if workers._state.pool is not None:
        workers._state.pool.stop()
    workers._definition.cache_clear()


class Counted:
    """Phases of the given numbers of chunks, and how often each chunk has run."""

    def __init__(self, sizes, name="count"):
        self.counts = np.zeros(max(sizes, default=1), np.int64)
        self.sizes = sizes
        self.table = np.array([self.counts.ctypes.data, 0], np.uint64)
        self.job = Job([(phase(name), size) for size in sizes], self.table.ctypes.data)
        self.runs = 0

    def run(self, times=1):
        for _ in range(times):
            self.job.run()
        self.runs += times

    def check(self):
        chunks = np.arange(len(self.counts))
        expected = sum((chunks < size).astype(np.int64) for size in self.sizes)
        np.testing.assert_array_equal(self.counts, expected * self.runs)


class Mixed:
    """Phases each of which needs all of the one before."""

    def __init__(self, size, rounds):
        self.arrays = np.arange(size), np.zeros(size, np.int64)
        self.expected = self.arrays[0].copy()
        self.rounds = rounds
        self.table = np.array([*(x.ctypes.data for x in self.arrays), size], np.uint64)
        phases = [(phase("forth"), size), (phase("back"), size)] * rounds
        self.job = Job(phases, self.table.ctypes.data)

    def run(self, times=1):
        chunks = np.arange(len(self.expected))
        for _ in range(times):
            self.job.run()
            for _ in range(2 * self.rounds):
                self.expected = 3 * self.expected[::-1] + chunks

    def check(self):
        np.testing.assert_array_equal(self.arrays[0], self.expected)


SIZES = {
    "nothing": [],
    "empty phases": [0, 0],
    "one chunk": [1],
    "single": [1, 1, 1],
    "two": [2],
    "odd": [1, 7, 0, 1, 1, 3, 64, 0],
    "many chunks": [5000],
    "many phases": [2, 3] * 100,
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_every_chunk_runs_once(num_threads, sizes):
    counted = Counted(sizes)
    for _ in range(10):
        counted.run(20)
        counted.check()


@pytest.mark.parametrize("size", [2, 3, 17, 300])
def test_phases_run_in_order(num_threads, size):
    mixed = Mixed(size, rounds=20)
    for _ in range(10):
        mixed.run(10)
        mixed.check()


def test_thousands_of_small_runs(num_threads):
    counted = Counted([2, 1, 4])
    counted.run(5000)
    counted.check()


@pytest.mark.parametrize("spin", [0, 50])
def test_sleeping_and_waking(monkeypatch, spin):
    """Chunks long enough for the others to fall asleep while one is running."""
    monkeypatch.setenv("RUSHLIGHT_SPIN_US", str(spin))
    workers.set_num_threads(3)
    counted = Counted([1, 2, 3, 1, 6, 2], name="slow")
    counted.run(50)
    counted.check()


def test_late_workers_do_no_harm(delayed_workers):
    jobs = [Counted([2, 3, 5, 1, 2]), Mixed(4, rounds=3), Counted([40]), Mixed(2, rounds=10)]
    for _ in range(50):
        for job in jobs:
            job.run(2)
            job.check()


def run_on_threads(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()


def test_callers_at_the_same_time(num_threads):
    jobs = [Counted([3, 1, 9]), Mixed(5, rounds=4), Counted([2] * 20), Mixed(30, rounds=2)]
    run_on_threads(*(functools.partial(job.run, 300) for job in jobs))
    for job in jobs:
        job.check()


def test_late_workers_and_several_callers(delayed_workers):
    jobs = [Counted([3, 1, 9]), Mixed(5, rounds=4), Counted([2] * 20)]
    run_on_threads(*(functools.partial(job.run, 30) for job in jobs))
    for job in jobs:
        job.check()


def test_set_num_threads_while_jobs_run():
    workers.set_num_threads(2)
    jobs = [Counted([3, 1, 9]), Mixed(5, rounds=4)]

    def change():
        for number in [1, 3, 2, 4] * 3:
            workers.set_num_threads(number)

    run_on_threads(change, *(functools.partial(job.run, 300) for job in jobs))
    for job in jobs:
        job.check()
    assert workers.get_num_threads() == 4


def test_helpers_leave_with_their_pool():
    def helpers():
        return [x for x in threading.enumerate() if x.name.startswith("rushlight-")]

    workers.set_num_threads(4)
    Counted([4]).run()
    assert len(helpers()) == 3
    workers.set_num_threads(1)
    assert helpers() == []


def test_wrong_numbers():
    with pytest.raises(ValueError, match="at least one thread"):
        workers.set_num_threads(0)
    with pytest.raises(ValueError, match="chunks"):
        Job([(phase("count"), -1)], 0)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RUSHLIGHT_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5,2"}, 5),
    ],
)
def test_environment(monkeypatch, variables, expected):
    for name in ("RUSHLIGHT_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert workers._default_num_threads() == expected


def run_script(body):
    """In a process of its own, with this file's names at hand; it has to end by itself."""
    folder = os.path.dirname(__file__)
    start = f"import sys; sys.path.insert(0, {folder!r}); from test_workers import *\n"
    command = [sys.executable, "-W", "ignore", "-c", start + body]
    return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_starts_anew():
    run_script("""
workers.set_num_threads(3)
counted = Counted([3, 1, 9])
counted.run(100)
for _ in range(3):
    child = os.fork()
    counted.run(100)
    counted.check()
    helpers = [x for x in threading.enumerate() if x.name.startswith("rushlight-")]
    assert len(helpers) == 2 and workers._state.pool.threads == helpers
    if child == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""")


@pytest.mark.parametrize("spin", ["0", "50", "10000000"])
def test_exit_does_not_hang(monkeypatch, spin):
    """With helpers asleep or spinning, a caller inside a job elsewhere, a job at exit."""
    monkeypatch.setenv("RUSHLIGHT_SPIN_US", spin)
    output = run_script("""
import atexit
workers.set_num_threads(3)
busy, last = Counted([3, 1, 9], "slow"), Counted([5])
def for_ever():
    while True:
        busy.run()
@atexit.register
def at_exit():
    last.run()
    last.check()
    print("done")
# The last handler registered is called first: the pool ends before at_exit runs its job.
atexit.unregister(workers._end)
atexit.register(workers._end)
threading.Thread(target=for_ever, daemon=True).start()
last.run(20)
""")
    assert output == "done\n"
