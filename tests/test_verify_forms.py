"""Extraction, matching columns and the fixed interface."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.errors import HarnessError
from harness.verify import (
    Conventions,
    Judgement,
    Verdict,
    VerifierBroken,
    self_test,
    selftest,
    verify,
)
from harness.verify.reading.extract import boxed, boxes, extract


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
    with pytest.raises(ValueError, match="percents"):
        Conventions(percents="either")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="rounding"):
        Conventions(rounding="some")  # type: ignore[arg-type]
    assert hash(Conventions()) == hash(Conventions())


@pytest.mark.parametrize("value", [None, 42, 4.5, ["a"], b"x"])
def test_anything_may_be_passed_as_text(value: object) -> None:
    assert verify(value, "7").verdict in set(Verdict)  # type: ignore[arg-type]
    assert verify("7", value).verdict in set(Verdict)  # type: ignore[arg-type]
