"""Words that bound, change, deny or take back the value beside which they stand.

The words that several modules know are sources of patterns, to be joined with what only one of
them looks for. Each entry of a tuple is a regular expression in which a blank stands for any blank.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from collections.abc import Iterable

from harness.verify.reading.words import SPOKEN


def any_of(*phrases: Iterable[str]) -> str:
    """Return the source of a pattern that matches any of some phrases, as the group `said`."""
    joined = "|".join(phrase for several in phrases for phrase in several)
    return rf"(?P<said>{joined})".replace(" ", r"\s")


NUMBER = rf"(?:\d|\b{SPOKEN}\b)"

# -- what several modules know --------------------------------------------------------------------

NOT = r"(?:\bnot\b|n['’]t\b)"
DO_NOT = r"(?:do(?:es)?(?:\snot|n['’]t))"
WRONG = "wrong|incorrect"
REJECTED = "extraneous|impossible|invalid|rejected"
FAIL = "work|hold|satisfy"  # behind "does not"
PERHAPS = "maybe|perhaps|possibly"
OOPS = "wait|actually|oops"  # before a correction
MORE = "less|more|greater|fewer|larger|smaller"  # before "than"

# -- right before a value -------------------------------------------------------------------------

_DEGREES = (
    "an? (?:little|bit|hair|shade|touch|tad|whisker|fraction|trifle|good deal|great deal)",
    "barely", "comfortably", "considerably", "far", "just", "marginally", "much", "slightly",
    "somewhat", "somewhere", "way", "well", r"a few \w+",
)  # fmt: skip
_SIDES = (
    "over", "under", "above", "below", "beyond", "short of", "shy of", "in excess of", "north of",
    "south of", "up of", r"\w{3,9} than",
)  # fmt: skip
BOUNDS = (
    rf"(?:{'|'.join(_DEGREES)}) (?:{'|'.join(_SIDES)})",
    "(?:north|south|upwards?|in excess|shy|short) of",
    "(?:(?:low|high|upper|lower) side|whisker|inch|left|right|fraction|counterpart) of",
    "above", "below", "under", "over", "beyond", "beneath", "beside", "near", "next to", "towards?",
    "almost", "nearly", "not quite", "anything but", "far from", "at least", "at most",
    "no (?:more|less|fewer) than", "greater than or equal to", "differs? from",
    "(?:bigger|faster|greater|heavier|higher|larger|lighter|longer|lower|older|shorter|slower|smaller"
    "|younger) than",
    "approach(?:es|ing)", "bordering on", "exceeds?", "lags behind", "misses", "overshoots",
    r"stays? (?:below|under|above|over)", r"surpass\w*", "tends? to", "tops", "undershoots",
    "verging on", "(?:very )?close to",
)  # fmt: skip
FUNCTIONS = (
    "(?:reciprocal|inverse|opposite|negative|negation|complement|logarithm|successor|predecessor"
    "|multiple|square|cube|(?:(?:square|cube|fourth) )?root|double|triple|half|thirds?|quarters?"
    r"|fifths|tenths|\w{3,8}fold|per ?cent) of(?: the (?:number|value))?",
    "twice", "thrice", rf"(?:\d+|{SPOKEN}) times", r"half again as \w+ as", "times", "minus",
)  # fmt: skip
# with which all of these end: a word is found faster than a pattern
LAST_WORDS = (
    "above", "almost", "approach", "as", "behind", "below", "beneath", "beside", "beyond", "but",
    "exceed", "from", "least", "minus", "misses", "most", "near", "nearly", "number", "of", "on",
    "over", "overshoots", "quite", "surpass", "than", "thrice", "times", "to", "tops", "toward",
    "twice", "under", "undershoots", "value",
)  # fmt: skip
RELATIONS = (r"\\(?:ge|le|gt|lt|ne|neq|geq|leq|geqslant|leqslant)", r"(?<=\w) ?[<>]", "[≥≤≠]")
OPERATORS = ("[-+*/]", r"\\cdot", r"\\times")

# -- before a value in its clause -----------------------------------------------------------------

DENIALS = (
    "(?:rules?|ruled|ruling) out", "exclude[sd]?", r"refut\w+", "take back", "bet against",
    "(?:don['’]t|do not|never) (?:answer|say|write|put|pick|choose|trust|believe)",
    r"(?<!no )(?<!any )doubt\w*", "whether", "could the", "neither", "never", "rather than",
    "(?:tempted|tempting|inclined) to", "mistake (?:was|is) to", r"a wrong \w+", "lying",
    "wrongly", "mistakenly", "incorrectly", "erroneously", "falsely",
    "any(?:one|body) who", "whoever", "nobody", "no (?:one|amount of)",
    "(?:many|most|some) (?:people|students|solvers)", "careless", "naive", "sloppy", "flawed",
    "mistaken", "on paper", r"pretend\w*", "rumou?rs?", r"wish\w*",
)  # fmt: skip
# a part of each of these, and of the functions of an answer: it is found faster than a pattern
HINTS = (
    "rul", "exclu", "refut", "take back", "bet ", "n't", "n’t", "not ", "never", "doubt",
    "whether", "could", "neither", "rather", "tempt", "inclin", "mistak", "wrong", "lying",
    "incorrect", "erroneous", "false", "any", "who", "nobody", "no ", "many", "most", "some",
    "careless", "naive", "sloppy", "flaw", "paper", "pretend", "rumo", "wish", "square", "cube",
    "half", "double", "twice", "triple", "reciprocal", "opposite", "negative", "third", "quarter",
)  # fmt: skip
# of these a value is told only if something behind it says that it is not so
UNREAL = (
    "would", "might", "should have", "was supposed", "suppos(?:e|ing)", "imagine|imagining",
    "assume|assuming", "hoped?", "guess", "called",
)  # fmt: skip

# -- right behind a value -------------------------------------------------------------------------

REMARKS = (
    "and change", "and counting", "and then some", "give or take", "or (?:so|thereabouts)",
    "or (?:more|less|fewer)", "at (?:the )?(?:very )?(?:most|least)", "tops", "without quite",
    "(?:as|is|was) (?:only |just |merely )?an? (?:floor|ceiling|(?:lower|upper) (?:bound|limit)"
    "|(?:wild |rough |mere )?guess|trap|mistake|misprint|decoy|slip|typo|starting point)",
    "(?:is|was|would be|seems|looks|must be) "
    "(?:(?:the|an?|clearly|simply|obviously|just|only|too) ){0,2}"
    "(?:wrong|incorrect|mistaken|false|off|tempting|obvious|naive|ruled out|impossible"
    r"|out of the question|(?<=too )\w+)",
    "(?:got|is|was) (?:ruled out|refuted|doubled|halved|tripled)",
    "is (?:only )?an? (?:example|memory)",
    r"is what I (?:remember|hope|had)", r"is what a(?:ny)?\w* \w+", "was what I had",
    "belongs to an?(?:other)?(?: different)?", "should not be", "would have been", "fails",
    "falls apart", "can(?:not|['’]t) be",
)  # fmt: skip
_OPERATIONS = (
    "times", "multiplied by", "divided by", "increased by", "decreased by", "reduced by", "plus",
    "minus",
)  # fmt: skip
_RESULT = r"(?![^\n]{0,30}(?:=|\b(?:is|equals|gives|makes)\b))"  # what it comes to
CHANGES = (
    rf"(?:{'|'.join(_OPERATIONS)}) {NUMBER}{_RESULT}",
    rf"(?:\\(?:times|cdot)|×) ?[\d\\({{]{_RESULT}",
    r"(?:squared|cubed|dozen|hundred|thousand|million|billion)\b",
    rf"(?:less|more|fewer|greater) than {NUMBER}", "(?:short|shy) of",
)  # fmt: skip
COMPARISONS = ("(?:less|more|fewer|older|longer|shorter|higher|lower) than",)

# -- behind a value, up to the next one -----------------------------------------------------------

_I_CANNOT = (
    r"I(?:['’]m| am|['’]ve|['’]d)? (?:(?:do|did|will|would|could|have|has|can) ?n(?:o|['’])t"
    "|won['’]t|can['’]t|cannot|leave|left|decline|declining|refuse|have (?:no|none|nothing|not))"
    r" ?[^.!?]{0,40}?\b(?:endorse|share|know|offer|answer|give|name|found?|check(?:ed)?|claim|say"
    "|vouch|trust|believe|open|blank|show|settle|decide|none|nothing|count|value|number"
    "|correct(?:ed)?)"
)
RETRACTIONS = (
    "wrong", "incorrect", "mistaken", "misprint", "broken", "miscount(?:ed)?", "slipped up",
    "mixed up", "trap", "falls apart", "refut(?:es|ed)", "disagrees?", "hypothetical",
    "not (?:right|correct|so)", "not my (?:answer|value)", "can(?:not|['’]t) be",
    "turned out not", "no faith", "(?:very much |seriously )?doubt (?:it|that)",
    "no longer know", "(?:am|was) (?:un|not )able to", "remains? unknown", "say nothing",
    "another figure", "some other (?:number|value|time|amount)",
    "(?:is|be) a different (?:one|number|value|amount)", "only an example", "wishing",
    "look for a contradiction", "disregard", "ignore (?:that|the|this)", "scratch that",
    "make that", "never ?mind", "start over", _I_CANNOT,
)  # fmt: skip
REFUSALS = (
    r"I(?: (?:will not|decline|refuse)|['’]m declining| won['’]t| was told to) [^.!?]{0,30}\b"
    r"(?:answer|give|say|name|keep)\b[^.!?]*(?:[.!?]|$)",
)
HEDGES = re.compile(rf"\b(?:{PERHAPS}|or\srather)\b", re.I)
