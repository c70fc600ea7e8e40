"""Random LaTeX: no crash, no hang, no code run, nothing false accepted."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import random
import sys
import time
from operator import attrgetter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.verify import Conventions, Verdict, VerifierPool, verify

# fmt: off
PIECES = [
    "\\frac", "\\sqrt", "\\boxed", "{", "}", "(", ")", "[", "]", "\\left", "\\right", "^", "_", "1",
    "2", "3", "9", "99999", "0", "x", "y", "n", "e", "i", "\\pi", "\\infty", "+", "-", "*", "/",
    "!", "%", "\\%", "=", "<", ">", "\\le", "\\ge", "\\in", "\\cup", "\\cap", ",", ";", ":", "|",
    "\\|",
    "\\sin", "\\cos", "\\log", "\\ln", "\\begin{pmatrix}", "\\end{pmatrix}", "&", "\\\\", "$",
    "\\text{", "and", "or", " ", "\\pm", "\\{", "\\}", "\\binom", "\\sum_{k=1}^{99}", "\\int",
    "\\lim", "\\circ", "\\overline", "\\mathbb", "°", "√", "½", "²", "−", "∞", "\u202e", "\x00",
    "\ud800", "__import__", "eval", "lambda", "os", ".", "'", '"', "#", "####", "The answer is",
    "\\boxed{", "<think>", "</think>", "\n", "10^", "^{9^{9^9}}", "factorial", "999999999!", "E5",
    "\\begin{cases}", "\\end{cases}", "\\mod", "\\angle", "~", "\\,", "\\!", "dx", "答案", "A:",
]
GOLDS = ["42", "\\frac{1}{2}", "x^2+1", "(1,2)", "\\{1,2\\}", "x>3", "[0,1)", "\\sqrt{2}", "1,2",
         "\\text{even}", "2x+y=3", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", "50\\%", "45^\\circ",
         "3:4", "4:30", "\\pi", "101_2", "x=5", "3+4i", "B", "\\infty", "7\\text{ cm}"]
# fmt: on
@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.sampled_from(GOLDS))
def test_random_latex_is_judged(text: str, gold: str) -> None:
    judged = verify(text, gold, form="bare")
    assert isinstance(judged.verdict, Verdict)
    assert not judged.why.startswith("the verifier failed")
    assert verify(text, text, form="bare").verdict in (
        Verdict.correct,
        Verdict.ungradable,
        Verdict.wrong,
        Verdict.no_answer,
    )


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.text(max_size=50))
def test_random_text_is_judged(text: str, gold: str) -> None:
    for form in ("boxed", "hash", "answer_is", "bare"):
        judged = verify(text, gold, form=form)  # type: ignore[arg-type]
        assert not judged.why.startswith("the verifier failed")


@pytest.mark.parametrize(
    ("text", "gold", "form"),
    [
        ("\\ge\u202e\\text{}Wait,i.e.kg", "B", "hash"),
        ("So \\boxed 9 of \\angle and 2 than ^{9^{9^9}} #### 12 [ the 3 hours ^{9}", "42", "bare"),
    ],
)
def test_what_random_texts_once_found(text: str, gold: str, form: str) -> None:
    for problem in (None, "How many minutes does it take?"):
        judged = verify(text, gold, form=form, problem=problem)  # type: ignore[arg-type]
        assert not judged.why.startswith("the verifier failed")


def _cost(text: str, gold: str) -> float:
    """Return the seconds of processor time that a judgement takes, the median of five."""
    took = []
    for i in range(5):
        started = time.process_time()
        verify(text, gold + " " * i, form="boxed")  # another gold, so that nothing is remembered
        took.append(time.process_time() - started)
    return sorted(took)[2]


@pytest.mark.parametrize(
    ("before", "run", "behind"),
    [
        ("\\boxed{1", " ", "x}"),
        ("\\boxed{1", ".", "x}"),
        ("\\boxed{1", ",", "x}"),
        ("\\boxed{1", "_", "x}"),
        ("\\boxed{1", "\\,", "x}"),
        ("\\boxed{1", "\n", "!\\in Z}"),
        ("\\boxed{", "1", "é}"),
        ("\\boxed{", "1", ",5 é}"),
        ("\\boxed{[", ",", "(}"),
        ("\\boxed{1,\\!", " ", "x}"),
        ("\\boxed{1", "\\(", "!\\in Z}"),
        ("\\boxed{", "not 5 ", "}"),
        ("\\boxed{5 ", "mm ", "}"),
        ("the answer is not ", "not but ", "5"),
        ("5 ", "is the answer ", ""),
        ("", "<|begin_of_box|>", ""),
        ("she has ", "the point ", "x 5"),
        ("she has ", "Him ", "x 5"),
        ("12 ", "and so ", "x 5"),
        ("the slope is ", "one ", "x"),
        ("the slope is ", "is one of a ", "x"),
        ("5 pears", "\ncheck", "!"),
        ("the answer is 5", " ", "or x"),
        ("the answer is 5", ", but so", " x 7"),
        ("\\boxed{1", "\\,", "k\\in Z}"),
        ("3√", "7√", "7"),
        ("she has 5 ", "in the ", "last 7"),
        ("she has 5 ", "twenty-", "two days"),
        ("she has 5 ", "(3, ", "4) left"),
        ("she has 5", ", or 6", " left"),
        ("she has 5 ", "to get ", "7 pears"),
        ("5 pears", "\n\nHuman:", "7"),
        ("she has 5 ", "is about ", "x"),
        ("she has 5", ". Note that", " it would"),
        ("there are 5 ", "such ", ": 6"),
        ("there are 5 ", "there are 5 such: ", "6"),
        ('{"a": ', '"answer": ', "5"),
        ("she has 5", " (since it", " is"),
        ("she has 5", ", i.e. 5", " x"),
        ("she has 5 ", "~~5", "~~ 5"),
        ("she has 5 ", "x = 5 cm ", "= 5 m"),
        ("she has 5 ", "= 5 ", "x"),
        ("she has 5. ", "I cannot ", "find x"),
        ("she has 5. ", "How many ", "?"),
        ("she has twenty ", "and twenty ", "x"),
        ("in interval ", "notation in set ", "is"),
        ("\\boxed{5}", "\\quad ", "x hours"),
        ("$\\boxed{5}", "+ 3 ", "= i$"),
        ("$", "\\( ", "\\boxed{5}\\pi$"),
        ("\\boxed{5}", ", 6", " x$"),
        ("there are 3. These are ", "2, ", "3"),
        ("the range is ", "all real numbers ", "greater than 4"),
        ("x = 5", ", so x = 5", " or y"),
        ("she walks half ", "a mile ", "x"),
        ("the center is $3$ and ", "xxxx", "- $4$"),
    ],
)
def test_reading_is_linear(before: str, run: str, behind: str) -> None:
    unit = 700 // len(run)
    small, large = (before + run * n + behind for n in (unit, 8 * unit))
    assert _cost(large, "\\frac12") < 24 * max(_cost(small, "\\frac12"), 1e-4)


BOMBS = [  # (answer, gold): what would take long without the count of steps
    ("(n+2024)!", "n!"), ("3^{10^{10}x}", "2^{10^{10}x}"), ("x" + "!" * 2500, "x"),
    ("\\{" * 19 + "1" + "\\}" * 19, "1"), ("(" * 38 + "x+1" + ")^{-2}+1" * 38, "1"),
    ("x^" * 38 + "x", "x^" * 37 + "x"), ("\\sqrt{x+" * 19 + "1" + "}" * 19, "x"),
    ("\\frac{1}{x+" * 19 + "1" + "}" * 19, "x"), ("\\pm 1" * 500, "1"),
    ("|x+" * 18 + "1" + "|" * 18, "x"),
    ("\\sum_{k=1}^{199}\\sum_{j=1}^{199}\\sin(kjx)", "1"), ("1000!/999!" * 300, "1"),
    ("+".join(f"7^{{{9000 + i}}}/11^{{{9000 - i}}}" for i in range(300)), "1"),
    ("\\lcm(" + ",".join(f"{7 + 2 * i}^{{3000}}" for i in range(300)) + ")", "1"),
    ("x^{7^{9999}}+" * 200 + "1", "x"), ("+".join(f"|x-{i}|" for i in range(200)), "x"),
    ("\\max(" + ",".join(f"x+{i}" for i in range(300)) + ")", "x+298"),
    *(
        (",".join(f(i) for i in range(300)), ",".join(f(i + 1) for i in range(300)))
        for f in map(attrgetter("format"), ("x+\\sin({})", "\\sqrt{{{}}}", "\\{{{}\\}}"))
    ),
    ("\\cup".join(f"(\\sqrt{{{i}}},{i})" for i in range(1, 300)), "(0,1)\\cup(2,300)"),
    ("+".join(f"x_{{{i}}}y_{{{i}}}" for i in range(300)) + "=1", "a+b=2"),
    ("0.5, 1.5\\times10^{-999999999}", "1.5\\times10^{-999999999}, 0.4"), ("x_1=" * 300 + "1", "1"),
    ("\\text{" * 900, "1"), ("5 " + "km per " * 800, "5 \\text{ km}"),
    ("(" * 400 + "a b," * 600, "1"), ("2 " + "million " * 700, "1"), ("|x" * 900, "(0,1)"),
    ("x=1\\implies " * 390 + "x=2", "2"), ("two " * 1400, "1"), ("and2" * 1400, "1"),
    ("(\\pm1,\\pm2" + ",1" * 390 + ")", "1"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BOMBS)))
def test_a_bomb_takes_a_bounded_count_of_steps(number: int) -> None:
    text, gold = BOMBS[number]
    for pair in ((text, gold), (gold, text)):
        for rules in (Conventions(), Conventions(rounding="either", locale="comma", relative=0.01)):
            judged = verify(*pair, rules, form="bare")
            assert judged.verdict in (Verdict.wrong, Verdict.ungradable)
            assert not judged.why.startswith("the verifier failed")


def test_bombs_end_in_a_bounded_multiple_of_the_dearest_ordinary_judgement() -> None:
    ordinary = max(_cost(a, g) for a, g in ORDINARY)
    dearest = max(_cost(text, gold) for text, gold in BOMBS)
    assert dearest < 400 * ordinary


ORDINARY = [
    ("\\boxed{\\frac{d!}{2k(d-k)!}}", "\\frac{\\binom{d}{k}(k-1)!}{2}"),
    ("\\boxed{2\\arcsin\\sqrt a}", "\\arccos(1-2a)"),
]


def test_texts_of_any_length_are_judged() -> None:
    for piece in ("1", "{", "\\boxed{", "\\boxed{1},", "#", "answer is ", "$1$", "<think>", "\n"):
        text = piece * (1_000_000 // len(piece))
        for form in ("boxed", "hash", "answer_is", "bare"):
            assert verify(text, "\\frac12", form=form).verdict is not Verdict.correct  # type: ignore[arg-type]
        assert verify("\\boxed{1}", text).verdict is Verdict.ungradable


@pytest.mark.slow
def test_hundred_thousand_random_inputs(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    generator = random.Random(20_240_817)
    total, right = 0, 0
    with VerifierPool(workers=2, seconds=30, cache_size=0) as pool:
        while total < 100_000:
            texts, golds = [], []
            for _ in range(500):
                words = generator.choices(PIECES, k=generator.randint(1, 40))
                if generator.random() < 0.05:
                    words.append(f"open('{mark}','w')")
                if generator.random() < 0.03:
                    words = words[:3] * generator.randint(10, 2_000)
                texts.append("".join(words))
                golds.append(generator.choice(GOLDS))
            form = generator.choice(["bare", "boxed", "hash", "answer_is"])
            judged = pool.verify_many(texts, golds, form=form)  # type: ignore[arg-type]
            total += len(texts)
            assert not [j for j in judged if j.why.startswith("the verifier failed")]
            right += sum(j.verdict is Verdict.correct for j in judged)
        sys.stderr.write(f"{total} inputs, {right} judged correct\n")
        assert pool.killed == 0
    assert not mark.exists()
