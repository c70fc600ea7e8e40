"""The pool: order, hangs, crashes, threads, forks, confinement."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.verify import Conventions, Judgement, Verdict, VerifierPool, verify
from harness.verify.workers import process, worker
from harness.verify.workers.cache import VerdictCache

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers need POSIX pipes")


def sums(n: int) -> tuple[list[str], list[str]]:
    """Return answers and golds of which every third is wrong, none a plain number."""
    return (
        [f"\\boxed{{{i}+x}}" for i in range(n)],
        [f"x+{i if i % 3 else i + 1}" for i in range(n)],
    )


def wanted(n: int) -> list[str]:
    return ["correct" if i % 3 else "wrong" for i in range(n)]


def verdicts(judged: list[Judgement]) -> list[str]:
    return [j.verdict.value for j in judged]


def worker_pids(p: VerifierPool) -> list[int]:
    return [w.process.pid for w in list(p._idle.queue) if w is not None]


@pytest.fixture(scope="module", params=[False, True], ids=["started", "forked"])
def shared(request):
    with VerifierPool(workers=2, fork=request.param) as p:
        yield p


def test_order_is_kept_and_equals_the_calling_process(shared: VerifierPool) -> None:
    answers, golds = sums(200)
    judged = shared.verify_many(answers, golds)
    assert verdicts(judged) == wanted(200)
    assert judged == [verify(a, g) for a, g in zip(answers, golds, strict=True)]


def test_plain_numbers_are_judged_as_verify_does(shared: VerifierPool) -> None:
    texts = ["\\boxed{42}", "#### 42", "so 42", "", "\\boxed{1,000}", "\\boxed{41}"]
    golds = ["42", "42", "42", "42", "1000", "42"]
    assert shared.verify_many(texts, golds) == [
        verify(a, g) for a, g in zip(texts, golds, strict=True)
    ]


def test_options_form_and_truncation_reach_the_workers(shared: VerifierPool) -> None:
    got = shared.verify_many(
        [r"25\%", "x+", "#### 1/2"],
        ["0.25", "x+1", "0.5"],
        Conventions(percent="number"),
        "hash",
        [False, True, True],
    )
    assert verdicts(got) == ["wrong", "truncated", "correct"]


def test_from_many_threads_at_once(shared: VerifierPool) -> None:
    results: dict[int, list[str]] = {}

    def run(n: int) -> None:
        results[n] = verdicts(shared.verify_many(*sums(n)))

    threads = [threading.Thread(target=run, args=(n,)) for n in (40, 41, 42, 43, 44)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {n: wanted(n) for n in (40, 41, 42, 43, 44)}


def test_a_pool_made_by_a_thread_that_ended_still_works() -> None:
    made: list[VerifierPool] = []

    def make() -> None:
        made.append(VerifierPool())
        made[0].verify_many(*sums(3))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    before = worker_pids(made[0])
    with made[0] as p:
        assert verdicts(p.verify_many(*sums(9))) == wanted(9)
        assert worker_pids(p) == before
        assert p.killed == 0


def _judge_in_child(p: VerifierPool, send) -> None:
    send.send((verdicts(p.verify_many(*sums(12))), worker_pids(p)))


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_in_forked_and_spawned_processes(how: str) -> None:
    context = multiprocessing.get_context(how)
    with VerifierPool() as p:
        p.verify_many(*sums(3))
        receive, send = context.Pipe()
        children = [context.Process(target=_judge_in_child, args=(p, send)) for _ in range(2)]
        for c in children:
            c.start()
        got = [receive.recv() for _ in children]
        for c in children:
            c.join()
        assert [g[0] for g in got] == [wanted(12)] * 2
        pids = [pid for g in got for pid in g[1]] + worker_pids(p)
        assert len(set(pids)) == len(pids)  # nobody used another's worker
        assert verdicts(p.verify_many(*sums(6))) == wanted(6)


class Stuck(VerifierPool):
    """A pool whose workers hang, die or eat memory on marked answers."""

    boot = process.BOOT.replace(
        "from harness.verify.workers.worker import main;",
        "import harness.verify.judge as judge, os, time; original = judge.verify; "
        "judge.verify = lambda a, *r, **k: (time.sleep(60) if 'hang' in a else "
        "os._exit(9) if 'die' in a else bytearray(1 << 31) if 'eat' in a else 0) "
        "and None or original(a, *r, **k); from harness.verify.workers.worker import main;",
    )


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("hang", "no verdict within 2 s"),
        ("die", "it ended"),
        ("eat", "it ended"),
    ],
)
def test_a_bad_answer_is_ungradable_and_harms_no_other(monkeypatch, bad: str, why: str) -> None:
    monkeypatch.setattr(process, "BOOT", Stuck.boot)
    answers, golds = sums(9)
    answers[4] = f"\\boxed{{{bad}+x}}"
    with VerifierPool(seconds=2 if bad == "hang" else 60, memory_mb=512) as p:
        judged = p.verify_many(answers, golds)
        assert verdicts(judged) == [*wanted(4), "ungradable", *wanted(9)[5:]]
        assert why in judged[4].why
        assert (p.killed > 0) == (bad != "hang")  # what hangs is interrupted and costs no worker
        assert len(p.cache) == 8  # an accident is not remembered


def act(text: str, folder: Path) -> None:
    """Do what an answer must not be able to do, even where the verifier runs what it says."""
    if "hang" in text:
        time.sleep(60)
    if "die" in text:
        os._exit(9)
    if "eat" in text:
        bytearray(1 << 31)
    for word, try_it in (
        ("write", lambda: (folder / "written").write_text("x")),
        ("call", lambda: subprocess.run(["true"], check=False)),
        ("connect", socket.socket),
        ("ask", lambda: 1 / len(os.environ)),
        ("read", lambda: os.fstat(int(text.partition("read")[2].partition("+")[0]))),
    ):
        if word in text:
            try_it()


@pytest.mark.promise("A verifier's process that is killed costs no verdict")
@pytest.mark.promise(
    "A verifier's process ends with what started it, and can do nothing else than verify"
)
@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("hang", "no verdict within 2 s"),
        ("die", "it ended"),
        ("eat", ""),
        ("write", ""),
        ("call", ""),
        ("connect", ""),
        ("ask", ""),
        ("read{file}", ""),
    ],
)
def test_a_forked_worker_can_do_no_more_than_a_started_one(tmp_path, monkeypatch, bad, why) -> None:
    """It sees no variable and no open file of the process that it was, and may write nothing."""
    read, write = os.pipe()

    def spoilt(answer: str, *arguments: Any, **more: Any) -> Judgement:
        act(answer, tmp_path)  # a fault ends the worker; else the answer has its verdict
        return verify(answer, *arguments, **more)

    monkeypatch.setattr(worker, "verify", spoilt)
    answers, golds = sums(9)
    answers[4] = f"\\boxed{{{bad.format(file=read)}+x}}"
    with VerifierPool(seconds=2 if bad == "hang" else 60, memory_mb=512, fork=True) as p:
        judged = p.verify_many(answers, golds)
        assert verdicts(judged) == [*wanted(4), "ungradable", *wanted(9)[5:]]
        assert why in judged[4].why
        (pid,) = worker_pids(p)
        assert Path(f"/proc/{pid}/cwd").resolve() == Path(p._home).resolve()
    assert list(tmp_path.iterdir()) == []
    os.close(write)
    os.close(read)


HOSTILE = ["(n+2024)!", "3^{10^{10}x}", "\\{" * 19 + "1" + "\\}" * 19, "x" + "!" * 2500]


def test_hostile_answers_in_a_batch_cost_no_worker_and_no_other_verdict() -> None:
    answers, golds = sums(512)
    for i, text in zip(range(50, 450, 50), HOSTILE * 2, strict=True):
        answers[i], golds[i] = f"\\boxed{{{text}}}", ("n!", "2^{10^{10}x}", "1", "x")[i // 50 % 4]
    with VerifierPool() as p:
        judged = verdicts(p.verify_many(answers, golds))
        assert p.killed == 0
    bad = range(50, 450, 50)
    assert [v for i, v in enumerate(judged) if i not in bad] == [
        v for i, v in enumerate(wanted(512)) if i not in bad
    ]
    assert "correct" not in {judged[i] for i in bad}


def test_what_is_late_shares_one_more_time_limit(monkeypatch) -> None:
    monkeypatch.setattr(process, "BOOT", Stuck.boot)
    looks: list[tuple[int, float]] = []
    with VerifierPool(seconds=0.4) as p:
        spread = p._spread
        monkeypatch.setattr(
            p,
            "_spread",
            lambda items, c, f, s: looks.append((len(items), s)) or spread(items, c, f, s),
        )
        answers, golds = sums(64)
        for i in range(3, 35, 4):
            answers[i] = f"\\boxed{{hang+{i}x}}"
        judged = verdicts(p.verify_many(answers, golds))
        assert judged.count("ungradable") == 8
        assert p.killed == 0
    assert [v for v in judged if v != "ungradable"] == [
        v for i, v in enumerate(wanted(64)) if i not in range(3, 35, 4)
    ]
    (everything, first), (late, share) = looks
    assert everything == 64
    assert late >= 8
    assert first <= 0.1
    assert share <= max(first, 0.4 / 8)


@pytest.mark.promise("A verifier's process that is killed costs no verdict")
def test_a_worker_killed_while_it_starts_is_replaced(monkeypatch) -> None:
    dying = "n = len(os.listdir('.')); open(str(n), 'w'); n < 2 and os.kill(os.getpid(), 9); "
    monkeypatch.setattr(process, "BOOT", f"import os; {dying}{process.BOOT}")
    with VerifierPool() as p:
        assert verdicts(p.verify_many(*sums(12))) == wanted(12)


def test_a_worker_that_never_starts_is_an_error(monkeypatch) -> None:
    monkeypatch.setattr(process, "BOOT", "raise SystemExit # {path} {parent} {memory}")
    with VerifierPool() as p, pytest.raises(HarnessError, match="did not start in 4 attempts"):
        p.verify_many(*sums(3))


@pytest.mark.promise("A verifier's process that is killed costs no verdict")
@pytest.mark.parametrize("fork", [False, True])
def test_a_worker_killed_from_outside_costs_no_verdict(fork: bool) -> None:
    with VerifierPool(fork=fork) as p:
        p.verify_many(*sums(3))
        os.kill(worker_pids(p)[0], signal.SIGKILL)
        assert verdicts(p.verify_many(*sums(12))) == wanted(12)


def test_workers_are_recycled() -> None:
    with VerifierPool(recycle_after=5, cache_size=0) as p:
        p.verify_many(*sums(5))
        first = worker_pids(p)
        p.verify_many(*sums(5))
        assert worker_pids(p) != first
        assert p.killed == 0


def test_repeated_answers_come_from_the_cache() -> None:
    with VerifierPool() as p:
        answers, golds = sums(4)
        p.verify_many(answers * 50, golds * 50)
        assert p.cache.misses == 4
        p.verify_many(answers, golds)
        assert p.cache.hits == 4


def test_the_cache_tells_everything_apart_and_stays_small() -> None:
    d = Conventions()
    keys = {
        VerdictCache.key("a", "b", d, "boxed", False),
        VerdictCache.key("ab", "", d, "boxed", False),
        VerdictCache.key("a", "b", Conventions(order="given"), "boxed", False),
        VerdictCache.key("a", "b", d, "hash", False),
        VerdictCache.key("a", "b", d, "boxed", True),
    }
    assert len(keys) == 5
    cache = VerdictCache(2)
    judged = verify("1", "1")
    for key in list(keys)[:3]:
        cache.put(key, judged)
    assert len(cache) == 2
    assert cache.get(next(iter(keys))) is None


def test_closed_and_misused_pools_say_so() -> None:
    p = VerifierPool()
    with pytest.raises(HarnessError, match="2 answers, 1 golds"):
        p.verify_many(["a", "b"], ["a"])
    assert p.verify_many([], []) == []
    copy = pickle.loads(pickle.dumps(p))
    assert (copy.workers, copy.seconds) == (p.workers, p.seconds)
    p.close()
    p.close()
    with pytest.raises(HarnessError, match="closed"):
        p.verify_many(["a"], ["a"])


@pytest.mark.promise(
    "A verifier's process ends with what started it, and can do nothing else than verify"
)
@pytest.mark.parametrize("fork", [False, True])
def test_workers_end_with_their_parent(fork: bool) -> None:
    code = (
        f"import os; from harness.verify import VerifierPool; p = VerifierPool(fork={fork}); "
        "p.verify_many(['\\\\boxed{x+1}'], ['1+x']); "
        "print([w.process.pid for w in p._idle.queue if w][0], flush=True); "
        "os.kill(os.getpid(), 9)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pid = int(out.stdout)
    for _ in range(1200):  # a minute, on a machine that has other things to do
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("the worker outlived its parent")


CONFINED = """
import os, socket, subprocess, sys
from harness.verify.workers.worker import confine
confine(os.getppid(), 512)
def tried(f):
    try:
        f()
    except Exception as error:
        return type(error).__name__
    return "done"
