"""What is asked of a board: trainers and chains by their names, each with its options, checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from harness import checkpoints
from harness.boards.board import Board
from harness.boards.own import check_solutions
from harness.boards.plain import explain
from harness.errors import PluginError, UsageError, did_you_mean
from harness.plugin.host import Host, Offer
from harness.plugin.options import LENGTH
from harness.plugin.search import Search, space_of
from harness.plugin.trainer import Trainer
from harness.redact import redact
from harness.tuning import Setting

Overrides = Mapping[str, Mapping[str, Any]]
"""Options of the command line: trainer -> option -> value."""


@dataclass(frozen=True)
class Recipes:
    """The rows that a bench was asked for.

    Attributes:
        board: Whose options hold where the command line gives none.
        parts: The trainers of each row's stages, by the row's name without its settings.
        changed: The options that the command line gives.
        offers: Each trainer of any row.
    """

    board: Board
    parts: dict[str, tuple[str, ...]]
    changed: Overrides
    offers: dict[str, Offer]

    def options(self, trainer: str, tuned: Setting | None = None) -> dict[str, Any]:
        """Return a trainer's options, with those that tuning set under the command line's."""
        given = {**(tuned or {}).get(trainer, {}), **self.changed.get(trainer, {})}
        return _options(self.offers[trainer], self.board, given)

    def given(self, trainer: str) -> set[str]:
        """Return the options that board or command line set for a trainer."""
        return {*self.board.file.options.get(trainer, {}), *self.changed.get(trainer, {})}

    def settings(self, name: str, stages: int | None = None) -> tuple[str, ...]:
        """Write the options that the command line gives for a row, as there.

        With `stages` only those of its first so many stages.
        """
        parts = self.parts[name][:stages]
        return tuple(
            redact(f"{trainer}.{option}={value}")
            for trainer, values in sorted(self.changed.items())
            for option, value in sorted(values.items())
            if trainer in parts
        )

    def space(self, name: str) -> dict[tuple[str, str], Search]:
        """Return what can be tuned of a row: what its trainers declare and nobody has fixed.

        Raises:
            UsageError: If a trainer would have it tuned how long it trains.
        """
        found: dict[tuple[str, str], Search] = {}
        for trainer in dict.fromkeys(self.parts[name]):
            declared = space_of(self.offers[trainer].trainer.options)
            if length := sorted(LENGTH & declared.keys()):
                raise UsageError(
                    f"trainer {trainer!r} has a search space for {length[0]}; a trial is as long as"
                    " its share of the budget, so that cannot be tuned"
                )
            fixed = self.changed.get(trainer, {})
            found |= {
                (trainer, option): one for option, one in declared.items() if option not in fixed
            }
        return found


def recipes(
    board: Board, host: Host, terms: Iterable[str] = (), overrides: Sequence[str] = ()
) -> Recipes:
    """Return what a bench is asked for; for the arguments see `harness.bench.plan.plan`.

    Raises:
        UsageError, PluginError: If a name, an option or a value is not valid, or the board lacks
            what a trainer needs.
    """
    names: list[str] = []
    for term in terms or board.file.trainers:
        offered = [name for name in host.offers(term) if name not in names]
        names += [name for name in offered if term != "all" or _has_needs(name, host, board)]
    _check_options(board, host)
    changed = _overrides(overrides)
    parts = {name: _parts(name, host) for name in names}
    used = sorted({part for chain in parts.values() for part in chain})
    for trainer in changed:
        if trainer not in used:
            raise UsageError(f"--set {trainer}.…: not in this bench; {did_you_mean(trainer, used)}")
    found = Recipes(board, parts, changed, {part: host.trainer(part) for part in used})
    for trainer in used:
        found.options(trainer)
    for offer in found.offers.values():
        _check_needs(offer.trainer, board)
    return found


def _parts(name: str, host: Host) -> tuple[str, ...]:
    if "+" in name:
        return tuple(name.split("+"))
    return host.trainers()[name].trainer.chain or (name,)


def _overrides(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Parse `trainer.option=value`; a value is TOML, or else the text itself."""
    changed: dict[str, dict[str, Any]] = {}
    for text in given:
        match = re.fullmatch(r"([\w-]+)\.(\w+)=(.*)", text, re.DOTALL)
        if not match:
            raise UsageError(f"--set {text}: write trainer.option=value, as in kd.temperature=2.0")
        trainer, option, value = match.groups()
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        if option in changed.setdefault(trainer, {}):
            raise UsageError(f"--set {trainer}.{option} is given twice; one value is meant")
        changed[trainer][option] = parsed
    return changed


def _options(offer: Offer, board: Board, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trainer's options: its defaults, under the board's, under those that are changed.

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
            check_tokenizer(trainer, board)
    if trainer.needs_solutions:
        check_solutions(board, trainer.name)
    if trainer.needs_traces and not board.file.data.traces:
        raise UsageError(
            f"trainer {trainer.name!r} needs traces; board {board.name!r} names none"
            " ([data] traces)"
        )


def check_tokenizer(trainer: Trainer, board: Board) -> None:
    """Refuse a teacher with another tokenizer than the start model's."""
    if not checkpoints.same_tokenizer(board.model("start"), board.model("teacher")):
        raise UsageError(
            f"trainer {trainer.name!r} needs a teacher with the start model's tokenizer;"
            f" {board.file.teacher} has another (kd-sequence works with any)"
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
