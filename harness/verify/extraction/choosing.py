"""Which of several numbers and formulas a sentence states.

Of those whose place counts most the last one counts, or the one whose clause speaks of what is
asked for.
"""

from __future__ import annotations

import re
from fractions import Fraction

from harness.verify.extraction.candidates import Candidate, candidates
from harness.verify.extraction.places import BOUNDED, Place
from harness.verify.extraction.question import Asked, words
from harness.verify.extraction.sentences import in_two_units
from harness.verify.reading.words import UNITS


def chosen(sentence: str, asked: Asked) -> str | None:
    """Return the candidate of a sentence that counts most."""
    found = candidates(sentence)
    if not found:
        return None
    *_, step = [None, *_THEREFORE.finditer(sentence, 0, found[-1].start)]
    start = step.end() if step is not None else 0
    if step is not None and _is_beside(sentence, start, asked):
        return chosen(sentence[: step.start()], asked)
    every = [c for c in found if c.start >= start]
    found = _likeliest(sentence, every, asked)
    if asked.numbers == 2 and len(found) == 2:  # 11 geese and 6 goats
        return ", ".join(c.text for c in found)
    best = _labelled(sentence, every, asked) or _sum(sentence, every, asked)
    best = best or _best(sentence, start, found, asked)
    best = _not_given(sentence, best, found, asked) or best
    best = _left_over(sentence, every, asked) or best
    best = _in_asked_unit(best, every, asked) or best
    return _with_bound(sentence, best, asked)


_THEREFORE = re.compile(
    r"(?:,\s*|\s)(?:and\s+)?(?:so|thus|therefore|hence|which\s+(?:leaves|gives|makes|means))\b"
    r"|\s?[→⇒]\s|,\s*(?:leaving|giving|making|meaning|for\s+a\s+(?:final|total))\b",
    re.I,
)
_ITS = re.compile(r"\s(?:its|their|the|his|her)\s[a-z]{2,15}\s(?:is|are)\s")


def _is_beside(sentence: str, start: int, asked: Asked) -> bool:
    """Whether a last step is not what was asked for: `the radius is 5, so the diameter is 10`."""
    its = _ITS.match(sentence, start) and not asked.words & words(sentence[start:])
    return bool(its and asked.words & words(sentence[:start]))


# -- the best of them -----------------------------------------------------------------------------

_CLOCK = re.compile(r"\d:\d\d|\d\s?[ap]\.?m\b", re.I)
_BY = re.compile(r"\b(?:by|difference\sof)\s(?:about\s|exactly\s|only\s)?\S{0,2}$")
_MORE = re.compile(r"(?:\s[a-z]{1,15})?\s(?:more|fewer|less)\b")
_TOTAL = re.compile(r"\btotal\sof\s\S{0,2}$")


def _likeliest(sentence: str, found: list[Candidate], asked: Asked) -> list[Candidate]:
    """Return the candidates of the kind that is asked for whose place counts most."""
    if "perce" in asked.words:
        found = [c for c in found if c.text.endswith(("%", "percent"))] or found
    if asked.time or any(w in UNITS for w in asked.words):  # a time of day, or none
        found = [c for c in found if bool(_CLOCK.search(c.text)) is asked.time] or found
    if asked.difference:
        found = [
            c for c in found if _BY.search(sentence, 0, c.start) or _MORE.match(sentence, c.end)
        ] or found
    units = {UNITS[w] for w in asked.counted}
    if units:
        found = [c for c in found if _unit(c) in units] or found
    if "total" in asked.words:
        found = [c for c in found if _TOTAL.search(sentence, 0, c.start)] or found
    # after 8 hours the candle is 10 cm tall
    found = [c for c in found if _unit(c) is None or not _is_asked_of(c, asked)] or found
    least = min(c.rank for c in found)
    found = [c for c in found if c.rank == least]
    # 3 of the numbers up to 40
    return [c for c in found if not _is_asked_of(c, asked)] or found


def _is_asked_of(found: Candidate, asked: Asked) -> bool:
    """Whether a candidate is a number of the question, of the same thing if both say of what."""
    said = found.text.split()
    if "".join(said[:1]) not in asked.words:
        return False
    of = {q.split()[1] for q in asked.quantities if q.startswith(f"{said[0]} ")}
    return len(said) < 2 or not of or said[1][:5].lower() in of


