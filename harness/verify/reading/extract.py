"""The final answer of a response: the protocol's own form first, then what commits, then the rest.

Every pattern here is linear in the text: no nested repetition, and a search window at the end of a
long response.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Form = Literal["boxed", "hash", "answer_is", "bare"]

_WINDOW = 6_000  # characters at the end of a response in which phrases are looked for
_THINK_END = ("</think>", "</thinking>", "</thought>", "<|end_of_thought|>")
_THINK_START = ("<think>", "<thinking>", "<thought>", "<|begin_of_thought|>")
_STOPS = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>", "I hope it is correct",
    "\n\nQuestion:", "\n\nProblem:", "\nQ:", "[Note:", "<|end_of_box|>", "</answer>",
)  # fmt: skip


class Found(NamedTuple):
    """A final answer: its text and how it was committed (form, phrase or last)."""

    text: str
    how: Literal["form", "phrase", "last"]


def after_thinking(text: str) -> str:
    """Return a response without its reasoning block; empty if that block never ends."""
    cut = max((text.rfind(mark) + len(mark) for mark in _THINK_END if mark in text), default=-1)
    if cut >= 0:
        return text[cut:]
    if any(mark in text[:200] for mark in _THINK_START):
        return ""
    return text


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
        if 0 < len(content) < 100 and not tail:
            found.append((opened[0], len(text), content.rstrip("$ .}\\")))
    if not found:
        found = [(m.start(), m.end(), m.group(1)) for m in _BARE_BOX.finditer(text)]
    return found


_GLM_BOX = re.compile(
    r"<\|begin_of_box\|>((?:(?!<\|(?:begin|end)_of_box\|>).){0,2000})<\|end_of_box\|>", re.S
)
_BETWEEN = re.compile(
    r"(?:\\[()\[\]]|\$|\\(?:quad|qquad|text|mbox|textrm|mathrm)\b|[\s,;{}~&]|\\[,;! \\]"
    r"|\b(?:and|or)\b)*"
)
_JOINS = re.compile(r",|;|\band\b|\bor\b")


@lru_cache(maxsize=4)  # one response is looked at for several purposes in a row
def boxed(text: str) -> str | None:
    """Return the content of the last box, or of the last boxes when a list is boxed piecewise."""
    found = boxes(text)
    if not found:
        return None
    parts = [found[-1][2]]
    for before, after in zip(found[-2::-1], found[:0:-1], strict=False):
        between = text[before[1] : after[0]]
        if len(between) > 60 or not _BETWEEN.fullmatch(between) or not _JOINS.search(between):
            break
        parts.append(before[2])
    parts = list(dict.fromkeys(p.strip() for p in reversed(parts)))
    return parts[0] if len(parts) == 1 else ", ".join(parts)


HASH = re.compile(r"####[ \t]*([^\n]*)")
_PHRASES = re.compile(
    r"(?:final\s+answer|\banswer|\b(?:correct|right)\s+(?:option|choice)|\bresult|réponse|respuesta|antwort|risposta|resposta|ответ|答案|"
    r"答え|回答|정답|الجواب)"
    r"(?:\s+(?:is|was|est|es|ist|lautet|è|são|é|to\s+the\s+(?:question|problem)\s+is|will\s+be|"
    r"should\s+be|must\s+be|comes\s+to|for\s+sure"
    r"|therefore|thus|hence|simply|just|exactly|approximately|about)\b)*"
    r"[\s*_]*(?:[:：=]|is\b|是|为|為|は|est\b|:)?[\s*_]*(?:is\s+)?(?:[:：][\s*_]*)?",
    re.I,
)
_LINE_A = re.compile(r"^[ \t]*(?:A|Ans|ANS)\s*[:.][ \t]*(.+)$", re.M)
_MATH = re.compile(
    r"\$\$(.{1,2000}?)\$\$|\\\[(.{1,2000}?)\\\]|(?<!\\)\$([^$\n]{1,800})(?<!\\)\$"
    r"|\\\((.{1,800}?)\\\)",
    re.S,
)
_NUMBERISH = re.compile(
    r"(?<![A-Za-z0-9_.])(?:[-−+]?\s?[$€£¥]?\s?(?:\\\$)?-?(?:\d{1,3}(?:(?:,|\{,\}|,\\!|\s\{,\s?\}\s?)\d{3})+|\d+)"
    r"(?:[.,]\d+)?(?:[eE][+-]?\d+)?(?:\s?/\s?\d+)?(?:\s?\\?%)?|[-−+]?\.\d+)"
)
_SENTENCE = re.compile(r"(?<=[^\d\s])[.。!?](?:\s|$|\*)|(?<=\d)[.。](?:\s|$|\*)|\n|(?<=[一-鿿])。")


def extract(text: str, form: Form = "boxed", fallback: str = "any") -> Found | None:
    """Return the final answer of a response, or None.

    Args:
        text: The response.
        form: The protocol's own answer form.
        fallback: As in `Conventions`.
    """
    if form == "bare":
        text = text.strip()
        inner = boxed(text) if "box" in text else None
        return Found(inner if inner is not None else text, "form") if text else None
    text = after_thinking(text)
    if "<|begin_of_box|>" in text:
        text = _GLM_BOX.sub(lambda m: "\\boxed{" + m.group(1) + "}", text)
    by_form = _of_form(text, form)
    if by_form is not None and by_form.strip():
        return Found(by_form, "form")
    if fallback == "form":
        return None
    for other in ("boxed", "hash"):
        if other != form:
            inner = _of_form(text, other)
            if inner is not None and inner.strip():
                return Found(inner, "phrase")
    phrase = _by_phrase(text)
    if phrase is not None:
        return Found(phrase, "phrase")
    if fallback == "committed":
        return None
    last = _last(text)
    return Found(last, "last") if last else None


def _of_form(text: str, form: Form) -> str | None:
    if form == "boxed":
        return boxed(text)
    if form == "hash":
        found = last_match(HASH, text)
        return _cut(found.group(1)) if found is not None else None
    return _by_phrase(text)


def _cut(text: str) -> str:
    for stop in _STOPS:
        i = text.find(stop)
        if i >= 0:
            text = text[:i]
    return text.strip().strip("*_").strip()


def _by_phrase(text: str) -> str | None:
    """Return what the last answer phrase, or a last line `A: ...`, commits to."""
    window = text[-_WINDOW:]
    found, line = last_match(_PHRASES, window), last_match(_LINE_A, window)
    if line is not None and (found is None or line.start() > found.start()):
        return _cut(line.group(1))
    starts = [m.end() for m in _PHRASES.finditer(window)]
    for start in reversed(starts):
        value = _statement(window[start : start + 1_200])
        if value:
            return value
    return None


def _content(formula: re.Match[str]) -> str:
    """Return a formula without its delimiters."""
    content: str = next(filter(None, formula.groups()))
    return content


def _statement(rest: str) -> str:
    """Return the value that a phrase commits to: its formula, or its first number or word."""
    rest = _cut(rest)
    lead = re.compile(r"[\s:*_>#-]{0,40}").match(rest)
    rest = rest[lead.end() :] if lead and "-" not in lead.group() else rest.lstrip(" :*_>#\n")
    if rest.startswith("\\boxed"):
        boxed_here = boxes(rest)
        if boxed_here and boxed_here[0][0] == 0:
            return boxed_here[0][2]
    math = _MATH.match(rest)
    if math is not None:
        tail = rest[math.end() : math.end() + 30]
        inner = _content(math)
        if re.match(r"\s*(?:and|or|,)\s*\$", tail):
            end = _SENTENCE.search(rest)
            return rest[: end.start()] if end else rest
        return inner.strip()
    end = _SENTENCE.search(rest)
    sentence = rest[: end.start()] if end else rest
    sentence = sentence.strip().strip("*_").strip()
    if not sentence:
        return ""
    return _value_in(sentence)


def _value_in(sentence: str) -> str:
    """Return the value of a sentence: all of it if it is short, else a formula or number."""
    sentence = _DENIED.split(sentence, maxsplit=1)[0]
    choice = _CHOSEN.match(sentence)
    if choice is not None:
        return choice.group(1)
    foreign = _CJK.search(sentence) is not None and any(c.isdigit() for c in sentence)
    short = len(sentence) <= 40 and not foreign and not _TWO_WORDS.search(sentence)
    if short and (not _WORD_FIRST.match(sentence) or not any(c.isdigit() for c in sentence)):
        return sentence
    formulas = list(_MATH.finditer(sentence))
    numbers = list(_NUMBERISH.finditer(sentence))
    priced = [m for m in numbers if _PRICED.match(sentence, max(0, m.start() - 2))]
    if formulas:
        last = formulas[-1]
        inner = _last_formulas(formulas, sentence)
        outside = [m for m in numbers if m.start() >= last.end()]
        if not outside or not _NAME_ONLY.fullmatch(inner):
            return inner
        return outside[0].group().strip()
    lead = _NUMBERISH.match(sentence)
    if lead is not None:
        return lead.group()
    choice = re.match(r"(?:for sure\s+)?\(?([A-J])\)?(?=$|[\s.,:])", sentence)
    if choice is not None and not re.match(r"A\s+[a-z]", sentence):
        return choice.group(1)
    if len(priced) == 1 and len(numbers) > 1:
        return priced[0].group().strip()
    pieces: list[str] = [p.strip() for p in _CJK.split(sentence)] if _CJK.search(sentence) else []
    if any(re.search(r"\\[a-z]+\{", p) for p in pieces):
        return next((p for p in reversed(pieces) if any(c.isdigit() for c in p)), sentence)
    return numbers[-1].group().strip() if numbers else (sentence if len(sentence) <= 200 else "")


_TWO_WORDS = re.compile(r"[a-zA-Z]{2,}\s+[a-zA-Z]{2,}\s")
_WORD_FIRST = re.compile(r"[A-Za-z]{2,}\s")
_CHOSEN = re.compile(
    r"(?:for sure\s+)?\(?([A-J])\)?(?:$|[.,:;]\s+[a-z]|\s+(?:because|since|as|non|not))"
)
_DENIED = re.compile(r"\s*[,;(]\s*(?:and\s+)?not\s|\s+(?:instead of|rather than)\s")
_NAME_ONLY = re.compile(r"[\\A-Za-z\s_{}'^]{1,40}")
_PRICED = re.compile(r".{0,4}?[$€£¥]\s?[\d.,]+|.{0,4}?[\d.,]+\s?[$€£¥]")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af，。：；！？、]+")


_AND = re.compile(r"[\s,]*\b(?:and|or)\b\s*")


def _last_formulas(found: list[re.Match[str]], text: str) -> str:
    """Return the last formula, with those that "and" or "or" joins to it."""
    parts = [found[-1]]
    while len(parts) < len(found) and len(parts) < 20:
        before = found[-1 - len(parts)]
        if not _AND.fullmatch(text[before.end() : parts[0].start()]):
            break
        parts.insert(0, before)
    return ", ".join(_content(m).strip() for m in parts)


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the last of all matches of a pattern, or None."""
    found = None
    for found in pattern.finditer(text):  # noqa: B007 -- the last one is what is wanted
        pass
    return found


def only_formula(text: str) -> str | None:
    """Return the single formula between math delimiters in a text, or None."""
    found = list(_MATH.finditer(text))
    if len(found) != 1:
        return None
    return _content(found[0])


def _last(text: str) -> str | None:
    """Return the last formula or number of a response that commits to nothing."""
    window = _cut(text[-_WINDOW:]) or text[-_WINDOW:].strip()
    if not window:
        return None
    formula, number = last_match(_MATH, window), last_match(_NUMBERISH, window)
    if formula is not None and (number is None or number.end() <= formula.end() + 1):
        return _last_formulas(list(_MATH.finditer(window)), window)
    if number is not None:
        return number.group().strip()
    return None
