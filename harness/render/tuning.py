"""How rows were tuned, for people: the rules, what was chosen, what that cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.render import numbers
from harness.render.escape import markdown
from harness.render.sections import name, table

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard, Row
    from harness.tuning import ExpectedBest, Setting, Tuning, TuningRules

TUNED = (
    "Each trainer declares one search space for all boards. Every row had the same number of"
    " trials: its options as they are without tuning, then points of its space that are the same"
    " for everybody (a scrambled Halton sequence with a fixed seed). A trial spends a share of the"
    " budget and is scored on training problems that no trial was trained on, never on a test"
    " problem; the first of the best is trained anew with every seed, the whole budget and all"
    " training data. What the trials cost is not part of the budget; it stands beside the cost of a"
    " seed. Accuracies are per cent of answers to the held-out problems: the chosen one, with"
    " Wilson's interval over problems, was chosen for being high and so tends to be too high. *Best"
    " of n* is what the best of n settings drawn from these would come to (Dodge et al. 2019): its"
    " mean, and where it lies in 95 % of draws. Where it still rises, more trials would help."
)


def rules(found: TuningRules) -> str:
    """Return what a board says of tuning."""
    return (
        f"{found.trials} trials for each row, each with {100 * found.share:g} % of the budget,"
        f" scored on {found.holdout:,} training problems that are held out of all of them; no test"
        " problem is used to choose"
    )


def setting_text(setting: Setting) -> str:
    """Return values of options as `--set` takes them: `sft.learning_rate=0.0002`."""
    return ", ".join(
        f"{trainer}.{option}={_value(value)}"
        for trainer, values in setting.items()
        for option, value in values.items()
    )


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def chosen_line(row: str, found: Tuning) -> str:
    """Return what was chosen for a row, in one line."""
    if not found.trials:
        return f"{row}: declares no search space, so it is run as it is"
    failed = [
        f"; trial {number} failed and counts as the worst: {one.error}"
        for number, one in enumerate(found.trials)
        if one.error is not None
    ]
    best = found.trials[found.chosen]
    answers = found.problems * found.samples
    return (
        f"{row}: trial {found.chosen} of 0 to {len(found.trials) - 1} is the best,"
        f" {max(0, best.correct)} of {answers} held-out answers right:"
        f" {setting_text(best.options)}{''.join(failed)}"
    )


def section(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield the section of a page on tuning, where the board has its rows tuned."""
    if leaderboard.conditions.tuning is None:
        return
    rows = [row for row in leaderboard.rows if row.tuning and row.tuning.trials]
    yield "## How options were chosen"
    yield TUNED
    if rows:
        shown = _sizes(max(row.tuning.trials for row in rows if row.tuning))
        head = ("Trainer", "Chosen", "Trial", "As it is", "Chosen %")
        best = (f"Best of {n}" for n in shown)
        cells = [_cells(row, shown) for row in rows]
        yield table((*head, *best), cells, left=2)
    failed = [
        f"- {name(row)}, trial {number}: {markdown(reason, 200)}"
        for row in rows
        if row.tuning
        for number, reason in row.tuning.failed.items()
    ]
    if failed:
        yield "Trials that failed count as the worst:"
        yield "\n".join(failed)
    yield from _untuned(leaderboard)


def _untuned(leaderboard: Leaderboard) -> Iterator[str]:
    trained = [row for row in leaderboard.rows if row.cost]
    without = [name(row) for row in trained if row.tuning and not row.tuning.trials]
    if without:
        yield (
            "Run as they are, since no trainer of theirs declares a search space:"
            f" {', '.join(without)}."
        )
    kept = [name(row) for row in trained if row.tuning is None]
    if kept:
        yield f"Not tuned, as their names say: {', '.join(kept)}."


def _cells(row: Row, shown: list[int]) -> tuple[str, ...]:
    found = row.tuning
    assert found is not None
    at: Mapping[int, ExpectedBest] = {one.trials: one for one in found.expected}
    chosen = numbers.NONE
    if found.accuracy is not None and found.low is not None and found.high is not None:
        chosen = _with(found.accuracy, found.low, found.high)
    return (
        name(row),
        markdown(setting_text(found.setting), 400),
        f"{found.chosen} of {found.trials}",
        numbers.NONE if found.default is None else numbers.percent(found.default),
        chosen,
        *(_with(at[n].accuracy, at[n].low, at[n].high) if n in at else numbers.NONE for n in shown),
    )


def _with(share: float, low: float, high: float) -> str:
    ends = f"[{numbers.percent(low)},{numbers.JOINED}{numbers.percent(high)}]"
    return f"{numbers.percent(share)} {ends}"


def _sizes(trials: int) -> list[int]:
    """Return the numbers of trials that are shown: powers of two, and all of them."""
    return sorted({*(2**n for n in range(trials.bit_length()) if 2**n <= trials), trials})
