"""What a response commits to by a phrase: "the answer is 5", "5 is the answer", a line `A: 5`."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

from harness.verify.extraction.boxes import boxes
from harness.verify.extraction.closing import MATHEMATICS, value_in
from harness.verify.extraction.question import NOTHING, Asked, words
from harness.verify.extraction.sentences import (
    HENCE,
    MATH,
    NUMBERISH,
    Refused,
    affirmed,
    content,
    has_digit,
    last_formulas,
    measure,
)
from harness.verify.extraction.stops import STOP, last_start
from harness.verify.reading.answer import read
from harness.verify.reading.lexicon import OOPS
from harness.verify.reading.words import SPOKEN, TEXT

WINDOW = 6_000  # characters at the end of a response in which phrases are looked for
# where a value ends; what another speaker says is left out before that, in `extract`
_STOPS = ("\n\nQuestion:", "\n\nProblem:", "\nQ:", "[Note:", "<|end_of_box|>", "</answer>")

_SAYS = r"(?:is|are|was|were|(?:will|would|should|must|could|might|may)\s+be|comes\s+to|equals)\b"
PHRASES = re.compile(
    r"(?:(?:\b(?:final\s+)?answers?|\bfinal\s+results?|\bresult(?:s|ado|at)?\b(?=.{0,150}$)|résultat)"
    r"(?!\s(?:as|in|by|keys?|sheets?)\b)"
    r"(?:,?[ ](?!(?:that|which|who|because|since)\b|" + _SAYS + r")[\w'’()-]{1,20}){0,12}?"
    r"(?=[\s*_]*(?:" + _SAYS + r"|[:：=≈→]|therefore\b|thus\b))"
    r"|(?<!to\s)(?<![</])\banswers?\b(?!\s+(?:the|this|that|because|since|in|as|by|with|choices?|questions?|we|for|of|to|keys?|sheets?)\b)"
    r"|\bfor\san\sanswer\sof|\b(?:correct|right)\s+(?:option|choice)"
    r"|réponse|respuesta|antwort|risposta|resposta|ответ|答案|答え|回答|정답|الجواب)"
    r"(?:\s+(?:is|was|are|were|est|es|ist|lautet|also|somit|daher|donc|entonces|então|portanto|quindi|dus|è|são|é|will\s+be|would\s+be|should\s+be|must\s+be"
    r"|comes\s+to|equals|for\s+sure|therefore|thus|hence|simply|just|exactly"
    r"|approximately|about)\b)*"
    r"[\s*_]*(?:[:：=→]|-\s(?=\S)|is\b|是|为|為|は|est\b|:)?[\s*_]*(?:is\s+)?(?:[:：][\s*_]*)?",
    re.I | re.S,
)
_PHRASE_WORDS = (
    "answer", "result", "option", "choice", "résultat", "réponse", "respuesta", "antwort",
    "risposta", "resposta", "ответ", "答案", "答え", "回答", "정답", "الجواب",
)  # fmt: skip
COMMITS = re.compile(
    r"(?:final\s+answer|\banswer)(?:\s+is|\s*[:：=])[\s*_:]*(?:therefore\b|thus\b|,)?[\s*_:]*", re.I
)
_CHOICE_IS = re.compile(
    r"(?<!\w)(?:[Oo]ption\s+)?(?:\*\*)?\(?([A-J])\)?(?:\*\*)?\s+is\s+(?:the\s+)?(?:correct|right)"
    r"(?:\s+(?:option|choice)|[.!]|$)"
)
_LINE_A = re.compile(r"^[ \t]*(?:A|Ans|ANS)\s*[:.][ \t]*(.+)$", re.M)
_HENCE = re.compile(r"\b(?:hence|thus|therefore)\b", re.I)


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the last of all matches of a pattern, or None."""
    found = None
    for found in pattern.finditer(text):  # noqa: B007 -- the last one is what is wanted
        pass
    return found


def cut(text: str) -> str:
    """Return a text up to where a model goes on with something else, without emphasis."""
    for stop in _STOPS:
        i = text.find(stop)
        if i >= 0:
            text = text[:i]
    return text.strip().strip("*_").strip()


def by_phrase(
    text: str, pattern: re.Pattern[str] = PHRASES, behind: int = 0, asked: Asked = NOTHING
) -> str | None:
    """Return what the last answer phrase, or a last line `A: ...`, commits to.

    Args:
        text: The response.
        pattern: The phrases.
        behind: Where to begin.
        asked: What the problem asks for.
    """
    window = text[max(behind, len(text) - WINDOW) :]
    lower = window.lower()  # a word is found faster than a pattern
    phrases = list(pattern.finditer(window)) if any(w in lower for w in _PHRASE_WORDS) else []
    chosen = last_match(_CHOICE_IS, window) if "is" in lower and pattern is PHRASES else None
    if chosen is not None:
        return chosen.group(1)
    line = last_match(_LINE_A, window)
    if (
        line is not None
        and (not phrases or line.start() > phrases[-1].start())
        and not _HENCE.search(window, line.end())
    ):
        return cut(line.group(1))
    for phrase in reversed(phrases[-20:]):
        lead = window[max(0, phrase.start() - 400) : phrase.start()]
        value = _said(lead, window[phrase.end() : phrase.end() + 1_200], asked)
        if value:
            return value
    return None


