"""The plan: which cells a bench has, which stages they need, and which of them are shared.

A stage's name is a digest of all that can change its result. Two cells that need the same stage
(the `sft` of `sft` and of `sft+rl`) therefore name the same folder, and it is computed once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from harness import checkpoints
from harness.bench import stage_identity
from harness.bench.facts import as_facts
from harness.boards.board import Board
from harness.boards.recipes import Recipes, check_tokenizer, recipes
from harness.cells import Cell
from harness.contamination.board import check_apart
from harness.errors import UsageError
from harness.files import slug
from harness.imported import imported
from harness.leaderboard.rules import NAME
from harness.plugin.executor import Facts
from harness.plugin.host import Host, Offer
from harness.records import START, at_share, cell_name
from harness.stage.spec import Base, Common, Device, Identity, Kind, digest
from harness.tuning import Setting, Tuning, named_trials


@dataclass(frozen=True)
class Stage:
    """One process doing one thing: train, generate answers, or judge them."""

    id: str  # also the name of its folder
    kind: Kind
    label: str  # for people: the chain up to here, with what the command line set
    seed: int | None
    identity: Identity  # everything that can change its result
    parent: str | None = None  # the stage whose checkpoint it starts from, or whose answers
    model: Path | None = None  # the folder it starts from, where that is not the start model
    offer: Offer | None = None

    @property
    def light(self) -> bool:
        """Return whether it runs no model."""
        return self.kind == "judge"


@dataclass
class Plan:
    """Cells and the stages they need, each stage once."""

    board: Board
    machine: Facts  # what runs the stages
    report_to: tuple[str, ...] = ()  # experiment trackers of training stages; no condition
    trials: bool = False  # whether its cells are trials of tuning (`harness.bench.tuning`)
    cells: list[Cell] = field(default_factory=list)
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def device(self) -> Device:
        return self.machine.device


def plan(
    board: Board,
    host: Host,
    terms: Sequence[str] = (),
    seeds: Sequence[int] = (),
    overrides: Sequence[str] = (),
    where: Device | Facts = "cpu",
    *,
    tuned: Mapping[str, Tuning] | None = None,
    trials: int | None = None,
) -> Plan:
    """Return the plan of a bench.

    `where` is what runs the stages: a device of this machine, or the facts of another.

    `terms` are trainers, chains or plug-ins as given to `--plugins`, `overrides` are
    `trainer.option=value` as given to `--set`; the board's trainers and seeds hold where none are
    given. `tuned` says how the options of each row were chosen, where they were; `trials` is as
    given to `--tune`, and None for the board's.

    Raises:
        UsageError, PluginError: If a name, an option or a value is not valid, or a trainer's
            teacher is missing or has another tokenizer. Nothing has been loaded or trained then.
    """
    asked = recipes(board, host, terms, overrides)
    if foreign := sorted({*seeds} - {*board.file.seeds}):
        fixed = ", ".join(map(str, board.file.seeds))
        raise UsageError(
            f"--seeds: board {board.name!r} fixes the seeds {fixed}, and"
            f" {', '.join(map(str, foreign))} is not among them; a board of another name may fix"
            " others (harness new board NAME --from BOARD copies one)"
        )
    result = plan_start(board, where, next(iter(asked.parts)))  # its refusals name lines: first
    check_apart(board)
    common, other = stage_identity.common(board, result.machine), other_trials(board, trials)
    start = Base(model=board.identity("start"))
    points = board.file.curve.shares if board.file.curve else ()
    for part, name in product((1.0, *points), asked.parts):
        tuning = (tuned or {}).get(name)
        for seed in seeds or board.file.seeds:
            setting = tuning.setting if tuning else None
            chain = chain_of(asked, name, seed, part, common, start, setting)
            shown = _publishable(at_share(row_name(asked, name, other), part))
            command = command_of(asked, name, (seed,), other)
            base = Base(stage=chain[-1].id)
            add_cell(result, shown, seed, chain, base, command, share=part, tuning=tuning)
    return result


def other_trials(board: Board, trials: int | None) -> int | None:
    """Return how many trials were asked for where the board says another number; else None.

    Raises:
        UsageError: If the board has no tuning to make any by.
    """
    rules = board.file.tuning
    if rules is None and trials:
        raise UsageError(
            f"--tune {trials}: board {board.name!r} has no [tuning], which says what trials may"
            " spend and what they are scored on"
        )
    return None if rules is None or trials == rules.trials else trials


def row_name(asked: Recipes, name: str, trials: int | None = None) -> str:
    """Return the name of a row, with what was asked of it beside what the board says.

    Raises:
        UsageError: If no published row can have that name.
    """
    settings = [*([] if trials is None else [named_trials(trials)]), *asked.settings(name)]
    return _publishable(name + (f"({', '.join(settings)})" if settings else ""))


def _publishable(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"--set: {name[:80]!r} would be the row's name, and that is printable ASCII without"
            " two spaces in a row, 300 characters at most; set such an option in the board's file"
        )
    return name


def chain_of(
    asked: Recipes,
    name: str,
    seed: int,
    part: float,
    common: Common,
    start: Base,
    setting: Setting | None = None,
    *,
    trial: int | None = None,
) -> list[Stage]:
    """Return the training stages of a row that has a part of the budget.

    `setting` are options that tuning chose or, under the number `trial`, tries.
    """
    board, parts = asked.board, asked.parts[name]
    chain: list[Stage] = []
    for position, one in enumerate(parts):
        parent = chain[-1] if chain else None
        base = Base(stage=parent.id) if parent else start
        length, options = len(parts), asked.options(one, setting)
        share = stage_identity.share(board, position, length, asked.given(one), part)
        identity = stage_identity.training(
            board, asked.offers[one], options, seed, common, base, share
        )
        own = asked.settings(name, position + 1)
        label = "+".join(parts[: position + 1]) + (f"({', '.join(own)})" if own else "")
        if trial is None:
            label = at_share(label, (position + 1) * part / length if board.file.budget.fill else 1)
        else:
            label = trial_name(label, trial)
        chain.append(_stage("train", label, seed, identity, parent, asked.offers[one]))
    return chain


def trial_name(row: str, number: int) -> str:
    """Return the name of one trial of a row."""
    return f"{row} trial {number}"


def plan_score(
    board: Board,
    model: Path,
    where: Device | Facts = "cpu",
    *,
    name: str | None = None,
    command: str | None = None,
) -> Plan:
    """Return the plan that scores one model folder as it is, called `name` in its record."""
    checkpoints.check_model_folder(model)
    result = Plan(board, as_facts(where))
    name = slug(name or model.resolve().name)
    command = command or f"harness score {model} {board.reference}"
    base = Base(model=checkpoints.digest(model))
    shown = name if name != START else "model"
    add_cell(result, shown, None, (), base, command, model.resolve())
    return result


def plan_start(board: Board, where: Device | Facts = "cpu", trainer: str | None = None) -> Plan:
    """Return the plan that scores the start model; its command names a trainer, any one."""
    result = Plan(board, as_facts(where))
    base, common = Base(model=board.identity("start")), stage_identity.common(board, result.machine)
    command = _command(board, trainer or board.file.trainers[0], ())
    add_cell(result, START, None, (), base, command)
    if board.file.contamination.probe:
        stage = _stage("probe", START, None, stage_identity.probing(board, common, base))
        result.stages[stage.id] = stage
        result.cells[-1] = replace(result.cells[-1], probe=(stage.id,))
    return result


def add_cell(
    result: Plan,
    name: str,
    seed: int | None,
    chain: Sequence[Stage],
    base: Base,
    command: str,
    model: Path | None = None,
    share: float = 1.0,
    tuning: Tuning | None = None,
) -> None:
    """Add a cell: the stages that train it, one that generates answers, and one that judges them.

    `model` is the folder of a model that is scored as it is and is not the start model.
    """
    board, parent = result.board, chain[-1] if chain else None
    if parent is None:  # every plan has such a cell
        for score in board.scores:
            score.check()
        _check_model(board, model)
    label = parent.label if parent else name
    common = stage_identity.common(board, result.machine)
    identity = stage_identity.generation(board, common, base)
    generate = _stage("generate", label, seed, identity, parent, model=model)
    judge = _stage("judge", label, seed, stage_identity.judging(board, generate.id), generate)
    for stage in (*chain, generate, judge):
        result.stages.setdefault(stage.id, stage)
    train = tuple(stage.id for stage in chain)
    ids = generate.id, judge.id
    result.cells.append(Cell(board.digest, name, seed, train, *ids, command, share, tuning))


def _check_model(board: Board, model: Path | None) -> None:
    """Refuse what a model at hand cannot do: a chat without a template, a limit without room."""
    folder, what = (model, f"the model in {model}") if model else (None, "the start model")
    folder = folder or board.at_hand("start")
    context = checkpoints.context_length(folder) if folder else None
    template = folder is None or checkpoints.has_chat_template(folder)
    if folder:
        imported(folder)  # it is refused here if it cannot be recorded
    for one in board.scores:
        if one.protocol.chat and not template:
            raise UsageError(
                f"board {board.name!r}: protocol {one.protocol.name} needs a chat template and"
                f" {what} has none; take base_fewshot"
            )
        score = one.table
        if context is not None and score.max_new_tokens >= context:
            raise UsageError(
                f"board {board.name!r}: max_new_tokens = {score.max_new_tokens:,} of"
                f" {score.task} leaves no room for a prompt: {what} has a context of"
                f" {context:,} tokens"
            )


def get_models(plan: Plan) -> None:
    """Download what a plan needs and is not at hand, and check what could not be checked before."""
    if any(each.model is None for each in plan.stages.values()):
        plan.board.model("start")
    offers = [each.offer for each in plan.stages.values() if each.offer]
    for trainer in {offer.trainer.name: offer.trainer for offer in offers}.values():
        if trainer.needs_teacher:
            plan.board.model("teacher")
            if trainer.same_tokenizer:
                check_tokenizer(trainer, plan.board)


def _stage(
    kind: Kind,
    label: str,
    seed: int | None,
    identity: Identity,
    parent: Stage | None = None,
    offer: Offer | None = None,
    model: Path | None = None,
) -> Stage:
    plain = re.sub(r"\(.*\)", "", label, flags=re.DOTALL)  # settings are in the digest
    name = f"{kind}-{cell_name(slug(plain), seed, '-s')}-{digest(identity)[:16]}"
    return Stage(name, kind, label, seed, identity, parent.id if parent else None, model, offer)


def command_of(
    asked: Recipes, name: str, seeds: Sequence[int] = (), trials: int | None = None
) -> str:
    """Return the command that makes a row, or some of its seeds."""
    changed = [f"--set '{setting}'" for setting in asked.settings(name)]
    tune = [] if trials is None else [f"--tune {trials}"]
    return " ".join([_command(asked.board, name, seeds), *tune, *changed])


def _command(board: Board, name: str, seeds: Sequence[int]) -> str:
    chosen = [f"--seeds {','.join(map(str, seeds))}"] if seeds else []
    return " ".join([f"harness bench {board.reference} --plugins {name}", *chosen])