def _sum(sentence: str, every: list[Candidate], asked: Asked) -> Candidate | None:
    """Return a number whose parts follow: `12` of `he walks 12 km, 6 km there and 6 km back`."""
    figures = [_FIGURE.sub("", c.text).replace(",", "") for c in every]
    if len(every) < 3 or "=" in sentence or not all(map(_PLAIN_FIGURE.fullmatch, figures)):
        return None
    values = [Fraction(one) for one in figures]
    for i, one in enumerate(every[:-2]):
        parts = _PARTS.fullmatch(sentence[one.end : every[i + 1].start])
        of_them = parts is not None and values[i] == sum(values[i + 1 :])
        if of_them and one.rank <= min(c.rank for c in every) and not _is_given(one, asked):
            return one
    return None


_PARTS = re.compile(r"(?:\s[a-z]+){0,5},\s[$€£]?")
_PLAIN_FIGURE = re.compile(r"\d{1,9}(?:\.\d{1,6})?")
_LINK = re.compile(r"\s(?:is|are|was|were|equals|of|at|:|=)?\s*\S{0,2}$")
_TWO_NAMES = re.compile(
    r"^,?\s(?:and|with|while|whereas)\s(?!(?:this|that|it|then|so)\b)(?:\$y\$-|[a-z]+(?![a-z])\s?)+$"
)
_SEGMENT = re.compile(
    r"[,;:(]\s|\b(?:and|with|while|whereas|but|where|when|has|have|had|is|are|was|were|so|thus|hence)\s",
    re.I,
)


def _labelled(sentence: str, every: list[Candidate], asked: Asked) -> Candidate | None:
    """Return the one of the last two formulas whose own name is what is asked for.

    `6` of `the circle has center (3, -4) and radius 6`, where the radius is.
    """
    last = every[-1]
    shown = [c for c in every if c.math and c.rank < Place.NAME]
    if not asked or len(shown) < 2 or shown[-1] is not last:
        return None
    two = shown[-2:]
    if not _TWO_NAMES.search(sentence[two[0].end : last.start]):
        return None
    names = [words(_SEGMENT.split(_LINK.sub("", sentence[: c.start][-80:]))[-1]) for c in two]
    scores = [asked.weight(name) for name in names]
    return two[scores[1] > scores[0]] if scores[0] != scores[1] else None


def _not_given(
    sentence: str, best: Candidate, found: list[Candidate], asked: Asked
) -> Candidate | None:
    """Return another number where the best is one of the problem's and no nearer to its question.

    `60` of `the jacket used to cost $60; it now costs $75`, where the 75 is given.
    """
    if best.math or not _is_given(best, asked):
        return None
    others = [c for c in found if not c.math and not _is_given(c, asked)]
    here, near = len(_clause(sentence, best, asked)), _near(sentence, best, found, asked)
    others = [
        c
        for c in others
        if len(_clause(sentence, c, asked)) >= here and _near(sentence, c, found, asked) >= near
    ]
    return others[-1] if others else None


_FIGURE = re.compile(r"^[^\d]{0,3}|(?<=\d)[^\d.,].*$|[.,]$")


def _is_given(found: Candidate, asked: Asked) -> bool:
    return _FIGURE.sub("", found.text) in asked.given


_SUBJECT = re.compile(
    r"[^\d]{0,12}\s(?:is|are|was|were)\s(?:the|what|how|an?|his|her|their|our)\b", re.I
)


def _best(sentence: str, start: int, found: list[Candidate], asked: Asked) -> Candidate:
    """Return the last of equal candidates, or the one that speaks of the question."""
    if len(found) == 1:
        return found[0]
    first = not sentence[start : found[0].start].strip()
    subject = first and _SUBJECT.match(sentence, found[0].end)  # 12 is the number of pears
    if not asked:
        return found[0] if subject else found[-1]
    other = max(found, key=lambda c: (len(_clause(sentence, c, asked)), c.start))
    best = found[0] if subject else _last_or_near(sentence, found, other, asked)
    if other is best:
        return best
    formulas = best.math or other.math
    gap = sentence[other.end : best.end]
    apart = _PARALLEL.search(gap) if formulas and "=" not in gap else _BREAK.search(gap)
    if formulas and "=" in other.text + gap:
        return best
    less = apart and _clause(sentence, best, asked) < _clause(sentence, other, asked)
    return other if less else best


_OTHER = re.compile(
    r"\b(?:and|while|but)\s(?:its|their|the|his|her)\s[a-z]{2,15}\s(?:is\s|are\s)?\S{0,2}$"
)
_THERE_ARE = re.compile(r"\bthere\s(?:is|are|was|were)\s\S{0,2}$", re.I)
_LINKED = re.compile(
    r"\b(?:is|are|was|were|equals?|of|be|to|has|have|at|in|for|by|an?)\s+\S{0,2}$", re.I
)