print(tried(lambda: open("written", "w")), tried(lambda: socket.socket()),
      tried(lambda: subprocess.run(["true"])), tried(lambda: os.system("true")),
      tried(lambda: bytearray(1 << 30)), dict(os.environ).keys() - {"LC_CTYPE"})
"""


@pytest.mark.promise(
    "A verifier's process ends with what started it, and can do nothing else than verify"
)
def test_a_confined_worker_can_do_nothing_else(tmp_path) -> None:
    root = str(Path(process.__file__).parents[3])
    code = f"import sys; sys.path.insert(0, {root!r})\n" + CONFINED
    out = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path, env={}
    )
    assert out.stdout.split()[:5] == [
        "PermissionError",
        "PermissionError",
        "PermissionError",
        "PermissionError",
        "MemoryError",
    ], out
    assert "set()" in out.stdout
    assert list(tmp_path.iterdir()) == []


def test_verdict_of_an_answer_beyond_the_bounds_is_ungradable(shared: VerifierPool) -> None:
    deep = "\\boxed{" + "(" * 500 + "1" + ")" * 500 + "}"
    assert shared.verify_many([deep], ["1"])[0].verdict is Verdict.ungradable


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of another process' time")
def test_what_judging_took_is_known_after_workers_have_ended():
    with VerifierPool(workers=2) as pool:
        assert pool.cpu_seconds == 0
        answers = [f"\\boxed{{x^2 + {number}}}" for number in range(100)]
        golds = [f"{number} + x^2" for number in range(100)]
        pool.verify_many(answers, golds)
        spent = pool.cpu_seconds
        assert spent > 0
        pool.verify_many(["\\boxed{x + 1}"], ["1 + x"])
        assert pool.cpu_seconds > spent
        spent = pool.cpu_seconds
    assert pool.cpu_seconds >= spent
