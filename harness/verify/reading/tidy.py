"""The text of an answer without the marks around it, and with one way to write what has several."""

from __future__ import annotations

import re

from harness.verify.limits import MAX_ANSWER, TooLarge, charge
from harness.verify.reading.lexicon import PERHAPS
from harness.verify.reading.tokens import group_end, plain

_DOTS = re.compile(
    r"(?<![\d.])(\d{0,9})\.(\d{0,9}?)(\d{1,9}?)\3+(?:\.{3}|\\[lc]?dots)"
)  # 0.2727...
_CIRCLED = re.compile("([\u2460-\u2473])\\s*(?=[\u2460-\u2473])")  # statements by their numbers
_SPREAD = re.compile(r"(?<=[\w})])\s?\\q?quad\s?(?=-?\d|[a-zA-Z]\s?=)")
_TRAIL = (*".,;:*_`\\ \t\n", "\\!", "\\quad", "\\qquad")
# a backslash escaped once too often: before a command, or where no single one stands
_DOUBLED = re.compile(
    r"\\\\([dt]?frac|sqrt|left|right|pi|text|cdot|times|infty|cup|circ)(?![a-zA-Z])"
)
_ALL_DOUBLED = re.compile(r"(?:[^\\]|\\\\(?:[a-zA-Z]{2}|[%$!,;{}]))+")
_EMPHASIS = re.compile(r"(?<![\w)}\]*])\*\*(?=\S)([^*]{1,200})(?<=\S)\*\*(?![\w({\[*])")
_MANTISSA = re.compile(r"(?<=\d)\s?\\(?:text|mathrm)\s?\{[eE]\}\s?\{?([-+]?\d{1,9})\}?")
_ANGSTROM = re.compile(r"\\(?:text|mathrm)\s?\{\s?\\AA\s?\}|\\AA(?![a-zA-Z])")
_OHMS = re.compile(
    r"(?<=\d)(?:\s|~|\\[ ,;:]){1,3}(?:\\Omega(?![a-zA-Z])|\\(?:text|mathrm)\s?\{\s?\\Omega\s?\})"
)
# what is written in several ways, found by what it has in it
_CLEANED: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("\\\\[", re.compile(r"\\\\\[-?\d{0,3}\.?\d{1,3}\s?(?:pt|em|ex|mm|cm|in)\]"), r"\\\\"),
    # 6.02\text{e}23
    ("{e}", _MANTISSA, r"e\1"),
    ("{E}", _MANTISSA, r"e\1"),
    # 3{:}45, {-}25
    ("{", re.compile(r"(?<![\^_a-zA-Z}])\{([-+:=<>])\}"), r"\1"),
    # 2(\\bmod 11)
    ("mod", re.compile(r"\(\s?\\?(?:bmod|mod)(?![a-z])\s?([^()]{1,20})\)"), r"\\pmod{\1}"),
    # 0.2 \\overline{7}
    ("{", re.compile(r"(?<=\d)\s(?=\\(?:overline|bar|dot)\s?\{\d)"), ""),
    # 101_{(2)}
    ("_", re.compile(r"(?<=\d)_\s?\{?\((\d{1,2})\)\}?"), r"_{\1}"),
    # 60^o
    ("o", re.compile(r"(?<=\d)\s?\^\s?\{?o\}?(?![a-zA-Z\d])"), r"^\\circ"),
    ("=", re.compile(r"\\(?:stackrel|overset|underset)\s?\{[^{}]{0,40}\}\s?\{\s?=\s?\}"), "="),
    # -1{,}5
    ("{,}", re.compile(r"(?<=\d)\{,\}(?=\d{1,2}(?!\d))"), "."),
    ("\\Omega", _OHMS, r"\\text{ ohms}"),
    ("\\AA", _ANGSTROM, r"\\text{ angstroms}"),
    ("\\displaystyle", re.compile(r"\\displaystyle(?![a-zA-Z])\s*"), ""),
)
_BOLD = re.compile(r"\\(?:mathbf|boldsymbol|bm)\s*(?=[{\\])")
_ALIGNED = re.compile(r"\\begin\{(aligned|align\*?|gathered|equation\*?)\}(.*)\\end\{\1\}", re.S)
_SO = re.compile(r"^\\(?:therefore|Rightarrow|implies|Longrightarrow)(?![a-zA-Z])\s*")
_MATH_MARK = re.compile(r"(?<!\\)\\[()\[\]]|(?<!\\)\$\$")


