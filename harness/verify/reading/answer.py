"""The readings of an answer: times and choices recognised, then parsed."""

from __future__ import annotations

import re
from functools import lru_cache

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import TooLarge, Unreadable, with_allowance
from harness.verify.reading.declarations import declared
from harness.verify.reading.parser import parse
from harness.verify.reading.rewrites import REWRITES, with_cases, with_floors
from harness.verify.reading.tidy import repeating, tidy
from harness.verify.reading.tokens import tokenise
from harness.verify.reading.words import TEXT, normal_words

Readings = tuple[Node, ...]  # of one text, the likeliest first

_REPEATING = re.compile(r"(?<![\d.])(\d{0,30})\.(\d{0,30})\\(?:overline|bar|dot)\s*\{(\d{1,30})\}")
_SYSTEM = re.compile(
    r"(?:\\left)?\s?\\\{\s?\\begin\{(array|aligned|matrix|gathered)\}(?:\{[lcr]*\})?(.*)\\end\{\1\}\s?(?:\\right\s?\.?)?",
    re.S,
)
_TIME = re.compile(
    r"(?:at )?(\d{1,2})(?::(\d\d))?(?::(\d\d))?\s*"
    r"(?:([ap])\.?\s*m\b\.?|o'clock\s*(?:([ap])\.?m\.?)?|(noon|midnight))?\.?",
    re.I,
)
_HALF_OF_DAY = re.compile(r"\s(?:in\sthe\s(morning|afternoon|evening)|at\snight)\.?$")
_CHOICE = re.compile(
    r"(?:(?i:option|choice|answer)\s+)?"
    r"(?:[(\[]?([A-J])(?:[)\]][.:]?|[.:])\s*(.{0,200})|[(\[]?([A-J])[)\]]?|\(?([a-j])\))",
    re.S,
)
_MORE = re.compile(
    r"(?:,\s*)?(?:and|or|nor|is\s+(?:not|wrong|incorrect)|isn.?t)\b|[,;&/]\s*\(?[A-J]\b", re.I
)

_BY = re.compile(r"(?<=\d) +[xX] +(?=\$?\d)")
_CHOOSE = re.compile(  # C(10, 3), {}^{10}C_3, 10C3
    r"([CP])\((\d{1,3}), ?(\d{1,3})\)|(?:\{\})?[\^_]?\{?(\d{1,3})\}? ?([CP])_?\{?(\d{1,3})\}?"
)
_BOUND = re.compile(r"\b([a-z])_(?:0|\{0\})")
_INDEXED = re.compile(  # C_9^4: both indices on one letter
    r"(?:\\(?:mathrm|text)\s?)?\{?([CAP])\}?\s?_\s?\{?\s?(\d{1,3}|n)\s?\}?\s?\^\s?\{?\s?(\d{1,3})\s?\}?"
)
_MIXED = re.compile(  # two and a third, or two values
    r"(-?\d{1,9})\s*(?:and|\\text\s*\{\s*and\s*\})\s*(\d{1,9}/\d{1,9}|\\[dt]?frac\{?\d+\}?\{?\d+\}?)(.*)",
    re.S,
)


def read(text: str) -> Readings:
    """Return the readings of an answer, the likeliest first; empty if it has none.

    Raises:
        TooLarge: If a bound is passed.
    """
    return _read_short(text) if len(text) <= 200 else with_allowance(_read_whole, text)


_SOUP = re.compile(r"[=^_<>+*|\\]")


def readable(text: str, readings: Readings) -> Readings:
    """Return the readings of a text, none where it is mathematics that was only read as words."""
    if not readings or readings[0].kind != "text" or not _SOUP.search(text):
        return readings
    soup = _SOUP.search(TEXT.sub(r"\1", text))
    return tuple(n for n in readings if n.kind != "text") if soup else readings


@lru_cache(maxsize=4096)
def _read_short(text: str) -> Readings:
    return with_allowance(_read_whole, text)  # golds come back often; only short ones are kept


def _read_whole(text: str) -> Readings:
    try:
        return _read(text)
    except Unreadable:  # one of two signs leads to what has no value
        return ()


