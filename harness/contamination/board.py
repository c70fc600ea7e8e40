"""What a board's test sets share with what its trainers train on, computed beside other work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from harness.boards.board import Board
from harness.boards.own import placed
from harness.contamination.overlap import Overlap, Passage, TestSets, passages
from harness.errors import TamperedError, UsageError
from harness.files import read_jsonl, read_verified
from harness.records import Score
from harness.tasks.canonical import plain

SYNTHETIC = "synthetic.jsonl"
"""What a stage wrote and trained on, in its folder: a line for each text, `{"text": ...}`."""
_Found = dict[str, Overlap]  # by task
_DATA, _TRACES = "training rows", "traces"


class BoardOverlaps:
    """The overlaps of a board's test sets with its training rows and with stages' own texts.

    Each is computed once, in a thread of its own that `begin` starts early; whoever needs it before
    it is there waits. Nothing is kept on disk: it quotes test problems, and could be changed there.
    Use it as a context manager, so that an interrupted computation ends.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self._thread = ThreadPoolExecutor(1, "contamination")
        self._stop = threading.Event()
        self._futures: dict[str, Future[_Found]] = {}

    def __enter__(self) -> BoardOverlaps:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def tests(self) -> dict[str, list[dict[str, str]]]:
        """Return the problems by task; of a task that is scored twice the longer list."""
        tests: dict[str, list[dict[str, str]]] = {}
        for score in self.board.file.scores:
            rows = self.board.test_rows(score)
            tests[score.task] = max(tests.get(score.task, []), rows, key=len)
        return tests

    @cached_property
    def _index(self) -> TestSets:
        return TestSets(self.tests)

    def of_data(self) -> _Found:
        """Return what the test sets share with the board's training rows, solutions included."""
        return self._begun(_DATA, lambda: passages(self.board.train_rows())).result()

    def of_traces(self) -> _Found:
        """Return what the test sets share with the board's traces of a stronger model."""
        return self._begun(_TRACES, lambda: passages(self.board.trace_rows())).result()

    def of_stage(self, stage: Path, sha256: str | None = None) -> _Found:
        """Return what the test sets share with the texts that a finished stage made.

        Args:
            stage: The stage's folder.
            sha256: Of its texts, as its manifest has it; None where nothing is known of them.

        Raises:
            TamperedError: If the texts are not those that the stage left.
        """
        return self._begun(str(stage), lambda: _texts(stage, sha256)).result()

    def begin(self, *, traces: bool = False) -> None:
        """Start comparing the board's training rows, and its traces if a trainer uses them."""
        self._begun(_DATA, lambda: passages(self.board.train_rows()))
        if traces:
            self._begun(_TRACES, lambda: passages(self.board.trace_rows()))

    def begin_stage(self, stage: Path, sha256: str | None) -> None:
        """Start comparing the texts that a finished stage made; see `of_stage`."""
        self._begun(str(stage), lambda: _texts(stage, sha256))

    @property
    def idle(self) -> bool:
        """Return whether all that was begun is there."""
        return all(future.done() for future in self._futures.values())

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

        names = ("overlap_13", "overlap_8", "rephrased")
        return [
            score.model_copy(update={name: places(score, name) for name in names})
            for score in scores
        ]

    def _begun(self, name: str, texts: Callable[[], Iterable[Passage] | None]) -> Future[_Found]:
        if name not in self._futures:
            self._futures[name] = self._thread.submit(self._compare, texts)
        return self._futures[name]

    def _compare(self, texts: Callable[[], Iterable[Passage] | None]) -> _Found:
        found = texts()
        return {} if found is None else self._index.check(self._until_stopped(found))

    def _until_stopped(self, texts: Iterable[Passage]) -> Iterator[Passage]:
        for passage in texts:
            if self._stop.is_set():
                raise CancelledError
            yield passage


def _texts(stage: Path, sha256: str | None) -> list[Passage] | None:
    """Return the texts that a stage made; None if it made none."""
    path = stage / SYNTHETIC
    if sha256 is None and not path.is_file():
        return None
    if sha256 is not None:
        try:
            read_verified(path, sha256)
        except TamperedError as error:
            raise TamperedError(f"{error}; the next bench does the stage again") from None
    # of a row without `text` all of it is compared, so that nothing is missed
    rows = ((n, row.get("text", row)) for n, row in read_jsonl(path))
    return [Passage(f"{stage.name}/{SYNTHETIC}:{n}", str(text)) for n, text in rows]


def check_apart(board: Board) -> None:
    """Refuse a board that gives its trainers a test problem with its gold answer.

    Two published data sets may share problems: their authors chose them, known cases are told in
    `harness tasks`, and records mark them. Rows that are not published are the board's to choose.
    Rows that are not on this machine yet are not looked at.

    Raises:
        UsageError: If a problem of a test set is, but for case, spacing and width, one that is
            trained on or held out.
    """
    data = [(name, split) for name in board.file.data.train for split in ("train", "holdout")]
    data += [(name, "train") for name in board.file.data.traces]
    given: dict[str, list[tuple[str, str]]] = {}
    for name, split in data:
        for at, row in placed(board, name, split):
            given.setdefault(plain(row["problem"]), []).append((name, at))
    for score in board.scores:
        shared = [
            f"{at} is {other} of {name}"
            for at, row in placed(board, score.task.name, "test")
            for name, other in given.get(plain(row["problem"]), ())[:1]
            if not (score.task.published and board.tasks[name].published)
        ]
        if shared:
            more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""
            raise UsageError(
                f"board {board.name!r}: its trainers are given {len(shared)} test problems of"
                f" {score.task.name}: {', '.join(shared[:5])}{more}; remove them from either"
            )
