"""Judging anew: the answers of many records, on all cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.util import Finalize

from harness.errors import HarnessError
from harness.publish import answers
from harness.publish.recompute import NO_LIMIT, Asked, CannotJudgeError, Tasks, differences
from harness.publish.sources import Brought
from harness.stage.judge import cores, verifier_pool
from harness.stage.processes import die_with_parent
from harness.verify import VerifierPool

WORTH = 2_000  # answers that a process of its own is worth: a second or less of judging
RECORDS = 8  # that a process is given at once


@dataclass(frozen=True)
class Anew:
    """What judging a record anew came to: no text where its answers give its scores."""

    claim: str = ""  # why nobody can tell here
    differs: str = ""  # the first difference


def judged_anew(
    brought: Sequence[Brought], tasks: Tasks, asked: Asked = NO_LIMIT
) -> Iterator[Anew]:
    """Yield what judging each record anew comes to, in order. Every record has answers.

    Where there is enough to do, processes forked from this one share the records. Each remembers
    what it has judged: the same answer to the same question is judged once in each.

    Raises:
        HarnessError: If one of these processes is ended from outside.
    """
    tasks = cache(tasks)
    count = sum(len(score.verdicts) for one in brought for score in one.record.scores)
    workers = min(cores(), count // WORTH)
    if workers < 2 or sys.platform != "linux":
        with verifier_pool() as pool:
            yield from (_anew(one, tasks, pool, asked) for one in brought)
        return
    for name in sorted({score.task for one in brought for score in one.record.scores}):
        with suppress(HarnessError):  # each record that needs it says so
            len(tasks(name).split("test"))  # once, and not in each process
    forked = multiprocessing.get_context("fork")
    given = (brought, tasks, asked, os.getpid())
    processes = ProcessPoolExecutor(workers, mp_context=forked, initializer=_begin, initargs=given)
    try:
        yield from processes.map(_judge, range(len(brought)), chunksize=RECORDS)
    except BrokenProcessPool:
        raise HarnessError(
            "a process that judged answers was ended from outside; give the same command again"
        ) from None
    finally:
        processes.shutdown(cancel_futures=True)


class _Here:
    """What a process that judges was forked with."""

    brought: Sequence[Brought]
    tasks: Tasks
    asked: Asked
    pool: VerifierPool


def _begin(brought: Sequence[Brought], tasks: Tasks, asked: Asked, parent: int) -> None:
    die_with_parent(parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGHUP):  # the terminal sends them to the parent too
        signal.signal(number, signal.SIG_IGN)
    _Here.brought, _Here.tasks, _Here.asked = brought, tasks, asked
    _Here.pool = VerifierPool(workers=1)
    Finalize(None, _Here.pool.close, exitpriority=1)


def _judge(place: int) -> Anew:
    return _anew(_Here.brought[place], _Here.tasks, _Here.pool, _Here.asked)


def _anew(one: Brought, tasks: Tasks, pool: VerifierPool, asked: Asked) -> Anew:
    assert one.answers is not None
    try:
        given = answers.parse(one.answers.text, one.record, one.path)
        found = differences(one.record, given, tasks, pool, asked)
    except CannotJudgeError as error:
        return Anew(claim=str(error))
    except HarnessError as error:
        return Anew(differs=str(error))
    return Anew(differs=found[0] if found else "")
