"""What a judgement is."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

VERIFIER_VERSION = "13"  # changes whenever a verdict on the project's own cases changes


class Verdict(enum.StrEnum):
    """The five outcomes of judging one answer."""

    correct = "correct"
    wrong = "wrong"
    no_answer = "no_answer"
    truncated = "truncated"
    ungradable = "ungradable"


class Reason(enum.StrEnum):
    """What kind of grounds a verdict has, so that each kind can be counted.

    Verdicts alone say too little: `wrong` is also the verdict on an answer that cannot be read.
    """

    judged = "judged"  # both sides were read and compared, or there was nothing to read
    unreadable = "unreadable"  # the answer is neither mathematics that the reader knows nor words
    denied = "denied"  # the answer says what it is not
    copied = "copied"  # the answer is an expression of the problem that nobody evaluated
    gold = "gold"  # the gold answer is empty or cannot be read
    limit = "limit"  # a bound of size or time
    failed = "failed"  # a fault of the verifier


@dataclass(frozen=True)
class Judgement:
    """One verdict with its grounds.

    Attributes:
        verdict: The outcome.
        extracted: The text that was read as the final answer, or None.
        read: Canonical form of what was read in it, or None.
        gold_read: The same of the gold answer.
        why: One short sentence.
        strict: Lm-eval-like strict match: the protocol's own form is there and its content
            equals the gold as a normalised string or number.
        flexible: Lm-eval-like flexible match: the last number (or, for a gold that is no
            number, the last answer-looking piece) equals the gold in the same sense.
        reason: What kind of grounds the verdict has. Records from before it was kept have
            `judged` throughout.
    """

    verdict: Verdict
    extracted: str | None
    read: str | None
    gold_read: str | None
    why: str
    strict: bool
    flexible: bool
    reason: Reason = Reason.judged


def ungradable(why: str, reason: Reason = Reason.limit) -> Judgement:
    """Return the judgement of what could not be judged."""
    return Judgement(Verdict.ungradable, None, None, None, why, False, False, reason)


def best(judged: Sequence[Judgement]) -> Judgement:
    """Return the judgement against the gold that the answer meets, else the first that counts."""
    if not judged:
        return ungradable("there is no gold answer", Reason.gold)
    ranks = {Verdict.correct: 2, Verdict.ungradable: 0}
    found = max(judged, key=lambda j: ranks.get(j.verdict, 1))
    strict, flexible = any(j.strict for j in judged), any(j.flexible for j in judged)
    return replace(found, strict=strict, flexible=flexible)
