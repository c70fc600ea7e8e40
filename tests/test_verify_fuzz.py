"""Random LaTeX: no crash, no hang, no code run, nothing false accepted."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.verify import Verdict, VerifierPool, verify

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
