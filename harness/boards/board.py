"""Boards: the conditions, fixed in a TOML file before anyone trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, TypeGuard

from harness import checkpoints
from harness.boards.conditions import Conditions
from harness.boards.file import BoardFile, ScoreTable, Which, read_board_file
from harness.boards.score import BoardScore
from harness.errors import UsageError, did_you_mean
from harness.files import file_sha256, json_sha256
from harness.imported import imported
from harness.plugin.host import Host
from harness.plugin.scored_rows import choose
from harness.records import START
from harness.tasks.protocols import Protocol, get_protocol, training_protocol
from harness.tasks.task import Task
from harness.verify import VERIFIER_VERSION

BUILT_IN = Path(__file__).parent / "known"
# keys for how to run or show a board: they cannot change a result
NOT_CONDITIONS: dict[str, Any] = {
    **dict.fromkeys(("title", "trainers", "notes", "quoted", "curve", "contamination"), True),
    "compute": {"save_every", "save_minutes", "stage_seconds", "micro_batch_size", "environment"},
    "scores": {"__all__": {"baseline"}},
}


class Board:
    """A board with everything its file refers to found and checked.

    Attributes:
        file: The validated content of the TOML file at `path`.
        folder: Where the file lies; model folders are relative to it.
        tasks: The tasks of its data and scores by name.
        scores: Its scores in order, each with its task and its protocol.
        reference: What a command takes as BOARD: its name, or its file if it has no known name.
        draw: What the problems of a limited score are drawn by; empty for the first ones.
        held_out: The sha256 of training problems that are left out; see `harness.boards.holdout`.
    """

    held_out = ""

    def __init__(self, file: BoardFile, path: Path, host: Host, *, draw: str = "") -> None:
        self.draw = draw
        self.file, self.path, self.folder = file, path, path.parent.resolve()
        for plugin in file.plugins:
            host.load(plugin)
        shipped = (BUILT_IN / f"{file.name}.toml", host.boards().get(file.name))
        self.reference = file.name if path in shipped else path.name
        known = host.tasks()
        for name, own in file.tasks.items():
            if name in known:
                raise UsageError(f"board {file.name!r}: a plug-in has a task {name!r} already")
            known[name] = own.task(name, path.parent)
        self.tasks: dict[str, Task] = {}
        used = [(name, "train") for name in (*file.data.train, *file.data.traces)]
        self._used = dict.fromkeys([*used, *((score.task, "test") for score in file.scores)])
        for name, split in self._used:
            if name not in known:
                hint = did_you_mean(name, known) if known else "add its plug-in to plugins"
                raise UsageError(f"board {file.name!r}: no task {name!r}; {hint}")
            task = self.tasks[name] = known[name]
            if task.source and not task.has(split):  # the rows of other tasks are not read here
                word = "training" if split == "train" else split
                raise UsageError(f"board {file.name!r}: task {name!r} has no {word} rows")
        self.scores = tuple(
            BoardScore(score, self.tasks[score.task], get_protocol(score.protocol))
            for score in file.scores
        )
        if file.data.train:
            _ = self.protocol  # a board that trains is refused here if it has none

    def finder(self, host: Host) -> Callable[[str], Task]:
        """Return what finds a task by its name: of the board's own files, or of a plug-in."""
        return lambda name: self.tasks[name] if name in self.tasks else host.task(name)

    @property
    def name(self) -> str:
        return self.file.name

    @cached_property
    def protocol(self) -> Protocol:
        """Return the protocol that it ranks by, which makes the training prompts."""
        return training_protocol(self.ranking.protocol)

    @property
    def ranking(self) -> ScoreTable:
        """Return the score that the board ranks by."""
        return next(score for score in self.file.scores if score.ranking)

    def rows(self, task: str, split: str) -> list[dict[str, str]]:
        """Return the rows of a split as the board uses them, with the task's name in each.

        A row without a gold answer can be neither right nor wrong, so it is left out.
        """
        rows = self.tasks[task].graded(split)
        if split != "test":
            if longest := self.file.data.longest:
                rows = [row for row in rows if characters(row) <= longest]
            rows = rows[: self.file.data.limit]
        return [{**row, "task": task} for row in rows]

    def rows_at_hand(self, task: str, split: str) -> list[dict[str, str]] | None:
        """Return the rows of a split if nothing has to be downloaded for them, or None."""
        return self.rows(task, split) if self.tasks[task].here(split) else None

    def count(self, task: str, split: str) -> int:
        """Return how many rows of a split the board uses, as declared while they are not here."""
        if (rows := self.rows_at_hand(task, split)) is not None:
            return len(rows)
        size = self.tasks[task].size(split)
        return min(size, self.file.data.limit or size) if split != "test" else size

    def problems(self, score: ScoreTable) -> int:
        """Return how many problems a score has, as declared while they are not here."""
        size = self.count(score.task, "test")
        return min(size, score.limit or size)

    def train_rows(self, split: str = "train") -> list[dict[str, str]]:
        """Return the training (or held-out) rows of all training tasks; each must have some."""
        rows = []
        for task in self.file.data.train:
            found = self.rows(task, split)
            if split == "train" and not found:
                raise UsageError(f"board {self.name!r}: task {task!r} has no training rows")
            rows += found
        return rows

    def trace_rows(self) -> list[dict[str, str]]:
        """Return the rows whose solutions a stronger model wrote; each task must have some."""
        rows = []
        for task in self.file.data.traces:
            found = [row for row in self.rows(task, "train") if row.get("solution", "").strip()]
            if not found:
                raise UsageError(f"board {self.name!r}: task {task!r} has no traces to train on")
            rows += found
        return rows

    def warnings(self) -> tuple[str, ...]:
        """Return what a reader of the leaderboard must know of the data."""
        found = (self.tasks[task].warnings(split) for task, split in self._splits())
        return tuple(chain.from_iterable(found))

    def left_out(self) -> tuple[str, ...]:
        """Return one sentence for each split that has rows without a gold answer."""
        found = []
        for task, split in self._splits():
            rows = self.tasks[task].split(split)
            if empty := sum(not row["answer"].strip() for row in rows):
                of_all = f"{empty} of the {len(rows):,} {split} rows of {task}"
                found.append(f"{of_all} have no gold answer and are left out")
        return tuple(found)

    def _splits(self) -> list[tuple[str, str]]:
        """Return the tasks and splits of the board whose rows are here or may be downloaded."""
        return [
            (task, split)
            for task, split in self._used
            if self.tasks[task].here(split) or self.tasks[task].place.download
        ]

    def accelerate_file(self) -> Path | None:
        """Return the file for `accelerate launch`, where the board names one; it must be there."""
        name = self.file.compute.accelerate
        path = self.folder / name if name else None
        if path is not None and not path.is_file():
            raise UsageError(f"board {self.name!r}: no file {path} ([compute] accelerate)")
        return path

    @property
    def tested(self) -> dict[str, Task]:
        """Return the tasks of its scores: no training stage may have their test rows."""
        return {score.task: self.tasks[score.task] for score in self.file.scores}

    def test_rows(self, score: ScoreTable) -> list[dict[str, str]]:
        rows = choose(self.rows(score.task, "test"), score.limit, self.draw)
        if not rows:
            raise UsageError(f"board {self.name!r}: task {score.task!r} has no test rows")
        return rows

    def model(self, which: Which) -> Path:
        """Return the folder of the start model or the teacher, checked, downloaded if need be."""
        reference = self.file.model(which)
        if reference is None:
            raise UsageError(f"board {self.name!r} names no teacher")
        try:
            path = checkpoints.resolve_model(reference, self.folder)
            checkpoints.check_model_folder(path, "start model" if which == "start" else which)
        except UsageError as error:
            raise UsageError(f"board {self.name!r}: {error}") from None
        return path

    def at_hand(self, which: Which) -> Path | None:
        """Return a model's folder if nothing has to be downloaded for it, or None."""
        reference = self.file.model(which)
        if self._on_hub(reference):
            return checkpoints.find_model(reference, self.folder)
        return self.model(which) if reference else None

    def identity(self, which: Which) -> str | None:
        """Return what identifies a model: the digest of a folder, or Hub id and commit."""
        reference = self.file.model(which)
        if self._on_hub(reference):
            return reference
        return checkpoints.digest(self.model(which)) if reference else None

    def _on_hub(self, reference: str | None) -> TypeGuard[str]:
        """Return whether a model is one of the Hub's and no folder of this machine."""
        return "@" in (reference or "") and not (self.folder / str(reference)).exists()

    def conditions(self) -> Conditions:
        """Return what this board fixes, in the words that its leaderboard prints."""
        file = self.file
        data = ", ".join(f"{name} ({self._trained_on(name)})" for name in file.data.train)
        caps = " and ".join(f"{value:,g} {name}" for name, value in file.budget.set_caps().items())
        return Conditions(
            board=self.name,
            digest=self.digest,
            title=file.title,
            start_model=self._described("start") or "",
            teacher=self._described("teacher"),
            data=data,
            budget=f"at most {caps}; {file.budget.described}",
            caps=file.budget.caps(),
            fill=file.budget.fill,
            curve=file.curve.shares if file.curve else (),
            looks=file.until_decided.looks if file.until_decided else (),
            tuning=file.tuning,
            margin=file.margin,
            seeds=file.seeds,
            benchmarks=tuple(one.benchmark() for one in self.scores),
            trainers=(START, *file.trainers),
            notes=(*file.notes, *self.left_out()),
            warnings=self.warnings(),
            quoted=file.quoted,
            protocols={one.protocol.id: one.protocol.summary for one in self.scores},
        )

    def _trained_on(self, task: str) -> str:
        """Return which training rows of a task there are, the same before and after a download."""
        data = self.file.data
        if data.longest:
            size = self.tasks[task].size("train")
            kept = f"those of at most {data.longest} characters of {size:,}"
            return f"{kept}, the first {data.limit:,} of them" if data.limit else kept
        return f"{self.count(task, 'train')} rows"

    def _described(self, which: Which) -> str | None:
        """Return a model as a leaderboard names it: its Hub id and commit, or path and digest.

        Of one that was imported it says from what.
        """
        reference, identity = self.file.model(which), self.identity(which)
        if identity is None or identity == reference:
            return reference
        made = imported(self.model(which))
        return f"{reference} (sha256 {identity[:12]}{f'; {made.described}' if made else ''})"

    @cached_property
    def digest(self) -> str:
        """Return the sha256 over everything that can change a result.

        That is the file but for `NOT_CONDITIONS`, the start model and teacher, every row of every
        task, the protocols and the verifier. A key at its default counts as one that is not there,
        so a key that a later version adds changes no digest.
        """
        return self.digests_under(VERIFIER_VERSION)[0]

    def digests_under(self, verifier_version: str) -> list[str]:
        """Return the digests that this board has, or had, under a version of the verifier.

        The first is with the conventions that its tasks have now, each other one with those that
        they had some changes before.
        """
        changes = max(len(task.earlier) for task in self.tasks.values())
        return [self._digest(verifier_version, back) for back in range(changes + 1)]

    def _digest(self, verifier_version: str, back: int) -> str:
        content = self.file.model_dump(mode="json", exclude_defaults=True, exclude=NOT_CONDITIONS)
        if not content.get("compute"):  # it has nothing that is a condition
            content.pop("compute", None)
        content["start_model"] = self.identity("start")
        content["teacher"] = self.identity("teacher")
        if config := self.accelerate_file():
            content["accelerate"] = file_sha256(config)
        content["tasks"] = {
            name: task.digests[min(back, len(task.earlier))]
            for name, task in sorted(self.tasks.items())
        }
        content["protocols"] = sorted({one.protocol.id for one in self.scores})
        content["verifier"] = verifier_version
        return json_sha256(content)


