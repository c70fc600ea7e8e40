"""Answers in words or in an unusual notation, and the form of them that the parser reads."""

from __future__ import annotations

import re

from harness.verify.reading.words import NUMBER_WORDS, ORDINAL_WORDS


def _compared(match: re.Match[str]) -> str:
    """Return `x >= 5` for `x is greater than or equal to 5`."""
    name, word, equal, value = match.groups()
    return f"{name} {'<' if word in ('less', 'smaller') else '>'}{'=' if equal else ''} {value}"


def _all_compared(match: re.Match[str]) -> str:
    """Return `x >= 5` for `all real numbers greater than or equal to 5`."""
    name, word, equal, value = match.groups()
    more = word in ("greater", "more", "larger", "at least", "above")
    bound = "=" if equal or word.startswith("at ") else ""
    return f"{name or 'x'} {'>' if more else '<'}{bound} {value}"


def _all_between(match: re.Match[str]) -> str:
    """Return `1 <= x <= 3` for `all real numbers between 1 and 3, inclusive`."""
    name, low, high, inclusive = match.groups()
    sign = "<=" if inclusive else "<"
    return f"{low} {sign} {name or 'x'} {sign} {high}"


_ALL = (
    r"(?:\\text\s?\{ ?)?(?:the set of )?all (?:of the )?(?:real )?(?:numbers|values|reals)"
    r"(?: of)?(?: \$?([a-z])\$?)?(?: (?:that are|which are|of|such that it is))? (?:strictly )?"
)
_VALUE = r"(?:\}\s?)?\$?(-?[\w./\\{}]{1,20}?)\$?\}?"

_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def _part(match: re.Match[str]) -> str:
    r"""Return `\frac{5}{36}` for `five thirty-sixths`."""
    top, tens, ones = match.groups()
    return f"\\frac{{{NUMBER_WORDS[top]}}}{{{NUMBER_WORDS[tens] + ORDINAL_WORDS[ones]}}}"


def _multiples(match: re.Match[str]) -> str:
    """Return `2k` for `all even integers`, `6k` for `all multiples of 6`."""
    parity, factor = match.groups()
    if factor and not factor.isdigit():
        return f"k \\cdot ({factor})"
    return f"{factor}k" if factor else "2k + 1" if parity.lower() == "odd" else "2k"


def _both_signs(match: re.Match[str]) -> str:
    r"""Return `(1, 2), (-(1), -(2))` for `\pm(1, 2)`."""
    parts = match.group(1).split(",")
    return f"({','.join(parts)}), ({','.join(f'-({x})' for x in parts)})"


