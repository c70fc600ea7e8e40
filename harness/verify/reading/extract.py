"""The final answer of a response: the protocol's own form first, then what commits, then the rest.

Every pattern here is linear in the text: no nested repetition, and a search window at the end of a
long response.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from harness.verify.reading.sentences import (
    MATH,
    NUMBERISH,
    affirmed,
    concluded,
    content,
    last_formulas,
    value_in,
)

Form = Literal["boxed", "hash", "answer_is", "answer_tag", "bare"]
FORMS: tuple[str, ...] = get_args(Form)

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
_SAYS = r"(?:is|are|was|were|(?:will|would|should|must|could|might|may)\s+be|comes\s+to|equals)\b"
_PHRASES = re.compile(
    r"(?:(?:\b(?:final\s+)?answers?|\bfinal\s+results?|\bresult(?:s|ado|at)?\b(?=.{0,150}$)|résultat)"
    r"(?!\s(?:as|in|by)\b)(?:,?[ ](?!" + _SAYS + r")[\w'’()-]{1,20}){0,12}?"
    r"(?=[\s*_]*(?:" + _SAYS + r"|[:：=≈]|therefore\b|thus\b))"
    r"|(?<!to\s)\banswers?\b(?!\s+(?:the|this|that|in|as|by|with|choices?|questions?|we|for|of|to)\b)"
    r"|\b(?:correct|right)\s+(?:option|choice)"
    r"|réponse|respuesta|antwort|risposta|resposta|ответ|答案|答え|回答|정답|الجواب)"
    r"(?:\s+(?:is|was|are|were|est|es|ist|lautet|è|são|é|will\s+be|would\s+be|should\s+be|must\s+be"
    r"|comes\s+to|equals|for\s+sure|therefore|thus|hence|simply|just|exactly"
    r"|approximately|about)\b)*"
    r"[\s*_]*(?:[:：=]|is\b|是|为|為|は|est\b|:)?[\s*_]*(?:is\s+)?(?:[:：][\s*_]*)?",
    re.I | re.S,
)
_PHRASE_WORDS = (
    "answer", "result", "option", "choice", "résultat", "réponse", "respuesta", "antwort",
    "risposta", "resposta", "ответ", "答案", "答え", "回答", "정답", "الجواب",
)  # fmt: skip
_COMMITS = re.compile(
    r"(?:final\s+answer|\banswer)(?:\s+is|\s*[:：=])[\s*_:]*(?:therefore\b|thus\b|,)?[\s*_:]*", re.I
)
_LINE_A = re.compile(r"^[ \t]*(?:A|Ans|ANS)\s*[:.][ \t]*(.+)$", re.M)
_SENTENCE = re.compile(r"(?<=[^\d\s])[.。!?](?:\s|$|\*)|(?<=\d)[.。](?:\s|$|\*)|\n|(?<=[一-鿿])。")


def extract(
    text: str, form: Form = "boxed", fallback: str = "any", precedence: str = "form"
) -> Found | None:
    """Return the final answer of a response, or None.

    Args:
        text: The response.
        form: The protocol's own answer form.
        fallback: As in `Conventions`.
        precedence: As in `Conventions`.
    """
    if form == "bare":
        text = text.strip()
        inner = boxed(text) if "box" in text else None
        return Found(inner if inner is not None else text, "form") if text else None
    text = _first_turn(after_thinking(text), form)
    if "<|begin_of_box|>" in text:
        text = _GLM_BOX.sub(lambda m: "\\boxed{" + m.group(1) + "}", text)
    by_form = _of_form(text, form)
    if by_form is not None and by_form.strip():
        later = _by_phrase(text, _COMMITS, _end(text, form)) if precedence == "last" else None
        return Found(by_form, "form") if later is None else Found(later, "phrase")
    if fallback == "form":
        return None
    marked: tuple[Form, ...] = ("boxed", "hash", "answer_tag")
    for other in marked:
        by_other = _of_form(text, other) if other != form else None
        if by_other is not None and by_other.strip():
            return Found(by_other, "phrase")
    phrase = _by_phrase(text)
    if phrase is not None:
        return Found(phrase, "phrase")
    if fallback == "committed":
        return None
    last = _last(text)
    return Found(last, "last") if last else None


_TURNS = re.compile(r"\n\n(?:Question|Problem):|\nQ:")


def _first_turn(text: str, form: Form) -> str:
    """Return a response without further questions that the model asks itself behind its answer."""
    asks = "Question:" in text or "Problem:" in text or "\nQ:" in text
    turn = _TURNS.search(text) if asks else None
    if turn is None:
        return text
    first = text[: turn.start()]
    answered = _of_form(first, form) or _by_phrase(first)
    return first if answered is not None and answered.strip() else text


def _of_form(text: str, form: Form) -> str | None:
    if form == "boxed":
        return boxed(text)
    if form == "hash":
        found = last_match(HASH, text)
        return _cut(found.group(1)) if found is not None else None
    return tagged_answer(text) if form == "answer_tag" else _by_phrase(text)


def _end(text: str, form: Form) -> int:
    """Return where the last answer in a form ends, if there is one."""
    if form == "boxed":
        return boxes(text)[-1][1]
    mark = {"hash": "####", "answer_tag": "</answer>"}.get(form)
    start = text.rfind(mark) if mark is not None else -1
    return (text.find("\n", start) + 1 or len(text)) if start >= 0 else len(text)


_TAG = "<answer>"


def tagged_answer(text: str) -> str | None:
    """Return what stands in the last `<answer>...</answer>`, reduced to its box if it has one."""
    start = text.rfind(_TAG)
    end = text.find("</answer>", start) if start >= 0 else -1
    if end < 0:
        return None
    inner = text[start + len(_TAG) : end].strip()
    within = boxed(inner) if "box" in inner else None
    return inner if within is None else within


def _cut(text: str) -> str:
    for stop in _STOPS:
        i = text.find(stop)
        if i >= 0:
            text = text[:i]
    return text.strip().strip("*_").strip()


def _by_phrase(text: str, pattern: re.Pattern[str] = _PHRASES, behind: int = 0) -> str | None:
    """Return what the last answer phrase, or a last line `A: ...`, commits to.

    Args:
        text: The response.
        pattern: The phrases.
        behind: Where to begin.
    """
    window = text[max(behind, len(text) - _WINDOW) :]
    lower = window.lower()  # a word is found faster than a pattern
    phrases = list(pattern.finditer(window)) if any(w in lower for w in _PHRASE_WORDS) else []
    line = last_match(_LINE_A, window)
    if line is not None and (not phrases or line.start() > phrases[-1].start()):
        return _cut(line.group(1))
    for phrase in reversed(phrases):
        lead = window[max(0, phrase.start() - 400) : phrase.start()]
        before = _value_before(lead)
        if before:
            return before
        rest = window[phrase.end() : phrase.end() + 1_200]
        doubt = _DOUBTED.search(lead) or (_MAYBE.match(rest) if len(_NUMBERS(rest)) > 1 else None)
        if doubt is not None:
            return doubt.group() + rest[:200]  # which the reader refuses
        value = _corrected(rest) or _statement(rest)
        if any(map(str.isalnum, value)):
            return value
    return None


_DOUBTED = re.compile(  # "I do not think that the answer is 5"
    r"(?:\bnot|n['’]t|\bnever)\s+(?:(?:\w+\s+)?(?:think|believe|say|claim|mean|true|certain|sure|clear"
    r"|possible|follow|conclude)\b)[^.!?\n]*$",
    re.I,
)
_MAYBE = re.compile(r"\s*(?:could|might|may)\s+(?:not\s+)?be\b", re.I)
_NUMBERS = NUMBERISH.findall
_CORRECTION = re.compile(
    r"(?:^|[.!?…—–,\n])[\s*_]*(?:(?:oh|hmm|oops|but|no|sorry)\b[,.!…\s]*)*"
    r"(?:wait|actually|correction|hold\s+on|scratch\s+that|my\s+mistake|i\s+mean|sorry|oops|no,)",
    re.I,
)
_RATHER = re.compile(
    r"\b(?:(?:it|that|this)(?:['’]s|\s+is|\s+was)|(?:it|that|this)\s+(?:should|must|would)\s+be"
    r"|i\s+(?:mean|meant)|correction:?|make\s+that|scratch\s+that,?|no,)\s+"
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
    return None if plain and not any(map(str.isdigit, found)) else found


_IS_THE = re.compile(
    r"\s*(?:,\s*which\s+)?\b(?:is|are|as)\s+(?:therefore\s+|thus\s+)?(?:the|our|my|your)\s+"
    r"(?:final\s+|correct\s+|required\s+|desired\s+|right\s+)*$"
)


def _value_before(text: str) -> str | None:
    """Return the value in front of "is the answer": its last formula, else its last number."""
    end = _IS_THE.search(text)
    if end is None:
        return None
    sentence = text[: end.start()]
    stops = list(_SENTENCE.finditer(sentence))
    sentence = sentence[stops[-1].end() :] if stops else sentence
    formulas, number = list(MATH.finditer(sentence)), last_match(NUMBERISH, sentence)
    if formulas and (number is None or number.start() < formulas[-1].end()):
        return last_formulas(formulas, sentence)
    return number.group().strip() if number is not None else None


def _statement(rest: str) -> str:
    """Return the value that a phrase commits to: its formula, or its first number or word."""
    rest = _cut(rest)
    lead = re.compile(r"[\s:*_>#-]{0,40}").match(rest)
    rest = rest[lead.end() :] if lead and "-" not in lead.group() else rest.lstrip(" :*_>#\n")
    if rest.startswith("\\boxed"):
        boxed_here = boxes(rest)
        if boxed_here and boxed_here[0][0] == 0:
            return boxed_here[0][2]
    math = MATH.match(rest)
    if math is not None:
        tail = rest[math.end() : math.end() + 30]
        inner = content(math)
        if re.match(
            r"\s*(?:,?\s*(?:and|or|,)\s*(?:\$|\\\(|-?\d)|(?:is|are)(?:\s+not|n't)\b)", tail
        ):
            end = _SENTENCE.search(rest)
            return rest[: end.start()] if end else rest
        return inner.strip()
    end = _SENTENCE.search(rest)
    sentence = rest[: end.start()] if end else rest
    sentence = sentence.strip().strip("*_").strip()
    if not sentence:
        return ""
    return value_in(sentence)


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the last of all matches of a pattern, or None."""
    found = None
    for found in pattern.finditer(text):  # noqa: B007 -- the last one is what is wanted
        pass
    return found


