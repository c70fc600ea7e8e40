"""Formats that others read: each exporter takes finished cells and writes files into a folder.

`eee` Every Eval Ever 0.3.0; `lm-eval` lm-eval's own files, unchanged; `parquet` all answers;
`evalstats` a long CSV of right and wrong; `hub` a model card and `.eval_results` for the Hub.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.conditions import Conditions
from harness.errors import UsageError, did_you_mean
from harness.records import Record


@dataclass(frozen=True)
class Request:
    """What is to be exported, and what the records do not know.

    Attributes:
        records: Finished cells of one board.
        conditions: The board's.
        folder: The board's runs folder, for answers and lm-eval's files.
        out: Where files go.
        developer: Who trained the checkpoints, as a folder name and in model ids.
        organization: Who evaluated them.
        relationship: Of the evaluator to the developer, in the words of Every Eval Ever.
        scales: For the Hub: task -> (dataset id, task id, scale); see `harness.export.hub`.
    """

    records: Sequence[Record]
    conditions: Conditions
    folder: Path
    out: Path
    developer: str = "unknown"
    organization: str = "unknown"
    relationship: str = "other"
    scales: tuple[tuple[str, str, str, str], ...] = ()


def exporters() -> dict[str, Callable[[Request], list[Path]]]:
    """Return the exporters by the name of their format."""
    from harness.export import answers, every_eval_ever, hub, lm_eval_files

    return {
        "eee": every_eval_ever.export,
        "lm-eval": lm_eval_files.export,
        "parquet": answers.export_parquet,
        "evalstats": answers.export_long_csv,
        "hub": hub.export,
    }


def export(name: str, request: Request) -> list[Path]:
    """Write one format and return the files.

    Raises:
        UsageError: If there is no such format, or no finished cell.
    """
    known = exporters()
    if name not in known:
        raise UsageError(f"no export format {name!r}; {did_you_mean(name, known)}")
    if not request.records:
        raise UsageError(f"board {request.conditions.board!r} has no finished cell to export")
    return known[name](request)


def model_name(record: Record) -> str:
    """Return a cell's model name: the board, the trainer and the seed, safe in paths and ids."""
    from harness.plan import slug

    seed = "" if record.seed is None else f"-s{record.seed}"
    return f"{slug(record.board.name)}-{slug(record.trainer)}{seed}"