def _said(lead: str, rest: str, asked: Asked) -> str | None:
    """Return the value between what leads to a phrase and the rest behind it, or None."""
    before = _value_before(lead)
    if before:
        return before
    if REFUSES.search(rest, 0, 400):
        return Refused.uncertain(rest[:60])
    others = _OTHERS_SAY.search(lead) and _HOWEVER.search(rest, 0, 200)
    if others or _NO_VALUE.match(rest) or _BECAUSE.search(lead):
        return None
    if DOUBTED.search(lead) or (_MAYBE.match(rest) and len(NUMBERISH.findall(rest)) > 1):
        return Refused.uncertain(rest[:200])
    if _ASKED.match(rest) and (rest.lstrip()[:1] not in "?:" or not rest.strip()):
        return Refused.uncertain(rest[:60])
    instead = _NOT_BUT.match(rest)
    value = _corrected(rest) or (_statement(rest[instead.end() :], asked) if instead else "")
    value = value or _statement(rest, asked)
    return value if any(map(str.isalnum, value)) or value.strip() in _SIGNS_ALONE else None


_SIGNS_ALONE = ("∞", "+∞", "-∞", "−∞", "∅")
# "one might claim that the answer is 7. This is not correct"
REFUSES = re.compile(  # I am not able to determine x
    r"\b(?:I|we)(?:['’]m)?\s(?:(?:am|was|were)\s)?(?:can(?:not|['’]t)|(?:not\sable|unable)\sto|could\s?n(?:o|['’])t)\s"
    r"(?:determine|find|solve|answer|compute|say|tell|decide|settle)\b(?![^.\n]*\b(?:but|so)\b)",
    re.I,
)
# "some people would say the answer is 66, but this includes the sides"
_OTHERS_SAY = re.compile(r"\b(?:some|many|most|one)\s(?:\w+\s){0,3}(?:that\s)?(?:the\s)?$", re.I)
_HOWEVER = re.compile(r"\b(?:but|however)\b", re.I)
_NOT_BUT = re.compile(r"\s*not\b[^.\n]{1,80}\.\s+(?:It|That)\s(?:is|must\sbe)\s+(?!not\b)")
# the answer is correct, in simplest form; "because the answer must be less than 50"
_NO_VALUE = re.compile(
    r"\s*(?:correct|right|valid|verified|reasonable|consistent|confirmed|indeed|as\sfollows"
    r"|in\s(?:the\s|its\s)?(?:simplest|lowest|correct|required)\b)\s?(?![\s:]*[$\\(]*\d)|\s*\.\s+[A-Z]|\s*```"
    r"|\s*,\s+[^\W\d]{2,}(?![^.\n]{0,40}\d)"
)
_BECAUSE = re.compile(r"\b(?:because|since|as)\s(?:the|our|this)\s$", re.I)
DOUBTED = re.compile(  # "I do not think that the answer is 5"
    r"(?:\b(?:whether|impossible|unclear|(?<!no\s)doubt|(?:false|wrong|incorrect)\s(?:that|to\s(?:say|think|claim))|(?:some|many|most|one)\s(?:\w+\s){0,2}?(?:say|think|claim)"
    r"|(?:tempted|inclined)\sto\s(?:say|think|believe|answer)|(?<=\bthat\s)suppose|(?:^|(?<=[.!?]\s)|(?<=\n))(?:suppose|assume|assuming|imagine|if))\b|(?:not|n['’]t|\bnever)\s+(?:(?:\w+\s+)?(?:think|believe|said|say|claim|mean|true|certain|sure|clear"
    r"|possible|follow|conclude)\b))(?:(?!\bbut\b)[^.!?\n])*$",
    re.I,
)
# "the answer is 42?", "is the answer 42?"
_ASKED = re.compile(
    r"[\s*_:]{0,5}(?:be\s)?[$\\(]{0,2}[-\d][\w.,/^{}\\]{0,30}[$)]{0,2}\s?\?(?=\s|$)"
)
_MAYBE = re.compile(r"\s*(?:could|might|may)\s+(?:not\s+)?be\b", re.I)
_CORRECTION = re.compile(
    r"(?:^|[.!?…—–,\n])[\s*_]{0,9}(?:(?:oh|hmm|but|no)\b[,.!…\s]*)*"
    rf"(?:{OOPS}|correction|hold\s+on|scratch\s+that|my\s+mistake|i\s+mean|sorry|no,|i\s+stand\s+corrected"
    r"|on\s+second\s+thoughts?|or\s+rather|that['’]?s?(?:\s+is)?\s+wrong)",
    re.I,
)
_RATHER = re.compile(
    r"\b(?:(?:it|that|this)(?:['’]s|\s+is|\s+was)|(?:it|that|this)\s+(?:should|must|would)\s+be"
    rf"|i\s+(?:mean|meant)|correction:?|make\s+that|scratch\s+that,?|or\s+rather,?|(?:{OOPS}|sorry|no|on\s+second\s+thoughts?),)\s+"
    r"(?:it['’]s\s+|actually\s+|really\s+|rather\s+|supposed\s+to\s+be\s+)*(?=[-+$\\.\d])",
    re.I,
)


