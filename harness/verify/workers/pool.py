"""Many judgements in guarded worker processes, in order, whatever the answers do.

All answers of a batch are first judged under a short limit; those that are late get a second look
when the others are done. An answer on which a worker hangs, runs out of memory or crashes is
`ungradable`; the worker is replaced and the other answers are not touched. Plain numbers never
reach a worker.
"""

from __future__ import annotations

import os
import queue
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.verify.conventions import DEFAULT, Conventions
from harness.verify.extraction.extract import Form
from harness.verify.judge import Gold, check_form, judge_plainly
from harness.verify.judgement import Judgement, Verdict, ungradable
from harness.verify.workers.cache import VerdictCache
from harness.verify.workers.process import Ended, Lost, Worker
from harness.verify.workers.wire import judgement_from, pack

_CHUNK = 64
_START_SECONDS = 30.0
_STARTS = 4  # how often a worker that ends while it starts is replaced
_FIRST_SECONDS = 0.1  # of an answer's first look; nearly all take a hundredth of it
_GRACE_SECONDS = 10.0  # in which a worker says that an answer is late, on the busiest machine
# an answer, its gold answer or answers, whether it was cut off, and the problem
_Item = tuple[str, Gold, bool, str | None]
_POOLS: weakref.WeakSet[VerifierPool] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_POOLS):
        pool._begin()  # a forked process must not share its parent's workers


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _remove(home: str, pid: int) -> None:
    if os.getpid() == pid:
        shutil.rmtree(home, ignore_errors=True)


