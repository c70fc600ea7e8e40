"""The final answer of a response: the protocol's own form first, then what commits, then the rest.

Every pattern here is linear in the text: no nested repetition, and a search window at the end of a
long response.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from itertools import islice
from typing import Literal, NamedTuple, get_args

from harness.verify.extraction.boxes import boxed, boxes, denied
from harness.verify.extraction.ending import last_value
from harness.verify.extraction.phrases import COMMITS, WINDOW, by_phrase, cut, in_words
from harness.verify.extraction.question import Asked, asked_by, words
from harness.verify.extraction.sentences import ASSIGNS, MATH, NUMBERISH, Refused
from harness.verify.extraction.stops import IN_BARE, IN_TAG
from harness.verify.limits import MAX_TEXT
from harness.verify.reading.words import SPOKEN

Form = Literal["boxed", "hash", "answer_is", "answer_tag", "bare"]
FORMS: tuple[str, ...] = get_args(Form)

_THINK_END = ("</think>", "</thinking>", "</thought>", "<|end_of_thought|>")
_THINK_START = ("<think>", "<thinking>", "<thought>", "<|begin_of_thought|>")


class Found(NamedTuple):
    """A final answer: its text and how it was committed; `whole` is a text without any form.

    The text is `Refused` where the response does not stand by it.
    """

    text: str
    how: Literal["whole", "form", "phrase", "last"]


def after_thinking(text: str) -> str:
    """Return a response without its reasoning block; empty if that block never ends."""
    cut = max((text.rfind(mark) + len(mark) for mark in _THINK_END if mark in text), default=-1)
    if cut >= 0:
        return text[cut:]
    if any(mark in text[:200] for mark in _THINK_START):
        return ""
    return text


_GLM_BOX = re.compile(
    r"<\|begin_of_box\|>((?:(?!<\|(?:begin|end)_of_box\|>).){0,2000})<\|end_of_box\|>", re.S
)
HASH = re.compile(r"####[ \t]*([^\n]*)")


def extract(
    text: str,
    form: Form = "boxed",
    fallback: str = "any",
    precedence: str = "form",
    problem: str = "",
    worded: bool = False,
) -> Found | None:
    """Return the final answer of a response, or None.

    Args:
        text: The response.
        form: The protocol's own answer form.
        fallback: As in `Conventions`.
        precedence: As in `Conventions`.
        problem: The problem's text, whose question tells which of two sentences answers it.
        worded: Whether the answer is looked for in words, or as the letter of a choice.
    """
    if form == "bare":
        return _of_bare(after_thinking(text).strip())
    asked = asked_by(problem)
    text = _first_turn(after_thinking(_cleaned(text)), form, asked)
    if "<|begin_of_box|>" in text:
        text = _GLM_BOX.sub(lambda m: "\\boxed{" + m.group(1) + "}", text)
    by_form = by_phrase(text, asked=asked) if form == "answer_is" else _of_form(text, form)
    if by_form is not None and form == "answer_tag":
        by_form = _in_tag(by_form, asked)
    if by_form is not None and by_form.strip():
        later = by_phrase(text, COMMITS, _end(text, form)) if precedence == "last" else None
        return Found(by_form, "form") if later is None else Found(later, "phrase")
    if fallback == "form" or (form == "answer_tag" and by_form is not None):
        return None  # an empty tag commits to nothing
    named = _of_json(text.strip())
    if named is not None:
        return Found(named, "phrase")
    marked: tuple[Form, ...] = ("boxed", "hash", "answer_tag")
    for other in marked:
        by_other = _of_form(text, other) if other != form else None
        if by_other is not None and by_other.strip():
            return Found(by_other, "phrase")
    phrase = by_phrase(text, asked=asked)
    if phrase is not None and not worded and _VALUELESS.fullmatch(phrase):
        phrase = None  # Antwort: Es bleiben neun Plätze frei
    if phrase is not None:
        return Found(phrase, "phrase")
    if fallback == "committed":
        return None
    last = (in_words(text, asked) if worded else None) or last_value(text, asked)
    return Found(last, "last") if last else None


def _of_bare(text: str) -> Found | None:
    """Return a text given as a bare answer, or what it marks: `42` of `{"answer": 42}`."""
    named = _of_json(text)
    marked = named if named is not None else boxed(text) if "box" in text else None
    if marked is not None:
        return Found(marked, "form")
    return Found(text, "whole") if text else None


_JSON = re.compile(  # a response that is an object with an answer
    r'(?:```(?:json)?\s*)?\{[^{}]{0,2000}"(?:final[_ ])?answer"\s?:\s?'
    r'("[^"\n]{1,200}"|-?\d[\d,]{0,20}(?:\.\d{1,12})?)\s?'
    r'(?:,\s?"explanation"[^{}]{0,2000})?\}\s*(?:```)?',
    re.I,
)


def _of_json(text: str) -> str | None:
    """Return the answer of a response that is an object: `42` of `{"answer": 42}`."""
    named = _JSON.fullmatch(text) if '"' in text else None
    return named.group(1).strip('"') if named is not None else None


_TAGS = re.compile(r"</?(p|b|i|div|span|strong|em|li|ul|ol)(?:\s[^<>]{0,80})?>")
_RUPEES = re.compile(r"(?<=\d)/-(?=[\s.,;!]|$)")  # 225/-
_BREAK = re.compile(r"<br\s?/?>")
_STRUCK_OUT = re.compile(r"~~[^~\n]{1,40}~~[ \t]*(?=\S{0,3}\d)")  # ~~381~~ 391


def _cleaned(text: str) -> str:
    """Return a response without tags of HTML, figures struck out and the mark of rupees."""
    if "</" in text:
        text = _TAGS.sub(lambda m: "\n" if m.group(1) in ("p", "div", "li") else "", text)
    if "/-" in text:
        text = _RUPEES.sub("", text)
    if "&nbsp;" in text or "<br" in text:
        text = _BREAK.sub("\n", text).replace("&nbsp;", " ")
    return _STRUCK_OUT.sub("", text) if "~~" in text else text


def _in_tag(inner: str, asked: Asked) -> str:
    """Return what a tag holds: its lines `x = 1`, `y = 2` as a list, of sentences their value."""
    lines = inner.split("\n")
    if len(lines) > 1 and all(map(ASSIGNS.match, lines)):
        return ", ".join(map(str.strip, lines))
    if len(IN_TAG.split(inner, 1)) > 1 or (len(inner.split()) > 8 and MATH.search(inner)):
        return by_phrase(inner) or last_value(inner, asked) or inner
    return inner


_VALUELESS = re.compile(
    rf"(?!.*\b(?:{SPOKEN}|reals?|numbers?|solutions?|not?|none|never|infinite(?:ly)?|infinity|undefined|exist)\b)"
    r"[^\W\d]{2,}(?:\s[^\W\d]{2,}){3,}[.!]?",
    re.I,
)


def response_value(text: str, problem: str, unreadable: bool = False) -> str | None:
    """Return what a text given as a bare answer commits to, where it is a whole response; or None.

    It is one if it has several lines or sentences and three words, or no words where it cannot be
    read as it stands (`unreadable`).
    """
    text = after_thinking(text).strip()
    words_in = [w for w in text.split() if _PROSE.fullmatch(w)]
    prose = len(words_in) >= 3 or _CJK_WORD.search(text)
    if len(text) > MAX_TEXT or not IN_BARE.search(text) or not (prose or unreadable):
        label = _LABEL.match(text)
        return text[label.end() :] if label is not None else None
    asked = asked_by(problem)
    text = _first_turn(text, "boxed", asked)
    value = by_phrase(text, COMMITS, asked=asked)
    return value or last_value(text, asked)


_CJK_WORD = re.compile(r"[\u3040-\u9fff]{2}")
_PROSE = re.compile(r"[^\W\d_]{3,}[.,;:!?]?")
_LABEL = re.compile(r"(?:A|Ans|ANS)\s?:\s?(?=[-\d$\\(])")

# where a model goes on with another question or another speaker
_SPEAKERS = (
    r"\n(?:Human|User)\s?:|\n\n(?:Question|Problem|Exercise|Human|User|Instruction)(?:\s\d{1,3})?:|\nQ:"
    r"|\n(?:Frage|Pregunta|Pergunta|Domanda|问题?|問題?|質問)\s?[:：]|\n\nF:"
    r"|\n\n#{1,3}\s?(?:Instruction|Input|Task)\b:?"
    r"|\n\n(?:What\sif|Now\stry|Bonus|Follow-up|Extension|Challenge)\b"
    r"|<\|(?:im_end|im_start|endoftext|eot_id|end_of_text)\|>|</s>"
)
_TURNS = re.compile(_SPEAKERS)
_QUESTIONS = re.compile(  # where the text has a question mark
    _SPEAKERS + r"|\n\n(?:How|What)(?=\s(?:many|much|is|are|would|will)\b[^\n?]{3,150}\?)"
    r"|\n\n(?!(?:But|Wait|Hmm|Is|Are|So|Let)\b)"
    r"(?=[A-Z][^\n?]{15,400}\b[Hh]ow\s(?:many|much|far|long|old)\b[^\n?]{3,120}\?[ ]*\n)"
)


def _first_turn(text: str, form: Form, asked: Asked) -> str:
    """Return a response without further questions that the model asks itself behind its answer."""
    if "</s>" not in text and "<|" not in text and ":" not in text and "?" not in text:
        return text
    turns = _QUESTIONS if "?" in text else _TURNS
    for turn in islice(turns.finditer(text), 4):  # the first may only repeat the problem
        first = text[: turn.start()]
        asks = turn.group().strip() in ("How", "What")
        if asks and ("=" not in first or not first.endswith((".", "$"))):
            continue  # the question of the problem itself
        answered = _of_form(first, form) or by_phrase(first)
        if answered is not None and answered.strip():
            return first
        # numbers that lead to one are an answer too, but "I solve 2 problems" is none
        numbers = NUMBERISH.findall(first[-WINDOW:])
        if len(numbers) > 2 or ("Q" not in turn.group() and "P" not in turn.group() and numbers):
            return first
        if numbers and first.endswith(".") and asked.words & words(first.rsplit("\n", 1)[-1]):
            return first
    return text


# what stands behind #### where a model makes headings of it
_HEADING = re.compile(
    r"[*\s]*(?:(step\s\d.*)|(?:the\s|final\s|my\s)*(?:answer|result|solution|conclusion)[:*\s]*)",
    re.I,
)
_SECTION = re.compile(
    r"[*\s]*(?:explanation|reasoning|steps|check|verification|notes?)[:*\s]*", re.I
)
_CALCULATED = re.compile(r"<<[^<>]{0,80}>>")  # of GSM8K's solutions: <<72-45=27>>27


def _of_form(text: str, form: Form) -> str | None:
    if form == "boxed":
        return boxed(text)
    if form == "hash":
        found = None
        for found in reversed([*HASH.finditer(text)][-9:]):
            if not _SECTION.fullmatch(found.group(1)):
                break  # no heading behind the answer
        heading = _HEADING.fullmatch(found.group(1)) if found is not None else None
        if found is None or (heading is not None and heading.group(1)):
            return None
        line = cut(text[found.end() :].strip().split("\n")[0] if heading else found.group(1))
        line = _CALCULATED.sub("", line)
        return boxed(line) if line.lstrip("$ ").startswith("\\boxed{") else line
    return tagged_answer(text) if form == "answer_tag" else by_phrase(text)


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
    if denied(text, (start, end + 9, inner)):
        return Refused(f"not {inner}")
    within = boxed(inner)
    return inner if within is None else within
