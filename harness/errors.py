"""The errors a person may see: one line with what is wrong, which one, and what to do."""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable


class HarnessError(Exception):
    """An error whose text is meant for a person; the command line prints it without a traceback."""

    exit_code = 1


class UsageError(HarnessError):
    """Something that was asked for cannot be done as asked: a name, an option, a board, a file."""

    exit_code = 2


class DataMissing(UsageError):
    """Published data that was found nowhere; the text names the places and what to do."""


class NewerError(UsageError):
    """A file of a version that only a later harness reads; nothing is wrong with it."""


class PluginError(HarnessError):
    """A plug-in that is missing, broken, misspelt or claimed twice."""

    exit_code = 2


class TamperedError(HarnessError):
    """A file whose content does not match its digest or its records."""

    exit_code = 3


class BudgetExceeded(HarnessError):
    """A trainer went on after its budget was spent."""


class StageError(HarnessError):
    """A stage could not do its work, for a reason that a person can act on."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error says that a disk is full, or a quota used up.

    safetensors and tokenizers write from Rust, whose errors are no `OSError` but quote one.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return re.search(r"No space left on device|code: 28\b|os error 28\b", str(error)) is not None


def first_line(error: object) -> str:
    r"""Return the first line of an error's text that is not blank; no text where all are.

    Examples:
        >>> first_line(ValueError("\n  no such layer\nDetails: ..."))
        'no such layer'
        >>> first_line(ValueError())
        ''
    """
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def one_line(error: object, limit: int = 300) -> str:
    r"""Return an error's text with its lines joined, cut at a limit.

    Examples:
        >>> one_line(ValueError("this is\n  on two lines"))
        'this is on two lines'
        >>> one_line(ValueError("too long"), 5)
        'too …'
    """
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


_LISTED = 60  # names that one line of an error lists; lm-eval has thousands of tasks


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the nearest known one, or the list of them.

    Examples:
        >>> did_you_mean("kdd", ["kd", "rl"])
        "did you mean 'kd'?"
        >>> did_you_mean("KD", ["kd", "rl"])
        "did you mean 'kd'?"
        >>> did_you_mean("zzz", ["kd", "rl"])
        'known: kd, rl'
    """
    known = sorted(set(known))
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    near = near or [
        lower[one] for one in difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    ]
    near = near or [each for each in known if name and each.startswith(name)][:1]
    if near:
        return f"did you mean {near[0]!r}?"
    if len(known) > _LISTED:
        return f"{len(known):,} are known, such as {', '.join(known[:3])}"
    return f"known: {', '.join(known)}" if known else "none is known"