def tidy(text: str) -> str:
    """Return an answer without the marks around it: math delimiters, full stops, emphasis."""
    if len(text) > MAX_ANSWER:
        raise TooLarge(f"the answer has more than {MAX_ANSWER} characters")
    if not text.isascii():
        text = _CIRCLED.sub(r"\1, ", text)
    text = " ".join(plain(text).split())  # a pattern may be slow in a run of blanks
    if "quad" in text:
        text = _SPREAD.sub(", ", text)  # x = 1 \\quad y = 2
    if "..." in text or "dots" in text:
        text = _DOTS.sub(repeating, text)
    if len(text) > MAX_ANSWER:  # a character may have become a command
        raise TooLarge(f"the answer has more than {MAX_ANSWER} characters")
    if "**" in text:
        text = _EMPHASIS.sub(r"\1", text)
    for hint, pattern, form in _CLEANED:
        if hint in text:
            text = pattern.sub(form, text)
    if "\\\\" in text and "begin" not in text:
        if _ALL_DOUBLED.fullmatch(text):
            text = text.replace("\\\\", "\\")
        text = _DOUBLED.sub(r"\\\1", text)
    while True:
        before = text
        text = _MATH_MARK.sub(lambda m: " ", text) if "\\" in text or "$$" in text else text
        if text[:1] == "$" and text[-1:] == "$" and len(text) > 1 and "$" not in text[1:-1]:
            text = text[1:-1]
        text = _without_trail(text.strip()).lstrip("*_:;,?` \t\n")
        if text[:1] == "\\":
            text = _SO.sub("", text, count=1)
        text = _unwrapped(text)
        if text == before:
            return text


_UNIT_BEHIND = re.compile(r"(-?\$?\d[\d.,/]{0,20})\s?\(([A-Za-z][A-Za-z .'-]{0,40})\)")
_ALTERNATIVE = re.compile(
    rf"(-?\d{{1,12}})\s?(?:\\text\s?\{{\s?)?\(\s?(?:or|{PERHAPS})\s(?:\\text\s?\{{)?\}}?\s?"
    r"(-?\d{1,12})\s?(?:\\text\s?\{)?\)?\s?[)}]{0,2}"
)


def with_unit(gold: str) -> str:
    r"""Return `45\text{ ft}` for `45 (ft)`, as some data sets write a unit."""
    if "; " in gold and ")" in gold and len(gold) < 140:
        return "; ".join(map(with_unit, gold.split("; ")))
    found = _UNIT_BEHIND.fullmatch(gold) if gold[-1:] == ")" and len(gold) < 70 else None
    return f"{found.group(1)}\\text{{ {found.group(2).strip()}}}" if found is not None else gold


def with_alternative(answer: str) -> str:
    """Return `216, 215` for `216 (or 215)`, which is no single value."""
    found = _ALTERNATIVE.fullmatch(answer) if "(" in answer and len(answer) < 80 else None
    return ", ".join(found.groups()) if found is not None else answer


def _unwrapped(text: str) -> str:
    """Return a text without what only sets it: bold letters, or an alignment of one line."""
    bold = _BOLD.match(text)
    if bold is not None and text[bold.end()] == "\\":
        return text[bold.end() :]
    if bold is not None and group_end(text, bold.end()) == len(text):
        charge(len(text) // 4)
        return text[bold.end() + 1 : -1]
    aligned = _ALIGNED.fullmatch(text) if text.startswith("\\begin") else None
    if aligned is not None and "\\\\" not in text:
        return aligned.group(2).replace("&", " ")
    return text


def _without_trail(text: str) -> str:
    """Return a text without stops, blanks, line breaks and emphasis at its end, in one pass."""
    while text.endswith(_TRAIL):
        text = text.rstrip(".,;:*_`\\ \t\n")
        for blank in _TRAIL[-3:]:
            text = text.removesuffix(blank)
    return text


def repeating(match: re.Match[str]) -> str:
    """Return a repeating decimal as a fraction: its digits before, before the period, and in it."""
    whole, fixed, repeat = match.groups()
    bottom = (10 ** len(repeat) - 1) * 10 ** len(fixed)
    top = int((whole or "0") + fixed + repeat) - int((whole or "0") + fixed)
    return f"\\frac{{{top}}}{{{bottom}}}" if not whole else f"(\\frac{{{top}}}{{{bottom}}})"
