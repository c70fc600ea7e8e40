"""Loading: the rows of a published data set, found, downloaded and checked.

Rows come from local JSONL files, from a folder laid out as the Hub's own cache, or from the Hub at
a pinned revision. Whatever they come from, they are put in one canonical order and get ids made of
their content, so the same content is the same task.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from harness import hub
from harness.errors import DataMissing, UsageError
from harness.tasks.canonical import Row, canonical, content_digest
from harness.tasks.files import raw_rows
from harness.tasks.rows import hub_row, local_row
from harness.tasks.source import Place, Source


class Loaded(NamedTuple):
    """The rows of one split."""

    rows: list[Row]  # in canonical order, with the source's other columns besides our keys
    content: str  # their digest
    warnings: tuple[str, ...]  # what a reader of a leaderboard must know about them


def find(task: str, source: Source, split: str, place: Place) -> tuple[list[Path], bool] | None:
    """Return the files of a split that are here, and whether they are the Hub's own.

    Nothing is read or downloaded. None: they are not here.
    """
    if place.data_dir is not None:
        for names in local_names(task, source, split):
            paths = [path for name in names for path in _local(place.data_dir, name)]
            if len(paths) == len(names):
                return paths, False
    for folder in _hub_folders(place):
        if files := _snapshot_files(folder, source, split):
            return files, True
    return None


def load(task: str, source: Source, split: str, place: Place) -> Loaded:
    """Return the rows of a split, checked against what the source declares.

    Raises:
        DataMissing: If the rows are nowhere to be had.
    """
    found = find(task, source, split, place)
    if found is None and place.download and source.hub:
        found = _download(task, source, split, place), True
    if found is None:
        raise DataMissing(_missing_text(task, source, split, place))
    files, from_hub = found
    read = hub_row if from_hub else local_row
    raw = [row for row in raw_rows(files, source.columns) if not source.keep or source.keep(row)]
    rows = canonical([read(row, source, task) for row in raw])
    content = content_digest(rows, with_solutions=split != "test")
    declared = source.splits[split]
    origin = _origin(files, from_hub, source)
    what, replace = f"task {task!r}: the {split} rows", "replace the data by the published set"
    if declared.rows is not None and len(rows) != declared.rows:
        counts = f"{len(rows):,}, not {declared.rows:,}"
        raise UsageError(f"{what} in {origin} are {counts}; {replace} (docs/tasks.md)")
    # a warning is printed on leaderboards, so it names no folder of this machine
    named = f"{what} from {origin if from_hub else 'local files'}"
    warnings = []
    if not declared.content:
        warnings.append(
            f"{named} (content {content[:12]}) are checked by their number alone:"
            " this project has not read the published set"
        )
    elif content != declared.content:
        differ = f"differ from the published set in a problem or an answer (content {content[:12]})"
        if not from_hub:
            raise UsageError(f"{what} in {origin} {differ}; {replace} (docs/tasks.md)")
        warnings.append(f"{named} {differ}")
    if from_hub and source.revision is None:
        warnings.append(f"{named}: the revision is the newest one when it was downloaded")
    return Loaded(rows, content, tuple(warnings))


def local_names(task: str, source: Source, split: str) -> list[tuple[str, ...]]:
    """Return the file names without ending under which local rows are looked for, best first."""
    names = [(f"{task}_{split}",), (task,) if len(source.splits) == 1 else ()]
    return [group for group in (*names, source.splits[split].local) if group]


def _missing_text(task: str, source: Source, split: str, place: Place) -> str:
    """Return one line: where the rows of a split were looked for, and what to do."""
    names = " or ".join(" + ".join(group) for group in local_names(task, source, split))
    places = [f"{place.data_dir} ({names}, .jsonl or .jsonl.gz)"] if place.data_dir else []
    remedy = f"give --data-dir DIR with {names} (.jsonl or .jsonl.gz)"
    if source.hub:
        places += [str(_cached(folder, source.hub)) for folder in _hub_folders(place)]
        pin = f" --revision {source.revision}" if source.revision else ""
        files = "".join(f" --include '{pattern}'" for pattern in source.splits[split].hub)
        remedy += f", or download it once: hf download {source.hub} --repo-type dataset{pin}{files}"
    where = f"looked in {' and '.join(places)}" if places else "no folder was named"
    return f"task {task!r}: its {split} rows are not here ({where}); {remedy}"


def dataset_caches() -> list[Path]:
    """Return all data sets that the Hub's caches of this machine hold.

    That is their repositories, and what `datasets` has prepared of them; not what it has made of
    files and generators.
    """
    prepared = Path(os.environ.get("HF_DATASETS_CACHE") or _hub_home() / "datasets")
    return [*sorted(_hub_cache().glob("datasets--*")), *sorted(prepared.glob("*___*"))]


def _hub_home() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or caches / "huggingface")


def _hub_cache() -> Path:
    return Path(os.environ.get("HF_HUB_CACHE") or _hub_home() / "hub")


def _hub_folders(place: Place) -> list[Path]:
    """Return the folders that may have the Hub's cached layout, the named one first."""
    folders = [place.data_dir, place.data_dir / "hub"] if place.data_dir else []
    return [*folders, _hub_cache()]


def _local(folder: Path, name: str) -> list[Path]:
    """Return the JSONL file of a name, the uncompressed one first; nothing if there is none."""
    return [path for end in ("", ".gz") if (path := folder / f"{name}.jsonl{end}").is_file()][:1]


def _cached(folder: Path, hub: str) -> Path:
    return folder / f"datasets--{hub.replace('/', '--')}"


def _snapshot_files(folder: Path, source: Source, split: str) -> list[Path]:
    """Return a split's files of the pinned commit, or of `main`'s, or of the only one."""
    cached = _cached(folder, source.hub or "")
    if source.hub is None or not (cached / "snapshots").is_dir():
        return []
    snapshots, revision = list((cached / "snapshots").iterdir()), source.revision
    if revision is None and (cached / "refs" / "main").is_file():
        revision = (cached / "refs" / "main").read_text(encoding="utf-8").strip()
    elif revision is None and len(snapshots) == 1:
        revision = snapshots[0].name
    return _matching(cached / "snapshots" / revision, source.splits[split].hub) if revision else []


def _matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    def wanted(path: Path) -> bool:
        name = path.relative_to(folder).as_posix()
        return path.is_file() and any(fnmatch(name, pattern) for pattern in patterns)

    return sorted(filter(wanted, folder.rglob("*")))


def _download(task: str, source: Source, split: str, place: Place) -> list[Path]:
    """Download the files of a split into the Hub's cache and return them."""
    assert source.hub is not None
    patterns = list(source.splits[split].hub)
    try:
        folder = hub.download(
            source.hub, kind="dataset", revision=source.revision, patterns=patterns
        )
    except hub.HubError as error:
        missing = _missing_text(task, source, split, place)
        raise DataMissing(f"{missing} ({error})") from None
    if files := _matching(folder, patterns):
        return files
    lacks = f"task {task!r}: {source.hub} has no file {' or '.join(patterns)}"
    raise DataMissing(f"{lacks}; give --data-dir DIR with the rows")


def _origin(files: list[Path], from_hub: bool, source: Source) -> str:
    if not from_hub:
        return " + ".join(str(path) for path in files)
    parts = files[0].parts
    commit = parts[parts.index("snapshots") + 1] if "snapshots" in parts else source.revision
    return f"{source.hub}@{commit}"
