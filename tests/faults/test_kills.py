"""Signals at random moments: the same command ends at the same checkpoints and verdicts."""

from __future__ import annotations

import random
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

import pytest
from campaign import TIMES, WHOLE, Assault

pytestmark = pytest.mark.bench
SAMPLE = ("head", "warm", "stage")
KINDS = ("head", "warm", "guard", "stage", "judge", "verifier") if WHOLE else SAMPLE
PARTS = 1 + TIMES // 5  # tests of which each has its own folder and its share of the kills


@pytest.mark.slow
@pytest.mark.promise(
    "A killed process of a bench, whichever it is and whenever, costs nothing but time: the same"
    " command ends at the same checkpoints and verdicts, no process is left, no file is torn"
)
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(PARTS))
def test_kills_change_no_digest_and_no_verdict(wanted, tmp_path, record_property, part):
    times = len(range(part, TIMES, PARTS))
    plan = [(kind, SIGKILL) for kind in KINDS for _ in range(times)]
    assault = Assault(tmp_path, plan, wanted, random.Random(f"kills {part}"))
    assault.run()
    assert sum(assault.sent.values()) == len(plan)
    record_property("sent", dict(assault.sent))
    record_property("whole benches", assault.benches)


@pytest.mark.promise(
    "A signal that ends a bench ends what runs, in one line; the same command continues"
)
@pytest.mark.skipif(not WHOLE, reason="the sample has tests/test_bench.py instead")
@pytest.mark.timeout(7200)
def test_signals_change_no_digest_and_no_verdict(wanted, tmp_path, record_property):
    plan = [
        ("head", number) for number in (SIGTERM, SIGHUP, SIGINT) for _ in range(1 + TIMES // 10)
    ]
    assault = Assault(tmp_path, plan, wanted, random.Random("signals"))
    assault.run()
    record_property("sent", dict(assault.sent))
