"""What a board's test sets share with what its trainers train on, computed once for each text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pydantic

from harness.boards.board import Board
from harness.contamination.overlap import VERSION, Overlap, Passage, TestSets, passages
from harness.errors import UsageError
from harness.files import json_sha256, read_bytes, read_jsonl, write_atomically
from harness.records import Score

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
            tests[score.task] = max(tests.get(score.task, []), rows, key=len)
        return tests

    @cached_property
    def _tests_digest(self) -> str:
        return json_sha256(
            {task: [row["problem"] for row in self.tests[task]] for task in self.tests}
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
        if not (stage / SYNTHETIC).is_file():
            return {}
        # of a row without `text` all of it is compared, so that nothing is missed
        rows = ((n, row.get("text", row)) for n, row in read_jsonl(stage / SYNTHETIC))
        return self._kept([Passage(f"{stage.name}/{SYNTHETIC}:{n}", str(text)) for n, text in rows])

    def filled(
        self, scores: Sequence[Score], stages: Sequence[Path], *, traces: bool = False
    ) -> list[Score]:
        """Return scores with the problems that a chain's training texts share.

        Args:
            scores: Of the chain's last checkpoint.
            stages: The folders of its finished stages.
            traces: Whether one of them trains on the board's traces.
        """
        overlaps = dict(self.of_data())
        for found in (*([self.of_traces()] if traces else []), *map(self.of_stage, stages)):
            for task, overlap in found.items():
                overlaps[task] = overlaps[task].joined(overlap)

        def places(score: Score, name: str) -> tuple[int, ...]:
            # a task that is scored twice may have fewer problems in this score
            return tuple(place for place in getattr(overlaps[score.task], name) if place < score.n)

        names = ("overlap_13", "overlap_8")
        return [
            score.model_copy(update={name: places(score, name) for name in names})
            for score in scores
        ]

    def _kept(self, texts: Sequence[Passage]) -> dict[str, Overlap]:
        """Return the overlap, computed only if no bench has left it in the folder."""
        key = json_sha256([VERSION, self._tests_digest, texts])
        if key not in self._found:
            path = self.folder / f"{key[:32]}.json" if self.folder else None
            try:
                found = _Overlaps.validate_json(read_bytes(path) if path else b"")
            except (UsageError, ValueError):  # not there, or of another version of `Overlap`
                found = tuple(self._index.check(texts).values())
                if path:
                    write_atomically(path, _Overlaps.dump_json(found, indent=1).decode() + "\n")
            self._found[key] = {overlap.task: overlap for overlap in found}
        return self._found[key]
