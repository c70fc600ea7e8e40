"""The problems and gold answers of what was scored, looked up where they are to be shown.

Neither records nor stored answers hold them; the tasks do, if they are at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.boards.board import load_board
from harness.errors import HarnessError, UsageError
from harness.plugin.host import Host
from harness.records import Score
from harness.tasks.canonical import Row
from harness.tasks.task import Task


class Questions:
    """Test rows by the id of their problem, for the scores of one board.

    Args:
        find: Returns the task of a name, or raises what tells a person why it is not at hand.

    Attributes:
        missing: One line for each task that was asked for and is not at hand.
    """

    def __init__(self, find: Callable[[str], Task]) -> None:
        self._find = find
        self._found: dict[tuple[str, str], tuple[Task, Mapping[str, Row]] | None] = {}
        self.missing: dict[str, str] = {}

    def of(self, score: Score) -> Mapping[str, Row] | None:
        """Return the rows of a score's task by id; None if they are not at hand."""
        key = (score.task, score.task_digest)
        if key not in self._found:
            try:
                self._found[key] = self._look(score)
            except HarnessError as error:
                self._found[key] = None
                self.missing[score.task] = (
                    f"problems and gold answers of {score.task} are not at hand: {error}"
                )
        found = self._found[key]
        return found[1] if found else None

    def needed(self, score: Score) -> tuple[Task, Mapping[str, Row]]:
        """Return a score's task, and its test rows by id.

        Raises:
            UsageError: If they are not at hand.
        """
        self.of(score)
        found = self._found[score.task, score.task_digest]
        if found is None:
            raise UsageError(self.missing[score.task])
        return found

    def _look(self, score: Score) -> tuple[Task, Mapping[str, Row]]:
        task = self._find(score.task)
        if task.digest != score.task_digest:
            raise UsageError("the rows here are not those that were scored")
        return task, {row["id"]: row for row in task.graded("test")}


def questions_of(reference: str, data_dir: Path | None) -> Questions:
    """Return the questions of a board, or of published records, whose tasks are at hand.

    Nothing is downloaded.

    Args:
        reference: A board's name or file, or a folder of published records.
        data_dir: A folder of published data.
    """
    host = Host(data_dir=data_dir, download=False)

    def find(name: str) -> Task:
        if not Path(reference).is_dir():
            board = load_board(reference, host)
            if name in board.tasks:
                return board.tasks[name]
        return host.task(name)

    return Questions(find)
