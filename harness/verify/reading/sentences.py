"""The value in a sentence: its formula, its first number, what follows "is"; and what it denies."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

from harness.verify.limits import MAX_ANSWER
from harness.verify.reading.words import TEXT

MATH = re.compile(
    r"\$\$(.{1,2000}?)\$\$|\\\[(.{1,2000}?)\\\]|(?<!\\)\$([^$\n]{1,800})(?<!\\)\$(?!\d)"
    r"|\\\((.{1,800}?)\\\)|(?<!\\)\$([^$\n]{0,400}\\[a-zA-Z][^$]{1,400})\$(?!\d)"
    r"|\\begin\{(?:align|equation|gather|multline|eqnarray|alignat)\*?\}(.{1,2000}?)"
    r"\\end\{(?:align|equation|gather|multline|eqnarray|alignat)\*?\}",
    re.S,
)
NUMBERISH = re.compile(
    r"(?<![A-Za-z0-9_.])(?:[-−+]?\s?[$€£¥]?\s?(?:\\\$)?-?(?:\d{1,3}(?:(?:,|\{,\}|,\\!|\s\{,\s?\}\s?)\d{3})+|\d+)"
    r"(?:[.,]\d+)?(?:[eE][+-]?\d+)?(?:\s?/\s?\d+)?(?:\s?\\?%|!(?=\s[a-z]))?|[-−+]?\.\d+)"
)
_TWO_WORDS = re.compile(r"[a-zA-Z]{2,}\s+[a-zA-Z]{2,}\s")
_WORD_FIRST = re.compile(r"[A-Za-z]{2,}\s")
_CHOSEN = re.compile(
    r"(?:for sure\s+)?\(?([A-J])\)?(?:$|[.,:;]\s+[a-z]|\s+(?:because|since|as|non|not))"
)
_BECAUSE = re.compile(r"(?<=\w),?\s+(?:because|since)\b", re.I)
_MINUS = re.compile(r"^(?:negative|minus)\s+(?=[\d$\\])", re.I)
_OUT_OF = re.compile(r"\s+out\s+of\s+\d{1,9}\b")
_OTHERWISE = re.compile(  # 14, or maybe 15; 9 pears or 10 pears
    r"(?:\s{0,9},?\s{0,9}\band\b|(?:\s{1,9}[a-z]{1,15}){0,2}\s{0,9},?\s{0,9}\bor\b)[^.;]{0,30}?\d",
    re.I,
)
# 50% of 80, 5 more than 7
_RELATIVE = re.compile(
    r"(?:(?<=%)\s+of|\s+(?:more|less|fewer|greater|higher|lower)\s+than)\s+[$\\(]{0,2}\d"
)
_NAME_ONLY = re.compile(r"[\\A-Za-z\s_{}'^]{1,40}|\\?[A-Za-z]{1,12}(?:_\w)?'?\([^()]{1,20}\)")
_PRICED = re.compile(r".{0,4}?[$€£¥]\s?[\d.,]+|.{0,4}?[\d.,]+\s?[$€£¥]")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af，。：；！？、]+")
_ASSIGNS = re.compile(r"\s*[a-zA-Z](?:_\w)?\s*=")  # $x=3,$ $y=4$
_AND = re.compile(r"[\s,]*\b(?:and|or)\b\s*")

_ROWS = re.compile(r"\\\\(?:\[[^\]\n]{0,9}\])?|\\(?:begin|end)\{align(?:ed)?\*?\}")

# -- what is denied -------------------------------------------------------------------------------

_NEGATION = re.compile(
    r"(?<!\\)\b(?:not|never|cannot|wrong|incorrect|isn['’]?t|aren['’]t|wasn['’]t|can['’]t"
    r"|doesn['’]t|don['’]t|won['’]t|anything (?:but|except)|nicht|kein|n['’]est pas|no es|no son"
    r"|não é|non è|не)\b|不是",
    re.I,
)
_REMARK = re.compile(
    r"(?:[,;(]|\s(?=and\s|but\s))\s?(?:and\s|but\s)?not\s"
    r"|\s(?:instead of|rather than|as opposed to)\s"
    r"|[,;(]?\s(?:but|though|although)\s(?:i|this|it)\b.{0,40}?\b(?:sure|certain|confident)\b(?=\D*$)",
    re.I,
)
_CORRECTED = re.compile(
    r"(?:\bnot\b|n['’]t\b)[^,;.]{0,60}?(?:[,;]?\s+but\s+(?:rather\s+)?"
    r"|(?:[,;.]|(?<=\d))\s+(?:it|that|the answer)(?:\s+is|['’]s)\s+)(?!not\b)",
    re.I,
)


def affirmed(text: str) -> str | None:
    """Return what a text says to be so, without what it says not to be; None if nothing is left.

    `42, not 24` says 42, `not 5 but 6` says 6, and `42 is not the answer` says nothing.
    """
    if len(text) > MAX_ANSWER or not (" " in text or "是" in text):
        return text  # too long, which the reader refuses, or no sentence
    text = _REMARK.split(text, maxsplit=1)[0].rstrip()
    if _BOUND.match(text):
        return None
    if _NEGATION.search(text) is None:
        return text
    corrected = _CORRECTED.search(text)
    if corrected is not None:
        text = text[corrected.end() :]
    return text if text.strip() and _NEGATION.search(text) is None else None


_BOUND = re.compile(
    r"(?:somewhere\s+)?(?:between|(?:strictly\s+)?(?:less|more|greater|fewer|larger|smaller|bigger)"
    r"\s+than|at\s+(?:most|least)|up\s+to|no\s+(?:more|less|fewer)\s+than|under|over|above|below)\b",
    re.I,
)

_STATED = re.compile(
    r"(?:(?:so|thus|hence|therefore)\b,?\s*)?(?:the\s+|my\s+|our\s+)?(?:(?:final|correct|right)\s+)*"
    r"(?:answer|result|solution)s?\s*(?:is|are|:|=)\s*:?\s*(?=\S)",
    re.I,
)


def stated(text: str) -> str:
    """Return what follows "the answer is" at the beginning of an answer, else all of it."""
    found = _STATED.match(text)
    if found is None and TEXT.match(text):
        bare = TEXT.sub(r"\1", text, count=1)
        found = _STATED.match(bare)
        text = bare if found is not None else text
    return text[found.end() :] if found is not None else text


_BOUND_BEFORE = re.compile(_BOUND.pattern + r"\s*$", re.I)

# -- the value in a sentence ----------------------------------------------------------------------


def value_in(sentence: str) -> str:
    """Return the value of a sentence: all of it if it is short, else a formula or number."""
    choice = _CHOSEN.match(sentence)
    if choice is not None:
        return choice.group(1)
    said = affirmed(sentence)
    if said is None or _BOUND.match(sentence):
        return sentence  # what it denies, or a bound, is for the reader to refuse
    sentence = _MINUS.sub("-", _BECAUSE.split(said, maxsplit=1)[0])
    foreign = _CJK.search(sentence) is not None and any(c.isdigit() for c in sentence)
    short = len(sentence) <= 40 and not foreign and not _TWO_WORDS.search(sentence)
    if short and (not _WORD_FIRST.match(sentence) or not any(c.isdigit() for c in sentence)):
        return sentence
    formulas = list(MATH.finditer(sentence))
    numbers = list(NUMBERISH.finditer(sentence))
    priced = [m for m in numbers if _PRICED.match(sentence, max(0, m.start() - 2))]
    if formulas:
        last = formulas[-1]
        inner = last_formulas(formulas, sentence)
        outside = [m for m in numbers if m.start() >= last.end()]
        if not outside or not _NAME_ONLY.fullmatch(inner.strip()):
            return inner
        return outside[0].group().strip()
    lead = NUMBERISH.match(sentence)
    if lead is not None:
        part = _OUT_OF.match(sentence, lead.end())
        if part is not None:
            return sentence[: part.end()]
        further = _FURTHER.search(sentence, lead.end())
        later = sentence[further.end() :] if further is not None else ""
        if any(m.group().strip() != lead.group().strip() for m in NUMBERISH.finditer(later)):
            return concluded(later) or last_numbers(list(NUMBERISH.finditer(later)), later)
        changed = _OTHERWISE.match(sentence, lead.end()) or _RELATIVE.match(sentence, lead.end())
        return sentence if changed else lead.group()
    choice = re.match(r"(?:for sure\s+)?\(?([A-J])\)?(?=$|[\s.,:])", sentence)
    if choice is not None and not re.match(r"A\s+[a-z]", sentence):
        return choice.group(1)
    if len(priced) == 1 and len(numbers) > 1:
        return priced[0].group().strip()
    pieces: list[str] = [p.strip() for p in _CJK.split(sentence)] if _CJK.search(sentence) else []
    if any(re.search(r"\\[a-z]+\{", p) for p in pieces):
        return next((p for p in reversed(pieces) if any(c.isdigit() for c in p)), sentence)
    if numbers:
        return last_numbers(numbers, sentence)
    return sentence if len(sentence) <= 200 else ""


def content(formula: re.Match[str]) -> str:
    """Return a formula without its delimiters; of several lines, the last one."""
    inner: str = next(filter(None, formula.groups()))
    if "\\begin{" not in formula.group()[:7] and "\\begin{align" not in inner:
        return inner
    lines = [line.strip() for line in _ROWS.split(inner) if line.strip(" .&\n")]
    last = lines[-1].replace("&", " ") if lines else inner
    return last.rsplit("=", 1)[1] if last.startswith(("=", " =")) else last


def last_formulas(found: list[re.Match[str]], text: str) -> str:
    """Return the last formula, with those that "and" or "or" joins to it."""
    parts = [found[-1]]
    while len(parts) < len(found) and len(parts) < 20:
        before = found[-1 - len(parts)]
        gap = text[before.end() : parts[0].start()]
        named = all(_ASSIGNS.match(content(m)) for m in (before, parts[0]))
        if not _AND.fullmatch(gap) and not (named and not gap.strip(" ,")):
            break
        if "=" in content(parts[0]) and not named:
            break  # a = 3, b = 5 and a + b = 8
        parts.insert(0, before)
    return ", ".join(content(m).strip() for m in parts)


_SO = re.compile(r"^(?:so|thus|therefore|hence|then)\b,?\s*", re.I)
_HEDGE = re.compile(r"\b(?:could|might|may)\s+be\b|\b(?:maybe|perhaps|possibly)\b", re.I)
_BOLD = re.compile(r"\*\*([^*\n]{0,80}?\d[^*\n]{0,80})\*\*")
_SEVERAL = re.compile(r".{0,30}?\b[a-z]\s*=[^=]{1,30}?(?:\bor\b|\band\b|,)\s*[a-z]\s*=[^=]{1,30}")
_SUBORDINATE = re.compile(
    r"(?:(?:so|thus|therefore|hence|then|and|now|finally|this means(?: that)?)\b[,:]?\s+)*"
    r"(?:if|when|after|since|because|as|with|for|in|given|by|at|on|of|to)\b[^,]{0,200},\s+",
    re.I,
)
_THEREFORE = re.compile(
    r"(?:,\s*|\s)(?:and\s+)?(?:so|thus|therefore|hence|which\s+(?:leaves|gives|makes|means))\b"
    r"|,\s*(?:leaving|giving|making|meaning|for\s+a\s+(?:final|total))\b",
    re.I,
)
_NOT_THAT = re.compile(  # "17 students are not on the team" denies nothing
    r"\b(?:is|are|was|were)(?:n['’]t|\s+not)\s+(?:the|an?|our|right|correct|true|possible|valid|it)\b"
    r"|\b(?:wrong|incorrect)\b",
    re.I,
)
_FURTHER = re.compile(r"(?:[,;]\s+|\s)(?:and\s+)?(?:then|so|but|therefore|thus)\b|[,;]\s+and\b")
_JOINED = re.compile(r"\s*(?:,|and\b|or\b|=)|[^.]{0,80}\band\s[^.]{0,80}=")
_CLAUSE = re.compile(
    r"[^(].*?(?:(?:,\s|\band\b|\bthen\b).*\d|\bto\s+[-−$]?\d)"
)  # another value behind the first
# the mathematics without dollars that ends a sentence: "the equation is y = 2x + 1", "so x > 5"
_TAIL = re.compile(
    r".*\b(?:(?:is|are|be|so|thus|therefore|hence|get|have|obtain)\b[,:]?\s+(?:at\s+)?"
    r"|(?:holds|true|valid|satisfied)\s+(?:for|when|if)\s+(?:all\s+)?"
    r"|(?:has|have|of)\s+(?:an?\s+|the\s+)?[a-z]{4,12}\s+(?:of\s+)?)([^.].{1,80})$",
    re.I,
)
_MATHEMATICS = re.compile(
    r"(?:[^A-Za-z$]|\b(?:sqrt|pi|sin|cos|tan|ln|log|or|and)\b|(?<![A-Za-z])[A-Za-z]{1,2}(?![A-Za-z]))+"
)
_OPERATION = re.compile(r"[A-Za-z]\s?[-+*/^=<>≤≥²³(]|[<>≤≥]\s?[-\d]|[π√]")
_AFTER = re.compile(r"\s(?:after|before|when|if|because|since|while|until|than)\b")
# what is only beside the value: 250, 50 more than on Friday; 512 codes, of which 8 are odd
# n = 3 works, while n = 2 does not
_CONTRAST = re.compile(r"[,;]\s(?:while|whereas|but)\s.{1,80}\b(?:do(?:es)?\snot|n['’]t|fails?)\b")
_AND_NUMBER = re.compile(r"\band\s+\S{0,3}\d")
_ASIDE = re.compile(
    r",\s(?:(?:of|among|out\sof)\swhich|namely\b|including|compared\s(?:with|to)"
    r"|(?:which\sis\s)?\$?\d[\d.,]{0,12}\s(?:\w{1,15}\s)?(?:more|less|fewer|higher|lower|greater)\s)"
)
_VERB = re.compile(
    r"(?<!to )\b(?:is|are|was|were|be|equals?|equal\s+to|total\s+of|at|has|have|had|gets?|needs?"
    r"|takes?|took|makes?|made|earn(?:s|ed)?|costs?|pays?|paid|spends?|spent|saves?|saved|uses?"
    r"|used|covers?|travels?|weighs?|contains?|sold|sells?|bought|buys?|gives?|gave|holds?|lasts?|scored?"
    r"|collect(?:s|ed)|produce[sd]|receive[sd]|earns?|walk(?:s|ed)|runs?|ran|reads?|bakes?|baked|left\s+with)\s+(?:(?:him|her|them|it|me|us|you|thus|therefore|then|simply|about|approximately|only|exactly|now"
    r"|a\s+total\s+of|still|equal\s+to|the\s+[a-z]{2,12}|(?-i:[A-Z][a-z]{1,15}))\s+)*+(?=[-−$€£¥\\(√.\d])",
    re.I,
)
_FIRST = re.compile(
    r"(?:(?:so|thus|therefore|hence|in\s+total|altogether)\b[,:]?\s+)?(?=[-$€£\d])", re.I
)


def concluded(sentence: str) -> str | None:
    """Return the value that a closing sentence is about: in bold, behind "=", or behind its verb.

    `Therefore, she has 12 apples left after giving away 8` is about 12. None leaves it open.
    """
    if len(sentence) > 800:
        return None
    contrast = _CONTRAST.search(sentence)
    if contrast is not None and any(map(str.isdigit, sentence[: contrast.start()])):
        sentence = sentence[: contrast.start()]
    bold = [m for m in _BOLD.finditer(sentence) if not m.group(1).rstrip().endswith(":")]
    if bold:
        return value_in(bold[-1].group(1).strip(" :"))
    if _SEVERAL.fullmatch(sentence):
        return _SO.sub("", sentence)
    if _HEDGE.search(sentence):
        return sentence
    tail = _TAIL.search(sentence)
    if (
        tail is not None
        and _MATHEMATICS.fullmatch(tail.group(1))
        and _OPERATION.search(tail.group(1))
    ):
        return tail.group(1)
    formulas = list(MATH.finditer(sentence))
    if "=" in sentence[formulas[-1].end() if formulas else 0 :]:
        behind = sentence[sentence.rindex("=") + 1 :].strip()
        number = NUMBERISH.match(behind)
        if number is None:
            return value_in(behind) if behind.startswith(("π", "√", "(", "-")) else None
        if _NOT_THAT.search(behind):
            return sentence
        further = _FURTHER.search(behind, number.end())
        if further is not None and any(map(str.isdigit, behind[further.end() :])):
            return concluded(behind[further.end() :])
        return value_among_words(behind) or number.group()
    numbers = list(NUMBERISH.finditer(sentence))
    joined = last_numbers(numbers, sentence) if numbers else ""
    if numbers and numbers[-1].end() == len(sentence) and joined != numbers[-1].group().strip():
        return joined  # "the numbers are 3 and -3."
    start = 0
    for mark in _THEREFORE.finditer(sentence, 0, numbers[-1].start() if numbers else 0):
        start = mark.end()
    before = _SUBORDINATE.match(sentence, start)
    clause = sentence[before.end() if before is not None else start :]
    aside = _ASIDE.search(clause)
    if aside is not None and any(map(str.isdigit, clause[: aside.start()])):
        clause = clause[: aside.start()]
    after = _AFTER.search(clause)
    if (
        after is not None
        and any(map(str.isdigit, clause[: after.start()]))
        and not _AND_NUMBER.search(clause, after.end())  # 48 before and 58 now
    ):
        clause = clause[: after.start()]
    verbs = list(_VERB.finditer(clause))
    if verbs:
        behind = clause[verbs[-1].end() :]
        formula = MATH.match(behind)
        if formula is not None and _JOINED.match(behind, formula.end()) is None:
            return content(formula).strip()
        return None if formula or _CLAUSE.match(behind) else value_in(behind)
    clause = clause.lstrip()
    first = _FIRST.match(clause) if not formulas else None
    if first is not None:
        return value_in(clause[first.end() :])
    return last_numbers(list(NUMBERISH.finditer(clause)), clause) if aside is not None else None


_MARKS = "√π^²³"


def whole(found: re.Match[str], text: str) -> str:
    """Return a number with what touches it, where that makes another value of it: `3√7`, `30π`."""
    start, end = found.span()
    if text[end : end + 1] in _MARKS and end < len(text):
        end += len(text[end : end + 40].split(maxsplit=1)[0])
    elif start and text[start - 1] in _MARKS:
        start -= len(text[max(0, start - 40) : start].rsplit(maxsplit=1)[-1])
    else:
        return found.group().strip()
    return text[start:end].strip(" .,;:*_")


_IN_MANY = re.compile(r"(?<!\S)\d{1,9}\s(?:in|out\sof)\s(?=$)")  # 4 in 10


def last_numbers(found: list[re.Match[str]], text: str) -> str:
    """Return the last number, with those that "and" or "or" joins to it: `3 and -3`."""
    first = len(found) - 1
    while first and len(found) - first < 20:
        gap = text[found[first - 1].end() : found[first].start()]
        joined = _AND.fullmatch(gap) if first == len(found) - 1 else gap.strip() == ","
        if not joined:
            break
        first -= 1
    part = _IN_MANY.search(text, 0, found[first].start())
    return text[part.start() if part else found[first].start() : found[-1].end()].strip()


def only_formula(text: str) -> str | None:
    """Return the single formula between math delimiters in a text, or None."""
    found = list(MATH.finditer(text))
    if len(found) != 1 or _BOUND_BEFORE.search(text[: found[0].start()]):
        return None
    return content(found[0])


# -- a number among words -------------------------------------------------------------------------

# words in front of a number of which it is only a part of the value
_WORK = re.compile(
    r"\b(?:half|third|quarter|twice|double|triple|squared?|cubed?|root|sum|difference|product"
    r"|quotient|minus|plus|times|percent|except|factors?|divisors?|multiples?|powers?)\b",
    re.I,
)
_COPULA = re.compile(
    r"[A-Za-z][A-Za-z ,'’-]{0,80}?\b(?:is|are|was|were|be|equals?|has|have|had|gets?|needs?|makes?"
    r"|earn(?:s|ed)?|costs?|pays?|paid|spends?|spent|total of|of|left with|answer)\b\s*:?\s*"
    r"(?:(?:about|approximately|exactly|only|equal to|a total of)\s+)?(?=[-$€£\\(.\d])"
)
_ALL_SUCH = re.compile(
    r"(?:the set of )?(?:all )?(?:the )?(?:real )?(?:numbers?|values?|reals?)(?: of)?"
    r"(?:\s*\$?[a-z]\$?)?\s+(?:(?:such that|with|where|satisfying|for which)"
    r"|(except|other than)(?: for)?)\s+",
    re.I,
)
_AMOUNT = re.compile(
    r"([-+]?\s?(?:\\?\$|€|£)?\s?\d[\d,]{0,30}(?:\.\d{1,30})?(?:\s?/\s?\d{1,9}|\s\d{1,9}/\d{1,9})?"
    r"(?:\s(?:hundred|thousand|million|billion|trillion|dozen)\b)?%?)"
    r"(?:[*_\s]+|-(?=[a-z]{3}))([A-Za-z(][^\n]{0,300})"
)
# words behind a number that make another value of it, or another answer
_CHANGES = re.compile(
    r"(?:and|or|to|through|out|x|times|plus|minus|less|over|divided|multiplied|squared|cubed"
    r"|factorial|percent|hundred|thousand|million|billion|trillion|dozen|tens|(?:more|fewer)\s+than|half"
    r"|th|st|nd|rd|pi|sqrt|mod|by|if|unless|else|[a-z]+(?:ths|rds)|halves|below"
    r"|(?:is|are|was|were|seems?|looks)\s+(?:too|almost|nearly|wrong|impossible|smaller|larger|bigger"
    r"|less|more|greater|only|twice|half)|degrees?\s+below)\b",
    re.I,
)
_SECOND = re.compile(r"(?:\band|\bor|[,;&+=*/^])\s*\\?\$?\d", re.I)


def value_among_words(text: str) -> str | None:
    r"""Return the value of an answer in words: `14 pears remained in crate 6`, `\text{It is } 7`.

    Only where the words leave no doubt: the number comes first, or behind "is", "has" and the
    like, and no second one is joined to it. Otherwise None.
    """
    if len(text) > 400:
        return None
    text = TEXT.sub(r"\1", text).strip()
    such = _ALL_SUCH.match(text)
    if such is not None:  # all real numbers x such that x > 3
        condition = text[such.end() :].strip("$ .")
        return f"x \\ne {condition}" if such.group(1) else condition
    copula = _COPULA.match(text)
    rest = text[copula.end() :].strip().rstrip(".") if copula is not None else text
    amount = _AMOUNT.match(rest)
    if copula is not None and _WORK.search(copula.group()):
        return None
    if amount is None:
        return rest if copula is not None and not _TWO_WORDS.search(rest) else None
    behind = amount.group(2)
    if "\\" in behind or "^" in behind:  # 2 cis 45^\circ
        return None
    if behind.startswith("("):  # a remark
        return amount.group(1)
    if _CHANGES.match(behind) or _SECOND.search(behind.split("because")[0].split("since")[0]):
        return None
    return amount.group(1)
