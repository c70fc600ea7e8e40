"""The Hugging Face Hub, asked once: without a network the answer comes at once, in one line."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from harness.errors import UsageError, first_line

_SECONDS = 10  # for a first connection; the Hub's own client would try for half a minute


class HubError(UsageError):
    """The Hub could not be asked, or did not give what was asked for; the text says why."""


def download(repository: str, *, kind: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Download files of a repository into the Hub's cache, and return the snapshot's folder.

    Args:
        repository: Its id, such as `openai/gsm8k`.
        kind: `model` or `dataset`.
        revision: A commit; None takes the newest.
        patterns: Of the files.

    Raises:
        HubError: If the Hub cannot be reached, or has no such files.
    """
    from huggingface_hub import constants, snapshot_download

    wanted: dict[str, Any] = {
        "repo_id": repository,
        "repo_type": kind,
        "revision": revision,
        "allow_patterns": list(patterns),
    }
    try:
        _reach(constants.ENDPOINT, constants.HF_HUB_OFFLINE)
    except HubError as unreachable:
        try:  # what an earlier download left
            return Path(snapshot_download(**wanted, local_files_only=True))
        except Exception:
            raise unreachable from None
    try:
        return Path(snapshot_download(**wanted))
    except Exception as error:  # the Hub's client has many kinds of error, all mean the same here
        raise _hub_error(error) from None


def newest_commit(repository: str) -> str:
    """Return the newest commit of a model repository.

    Raises:
        HubError: If the Hub cannot be reached, or has no such model.
    """
    from huggingface_hub import HfApi, constants

    try:
        _reach(constants.ENDPOINT, constants.HF_HUB_OFFLINE)
    except HubError:  # then the newest is the one that was the newest at the last download
        known = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}/refs/main"
        if not known.is_file():
            raise
        return known.read_text(encoding="ascii").strip()
    try:
        return str(HfApi().model_info(repository).sha)
    except Exception as error:
        raise _hub_error(error) from None


def _reach(endpoint: str, offline: bool) -> None:
    """Refuse to ask a Hub that is not there: its client would try again and again."""
    if offline:
        raise HubError("the Hub is not asked (HF_HUB_OFFLINE is set)")
    parts = urlsplit(endpoint)
    if getproxies().get(parts.scheme) or os.environ.get("ALL_PROXY"):
        return  # a proxy decides what can be reached
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error
        raise HubError(f"the Hub ({parts.hostname}) cannot be reached: {reason}") from None


def _hub_error(error: Exception) -> HubError:
    text = first_line(error)[:200]
    return HubError(f"the Hub could not be asked: {type(error).__name__}: {text}")
