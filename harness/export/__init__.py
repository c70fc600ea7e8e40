"""Formats that others read: each exporter takes finished cells and writes files into a folder.

`eee` Every Eval Ever 0.3.0; `lm-eval` lm-eval's own files, unchanged; `parquet` all answers;
`evalstats` a long CSV of right and wrong; `hub` a model card and `.eval_results` for the Hub.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.export.request import Request

FORMATS = ("eee", "lm-eval", "parquet", "evalstats", "hub")
RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")  # words of `eee`


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
    """Write one of `FORMATS` and return the files.

    Raises:
        UsageError: If there is no finished cell.
    """
    if not request.records:
        raise UsageError(f"board {request.conditions.board!r} has no finished cell to export")
    return exporters()[name](request)
