"""Loading by worker processes against PyTorch's: the same batches, numbers, errors; and processes that end."""

import gc
import os
import random
import re
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

import rushlight
import rushlight.utils.data as ours
from rushlight.utils.data import channel

torch = pytest.importorskip("torch")
theirs = torch.utils.data
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the datasets here are local: workers must be forked")


@pytest.fixture(autouse=True)
def few_cores_are_enough(monkeypatch):
    """More workers than cores are no fault here."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def plain(value):
    """Tensors of either library as (dtype, nested lists); containers as they are."""
    if isinstance(value, (rushlight.Tensor, torch.Tensor)):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


class Squares:
    """One of everything in a sample."""

    def __init__(self, count=23):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return {"array": np.full(5, i * i, np.float32), "number": i, "nested": (i / 2, [str(i)])}


class Draws:
    """Samples that are random numbers, of all three generators."""

    def __init__(self, library):
        self.library = library

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return self.library.rand(2), random.random(), np.random.rand(2)  # noqa: NPY002 - what is seeded


class Eager:
    """A sampler that draws when its iterator is made."""

    def __init__(self, library):
        self.library = library

    def __iter__(self):
        return iter(self.library.randperm(10).tolist())

    def __len__(self):
        return 10


def stream(data, lengths):
    """A dataset that is a stream; worker i has `lengths[i]` samples."""

    class Stream(data.IterableDataset):
        def __iter__(self):
            info = data.get_worker_info()
            number = 0 if info is None else info.id
            return iter(range(100 * number, 100 * number + lengths[number]))

    return Stream()


def same_passes(make, passes=2):
    """Makes a loader with both libraries, compares passes, and afterwards the state of the default generators."""
    rushlight.manual_seed(3)
    torch.manual_seed(3)
    a, b = make(rushlight, ours), make(torch, theirs)
    for _ in range(passes):
        assert [plain(batch) for batch in a] == [plain(batch) for batch in b]
        np.testing.assert_array_equal(rushlight.get_rng_state(), torch.get_rng_state().numpy())


# ---------------------------------------------------------------- the same batches


@pytest.mark.parametrize("num_workers", [0, 1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 4},
        {"batch_size": 4, "shuffle": True, "drop_last": True},
        {"batch_size": None, "shuffle": True},
        {"batch_size": 2, "collate_fn": lambda samples: [sample["number"] for sample in samples]},
    ],
    ids=["in order", "shuffled", "single samples", "collate_fn"],
)
def test_batches(num_workers, options):
    same_passes(lambda t, d: d.DataLoader(Squares(), num_workers=num_workers, **options))


def test_workers_that_stay():
    same_passes(
        lambda t, d: d.DataLoader(Squares(), batch_size=5, shuffle=True, num_workers=2, persistent_workers=True), 3
    )


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("option", ["sampler", "batches of one", "batch_sampler"])
def test_samplers_draw_when_pytorchs_do(num_workers, option):
    def make(t, d):
        options = {
            "sampler": dict(sampler=Eager(t), batch_size=3),
            "batches of one": dict(sampler=Eager(t), batch_size=None),
            "batch_sampler": dict(batch_sampler=d.BatchSampler(Eager(t), 4, False)),
        }[option]
        return d.DataLoader(Squares(10), num_workers=num_workers, **options)

    same_passes(make)


def test_the_sampler_is_asked_ahead_as_pytorch_asks():
    def make(t, d):
        generator = t.Generator().manual_seed(5)
        options = dict(batch_size=2, sampler=d.RandomSampler(range(30), True, 90, generator), prefetch_factor=3)
        return d.DataLoader(Squares(30), num_workers=2, generator=generator, **options)

    same_passes(make)


@pytest.mark.parametrize("options", [{"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}])
@pytest.mark.parametrize("persistent", [False, True])
def test_streams_of_different_lengths(options, persistent):
    def make(t, d):
        return d.DataLoader(stream(d, [7, 0, 20]), num_workers=3, persistent_workers=persistent, **options)

    same_passes(make)


@pytest.mark.parametrize("persistent", [False, True])
def test_random_numbers_in_workers_are_pytorchs(persistent):
    same_passes(lambda t, d: d.DataLoader(Draws(t), batch_size=2, num_workers=2, persistent_workers=persistent))


@pytest.mark.parametrize("persistent", [False, True])
def test_a_pass_that_is_left_early(persistent):
    def make(t, d):
        loader = d.DataLoader(Squares(), batch_size=2, shuffle=True, num_workers=2, persistent_workers=persistent)
        for _ in loader:
            break
        return loader

    same_passes(make, passes=3)


def test_batches_as_they_are_ready():
    loader = ours.DataLoader(Squares(40), batch_size=4, num_workers=2, in_order=False)
    numbers = [number for batch in loader for number in batch["number"].tolist()]
    assert sorted(numbers) == list(range(40))


def test_what_a_worker_knows():
    def make(t, d):
        class Me:
            def __len__(self):
                return 4

            def __getitem__(self, i):
                info = d.get_worker_info()
                return info.id, info.num_workers, info.seed, info.dataset is self, self.marked

        def mark(worker):
            d.get_worker_info().dataset.marked = 10 * worker

        assert d.get_worker_info() is None
        return d.DataLoader(Me(), num_workers=2, worker_init_fn=mark)

    same_passes(make)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_ways_to_start(method):
    def make(t, d):
        data = d.TensorDataset(t.arange(10.0), t.arange(20).reshape(10, 2))
        return d.DataLoader(data, batch_size=4, shuffle=True, num_workers=1, multiprocessing_context=method)

    same_passes(make, passes=1)


# ---------------------------------------------------------------- memory


def test_batches_that_are_kept_stay_as_they_are():
    kept = list(ours.DataLoader(Squares(200), batch_size=4, num_workers=2))
    assert [batch["array"][:, 0].tolist() for batch in kept[:2]] == [[0, 1, 4, 9], [16, 25, 36, 49]]
    assert all((batch["array"][:, 0] == batch["number"] ** 2).all() for batch in kept)


def test_memory_is_used_again_once_the_last_view_is_gone():
    loader = iter(ours.DataLoader(Squares(400), batch_size=4, num_workers=1))
    view = next(loader)["array"][1:, 2]
    addresses = {next(loader)["array"].data_ptr() for _ in range(60)}
    assert len(addresses) < 12
    assert view.tolist() == [1, 4, 9]
    assert view.data_ptr() - 4 * 7 not in addresses


def test_memory_that_a_forked_process_may_read_is_not_written_again():
    loader = iter(ours.DataLoader(Squares(400), batch_size=4, num_workers=1))
    batch = next(loader)["array"]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(read, 1)
        os._exit(0 if batch[:, 0].tolist() == [0, 1, 4, 9] else 1)
    del batch
    assert len(list(loader)) == 99
    os.write(write, b"x")
    assert os.waitpid(child, 0)[1] == 0
    os.close(read)
    os.close(write)


def test_batches_are_writable_and_shared():
    for batch in ours.DataLoader(ours.TensorDataset(rushlight.arange(6.0)), batch_size=3, num_workers=1):
        assert batch[0].is_shared()
        batch[0].mul_(2).add_(1)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "complex64", "bool", "uint16", "int64"])
def test_dtypes(dtype):
    x = rushlight.arange(7).to(getattr(rushlight, dtype))
    batches = ours.DataLoader(ours.TensorDataset(x), batch_size=4, num_workers=1)
    assert rushlight.cat([batch for (batch,) in batches]).equal(x)


def test_text_and_odd_values_go_too():
    values = ["x" * 100_000, None, {"empty": np.zeros((0, 3))}, np.arange(6).reshape(2, 3).T, b"bytes"]
    (batch,) = ours.DataLoader([values], batch_size=None, num_workers=1)
    assert batch[0] == values[0] and batch[1] is None and batch[4] == b"bytes"
    assert batch[2]["empty"].shape == (0, 3)
    assert batch[3].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_without_shared_memory(monkeypatch):
    monkeypatch.setattr(channel, "HAS_SEGMENTS", False)
    same_passes(lambda t, d: d.DataLoader(Squares(), batch_size=4, shuffle=True, num_workers=2))


LEAKS = """
import gc, os
from rushlight.utils.data import DataLoader
def count():
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/dev/shm")), open("/proc/self/maps").read().count("memfd")
counts = []
for stop in (1, None, 1, 2, None):
    for number, _ in enumerate(DataLoader(range(40), batch_size=4, num_workers=2)):
        if number == stop:
            break
    del _
    counts.append(count())