def _last_or_near(
    sentence: str, found: list[Candidate], other: Candidate, asked: Asked
) -> Candidate:
    """Return the last candidate, or one nearer to words of the question.

    `other` is the one whose clause has most of them: it counts where that of the last has none.
    """
    last = found[-1]
    formula = sentence[last.start] in "$\\" and not _OTHER.search(sentence, 0, last.start)
    if not formula and not _clause(sentence, last, asked):
        return other
    if "=" in last.text or _LINKED.search(sentence[: last.start]):
        return last
    before = [(c, sentence[: c.start]) for c in found]
    free = [c for c, b in before if not _LINKED.search(b) or _THERE_ARE.search(b)]
    near = {c: _near(sentence, c, found, asked) for c in free if "=" not in c.text}
    return last if near[last] else max(near, key=lambda c: (near[c], c.start))


def _near(sentence: str, one: Candidate, found: list[Candidate], asked: Asked) -> int:
    """Return how many words of the question stand right before a candidate or behind it."""
    behind = sentence[one.end : min((c.start for c in found if c.start > one.start), default=None)]
    behind = re.split(r"\b(?:in|from|for|on|at|with|by)\b", behind)[0]
    before = re.split(r"\band\b", " ".join(sentence[: one.start].split()[-2:]))[-1]
    return len(asked.words & words(f"{before} {behind[:60]}"))


_BREAK = re.compile(
    r";\s|,\s(?=[A-Z][a-z]+\s(?:has|had|is|was|gets?|got|needs?|makes?|made|earn(?:s|ed)|pays?|paid|sold|sells?)\b)|,\s(?=(?:his|her|its|their|the|die|der|das|la|le|el|los|les)\s)|,?\s(?:and|but|while|whereas)\s(?!\S{0,3}\d)"
)

_PARALLEL = re.compile(r"\band\s(?:that|the|its|an?)\s")  # a maximum 16 and the minimum 2


def _clause(sentence: str, found: Candidate, asked: Asked) -> frozenset[str]:
    """Return the words of the question that the clause around a candidate has."""
    start = 0
    for mark in _BREAK.finditer(sentence, 0, found.start):
        start = mark.end()
    end = _BREAK.search(sentence, found.end)
    clause = sentence[start : end.start() if end else len(sentence)]
    return asked.words & (words(clause) | set(re.findall(r"\d+", clause)))


# -- what the question makes of it ----------------------------------------------------------------

_LEFT_OVER = re.compile(r".{0,3}\bwith\s\S{1,9}(?:\s[a-z]+)?\s(?:left\b|remaining\b|leftover)")


def _left_over(sentence: str, every: list[Candidate], asked: Asked) -> Candidate | None:
    """Return what is left over, if that is asked for: `2` of `6 bags, with 2 left over`."""
    over = [c for c in every if _LEFT_OVER.match(sentence, max(0, c.start - 6))]
    return over[-1] if over and {"left", "remai", "lefto"} & asked.words else None


def _in_asked_unit(best: Candidate, every: list[Candidate], asked: Asked) -> Candidate | None:
    """Return the same quantity in the unit that is asked for: `150 minutes, or 2.5 hours`."""
    kind = _unit(best)
    if not asked or kind is None:
        return None
    wanted = {UNITS.get(w) for w in asked.words}
    same = [c for c in every if (u := _unit(c)) and u[0] == kind[0] and u in wanted]
    return same[-1] if same and kind not in wanted else None


def _unit(found: Candidate) -> tuple[str, Fraction] | None:
    words = found.text.split()
    return UNITS.get(words[1 if in_two_units(found.text) else -1].lower()) if words else None


_EXTREMES = {
    "least": words("minimum least smallest fewest lowest shortest"),
    "most": words("maximum most largest greatest highest longest biggest"),
}
_NEEDED = re.compile(
    r"\b(?:must|needs?|needed|ha[sd]\sto|have\sto|should|required|necessary|can|could|able|possible)\b"
)


def _with_bound(sentence: str, best: Candidate, asked: Asked) -> str:
    """Return a value, or `at least 12` for a bound, which the reader refuses."""
    bound = BOUNDED.search(sentence[max(0, best.start - 40) : best.start])
    if bound is None:
        return best.text
    asks = _EXTREMES.get(bound.group(1).split()[-1].lower(), frozenset())
    if asks & asked.words and _NEEDED.search(sentence):
        return best.text  # he must sell at least 715, where the minimum is asked for
    return f"{bound.group(1)} {best.text}"
