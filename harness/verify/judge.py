"""The one judgement: extract, read, compare."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from harness.verify.algebra.node import Node
from harness.verify.comparing.compare import comparison
from harness.verify.comparing.matching import flexible_match, strict_match
from harness.verify.conventions import DEFAULT, Conventions
from harness.verify.judgement import Judgement, Verdict, ungradable
from harness.verify.limits import MAX_GOLD, MAX_TEXT, TooLarge, Unreadable, with_allowance
from harness.verify.reading import extract as extraction
from harness.verify.reading.answer import choice, read, tidy
from harness.verify.reading.extract import Form
from harness.verify.reading.tokens import plain
from harness.verify.reading.words import normal_words

_HOW = {
    "form": "in the protocol's own form",
    "phrase": "by an answer phrase",
    "last": "as the last formula or number",
}
_SIMPLE = re.compile(r"[-+]?(?:\d{1,15}|\d{1,3}(?:,\d{3}){1,4})(?:\.\d{1,12})?", re.A)
_DECIMAL = re.compile(
    r"\d*\.(\d+)\s*(?:(?:\\times|\\cdot|\*|×)\s*10\s*(?:\^|\*\*)\s*\{?\s*(-?\d+)|[eE]([-+]?\d+))?"  # noqa: RUF001
)
_COMMA_DECIMAL = re.compile(r"(?<!\d)(\d+),(\d+)(?!\d)")
_THOUSANDS = re.compile(r"(?<!\d)[1-9]\d{0,2},\d{3}(?!\d)")


def verify(
    answer_text: str,
    gold: str,
    conventions: Conventions = DEFAULT,
    *,
    form: Form = "boxed",
    truncated: bool = False,
) -> Judgement:
    """Judge one answer in the calling process.

    Total and deterministic: it never raises, ends by the bounds in `limits.py`, and keeps no state
    but caches.

    Args:
        answer_text: The model's response, or with `form="bare"` the answer alone.
        gold: The gold answer; a solution with a box in it is reduced to its answer.
        conventions: The task's named options.
        form: The protocol's own answer form.
        truncated: Whether generation stopped at the token limit.
    """
    return _judge(answer_text, gold, conventions, form, truncated, None)


def judge_plainly(
    text: str, gold: str, conventions: Conventions, form: Form, truncated: bool
) -> Judgement | None:
    """Return the judgement of `verify` where both sides are plain numbers, else None.

    Cheap by construction: linear in a text of bounded length, no reading, no arithmetic but one
    comparison of two bounded fractions.
    """
    if len(text) > 20_000 or not _SIMPLE.fullmatch(gold.strip()):
        return None
    found = extraction.extract(text, form, "form" if truncated else conventions.fallback)
    if found is None or not _SIMPLE.fullmatch(found.text.strip()):
        return None
    if truncated and form == "bare":
        return None
    return verify(text, gold, conventions, form=form, truncated=truncated)


def explain(
    answer_text: str,
    gold: str,
    conventions: Conventions = DEFAULT,
    *,
    form: Form = "boxed",
    truncated: bool = False,
) -> tuple[Judgement, list[str]]:
    """Return a judgement with the steps that led to it, one sentence each."""
    steps: list[str] = []
    return _judge(answer_text, gold, conventions, form, truncated, steps), steps


def _judge(
    answer_text: Any,
    gold: Any,
    conventions: Conventions,
    form: Form,
    truncated: bool,
    steps: list[str] | None,
) -> Judgement:
    try:
        # nothing looks at a text before its length is known to be within a bound
        text = "" if answer_text is None else str(answer_text)
        gold = "" if gold is None else str(gold)  # "None" may be an answer, None is none
        if len(gold) > MAX_GOLD:
            raise TooLarge(f"the gold answer has more than {MAX_GOLD} characters")
        if len(text) > MAX_TEXT:  # the first characters tell whether a reasoning block is open
            text = text[:200] + "\n" + text[-MAX_TEXT:]
        case = _Case(text, gold, conventions, form, truncated, steps)
        return with_allowance(_Case.judge, case)
    except TooLarge as error:
        return ungradable(f"beyond a bound: {error}")
    except RecursionError:
        return ungradable("beyond a bound: nested too deeply")
    except Exception as error:
        # a fault of the verifier must neither stop a bench nor count for or against a model
        return ungradable(f"the verifier failed: {type(error).__name__}")


@dataclass
class _Case:
    """One answer against one gold, with what has been found out about them so far."""

    text: str
    gold: str
    conventions: Conventions
    form: Form
    truncated: bool
    steps: list[str] | None
    extracted: str | None = None
    answer_key: str | None = None
    gold_key: str | None = None

    def note(self, step: str) -> None:
        if self.steps is not None:
            self.steps.append(step)

    def done(self, verdict: Verdict, why: str) -> Judgement:
        self.note(f"verdict: {verdict} ({why})")
        strict = strict_match(self.text, self.gold, self.form)
        flexible = flexible_match(self.text, self.gold)
        return Judgement(
            verdict, self.extracted, self.answer_key, self.gold_key, why, strict, flexible
        )

    def judge(self) -> Judgement:
        gold = gold_answer(self.gold)
        if not gold:
            return self.done(Verdict.ungradable, "the gold answer is empty")
        self.note(f"gold answer: {gold}")
        fallback = "form" if self.truncated else self.conventions.fallback
        found = extraction.extract(self.text, self.form, fallback)
        if found is None or not found.text.strip():
            self.note("no final answer found")
            if self.truncated:
                return self.done(Verdict.truncated, "cut off before a final answer")
            return self.done(Verdict.no_answer, "no final answer in the response")
        self.extracted = found.text
        self.note(f"final answer found {_HOW[found.how]}: {found.text[:200]}")
        if self.truncated and self.form == "bare":
            return self.done(Verdict.truncated, "cut off at the token limit")
        right, why = self.compare(gold, found.text)
        return self.done(Verdict.correct if right else Verdict.wrong, why)

    def compare(self, gold: str, answer: str) -> tuple[bool, str]:
        quick = _quick(gold, answer)
        if quick is not None:
            self.gold_key, self.answer_key = quick[1], quick[2]
            if quick[0]:
                return True, "equal numbers"
            c = self.conventions
            # a comma may also separate two values or be a decimal mark: then both are read
            exact = not (c.relative or c.absolute or c.rounding != "exact")
            if exact and ("," not in answer or (c.locale != "comma" and "/" not in quick[1])):
                return False, "different numbers"
        gold_text, answer_text = tidy(gold), tidy(answer)
        if gold_text == answer_text and gold_text:
            readings = read(gold_text)
            self.gold_key = self.answer_key = readings[0].key if readings else gold_text
            return True, "equal as text"
        golds = read(gold_text)
        answers = self.readings(answer_text, golds)
        self.gold_key = golds[0].key if golds else normal_words(gold_text)
        self.answer_key = answers[0].key if answers else normal_words(answer_text)
        self.note(f"gold read as: {self.gold_key}")
        self.note(f"answer read as: {self.answer_key}")
        by_choice = self.choices(gold_text, answer_text)
        if by_choice is not None:
            return by_choice
        compare = comparison(self.conventions, _gold_places(gold_text))
        why = "the answer cannot be read as mathematics" if golds else "the texts differ"
        for g in golds:
            for a in answers:
                try:
                    right, why = compare.same(g, a)
                except Unreadable as error:
                    right, why = False, f"no comparison: {error}"
                if self.steps is not None:
                    self.note(f"{g.key} against {a.key}: {why}")
                if right:
                    self.gold_key, self.answer_key = g.key, a.key
                    return True, why
        if not golds or not answers or golds[0].kind == "text":
            words = normal_words(gold_text)
            if words and words == normal_words(answer_text) and len(words) > 1:
                return True, "equal words"
        return False, why

    def readings(self, answer: str, golds: tuple[Node, ...]) -> tuple[Node, ...]:
        answers = read(answer)
        if golds and golds[0].kind != "text" and (not answers or answers[0].kind == "text"):
            formula = extraction.only_formula(answer)
            if formula is not None:
                answers = read(tidy(formula))
        locale = self.conventions.locale
        if locale == "point" or "," not in answer:
            return answers
        decimal = any(g.kind == "num" and g.args[0].denominator != 1 for g in golds)
        # a comma before three digits marks thousands unless the task says otherwise
        if locale == "comma" or (decimal and not _THOUSANDS.search(answer)):
            swapped = _COMMA_DECIMAL.sub(r"\1.\2", answer)
            if swapped != answer:
                extra = read(swapped)
                return (*extra, *answers) if locale == "comma" else (*answers, *extra)
        return answers

    def choices(self, gold: str, answer: str) -> tuple[bool, str] | None:
        """Compare multiple-choice letters where the gold is one."""
        if len(gold) > 300 or len(answer) > 300:
            return None
        g = choice(gold)
        if g is None:
            return None
        a = choice(answer)
        if a is not None and (g[1] or a[1] or g[0] == a[0]):
            return g[0] == a[0], "the same choice" if g[0] == a[0] else "another choice"
        if a is None and g[1] and normal_words(answer) == g[1]:
            return True, "the words of the choice"
        return None


@lru_cache(maxsize=4096)
def gold_answer(gold: str) -> str:
    """Return the answer in a gold text: its last box, or what its last phrase commits to."""
    if gold.isalnum() and gold.isascii():
        return gold
    if "\\\\boxed" in gold:
        gold = gold.replace("\\\\boxed", "\\boxed")
    if "boxed" in gold or "\\fbox" in gold:
        inner = extraction.boxed(plain(gold) if not gold.isascii() else gold)
        if inner is not None and inner.strip():
            return inner
    if len(gold) > 150 and re.search(r"answer is|#### ", gold):
        found = extraction.extract(gold, "hash", "committed")
        if found is not None:
            return found.text
    return gold if tidy(gold) else ""


def _quick(gold: str, answer: str) -> tuple[bool, str, str] | None:
    """Compare two plain decimal numbers; None unless both are."""
    gold, answer = gold.strip(), answer.strip()
    if not (_SIMPLE.fullmatch(gold) and _SIMPLE.fullmatch(answer)):
        return None
    gold, answer = gold.replace(",", ""), answer.replace(",", "")
    if gold.isdigit() and answer.isdigit():
        gold, answer = gold.lstrip("0") or "0", answer.lstrip("0") or "0"
        return gold == answer, gold, answer
    x, y = Fraction(gold), Fraction(answer)
    return x == y, str(x), str(y)


def _gold_places(gold: str) -> int | None:
    """Return the place of a gold's last decimal, 9 for `2.88e-7`; None for one without decimals."""
    match = _DECIMAL.search(gold)
    if match is None:
        return None
    return len(match.group(1)) - int(match.group(2) or match.group(3) or 0)
