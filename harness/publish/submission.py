"""A submission: a folder with records, their answers, and a manifest that can be signed."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from harness.costs import Frozen
from harness.errors import TamperedError, UsageError
from harness.files import read_bytes, read_json

MANIFEST = "submission.json"
SIGNATURE = "submission.json.sig"
SIGNERS = "allowed_signers"  # in the folder of leaderboards, as ssh-keygen reads it
NAMESPACE = "srlm-harness"
LARGEST = 4 * 2**20  # bytes of a manifest
RESTORE = "restore it, or make the submission again"
Line = Annotated[str, pydantic.Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Submitted(Frozen):
    """One record of a submission."""

    file: Line  # its name without `.json`
    digest: Line  # of the record
    answers: Line | None  # sha256 of its answers' lines
    cell: Line
    checked: Literal["recomputed", "claimed"]  # what the submitter's own check came to


class PluginSource(Frozen):
    """The code that trained: what its digest is of, and where others can read it."""

    plugin: Line
    distribution: Line
    version: Line
    source_sha256: Line
    address: Line = ""  # such as that of a repository or a package


class Manifest(Frozen):
    """What a submission says of itself."""

    schema_version: Literal[1] = 1
    name: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,79}$")]
    board: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
    board_digest: Line
    harness: Line  # version
    verifier: Line  # version
    trials: Annotated[int, pydantic.Field(ge=1, le=10**6)]  # settings that were tried in all
    plugins: Annotated[tuple[PluginSource, ...], pydantic.Field(max_length=100)]
    records: Annotated[tuple[Submitted, ...], pydantic.Field(min_length=1, max_length=10_000)]


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a submission's folder.

    Raises:
        UsageError: If it cannot be read or is not a manifest.
    """
    return read_manifest_file(folder / MANIFEST)


def read_manifest_file(path: Path) -> Manifest:
    """Read a manifest; see `read_manifest`."""
    if path.is_symlink():
        raise UsageError(f"{path} is a link and no file of its own; {RESTORE}")
    try:
        return Manifest.model_validate(read_json(path, LARGEST))
    except UsageError as error:
        raise UsageError(f"{error}; {RESTORE}") from None
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"{where}: {first['msg']}" if where else "it holds no JSON object"
        raise UsageError(f"{path} is not a manifest: {what}; {RESTORE}") from None


# -- signatures, by OpenSSH's own tool ------------------------------------------------------------


def sign(folder: Path, key: Path) -> Path:
    """Sign a submission's manifest with an SSH key and return the signature's file."""
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE]
    (folder / SIGNATURE).unlink(missing_ok=True)  # ssh-keygen asks before it writes over one
    _run([*command, str(folder / MANIFEST)], f"cannot sign with {key}")
    return folder / SIGNATURE


def signer(manifest: Path, signature: Path, allowed: Path) -> str:
    """Return who signed a manifest, by the file of allowed signers.

    Raises:
        TamperedError: If the signature is not of this manifest, or of nobody who is allowed.
        UsageError: If ssh-keygen is not installed.
    """
    if not allowed.is_file():
        raise TamperedError(f"{signature}: there is no file {allowed} of those who may sign")
    wrong = f"{signature} is no signature of {manifest.name} by anybody in {allowed}"
    with tempfile.TemporaryDirectory() as scratch:
        copied = Path(scratch) / SIGNATURE
        copied.write_bytes(read_bytes(signature, 2**16))
        verify = ["-n", NAMESPACE, "-s", str(copied)]
        content = read_bytes(manifest, LARGEST)
        found = _run(
            ["ssh-keygen", "-Y", "find-principals", "-f", str(allowed), "-s", str(copied)],
            wrong,
            TamperedError,
        )
        who = next(iter(found.splitlines()), "")
        if not re.fullmatch(r"[\w@.+-]{1,100}", who):
            raise TamperedError(f"{allowed}: {who[:100]!r} is no name such as you@example.org")
        _run(
            ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", who, *verify],
            wrong,
            TamperedError,
            content,
        )
    return who


def can_verify() -> bool:
    return shutil.which("ssh-keygen") is not None


def _run(
    command: list[str],
    wrong: str,
    kind: type[UsageError] | type[TamperedError] = UsageError,
    content: bytes | None = None,
) -> str:
    try:
        done = subprocess.run(
            command, input=content or b"", capture_output=True, check=False, timeout=60
        )
    except FileNotFoundError:
        raise UsageError("ssh-keygen is not installed: it comes with OpenSSH") from None
    except subprocess.TimeoutExpired:
        raise kind(f"{wrong}: ssh-keygen did not end") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:200]
        raise kind(f"{wrong}: {said}")
    return done.stdout.decode(errors="replace")