def characters(row: Mapping[str, str]) -> int:
    """Return the length of a training row: its problem and its solution."""
    return len(row["problem"]) + len(row.get("solution", ""))


def known_boards(host: Host) -> dict[str, Path]:
    """Return the files of all boards: those of this project and those that plug-ins ship."""
    host.load_all()
    return {**{path.stem: path for path in sorted(BUILT_IN.glob("*.toml"))}, **host.boards()}


def load_board(reference: str, host: Host) -> Board:
    """Load a board by its name or the path of its TOML file."""
    path = _find(reference, host)
    return Board(read_board_file(path), path, host)


def _find(reference: str, host: Host) -> Path:
    if reference.endswith(".toml") or "/" in reference:
        if not Path(reference).is_file():
            beside = [str(path) for path in _files(Path(reference).parent)]
            hint = f"; {did_you_mean(str(Path(reference)), beside)}" if beside else ""
            raise UsageError(f"no board file {reference}{hint}")
        return Path(reference)
    built_in = BUILT_IN / f"{reference}.toml"
    if built_in.is_file():
        return built_in
    owner = host.owner(reference)
    if owner is not None:  # it alone is loaded: another plug-in may be broken
        host.load(owner)
        if reference in host.boards():
            return host.boards()[reference]
    boards = known_boards(host)
    if reference not in boards:
        here = (path.name for path in _files(Path()))  # a board of one's own is named with .toml
        raise UsageError(f"no board {reference!r}; {did_you_mean(reference, {*boards, *here})}")
    return boards[reference]


def _files(folder: Path) -> list[Path]:
    """Return the TOML files of a folder, without those that are of a Python project."""
    return sorted(path for path in folder.glob("*.toml") if path.name != "pyproject.toml")