# the text of an answer in the form that the parser reads
REWRITES = (
    (
        re.compile(r"\\pm\s?(?:\\left)?\(([^()]{1,40}(?:,[^()]{1,40}){1,2}?)(?:\\right)?\)"),
        _both_signs,
    ),
    # decreased by 4%
    (
        re.compile(
            r"(?:\\text\s?\{\s?)?(?:(?:[Ii]t|[Tt]he (?:price|value)|[Tt]hey) )?(?:has |is |was )?"
            r"(?:(?:in|de)creas(?:ed?|es)|drop(?:s|ped)|falls|fell|r(?:ises|ose)|grew|grows) by"
            r" ?\}? ?(.{1,20})"
        ),
        r"\1",
    ),
    (
        re.compile(
            r"(?:\\text\s?\{\s?)?[Ff]or (?:every|all|any|each) real (?:number )?\}?\s?"
            r"\$?([a-z])\$?, ?(.{1,40})"
        ),
        r"\\forall \1 \\in \\mathbb{R}, \2",
    ),
    (
        re.compile(
            r"(?:\\text\s?\{\s?)?[Tt]here (?:is|exists) (?:a |some )?real (?:number )?\}?\s?"
            r"\$?([a-z])\$?,? (?:such that|with) (.{1,40})"
        ),
        r"\\exists \1 \\in \\mathbb{R}, \2",
    ),
    # 5 R 3, 5 remainder 3
    (
        re.compile(
            r"(\d{1,9})[\s~]?(?:\\text\s?\{\s?)?(?:[rR]\.?|(?:with )?(?:a )?remainder(?: of)?)"
            r"(?:\s?\})?[\s~]?(\d{1,9})(?:\s?\})?"
        ),
        r"(\1, \2)",
    ),
    # (1) a = 2; (2) [0, 4]
    (re.compile(r"\(1\)\\?\s?([^()]{1,25}?)[;,.]\\?\s?\(2\)\\?\s?(.{1,25})"), r"\1; \2"),
    (
        re.compile(
            r"(?:\\text\s?\{ ?)?(?:the set of )?(?:[Aa]ll |[Aa]ny |[Ee]very )(?:the )?(?:"
            r"(even|odd) (?:integer|number|whole number)s?|(?:integer |the )?(?:multiples?|"
            r"integers? (?:that (?:is|are) )?(?:divisible|multiples)) (?:of|by) ?\}? ?"
            r"\$?(\d{1,4}|(?:\d{0,4}\s?\\pi|\\[dt]?frac\{.{1,9}\}\{\d{1,4}\})(?:\s?/\s?\d{1,4})?))\$?\}?"
        ),
        _multiples,
    ),
    (
        re.compile(
            r"(.{1,40}?)(?:\s|\\[ ,;])*(?:\\text\s?\{ ?)?is (?:the )?"
            r"(?:larger|greater|bigger|smaller|largest|greatest|smallest)(?: (?:one|number))?\}?"
        ),
        r"\1",
    ),
    (
        re.compile(r"(?:\\mathbb\s?\{?R\}?|R)\s?(?:-|\\(?=\s?\\?\{))\s?\\?\{([^{}]*?)\\?\}"),
        r"\\mathbb{R} \\setminus \\{\1\\}",
    ),
    (re.compile(r"\\mathbb\s?\{?R\}?_\{?(\\geq?|>)\s?0\}?"), r"x \1 0"),
    (re.compile(r"0\.\((\d{1,30})\)"), r"0.\\overline{\1}"),
    (re.compile(r"\^\{?(\d{1,9})\}?\s*/\s*_\{?(\d{1,9})\}?"), r"\\frac{\1}{\2}"),
    (re.compile(r"(\d{1,9})\s*h(?:rs?)?\.?\s*(\d{1,9})\s*m(?:ins?)?\.?"), r"\1 hours \2 minutes"),
    (
        re.compile(
            r"(\d[\d.]{0,9})\s*(?:(?:degrees?|°|\^\\circ)\s*)?(?:[CF]|Celsius|Fahrenheit)?"
            r"\s*below (?:zero|0)"
        ),
        r"-\1^\\circ",
    ),
    (re.compile(r"(\d{1,9})\s*'\s*(\d{1,9})\s*(?:\"|''|in)"), r"\1 feet \2 inches"),
    (
        re.compile(
            r"\$?([a-zA-Z])\$? (?:\\text\s?\{ ?)?is (?:a multiple of|divisible by) ?\}? ?"
            r"\$?(\d{1,9})[}$]?"
        ),
        r"\1 = \2j",
    ),
    (
        re.compile(
            r"(?:\\text\s?\{)?(\d{1,2}) ?\}? ?(?:\\text\s?\{ ?)?(?:of )?"
            r"((?:Jan|Febr)uary|March|April|May|June|July|August|(?:Sept|Nov|Dec)ember|October)\}?"
        ),
        r"\2 \1",
    ),
    (
        re.compile(
            r"\$?([a-zA-Z]|[a-z]\([a-z]\))\$? (?:is|must be) (?:strictly )?"
            r"(greater|more|less|smaller|larger) than( or equal to)? \$?(-?[\w./\\{}]{1,20})\$?"
        ),
        _compared,
    ),
    (
        re.compile(
            _ALL + r"(greater|more|larger|less|smaller|at least|at most|above|below)(?: than)?"
            r"( or equal to)? " + _VALUE
        ),
        _all_compared,
    ),
    (re.compile(_ALL + rf"between {_VALUE} and {_VALUE}(,? \(?inclusive\)?)?"), _all_between),
    (
        re.compile(
            r"(?:all (?:real )?numbers )?((?:\\(?:geq?|leq?|[gl]t)\b|[≤≥])\s?-?[\w./\\{}]{1,20})"
        ),
        r"x \1",
    ),
    (
        re.compile(
            rf"({'|'.join(NUMBER_WORDS)}) ({'|'.join(_TENS)})-({'|'.join(ORDINAL_WORDS)})s?"
        ),
        _part,
    ),
    (re.compile(r"([a-z])1\s?(=.{1,40}?\b)\1\s?2\s?(=.{1,40})"), r"\1_1 \2 \1_2 \3"),
    (re.compile(r"((?:Rs\.?|₹)\s*[\d,.]{1,30})\s*/-"), r"\1"),
)