print(len(set(counts)), counts)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts in /proc")
def test_nothing_is_left_open():
    done = subprocess.run([sys.executable, "-c", LEAKS], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1 "), done.stdout


# ---------------------------------------------------------------- faults


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__(first, second)


class Failing:
    """Sample 2 raises."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 4

    def __getitem__(self, i):
        if i == 2:
            raise self.error
        return i


def raised_by(make):
    """The (type, message, cause) of what a pass raises; no traceback, which would keep the loader's workers."""
    try:
        for _ in make():
            pass
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return type(error), str(error), str(error.__cause__)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "error", [ValueError("boom"), KeyError("name"), TwoArguments(1, 2), IndexError(5), OSError(2, "none")], ids=repr
)
def test_exceptions_bring_their_traceback(error):
    mine, other = (raised_by(lambda d=d: d.DataLoader(Failing(error), num_workers=2)) for d in (ours, theirs))
    assert mine[0] is other[0]

    def without_frames_of_the_library(text):
        lines = re.sub(r'  File ".*(rushlight|torch)/utils/data.*\n(    .*\n)*', "", text)
        return lines

    assert without_frames_of_the_library(mine[1]) == without_frames_of_the_library(other[1])
    assert "in DataLoader worker process 0.\nOriginal Traceback (most recent call last):" in mine[1]
    assert "raise self.error" in mine[1]


