"""Scratch on a node's own disk: what a stage keeps while it runs, off the disk that machines share.

In the folder that `--scratch` names every stage gets one of its own, for temporary files and for
what its trainer keeps (`run.scratch`). What a later attempt continues from, the newest training
checkpoint and the trainer's own files, is copied to the stage's folder whenever one is saved, where
it would lie without scratch: any machine can go on from it. A node's folder is removed when its
stage has ended; where the node itself was killed, by the next stage that starts there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError, is_disk_full
from harness.files import clear_for, remove_folder

VARIABLE = "HARNESS_STAGE_SCRATCH"  # the trainer's scratch folder, for the stage's processes
SHARED = "scratch"  # the same in the stage's folder, and what is copied there
LEAST_BYTES = 2**20  # a disk with less is full
CHECKPOINTS = "trainer"  # the folder of training checkpoints
MEMORY = "memory.json"  # in the stage's folder: its attempts that ran out of memory
# what else of a stage's folder is there for its next attempt: what the bench and the guard wrote,
# the log, what the conformance kit found
KEPT = ("stage.json", "lock", "log.txt", "outside.json", MEMORY, "offences.txt")
CONTINUED = (SHARED, "events.jsonl", "tracking")  # and where it may go on from a checkpoint
PART = ".part"  # at the end of a file's name while it is written


# -- on the node, around the stage ----------------------------------------------------------------


def find(given: str) -> Path:
    """Return the folder on this machine that `--scratch` names, as it can be used.

    Args:
        given: A path; variables in it (`$TMPDIR`) are those of this process.

    Raises:
        UsageError: If it is missing or cannot be written.
    """
    path = Path(os.path.expandvars(given))
    said = f"--scratch {given}" + (f" ({path})" if str(path) != given else "")
    try:
        if not path.is_absolute():
            why = "no absolute path; a variable in it may not be set"
        elif not path.is_dir():
            why = "no such folder"
        elif not os.access(path, os.W_OK | os.X_OK):
            why = "nothing can be written there"
        else:
            return path
    except OSError as error:
        why = error.strerror or str(error)
    raise UsageError(f"{said}: {why}")


@dataclass(frozen=True)
class Place:
    """A stage's folder on the node's own disk; whoever made it holds its lock."""

    path: Path
    lock: int

    def remove(self) -> None:
        remove_folder(self.path)
        os.close(self.lock)


def take(parent: Path) -> Place:
    """Make a folder for one stage, and remove those that were left by what was killed.

    A folder is in use as long as its lock is held, which ends with the process that holds it.

    Raises:
        OSError: If the disk is full, also without what was left, or the folder cannot be written.
    """
    whole = _open(parent)
    try:
        # so that no new folder is seen before it is locked
        with contextlib.suppress(OSError):
            fcntl.flock(whole, fcntl.LOCK_EX)
        left = [place for path in parent.glob(f"{_prefix()}*") if (place := _abandoned(path))]
        path = Path(tempfile.mkdtemp(prefix=_prefix(), dir=parent))
        taken = Place(path, _open(path))
        with contextlib.suppress(OSError):  # a disk without locks: what is left there stays
            fcntl.flock(taken.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(whole)
    for place in left:
        place.remove()
    if shutil.disk_usage(parent).free < LEAST_BYTES:
        taken.remove()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return taken


def _prefix() -> str:
    # not every shared disk carries locks to other machines, so each looks at its own folders only
    return f"harness-stage-{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}-"


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _abandoned(path: Path) -> Place | None:
    """Return a folder of this user, locked, if nobody else holds it."""
    try:
        lock = _open(path)
    except OSError:  # another user's
        return None
    with contextlib.suppress(OSError):
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Place(path, lock)
    os.close(lock)
    return None


# -- in the stage ---------------------------------------------------------------------------------


def place(folder: Path) -> Path:
    """Return where the trainer of the stage in a folder keeps what is no checkpoint of it."""
    return Path(os.environ.get(VARIABLE) or folder / SHARED)


def begin(folder: Path) -> None:
    """Make the trainer's scratch folder, with what an earlier attempt left on the shared disk."""
    here, shared = place(folder), folder / SHARED
    if here != shared and not here.exists() and shared.is_dir():
        _copy(shared, here, [path for path in _files(shared) if not _is_part(path)])
    here.mkdir(parents=True, exist_ok=True)


