"""Extraction, matching columns and the fixed interface."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from harness.verify.extraction.extract import Form, boxed, boxes, extract
from harness.verify.objections.vetoes import taken_back
from harness.verify.reading.lexicon import BOUNDS, DENIALS, FUNCTIONS
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


def test_a_bare_answer_is_read_as_a_response_only_where_it_is_one() -> None:
    said = "The discount is taken off.\nSo one pack comes to 51."
    assert verify(said, "51", form="bare").verdict is Verdict.correct
    assert verify("so one pack comes to 51", "51", form="bare").verdict is Verdict.wrong
    assert verify("1 \\Rightarrow 2", "2", form="bare").verdict is Verdict.wrong
    code = "sqrt(open('mark','w').write('1'))"
    assert verify(code, "sqrt(1)", form="bare").verdict is Verdict.wrong
    assert verify("x = 3 \\text{ or } x = 4", "4", form="bare").verdict is Verdict.wrong


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("\\boxed{42, i.e. $57$}", "boxed"),
        ("#### 42, i.e. 57", "hash"),
        ("<answer>42, i.e. $57$</answer>", "answer_tag"),
        ("The total is not clear.\n42 apples\nThe answer is 57.", "bare"),
        ("The value is 42. Final answer: 57", "bare"),
        ("Tom has 42 apples left\nSue has 57 apples left", "bare"),
        ("\\boxed{x = 42 \\approx 57}", "boxed"),
        ('{"answer": 42} or rather {"answer": 57}', "boxed"),
        ('<think>maybe {"answer": 42}</think>\nThe answer is 57.', "boxed"),
    ],
)
def test_two_values_are_never_both_right(text: str, form: Form) -> None:
    problem = "How many apples are left, rounded to the nearest tenth? Find $x$."
    said = [verify(text, gold, form=form, problem=problem).verdict for gold in ("42", "57")]
    assert said.count(Verdict.correct) < 2


def test_a_word_that_the_answer_contradicts_does_not_count_beside_it() -> None:
    said = "Yes. The answer is no."
    assert verify(said, "no", form="bare").verdict is Verdict.correct
    assert verify(said, "yes", form="bare").verdict is Verdict.wrong
    assert verify("Yes, because there are no others.", "yes", form="bare").verdict == "correct"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("\\boxed{$6 \\cdot 7$ as required}", "boxed"),
        ("#### $6 \\cdot 7$ exactly", "hash"),
        ("Let us see what it is.\nThe answer is $6 \\cdot 7$.", "bare"),
    ],
)
def test_a_copy_is_seen_among_words(text: str, form: Form) -> None:
    refuse = Conventions(copies="refuse")
    judged = verify(text, "42", refuse, form=form, problem="Compute $6 \\cdot 7$.")
    assert judged.verdict is Verdict.wrong
    assert judged.reason is Reason.copied
    assert verify("42 is not the answer to this", "42", form="bare").verdict is Verdict.wrong


def test_the_equation_counts_where_the_gold_answer_is_one() -> None:
    text = "Therefore, the line is $x + 2y = 6$."
    assert verify(text, "2y = 6 - x").verdict is Verdict.correct
    assert verify(text, "6").verdict is Verdict.correct  # the perimeter is 2l + 2w = 6
    assert verify(text, "2y = 6 + x").verdict is Verdict.wrong


def test_an_answer_in_json_and_one_in_html() -> None:
    assert verify('```json\n{"reasoning": "6 x 7", "answer": "42"}\n```', "42").verdict == "correct"
    assert verify('{"answer": 41}', "42", form="bare").verdict is Verdict.wrong
    assert verify('{"answer": 42} so\n#### 41', "42", form="hash").verdict is Verdict.wrong
    assert verify('{"answer": 42}, that is $\\boxed{41}$', "42").verdict is Verdict.wrong
    assert (
        verify("<p>6 x 7 = <b>42</b></p>\n<p>#### 42</p>", "42", form="hash").verdict == "correct"
    )


@pytest.mark.parametrize("sign", ["-", "\u2212", "negative ", "minus "])
def test_a_sign_belongs_to_a_percentage(sign: str) -> None:
    assert verify(f"{sign}25%", "-25", form="bare").verdict is Verdict.correct
    assert verify(f"{sign}25%", "-0.25", form="bare").verdict is Verdict.correct
    assert verify(f"{sign}25%", "25", form="bare").verdict is Verdict.wrong


@pytest.mark.parametrize("phrase", DENIALS + BOUNDS + FUNCTIONS)
@settings(max_examples=20, derandomize=True, deadline=None)
@given(data=st.data())
def test_words_before_a_value_are_looked_for(phrase: str, data: st.DataObject) -> None:
    """What tells quickly that no such words are there (`HINTS`, `LAST_WORDS`) knows each phrase."""
    said = data.draw(st.from_regex(re.compile(phrase, re.ASCII), fullmatch=True))
    if len(said) < 40:
        assert taken_back(f"It is {said} 97531.", "97531", "What is it worth?") is not None
