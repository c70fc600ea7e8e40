"""Loading: the rows of a published data set, found, downloaded and checked.

Rows come from local JSONL files, from a folder laid out as the Hub's own cache, or from the Hub at
a pinned revision. Whatever they come from, they are put in one canonical order and get ids made of
their content, so the same content is the same task.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from harness.errors import DataMissing, UsageError
from harness.tasks.canonical import Row, canonical, content_digest
from harness.tasks.files import raw_rows
from harness.tasks.rows import hub_row, local_row
from harness.tasks.source import Place, Source

LOCAL_ENDINGS = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class Loaded:
    """The rows of one split, and where they came from.

    Attributes:
        rows: In canonical order, with `id`, `problem`, `answer`, and `solution`, `group`,
            `source_id` and the other columns of the source where it has them.
        content: Their digest.
        origin: The files, in words.
        warnings: What a reader of a leaderboard must know about them.
    """

    rows: tuple[Row, ...]
    content: str
    origin: str
    warnings: tuple[str, ...] = ()


def find(task: str, source: Source, split: str, place: Place) -> tuple[list[Path], bool] | None:
    """Return the files of a split that are here, and whether they are the Hub's own.

    Nothing is read or downloaded. None: they are not here.
    """
    if place.data_dir is not None:
        for names in local_names(task, source, split):
            paths = [_with_ending(place.data_dir, name) for name in names]
            if all(paths):
                return [path for path in paths if path], False
    for folder in _hub_folders(place):
        files = _snapshot_files(folder, source, split)
        if files:
            return files, True
    return None


def load(task: str, source: Source, split: str, place: Place) -> Loaded:
    """Return the rows of a split, checked against what the source declares.

    Raises:
        DataMissing: If the rows are nowhere to be had.
        UsageError: If they are not the declared ones.
    """
    found = find(task, source, split, place)
    if found is None and place.download and source.hub:
        found = _download(task, source, split, place), True
    if found is None:
        raise DataMissing(missing_text(task, source, split, place))
    files, from_hub = found
    read = hub_row if from_hub else local_row
    raw = [row for row in raw_rows(files, source.columns) if not source.keep or source.keep(row)]
    rows = canonical([read(row, source, task) for row in raw])
    content = content_digest(rows, with_solutions=split != "test")
    declared = source.splits[split]
    origin = _origin(files, from_hub, source)
    what = f"task {task!r}: the {split} rows"
    if declared.rows is not None and len(rows) != declared.rows:
        raise UsageError(
            f"{what} in {origin} are {len(rows):,}, not {declared.rows:,};"
            " replace the data by the published set (docs/tasks.md)"
        )
    # a warning is printed on leaderboards, so it names no folder of this machine
    named = f"{what} from {origin if from_hub else 'local files'}"
    warnings = []
    if declared.content and content != declared.content:
        differ = f"differ from the published set in a problem or an answer (content {content[:12]})"
        if not from_hub:
            raise UsageError(
                f"{what} in {origin} {differ};"
                " replace the data by the published set (docs/tasks.md)"
            )
        warnings.append(f"{named} {differ}")
    if not declared.content:
        warnings.append(
            f"{named} (content {content[:12]}) are checked by their number alone:"
            " this project has not read the published set"
        )
    if from_hub and source.revision is None:
        warnings.append(f"{named}: the revision is the newest one when it was downloaded")
    return Loaded(tuple(rows), content, origin, tuple(warnings))


def local_names(task: str, source: Source, split: str) -> list[tuple[str, ...]]:
    """Return the file names without ending under which local rows are looked for, best first."""
    names: list[tuple[str, ...]] = [(f"{task}_{split}",)]
    if len(source.splits) == 1:
        names.append((task,))
    if source.splits[split].local:
        names.append(source.splits[split].local)
    return names


def hub_folder(source: Source) -> str | None:
    """Return a source's folder in the Hub's cached layout, such as `datasets--openai--gsm8k`."""
    return None if source.hub is None else "datasets--" + source.hub.replace("/", "--")


def missing_text(task: str, source: Source, split: str, place: Place) -> str:
    """Return one line: where the rows of a split were looked for, and what to do."""
    names = " or ".join(" + ".join(group) for group in local_names(task, source, split))
    places = [f"{place.data_dir} ({names}, .jsonl or .jsonl.gz)"] if place.data_dir else []
    remedy = f"give --data-dir DIR with {names} (.jsonl or .jsonl.gz)"
    if source.hub:
        places += [str(folder / (hub_folder(source) or "")) for folder in _hub_folders(place)]
        pin = f" --revision {source.revision}" if source.revision else ""
        files = "".join(f" --include '{pattern}'" for pattern in source.splits[split].hub)
        remedy += f", or download it once: hf download {source.hub} --repo-type dataset{pin}{files}"
    where = f"looked in {' and '.join(places)}" if places else "no folder was named"
    return f"task {task!r}: its {split} rows are not here ({where}); {remedy}"


def _with_ending(folder: Path, name: str) -> Path | None:
    for ending in LOCAL_ENDINGS:
        if (folder / f"{name}{ending}").is_file():
            return folder / f"{name}{ending}"
    return None


def _hub_folders(place: Place) -> list[Path]:
    """Return the folders that may have the Hub's cached layout, the named one first."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or caches / "huggingface")
    folders = [place.data_dir, place.data_dir / "hub"] if place.data_dir else []
    return [*folders, Path(os.environ.get("HF_HUB_CACHE") or home / "hub")]


def _snapshot_files(folder: Path, source: Source, split: str) -> list[Path]:
    name = hub_folder(source)
    if name is None or not (folder / name / "snapshots").is_dir():
        return []
    revision = source.revision or _newest(folder / name)
    if revision is None:
        return []
    return _matching(folder / name / "snapshots" / revision, source.splits[split].hub)


def _newest(folder: Path) -> str | None:
    """Return the commit that `main` was at when it was downloaded, or the only one there is."""
    if (folder / "refs" / "main").is_file():
        return (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    there = sorted(path.name for path in (folder / "snapshots").iterdir())
    return there[0] if len(there) == 1 else None


def _matching(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        path
        for path in files
        if any(fnmatch(path.relative_to(folder).as_posix(), pattern) for pattern in patterns)
    ]


def _download(task: str, source: Source, split: str, place: Place) -> list[Path]:
    """Download the files of a split into the Hub's cache and return them."""
    from huggingface_hub import snapshot_download

    assert source.hub is not None
    patterns = source.splits[split].hub
    try:
        folder = snapshot_download(
            source.hub,
            repo_type="dataset",
            revision=source.revision,
            allow_patterns=list(patterns),
        )
    except Exception as error:  # the Hub's client has many kinds of error, all mean the same here
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        missing = missing_text(task, source, split, place)
        raise DataMissing(f"{missing} (the Hub could not be asked: {reason})") from None
    files = _matching(Path(folder), patterns)
    if not files:
        raise DataMissing(
            f"task {task!r}: {source.hub} has no file {' or '.join(patterns)};"
            " give --data-dir DIR with the rows"
        )
    return files


def _origin(files: list[Path], from_hub: bool, source: Source) -> str:
    if not from_hub:
        return " + ".join(str(path) for path in files)
    parts = files[0].parts
    commit = parts[parts.index("snapshots") + 1] if "snapshots" in parts else source.revision
    return f"{source.hub}@{commit}"
