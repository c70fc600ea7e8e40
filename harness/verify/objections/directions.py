"""Values that a response gives the opposite direction of the one that the question asks for.

Where it is asked by how much a price rose, "it fell by 5" is no answer, though 5 is the number.
Only a direction right beside the value counts, and only where it is said of what the question is
about: "Bo is 13 years younger than Ida" answers how much older Ida is than Bo.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from harness.verify.extraction.question import last_question
from harness.verify.extraction.sentences import NUMBERISH
from harness.verify.extraction.stops import start_before
from harness.verify.objections.things import AUXILIARY, stems, things
from harness.verify.objections.vetoes import places

# each line: what kind of words they are, those of the one direction, a bar, those of the other
_LINES = """
change: increase increases increased increasing rise rises rose risen rising grow grows grew grown \
growth climb climbs climbed | decrease decreases decreased decreasing drop drops dropped fall \
falls fell fallen decline declines declined shrink shrinks shrank shrunk reduced reduction
change: profit gain gains gained win wins won | loss lose loses lost
change: deposit deposits deposited | withdraw withdraws withdrew withdrawn withdrawal
compared: more longer greater larger bigger higher heavier taller wider dearer warmer hotter \
farther further exceed | less fewer shorter smaller lower lighter narrower cheaper colder cooler \
nearer closer
compared: older | younger
compared: deeper | shallower
compared: faster fast quicker | slower slow
compared: early earlier | late later
placed: ahead | behind
placed: above over | below under beneath
placed: north | south
placed: east | west
placed: clockwise | counterclockwise anticlockwise counter-clockwise anti-clockwise
placed: up upward upwards | down downward downwards
placed: before | after
"""


class _Direction(NamedTuple):
    """A direction: the line it is of, which side of that, and what kind of words these are."""

    line: int
    side: int
    kind: str


_OF_WORD = {
    word: _Direction(i, side, line.partition(":")[0])
    for i, line in enumerate(_LINES.strip().splitlines())
    for side, words in enumerate(line.partition(":")[2].split("|"))
    for word in words.split()
}


def _any_of(kind: str) -> str:
    found = (w for w, d in _OF_WORD.items() if d.kind == kind)
    return "(?:" + "|".join(sorted(found, key=len, reverse=True)) + ")"


_CHANGE, _COMPARED, _PLACED = map(_any_of, ("change", "compared", "placed"))
_ASKED = [
    re.compile(form)
    for form in (
        # by how many metres did it rise, how much did she lose
        r"\b(?:by\s(?:how|what)|how\s(?:much|many)|what\spercent(?:age)?)\b"
        rf"(?:(?!{AUXILIARY}\b|[.,?]).){{0,60}}\b{AUXILIARY}\s"
        r"(?:(?!\b(?:when|after|before|if|because|since|that|who|which|as|to)\b|[.,?]).){0,60}?"
        rf"\b(?P<said>{_CHANGE})\b",
        # what was his profit
        r"\b(?:what\s(?:is|was|are|were)|find|calculate|determine|compute|how\smuch)\s"
        rf"(?:(?:the|his|her|its|their|a|an)\s)?(?:[a-z]+\s)?(?P<said>{_CHANGE})\b",
        # how many metres deeper, how many more
        rf"\bhow\s(?:much|many|far)\s(?:[a-z/]+\s){{0,2}}?(?P<said>{_COMPARED})\b",
        # how far above, how many points is he ahead
        rf"\bhow\s(?:much|many|far)\s(?:[a-z/]+\s)?(?P<said>{_PLACED})\b",
        rf"\bhow\s(?:many\s[a-z/]+|far)\s{AUXILIARY}\s(?:[a-z]+\s){{1,4}}?"
        r"(?P<said>ahead|behind|above|below|north|south|east|west)\b",
        # by how much is it larger, over the budget; by how much does it exceed
        rf"\bby\show\s(?:much|many)\s(?:[a-z/]+\s)?{AUXILIARY}\s(?:[a-z]+\s){{1,4}}?"
        rf"(?P<said>{_COMPARED}|over|under)\b",
        r"\bby\show\s(?:much|many)\s(?:[a-z/]+\s)?(?:do|does|did)\b[^.,?]{1,60}\s"
        r"(?P<said>exceed)\b",
    )
]
_MORE_OF = re.compile(r"\b(?:do|does|did)\s[^.,?]{1,60}\bhave\W*$")  # how many more does it have?
_EITHER = re.compile(r"\s?(?:or|/)\s?[a-z-]+")
_WORD = re.compile(r"[a-z-]+")


class _Asked(NamedTuple):
    """The direction that a question asks for, of what, and beside what that is compared."""

    direction: _Direction
    of: frozenset[str]
    beside: frozenset[str]


class _Said(NamedTuple):
    """A direction beside a value, what stands before the value, and what behind both."""

    word: str
    side: int
    before: str
    behind: str


_WINDOW = 600  # characters at the end of a response that are looked at


def says_the_other_way(text: str, value: str, gold: str, problem: str) -> str | None:
    """Return the word by which a response gives a value the opposite direction, or None.

    Args:
        text: The response.
        value: What was read as its answer.
        gold: The gold answer; one that has a direction or a minus itself is left to other rules.
        problem: The problem, whose last question may ask for a direction.
    """
    asked = _asked(problem)
    if asked is None or "-" in gold or any(w in _OF_WORD for w in gold.lower().split()):
        return None
    window, numbers = text[-_WINDOW:], NUMBERISH.findall(value)
    number = numbers[0].strip(" $€£¥\\%") if len(numbers) == 1 else ""
    stated = [at for at in places(window, number) if not _CALCULATED.search(window[:at])]
    around = [_said(window, at, at + len(number), asked.direction.line) for at in stated]
    last = around[0] if around else None
    sides = {x.side for x in around[1:] if x is not None}
    # the last place counts, if no other one has the right direction
    if last is None or asked.direction.side in sides or not _is_opposite(last, asked):
        return None
    return last.word


_CALCULATED = re.compile(r"(?:[=+/]|(?<!\*)\*)\s?$")  # 46 - 31 = 15, so she has 15 more


# -- what is asked for ----------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _asked(problem: str) -> _Asked | None:
    """Return the direction that a problem's last question asks for, or None."""
    question = _in_one_word(last_question(problem)) if problem else ""
    found = next(filter(None, (p.search(question.lower()) for p in _ASKED)), None)
    if found is None:
        return None
    said, end = found["said"], found.end("said")
    direction = _OF_WORD[said]
    known = (_OF_WORD[w] for w in _WORD.findall(question.lower()) if w in _OF_WORD)
    sides = {d.side for d in known if d.line == direction.line}
    if len(sides) > 1 and (direction.kind == "change" or _EITHER.match(question, end)):
        return None  # his profit or loss
    beside, between, rest = _compared_with(question[end:], direction.kind)
    if said == "more" and not beside and not _MORE_OF.search(question):
        return None  # how many more she needs
    of = _things(f"{question[: found.start('said')]}, {between}, {rest}")
    if direction.kind == "compared" and beside and not _VERB.search(between):
        of |= stems(between)  # how many more boys than girls
    return _Asked(direction, of, beside)


