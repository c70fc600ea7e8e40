"""Published records judged anew: their answers under this version of the verifier."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.boards.board import Board
from harness.boards.conditions import read_conditions
from harness.errors import UsageError
from harness.files import write_atomically
from harness.leaderboard.evidence import Ledger, Published, is_there, read_ledger
from harness.publish import answers
from harness.publish.recompute import Tasks, judged_anew
from harness.publish.write import aside, publish, rebuild, write_answers
from harness.records import CONDITIONS, PUBLISHED, BoardRef, Record, read_record_files
from harness.rejudged import JudgedBefore
from harness.stage.judge import NOT_FROM_ANSWERS, verifier_pool
from harness.verify import VERIFIER_VERSION, VerifierPool


@dataclass(frozen=True)
class Rejudged:
    """A record that was judged anew."""

    record: Record
    changed: int  # verdicts that are others now
    answers: answers.Held | None  # the lines of its answers with their verdicts


def rejudge(board: Board, folder: Path, tasks: Tasks) -> list[Rejudged]:
    """Judge the published answers of a board anew, and write its records and pages.

    For boards that another version of the verifier judged, or by earlier conventions of tasks,
    and that are otherwise as they were.
    Nothing is generated or trained: costs, commits and dates stay, and each record keeps what the
    earlier version made of it, with the digest that it had (`harness.rejudged`).

    Args:
        board: The board as it is now.
        folder: Of published leaderboards.
        tasks: Finds a task by its name.

    Returns:
        Each record, in the order of publishing; none if this version judged them.

    Raises:
        UsageError: If the board is not published, has changed in another way, or if answers of a
            record or a task's data are not at hand.
        TamperedError: If something was changed after it was published.
    """
    records = folder / "records" / board.name
    if not is_there(records / CONDITIONS):
        raise UsageError(f"{folder} has no board {board.name!r}: nothing to judge anew")
    rebuild(records)  # what was changed by hand is named before anything is judged
    old, files = read_conditions(records / CONDITIONS), read_record_files(records)
    ledger = read_ledger(records, files)
    if old.digest == board.digest:
        return []
    versions = {one.verifier_version for one in files.values()}
    if all(old.digest not in board.digests_under(version) for version in versions):
        raise UsageError(
            f"board {board.name!r} is published under other conditions than its verifier alone"
            f" (digest {old.digest[:12]}); its answers are to other questions or budgets: bench it"
            " again and publish with --replace"
        )
    found, tasks = {}, cache(tasks)
    with verifier_pool() as pool:
        for entry in ledger.records:
            path = records / answers.FOLDER / f"{entry.file}{answers.ENDING}"
            held = answers.hold(path) if entry.answers is not None else None
            one = _Judging(board, tasks, pool)
            found[entry.file] = one.judge(files[entry.file], held, path)
    _write(board, folder, ledger, found)
    return list(found.values())


@dataclass(frozen=True)
class _Judging:
    board: Board
    tasks: Tasks
    pool: VerifierPool

    def judge(self, record: Record, held: answers.Held | None, path: Path) -> Rejudged:
        update: dict[str, object] = {
            "board": BoardRef(name=self.board.name, digest=self.board.digest),
            "verifier_version": VERIFIER_VERSION,
            "judged_before": JudgedBefore.of(record),
        }
        if record.status != "ok" or not record.scores:  # it has no verdicts
            return Rejudged(record.model_copy(update=update).sealed(), 0, held)
        if held is None:
            raise UsageError(
                f"{record.cell} ({record.id}) is a claim: there are no answers of it to judge anew;"
                " delete its record from the board, or bench again and publish with --replace"
            )
        given, now, scores = answers.parse(held.text, record, path), {}, []
        for name, before in zip(answers.names(record), record.scores, strict=True):
            score, rows = judged_anew(before, given[name], self.tasks, self.pool, earlier=True)
            kept = {field: getattr(before, field) for field in NOT_FROM_ANSWERS}
            scores.append(score.model_copy(update=kept))
            now[name] = answers.judged(rows, name)
        new = record.model_copy(update={**update, "scores": tuple(scores)}).sealed()
        changed = sum(
            a != b
            for one, other in zip(record.scores, scores, strict=True)
            for a, b in zip(one.verdicts, other.verdicts, strict=True)
        )
        return Rejudged(new, changed, answers.Held.of(answers.to_text(now)))


def _write(board: Board, folder: Path, ledger: Ledger, found: dict[str, Rejudged]) -> None:
    """Write the records, their answers and the pages; what was published stays until all is."""
    records = folder / "records" / board.name
    listed = []
    with aside(records) as before:
        shutil.copytree(before, records)
        for entry in ledger.records:
            one = found[entry.file]
            digest = one.answers and one.answers.digest
            update = {"digest": one.record.digest, "answers": digest}
            listed.append(Published.model_validate(entry.model_copy(update=update).model_dump()))
            write_atomically(records / f"{entry.file}.json", one.record.to_json())
            if one.answers is not None:
                path = records / answers.FOLDER / f"{entry.file}{answers.ENDING}"
                write_answers(path, one.answers.text)
        text = ledger.model_copy(update={"records": tuple(listed)}).to_json()
        write_atomically(records / PUBLISHED, text)
        write_atomically(records / CONDITIONS, board.conditions().to_json())
        publish((), board.conditions(), folder, board.path)
