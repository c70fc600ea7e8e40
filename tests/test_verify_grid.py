"""Every notation of a value in every text that suits it: what is read in one is read in all.

`verify_grid.json` pairs golds with right and wrong notations of them, for running text and as
LaTeX, and has texts of each answer form, with `%s` for the value; "last" is a text without a form.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.verify import Verdict, verify

GRID = json.loads((Path(__file__).parent / "support" / "verify_grid.json").read_text("utf-8"))
# read in most texts, but not in all of them
MISSED = {
    "negative 25",
    "minus 25",
    "3.5M",
    "x is less than or equal to 3",
    "x is greater than 5",
    "2x - y + 1 = 0",
    "B. 42",
    "ab + 2c",
    "2c + ab",
    "infinity",
    r"\sum_{k=1}^{n} k",
    r"\text{diverges to }\infty",
    r"\text{does not exist}",
}


class Case(NamedTuple):
    """One answer against one gold; `notation` is how the value is written in it."""

    text: str
    form: str
    gold: str
    notation: str
    right: bool


def cases() -> Iterator[Case]:
    for row in GRID["values"]:
        for place in GRID["texts"]:
            kind = "prose" if place["prose"] else "latex"
            text, form = place["text"], place["form"]
            for notation in (*row[kind], *row[f"wrong_{kind}"]):
                twice = "**" in notation and "**" in text
                if twice or ("$" in notation and "$" in text):
                    continue  # marks within marks
                for gold in row["golds"]:
                    how = "boxed" if form == "last" else form
                    yield Case(text % notation, how, gold, notation, notation in row[kind])


def test_every_notation_is_read_in_every_text() -> None:
    judged, missed = 0, defaultdict(list)
    for case in cases():
        verdict = verify(case.text, case.gold, form=case.form).verdict  # type: ignore[arg-type]
        judged += 1
        if (verdict is Verdict.correct) is not case.right:
            missed[case.notation, case.right].append((case.text, case.gold))
    assert judged > 80_000
    assert not [m for m in missed if not m[1]], "a wrong answer is accepted"
    assert {notation for notation, _ in missed} == MISSED