_VERB = re.compile(rf"\b{AUXILIARY}\b")
_REFERENCE = {  # what stands before that with which something is compared
    "compared": re.compile(r"\bthan\s"),
    "placed": re.compile(r"^\s(?:of\s|from\s)?"),
}
_END = re.compile(rf"\s\b{AUXILIARY}\b|[.,;:?!]")


def _compared_with(behind: str, kind: str) -> tuple[frozenset[str], str, str]:
    """Return the words of that with which something is compared behind a direction, and the rest.

    The rest are the words before and behind these.
    """
    pattern = _REFERENCE.get(kind)
    mark = pattern.search(behind) if pattern is not None else None
    if mark is None:
        return frozenset(), behind, ""
    end = _END.search(behind, mark.end() - 1)
    stop = end.start() if end is not None else len(behind)
    return stems(behind[mark.end() : stop]), behind[: mark.start()], behind[stop:]


# -- what is said ---------------------------------------------------------------------------------

_ADVERBS = r"(?:about|only|exactly|just|around|roughly|approximately|a|total|of|is|was|by)"
_BEFORE = re.compile(
    rf"\b(?P<change>{_CHANGE})(?:\s{_ADVERBS}){{0,3}}\s?[:=]?\W{{0,2}}$"
    rf"|\b(?P<compared>{_COMPARED})(?P<than>\sthan(?:\s[a-z]+){{1,4}})?\sby(?:\s{_ADVERBS})?\W{{0,2}}$",
    re.I,
)
_NO_UNIT = (
    r"(?:and|or|to|from|in|at|on|for|with|by|but|than|then|because|since|if|when|which|so|that|who"
    rf"|out|{AUXILIARY})\b"
)
_BEHIND = re.compile(
    rf"[^\w.,;:()]{{0,2}}(?:(?!{_NO_UNIT})[a-z%°/²]+\s){{0,2}}"
    rf"(?P<said>{_CHANGE}|{_COMPARED}|{_PLACED})\b(?!\s(?:or|and)\b)",
    re.I,
)
_NOT = re.compile(r"\bnot?\b|n['’]t\b|\bnever\b", re.I)
_NEW_CLAUSE = re.compile(
    r"[;:]\s|(?:^|[\s,])(?:so|thus|hence|therefore|means)(?:\sthat)?[,\s]", re.I
)
_STOP = re.compile(r"[.!?]\s|\n")


