r"""The content of `\\boxed{...}` in a response, in one pass over its braces."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from functools import lru_cache

from harness.verify.extraction.sentences import Refused, has_any, in_two_units, measure
from harness.verify.reading.lexicon import FAIL, MORE, OOPS, PERHAPS, REJECTED, WRONG

_BRACES = re.compile(
    r"\\(?:boxed|fbox|framebox)\s*\{|\\?beginboxed\s*\{|\\.|[{}]|"
    r"\\boxed (?=[^\s${}\\])",
    re.S,
)
_BARE_BOX = re.compile(r"\\boxed ([^\s$\\{}.,]{1,40})")


def boxes(text: str) -> list[tuple[int, int, str]]:
    r"""Return (start, end, content) of every closed `\\boxed{...}`, outermost only.

    One pass over the braces, however they are nested. A box left open at the end of its line
    counts where nothing follows it, since a model that forgets one brace has still answered.
    """
    first = text.find("box")
    if first < 0:
        return []
    found: list[tuple[int, int, str]] = []
    stack: list[tuple[int, int] | None] = []  # None for a brace that opens no box
    opened: tuple[int, int] | None = None
    for m in _BRACES.finditer(text, max(0, first - 20)):
        token = m.group()
        if token == "{":
            stack.append(None)
        elif token == "}":
            if not stack:
                continue
            box = stack.pop()
            if box is None:
                continue
            while found and found[-1][0] > box[0]:
                found.pop()  # it lies inside this one
            found.append((box[0], m.start() + 1, text[box[1] : m.start()]))
        elif token.endswith("{") and len(token) > 2:
            opened = (m.start(), m.end())
            stack.append(opened)
    if opened is not None and opened in stack and (not found or found[-1][0] < opened[0]):
        content = text[opened[1] : opened[1] + 200].split("\n")[0]
        tail = text[opened[1] + len(content) :].strip()
        repeated = bool(found) and found[-1][2].startswith(content)  # cut off while repeating it
        if 0 < len(content) < 100 and not tail and not repeated:
            found.append((opened[0], len(text), content.rstrip("$ .}\\")))
    if not found:
        found = [(m.start(), m.end(), m.group(1)) for m in _BARE_BOX.finditer(text)]
    return found


_AND = f"and|or|und|oder|et|ou|y|{PERHAPS}|alternatively"
_BETWEEN = re.compile(
    r"(?:\\[()\[\]]|\$|\\(?:quad|qquad|text|mbox|textrm|mathrm)\b|[\s,;/{}~&]|\\[,;! \\]"
    r"|\b(?:case|solution|root|value)\s?(?:\d|one|two|three|four)?:?"
    rf"|\b(?:{_AND})\b|(?:\b|\\)[a-zA-Z]{{1,7}}(?:_\w)?\s?=)*"
)
_JOINS = re.compile(rf"[,;/]|\b(?:{_AND})\b")
_OPENS = r"\s*[$\\(\[{]{0,4}\s*"
# what in front of a box says that its value is not the answer, or makes another value of it
_DENIED = re.compile(
    r"(?:\b(?:not|never|cannot\s+be(?:\s+that)?|rather\s+than|instead\s+of|anything\s+but|no\s+longer)|n['’]t(?:\s+be)?"
    rf"|\b(?:{WRONG})\s+(?:answer|result|value)\s+(?:is|was|would\s+be)"
    r"|\bmistake\s+(?:is|would\s+be)\s+to\s+(?:answer|say|write|give)|\bmight\s+think\s+(?:that\s+)?it(?:['’]s|\s+is)"
    r"|\bdoubt\s+(?:that\s+)?(?:it|this|the\s+answer)(?:['’]s|\s+is)"
    rf"|\b(?:half|twice|double|a\s+third|a\s+quarter)\s+of|\b(?:{MORE})\s+than"
    r"|\bbetween\s+\$?-?[\d.,]{1,12}\$?\s+and)" + _OPENS + r"$"
    r"|(?<!\S)~~\s?$|\\(?:[bx]?cancel|sout|st|h?phantom|vphantom|sqrt|[dt]?frac(?:\s?\{[^{}]*\})?)\s?\{[^{}]*$"
    r"|(?:^|[\n}])\s*%[^\n=]*$|\\iffalse\b(?:(?!\\fi\b).)*$|<!--(?:(?!-->).)*$",
    re.I | re.S,
)
_SIGN = re.compile(r"(?:^|[$=(\[&\n])\s*[-−]\s*$")
_REFUSED = re.compile(
    rf"\s*[$)\]\\]{{0,4}}\s*(?:(?:is|was)\s+(?:{WRONG}|{REJECTED}|false"
    r"|not\s+(?:the\s+(?:answer|solution|right|correct)|correct|right|true|valid|possible|an?\s+(?:answer|solution)|it\b))"
    rf"|[.\s]{{0,9}}(?:hmm|{OOPS}|no|but)\b[,.!…\s]{{1,9}}(?:this|that|it|the\s+answer)\s+"
    rf"(?:is|was|must\s+be)\s+(?:{WRONG}|not\s+(?:right|correct))"
    r"|isn['’]t\s+(?:the\s+(?:answer|right|correct)|correct|right|it\b)"
    rf"|(?:does\s+not|doesn['’]t|cannot|can['’]t)\s+(?:{FAIL}|be\s+(?:right|correct|the|true)))",
    re.I,
)
_STRUCK = re.compile(
    r"\s*(?:\\(?:[bx]?cancel|sout|st|h?phantom)\s*\{.*\}|~~.*~~|\{?\\color\{white\}.*)\s*", re.S
)
_OTHER = r"\$?(-?\d{1,9})(?![\d.,]*\d)\$?"
_OR_BEFORE = re.compile(  # either 215 or
    rf"(?:\beither\s+|\bis\s+|^\$?|\$){_OTHER}\s*(?:\\text\s?\{{)?\s*or\s*\}}?\s*\$?\s*$"
)
_OR_BEHIND = re.compile(rf"\$?\s*(?:\\text\s?\{{)?\s*or\s*\}}?\s*{_OTHER}\s*(?:[.;]?\s*$|[.;]\s)")


def struck(content: str) -> bool:
    """Whether a value is struck out or hidden."""
    return content[:1] in "\\~{ \n" and _STRUCK.fullmatch(content) is not None


def denied(text: str, box: tuple[int, int, str]) -> bool:
    """Whether the text around a box, or a tag, says that its content is not the answer."""
    start, end, content = box
    before = text[max(0, start - 80) : start]
    suspect = before.rfind("{") > before.rfind("}") or has_any(before.lower(), _HINTS)
    return bool(
        (suspect and _DENIED.search(before))
        or (len(text) - end > 8 and _REFUSED.match(text, end))
        or struck(content)
    )


_HINTS = (
    "not", "n't", "n’t", "ever",  "rather", "instead", "anything", "longer", "wrong", "incorrect",
    "mistake", "think", "doubt", "half", "twice", "double", "third", "quarter", " than", "between",
    "~~", "%", "iffalse", "<!--",
)  # fmt: skip


# what closes a formula or opens words between a box and its unit
_GAP = re.compile(
    r"(?:[ ~}]|\\[,;:! ]|\\quad\b|(?:\$|\\[)\]])(?: {1,3}|(?=[.\n]|$))"
    r"|\\(?:text|mbox|mathrm|textrm)\s?\{\s?)*"
)
_PLAIN = re.compile(r"[-−+]?\s?(?:\\?\$|€|£)?\s?(?:[\d.,]|\{,\}|\\!)*\d|\\[dt]?frac\{\d+\}\{\d+\}")
_PERCENT = re.compile(r"(?:[\s$]|\\[)\], ]){0,4}(?:\\?%|percent\b)")
_SCALE = re.compile(r"\s(?:hundred|thousand|million|billion|trillion|dozens?)\b")
_POWER = re.compile(r"\}?\s?(\^[23]\b|\^\{[23]\}|[²³])")
_IN_FORMULA = re.compile(r"\$[^$]*$|\\[(\[](?:(?!\\[)\]]).)*$", re.S)
# the rest of a formula that makes another value of a box in it: 5 of 5\pi, 3 of 3 + 2i
_GOES_ON = re.compile(
    r"(\s?(?:\\(?:pi|sqrt|frac)\b|(?:\\cdot|\\times|[-+/^*])(?=\s?[\w({\\])|i\b)"
    r"[^$=<>≤≥≈,;&\\]{0,30}"
    r"(?:\\(?:pi|sqrt|cdot|times|frac|circ|theta)\b[^$=<>≤≥≈,;&\\]{0,30}){0,3}"
    r"|\s?,\s?-?\d[\d.]{0,12}(?:,\s?-?\d[\d.]{0,12}){0,9})"
    r"\s?[.;]?\s?(?:\$|\\[)\]])"
)


def _with_what_follows(text: str, box: tuple[int, int, str]) -> str:
    r"""Return the content of a box with what belongs to it behind: a unit, the rest of a formula.

    `90 hours` of `$\boxed{90}$ hours`, `5\pi` of `$\boxed{5}\pi$`.
    """
    start, end, content = box
    behind = text[end : end + 140]
    gap = _GAP.match(behind)
    words = " " + behind[gap.end() if gap is not None else 0 :]
    if words[1:2] in ("", ".", "\n"):
        return content
    rest = _GOES_ON.match(behind) if behind.lstrip()[:1] in "\\-+/^*,i" else None
    if rest is not None and _IN_FORMULA.search(text[max(0, start - 400) : start]):
        joined = rest.group(1)
        alone = _PLAIN.fullmatch(content.strip()) or joined.lstrip().startswith(",")
        return content + joined if alone else f"({content}){joined}"
    if not _PLAIN.fullmatch(content.strip()):
        return content
    if _PERCENT.match(behind):
        return f"{content}\\%"
    both = in_two_units(content.strip() + words)
    scale = _SCALE.match(words)
    if scale is not None:
        return f"{content}\\text{{{scale.group()}{measure(words, scale.end())}}}"
    unit = measure(words, 0)
    power = _POWER.match(words, len(unit)) if unit else None
    of_unit = f"\\text{{{unit}{power.group(1) if power is not None else ''}}}" if unit else ""
    return both or content + of_unit


@lru_cache(maxsize=4)  # one response is looked at for several purposes in a row
def boxed(text: str) -> str | None:
    """Return the content of the last box, or of the last boxes when a list is boxed piecewise."""
    found = boxes(text)
    if not found:
        return None
    last = found[-1]
    while found and denied(text, found[-1]):
        found.pop()
    if not found:
        return Refused(f"not {last[2]}")
    start, end, content = found[-1]
    parts = [content]
    for before, after in zip(found[-2::-1], found[:0:-1], strict=False):
        between = text[before[1] : after[0]]
        if len(between) > 60 or not _BETWEEN.fullmatch(between) or not _JOINS.search(between):
            break
        parts.append(before[2])
        start = before[0]
    if len(parts) == 1:
        if "or" in text[max(0, start - 12) : end + 16] and content.strip().isdecimal():
            others = (
                _OR_BEFORE.search(text[max(0, start - 40) : start]),
                _OR_BEHIND.match(text, end),
            )
            parts += [m.group(1) for m in others if m is not None]
        if text[max(0, start - 4) : start].rstrip()[-1:] in ("-", "−") and _SIGN.search(
            text, max(0, start - 12), start
        ):
            return f"-({content})"
        if len(parts) == 1:
            return _with_what_follows(text, (start, end, content)).strip()
    parts = list(dict.fromkeys(p.strip() for p in reversed(parts)))
    return parts[0] if len(parts) == 1 else ", ".join(parts)
