"""What a board's test sets share with what its trainers train on, computed once for each text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

from harness.contamination.overlap import VERSION, Overlap, Passage, TestSets, passages
from harness.files import json_sha256, read_jsonl, write_atomically
from harness.records import Score

if TYPE_CHECKING:
    from harness.boards.board import Board

SYNTHETIC = "synthetic.jsonl"
"""What a stage wrote and trained on, in its folder: a line for each text, `{"text": ...}`."""
_Overlaps = pydantic.TypeAdapter(tuple[Overlap, ...])


class BoardOverlaps:
    """The overlaps of a board's test sets with its training rows and with stages' own texts.

    They depend on texts alone, so each is kept in the folder under the digest of the texts; without
    a folder nothing is written.
    """

    def __init__(self, board: Board, folder: Path | None) -> None:
        self.board = board
        self.folder = folder / "contamination" if folder else None
        self._found: dict[str, dict[str, Overlap]] = {}

    @cached_property
    def tests(self) -> dict[str, list[dict[str, str]]]:
        """Return the problems by task; of a task that is scored twice the longer list."""
        tests: dict[str, list[dict[str, str]]] = {}
        for score in self.board.file.scores:
            rows = self.board.test_rows(score)
            if len(rows) > len(tests.get(score.task, ())):
                tests[score.task] = rows
        return tests

    @cached_property
    def _tests_digest(self) -> str:
        return json_sha256(
            {task: [row["problem"] for row in rows] for task, rows in self.tests.items()}
        )

    @cached_property
    def _index(self) -> TestSets:
        return TestSets(self.tests)

    def of_data(self) -> dict[str, Overlap]:
        """Return what the test sets share with the board's training rows, solutions included."""
        return self._kept(list(passages(self.board.train_rows())))

    def of_traces(self) -> dict[str, Overlap]:
        """Return what the test sets share with the board's traces of a stronger model."""
        return self._kept(list(passages(self.board.trace_rows())))

    def of_stage(self, stage: Path) -> dict[str, Overlap]:
        """Return what the test sets share with the texts that a finished stage made."""
        path = stage / SYNTHETIC
        return self._kept(list(_synthetic(path))) if path.is_file() else {}

    def of_chain(self, stages: Sequence[Path], *, traces: bool = False) -> dict[str, Overlap]:
        """Return what the test sets share with all that a chain of stages trained on.

        Args:
            stages: The folders of its finished stages.
            traces: Whether one of them trains on the board's traces.
        """
        joined = self.of_data()
        more = [self.of_traces()] if traces else []
        for found in (*more, *map(self.of_stage, stages)):
            for task, overlap in found.items():
                joined = {**joined, task: joined[task].joined(overlap)}
        return joined

    def filled(
        self, scores: Sequence[Score], stages: Sequence[Path], *, traces: bool = False
    ) -> list[Score]:
        """Return scores with the problems that a chain's training texts share."""
        overlaps = self.of_chain(stages, traces=traces)
        return [
            score.model_copy(
                update={
                    name: tuple(
                        place for place in getattr(overlaps[score.task], name) if place < score.n
                    )
                    for name in ("overlap_13", "overlap_8")
                }
            )
            for score in scores
        ]

    def _kept(self, texts: Sequence[Passage]) -> dict[str, Overlap]:
        """Return the overlap, computed only if no bench has left it in the folder."""
        key = json_sha256([VERSION, self._tests_digest, texts])
        if key not in self._found:
            found = self._read(key)
            if found is None:
                found = tuple(self._index.check(texts).values())
                if self.folder:
                    text = _Overlaps.dump_json(found, indent=1).decode() + "\n"
                    write_atomically(self.folder / f"{key[:32]}.json", text)
            self._found[key] = {overlap.task: overlap for overlap in found}
        return self._found[key]

    def _read(self, key: str) -> tuple[Overlap, ...] | None:
        if self.folder is None:
            return None
        try:
            return _Overlaps.validate_json((self.folder / f"{key[:32]}.json").read_bytes())
        except (OSError, ValueError):
            return None


def _synthetic(path: Path) -> Iterator[Passage]:
    """Yield a stage's texts; of a row without `text` all of it, so that nothing is missed."""
    for number, row in read_jsonl(path):
        yield Passage(f"{path.parent.name}/{path.name}:{number}", str(row.get("text", row)))