def test_exceptions_of_the_start_are_reported():
    def fail(worker):
        raise ValueError(f"init {worker}")

    caught = raised_by(lambda: ours.DataLoader(Squares(), num_workers=2, worker_init_fn=fail))
    assert caught[0] is ValueError
    assert "ValueError: init 0" in caught[1]


def test_batches_after_an_exception():
    loader = iter(ours.DataLoader(Failing(ValueError("boom")), num_workers=2))
    assert [next(loader).item(), next(loader).item()] == [0, 1]
    with pytest.raises(ValueError, match="Caught ValueError in DataLoader worker process 0"):
        next(loader)
    assert next(loader).item() == 3


def test_what_cannot_be_pickled_is_reported():
    class Local(Exception):
        pass

    caught = raised_by(lambda: ours.DataLoader([lambda: 1], batch_size=None, num_workers=1))
    assert "pickle" in caught[1]
    caught = raised_by(lambda: ours.DataLoader(Failing(Local("mine")), num_workers=1))
    assert caught[0] is RuntimeError
    assert "Local: mine" in caught[1]


class Dying:
    def __init__(self, how):
        self.how = how

    def __len__(self):
        return 8

    def __getitem__(self, i):
        if i == 2:
            time.sleep(0.3)  # so that what was made before has been sent
            self.how()
        return i


@pytest.mark.parametrize(
    "how", [lambda: os._exit(3), lambda: os.kill(os.getpid(), signal.SIGKILL)], ids=["exit", "kill"]
)
def test_a_worker_that_dies_is_noticed(how):
    messages = []
    for data in (ours, theirs):
        caught = raised_by(lambda data=data: data.DataLoader(Dying(how), num_workers=2))
        assert caught[0] is RuntimeError
        both = f"{caught[1]} because {caught[2]}"
        messages.append(re.sub(r"(pid|pid\(s\)) \d+", "pid", both))
    assert messages[0] == messages[1]


def test_what_a_dead_worker_sent_before_still_counts():
    loader = iter(ours.DataLoader(Dying(lambda: os._exit(1)), num_workers=1, prefetch_factor=4))
    time.sleep(0.5)
    assert [next(loader).item(), next(loader).item()] == [0, 1]
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        next(loader)


