"""All answers as one Parquet file, and right or wrong as a long CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from harness.export.request import Request
from harness.files import write_atomically
from harness.leaderboard.diff import read_answers
from harness.render.escape import cell


def export_parquet(request: Request) -> list[Path]:
    """Write `answers.parquet`: a row for each answer, with its cell, problem and judgement."""
    import pyarrow.parquet  # it comes with `datasets`

    rows = [
        {
            "board": record.board.name,
            "record": record.id,
            "trainer": record.trainer,
            "seed": record.seed,
            "task": score.task,
            "protocol": score.protocol,
            "place": place,
            "problem": _storable(asked[line["id"]]["problem"]),
            "gold": _storable(asked[line["id"]]["answer"]),
            **{name: _storable(value) for name, value in line.items()},
        }
        for record in request.records
        for score in record.scores
        for _, asked in [request.asked(score)]
        for place, line in enumerate(read_answers(request.folder, record, score))
    ]
    path = request.out / "answers.parquet"
    request.out.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return [path]


def _storable(value: Any) -> Any:
    # Parquet's UTF-8 cannot hold lone surrogates
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def export_long_csv(request: Request) -> list[Path]:
    """Write `evalstats.csv` with `template,input,run,score`: trainer, question, seed, 0 or 1.

    The records alone are needed. Questions are `task/place`, so that every row pairs. Several
    answers to a question are separate runs: run = seed x samples + sample.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("template", "input", "run", "score"))
    for record in request.records:
        seed = 0 if record.seed is None else record.seed
        for score in record.scores:
            for place, letter in enumerate(score.verdicts):
                number, sample = divmod(place, score.samples)
                question = f"{score.task}/{score.protocol}/{number}"
                run = seed * score.samples + sample
                writer.writerow((cell(record.trainer), question, run, int(letter == "C")))
    path = request.out / "evalstats.csv"
    write_atomically(path, out.getvalue())
    return [path]