def empty(folder: Path, *, continues: bool) -> None:
    """Remove what an earlier attempt left, its trainer's own files anywhere in the folder too.

    Args:
        folder: The stage's.
        continues: Whether the next attempt may go on from a training checkpoint.
    """
    if not continues:
        remove_folder(place(folder))
    for path in list(folder.iterdir()):
        own_folder = path.is_dir() and not path.is_symlink()
        if continues and path.name in CONTINUED:
            continue
        if own_folder:
            remove_folder(path)
            if path.exists() and not path.name.startswith("."):
                clear_for(path)  # what cannot be removed lies aside
        elif path.name not in KEPT:
            path.unlink(missing_ok=True)


def on_node() -> bool:
    """Return whether the trainer's scratch folder is one on the node's own disk."""
    return VARIABLE in os.environ


def keep(folder: Path, checkpoint: Path) -> None:
    """Copy a training checkpoint and the trainer's other files to the stage's folder.

    Whenever this is cut short, what is there is a checkpoint with the files that belong to it, or
    none.

    Args:
        folder: The stage's.
        checkpoint: The newest training checkpoint, whole, in the scratch folder.
    """
    here, shared = place(folder), folder / SHARED
    kept = shared / CHECKPOINTS
    kept.mkdir(parents=True, exist_ok=True)
    for path in _checkpoints(kept):
        # of an earlier round of training, whose steps count anew: it has other files beside it
        if not (here / CHECKPOINTS / path.name).exists() or path.name == checkpoint.name:
            remove_folder(path)
    others = {path for path in _files(here) if not _is_checkpoint(path)}
    for path in [path for path in _files(shared) if not _is_checkpoint(path)]:
        if path not in others:
            (shared / path).unlink()
    _copy(here, shared, others)
    part = kept / f".{checkpoint.name}"
    _copy(checkpoint, part, _files(checkpoint))
    part.rename(kept / checkpoint.name)
    for path in _checkpoints(kept):
        if path.name != checkpoint.name:
            remove_folder(path)


def is_full(folder: Path, error: BaseException) -> bool:
    """Return whether an error comes of the node's own disk being full, and not the shared one."""
    if not on_node():
        return False
    here = place(folder).parent
    # of a copy, the file that was written is the second
    named = getattr(error, "filename2", None) or getattr(error, "filename", None)
    if is_disk_full(error) and isinstance(named, str):
        return Path(named).is_relative_to(here)
    # torch says only that it could not write, `tempfile` that it knows no folder for a file
    if not (is_disk_full(error) or isinstance(error, OSError) or "PytorchStream" in str(error)):
        return False
    with contextlib.suppress(OSError):
        return shutil.disk_usage(here).free < LEAST_BYTES
    return False


def _checkpoints(trainer: Path) -> list[Path]:
    """Return the training checkpoints in a folder, those that were not copied whole included."""
    return [*trainer.glob("checkpoint-*"), *trainer.glob(".checkpoint-*")]


def _is_checkpoint(path: Path) -> bool:
    """Return whether a file of a scratch folder, by its path in it, is part of a checkpoint."""
    trainer, *rest = path.parts
    return trainer == CHECKPOINTS and rest[0].startswith(("checkpoint-", ".checkpoint-"))


def _is_part(path: Path) -> bool:
    return _is_checkpoint(path) and path.parts[1].startswith(".")


def _files(folder: Path) -> list[Path]:
    """Return the regular files and links in a folder, by their paths in it."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return [path.relative_to(folder) for path in found]


def _copy(source: Path, target: Path, names: Iterable[Path]) -> None:
    """Copy files, each whole, but for those that are there already as they are."""
    for name in names:
        one, other = source / name, target / name
        state = one.lstat()
        with contextlib.suppress(OSError):
            there = other.lstat()
            if (there.st_size, there.st_mtime_ns) == (state.st_size, state.st_mtime_ns):
                continue
        other.parent.mkdir(parents=True, exist_ok=True)
        part = other.with_name(f"{other.name}{PART}")
        part.unlink(missing_ok=True)
        shutil.copy2(one, part, follow_symlinks=False)
        part.replace(other)
