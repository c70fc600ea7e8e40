"""The project's own cases: the specification of the verifier."""

from __future__ import annotations

import json
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from harness.verify import VERIFIER_VERSION, Conventions, Judgement, explain, verify

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "support" / "verify_cases.jsonl")
    .read_text("utf-8")
    .splitlines()
]

# the version and the digest of all verdicts it gives on the case file; change both together
VERSION_AND_DIGEST = ("13", "066c2f4ffbfcc072")


def judge(case: dict) -> Judgement:
    return verify(
        case["answer"],
        case["gold"],
        Conventions(**case.get("conventions", {})),
        form=case["form"],
        truncated=case.get("truncated", False),
        problem=case.get("problem"),
    )


@pytest.mark.parametrize("category", sorted({c["category"] for c in CASES}))
def test_every_case_gets_its_verdict(category: str) -> None:
    misjudged = {
        c["id"]: (c["gold"], c["answer"], judge(c).verdict.value)
        for c in CASES
        if c["category"] == category and judge(c).verdict != c["verdict"]
    }
    assert not misjudged


def test_version_changes_with_any_verdict() -> None:
    lines = [json.dumps([c["id"], c["gold"], c["answer"], judge(c).verdict.value]) for c in CASES]
    digest = sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert (VERIFIER_VERSION, digest) == VERSION_AND_DIGEST, (
        "a verdict or a case changed: set a new VERIFIER_VERSION if a verdict on an old case did, "
        f"and record the digest {digest}"
    )


def test_cases_cover_all_categories_and_verdicts() -> None:
    assert len(CASES) >= 500
    assert len({c["id"] for c in CASES}) == len(CASES)
    assert set(Counter(c["verdict"] for c in CASES)) == {
        "correct",
        "wrong",
        "no_answer",
        "truncated",
        "ungradable",
    }
    wanted = {
        "number",
        "fraction",
        "radical",
        "constant",
        "complex",
        "percent",
        "currency",
        "units",
        "degrees",
        "expression",
        "assignment",
        "equation",
        "inequality",
        "interval",
        "set",
        "tuple",
        "list",
        "matrix",
        "base",
        "ratio",
        "time",
        "choice",
        "text",
        "hostile",
        "extraction",
        "convention",
        "gold",
        "problem",
    }
    assert {c["category"] for c in CASES} == wanted


def test_every_convention_is_exercised() -> None:
    used = {name for c in CASES for name in c.get("conventions", {})}
    assert used == set(Conventions.model_fields)


def test_judging_is_deterministic_and_explained() -> None:
    for case in CASES[::7]:
        first = judge(case)
        again, steps = explain(
            case["answer"],
            case["gold"],
            Conventions(**case.get("conventions", {})),
            form=case["form"],
            truncated=case.get("truncated", False),
            problem=case.get("problem"),
        )
        assert first == again
        assert steps[-1].startswith(f"verdict: {first.verdict}")
        assert first.why


def test_equality_of_bare_values_is_symmetric() -> None:
    symmetric = {
        "number",
        "fraction",
        "radical",
        "constant",
        "complex",
        "expression",
        "matrix",
        "interval",
        "set",
        "inequality",
        "equation",
    }
    for case in CASES:
        if case["category"] in symmetric and len(case["answer"]) < 200:
            swapped = verify(case["gold"], case["answer"], form="bare")
            if re.fullmatch(r"\d+,\d+", case["answer"]):
                continue  # a decimal comma is read as one only where the gold has a point
            assert (swapped.verdict == "correct") == (case["verdict"] == "correct"), case
