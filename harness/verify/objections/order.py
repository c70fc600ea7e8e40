"""Lists that are not in the order which the problem asks for, or in which it has blanks."""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.verify.algebra.node import Node

_FROM_TO = (
    r"from\s(?:the\s)?(?:smallest|least|lowest|shortest|lightest|slowest|youngest|largest|greatest|"
    r"highest|longest|heaviest|fastest|oldest|biggest|most|small|large|low|high)\s(?:\w+\s)?to\b"
)
_SORTED = r"(?:in|into)\s(?:an?\s)?(?:increasing|decreasing|ascending|descending|numerical)\sorder"
_ASKS = re.compile(
    rf"\b(?:[Aa]rrange|[Oo]rder|[Ss]ort|[Rr]ank|[Ll]ist|[Pp]ut|[Pp]lace)\b([^.?!]{{0,160}}?)"
    rf"(?<!\w)(?:{_FROM_TO}|{_SORTED})"
)
# what has no order of its own is often listed in one for the grader alone
_FOUND = re.compile(r"solution|root|zero|answer|value|all\b|every|possible")
_BLANK = re.compile(
    r"(?:\\?_){3,}|\\underline\{(?:\s|\\[,;: ]|\\q?quad|\\hspace\{\w+\})+\}"
)  # to fill in


def is_misordered(
    gold: Node, answer: Node, problem: str, same: Callable[[Node, Node], bool]
) -> bool:
    """Whether a problem gives an order, and an answer has the values in another one."""
    if gold.kind != "list" or answer.kind != "list" or len(gold.args) != len(answer.args):
        return False
    asked = _ASKS.search(problem)
    ordered = asked is not None and not _FOUND.search(asked.group(1))
    blanks = len(_BLANK.findall(problem)) == len(gold.args)
    return (ordered or blanks) and not all(map(same, gold.args, answer.args))
