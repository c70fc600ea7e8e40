"""The plan: which cells a bench has, which stages they need, and which of them are shared.

A stage's name is a digest of all that can change its result. Two cells that need the same stage
(the `sft` of `sft` and of `sft+rl`) therefore name the same folder, and it is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pydantic

from harness import checkpoints
from harness.bench import stage_identity
from harness.bench.facts import as_facts
from harness.bench.overrides import overrides_of, written
from harness.boards.board import Board
from harness.boards.file import explain
from harness.boards.own import check_rows, check_solutions
from harness.contamination.board import check_apart
from harness.errors import PluginError, UsageError, did_you_mean
from harness.files import slug
from harness.imported import imported
from harness.plugin.executor import Facts
from harness.plugin.host import Host, Offer
from harness.plugin.trainer import Trainer
from harness.records import START, Cell, at_share, cell_name
from harness.stage.spec import Base, Device, Identity, Kind, digest


@dataclass(frozen=True)
class Stage:
    """One process doing one thing: train, generate answers, or judge them."""

    id: str  # also the name of its folder
    kind: Kind
    label: str  # for people: the chain up to here
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
) -> Plan:
    """Return the plan of a bench.

    `where` is what runs the stages: a device of this machine, or the facts of another.

    `terms` are trainers, chains or plug-ins as given to `--plugins`, `overrides` are
    `trainer.option=value` as given to `--set`; the board's trainers and seeds hold where none are
    given.

    Raises:
        UsageError, PluginError: If a name, an option or a value is not valid, or a trainer's
            teacher is missing or has another tokenizer. Nothing has been loaded or trained then.
    """
    names: list[str] = []
    for term in terms or board.file.trainers:
        offered = [name for name in host.offers(term) if name not in names]
        names += [name for name in offered if term != "all" or _has_needs(name, host, board)]
    _check_options(board, host)
    changed = overrides_of(overrides)
    parts = {name: _parts(name, host) for name in names}
    used = {part for chain in parts.values() for part in chain}
    for trainer in changed:
        if trainer not in used:
            raise UsageError(f"--set {trainer}.…: not in this bench; {did_you_mean(trainer, used)}")
    if foreign := sorted({*seeds} - {*board.file.seeds}):
        fixed = ", ".join(map(str, board.file.seeds))
        raise UsageError(
            f"--seeds: board {board.name!r} fixes the seeds {fixed}, and"
            f" {', '.join(map(str, foreign))} is not among them; a board of another name may fix"
            " others"
        )
    offers = {part: host.trainer(part) for part in used}
    options = {part: _options(offers[part], board, changed.get(part, {})) for part in sorted(used)}
    for offer in offers.values():
        _check_needs(offer.trainer, board)
    result = plan_start(board, where, names[0])  # its own refusals name files and lines: first
    check_apart(board)
    common = stage_identity.common(board, result.machine)
    start = Base(model=board.identity("start"))
    points = board.file.curve.shares if board.file.curve else ()
    for part, name in product((1.0, *points), names):
        mine = {one: changed[one] for one in parts[name] if one in changed}
        settings = written(mine)
        shown = at_share(name + (f"({', '.join(settings)})" if settings else ""), part)
        for seed in seeds or board.file.seeds:
            chain: list[Stage] = []
            for position, one in enumerate(parts[name]):
                parent = chain[-1] if chain else None
                base = Base(stage=parent.id) if parent else start
                given = {*board.file.options.get(one, {}), *changed.get(one, {})}
                length = len(parts[name])
                share = stage_identity.share(board, position, length, given, part)
                identity = stage_identity.training(
                    board, offers[one], options[one], seed, common, base, share
                )
                so_far = (position + 1) * part / length if board.file.budget.fill else 1.0
                label = at_share("+".join(parts[name][: position + 1]), so_far)
                chain.append(_stage("train", label, seed, identity, parent, offers[one]))
            last, command = Base(stage=chain[-1].id), _command(board, name, settings, (seed,))
            _add_cell(result, shown, seed, chain, last, command, share=part)
    return result


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
    _add_cell(result, shown, None, (), base, command, model.resolve())
    return result


def plan_start(board: Board, where: Device | Facts = "cpu", trainer: str | None = None) -> Plan:
    """Return the plan that scores the start model; its command names a trainer, any one."""
    result = Plan(board, as_facts(where))
    command = _command(board, trainer or board.file.trainers[0], (), ())
    _add_cell(result, START, None, (), Base(model=board.identity("start")), command)
    return result


def _add_cell(
    result: Plan,
    name: str,
    seed: int | None,
    chain: Sequence[Stage],
    base: Base,
    command: str,
    model: Path | None = None,
    share: float = 1.0,
) -> None:
    """Add a cell: the stages that train it, one that generates answers, and one that judges them.

    `model` is the folder of a model that is scored as it is and is not the start model.
    """
    board, parent = result.board, chain[-1] if chain else None
    if parent is None:  # every plan has such a cell
        check_rows(board)
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
    cell = Cell(board.digest, name, seed, train, generate.id, judge.id, command, share)
    result.cells.append(cell)


def _parts(name: str, host: Host) -> tuple[str, ...]:
    if "+" in name:
        return tuple(name.split("+"))
    return host.trainers()[name].trainer.chain or (name,)


def _options(offer: Offer, board: Board, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trainer's options: its defaults, under the board's, under the command line's.

    A control arm takes what it has of the board's options of its `control_of`, under its own.
    """
    name, model, given = offer.trainer.name, offer.trainer.options, board.file.options
    shared = given.get(offer.trainer.control_of, {}).items()
    found = {option: value for option, value in shared if option in model.model_fields}
    try:
        options = model.model_validate({**found, **given.get(name, {}), **changed})
    except pydantic.ValidationError as error:
        raise UsageError(f"options of trainer {name!r}: {explain(error, model)}") from None
    return options.model_dump(mode="json")


