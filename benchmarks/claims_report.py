"""The tables of docs/statistics.md, from what `claims.py` measured."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"
Found = list[dict[str, Any]]


def _of(results: Found, name: str, **place: Any) -> Iterator[dict[str, Any]]:
    """Yield the measurements of a name, at the places that agree with what is given."""
    for one in results:
        if one["name"] == name and all(one["place"].get(k) == v for k, v in place.items()):
            yield one


def _cell(one: dict[str, Any] | None, what: str) -> str:
    """Return a share in per cent with its Monte-Carlo error: `4.2 (0.3)`."""
    if one is None:
        return "\N{EN DASH}"
    return f"{100 * one['means'][what]:.1f} ({100 * one['errors'][what]:.1f})"


def _prose(*parts: str) -> list[str]:
    """Return a paragraph in lines of 100 characters."""
    return textwrap.wrap(" ".join(parts), 100, break_on_hyphens=False)


def _only(results: Found, name: str, **place: Any) -> dict[str, Any] | None:
    return next(_of(results, name, **place), None)


def _values(results: Found, name: str, key: str) -> list[Any]:
    return sorted({one["place"][key] for one in _of(results, name)})


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], left: int = 0) -> list[str]:
    marks = [":--" if place < left else "--:" for place in range(len(head))]
    rows = [head, marks, *lines]
    return ["", *(f"| {' | '.join(row)} |" for row in rows), ""]


def _repeats(results: Found, name: str) -> str:
    return f"{next(_of(results, name))['repeats']:,}"


def _equal(results: Found) -> Iterator[str]:
    times = _repeats(results, "equal_rows")
    yield from _prose(
        "**Equal trainers.** Of all pairs at 5 % (unadjusted), and on the",
        "whole board after Holm: how",
        f"often any two of 6 or 12 are told apart. {times} boards a cell.",
    )
    lines = []
    for n in _values(results, "equal_rows", "n"):
        for seeds in _values(results, "equal_rows", "seeds"):
            for sd in _values(results, "equal_rows", "sd"):
                place = {"n": n, "seeds": seeds, "sd": sd}
                six, twelve = (_only(results, "equal_rows", arms=arms, **place) for arms in (6, 12))
                lines.append(
                    [
                        f"{n:,}",
                        str(seeds),
                        f"{100 * sd:.0f}",
                        _cell(twelve, "apart"),
                        _cell(twelve, "covers"),
                        _cell(six, "board"),
                        _cell(twelve, "board"),
                        _cell(twelve, "gain"),
                        _cell(twelve, "gains"),
                    ]
                )
    yield from _table(
        (
            "Questions",
            "Seeds",
            "Seed noise, points",
            "A pair told apart",
            "Its interval covers",
            "A board of 6 wrong",
            "A board of 12 wrong",
            "A gain over the start claimed",
            "Any of 12 gains",
        ),
        lines,
    )


def _power(results: Found) -> Iterator[str]:
    yield from _prose(
        "**One trainer better by 3 points**, unadjusted; and McNemar's test on",
        "one seed each, where none",
        f"is better. {_repeats(results, 'power')} pairs a cell.",
    )
    lines = [
        [
            f"{one['place']['n']:,}",
            str(one["place"]["seeds"]),
            f"{100 * one['place']['sd']:.0f}",
            _cell(one, "found"),
            _cell(one, "covers"),
            _cell(one, "naive"),
        ]
        for one in _of(results, "power")
    ]
    head = ("Questions", "Seeds", "Seed noise, points", "Found", "Its interval covers")
    yield from _table((*head, "McNemar, none better"), lines)


def _boards(results: Found) -> Iterator[str]:
    yield from _prose(
        "**Ranks, and what is found.** Nine trainers of which three each are",
        "equal, 0, 2 and 4 points",
        "better than the first: on how many boards does any range of places",
        "miss a place that its row",
        f"truly shares ({_repeats(results, 'ranks')} boards a cell). And the",
        "smallest difference that",
        "the page and the plan print for six trainers: how often a trainer",
        "that is better by just that is",
        f"told from another, after Holm (80 % is meant; {_repeats(results, 'printed')} boards).",
    )
    lines = []
    for one in _of(results, "printed", arms=6):
        place = {key: one["place"][key] for key in ("n", "seeds", "sd")}
        lines.append(
            [
                f"{place['n']:,}",
                str(place["seeds"]),
                f"{100 * place['sd']:.0f}",
                _cell(_only(results, "ranks", **place), "board"),
                f"{100 * one['means']['size']:.1f}",
                _cell(one, "found"),
                f"{100 * one['means']['measured']:.1f}",
                _cell(_only(results, "printed", arms=12, **place), "found"),
            ]
        )
    yield from _table(
        (
            "Questions",
            "Seeds",
            "Seed noise, points",
            "A rank range wrong",
            "Said to be found, points",
            "Found",
            "Said by the board's own records",
            "Found among 12",
        ),
        lines,
    )


def _chains(results: Found) -> Iterator[str]:
    times = _repeats(results, "chain")
    yield from _prose(
        "**Chains**, whose seeds have 0.9 of what moves them in common with",
        "their first stage: gains",
        f"claimed where there is none, and 3 points found. {times} chains a cell.",
    )
    lines = []
    for one in _of(results, "chain", effect=0.0):
        place = {key: one["place"][key] for key in ("n", "seeds", "sd")}
        better = _only(results, "chain", effect=0.03, **place)
        lines.append(
            [
                f"{place['n']:,}",
                str(place["seeds"]),
                f"{100 * place['sd']:.0f}",
                _cell(one, "paired"),
                _cell(better, "paired"),
                _cell(better, "covers"),
                _cell(better, "independent"),
            ]
        )
    yield from _table(
        (
            "Questions",
            "Seeds",
            "Seed noise, points",
            "Claimed, none there",
            "+3 found",
            "Its interval covers",
            "+3 found if not paired",
        ),
        lines,
    )


def _answers(results: Found) -> Iterator[str]:
    yield from _prose(
        "**Several answers to a question**, few questions, low accuracy: the",
        "interval of avg@k covers (and",
        f"is so many points wide). {_repeats(results, 'several')} draws a cell;",
        "*spread* is how much",
        "alike questions are (a + b of the beta distribution that their chances are drawn from).",
    )
    lines = []
    for n in _values(results, "several", "n"):
        for k in _values(results, "several", "k"):
            for accuracy in _values(results, "several", "accuracy"):
                place = {"n": n, "k": k, "accuracy": accuracy}
                cells = []
                for spread in _values(results, "several", "spread"):
                    one = _only(results, "several", spread=spread, **place)
                    width = f", {100 * one['means']['width']:.0f} wide" if one else ""
                    cells.append(_cell(one, "covers") + width)
                lines.append([str(n), str(k), f"{100 * accuracy:.0f}", *cells])
    spreads = (f"Covers, spread {spread:g}" for spread in _values(results, "several", "spread"))
    yield from _table(("Questions", "k", "Accuracy, %", *spreads), lines)


def _intervals(results: Found) -> Iterator[str]:
    names = {(30, 1): "30 questions at 10 %", (500, 1): "500 questions at 2 %"}
    names |= {(1319, 1): "1,319 questions at 40 %", (1000, 10): "100 templates of 10 questions"}
    yield from _prose(
        "**Accuracies, and parts of a gain.** How often the interval covers.",
    )
    lines = [
        [names[one["place"]["n"], one["place"]["group"]], _cell(one, "covers"), _cell(one, "plain")]
        for one in _of(results, "accuracies")
    ]
    yield from _table(("Accuracy", "Its interval covers", "Wilson's without groups"), lines, left=1)
    lines = [
        [
            f"{one['place']['n']:,}",
            str(one["place"]["seeds"]),
            f"{100 * one['place']['sd']:.0f}",
            _cell(one, "format"),
            _cell(one, "correctness"),
        ]
        for one in _of(results, "parts")
    ]
    head = ("Questions", "Seeds", "Seed noise, points", "Format part", "Correctness part")
    yield from _table(head, lines)


def _equivalent(results: Found) -> Iterator[str]:
    yield from _prose(
        "**Shown to lie within 2 points of each other**: equal trainers, and",
        "trainers that lie just 2",
        f"points apart (5 % may be). {_repeats(results, 'equivalent')} pairs a cell.",
    )
    lines = []
    for one in _of(results, "equivalent", effect=0.0):
        place = {key: one["place"][key] for key in ("n", "seeds", "sd")}
        apart = _only(results, "equivalent", effect=0.02, **place)
        where = [f"{place['n']:,}", str(place["seeds"]), f"{100 * place['sd']:.0f}"]
        lines.append([*where, _cell(one, "shown"), _cell(apart, "shown")])
    head = ("Questions", "Seeds", "Seed noise, points", "Equal", "2 points apart")
    yield from _table(head, lines)


def _shared(results: Found) -> Iterator[str]:
    yield from _prose(
        "**Problems shared with training data**: the gain on them less that on the others, five",
        "seeds, a point of seed noise, and how often it is claimed to differ where nothing was",
        "learnt by heart, and where the answers to half of them were.",
        f"{_repeats(results, 'shared')} rows a cell.",
    )
    lines = []
    for one in _of(results, "shared", learnt=0.0):
        place = {key: one["place"][key] for key in ("n", "hit")}
        half = _only(results, "shared", learnt=0.5, **place)
        cells = [_cell(one, "claimed"), _cell(one, "covers"), f"{100 * one['means']['half']:.0f}"]
        lines.append([f"{place['n']:,}", str(place["hit"]), *cells])
        lines[-1] += [_cell(half, "claimed"), _cell(half, "covers")]
    head = ("Questions", "Shared", "Claimed, none there", "Its interval covers")
    head += ("Half its width, points", "Half learnt: claimed", "Its interval covers")
    yield from _table(head, lines)


def _others(results: Found) -> Iterator[str]:
    yield from _prose(
        "**Whole pages** through `build`, from records: five trainers as good",
        "as the start model on three",
        "benchmarks of 300 questions, five seeds, and a sixth with a single",
        "seed, which is never ranked.",
    )
    lines = [
        [f"{100 * one['place']['sd']:.0f}", _cell(one, "mark"), _cell(one, "apart")]
        for one in _of(results, "page")
    ]
    head = ("Seed noise, points", "Any false win or loss", "Any two told apart")
    yield from _table(head, lines)
    yield from _prose(
        "**Looking early**: equal trainers, 1,319 questions, looked at after",
        "each seed from 3 to 10 until",
        "one is called better. A board ranks no row before all of its seeds",
        "are there, so its page has",
        "the last column.",
    )
    lines = [
        [f"{100 * one['place']['sd']:.0f}", _cell(one, "any"), _cell(one, "last")]
        for one in _of(results, "early")
    ]
    yield from _table(("Seed noise, points", "Called better at any look", "At the last"), lines)


def _decided(results: Found) -> Iterator[str]:
    yield from _prose(
        "**Seeds until decided**: looks after 3, 5 and 10 seeds, 1,319 questions, until every two",
        "rows are told apart or shown to be equal within a margin; one trainer is better than the",
        "others, which are equal, by an effect. Wrong: two equal trainers are told apart at any",
        "look up to the one at which the bench stops. A margin of 0.2 points is hardly ever shown,",
        f"so every look is taken ({_repeats(results, 'decided')} boards a cell).",
    )
    lines = []
    for one in _of(results, "decided"):
        place = one["place"]
        lines.append(
            [
                str(place["arms"]),
                f"{100 * place['effect']:g}",
                f"{100 * place['margin']:g}",
                f"{100 * place['sd']:.0f}",
                _cell(one, "wrong"),
                _cell(one, "plain"),
                _cell(one, "found") if place["effect"] else "",
                f"{10 * one['means']['seeds']:.1f}",
            ]
        )
    head = ("Trainers", "Effect, points", "Margin", "Seed noise, points", "Wrong")
    more = ("With 5 % at each look", "The better one found", "Seeds taken")
    yield from _table((*head, *more), lines)


def report(results: Found) -> str:
    """Return the tables as markdown."""
    first = (_equal, _power, _boards, _chains, _equivalent, _answers, _intervals)
    sections = (*first, _shared, _others, _decided)
    lines = _prose(
        "Per cent, with the Monte-Carlo error in brackets. Accuracy is 40 % unless said; seed",
        "noise is the standard deviation of a trainer's accuracy over seeds.",
    )
    lines.append("")
    for section in sections:
        lines += section(results)
    return "\n".join(lines).strip()


def write(page: Path, text: str) -> None:
    """Write the tables between the marks of a page."""
    content = page.read_text(encoding="utf-8")
    before, _, rest = content.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
