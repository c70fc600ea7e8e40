"""The readings of an answer: trimmed, times and choices recognised, then parsed."""

from __future__ import annotations

import re
from functools import lru_cache

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import MAX_ANSWER, TooLarge, Unreadable, charge, with_allowance
from harness.verify.reading.parser import parse
from harness.verify.reading.tokens import group_end, plain, tokenise
from harness.verify.reading.words import TEXT, normal_words

_REPEATING = re.compile(r"(?<![\d.])(\d{0,30})\.(\d{0,30})\\(?:overline|bar|dot)\s*\{(\d{1,30})\}")
_DOTS = re.compile(
    r"(?<![\d.])(\d{0,9})\.(\d{0,9}?)(\d{1,9}?)\3+(?:\.{3}|\\[lc]?dots)"
)  # 0.2727...
_SPREAD = re.compile(r"(?<=[\w})])\s?\\q?quad\s?(?=-?\d|[a-zA-Z]\s?=)")
_TIME = re.compile(
    r"(?:at )?(\d{1,2})(?::(\d\d))?(?::(\d\d))?\s*"
    r"(?:([ap])\.?\s*m\b\.?|o'clock\s*(?:([ap])\.?m\.?)?|(noon|midnight))?\.?",
    re.I,
)
_CHOICE = re.compile(
    r"(?:(?i:option|choice|answer)\s+)?"
    r"(?:[(\[]?([A-J])(?:[)\]][.:]?|[.:])\s*(.{0,200})|[(\[]?([A-J])[)\]]?|\(?([a-j])\))",
    re.S,
)
_MORE = re.compile(
    r"(?:,\s*)?(?:and|or|nor|is\s+(?:not|wrong|incorrect)|isn.?t)\b|[,;&/]\s*\(?[A-J]\b", re.I
)
# the text of an answer in the form that the parser reads
_REWRITES = (
    (re.compile(r"(\\mathbb\s?\{?R\}?)\s?-\s?(\\\{.*\\\})"), r"\1 \\setminus \2"),
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
    (re.compile(r"((?:Rs\.?|₹)\s*[\d,.]{1,30})\s*/-"), r"\1"),
)
_BY = re.compile(r"(?<=\d) +[xX] +(?=\$?\d)")
_CHOOSE = re.compile(  # C(10, 3), {}^{10}C_3, 10C3
    r"C\((\d{1,3}), ?(\d{1,3})\)|(?:\{\})?[\^_]?\{?(\d{1,3})\}? ?C_?\{?(\d{1,3})\}?"
)
_MIXED = re.compile(  # two and a third, or two values
    r"(-?\d{1,9})\s*(?:and|\\text\s*\{\s*and\s*\})\s*(\d{1,9}/\d{1,9}|\\[dt]?frac\{?\d+\}?\{?\d+\}?)(.*)",
    re.S,
)
_TRAIL = (*".,;:*_`\\ \t\n", "\\!", "\\quad", "\\qquad")
# a backslash escaped once too often: before a command, or where no single one stands
_DOUBLED = re.compile(
    r"\\\\([dt]?frac|sqrt|left|right|pi|text|cdot|times|infty|cup|circ)(?![a-zA-Z])"
)
_ALL_DOUBLED = re.compile(r"(?:[^\\]|\\\\(?:[a-zA-Z]{2}|[%$!,;{}]))+")
_ROW_SPACE = re.compile(r"\\\\\[-?\d{0,3}\.?\d{1,3}\s?(?:pt|em|ex|mm|cm|in)\]")
_EMPHASIS = re.compile(r"(?<![\w)}\]*])\*\*(?=\S)([^*]{1,200})(?<=\S)\*\*(?![\w({\[*])")
_MANTISSA = re.compile(r"(?<=\d)\\(?:text|mathrm)\{e\}(?=[-+]?\d)")
_BOLD = re.compile(r"\\(?:mathbf|boldsymbol|bm|displaystyle)\s*(?=[{\\])")
_ALIGNED = re.compile(r"\\begin\{(aligned|align\*?|gathered|equation\*?)\}(.*)\\end\{\1\}", re.S)
_SO = re.compile(r"^\\(?:therefore|Rightarrow|implies|Longrightarrow)(?![a-zA-Z])\s*")
_MATH_MARK = re.compile(r"(?<!\\)\\[()\[\]]|(?<!\\)\$\$")


