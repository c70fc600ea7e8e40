"""Extraction, matching columns and the fixed interface."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.errors import HarnessError, UsageError
from harness.verify import (
    Conventions,
    Judgement,
    Reason,
    Verdict,
    VerifierBroken,
    VerifierPool,
    self_test,
    selftest,
    verify,
)
from harness.verify.reading.extract import boxed, boxes, extract
from harness.verify.workers.wire import judgement_fields, judgement_from


def test_importing_the_verifier_loads_nothing_heavy() -> None:
    code = (
        "import sys, harness.verify; from harness.verify import verify; "
        "verify('\\\\boxed{1/2}', '0.5'); "
        "print([m for m in ('sympy','mpmath','torch','transformers') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_verdicts_are_strings() -> None:
    assert [v.value for v in Verdict] == [
        "correct",
        "wrong",
        "no_answer",
        "truncated",
        "ungradable",
    ]
    assert f"{Verdict.correct}" == "correct"


def test_judgement_says_what_was_read() -> None:
    judged = verify(r"so \boxed{1/\sqrt3}", r"\frac{\sqrt{3}}{3}")
    assert judged == Judgement(
        Verdict.correct, r"1/\sqrt3", "1/3*3^(1/2)", "1/3*3^(1/2)", "the same value", False, False
    )


@pytest.mark.parametrize(
    ("text", "gold", "form", "strict", "flexible"),
    [
        ("so \\boxed{42}", "42", "boxed", True, True),
        ("so \\boxed{42}, which is 6*7", "42", "boxed", True, False),
        ("so it is 42", "42", "boxed", False, True),
        ("#### 1,200", "1200", "hash", True, True),
        ("#### 1,200", "1201", "hash", False, False),
        ("The answer is 42.", "42", "answer_is", True, True),
        ("The answer is 42.0.", "42", "answer_is", True, True),
        ("so \\boxed{\\frac12}", "\\frac{1}{2}", "boxed", False, False),
        ("so \\boxed{\\frac{1}{2}}", "\\frac{1}{2}", "boxed", True, True),
        ("so \\boxed{\\dfrac{1}{2}}", "\\frac{1}{2}", "boxed", True, True),
        ("42", "42", "bare", True, True),
    ],
)
def test_strict_and_flexible_matching(text, gold, form, strict, flexible) -> None:
    judged = verify(text, gold, form=form)
    assert (judged.strict, judged.flexible) == (strict, flexible)


def test_boxes_are_found_in_one_pass_however_they_nest() -> None:
    assert boxed("\\boxed{" * 50_000) is None
    assert boxed("\\boxed{" * 3_000 + "}" * 3_000 + " \\boxed{1}") == "1"
    assert [b[2] for b in boxes(r"\boxed{a{b}c} and \boxed{\{d\}}")] == ["a{b}c", r"\{d\}"]


def test_the_form_of_the_protocol_comes_first() -> None:
    text = "The answer is 11.\n#### 12\n\\boxed{13}"
    assert [extract(text, form).text for form in ("boxed", "hash", "answer_is")] == [  # type: ignore
        "13",
        "12",
        "11",
    ]


def test_self_test_passes_and_names_what_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    self_test()
    monkeypatch.setattr(selftest, "_CASES", (("1", r"\boxed{2}", "correct"),))
    with pytest.raises(VerifierBroken, match="against '1' wrong and not correct"):
        self_test()
    assert issubclass(VerifierBroken, HarnessError)


def test_conventions_refuse_what_they_do_not_know() -> None:
    with pytest.raises(
        UsageError, match=r"convention 'percents': .*; known: percent, units"
    ) as told:
        Conventions(percents="either")
    assert "\n" not in str(told.value)
    with pytest.raises(UsageError, match=r"convention 'rounding': .*'gold'"):
        Conventions(rounding="some")
    with pytest.raises(UsageError, match="convention 'relative'"):
        Conventions.model_validate_json('{"relative": 2}')
    with pytest.raises(UsageError, match="not a dict"):
        verify("7", "7", {"rounding": "gold"})  # type: ignore[arg-type]
    assert hash(Conventions()) == hash(Conventions())


def test_a_form_that_there_is_not_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="'bogus'; there are boxed, hash, answer_is") as told:
        verify("7", "7", form="bogus")  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
    with (
        VerifierPool() as pool,
        pytest.raises(UsageError, match="'bogus'"),
    ):
        pool.verify_many(["7"], ["7"], form="bogus")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "gold", "verdict", "reason"),
    [
        (r"\boxed{41}", "42", "wrong", "judged"),
        (r"\boxed{\frac{1}{}", "42", "wrong", "unreadable"),
        (r"\boxed{a+=b}", "42", "wrong", "unreadable"),
        (r"\boxed{no solution}", "42", "wrong", "judged"),  # words are read, and differ
        (r"\boxed{42 \text{ is not it}}", "42", "wrong", "denied"),
        (r"\boxed{6 \cdot 7}", "42", "wrong", "copied"),
        (r"\boxed{3}", r"\frac{1}{", "ungradable", "gold"),
        (r"\boxed{3}", "", "ungradable", "gold"),
        (r"\boxed{3}", None, "ungradable", "gold"),
        (r"\boxed{" + "1" * 5_000 + "}", "42", "ungradable", "limit"),
    ],
)
def test_a_judgement_says_what_kind_of_grounds_it_has(
    answer: str, gold: str, verdict: str, reason: str
) -> None:
    judged = verify(answer, gold, problem=r"What is $6 \cdot 7$?")
    assert (judged.verdict, judged.reason) == (verdict, reason)
    assert judgement_from(judgement_fields(judged)) == judged


def test_a_record_without_a_reason_is_still_valid() -> None:
    fields = judgement_fields(verify(r"\boxed{41}", "42"))
    del fields["reason"]
    assert judgement_from(fields).reason is Reason.judged


def test_several_golds_and_problems_pass_through_a_pool() -> None:
    answers = [r"\boxed{4}", r"\boxed{6 \cdot 7}", r"\boxed{6 \cdot 7}", r"\boxed{x+1}"]
    golds = [["3", "4"], "42", "42", ["x", "1+x"]]
    problems = [None, r"What is $6 \cdot 7$?", None, "What follows $x$?"]
    with VerifierPool() as pool:
        judged = pool.verify_many(answers, golds, problems=problems)
        again = pool.verify_many(answers, golds, problems=problems)
        with pytest.raises(HarnessError, match=r"4 answers, 4 golds, 4 .*1 problems"):
            pool.verify_many(answers, golds, problems=["one"])
    assert [j.verdict for j in judged] == ["correct", "wrong", "correct", "correct"]
    assert [j.reason for j in judged] == ["judged", "copied", "judged", "judged"]
    assert (
        again
        == judged
        == [verify(a, g, problem=p) for a, g, p in zip(answers, golds, problems, strict=True)]
    )


@pytest.mark.parametrize("value", [None, 42, 4.5, ["a"], b"x"])
def test_anything_may_be_passed_as_text(value: object) -> None:
    assert verify(value, "7").verdict in set(Verdict)  # type: ignore[arg-type]
    assert verify("7", value).verdict in set(Verdict)  # type: ignore[arg-type]
