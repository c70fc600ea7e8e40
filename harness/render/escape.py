"""Text from outside (names, answers, errors) made harmless for each place it is shown in.

Every function takes any string and returns one that cannot leave its place: no control or escape
codes, no bidirectional marks, nothing invisible, no lone surrogates, a bounded length.
"""

from __future__ import annotations

import html as _html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

LIMIT = 80
"""Characters of a name or an error that are shown, unless more are asked for."""

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKDOWN = re.compile(r"[\\`*_{}\[\]()#!|~$]")
_LINKS = re.compile(r"(?i)(www)\.|:(?=//|[\w+-]+:)|(?<=mailto):|(?<=xmpp):|@")
_APART = "&#64;<!-- -->"  # GitHub looks for addresses in whole texts, when `&#64;` is an @ again
_URL = re.compile(r"https?://[A-Za-z0-9._~/#?&=%+-]+", re.ASCII)
_OPTION = re.compile(r",\s*(?=[\w.]+\s*=)")  # between two options of a trainer's setting
_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"  # and their full-width forms
_MARKS = 4  # combining marks in a row; more pile up over the lines above


def visible(text: str, limit: int | None = LIMIT, *, lines: bool = False) -> str:
    r"""Return text in which every hidden character is written out, cut to `limit` characters.

    Args:
        text: Anything.
        limit: Characters that are kept; None keeps all, and so does a text that is longer by no
            more than what would say so.
        lines: Keep line breaks and tabs instead of writing them out.

    Examples:
        >>> visible("red \x1b[31m")
        'red \\x1b[31m'
    """
    cut = 0 if limit is None else len(text) - limit
    cut = cut if cut > len("… (1 more)") else 0
    kept = text[: len(text) - cut]
    parts, marks = [], 0
    for character in kept:
        if character.isascii() and character.isprintable():  # the many: nothing to look up
            parts.append(character)
            marks = 0
            continue
        category = unicodedata.category(character)
        if lines and character in "\n\t":
            parts.append(character)
        elif category in _HIDDEN:
            code = ord(character)  # Python's own escape of a line break would be a bare letter n
            escaped = character.encode("unicode_escape").decode()
            parts.append(f"\\x{code:02x}" if code < 0x100 else escaped)
        elif category in ("Mn", "Me") and marks >= _MARKS:
            continue
        else:
            parts.append(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
    return "".join(parts) + (f"… ({cut:,} more)" if cut else "")


def markdown(text: str, limit: int | None = LIMIT) -> str:
    """Return text that GitHub shows as it is: in a table, a list or a paragraph."""
    escaped = _html.escape(visible(text, limit), quote=False)
    escaped = _MARKDOWN.sub(lambda match: "\\" + match[0], escaped)
    escaped = _LINKS.sub(
        lambda match: f"{match[1]}&#46;" if match[1] else f"&#{ord(match[0])};", escaped
    )
    return escaped.replace("&#64;", _APART)


def link(text: str) -> str:
    """Return markdown that links an http(s) address, and shows any other text as it is."""
    return f"<{text}>" if _URL.fullmatch(text) and len(text) < 300 else markdown(text, 200)


def code(text: str, limit: int | None = 1000) -> str:
    """Return a code span: its fence is longer than any run of backticks in the text."""
    shown = visible(text, limit).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def terminal(text: str, limit: int | None = 10_000) -> str:
    """Return text for a terminal; give it to rich as a `Text`, never as markup."""
    return visible(text, limit)


def cell(text: str, limit: int | None = 1000) -> str:
    """Return text for a cell of a CSV file that no spreadsheet takes for a formula."""
    shown = visible(text, limit)
    return f"'{shown}" if shown.lstrip()[:1] and shown.lstrip()[0] in _FORMULA else shown


def html(text: str, limit: int | None = LIMIT) -> str:
    """Return text for HTML, between tags or inside a quoted attribute."""
    return _html.escape(visible(text, limit), quote=True)


def short_names(
    names: Iterable[str], limit: float, size: Callable[[str], float] = len
) -> dict[str, str]:
    """Return a visible name for each name, none longer than a limit and no two alike.

    Of a name that is too long the options go that are the same in all settings of its trainer, then
    the ends of the others' names, then its end; where two would look alike, each is numbered.

    Args:
        names: Trainers, with their options in brackets.
        limit: Of a name, a sign or two more where it is numbered.
        size: Measures a name.

    Examples:
        >>> list(short_names(["kd(t=0.5, steps=9)", "kd(t=0.7, steps=9)"], 12).values())
        ['kd(…, t=0.5)', 'kd(…, t=0.7)']
    """
    whole = {name: visible(name, 400) for name in names}
    settings: dict[str, list[set[str]]] = defaultdict(list)
    for shown in whole.values():
        trainer, options = _setting(shown)
        if options:
            settings[trainer].append(set(options))

    def fitting(shown: str) -> str:
        if size(shown) <= limit:
            return shown
        trainer, options = _setting(shown)
        same = set.intersection(*settings[trainer]) if len(settings[trainer]) > 1 else set()
        own = [one for one in options if one not in same] or options
        left = ["…"] * (len(own) < len(options))
        tries = [own, *([_brief(one, letters) for one in own] for letters in range(40, 2, -1))]
        made = [f"{trainer}({', '.join([*left, *some])})" for some in tries] if options else [shown]
        return next((one for one in made if size(one) <= limit), _cut(made[0], limit, size))

    short = {name: fitting(shown) for name, shown in whole.items()}
    often, taken = Counter(short.values()), set(short.values())
    for name, shown in short.items():
        number = 1
        while often[shown] > 1 and short[name] == shown:
            mark = f" #{number}"
            place = _cut(shown, limit - size(mark), size) + mark
            number += 1
            if place not in taken:
                taken.add(place)
                short[name] = place
    return short


def _setting(shown: str) -> tuple[str, list[str]]:
    """Return the trainer of a name, and its options."""
    trainer, bracket, rest = shown.partition("(")
    whole = bracket and trainer and rest.endswith(")")
    return (trainer, _OPTION.split(rest[:-1])) if whole else (shown, [])


def _brief(option: str, letters: int) -> str:
    """Return an option without its trainer, its name cut to so many letters, its value whole."""
    name, sign, value = option.partition("=")
    name = name.rpartition(".")[2]
    return f"{name if len(name) <= letters else name[: letters - 1] + '…'}{sign}{value}"


def _cut(shown: str, limit: float, size: Callable[[str], float]) -> str:
    """Return the beginning of a text, with a sign where its end is missing."""
    if size(shown) <= limit:
        return shown
    while shown and size(f"{shown}…") > limit:
        shown = shown[:-1]
    return f"{shown}…"
