"""Controls: what a chain is compared with, so that more compute is not taken for a better recipe.

A chain's last stage is judged by what the same compute does without it: by the row of the chain
that lacks it, or by that of its first stage alone, trained until it spent what the chain spent. A
row that spent less is no control, and where there is none nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.leaderboard.data import Control
from harness.leaderboard.results import compare_entries, gain_between

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.leaderboard.cells import Entry
    from harness.leaderboard.data import Gain

MATCHED = 0.9
"""The share of what a chain spent that another row must have spent to be its control."""
LENGTH = frozenset({"epochs", "max_steps"})
"""Options by which a recipe ends before its budget does: a control is the recipe continued."""


def budget_used(entry: Entry, conditions: Conditions) -> float | None:
    """Return the share of the tightest cap that a seed spent in the mean; None without a cap."""
    cells = [cell for cell in entry.done if cell.stages]
    if not cells or not conditions.caps:
        return None
    shares = (
        sum(float(getattr(cell.cost, name)) for cell in cells) / len(entry.done) / cap
        for name, cap in conditions.caps.set_caps().items()
    )
    return max(shares)


def _recipe(entry: Entry) -> list[tuple[str, dict[str, Any]]]:
    """Return the trainers of a row's stages with their options, but for how long they train."""
    stages = entry.done[0].stages if entry.done else ()
    return [
        (one.trainer, {name: set_to for name, set_to in one.options.items() if name not in LENGTH})
        for one in stages
    ]


def controls_of(
    chain: Entry, entries: Iterable[Entry], conditions: Conditions
) -> tuple[Control, ...] | None:
    """Return the rows that are a chain without its last stages, the best control first.

    Those that spent as much come first, then those with more of its stages. None for a row that is
    no chain, or is compared with none.
    """
    recipe, spent = _recipe(chain), budget_used(chain, conditions)
    if len(recipe) < 2 or not chain.compared:
        return None
    found = []
    for entry in entries:
        own, theirs = _recipe(entry), budget_used(entry, conditions)
        shorter = 0 < len(own) < len(recipe) and own == recipe[: len(own)]
        if shorter and spent and theirs is not None and entry.compared:
            matched = theirs >= MATCHED * spent
            one = Control(trainer=entry.trainer, budget_used=theirs, matched=matched)
            found.append((not matched, -len(own), -theirs, entry.trainer, one))
    return tuple(one for *_, one in sorted(found, key=lambda each: each[:4]))


def gain_over_control(
    chain: Entry, entries: dict[str, Entry], controls: tuple[Control, ...] | None
) -> Gain | None:
    """Return a chain's gain over its control; seed by seed if it went on from its checkpoints."""
    if not controls or not controls[0].matched:
        return None
    control, keys = entries[controls[0].trainer], chain.questions.ranking
    paired = control.shares_stages(chain)
    comparison = compare_entries(control, chain, keys, paired=paired)
    return gain_between(control, chain, keys, comparison, paired=paired)