def tidy(text: str) -> str:
    """Return an answer without the marks around it: math delimiters, full stops, emphasis."""
    if len(text) > MAX_ANSWER:
        raise TooLarge(f"the answer has more than {MAX_ANSWER} characters")
    text = " ".join(plain(text).split())  # a pattern may be slow in a run of blanks
    if "quad" in text:
        text = _SPREAD.sub(", ", text)  # x = 1 \\quad y = 2
    if "..." in text or "dots" in text:
        text = _DOTS.sub(_repeating, text)
    if len(text) > MAX_ANSWER:  # a character may have become a command
        raise TooLarge(f"the answer has more than {MAX_ANSWER} characters")
    if "**" in text:
        text = _EMPHASIS.sub(r"\1", text)
    if "\\\\[" in text:
        text = _ROW_SPACE.sub(r"\\\\", text)
    if "{e}" in text:
        text = _MANTISSA.sub("e", text)  # 6.02\\text{e}23
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
    r"(-?\d{1,12})\s?(?:\\text\s?\{\s?)?\(\s?(?:or|maybe|perhaps|possibly)\s(?:\\text\s?\{)?\}?\s?"
    r"(-?\d{1,12})\s?(?:\\text\s?\{)?\)?\s?[)}]{0,2}"
)


def with_unit(gold: str) -> str:
    r"""Return `45\text{ ft}` for `45 (ft)`, as some data sets write a unit."""
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


def read(text: str) -> tuple[Node, ...]:
    """Return the readings of an answer, the likeliest first; empty if it has none.

    Raises:
        TooLarge: If a bound is passed.
    """
    return _read_short(text) if len(text) <= 200 else with_allowance(_read_whole, text)


_SOUP = re.compile(r"[=^_<>+*|\\]")


