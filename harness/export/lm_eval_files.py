"""lm-eval's own results and samples files in a folder for each cell.

Results are copied byte for byte. Where a cell is scored, samples are kept without their documents;
here these come back. Prompts do not: each sample has its prompt's digest.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.export.request import Request, model_name
from harness.files import jsonl, read_jsonl, write_atomically
from harness.leaderboard.diff import read_answers
from harness.records import Record, Score
from harness.tasks.protocols import LmEvalProtocol, documents, protocol_of, score_name


def export(request: Request) -> list[Path]:
    """Write `results_*.json` and `samples_*.jsonl` of every cell to `<out>/<model>/`.

    Raises:
        UsageError: If the stage that generated a cell's answers is not in the runs folder, or the
            task of a score is not at hand.
    """
    stages = [path.parent for path in sorted((request.folder / "stages").glob("*/lm_eval"))]
    written = []
    for record in request.records:
        stage = next((stage for stage in stages if _made(stage, request, record)), None)
        if stage is None:
            raise UsageError(
                f"no lm-eval files of {record.id} in {request.folder / 'stages'}; they are kept"
                " only where the cell was scored"
            )
        stages.remove(stage)
        stages.append(stage)  # cells may answer alike: the next one takes another's files
        for source in sorted((stage / "lm_eval").rglob("*.json*")):
            target = request.out / model_name(record) / source.relative_to(stage / "lm_eval")
            target.parent.mkdir(parents=True, exist_ok=True)
            score = next((one for one in record.scores if _of(source, one)), None)
            if score is None:
                shutil.copyfile(source, target)
            else:
                write_atomically(target, jsonl(_whole(source, request, score)))
            written.append(target)
    return written


def _of(source: Path, score: Score) -> bool:
    return source.name.startswith(f"samples_{score_name(score.task, score.protocol)}_")


def _whole(source: Path, request: Request, score: Score) -> Iterator[dict[str, Any]]:
    """Yield a score's samples with the documents that lm-eval was given."""
    protocol, (task, rows) = protocol_of(score.protocol), request.asked(score)
    docs = [{key: row[key] for key in ("id", "problem")} for row in rows.values()]
    if isinstance(protocol, LmEvalProtocol):
        docs = [one["doc"] for one in documents(protocol, task)]
    for _, sample in read_jsonl(source):
        yield {**sample, "doc": docs[sample["doc_id"]]}


def _made(stage: Path, request: Request, record: Record) -> bool:
    """Return whether a stage generated the very answers that a record judges."""
    for score in record.scores:
        path = stage / "answers" / f"{score_name(score.task, score.protocol)}.jsonl"
        try:
            found = [row for _, row in read_jsonl(path)]
        except UsageError:
            return False
        judged = read_answers(request.folder, record, score)
        made, kept = ([(one["id"], one["text"]) for one in lines] for lines in (found, judged))
        if made != kept:
            return False
    return True
