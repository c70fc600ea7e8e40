"""The one judgement: extract, read, compare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.verify.comparing.compare import as_sets, comparison, of_other_numbers
from harness.verify.comparing.golds import decimals, gold_answer, is_worded
from harness.verify.comparing.matching import flexible_match, normalised, strict_match
from harness.verify.comparing.parts import in_unit, is_region
from harness.verify.comparing.sides import alike, sides
from harness.verify.comparing.words import all_words, choices, same_words
from harness.verify.conventions import DEFAULT, Conventions
from harness.verify.extraction.extract import FORMS, Form, Found, extract, response_value
from harness.verify.extraction.prose import in_prose
from harness.verify.extraction.question import asked_places, asked_unit
from harness.verify.extraction.sentences import Refused, before_that_is, only_formula, stated
from harness.verify.judgement import Judgement, Reason, Verdict, best, ungradable
from harness.verify.limits import (
    MAX_GOLD,
    MAX_PROBLEM,
    MAX_TEXT,
    TooLarge,
    Unreadable,
    with_allowance,
)
from harness.verify.objections.copies import is_copy
from harness.verify.objections.factors import is_unfactored
from harness.verify.objections.opposites import names_others, says_the_opposite
from harness.verify.objections.order import is_misordered
from harness.verify.objections.others import is_of_another
from harness.verify.objections.vetoes import taken_back
from harness.verify.reading.answer import Readings, read
from harness.verify.reading.declarations import declared
from harness.verify.reading.letters import apart, unlettered
from harness.verify.reading.tidy import tidy, with_alternative, with_unit
from harness.verify.reading.words import normal_words

_HOW = {
    "whole": "the whole text is the answer",
    "form": "final answer found in the protocol's own form",
    "phrase": "final answer found by an answer phrase",
    "last": "final answer found as the last formula or number",
}
_SIMPLE = re.compile(r"[-+]?(?:\d{1,15}|\d{1,3}(?:,\d{3}){1,4})(?:\.\d{1,12})?", re.A)

Gold = str | Sequence[str]  # one gold answer, or several of which each is right


def verify(
    answer_text: str,
    gold: Gold,
    conventions: Conventions = DEFAULT,
    *,
    form: Form = "boxed",
    truncated: bool = False,
    problem: str | None = None,
) -> Judgement:
    """Judge one answer in the calling process.

    Total and deterministic: whatever the texts, it never raises, ends by the bounds in
    `limits.py`, and keeps no state but caches.

    Args:
        answer_text: The model's response, or with `form="bare"` the answer alone.
        gold: The gold answer, or several of which any is right; a solution with a box in it is
            reduced to its answer.
        conventions: The task's named options.
        form: The protocol's own answer form.
        truncated: Whether generation stopped at the token limit.
        problem: The problem's text, for the conventions that need it: `copies`,
            `rounding="problem"` and `units="problem"`.

    Raises:
        UsageError: If the form or the conventions are none that there are.
    """
    return explain(answer_text, gold, conventions, form=form, truncated=truncated, problem=problem)[
        0
    ]


def check_form(form: str) -> None:
    """Refuse an unknown answer form.

    Raises:
        UsageError: If there is no such form.
    """
    if form not in FORMS:
        raise UsageError(f"no answer form is called {form!r}; there are {', '.join(FORMS)}")


def judge_plainly(
    text: str,
    gold: Gold,
    conventions: Conventions,
    form: Form,
    truncated: bool,
    problem: str | None = None,
) -> Judgement | None:
    """Return the judgement of `verify` where both sides are plain numbers, else None.

    Cheap by construction: linear in a text of bounded length, no reading, no arithmetic but one
    comparison of two bounded fractions. Where a convention looks at the problem the judgement is
    left to `verify`.
    """
    if not isinstance(gold, str) or conventions.rounding == "problem":
        return None
    if len(text) > 20_000 or not _SIMPLE.fullmatch(gold.strip()) or (truncated and form == "bare"):
        return None
    fallback = "form" if truncated else conventions.fallback
    asked = (problem or "")[-MAX_PROBLEM:]
    found = extract(text, form, fallback, conventions.precedence, asked)
    if found is None or not _SIMPLE.fullmatch(found.text.strip()):
        return None
    return verify(text, gold, conventions, form=form, truncated=truncated, problem=problem)


def explain(
    answer_text: str,
    gold: Gold,
    conventions: Conventions = DEFAULT,
    *,
    form: Form = "boxed",
    truncated: bool = False,
    problem: str | None = None,
) -> tuple[Judgement, list[str]]:
    """Return a judgement as `verify` does, with the steps that led to it, one sentence each."""
    check_form(form)
    if not isinstance(conventions, Conventions):
        raise UsageError(
            f"conventions are a Conventions object, not a {type(conventions).__name__}"
        )
    if isinstance(gold, (list, tuple)):
        how: dict[str, Any] = {"form": form, "truncated": truncated, "problem": problem}
        all_of_them = [explain(answer_text, g, conventions, **how) for g in gold]
        return best([j for j, _ in all_of_them]), [s for _, steps in all_of_them for s in steps]
    steps: list[str] = []
    try:
        # nothing looks at a text before its length is known to be within a bound
        text = "" if answer_text is None else str(answer_text)
        gold = "" if gold is None else str(gold)  # "None" may be an answer, None is none
        if len(gold) > MAX_GOLD:
            raise TooLarge(f"the gold answer has more than {MAX_GOLD} characters")
        if len(text) > MAX_TEXT:  # the first characters tell whether a reasoning block is open
            text = text[:200] + "\n" + text[-MAX_TEXT:]
        asked = (problem or "")[-MAX_PROBLEM:]  # the question ends it
        case = _Case(text, gold, conventions, form, truncated, asked, steps)
        return with_allowance(_Case.judge, case), steps
    except TooLarge as error:
        found = ungradable(f"beyond a bound: {error}")
    except RecursionError:
        found = ungradable("beyond a bound: nested too deeply")
    except Exception as error:
        # a fault of the verifier must neither stop a bench nor count for or against a model
        found = ungradable(f"the verifier failed: {type(error).__name__}", Reason.failed)
    steps.append(f"verdict: {found.verdict} ({found.why})")
    return found, steps


@dataclass
class _Case:
    """One answer against one gold, with what has been found out about them so far."""

    text: str
    gold: str
    conventions: Conventions
    form: Form
    truncated: bool
    problem: str
    steps: list[str]
    extracted: str | None = None
    answer_key: str | None = None
    gold_key: str | None = None

    def done(self, verdict: Verdict, why: str, reason: Reason = Reason.judged) -> Judgement:
        self.steps.append(f"verdict: {verdict} ({why})")
        strict = strict_match(self.text, self.gold, self.form)
        flexible = flexible_match(self.text, self.gold)
        return Judgement(
            verdict, self.extracted, self.answer_key, self.gold_key, why, strict, flexible, reason
        )

    def judge(self) -> Judgement:
        gold = gold_answer(self.gold)
        if not gold:
            return self.done(Verdict.ungradable, "the gold answer is empty", Reason.gold)
        self.steps.append(f"gold answer: {gold}")
        fallback = "form" if self.truncated else self.conventions.fallback
        last = self.conventions.precedence
        found = extract(self.text, self.form, fallback, last, self.problem, is_worded(gold))
        if found is None or not found.text.strip():
            self.steps.append("no final answer found")
            if self.truncated:
                return self.done(Verdict.truncated, "cut off before a final answer")
            return self.done(Verdict.no_answer, "no final answer in the response")
        if self.form == "bare" and not is_worded(gold) and self.text.strip() != self.gold.strip():
            said = response_value(self.text, self.problem)
            found = Found(said, "last") if said is not None else found
        self.extracted = str(found.text)
        self.steps.append(f"{_HOW[found.how]}: {found.text[:200]}")
        if self.truncated and self.form == "bare":
            return self.done(Verdict.truncated, "cut off at the token limit")
        right, why, reason = self.compare(gold, found.text, found.how == "last")
        said = None
        other = in_prose(self.text, found, self.form, gold, right)
        if other is not None:
            right, why, reason = self.compare(gold, other, found.how == "last")
        if not right and found.how == "whole":  # what prose, or steps without any, hold
            said = response_value(self.text, self.problem, reason is Reason.unreadable)
            if said is not None and said != found.text:
                self.extracted = str(said)
                self.steps.append(f"the text is a whole response, which says: {said[:200]}")
                right, why, reason = self.compare(gold, said, True)
        value = said or other or found.text
        back = taken_back(self.text, value, self.problem) if right else None
        if back is not None:
            right, why, reason = False, f"the text does not state it: {back.strip()}", Reason.denied
        elif right:
            another = is_of_another(self.text, value, gold, self.problem)
            if another is not None:
                right, why = False, f"it is not what is asked for: {another}"
        copy = right and self.problem and self.is_copy(gold, found.text, other, said)
        if copy and choices(tidy(gold), tidy(found.text)) is None:
            reason = Reason.copied
            if self.conventions.copies == "refuse":
                right, why = False, "an expression of the problem that was not evaluated"
        verdict = Verdict.correct if right else Verdict.wrong
        return self.done(Verdict.ungradable if reason is Reason.gold else verdict, why, reason)

    def is_copy(self, gold: str, *answers: str | None) -> bool:
        """Whether one of the texts read as the answer, or its only formula, is the problem's."""
        texts = [before_that_is(unlettered(a)) for a in answers if a is not None]
        formulas = [f for f in map(only_formula, texts) if f is not None]
        return any(
            is_copy(text, gold, self.problem) for text in texts + formulas if apart(text) is None
        )

    def compare(self, gold: str, answer: str, ends: bool) -> tuple[bool, str, Reason]:
        """Return whether the answer equals the gold, why, and what kind of grounds that has.

        `ends` says that the answer is only what ends the text, which commits to nothing.
        """
        numbers = self.compare_plainly(gold, answer)
        if numbers is not None:
            return *numbers, Reason.judged
        refused = isinstance(answer, Refused)
        gold, answer = tidy(gold), tidy(answer)
        if gold == answer and gold:
            found = read(gold)
            self.gold_key = self.answer_key = found[0].key if found else gold
            return True, "equal as text", Reason.judged
        gold, answer = with_unit(gold), _without_lead(with_alternative(answer))
        golds, answers, denied = sides(
            gold, answer, self.conventions.locale, self.problem, ends=ends, refused=refused
        )
        self.gold_key = golds[0].key if golds else normal_words(gold)
        self.answer_key = answers[0].key if answers else normal_words(answer)
        self.steps.append(f"gold read as: {self.gold_key}")
        self.steps.append(f"answer read as: {self.answer_key}")
        by_choice = choices(gold, answer)
        if by_choice is not None:
            return *by_choice, Reason.judged
        if denied:
            return False, "the answer says what it is not", Reason.denied
        right, why = self.equal(golds, answers, gold)
        if golds and answers and not (right and golds[0].kind == "num"):
            said = declared(gold)[1], declared(answer)[1]
            if right and of_other_numbers(said, golds, answers):
                right, why = False, "a family for other numbers"
            if not right:
                c = comparison(self.conventions)
                right, why = as_sets(c, golds[0], answers[0], said, self.problem) or (right, why)
        if right and is_region(golds[0]) and names_others(answer, gold):
            return False, "numbers of another kind", Reason.judged
        if right and says_the_opposite(answer, gold, self.problem):
            return False, "the same value with the opposite of its word", Reason.judged
        if right:
            return True, why, Reason.judged
        if not golds or not answers or all_words(golds[0]):
            worded = same_words(gold, answer)
            if worded is not None:
                return True, worded, Reason.judged
        if not golds:
            return False, "the gold answer cannot be read", Reason.gold
        if not answers:
            return False, "the answer cannot be read as mathematics", Reason.unreadable
        return False, why, Reason.judged

    def compare_plainly(self, gold: str, answer: str) -> tuple[bool, str] | None:
        """Compare two plain decimal numbers; None unless both are and nothing more is to be said.

        Also None where a tolerance may make them equal, and where the comma of one that differs
        may be a decimal mark or separate two values.
        """
        c = self.conventions
        quick = _quick(gold, answer) if c.locale != "comma" else None
        if quick is None:
            return None
        equal, self.gold_key, self.answer_key = quick
        if equal:
            return True, "equal numbers"
        exact = not (c.relative or c.absolute or c.rounding != "exact")
        if exact and ("," not in answer or "/" not in self.gold_key):
            return False, "different numbers"
        return None

    def equal(self, golds: Readings, answers: Readings, gold: str) -> tuple[bool, str]:
        """Return whether some reading of the answer equals one of the gold, and why."""
        places, why = decimals(gold), "the texts differ"
        if self.conventions.rounding == "problem":
            places = asked_places(self.problem) if self.problem else None
        compare = comparison(self.conventions, places)
        if self.conventions.units == "problem" and self.problem:
            golds = tuple(in_unit(g, asked_unit(self.problem)) for g in golds)
        golds, answers = alike(golds, answers)
        for g in golds:
            for a in answers:
                try:
                    right, why = compare.same(g, a)
                except Unreadable as error:
                    right, why = False, f"no comparison: {error}"
                if right and is_unfactored(g, a, self.problem):
                    right, why = False, "not factored as far as the problem asks"
                if right and is_misordered(g, a, self.problem, lambda x, y: compare.same(x, y)[0]):
                    right, why = False, "not in the order that the problem asks for"
                self.steps.append(f"{g.key} against {a.key}: {why}")
                if right:
                    self.gold_key, self.answer_key = g.key, a.key
                    return True, why
        return False, why


def _without_lead(answer: str) -> str:
    """Return a tidy answer without "the answer is" at its beginning."""
    leads = "is" in answer or ":" in answer or "=" in answer or "are" in answer
    return tidy(stated(answer)) if leads else answer


def _quick(gold: str, answer: str) -> tuple[bool, str, str] | None:
    """Compare two plain decimal numbers; None unless both are."""
    gold, answer = gold.strip(), answer.strip()
    if not (_SIMPLE.fullmatch(gold) and _SIMPLE.fullmatch(answer)):
        return None
    x, y = (normalised(n.removeprefix("+")) for n in (gold, answer))
    return x == y, x, y
