"""The two sides of a comparison: a gold answer and an answer, each read beside the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from harness.verify.algebra.node import Node
from harness.verify.comparing.golds import gold_readings
from harness.verify.comparing.names import closing
from harness.verify.comparing.relations import as_residue, without_modulus
from harness.verify.comparing.words import all_words
from harness.verify.extraction.question import asked_by
from harness.verify.extraction.readings import readings
from harness.verify.extraction.sentences import affirmed
from harness.verify.limits import Unreadable
from harness.verify.reading.answer import Readings, read
from harness.verify.reading.letters import apart
from harness.verify.reading.words import canonical_unit


class Sides(NamedTuple):
    """The readings of both sides, and whether the answer only says what it is not."""

    golds: Readings
    answers: Readings
    denied: bool = False


_BY = re.compile(r"^\s*(-?[\d.]+)\s*(?:\\times|\\?\bx\b|\bby\b|\u00d7)\s*(-?[\d.]+)\s*$")  # 8 x 6


def sides(gold: str, answer: str, locale: str, problem: str, *, ends: bool, refused: bool) -> Sides:
    """Return the readings of a gold answer and of an answer, both tidy.

    `ends` says that the answer is only what ends the text, which commits to nothing, and `refused`
    that the response does not stand by it.
    """
    golds = gold_readings(gold, locale)
    asked = asked_by(problem)
    said: str | None = answer
    if golds and not all_words(golds[0]):
        said = affirmed(answer, asked.words, refused=refused)
    if said is None:
        return Sides(golds, (), denied=True)
    answers = readings(said, golds, locale, problem)
    if "imension" in problem and golds and golds[0].kind == "list":
        answers += read(_BY.sub(r"\1, \2", said))
    golds, answers = _measured(gold, golds, answer, answers)
    if said and golds and golds[0].kind != "rel":
        unread = not answers or (answers[0].kind == "list" and "\\begin" in said)
        if ends and unread:
            answers = readings(re.split(r"=|\\to\b|\\approx\b", said)[-1], golds, locale)
        ending = _each(closing, answers)
        both = not ends or "approx" in said
        answers = tuple(dict.fromkeys(ending + answers)) if both else ending
    return Sides(golds, answers)


def _measured(
    gold: str, golds: Readings, answer: str, answers: Readings
) -> tuple[Readings, Readings]:
    """Return both sides with the readings as quantities, `1500 m` and `1.5 km`, if both are one.

    Letters of a unit that stand apart in the gold may be variables: they are a unit only beside
    an answer that measures the same.
    """
    if not golds or not answers or golds[0].kind != "mul":
        return golds, answers
    quantities = []
    for text, nodes in ((gold, golds), (answer, answers)):
        written = apart(text) if nodes[0].kind == "mul" else None
        quantities.append(read(written) if written is not None else nodes[:1])
    kinds = [_measures(n[0]) for n in quantities if n]
    if len(kinds) < 2 or not kinds[0] or kinds[0] != kinds[1]:
        return golds, answers
    return golds + quantities[0], answers + quantities[1]


def _measures(node: Node) -> str:
    """Return the kind of quantity that a node is in a known unit, or nothing."""
    try:
        return canonical_unit(node.args[1])[0] if node.kind == "unit" else ""
    except Unreadable:  # a power that no unit has
        return ""


def alike(golds: Readings, answers: Readings) -> tuple[Readings, Readings]:
    """Return both sides as one kind of thing: two times of day, two residues, two numbers."""
    if golds and answers and golds[0].kind == answers[0].kind == "time":
        answers = answers[:1]  # 2:20 and 1:10 are two times, though one ratio
    if any(" mod " in n.key for n in (*golds, *answers)):
        golds, answers = (_each(as_residue, side) for side in (golds, answers))
    bare = [any(without_modulus(n) is not n for n in side) for side in (golds, answers)]
    if bare[0] != bare[1]:  # a modulus on one side only says how the residue was found
        golds, answers = (tuple(map(without_modulus, side)) for side in (golds, answers))
    return golds, answers


def _each(function: Callable[[Node], Node], nodes: Readings) -> Readings:
    """Return what a function makes of each node; a node that it cannot read stays as it is."""
    found = []
    for node in nodes:
        try:
            found.append(function(node))
        except Unreadable:
            found.append(node)
    return tuple(found)
