"""Cases that were written without looking at the verifier: an open half and a sealed one.

The open half is a specification like the project's own cases. The sealed half is a measurement:
only its counts are looked at, for the verifier must not be fitted to single cases of it. The cases
of `verify_unseen.jsonl` were written after verifier 5 was, judged once, and are sealed likewise.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.verify import Conventions, Verdict, verify

_SUPPORT = Path(__file__).parent / "support"


def cases(name: str) -> list[dict]:
    path = _SUPPORT / f"verify_{name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def accepted(case: dict, problem: str | None) -> bool:
    conventions = Conventions(**case["conventions"])
    judged = verify(case["answer"], case["gold"], conventions, form=case["form"], problem=problem)
    return judged.verdict is Verdict.correct


@pytest.mark.parametrize("with_problem", [True, False])
def test_every_open_case_has_its_label(with_problem: bool) -> None:
    rows = cases("open")
    assert len(rows) == 200
    differ = [
        c["id"]
        for c in rows
        if accepted(c, (c["problem"] or None) if with_problem else None) is not c["label"]
    ]
    assert not differ


@pytest.mark.parametrize("with_problem", [True, False])
def test_counts_of_the_sealed_cases(with_problem: bool) -> None:
    rows = cases("sealed")
    verdicts = [accepted(c, (c["problem"] or None) if with_problem else None) for c in rows]
    right = sum(v is c["label"] for v, c in zip(verdicts, rows, strict=True))
    false_positives = sum(v and not c["label"] for v, c in zip(verdicts, rows, strict=True))
    assert len(rows) == 200
    assert (right >= 192, false_positives <= 1) == (True, True), (right, false_positives)


def test_counts_of_cases_that_verifier_5_never_saw() -> None:
    rows = cases("unseen")
    verdicts = [accepted(c, c["problem"] or None) for c in rows]
    right = sum(v is c["label"] for v, c in zip(verdicts, rows, strict=True))
    false_positives = sum(v and not c["label"] for v, c in zip(verdicts, rows, strict=True))
    assert len(rows) == 142
    assert (right >= 141, false_positives) == (True, 0), (right, false_positives)
