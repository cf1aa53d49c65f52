"""A pass by worker processes: they take turns, and are asked for some batches ahead of their use.

Each worker has a pipe of its own in either direction, so a worker that dies cannot keep the others waiting, and what it
sent before is still received. `worker.py` is the other side, `channel.py` what lies between.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import time
from collections import deque
from multiprocessing import connection, get_context
from typing import Any, NoReturn

from rushlight.utils.data.channel import Receiver
from rushlight.utils.data.fetch import indices_of
from rushlight.utils.data.passes import Pass
from rushlight.utils.data.worker import Assignment, ExceptionWrapper, StreamEnded, work

_SECONDS_BETWEEN_LOOKS = 5.0  # how long to wait for a batch before seeing whether its worker still lives
_SECONDS_TO_END = 5.0


class _Worker:
    """A worker process as the loading process sees it.

    Attributes:
        is_active: whether it has something to give in this pass.
        num_asked: batches it has been asked for and has not sent.
    """

    def __init__(self, context: Any, assignment: Assignment, others: list[_Worker]) -> None:
        their_tasks, self.tasks = context.Pipe(duplex=False)
        received, their_results = context.Pipe(duplex=True)  # a socket, which can carry descriptors
        self.results = Receiver(received)
        self.id = assignment.id
        not_ours = []
        if context.get_start_method() == "fork":
            not_ours = [end for worker in [self, *others] for end in (worker.tasks, worker.results.connection)]
        args = (assignment, their_tasks, their_results, not_ours)
        self.process = context.Process(target=work, args=args, daemon=True)
        self.process.start()
        their_tasks.close()
        their_results.close()
        self.is_active, self.num_asked = True, 0

    def tell(self, this_pass: int, number: int | None, indices: Any = None) -> None:
        """Asks for a batch, or starts a pass; what is gone with the worker shows when its results are read."""
        returned = self.results.returned
        segments = [returned.popleft() for _ in range(len(returned))]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.tasks.send((this_pass, number, indices, segments))

    def receive(self) -> Any:
        """The next ((pass, number), batch).

        Raises:
            RuntimeError: the worker has died.
        """
        try:
            return self.results.receive()
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self.process.join(_SECONDS_TO_END)
            self.raise_death()

    def raise_death(self) -> NoReturn:
        """Says that the worker has died, and why."""
        pid, code = self.process.pid, self.process.exitcode
        if code is not None and code < 0:
            name = signal.strsignal(-code) or f"Unknown signal {-code}"
            cause = f"DataLoader worker (pid {pid}) is killed by signal: {name}. "
        else:
            cause = (
                f"DataLoader worker (pid {pid}) exited unexpectedly with exit code {code}. Details are lost due to "
                "multiprocessing. Rerunning with num_workers=0 may give better error trace."
            )
        raise RuntimeError(f"DataLoader worker (pid(s) {pid}) exited unexpectedly") from RuntimeError(cause)

    def leave(self) -> None:
        """Tells the worker to end; nothing more is read from it."""
        with contextlib.suppress(OSError):
            self.tasks.send(None)
        self.tasks.close()
        self.results.connection.close()

    def end(self) -> None:
        """Waits until the worker has ended, and makes it."""
        self.process.join(_SECONDS_TO_END)
        for stop in (self.process.terminate, self.process.kill):
            if self.process.is_alive():
                stop()
                self.process.join(_SECONDS_TO_END)


class PassByWorkers(Pass):
    """Batches made by worker processes, which take turns, and are asked for `prefetch_factor` batches each ahead."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self._workers: list[_Worker] = []
        self._owner = os.getpid()
        self._most_asked = loader.prefetch_factor * loader.num_workers
        self._timeout, self._in_order, self._stays = loader.timeout, loader.in_order, loader.persistent_workers
        context = loader.multiprocessing_context or get_context()
        for number in range(loader.num_workers):
            assignment = Assignment(
                loader.dataset, loader.batch_sampler is not None, loader.collate_fn, loader.drop_last, self._base_seed,
                loader.worker_init_fn, number, loader.num_workers,
            )  # fmt: skip
            self._workers.append(_Worker(context, assignment, self._workers))
        self._pass = 0
        self._start(loader)

    def start_again(self, loader: Any) -> None:
        """A new pass with the same workers."""
        self._pass += 1
        for worker in self._workers:
            worker.is_active, worker.num_asked = True, 0
            worker.tell(self._pass, None)
        self._start(loader)

    def _start(self, loader: Any) -> None:
        self._indices, self._stream_length = indices_of(loader), loader._stream_length
        self._num_yielded = self._num_sent = 0
        self._asked: deque[_Worker] = deque()  # who was asked, in order
        self._turns = itertools.cycle(self._workers)
        for _ in range(self._most_asked):
            self._ask()

    def _ask(self) -> None:
        """Asks the worker whose turn it is for the next batch, if there is one."""
        try:
            indices = next(self._indices)
        except StopIteration:
            return
        num_active = sum(worker.is_active for worker in self._workers)
        for worker in itertools.islice(self._turns, len(self._workers)):
            if worker.is_active and (self._in_order or worker.num_asked < self._most_asked // num_active):
                break
        else:
            return
        worker.tell(self._pass, self._num_sent, indices)
        worker.num_asked += 1
        self._asked.append(worker)
        self._num_sent += 1

    def _next(self) -> Any:
        while (worker := self._next_worker()) is not None:
            (this_pass, _), batch = worker.receive()
            if this_pass != self._pass:
                continue  # asked for in a pass that was left before its end
            worker.num_asked -= 1
            self._asked.remove(worker)
            if isinstance(batch, StreamEnded):
                worker.is_active = False
                self._asked = deque(other for other in self._asked if other is not worker)
                self._ask()
                continue
            self._ask()
            if isinstance(batch, ExceptionWrapper):
                batch.reraise()
            return batch
        if not self._stays:
            self._end()
        raise StopIteration

    def _next_worker(self) -> _Worker | None:
        """The worker that has sent the next batch; None if all have been received.

        Raises:
            RuntimeError: none has come in time, or a worker has died.
        """
        if not self._asked:
            return None
        waited_for = [self._asked[0]] if self._in_order else list(dict.fromkeys(self._asked))
        by_connection = {worker.results.connection: worker for worker in waited_for}
        limit = self._timeout
        start = time.monotonic()
        while not (ready := connection.wait(list(by_connection), limit or _SECONDS_BETWEEN_LOOKS)):
            if limit and time.monotonic() - start >= limit:
                raise RuntimeError(f"DataLoader timed out after {limit} seconds")
            for worker in waited_for:
                if not worker.process.is_alive() and not worker.results.connection.poll():
                    worker.raise_death()
        return by_connection[ready[0]]

    def _end(self) -> None:
        workers, self._workers = self._workers, []
        self._asked.clear()
        for worker in workers:
            worker.leave()
        for worker in workers:
            worker.end()

    def __del__(self) -> None:
        # At the interpreter's end multiprocessing has ended its processes itself; a forked process has a copy of this
        # object, and the workers are not its own.
        if not sys.is_finalizing() and self.__dict__.get("_workers") and os.getpid() == self._owner:
            self._asked = deque()
            self._end()
