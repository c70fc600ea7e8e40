"""The trials of a board's tuning: which there are, and what each row is trained with after them.

A trial is a cell of its own: it trains on what is left of the training data, with a share of the
budget, and is scored on the problems that were held out of it (`harness.boards.holdout`). Its
record lies in `trials` of the runs folder and never on a leaderboard. Nothing of it reads a test
row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.bench import stage_identity
from harness.bench.facts import as_facts
from harness.bench.folder import Folder, finished_record
from harness.bench.plan import (
    Plan,
    add_cell,
    chain_of,
    command_of,
    other_trials,
    row_name,
    trial_name,
)
from harness.boards.board import Board
from harness.boards.holdout import TrialBoard
from harness.boards.recipes import Recipes, recipes
from harness.cells import Cell
from harness.plugin.executor import Facts
from harness.plugin.host import Host
from harness.plugin.search import Space, settings
from harness.records import Record
from harness.stage.spec import Base, Device
from harness.tuning import Setting, Trial, Tuning, TuningRules, best


@dataclass(frozen=True)
class Row:
    """What is tried for one row: a setting and a cell for each trial."""

    name: str  # as it is asked for
    space: Space
    settings: Sequence[Setting]
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Trials:
    """All trials of a bench."""

    rules: TuningRules
    plan: Plan
    rows: tuple[Row, ...]

    def finished(self, folder: Folder) -> list[Record]:
        """Return the records of the trials that are done."""
        found = (finished_record(cell, self.plan.board, folder) for cell in self.plan.cells)
        return [record for record in found if record]

    def chosen(self, records: Sequence[Record]) -> dict[str, Tuning] | None:
        """Return how the options of each row were chosen; None while a trial has no record."""
        by_name = {record.trainer: record for record in records}
        if any(cell.trainer not in by_name for cell in self.plan.cells):
            return None
        return {row.name: self._tuning(row, by_name) for row in self.rows}

    def _tuning(self, row: Row, records: dict[str, Record]) -> Tuning:
        trials = tuple(
            _trial(setting, cell, records[cell.trainer])
            for setting, cell in zip(row.settings, row.cells, strict=True)
        )
        board, space = self.plan.board, dict[str, dict[str, str]]()
        for (trainer, option), search in row.space.items():
            space.setdefault(trainer, {})[option] = search.described
        return Tuning(
            rules=self.rules,
            seed=board.file.seeds[0],
            held_out=board.held_out,
            problems=sum(len(one.held_out) for one in board.scores),
            samples=board.ranking.samples,
            space=space,
            trials=trials,
            chosen=best(trials),
        )


def _trial(setting: Setting, cell: Cell, record: Record) -> Trial:
    failed = record.status != "ok"
    return Trial(
        options=setting,
        record=cell.record_id,
        verdicts="" if failed else "".join(score.verdicts for score in record.scores),
        error=f"{record.status}: {record.error}" if failed else None,
        cost=record.cost,
    )


def plan_trials(
    board: Board,
    host: Host,
    terms: Sequence[str] = (),
    overrides: Sequence[str] = (),
    where: Device | Facts = "cpu",
    trials: int | None = None,
) -> Trials | None:
    """Return the trials of a bench, or None where nothing is tuned.

    The arguments are those of `harness.bench.plan.plan`. The first trial of a row is of what holds
    without tuning; a row whose trainers declare no search space has none.

    Raises:
        UsageError: If the board cannot hold out what it says, or a trainer's space is none.
    """
    rules, other = board.file.tuning, other_trials(board, trials)
    if rules is None or trials == 0:
        return None
    rules = rules.model_copy(update={"trials": trials or rules.trials})
    tried = TrialBoard(board, rules)
    asked = recipes(tried, host, terms, overrides)
    result = Plan(tried, as_facts(where), trials=True)
    rows = tuple(_row(result, asked, name, rules, other) for name in asked.parts)
    return Trials(rules, result, rows)


def _row(result: Plan, asked: Recipes, name: str, rules: TuningRules, other: int | None) -> Row:
    board, space = result.board, asked.space(name)
    common = stage_identity.common(board, result.machine)
    start = Base(model=board.identity("start"))
    shown, seed = row_name(asked, name, other), board.file.seeds[0]
    now = {(trainer, option): asked.options(trainer)[option] for trainer, option in space}
    tried = settings(space, now, rules.trials) if space else []
    for number, setting in enumerate(tried):
        given = (name, seed, rules.share, common, start, setting)
        chain = chain_of(asked, *given, trial=number)
        command, cell = command_of(asked, name, (), other), trial_name(shown, number)
        base = Base(stage=chain[-1].id)
        add_cell(result, cell, seed, chain, base, command, share=rules.share)
    return Row(name, space, tried, result.cells[len(result.cells) - len(tried) :])