class VerifierPool:
    """A pool of verifier workers, usable from any thread and in forked processes.

    Args:
        workers: How many processes judge at once.
        seconds: The time limit of one answer; what is late in one batch shares it.
        memory_mb: The address space of one worker in MiB.
        recycle_after: A worker is replaced after this many answers.
        cache_size: How many judgements are remembered; 0 remembers none.
        fork: Fork workers from this process, which must have no threads but the pool's, instead of
            starting interpreters.
    """

    def __init__(
        self,
        workers: int = 1,
        seconds: float = 1.0,
        memory_mb: int = 1024,
        recycle_after: int = 5_000,
        cache_size: int = 65_536,
        *,
        fork: bool = False,
    ) -> None:
        self.workers = max(1, workers)
        self.seconds = seconds
        self.memory_mb = memory_mb
        self.recycle_after = recycle_after
        self.cache_size = cache_size
        self.fork = fork and Path("/proc/self/fd").is_dir()  # else what is open cannot be told
        self.killed = 0
        self._closed = False
        self._begin()
        _POOLS.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings alone: another process gets workers of its own."""
        return (
            VerifierPool,
            (self.workers, self.seconds, self.memory_mb, self.recycle_after, self.cache_size),
        )

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self.cache = VerdictCache(self.cache_size)
        # Linux delivers the parent-death signal when the *thread* ends that started a process, so
        # one thread that lives as long as the pool starts all workers
        self._keeper = ThreadPoolExecutor(1, "verifier-keeper")
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(self.workers):
            self._idle.put(None)  # started when first needed
        self._home: str | None = None
        self._working: set[Worker] = set()
        self._spent = 0  # CPU nanoseconds of workers that have ended, and of whoever asked them

    @property
    def cpu_seconds(self) -> float:
        """Return the CPU seconds of judging so far: of the workers, and of the threads that ask.

        Where the system does not say those of workers (only Linux does), they are left out.
        """
        with self._lock:
            return (self._spent + sum(worker.cpu_ns() for worker in self._working)) / 1e9

    def _end(self, worker: Worker) -> None:
        with self._lock:
            self._working.discard(worker)
            self._spent += worker.cpu_ns()
        worker.kill()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Count the CPU seconds of the calling thread."""
        started = time.thread_time_ns()
        try:
            yield
        finally:
            with self._lock:
                self._spent += time.thread_time_ns() - started

    def __enter__(self) -> VerifierPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers; the pool cannot be used again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for _ in range(self.workers):
            worker = self._idle.get()
            if worker is not None:
                self._end(worker)
        self._keeper.shutdown()
        if self._home is not None:
            self._cleaner()

    # -- judging --------------------------------------------------------------------------------

    def verify_many(
        self,
        answers: Sequence[str],
        golds: Sequence[Gold],
        conventions: Conventions = DEFAULT,
        form: Form = "boxed",
        truncated: Sequence[bool] | None = None,
        problems: Sequence[str | None] | None = None,
    ) -> list[Judgement]:
        """Judge answers against their golds, in order; blocks until all are judged.

        Args:
            answers: The responses.
            golds: A gold answer for each, or several of which any is right.
            conventions: The task's named options.
            form: The protocol's own answer form.
            truncated: Which responses were cut off.
            problems: The problems' texts, for the conventions that need them.

        Raises:
            HarnessError: If the pool is closed, lengths differ, or no worker can be started.
            UsageError: If there is no such form.
        """
        check_form(form)
        cut = list(truncated) if truncated is not None else [False] * len(answers)
        asked = list(problems) if problems is not None else [None] * len(answers)
        if not len(answers) == len(golds) == len(cut) == len(asked):
            raise HarnessError(
                f"{len(answers)} answers, {len(golds)} golds, {len(cut)} marks of truncation and "
                f"{len(asked)} problems cannot be paired"
            )
        if self._closed:
            raise HarnessError("this verifier pool is closed; open a new one")
        items = list(zip(answers, golds, cut, asked, strict=True))
        with self._asking():
            return self._judged(items, conventions, form)

    def _judged(self, items: list[_Item], conventions: Conventions, form: Form) -> list[Judgement]:
        at: list[Judgement | bytes] = []  # the judgement of each item, or under what it is found
        found: dict[bytes, Judgement] = {}
        todo: dict[bytes, _Item] = {}
        for item in items:
            answer, gold, cut, problem = item
            plain = judge_plainly(answer, gold, conventions, form, cut, problem)
            key = b"" if plain else self.cache.key(answer, gold, conventions, form, cut, problem)
            at.append(plain or key)
            if key and key not in todo and key not in found:
                known = self.cache.get(key)
                if known is None:
                    todo[key] = item
                else:
                    found[key] = known
        results = self._twice(list(todo.values()), conventions, form)
        for key, result in zip(todo, results, strict=True):
            found[key] = result
            if result.verdict is not Verdict.ungradable:
                self.cache.put(key, result)
        return [found[x] if isinstance(x, bytes) else x for x in at]

    def _twice(self, items: list[_Item], conventions: Conventions, form: str) -> list[Judgement]:
        first = min(_FIRST_SECONDS, self.seconds)
        done = self._spread(items, conventions, form, first)
        late = [i for i, found in enumerate(done) if found is None]
        share = max(first, self.seconds / max(1, len(late)))
        again = self._spread([items[i] for i in late], conventions, form, share)
        why = f"no verdict within {share:.2g} s"
        judged = dict(zip(late, again, strict=True))
        return [judged.get(i, found) or ungradable(why) for i, found in enumerate(done)]

    def _spread(
        self, items: list[_Item], conventions: Conventions, form: str, seconds: float
    ) -> list[Judgement | None]:
        if not items:
            return []
        size = max(1, min(_CHUNK, -(-len(items) // self.workers)))
        chunks = [items[i : i + size] for i in range(0, len(items), size)]
        request = {"conventions": conventions.model_dump_json(), "form": form, "seconds": seconds}

        def judge(chunk: list[_Item]) -> list[Judgement | None]:
            with self._asking():
                return self._chunk(chunk, request)

        if min(self.workers, len(chunks)) == 1:
            done = [self._chunk(chunk, request) for chunk in chunks]
        else:
            with ThreadPoolExecutor(self.workers) as threads:
                done = list(threads.map(judge, chunks))
        return [found for chunk in done for found in chunk]

    def _chunk(self, items: list[_Item], request: dict[str, Any]) -> list[Judgement | None]:
        """Return the judgements of some answers, None for each that is late."""
        done: list[Judgement | None] = []
        tried = -1  # the answer on which a worker has already ended once
        worker = self._idle.get()
        try:
            while len(done) < len(items):
                if worker is not None and worker.served >= self.recycle_after:
                    self._end(worker)
                    worker = None
                if worker is None:
                    worker = self._start()
                rest = items[len(done) :]
                try:
                    message = pack(request | {"items": rest})
                    worker.send(message, time.monotonic() + 30.0)
                    for _ in rest:
                        reply = worker.receive(request["seconds"] + _GRACE_SECONDS)
                        done.append(None if reply.get("late") else judgement_from(reply))
                        worker.served += 1
                except (Lost, ValueError, KeyError) as error:
                    self._end(worker)
                    worker = None
                    self.killed += 1
                    if isinstance(error, Ended) and tried != len(done):
                        tried = len(done)  # perhaps not this answer's fault: once more, afresh
                        continue
                    done.append(ungradable(f"the worker was killed: {error}"))
        except BaseException:
            if worker is not None:
                self._end(worker)
                worker = None
            raise
        finally:
            self._idle.put(worker)
        return done

    def _start(self) -> Worker:
        with self._lock:
            if self._home is None:
                self._home = tempfile.mkdtemp(prefix="harness-verify-")
                self._cleaner = weakref.finalize(self, _remove, self._home, self._pid)
        for _ in range(_STARTS):
            try:
                order = self._keeper.submit(Worker, self.memory_mb, self._home, fork=self.fork)
                worker = order.result()
            except Exception as error:
                raise HarnessError(f"no verifier worker could be started: {error}") from error
            with self._lock:
                self._working.add(worker)
            try:
                worker.receive(_START_SECONDS)
                return worker
            except Lost as error:  # perhaps killed from outside: once more
                self._end(worker)
                why = str(error)
        raise HarnessError(
            f"a verifier worker did not start in {_STARTS} attempts: {why}; run `harness doctor`"
        )
