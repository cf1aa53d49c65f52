"""The worker process: it gets indices, fetches batches of its own copy of the dataset, and sends them.

A second thread takes what the loading process sends, so that this process never keeps that one waiting, and ends this
process when that one is gone, whatever the dataset is doing. Random numbers are seeded as in PyTorch's workers.
"""

from __future__ import annotations

import os
import queue
import random
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight import random as random_numbers
from rushlight.utils.data.dataset import IterableDataset
from rushlight.utils.data.fetch import fetcher_of

if TYPE_CHECKING:
    from rushlight.utils.data.channel import Sender

_SECONDS_BETWEEN_LOOKS = 2.0


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker process knows of itself.

    Attributes:
        id: from 0 to num_workers - 1.
        num_workers: of the loader.
        seed: what this worker's random numbers started from.
        dataset: this process's copy.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str | None = "multiprocessing"


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """What the worker process in which this is called knows of itself; None in any other process."""
    return _info


@dataclass(frozen=True)
class Assignment:
    """What a worker does: everything that it is given when it starts."""

    dataset: Any
    is_batched: bool
    collate: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    init: Callable[[int], None] | None
    id: int
    num_workers: int


class StreamEnded:
    """What a worker sends when its stream of samples is over."""


class ExceptionWrapper:
    """An exception of a worker, with its traceback as text: tracebacks themselves stay in their process.

    Args:
        error: the exception.
        where: "in DataLoader worker process 0".
    """

    def __init__(self, error: BaseException, where: str) -> None:
        self.exc_type: type[BaseException] = type(error)
        self.exc_msg = "".join(traceback.format_exception(error))
        self.where = where

    def reraise(self) -> None:
        """Raises an exception of the same type that tells of the first one."""
        message: Any = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            message = _Readable(message)
        elif getattr(self.exc_type, "message", None):
            raise self.exc_type(message=message)  # type: ignore[call-arg]
        try:
            error = self.exc_type(message)
        except Exception:  # noqa: BLE001 - an exception class may want other arguments than a message
            raise RuntimeError(message) from None
        raise error


class _Readable(str):
    """KeyError shows the repr of its argument: this one's has lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def work(assignment: Assignment, tasks: Any, results: Any, not_ours: list[Any]) -> None:
    """The whole life of a worker.

    Args:
        tasks: a connection that brings (pass, number, indices, returned segments), or None at the end; a number of None
            starts a new pass.
        results: a connection that takes ((pass, number), batch).
        not_ours: connections of other processes, which a forked worker has got too.
    """
    from rushlight.utils.data.channel import Sender  # multiprocessing: not for those who only ask get_worker_info

    for connection in not_ours:
        connection.close()
    inbox = _Inbox(tasks)
    try:
        _seed(assignment)
        _answer(assignment, _fetcher(assignment, assignment.init), inbox, Sender(results))
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        pass  # the loading process raises the first itself, and has left in the other cases


class _Inbox:
    """What the loading process has sent, taken off the pipe as it comes."""

    def __init__(self, tasks: Any) -> None:
        self._tasks, self._parent = tasks, os.getppid()
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.current_pass, self.is_over = 0, False
        threading.Thread(target=self._take, name="rushlight-inbox", daemon=True).start()
        self.get = self._queue.get

    def _take(self) -> None:
        while True:
            try:
                while not self._tasks.poll(_SECONDS_BETWEEN_LOOKS):
                    if os.getppid() != self._parent:
                        os._exit(1)
                task = self._tasks.recv()
            except (EOFError, OSError):
                os._exit(1)
            if task is None:
                self.is_over = True
                self._queue.put(None)
                return
            self.current_pass = task[0]
            self._queue.put(task)


def _seed(assignment: Assignment) -> None:
    """One thread, and random numbers of its own: PyTorch's seed, Python's the same, NumPy's mixed of seed and worker."""
    from rushlight.compiler import blas, workers

    workers.set_num_threads(1)
    blas.keep_one_thread()
    base, worker = assignment.base_seed, assignment.id
    random.seed(base + worker)
    random_numbers.manual_seed(base + worker)
    words = np.random.SeedSequence([worker, base & 0xFFFFFFFF, base >> 32, 0]).generate_state(4)
    np.random.seed(words)  # noqa: NPY002 - what a dataset may use

    global _info
    _info = WorkerInfo(worker, assignment.num_workers, base + worker, assignment.dataset)


def _fetcher(assignment: Assignment, init: Callable[[int], None] | None) -> Callable[[Any], Any]:
    """The fetcher of a pass, made after `init` ran; what either raises, the first task raises."""
    try:
        if init is not None:
            init(assignment.id)
        return fetcher_of(assignment.dataset, assignment.is_batched, assignment.collate, assignment.drop_last)
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        failure = error

        def fails(_: Any) -> Any:
            raise failure

        return fails


def _answer(assignment: Assignment, fetch: Callable[[Any], Any], inbox: _Inbox, sender: Sender) -> None:
    """Tasks, in turn, until the end."""
    where = f"in DataLoader worker process {assignment.id}"
    is_stream, has_ended = isinstance(assignment.dataset, IterableDataset), False
    while (task := inbox.get()) is not None and not inbox.is_over:
        this_pass, number, indices, returned = task
        for segment, is_reusable in returned:
            sender.give_back(segment, is_reusable)
        if number is None:
            has_ended, fetch = False, _fetcher(assignment, None)
            continue
        if has_ended or this_pass != inbox.current_pass:
            continue
        try:
            value = fetch(indices)
        except StopIteration as error:
            has_ended = is_stream
            value = StreamEnded() if is_stream else ExceptionWrapper(error, where)
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            value = ExceptionWrapper(error, where)
        _send(sender, (this_pass, number), value, where)
        del value, task, indices  # a batch is not kept while the next one is made


def _send(sender: Sender, head: Any, value: Any, where: str) -> None:
    """Sends a batch; one that cannot be pickled is reported like any other exception."""
    try:
        sender.send(head, value)
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a class's pickling raises
        if isinstance(value, ExceptionWrapper):  # of a class that only this process knows
            value.exc_type = RuntimeError
        else:
            value = ExceptionWrapper(error, where)
        _send(sender, head, value, where)