def _said(window: str, start: int, end: int, line: int) -> _Said | None:
    """Return the only direction of a line that stands beside a place of a value, or None."""
    before = _NEW_CLAUSE.split(_plain(window[start_before(window, start) : start]))[-1]
    behind = _plain(_STOP.split(window[end : end + 160] + "\n")[0])
    if _NOT.search(before) or _NOT.search(behind):
        return None
    left, right = _BEFORE.search(before), _BEHIND.match(behind)
    found = []
    if left is not None:
        found.append(((left["change"] or left["compared"]).lower(), (left["than"] or "") + behind))
        before = before[: left.start()]
    if right is not None:
        found.append((right["said"].lower(), behind[right.end() :]))
    said = [_Said(w, _OF_WORD[w].side, before, x) for w, x in found if _OF_WORD[w].line == line]
    return said[0] if len({x.side for x in said}) == 1 else None


# of what is not asked for: "the other team won by 20", "she used to have 9 dollars more"
_ELSEWHERE = re.compile(
    r"\b(?:other|another|rest|used\sto|before|earlier|originally|previously|initially|once|ago"
    r"|first)\b",
    re.I,
)


def _is_opposite(said: _Said, asked: _Asked) -> bool:
    """Whether a direction is not the one asked for, of what it is asked for."""
    kind, other_way = asked.direction.kind, said.side != asked.direction.side
    if _ELSEWHERE.search(said.before):
        return False
    beside, between, rest = _compared_with(said.behind, kind)
    of = _things(said.before)
    if kind == "change":
        return other_way and not (of and asked.of and not of & asked.of)
    if beside:
        of |= _things(f"{between}, {rest}")
    if not asked.beside:
        nothing = not of and not (beside and kind == "compared")
        return other_way and (nothing or bool(of and of <= asked.of))
    if beside and kind == "compared":
        of |= stems(between)  # 5 fewer boys than girls
    mine, theirs = asked.of - asked.beside, asked.beside - asked.of
    straight = bool(of & mine or beside & theirs)
    crossed = bool(of & theirs), bool(beside & mine)
    if not other_way:
        return all(crossed) and not beside & theirs
    alone = not (beside or _LETTERS.search(said.before))  # 15 fewer
    return alone or (straight and not any(crossed))


_LETTERS = re.compile(r"[A-Za-z]{2}")
_END_OF_THING = re.compile(
    rf"\b(?:{AUXILIARY}|than|from|to|in|at|on|by|for|with|as|and|or|that|which|who|when|after|before"
    r"|costs?|takes?|took|weighs?|makes?|made|gets?|got|arrives?|came|comes|stands?"
    rf"|{_CHANGE}|{_COMPARED}|{_PLACED})\b",
    re.I,
)


def _things(text: str) -> frozenset[str]:
    return things(text, _END_OF_THING) - _OF_WORD.keys()


_MARKS = re.compile(r"(?:\\(?:textbf|text|mathrm|mathbf|boxed)|[\\${}*~\s])+")


def _plain(text: str) -> str:
    """Return a text without marks of formulas and bold words, one blank between its words."""
    return _in_one_word(_MARKS.sub(" ", text))


def _in_one_word(text: str) -> str:
    return text.replace(" more expensive", " dearer").replace(" less expensive", " cheaper")
