"""Spot checks: some questions of a record are answered again by the checkpoint that it scored."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness import checkpoints
from harness.bench.executors.local import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan_score
from harness.bench.scheduler import run
from harness.boards.board import Board
from harness.errors import TamperedError
from harness.files import read_jsonl
from harness.plugin.host import Host
from harness.publish.answers import Answers
from harness.records import START, Record
from harness.tasks.protocols import score_name

KEYS = ("text", "tokens", "finish")  # of an answer, which are compared


@dataclass(frozen=True)
class SpotCheck:
    """Answers `questions` questions of each greedy score again.

    They are drawn by the record's digest and by `draw`. Whoever makes a record knows its digest,
    and may make it again until other questions are drawn; a text of the checker nobody knows.

    Checkpoints are looked for in `runs`, a board's runs folder, and in `folders`, by their digests.
    """

    board: Board
    host: Host
    questions: int
    runs: Path
    folders: tuple[Path, ...]
    device: str
    draw: str = ""

    def __call__(self, record: Record, answers: Answers) -> list[str] | None:
        """Return a line for each score with other answers; None where no checkpoint is found.

        Raises:
            TamperedError: If generating did not end well.
        """
        model = self._checkpoint(record)
        if model is None:
            return None
        tables = tuple(
            one.model_copy(update={"limit": min(self.questions, one.limit or self.questions)})
            for one in self.board.file.scores
        )
        file = self.board.file.model_copy(update={"scores": tables})
        draw = f"{record.digest} {self.draw}"
        board = Board(file, self.board.path, self.host, draw=draw)
        with tempfile.TemporaryDirectory(prefix="harness-spot-") as scratch:
            folder = Folder(Path(scratch).resolve())
            threads = file.compute.threads
            executor = LocalExecutor(1, self.device, threads, folder.path / "warm.log")
            plan = plan_score(board, model, "cuda" if self.device == "cuda" else "cpu")
            outcome = run(plan, self.host, folder, executor, lambda event, facts: None)
            found = next(iter(outcome.records), None)
            if found is None or found.status != "ok":
                why = (found and found.error) or "it was interrupted"
                raise TamperedError(f"{record.cell} could not be answered again: {why}")
            return list(_differ(found, folder, answers, board))

    def _checkpoint(self, record: Record) -> Path | None:
        wanted = record.checkpoint.digest if record.checkpoint else ""
        places = list(self.folders)
        if record.trainer == START:
            places += [model] if (model := self.board.at_hand("start")) else []
        elif record.stages:
            places.append(self.runs / "stages" / record.stages[-1].stage / "checkpoint")
        found = (path for path in places if (path / "config.json").is_file())
        return next((path for path in found if checkpoints.digest(path) == wanted), None)


def _differ(found: Record, folder: Folder, answers: Answers, board: Board) -> Iterable[str]:
    for score, table in zip(found.scores, board.file.scores, strict=True):
        if table.temperature:
            continue  # what was drawn is not drawn again
        name = score_name(score.task, score.protocol)
        again = [row for _, row in read_jsonl(folder.answers(found.id) / f"{name}.jsonl")]
        before = {(one["id"], one["sample"]): one for one in answers.get(name, ())}
        other = sum(
            any(before[one["id"], one["sample"]][key] != one[key] for key in KEYS) for one in again
        )
        if other:
            yield (
                f"{score.task}: the checkpoint answers {other} of {len(again)} questions otherwise"
                " (another machine may change a few close calls)"
            )