_ARRAY = re.compile(
    r"(?:\\left)?\s?\\\{\s?\\begin\{array\}\s?(?:\{[^{}]{0,9}\})?(.*?)\\end\{array\}\s?(?:\\right\b\s?\.?)?",
    re.S,
)
_ROW = re.compile(r"\s?[^&]{1,80}&[^&]{1,80}|\s?[^,&=]{1,80},[^,&]{1,80}")
_WHEN = re.compile(
    r"\s?\\text\s?\{\s?(?:if|when|for(?! (?:all|any|every))|otherwise)\b|\s(?:if|when|otherwise)\b"
)


_WHOLE_PART = re.compile(
    r"[,;]?\s*\(?\s*(?:\\text\s?\{\s?)?(?:where|here)?\s*\}?\s*\$?\s*(?:\\left)?\[\s?[a-z]\s?"
    r"(?:\\right)?\]\s*\$?\s*(?:\\text\s?\{\s?)?(?:denotes|is|means)\b.{0,60}?"
    r"(?:integer|integral|floor).{0,40}$"
)


def with_floors(text: str) -> str:
    r"""Return `\lfloor x \rfloor` for each `[x]` of an answer that says so behind it."""
    said = _WHOLE_PART.search(text)
    if said is None:
        return text
    text = re.sub(r"(?:\\left)?\[", r"\\lfloor ", text[: said.start()])
    return re.sub(r"(?:\\right)?\]", r"\\rfloor ", text)


def with_cases(text: str) -> str:
    r"""Return a distinction of cases in the environment that LaTeX has for it.

    Others write `\left\{\begin{array}{ll}`, or put `\text{ if }` before each condition.
    """
    array = _ARRAY.search(text) if "{array}" in text else None
    if array is not None:
        rows = [row for row in array.group(1).split("\\\\") if row.strip()]
        if len(rows) > 1 and all(map(_ROW.fullmatch, rows)):
            inner = f"\\begin{{cases}}{array.group(1)}\\end{{cases}}"
            return text[: array.start()] + inner + text[array.end() :]
    if "begin" in text or len(text) > 200:
        return text
    name, equals, rest = text.partition("=") if "=" in text.split("if")[0] else ("", "", text)
    rows = [row.strip() for row in re.split(r"[,;]\s", rest)]
    marks = [_WHEN.search(row) for row in rows]
    if not 2 <= len(rows) <= 4 or not all(m is not None and m.start() for m in marks):
        return text
    cut = [(row[: m.start()], row[m.start() :]) for row, m in zip(rows, marks, strict=True) if m]
    inner = " \\\\ ".join(f"{value} & {when}" for value, when in cut)
    return f"{name}{equals}\\begin{{cases}} {inner} \\end{{cases}}"