def _has_needs(name: str, host: Host, board: Board) -> bool:
    """Return whether a board names the teacher and the traces that a trainer or chain needs."""
    trainers = [host.trainer(part).trainer for part in _parts(name, host)]
    teacher, traces = board.file.teacher, board.file.data.traces
    return all(
        (teacher or not trainer.needs_teacher) and (traces or not trainer.needs_traces)
        for trainer in trainers
    )


def _check_needs(trainer: Trainer, board: Board) -> None:
    """Refuse a missing teacher, missing traces, or a teacher at hand with another tokenizer."""
    if trainer.needs_teacher:
        if board.file.teacher is None:
            raise UsageError(
                f"trainer {trainer.name!r} needs a teacher; board {board.name!r} names none"
            )
        if trainer.same_tokenizer and board.at_hand("start") and board.at_hand("teacher"):
            _check_tokenizer(trainer, board)
    if trainer.needs_solutions:
        check_solutions(board, trainer.name)
    if trainer.needs_traces and not board.file.data.traces:
        raise UsageError(
            f"trainer {trainer.name!r} needs traces; board {board.name!r} names none"
            " ([data] traces)"
        )


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


def _check_options(board: Board, host: Host) -> None:
    """Refuse options of a trainer that nobody offers, and values that one does not take."""
    for name in board.file.options:
        owner = host.owner(name)
        if owner is None:
            host.load_all()
            hint = did_you_mean(name, host.trainers())
            raise UsageError(f"board {board.name!r}: [options.{name}]: no such trainer; {hint}")
        try:
            host.load(owner)
        except PluginError:
            continue  # it is broken, and this bench may not need it
        offers = host.trainers()
        if name not in offers or offers[name].trainer.chain:
            hint = did_you_mean(name, [n for n, o in offers.items() if not o.trainer.chain])
            raise UsageError(f"board {board.name!r}: [options.{name}]: no such trainer; {hint}")
        _options(offers[name], board, {})


def _check_tokenizer(trainer: Trainer, board: Board) -> None:
    if not checkpoints.same_tokenizer(board.model("start"), board.model("teacher")):
        raise UsageError(
            f"trainer {trainer.name!r} needs a teacher with the start model's tokenizer;"
            f" {board.file.teacher} has another (kd-sequence works with any)"
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
                _check_tokenizer(trainer, plan.board)


def _stage(
    kind: Kind,
    label: str,
    seed: int | None,
    identity: Identity,
    parent: Stage | None = None,
    offer: Offer | None = None,
    model: Path | None = None,
) -> Stage:
    name = f"{kind}-{cell_name(slug(label), seed, '-s')}-{digest(identity)[:16]}"
    return Stage(name, kind, label, seed, identity, parent.id if parent else None, model, offer)


def _command(board: Board, name: str, settings: tuple[str, ...], seeds: tuple[int, ...]) -> str:
    chosen = [f"--seeds {','.join(map(str, seeds))}"] if seeds else []
    changed = [f"--set '{setting}'" for setting in settings]
    return " ".join([f"harness bench {board.reference} --plugins {name}", *chosen, *changed])