def _read(text: str) -> Readings:
    text = tidy(text)
    if not text:
        return ()
    readings, certain = _time(text)
    if certain:
        return tuple(readings)
    if len(text) < 60:
        for pattern, form in REWRITES:
            rewritten = pattern.fullmatch(text)
            if rewritten is not None:
                text = rewritten.expand(form) if isinstance(form, str) else form(rewritten)
    if "\\begin" in text or "if" in text or "for" in text or "when" in text:
        text = with_cases(text)
    if ",\\," in text and ("(" in text or "[" in text):
        text = text.replace(",\\,", ", ")  # (2,\,120), where 12\,345 is one number
    if "]" in text and ("integ" in text or "floor" in text):
        text = with_floors(text)
    if "\\exists" in text or "\\forall" in text:
        text = _BOUND.sub(r"\1", text)  # the letter does not matter
    system = _SYSTEM.fullmatch(text) if "\\begin" in text and "&" not in text else None
    if system is not None:  # a brace before x = 2 and y = -1
        rows = [r.strip() for r in re.split(r"\\\\", system.group(2)) if r.strip()]
        if len(rows) > 1 and all("=" in r for r in rows):
            text = ", ".join(rows)
    if any(mark in text for mark in (".\\", "\\overline", "\\dot", "\\bar")):
        text = _REPEATING.sub(repeating, text)
    if " x " in text or " X " in text:
        text = _BY.sub(r"\\times ", text)
    parsed = _parse(text, True)
    whole = spread(parsed) if parsed is not None else None
    if whole is not None:
        readings.append(whole)
    if parsed is not None and "\\pm" in text and "\\mp" not in text:
        readings += _independent(parsed)
    chosen = _CHOOSE.fullmatch(text) if "C" in text or "P" in text else None
    if chosen is not None:
        n, k = (tree.num(int(g)) for g in chosen.groups() if g and g.isdigit())
        ways = tree.fn("binomial", n, k)
        ordered = chosen.group(1) == "P" or chosen.group(5) == "P"
        readings.append(tree.mul(ways, tree.fn("factorial", k)) if ordered else ways)
    if "_" in text and "^" in text and (indexed := _INDEXED.sub(_ways, text)) != text:
        counted = _parse(indexed, True)
        readings = [counted, *readings] if counted is not None else readings
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


def _ways(match: re.Match[str]) -> str:
    """Return the binomial that `C_9^4` is, or the arrangements that `A_9^4` are."""
    kind, n, k = match.groups()
    if n != "n" and (int(n) < int(k) or int(n) < 3):
        return match.group()  # a constant with an index, squared
    if kind == "C":
        return f"\\binom{{{n}}}{{{k}}}"
    return f"\\binom{{{n}}}{{{k}}} \\cdot {k}!" if n != "n" else match.group()


def _time(text: str) -> tuple[list[Node], bool]:
    """Return the time of day that a text gives, if any, and whether it can be nothing else.

    `4 pm`, `4:05` and `4:30:00` are times, `4:30` may also be a ratio.
    """
    if len(text) < 40 and ":" in text:
        text = _HALF_OF_DAY.sub(lambda m: " am" if m.group(1) == "morning" else " pm", text)
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


_OUTWARD = re.compile(r"([\[\]])(?=[^,;]*[,;])([^\[\]()]*)([\[\]])")


def _parse(text: str, thousands: bool) -> Node | None:
    text, _ = declared(text)
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
    if node.kind == "rel" and node.args[0] == ("in",):
        return tree.relation(("in",), (node.args[1][0], spread(node.args[1][1])))
    if node.kind in ("list", "set"):
        items: list[Node] = []
        for item in node.args:
            wide = spread(item)
            items.extend(wide.args if wide.kind == "list" else (wide,))
        return tree.structure(node.kind, items)
    both = [tree.substitute(node, "±", sign) for sign in (tree.ONE, tree.MINUS_ONE)]
    return tree.structure("list", both) if both[0].key != both[1].key else both[0]


def _independent(node: Node) -> list[Node]:
    """Return the reading of a tuple or sum in which each sign ± is free: four for two of them."""
    if node.kind == "rel" and node.args[0] == ("=",) and node.args[1][0].kind == "sym":
        name, *values = node.args[1]
        found = _independent(values[0]) if len(values) == 1 else []
        return [tree.relation(("=",), (name, x)) for x in found]
    parts = node.args[2] if node.kind == "br" else node.args if node.kind == "add" else ()
    signed = [i for i, x in enumerate(parts) if "±" in x.key]
    if not 2 <= len(signed) <= 4:
        return []
    tuples = [list(parts)]
    for i in signed:
        tuples = [
            [*t[:i], tree.substitute(t[i], "±", sign), *t[i + 1 :]]
            for t in tuples
            for sign in (tree.ONE, tree.MINUS_ONE)
        ]
    if node.kind == "add":
        each = [tree.add(*t) for t in tuples]
    else:
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