def _corrected(rest: str) -> str | None:
    """Return the value that takes back the one before it: "12. Wait, no, it's 14"."""
    mark = _CORRECTION.search(rest)
    again = last_match(_RATHER, rest[mark.start() :]) if mark is not None else None
    if mark is None or again is None:
        return None
    found = _statement(rest[mark.start() + again.end() :])
    plain = not rest.startswith(("$", "\\"), mark.start() + again.end())
    return None if plain and not has_digit(found) else found


_IS_THE = re.compile(
    r"\s*(?:,\s*which\s+)?\b(?:is|are|as|must\sbe|has\sto\sbe)\s+(?:therefore\s+|thus\s+)?(?:the|our|my|your)\s+"
    r"(?:final\s+|correct\s+|required\s+|desired\s+|right\s+)*$"
)

_LEADS = re.compile(
    r"^(?:(?:so|thus|hence|therefore|then|and|now|finally|we\s+(?:see|conclude|find)|that|clearly)\b,?\s*)*",
    re.I,
)
_POINTS_BACK = re.compile(
    r"(?:this|that|it|the|which|these|those|here|below|above|what|there|here|one|he|she)\b", re.I
)


def _value_before(text: str) -> str | None:
    """Return the value in front of "is the answer": its last formula, else all of it if short."""
    end = _IS_THE.search(text)
    if end is None:
        return None
    sentence = text[: end.start()]
    stop = last_match(STOP, sentence)
    sentence = sentence[stop.end() :] if stop is not None else sentence
    formulas, number = list(MATH.finditer(sentence)), last_match(NUMBERISH, sentence)
    if formulas and (number is None or number.start() < formulas[-1].end()):
        return last_formulas(formulas, sentence)
    clause = re.split(rf"[,;:]\s+(?:{HENCE})\b|(?<!\d\s)[:;]\s", sentence)[-1]
    whole = _LEADS.sub("", clause.strip(), count=1).strip(" *_,:")
    most = 6 if number is not None or re.search(SPOKEN, whole) else 4
    found = read(whole) if 40 < len(whole) <= 80 or len(whole.split()) >= most else ()
    if found and found[0].kind != "text" and MATHEMATICS.fullmatch(whole):
        return whole
    if 0 < len(whole) <= 40 and len(whole.split()) < most and not _POINTS_BACK.match(whole):
        return whole
    return number.group().strip() if number is not None else None


_LOUDLY = re.compile(r"!{2,9}")
_OPEN_BOLD = re.compile(r"\*\*(?=\s[^\W\d])")
_NOTATION = re.compile(
    r"^[^.\n]{1,100},?\s(?:which|or|and)?\s?(?:is\s)?in\s(?:interval|set|set-builder|scientific|decimal)\s"
    r"(?:notation|form)\s?(?:is|:|,)?\s(?=[$\\(\[{\d])"
)
_MARKS = re.compile(r"[\s:*_=>#)-]{0,40}")
_TO_DELIMITER = re.compile(r"\\[\])]|\$|\n")
_GOES_ON = re.compile(  # behind a formula: the answer has more of them, or another one counts
    r"\s*(?:,?\s*(?:and|or|[,;/]|(?<=\s))\s*(?:\$|\\\(|-?\d)|\s*,?\s*if\b.{0,20}\bwere\b"
    r"|(?:is|are)(?:\s+not|n't)\b)"
)


def _statement(rest: str, asked: Asked = NOTHING) -> str:
    """Return the value that a phrase commits to: its formula, or its first number or word."""
    rest = _without_lead(_LOUDLY.sub("!", cut(rest)))
    if rest.startswith("}"):  # \[ \text{Answer: } 24y \]
        return _TO_DELIMITER.split(rest[1:301].lstrip(), maxsplit=1)[0].strip()
    boxed = boxes(rest)[:1] if rest.startswith("\\boxed") else []
    if boxed and boxed[0][0] == 0:
        return boxed[0][2]
    end = STOP.search(rest)
    sentence = rest[: end.start()] if end else rest
    math = MATH.match(rest)
    if math is not None:
        if _GOES_ON.match(rest[math.end() : math.end() + 30]):
            return sentence
        inner = content(math)
        unit = measure(rest, math.end()) if inner[-1:].isdigit() else ""
        return f"{inner.strip()}\\text{{{unit}}}" if unit else inner.strip()
    sentence = sentence.strip().strip("*_").strip()
    return value_in(sentence, asked) if sentence else ""


