"""The final answer of a response: the protocol's own form first, then what commits, then the rest.

Every pattern here is linear in the text: no nested repetition, and a search window at the end of a
long response.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from itertools import islice
from typing import Literal, NamedTuple, get_args

from harness.verify.reading.boxes import boxed, boxes, denied
from harness.verify.reading.closing import concluded
from harness.verify.reading.phrases import (
    COMMITS,
    DOUBTED,
    SENTENCE,
    WINDOW,
    by_phrase,
    cut,
    in_words,
    last_match,
)
from harness.verify.reading.problem import asked_words, words
from harness.verify.reading.sentences import (
    ASSIGNS,
    MATH,
    NUMBERISH,
    affirmed,
    content,
    last_formulas,
)
from harness.verify.reading.words import DENOMINATORS, NUMBER_WORDS, SPOKEN

Form = Literal["boxed", "hash", "answer_is", "answer_tag", "bare"]
FORMS: tuple[str, ...] = get_args(Form)

_THINK_END = ("</think>", "</thinking>", "</thought>", "<|end_of_thought|>")
_THINK_START = ("<think>", "<thinking>", "<thought>", "<|begin_of_thought|>")


class Found(NamedTuple):
    """A final answer: its text and how it was committed; `whole` is a text without any form."""

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
        text = after_thinking(text).strip()
        inner = boxed(text) if "box" in text else None
        if inner is not None:
            return Found(inner, "form")
        return Found(text, "whole") if text else None
    text = _first_turn(after_thinking(text), form)
    if "<|begin_of_box|>" in text:
        text = _GLM_BOX.sub(lambda m: "\\boxed{" + m.group(1) + "}", text)
    asked = asked_words(problem) if problem else frozenset()
    by_form = by_phrase(text, asked=asked) if form == "answer_is" else _of_form(text, form)
    if by_form is not None and form == "answer_tag" and len(_SENTENCE.split(by_form, 1)) > 1:
        by_form = by_phrase(by_form) or _last(by_form, asked) or by_form
    if by_form is not None and by_form.strip():
        later = by_phrase(text, COMMITS, _end(text, form)) if precedence == "last" else None
        return Found(by_form, "form") if later is None else Found(later, "phrase")
    if fallback == "form" or (form == "answer_tag" and by_form is not None):
        return None  # an empty tag commits to nothing
    marked: tuple[Form, ...] = ("boxed", "hash", "answer_tag")
    for other in marked:
        by_other = _of_form(text, other) if other != form else None
        if by_other is not None and by_other.strip():
            return Found(by_other, "phrase")
    phrase = by_phrase(text, asked=asked)
    if phrase is not None:
        return Found(phrase, "phrase")
    if fallback == "committed":
        return None
    last = (in_words(text) if worded else None) or _last(text, asked)
    return Found(last, "last") if last else None


_SENTENCE = re.compile(r"(?<=[a-z0-9$])[.!?]\s+(?=[A-Z])|(?<=[a-z.$])\s{0,3}\n+(?=[A-Z$\\])")

# where a model goes on with another question or another speaker
_TURNS = re.compile(
    r"\n\n(?:Question|Problem|Exercise|Human|User|Instruction)(?:\s\d{1,3})?:|\nQ:"
    r"|<\|(?:im_end|im_start|endoftext|eot_id|end_of_text)\|>|</s>"
)


def _first_turn(text: str, form: Form) -> str:
    """Return a response without further questions that the model asks itself behind its answer."""
    if "</s>" not in text and "<|" not in text and "Q:" not in text and ":" not in text:
        return text
    for turn in islice(_TURNS.finditer(text), 4):  # the first may only repeat the problem
        first = text[: turn.start()]
        answered = _of_form(first, form) or by_phrase(first)
        if answered is not None and answered.strip():
            return first
        # numbers that lead to one are an answer too, but "I solve 2 problems" is none
        numbers = NUMBERISH.findall(first[-WINDOW:])
        if len(numbers) > 2 or ("Q" not in turn.group() and "P" not in turn.group() and numbers):
            return first
    return text


# what stands behind #### where a model makes headings of it
_HEADING = re.compile(
    r"[*\s]*(?:(step\s\d.*)|(?:the\s|final\s|my\s)*(?:answer|result|solution|conclusion)[:*\s]*)",
    re.I,
)


def _of_form(text: str, form: Form) -> str | None:
    if form == "boxed":
        return boxed(text)
    if form == "hash":
        found = last_match(HASH, text)
        heading = _HEADING.fullmatch(found.group(1)) if found is not None else None
        if found is None or (heading is not None and heading.group(1)):
            return None
        return cut(text[found.end() :].strip().split("\n")[0] if heading else found.group(1))
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
    within = f"not {inner}" if denied(text, (start, end + 9, inner)) else boxed(inner)
    return inner if within is None else within


def _last(text: str, asked: frozenset[str]) -> str | None:
    """Return the value that a response ends with which commits to nothing."""
    window = cut(text[-WINDOW:]) or text[-WINDOW:].strip()
    window = _QED.sub("", window).rstrip()
    concluding = last_match(_CONCLUDES, window)
    window = _DRAWING.sub("", window)
    checks = concluding.end() if concluding is not None else 0
    for added, start in ((_OFFER, 0), (_NOTES, 0), (_CHECK, checks)):
        found = added.search(window, start)
        if found is not None and any(map(str.isdigit, window[: found.start()])):
            window = window[: found.start()].rstrip()
    remark = _REMARKED.search(window, max(0, len(window) - 120))
    if remark is not None:  # 17, not 16
        before = window[: remark.start()]
        if any(map(str.isdigit, re.split(r"[.!?]\s|\n", before)[-1])):
            window = before
    rejected = _REJECTED.search(window)
    if rejected is not None and re.search(r"\d[^.]*$", window[: rejected.start()]):
        window = window[: rejected.start()]
    formulas, number = list(MATH.finditer(window)), last_match(NUMBERISH, window)
    end = max(number.end() if number is not None else 0, formulas[-1].end() if formulas else 0)
    named = _NAMED.search(window, end)
    if named is not None and end:  # words behind all figures: in a sentence of their own
        gap = re.split(r"[.!?]\s|\n", window[end : named.start()])
        least = asked & words(window[:end].rsplit("\n", 1)[-1].rsplit(". ", 1)[-1])
        so = re.search(r"\b(?:so|thus|hence|therefore)\b", gap[-1])
        own = (len(gap) > 1 or so) and not asked & words(gap[-1] + named.group()) < least
        named = named if named.group(2) and (own or not "".join(gap).strip()) else None
    if named is not None:
        word = next(filter(None, named.groups())).strip()
        return f"one {word}" if DENOMINATORS.get(word, (0, True))[1] is False else word
    if not end:  # nine lines of symmetry
        closing = re.split(r"[.!?]\s|\n", window.rstrip(" .!"))[-1]
        whole = window.endswith((".", "!")) and not re.search(r"\b(?:than|no)\b", closing)
        value = concluded(closing, asked) if whole and affirmed(closing) is not None else None
        return value if value and re.search(SPOKEN, value.lower()) else None
    if formulas and (number is None or number.end() <= formulas[-1].end() + 1):
        last = last_formulas(formulas, window)
        shown = formulas[-1].group().startswith(("\\[", "$$", "\\begin"))
        alone = shown and not window[formulas[-1].end() :].strip(" .,")
        under = _CONDITION.search(window[: formulas[-1].start()])
        within = len(formulas) > 1 or (under and ("=" not in last or not under.group(1)))
        if last == content(formulas[-1]).strip() and within and not alone:
            last = concluded(_sentence(window, formulas[-1]), asked) or last
        chosen = last != content(formulas[-1]).strip() and len(formulas) > 1
        if "=" in last and _SUBJECT.search(window[: formulas[-1].start()].rsplit(". ", 1)[-1]):
            last = (
                last
                if ASSIGNS.match(last) or "approx" in last
                else re.split(r"(?<![<>!:])=", last)[-1]
            )
        return last if chosen else _unless_denied(last, window, formulas[-1], asked)
    assert number is not None
    sentence = _sentence(window, number)
    if "=" not in sentence and (_NOTE.match(sentence) or (asked and not _SO.match(sentence))):
        earlier = last_match(NUMBERISH, window[: window.rfind(sentence)])
        before = _sentence(window, earlier) if earlier is not None else ""
        if earlier and (_NOTE.match(sentence) or asked & words(sentence) < asked & words(before)):
            sentence, number = before, earlier  # what stands behind it is a remark
    value = concluded(sentence, asked)
    if value is not None and "=" in sentence:
        return value  # what comes behind an equation says nothing about its value
    figure = number.group().strip()
    if value and figure not in value and affirmed(sentence[: sentence.find(value) + len(value)]):
        return value  # 13 passed; 2 did not
    return _unless_denied(value or figure, window, number, asked)


_SO = re.compile(
    r"(?:so|thus|hence|therefore|then|finally|now|but|however|which|that['’]s|that\sis|this\sis)\b",
    re.I,
)
# the area is $6a^2 = 24$: what stands before the equals sign only says how it was found
_SUBJECT = re.compile(
    r"^(?!.*\b(?:equations?|relations?|conditions?|constraints?|formulas?|identity|system)\b)"
    r".*\b(?:is|are|was|equals?)\s+(?:therefore\s+|thus\s+|just\s+|simply\s+)?$",
    re.S,
)
_CONDITION = re.compile(r"\b(?:at|when|where|if|for|(in|on|over))\s+$")  # 8 when $x = 3$
_NOTE = re.compile(
    r"(?:note|notice|remember|recall|for\s(?:comparison|reference))\b"
    r"|\w{1,12}\s(?:had\s)?(?:needed|wanted|hoped|planned|expected)\b",
    re.I,
)
_QED = re.compile(r"[\s$]{0,9}(?:\\(?:blacksquare|square|qed|Box)|[∎■□])[\s$.]{0,9}$")
_REJECTED = re.compile(  # x = 6, as x = -6 does not satisfy the equation
    r"(?:;|,?\s(?:as|since|because|while|whereas|and|but))\s[^;.]{1,60}\b(?:is\s(?:not\s(?:a|valid|possible|in)|extraneous"
    r"|rejected|invalid|impossible|discarded)|(?:does\snot|doesn['’]t|cannot)\s(?:satisfy|work|be|hold))\b[^.;]*[.!]?\s*$"
)
_REMARKED = re.compile(
    r"(?:[,;(]\s?(?:and\s|but\s)?not|\s(?:instead of|rather than|as opposed to))\s+"
    r"[$\\(]{0,3}[-−]?\d[^!?\n]{0,40}$"
)
_DRAWING = re.compile(r"\[asy\](?:(?!\[/?asy\]).){0,4000}(?:\[/asy\]|$)", re.S)
_OFFER = re.compile(  # what a chat model adds
    r"(?:\n|[.!?]\s)\s{0,9}(?:would\s+you\s+like|let\s+me\s+know|do\s+you\s+(?:want|need)|if\s+you\s+"
    r"(?:have|need|want|would)|feel\s+free|is\s+there\s+anything|i\s+hope|please\s+(?:let|feel))\b",
    re.I,
)
# a check of the value before it, which takes nothing back
_CHECK = re.compile(
    r"(?:\n|[.!]\s)\s{0,9}(?:[*#]{1,4}\s?)?(?:step\s\d{1,2}:?\s{1,3})?(?:to\s|let(?:'s|\sus)\s)?"
    r"(?:(?:this\smeans\s(?:that\s)?)?(?:when|if)\s(?:we|you|i)\s(?:substitut|plug|put|check|test)\w*|(?:(?:double|quick|sanity|cross)[-\s])?check(?:ing)?|verif(?:y|ying|ication)|indeed)\b",
    re.I,
)
# a last paragraph beside the solution, or a last remark in brackets
_NOTES = re.compile(
    r"(?:\n\n\(?|[.$]\s{1,2}\()(?:note|notice|remark|challenge|alternatively|another\s(?:way|solution))\b"
    r"(?:(?!\n\n|\b(?:so|thus|hence|therefore|answer)\b).)*$",
    re.I | re.S,
)
_CONCLUDES = re.compile(
    r"\b(?:not|so|thus|hence|therefore|but|however|wait|wrong|mistake|incorrect|answer)\b", re.I
)
# the day is Monday, the slope is one half
_REST = rf"(?:\s(?!(?:{SPOKEN}|not)\b)[A-Za-z'’-]+)"  # words of which none is a number
_FILLED = r"(?:(?:on|therefore|thus|exactly|only|just|still)\s+)*(?:an?\s+|the\s+)?"
_NAMED = re.compile(
    rf"\b(?:is|are)\s+{_FILLED}([A-Z][a-z]+)[.!*\s]*$"
    r"|\b(?:is|are|was|were|has|have|had|takes?|took|costs?|needs?|makes?|made|gets?|got|earn(?:s|ed)?"
    r"|pays?|paid|sold|bought|baked|saves?|saved|spends?|spent|equals?|gives?|gave|lasts?|contains?"
    rf"|holds?|sells?|buys?)(?:\s(?:her|him|them|it|us|me|you|[A-Z][a-z]+))?\s+{_FILLED}({SPOKEN})"
    rf"{_REST}{{0,6}}[.!*\s]*$"
    rf"|(?:^|[.!?]\s|\n)((?i:{'|'.join(NUMBER_WORDS)})[\s-](?:{'|'.join(DENOMINATORS)}))"
    rf"(?=\sof\b){_REST}{{1,10}}[.!*\s]*$"  # two thirds of the cake are left
)


def _sentence(text: str, found: re.Match[str]) -> str:
    """Return the sentence around a formula or number."""
    start = 0
    for stop in SENTENCE.finditer(text, 0, found.start()):
        start = stop.end()
    end = SENTENCE.search(text, found.end())
    return text[start : end.start() if end else len(text)].strip()


_BREAKS = (". ", "\n", ", ", "; ", ",$ ", ".$ ", ",\\) ", ".\\) ")
_DENIED = re.compile(
    r"(?:\b(?:not|never|cannot)\b|n['’]t\b|不是)\s*"
    r"(?:(?!(?:is|are|was|equals|it['’]s|that['’]s)\b)[\w'’]{1,20}\s+){0,4}"
    r"[$\\(\[]{0,2}$|\b(?:less|more|greater|fewer|larger|smaller|bigger|higher|lower|shorter"
    r"|longer)\s+than\s*[$\\(\[]{0,2}$"
)
# a condition on what the value is of, in which "not" says nothing about the value itself
_SUCH = re.compile(
    r"\b(?:such that|where|who|which|that|so that)\b[^.]{0,200}\b(?:is|are|equals)\b"
    r"|\bnot\s+(?!(?:true|the|think|believe|sure|certain|correct|possible|that|mean)\b)[^.]{0,200}"
    r"\b(?:is|are|equals)\s+[$\\(\[]{0,2}$"
)
_RELATIVE = re.compile(r"\b(?:which|that|who)\s+\w{1,6}(?:\s+not|n['’]t)\b[^,.;]*")
_WRONG = re.compile(
    r"[$\\)\]]{0,2}\s*(?:is|are|was|were)\s*(?:not\b|n['’]t\b|wrong|incorrect)", re.I
)


def _unless_denied(value: str, text: str, found: re.Match[str], asked: frozenset[str]) -> str:
    """Return a value, or the clause around it where that says what the answer is not."""
    start = max(text.rfind(mark, 0, found.start()) for mark in _BREAKS) + 1
    stop = SENTENCE.search(text, found.end())
    clause = text[start : stop.start() if stop else len(text)].strip()
    before = text[start : found.start()]
    denied = DOUBTED.search(before) or ("not" not in asked and _DENIED.search(before))
    if denied or _WRONG.match(text, found.end()):
        return clause
    denies = affirmed(_RELATIVE.sub("", clause)) is None and not _SUCH.search(before)
    return clause if denies and "not" not in asked else value
