"""The value in a sentence: its formula, its first number, what follows "is"; and what it denies."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from collections.abc import Iterable, Set

from harness.verify.limits import MAX_ANSWER
from harness.verify.reading.lexicon import MORE, REJECTED, WRONG
from harness.verify.reading.words import SPOKEN, TEXT, UNIT_OF_SYMBOL, UNITS

MATH = re.compile(
    r"\$\$(.{1,2000}?)\$\$|\\\[(.{1,2000}?)\\\]|(?<!\\)\$([^$\n]{1,800})(?<!\\)\$(?!\d)"
    r"|\\\((.{1,800}?)\\\)|(?<!\\)\$([^$\n]{0,400}\\[a-zA-Z][^$]{1,400})\$(?!\d)"
    r"|\\begin\{(?:align|equation|gather|multline|eqnarray|alignat)\*?\}(.{1,2000}?)"
    r"\\end\{(?:align|equation|gather|multline|eqnarray|alignat)\*?\}",
    re.S,
)
NUMBERISH = re.compile(
    r"(?<![A-Za-z0-9_.])(?:(?:negative\s|[-−+]?\s?)[$€£¥]?\s?(?:\\\$)?-?"
    r"(?:\d{1,3}(?:(?:,|\{,\}|,\\!|\s\{,\s?\}\s?)\d{3})+|\d{1,3}(?:[ ]\d{3})+(?![\d-])|\d+)"
    r"(?:[.,]\d+)?(?:[eE][+-]?\d+)?(?:\s?/\s?\d+)?(?:\s?\\?%|!(?=\s[a-z]))?|[-−+]?\.\d+)"
)
TWO_WORDS = re.compile(r"[a-zA-Z]{2,}\s+[a-zA-Z]{2,}\s")
FURTHER = re.compile(
    r"(?:[,;]\s+|\s)(?:and\s+)?(?:then|so|but|therefore|thus|that\smakes(?:\sit)?)\b"
    r"|[,;]\s+(?:and|which\s(?:leaves|gives|makes|means)|leaving|giving|making)\b"
    r"|;\s(?=in\s(?:sum|total|all)\b|altogether\b|together\b)|\s?[→⇒]\s|,\sin\sother\swords\b,?"
)
_IN_TWO = re.compile(
    r"\$?(\d[\d,.]{0,12})\s+([a-z]{1,12})(?:,|,?\s+and)?\s+(\d[\d.]{0,12})\s+([a-z]{1,12})\b"
)
NAME_ONLY = re.compile(
    r"(?!\\text)[\\A-Za-z\s_{}'^]{1,40}[.,]?|\([a-z](?:,\s?[a-z])+\)[.,]?"
    r"|\\?[A-Za-z]{1,12}(?:_\w)?'?\([^()]{1,20}\)"
)
ASSIGNS = re.compile(  # $x=3,$ $y=4$; (x, y) = (3, 4)
    r"\s*(?:(?:\\[a-z]{2,7}|[a-zA-Zα-ω])(?:_\{?\w\}?|[₀-₉]|\d)?|\([a-z](?:,\s?[a-z]){1,3}\))\s*="
)
HENCE = "so|thus|hence|therefore"
AND = re.compile(r"[\s,]*\b(?:and|or|et|ou|und|oder)\b\s*")

_ROWS = re.compile(r"\\\\(?:\[[^\]\n]{0,9}\])?|\\(?:begin|end)\{align(?:ed)?\*?\}")

# -- what is denied -------------------------------------------------------------------------------


class Refused(str):
    """What a response says without standing by it, in the words that show that.

    No value is read in it, unless it corrects itself: `not certain: 12, it is 14`.
    """

    __slots__ = ()

    @classmethod
    def uncertain(cls, said: str) -> Refused:
        """Return what a response says as something of which it is not certain."""
        return cls(f"not certain: {said}")


_NEGATION = re.compile(
    rf"(?<!\\)\b(?:not|never|cannot|{WRONG}|{REJECTED}|isn['’]?t|aren['’]t|wasn['’]t|can['’]t"
    r"|doesn['’]t|don['’]t|won['’]t|anything (?:but|except)|nicht|kein|n['’]est pas|no es|no son"
    r"|não é|non è|не|niet|değil|to nie|no longer|we reject"
    r"|(?:different from|other than)(?=\s\S{0,3}\d)|(?<=[\d$] )(?:is|are|was|were) "
    r"(?:too (?:large|small|big|high|low)|only an? (?:upper|lower) bound))\b"
    r"|不是|不可能|并非|では(?:ありません|ない)|아니",
    re.I,
)
_REMARK = re.compile(
    r"(?:[,;(]|\s(?=and\s|but\s))\s?(?:and\s|but\s)?not\s"
    r"|\s(?:instead of|rather than|as opposed to)\s"
    r"|[,;(]?\s(?:but|though|although)\s(?:i|this|it)\b.{0,40}?\b(?:sure|certain|confident)\b(?=\D*$)",
    re.I,
)
# he pays $36 instead of $42, and so saves $6
_INSTEAD = re.compile(
    rf"\s(?:instead of|rather than)\s[^,;.]{{1,60}}(?=,\s(?:and\s)?(?:{HENCE})\b)"
)
_ADDED = re.compile(r"\s\((?:it|since|as|because|we|the)\b[^()]{3,200}\)?")
_NO_DENIAL = re.compile(
    r"\b(?:not\s(?:bad|only|surprising(?:ly)?)|don['’]t\sforget|can(?:not|['’]t)\sbe\sanything\s(?:other\sthan|but))\b",
    re.I,
)
_ASKED_DENIAL = re.compile(
    rf"\b(?:(?:is|are|was|were)\s)?(?:{WRONG}|false)(?:ly)?\b"
    r"|\b(?:do|does|did|are|is|was|were|will)(?:\snot\b|n['’]t\b)(?:\s\w+)?",
    re.I,
)
_IT_IS = r";\s+it\s+is\s+(?!not\b)"
_BUT = (
    r"(?:[,;]?\s+but\s+(?:rather\s+)?|(?:[,;.]|(?<=\d))\s+(?:it|that|the answer)"
    r"(?:\s+(?:is|(?:must|should|has\s+to)\s+be)|['’]s)\s+)(?!not\b)"
)
_CORRECTED = re.compile(
    rf"(?:\b(?:can)?not\b|n['’]t\b)(?:[^.;]{{0,80}}{_IT_IS}|[^,;.]{{0,60}}?{_BUT})", re.I
)
_CORRECTS_ITSELF = re.compile(rf"[^.;]{{0,83}}{_IT_IS}|[^,;.]{{0,63}}?{_BUT}", re.I)


def affirmed(text: str, asked: Set[str] = frozenset(), *, refused: bool = False) -> str | None:
    """Return what a text says to be so, without what it says not to be; None if nothing is left.

    `42, not 24` says 42, `not 5 but 6` says 6, and `42 is not the answer` says nothing. Where the
    question, whose words are `asked`, is how many are wrong, `6 were wrong` says 6. What is
    `refused` says nothing, whatever its words, but what it corrects itself to.
    """
    if len(text) > MAX_ANSWER or (text.isascii() and " " not in text):
        return text  # too long, which the reader refuses, or no sentence
    text = _INSTEAD.sub("", _NO_DENIAL.sub("", text))
    if {"not", "wrong", "incor", "false"} & asked:
        text = _ASKED_DENIAL.sub("", text)
    text = _REMARK.split(text if "\\" in text else _ADDED.sub("", text), maxsplit=1)[0].rstrip()
    if BOUND.match(text):
        return None
    if not refused and _NEGATION.search(text) is None:
        return text
    corrected = (_CORRECTS_ITSELF.match(text) if refused else None) or _CORRECTED.search(text)
    if corrected is None:
        return None
    text = text[corrected.end() :]
    return text if text.strip() and _NEGATION.search(text) is None else None


BOUND = re.compile(
    rf"(?:somewhere\s+)?(?:between(?!\s+the\s)|entre|zwischen|(?:strictly\s+)?(?:{MORE}|bigger)"
    r"\s+than|at\s+(?:most|least)|up\s+to|no\s+(?:more|less|fewer)\s+than"
    r"|(?:under|over|above|below)(?!\s+(?:the|these|those|his|her|their|this|that|all)\s)(?!\s+(?:the\s+)?\S{0,3}\d\S*\s\D+\d))\b",
    re.I,
)

_STATED = re.compile(
    rf"(?:(?:{HENCE})\b,?\s*)?(?:the\s+|my\s+|our\s+)?(?:(?:final|correct|right)\s+)*"
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


_BOUND_BEFORE = re.compile(BOUND.pattern + r"\s*$", re.I)

# -- the value in a sentence ----------------------------------------------------------------------


def has_digit(text: str) -> bool:
    """Whether a text has a digit."""
    return any(map(str.isdigit, text))


def has_any(text: str, words: Iterable[str]) -> bool:
    """Whether a text has one of some words, which is found faster than by a pattern."""
    for word in words:  # noqa: SIM110 -- a loop is faster than a generator
        if word in text:
            return True
    return False


def in_two_units(text: str, start: int = 0) -> str | None:
    """Return the quantity in two units that a text begins with: `2 hours 5 minutes`."""
    found = _IN_TWO.match(text, start)
    if found is None:
        return None
    large, small = UNITS.get(found.group(2)), UNITS.get(found.group(4))
    ordered = large and small and large[0] == small[0] and large[1] > small[1]
    return found.group() if ordered else None


_MEASURED = re.compile(
    r"(\s?(?:(?:square|cubic)\s)?((?<=\s)[gmhsLlNJWVK]\b(?![-'’])|[A-Za-z]{2,15})(?:\s?/\s?[a-z]{1,8}|\sper\s[a-z]{1,10})?)"
)


def measure(text: str, start: int) -> str:
    """Return the unit that follows there, with the blank before it, or nothing."""
    unit = _MEASURED.match(text, start)
    name = unit.group(2) if unit is not None else "in"
    known = name != "in" and (name.lower() in UNITS or name in UNIT_OF_SYMBOL)
    return unit.group() if unit is not None and known else ""


def content(formula: re.Match[str]) -> str:
    """Return a formula without its delimiters; of several lines, the last one."""
    inner: str = next(filter(None, formula.groups()))
    if "\\begin{" not in formula.group()[:7] and "\\begin{align" not in inner:
        return inner
    lines = [line.strip() for line in _ROWS.split(inner) if line.strip(" .&\n")]
    last = lines.pop() if lines else inner
    while lines and last.count("\\end{") > last.count("\\begin{"):
        last = f"{lines.pop()}\\\\{last}"  # the rows of a matrix
    last = last.replace("&=", "=").lstrip("& ")
    last = last if "matrix}" in last else last.replace("&", " ")
    return last.rsplit("=", 1)[1] if last.startswith(("=", " =")) else last


_FIGURE = re.compile(r"\s*(?:-?(?:\d|\\[dt]?frac|\\sqrt)[^=<>]{0,40}|\([^()=<>]{1,40}\)),?$")


def last_formulas(found: list[re.Match[str]], text: str) -> str:
    """Return the last formula, with those that "and" or "or" joins to it."""
    parts, mark = [found[-1]], ", "
    if "\\begin{align" in found[-1].group():
        found = found[-1:]  # the end of a derivation is one value
    while len(parts) < len(found) and len(parts) < 20:
        before = found[-1 - len(parts)]
        gap = text[before.end() : parts[0].start()]
        named = all(ASSIGNS.match(content(m)) for m in (before, parts[0]))
        listed = named or (len(parts) > 1 and _FIGURE.match(content(before)))  # 1, 2, and 3
        if "or" in gap and NAME_ONLY.fullmatch(content(before).strip()) and not named:
            break  # that of L_3, or 4
        if not AND.fullmatch(gap) and (gap.strip(" ,") or not listed):
            break
        if "=" in content(parts[0]) and not named:
            break  # a = 3, b = 5 and a + b = 8
        parts.insert(0, before)
        mark = " or " if re.search(r"\bor\b", gap) else mark
    return mark.join(content(m).strip() for m in parts)


def before_that_is(answer: str) -> str:
    """Return what stands before "i.e.", if that is a value, else what stands behind it."""
    before, _, after = answer.partition(", i.e.")
    return before if has_digit(before) else after or before


def only_formula(text: str) -> str | None:
    """Return the single formula between math delimiters in a text, or None."""
    found = list(MATH.finditer(text))
    if len(found) != 1 or _BOUND_BEFORE.search(text[: found[0].start()]):
        return None
    return content(found[0])


# -- a number among words -------------------------------------------------------------------------

# words in front of a number of which it is only a part of the value
WORK = re.compile(
    r"\b(?:half|third|quarter|twice|double|triple|squared?|cubed?|root|sum|difference|product"
    r"|quotient|minus|plus|times|percent|except|factors?|divisors?|multiples?|powers?)\b",
    re.I,
)
_SUM_IS = re.compile(
    r"\b(?:sum|difference|product|quotient|percent)(?=\s+(?:is|are|was|were)\b)", re.I
)
_COPULA = re.compile(
    r"[A-Za-z][A-Za-z ,'’-]{0,80}?(?:(?<=\b[Ii]t)['’]s|\b(?:is|are|was|were|be|equals?|has|have|had"
    r"|gets?|needs?|makes?|earn(?:s|ed)?|costs?|pays?|paid|spends?|spent|total of|of|left with"
    r"|answer)\b)\s*:?\s*"
    r"(?:(?:about|approximately|exactly|only|equal to|a total of)\s+)?"
    rf"(?=[-$€£\\(.\d]|{SPOKEN})"
)
_SPOKEN = re.compile(SPOKEN + r"(?!\s(?:of|in|out)\b)(\s[a-z]+)?")
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
    r"(?:and|or|to|through|vs|until|remainder|too|in debt|bn|ppm"
    r"|at (?:most|least)|out|x|times|plus|minus|less|over|divided|multiplied|squared|cubed"
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
    amount, spoken = _AMOUNT.match(rest), _SPOKEN.match(rest)
    if copula is not None and WORK.search(_SUM_IS.sub("", copula.group())):
        return None
    if copula is not None and spoken is not None:
        again = re.search(rf"\d|\b{SPOKEN}\b", rest[spoken.end() :])
        alone = again is None and not _CHANGES.match(spoken.group(1) or "")
        return spoken.group() if alone else None
    if amount is None:
        return rest if copula is not None and not TWO_WORDS.search(rest) else None
    behind = amount.group(2)
    if "\\" in behind or "^" in behind:  # 2 cis 45^\circ
        return None
    if behind.startswith("("):  # a remark
        return amount.group(1)
    behind = re.sub(r"\([^()]*\)", "", behind)
    if _CHANGES.match(behind) or _SECOND.search(behind.split("because")[0].split("since")[0]):
        return None
    return amount.group(1)


_OPERATOR = r"\s?[-+−*/×÷·^]\s?"
_OPERAND = r"(?:\d[\d.]*(?!\d)[A-Za-z]?(?![A-Za-z])|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|[)}])"
_BEFORE = re.compile(rf"(?:{_OPERAND}{_OPERATOR}){{1,9}}$")
_BEHIND = re.compile(rf"(?:{_OPERATOR}[(]?{_OPERAND}){{1,9}}")
_OPENED = re.compile(r"\S{0,20}[A-Za-z](?<!boxed)(?<!box)(?<!text)(?<!textbf)(?<!math..)\{$")


def expression(text: str, start: int, end: int) -> tuple[int, int]:
    r"""Return the expression of which a number is a part: `1+5` is not 5, nor is `\xed{5}`."""
    before = text[max(0, start - 40) : start]
    opened, left = _OPENED.search(before), _BEFORE.search(before)
    if opened is not None:
        return start - len(opened.group()), end + len(re.split(r"\s", text[end : end + 20])[0])
    right = _BEHIND.match(text, end)
    return start - len(left.group()) if left else start, right.end() if right else end