def _without_lead(rest: str) -> str:
    """Return what stands behind a phrase without marks, or words of notation, in front of it."""
    notation = _NOTATION.search(rest)
    rest = rest[notation.end() :] if notation is not None else rest
    lead = _MARKS.match(rest)
    rest = rest[lead.end() :] if lead and "-" not in lead.group() else rest.lstrip(" :*_>#\n")
    return _OPEN_BOLD.sub("", rest, count=1) if rest.count("**") % 2 else rest  # **87** heads


# -- answers in words -----------------------------------------------------------------------------

_BOLD_END = re.compile(r"\*\*([^*\n]{0,80}[^*\n:])\*\*[.!*\s]{0,9}$")
_TEXT_END = re.compile(TEXT.pattern + r"[^=<>]{0,40}$")
_OPTION_END = re.compile(
    r"\bquadrant\s+((?:I{1,3}|IV))[*$).!\s]{0,9}$"
    r"|\b(?:option|choice|answer|choose|select|pick)\s+[*$(]{0,4}([A-Z])[*$).!\s]{0,9}$"
    r"|(?:\b(?:is|be|get|Total)|:)\s+[*$(]{0,4}((?-i:[A-J]))(?:[*$).!\s]{0,9}$|[).]\s[^.\n]{1,40}[.!]?$)",
    re.I,
)
_WORD_END = re.compile(
    r"(?:\b(?:is|are|was|were|on|(?:must|should|will|would)\sbe)\b|:)\s+"
    r"(?:(?:therefore|thus|then|called|on|an?|the)\s+)*"
    r"([A-Za-z][A-Za-z'’-]{1,30}(?:\s[A-Za-z'’-]{1,30}){0,4}?)(?:\sfunction)?[.!*\s]{0,9}$"
    r"|\b(?:has|have|is|are)\s((?:no|infinitely\smany)\s(?:real\s|integer\s)?solutions?)[.!*\s]{0,9}$"
    r"|\bin\s((?-i:[A-Z])[a-z]{2,15})[.!*\s]{0,9}$"
    r"|\b((?:con|di)verges(?:\s(?:absolutely|conditionally))?)[.!*\s]{0,9}$"
)
_CHOSEN = re.compile(r"(?:故选|故選|选|選|答案为|答案是)\s?[:：]?\s?([A-J])[.。\s]{0,4}$")
_JOINED = re.compile(r"\*\*(?:\s(?:or|and)|,)\s?$")
_EXCLUDES = re.compile(r"\b(?:either|rules?|ruled|ruling|eliminat\w{1,4}|exclud\w{1,4})\b", re.I)
_YES_NO = re.compile(r"[*\s]{0,9}(yes|no)\b(?=\s{0,3}(?:[,.;:!*]|$|because|since))", re.I)

_WHO = re.compile(
    r"\*{0,2}(?:(?:So|Thus|Hence|Therefore)\b,?\s)?([A-Z][a-z]{1,20})\s((?:is|was|has|had|wins?|won)\b.*)"
)


def in_words(text: str, asked: Asked = NOTHING) -> str | None:
    """Return the words, or the letter of a choice, in which the last sentence ends.

    Also the name that it begins with, where it goes on in words of the question, `asked`.
    """
    window = text[-WINDOW:].strip()
    who = _WHO.fullmatch(window.rsplit("\n", 1)[-1])
    rest = who.group(2) if who is not None else ""
    if (
        who
        and asked.words & words(rest)
        and affirmed(rest)
        and not re.search(r"\bthan\b|[.!?]\s", rest)
    ):
        return who.group(1)
    bold = _BOLD_END.search(window, max(0, len(window) - 100))
    if bold is not None and not _JOINED.search(window[: bold.start()]):
        return bold.group(1).strip()
    sentence = window[last_start(window) :]
    yes = _YES_NO.match(sentence)
    if yes is not None:
        return yes.group(1)
    clause = sentence.rsplit(", ", 1)[-1]
    if len(sentence) > 400 or affirmed(clause) is None or _EXCLUDES.search(sentence):
        return None
    for pattern in (_CHOSEN, _OPTION_END, _TEXT_END, _WORD_END):
        found = pattern.search(sentence)
        if found is not None:
            return str(next(filter(None, found.groups()), "")).strip()
    yes = _YES_NO.match(window)
    return yes.group(1) if yes is not None else None
