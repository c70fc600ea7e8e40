"""What a text speaks of: the names in it, and what stands behind an article or a possessive."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

AUXILIARY = (
    r"(?:is|are|was|were|do|does|did|has|have|had|will|would|can|could|must|should)"  # of a verb
)
_SMALL_WORDS = """
the a an his her its their this that these those of to in on at for and or so it he she they we i
you there than from by how many much what which is are was were be been do does did has have had
will would can could must should as if then thus hence therefore not
"""
_OPENINGS = """
A After Although Altogether And Answer As At Before But By Calculate Compute Determine Finally Find
From Had He Hence Her His How I If In It Its On She Since So That The Their Then There Therefore
They This Thus We What Which Without You
"""
_SMALL = frozenset(_SMALL_WORDS.split())
_OPENING = frozenset(_OPENINGS.split())  # they begin a sentence, and are no names for that
_NAME = re.compile(r"\b[A-Z][a-z]*(?![a-zA-Z])")
_LETTER = re.compile(r"(?<=[a-z] )[A-Z]\b")  # train A
_PHRASE = re.compile(
    r"\b(?:the|his|her|its|their|this|that|an?|at)\s((?:[a-z'’-]+(?:\s|$|(?=\W))){1,6})", re.I
)
_POSSESSIVE = re.compile(r"['’]s\b")
_WORD = re.compile(r"[a-z]+")


def stems(text: str) -> frozenset[str]:
    """Return the words of a text that say something, without their endings."""
    found = _WORD.findall(_POSSESSIVE.sub("", text.lower()))
    return frozenset(w[:5].rstrip("s") or w for w in found if w not in _SMALL)


_VALUES = stems("answer difference result change total number amount percent net")


def things(text: str, ends: re.Pattern[str]) -> frozenset[str]:
    """Return the words, without their endings, of the things that a text speaks of.

    Args:
        text: Some words, with their capitals.
        ends: What ends the name of a thing: verbs, prepositions.
    """
    names = [n for n in _NAME.findall(text) if n not in _OPENING] + _LETTER.findall(text)
    phrases = [ends.split(phrase, maxsplit=1)[0] for phrase in _PHRASE.findall(text)]
    return stems(" ".join(names + phrases)) - _VALUES