def _last(text: str) -> str | None:
    """Return the last formula or number of a response that commits to nothing."""
    window = _cut(text[-_WINDOW:]) or text[-_WINDOW:].strip()
    if not window:
        return None
    formulas, number = list(MATH.finditer(window)), last_match(NUMBERISH, window)
    if formulas and (number is None or number.end() <= formulas[-1].end() + 1):
        return _unless_denied(last_formulas(formulas, window), window, formulas[-1])
    if number is None:
        return None
    start = 0
    for stop in _SENTENCE.finditer(window, 0, number.start()):
        start = stop.end()
    end = _SENTENCE.search(window, number.end())
    sentence = window[start : end.start() if end else len(window)].strip()
    value = concluded(sentence)
    if value is not None and "=" in sentence:
        return value  # what comes behind an equation says nothing about its value
    return _unless_denied(value or number.group().strip(), window, number)


_DENIED = re.compile(
    r"(?:\b(?:not|never|cannot)\b|n['’]t\b|不是)\s*(?:(?!(?:is|are|was|equals|it['’]s|that['’]s)\b)[\w'’]{1,20}\s+){0,4}"
    r"[$\\(\[]{0,2}$|\b(?:less|more|greater|fewer|larger|smaller|bigger|higher|lower|shorter"
    r"|longer)\s+than\s*[$\\(\[]{0,2}$"
)
# a condition before a value, in which "not" says nothing about it
_SUCH = re.compile(r"\b(?:such that|where|who|which|that|so that)\b[^.]*\b(?:is|are|equals)\b")
_WRONG = re.compile(
    r"[$\\)\]]{0,2}\s*(?:is|are|was|were)\s*(?:not\b|n['’]t\b|wrong|incorrect)", re.I
)


def _unless_denied(value: str, text: str, found: re.Match[str]) -> str:
    """Return a value, or the clause around it where that says what the answer is not."""
    start = max(text.rfind(mark, 0, found.start()) for mark in (". ", "\n", ", ", "; ")) + 1
    stop = _SENTENCE.search(text, found.end())
    clause = text[start : stop.start() if stop else len(text)].strip()
    if _WRONG.match(text, found.end()) or _DENIED.search(text[start : found.start()]):
        return clause
    denies = affirmed(clause) is None and not _SUCH.search(text, start, found.start())
    return clause if denies else value