def test_timeout(monkeypatch):
    monkeypatch.setattr("rushlight.utils.data.processes._SECONDS_TO_END", 0.1)

    class Slow:
        def __len__(self):
            return 2

        def __getitem__(self, i):
            time.sleep(30)

    start = time.monotonic()
    caught = raised_by(lambda: ours.DataLoader(Slow(), num_workers=1, timeout=0.2))
    assert caught[1] == "DataLoader timed out after 0.2 seconds"
    assert time.monotonic() - start < 15  # the worker is asleep, and is ended


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": 1, "prefetch_factor": -1},
        {"num_workers": 1, "multiprocessing_context": "threads"},
        {"multiprocessing_context": "fork"},
        {"num_workers": 1, "multiprocessing_context": 5},
    ],
    ids=str,
)
def test_wrong_options(options):
    caught = [raised_by(lambda data=data: data.DataLoader(Squares(3), **options)) for data in (ours, theirs)]
    assert caught[0][0] is caught[1][0]
    assert caught[0][1] == caught[1][1]


@pytest.mark.parametrize("options", [{"num_workers": 2}, {"pin_memory": True}], ids=str)
def test_warnings(options, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    texts = []
    for data in (ours, theirs):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            next(iter(data.DataLoader(Squares(3), **options)))
        texts.append([str(warning.message) for warning in seen])
    assert texts[0] == texts[1] != []


def test_a_stream_longer_than_it_said():
    class Stream(ours.IterableDataset):
        def __len__(self):
            return 2

        def __iter__(self):
            return iter(range(2))

    loader = ours.DataLoader(Stream(), num_workers=2)
    assert len(loader) == 2
    with pytest.warns(UserWarning, match="Length of IterableDataset") as seen:
        assert len(list(loader)) == 4
    for count, warning in zip((3, 4), seen, strict=True):
        assert f"was reported to be 2(when accessing len(dataloader)), but {count} samples" in str(warning.message)


# ---------------------------------------------------------------- processes

SCRIPT = """
import os, signal, sys, time
from rushlight.utils.data import DataLoader
class Slow:
    def __len__(self): return 100
    def __getitem__(self, i):
        if i: time.sleep(60)
        return i
batches = iter(DataLoader(Slow(), num_workers=2))
print(*[worker.process.pid for worker in batches._workers], flush=True)
next(batches)
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["kill", "leave"])
def test_no_orphans(how):
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, timeout=30)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    assert done.returncode == (-signal.SIGKILL if how == "kill" else 0), done.stderr
    until = time.monotonic() + 10
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until, "workers outlive the process that started them"
        time.sleep(0.05)


def test_a_forked_process_leaves_the_workers_alone():
    batches = iter(ours.DataLoader(Squares(), batch_size=4, num_workers=1, persistent_workers=True))
    next(batches)
    child = os.fork()
    if child == 0:
        del batches
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(batches)) == 5


def test_workers_that_stay_go_with_their_loader():
    loader = ours.DataLoader(Squares(), batch_size=4, num_workers=1, persistent_workers=True)
    next(iter(loader))
    (worker,) = loader._workers_pass._workers
    gc.disable()
    try:
        del loader
    finally:
        gc.enable()
    assert worker.process.exitcode == 0


def is_running(pid):
    """Whether a process is there, and no zombie that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_workers_use_the_compiler_after_this_process_has():
    """The compiler's threads do not survive a fork; the worker makes its own."""

    def run(x):
        step = rushlight.compile(lambda v: (v.exp() * 2).tanh().sum())
        return step(x).item(), (x * 3 + 1).sigmoid().sum().item()

    x = rushlight.linspace(-1, 1, 400_000)
    expected = run(x)

    class Compiled:
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return run(x)

    for first, second in ours.DataLoader(Compiled(), num_workers=2):
        assert [first.item(), second.item()] == pytest.approx(list(expected), rel=1e-6)
    assert run(x) == pytest.approx(expected, rel=1e-6)
