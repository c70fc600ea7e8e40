"""Formats that others read: each exporter takes finished cells and writes files into a folder.

`eee` Every Eval Ever 0.3.0; `lm-eval` lm-eval's own files, unchanged; `parquet` all answers;
`evalstats` a long CSV of right and wrong; `hub` a model card and `.eval_results` for the Hub.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from harness.export.request import Request


def exporters() -> dict[str, Callable[[Request], list[Path]]]:
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
