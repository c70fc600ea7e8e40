"""lm-eval's own results and samples files, byte for byte, in a folder for each cell."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.errors import UsageError
from harness.export.request import Request, model_name
from harness.files import read_jsonl
from harness.leaderboard.diff import read_answers
from harness.records import Record
from harness.tasks.protocols import score_name


def export(request: Request) -> list[Path]:
    """Copy `results_*.json` and `samples_*.jsonl` of every cell to `<out>/<model>/`.

    Raises:
        UsageError: If the stage that generated a cell's answers is not in the runs folder.
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
            shutil.copyfile(source, target)
            written.append(target)
    return written


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
