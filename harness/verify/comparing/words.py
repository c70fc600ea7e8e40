"""Answers that are compared as they are worded: letters of choices, sentences, yes and no."""

from __future__ import annotations

import re

from harness.verify.algebra.node import Node
from harness.verify.extraction.phrases import in_words
from harness.verify.reading.answer import choice
from harness.verify.reading.words import TEXT, normal_words


def choices(gold: str, answer: str) -> tuple[bool, str] | None:
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


_NOUN = re.compile(r"(?<=\w)\s(?:function|number|integer|series|sequence|triangle)$")
# conditionally convergent, converges conditionally
_CONVERGES = re.compile(r"^(?:(\w+ly) )?(con|di)verge(?:nt|s)(?: (\w+ly))?$")
_IT_IS = re.compile(
    r"^(?!.{0,40}\b(?:neither|none|no|not|nor|never|hardly)\b)(?:[a-z]{1,12} ){0,2}[a-z]{1,12}"
    r"(?:'s|\s+(?:is|are|was|were|falls|lands|fell))\s+"
    r"(?:(?:an?|the|on)\s+)*"
)
_DENYING = re.compile(r"\b(?:or|neither|none|nobody|nor|no one)\b")
_EACH_OTHER = re.compile(r" (?:to|with|from|of) (?:each other|one another)$")
# words whose order says nothing else: isosceles right triangle
_ORDERED = {
    "of", "than", "to", "from", "by", "over", "before", "after", "then", "if", "is", "not", "and",
    "or", "but", "implies", "beats", "no", "only", "in", "on", "at", "with",
}  # fmt: skip
_REMARK = re.compile(r" \([^()]{1,80}\)$")
_STATUS = re.compile(r"(neither |nor |not |in|un)?(sufficient|necessary)\b")
_YES_OR_NO = re.compile(r"(yes|no|true|false)(?:[,.;:!]|\s+because\b)")


_ANSWERED = re.compile(r"(yes|no|true|false)[,;.:] (\D{3,})")  # with its reason


def all_words(node: Node) -> bool:
    """Whether a reading is words alone: "No, it is not possible"."""
    return node.kind == "text" or (node.kind == "list" and all(x.kind == "text" for x in node.args))


def _statuses(words: str) -> frozenset[tuple[str, bool]]:
    """Return what a condition is said to be: sufficient or not, necessary or not."""
    return frozenset((kind, not denied) for denied, kind in _STATUS.findall(words))


def _reordered(words: list[str], said: list[str]) -> bool:
    """Whether two phrases have the same adjectives before the same noun."""
    same = len(words) > 2 and words[-1] == said[-1:][0] if said else False
    return same and sorted(words) == sorted(said) and _ORDERED.isdisjoint(words)


def same_words(gold: str, answer: str) -> str | None:
    """Return why two answers in words are the same, or None."""
    words, said = normal_words(gold), normal_words(answer)
    said = _NOUN.sub("", said) if not _NOUN.search(words) else said  # an even function
    said = _EACH_OTHER.sub("", _REMARK.sub("", said))
    if "sufficient" in words and _statuses(words) == _statuses(said):
        return "the same kind of condition"
    if words == "no" and said == "no solution":  # no such integers exist
        return "equal words"
    if len(words) > 1 and _NOUN.sub("", words) == _IT_IS.sub("", said):
        return "equal words"
    if _reordered(words.split(), said.split()):
        return "the same words in another order"
    if len(words) > 1 and words in (said, _IT_IS.sub("", said)):
        return "equal words"
    answered = _ANSWERED.fullmatch(words)
    if answered is not None:
        if answered.group(2) in (said, _IT_IS.sub("", said)):
            return "equal words"
        words = answered.group(1)
        if said == words:
            return "equal words"
    if words.count("=") == 1 and [*map(str.strip, words.split("="))] == [
        *map(str.strip, said.split("=")[::-1])
    ]:
        return "the same equation"
    behind = _IT_IS.sub("", said)
    if _CONVERGES.sub(r"\2 \1\3", words) == _CONVERGES.sub(r"\2 \1\3", behind) != behind:
        return "the same words"
    last = normal_words(in_words(TEXT.sub(r"\1", answer)) or "")
    if len(words) > 2 and last == words and not _DENYING.search(said):
        return "the last words of a sentence"
    first = _YES_OR_NO.match(said)
    if first is None or first.group(1) != words or (_YES_OR_NO.match(f"{last}.") and last != words):
        return None  # Yes. The answer is no.
    return "the first word of a sentence"