def readable(text: str, readings: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return the readings of a text, none where it is mathematics that was only read as words."""
    if not readings or readings[0].kind != "text" or not _SOUP.search(text):
        return readings
    return () if _SOUP.search(TEXT.sub(r"\1", text)) else readings


@lru_cache(maxsize=4096)
def _read_short(text: str) -> tuple[Node, ...]:
    return with_allowance(_read_whole, text)  # golds come back often; only short ones are kept


def _read_whole(text: str) -> tuple[Node, ...]:
    try:
        return _read(text)
    except Unreadable:  # one of two signs leads to what has no value
        return ()


def _read(text: str) -> tuple[Node, ...]:
    text = tidy(text)
    if not text:
        return ()
    readings, certain = _time(text)
    if certain:
        return tuple(readings)
    if len(text) < 60:
        for pattern, form in _REWRITES:
            rewritten = pattern.fullmatch(text)
            text = rewritten.expand(form) if rewritten is not None else text
    if any(mark in text for mark in (".\\", "\\overline", "\\dot", "\\bar")):
        text = _REPEATING.sub(_repeating, text)
    if " x " in text or " X " in text:
        text = _BY.sub(r"\\times ", text)
    parsed = _parse(text, True)
    whole = spread(parsed) if parsed is not None else None
    if whole is not None:
        readings.append(whole)
    if parsed is not None and "\\pm" in text and "\\mp" not in text:
        readings += _independent(parsed)
    chosen = _CHOOSE.fullmatch(text) if "C" in text else None
    if chosen is not None:
        n, k = (tree.num(int(g)) for g in chosen.groups() if g)
        readings.append(tree.fn("binomial", n, k))
    mixed = _MIXED.fullmatch(text) if "and" in text else None
    if mixed is not None:
        number = _parse(" ".join(mixed.groups()), True)
        readings += [number] if number is not None else []
    if re.search(r"\d,[1-9]\d\d(?!\d)", text) and not re.search(r"\d,0\d\d(?!\d)", text):
        split = _parse(text, False)
        split = spread(split) if split is not None else None
        if split is not None and all(split.key != r.key for r in readings):
            bracketed = text.startswith(("(", "[", "{", "\\{", "\\left", "\\langle", "\\lbrace"))
            if bracketed and whole is not None and not re.search(r",\s", text):
                readings.remove(whole)  # (100,200) is a pair; 100,200 may be a number
            readings.insert(0 if bracketed else len(readings), split)
    return tuple(readings)


def _time(text: str) -> tuple[list[Node], bool]:
    """Return the time of day that a text gives, if any, and whether it can be nothing else.

    `4 pm`, `4:05` and `4:30:00` are times, `4:30` may also be a ratio.
    """
    match = _TIME.fullmatch(text) if len(text) < 30 else None
    if match is None and text[-5:].strip("}. ").lower() in ("noon", "night"):
        match = _TIME.fullmatch("12 " + TEXT.sub(r"\1", text).strip(" ."))
    if match is None and (
        ((":" in text or "clock" in text) and len(text) < 60)
        or (len(text) < 40 and re.search(r"[ap]\.?m", text, re.I) is not None)
    ):
        bare = re.sub(r"\\[!,;: ]|[{}$]", "", TEXT.sub(r"\1", text))
        match = _TIME.fullmatch(bare.strip())
    if match is None or (not any(match.groups()[1:]) and "clock" not in text):
        return [], False
    hour, minute, second = (int(g or 0) for g in match.groups()[:3])
    if hour > 24 or minute > 59:
        return [], False
    half = (match.group(4) or match.group(5) or "").lower()
    if match.group(6):
        half = "p" if match.group(6).lower() == "noon" else "a"
    if hour > 12 and not half:  # 15:45
        hour, half = hour - 12, "p" if hour < 24 else "a"
    shown = f"{hour}:{minute:02d}:{second:02d}{half and ' ' + half + 'm'}"
    certain = bool(half or match.group(3) or (match.group(2) or "0")[0] == "0")
    return [Node("time", (hour, minute, second, half), shown, 1)], certain


def _repeating(match: re.Match[str]) -> str:
    whole, fixed, repeat = match.groups()
    bottom = (10 ** len(repeat) - 1) * 10 ** len(fixed)
    top = int((whole or "0") + fixed + repeat) - int((whole or "0") + fixed)
    return f"\\frac{{{top}}}{{{bottom}}}" if not whole else f"(\\frac{{{top}}}{{{bottom}}})"


_WHOLE_NUMBERS = re.compile(  # ", k in Z" behind a general solution
    r"(?:,|;|\(|\\q?quad|\\text\{[^{}]{0,20}\}|(?<!\s)\s)(?:\\?[\s,;!]){0,5}(?:\(\s*)?[a-zA-Z](?:\s*,\s*[a-z])?\s*"
    r"\\in\s*\\?(?:mathbb|mathbf|Bbb)?\s*\{?[ZNRQ]\}?[\^_*+0-9{}]*\s*(?:\)\s*)?$"
)
_OUTWARD = re.compile(r"([\[\]])(?=[^,;]*[,;])([^\[\]()]*)([\[\]])")


def _parse(text: str, thousands: bool) -> Node | None:
    if "\\in" in text:
        cut = _WHOLE_NUMBERS.search(text)
        if cut is not None and cut.start() > 0:
            text = text[: cut.start()].rstrip(" ,;(")
    outward = _OUTWARD.fullmatch(text)
    if outward is not None and outward.group(1) + outward.group(3) != "[]":
        text = (
            ("[" if outward.group(1) == "[" else "(")
            + outward.group(2)
            + ("]" if outward.group(3) == "]" else ")")
        )
    try:
        return parse(tokenise(text, thousands=thousands))
    except Unreadable:
        return None
    except RecursionError as error:
        raise TooLarge("nested too deeply") from error


def spread(node: Node) -> Node:
    """Return the node with every ± written out as a list of both values."""
    if "±" not in node.key:
        return node
    if node.kind in ("list", "set"):
        items: list[Node] = []
        for item in node.args:
            wide = spread(item)
            items.extend(wide.args if wide.kind == "list" else (wide,))
        return tree.structure(node.kind, items)
    both = [tree.substitute(node, "±", sign) for sign in (tree.ONE, tree.MINUS_ONE)]
    return tree.structure("list", both) if both[0].key != both[1].key else both[0]


def _independent(node: Node) -> list[Node]:
    """Return the reading of a tuple in which each of its signs ± is free: four for two of them."""
    signed = node.kind == "br" and [i for i, x in enumerate(node.args[2]) if "±" in x.key]
    if not signed or not 2 <= len(signed) <= 4:
        return []
    tuples = [list(node.args[2])]
    for i in signed:
        tuples = [
            [*t[:i], tree.substitute(t[i], "±", sign), *t[i + 1 :]]
            for t in tuples
            for sign in (tree.ONE, tree.MINUS_ONE)
        ]
    each = [tree.structure("br", t, *node.args[:2]) for t in tuples]
    return [tree.structure("list", each)]


def choice(text: str) -> tuple[str, str] | None:
    """Return (letter, words) of a multiple-choice answer such as `(D) Alina`, or None."""
    bare = re.sub(r"[${}]", "", TEXT.sub(r"\1", text))
    match = _CHOICE.fullmatch(bare.strip())
    if match is None:
        return None
    lettered, words, letter, small = match.groups()
    if lettered:
        return None if _MORE.match(words) else (lettered, normal_words(words))
    return (letter or small).upper(), ""
