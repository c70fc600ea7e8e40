"""Secrets taken out of texts: what a trainer prints or raises may quote a token.

A secret is the value of an environment variable whose name says so, or a text in the shape of a
well-known token. Nothing else is taken out: a text about mathematics stays as it is.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

SHORTEST = 8  # characters of a value that is taken for a secret; shorter ones are words and numbers
_LONGEST = 2**20  # bytes of a line that are looked at together

# parts of a variable's name that say that its value is secret, and ends that say it is none
_SECRET = re.compile(
    r"(?:TOKEN|KEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?(?:_|\d*\Z)|(?:_|\A)PAT\Z", re.I
)
_HARMLESS = re.compile(r"_(?:PATH|FILE|DIR|TYPE|NAME|LENGTH|LIMIT|LAYOUT|SOCK)\Z", re.I)
# what a value may be that is no secret: a path, an address without a password, a plain number
_PLAIN = re.compile(r"[~.]?/[^\s:@]*|https?://[^\s@]*|[\d.,]+|true|false|disabled", re.IGNORECASE)

_HALF = re.compile("[\ud800-\udfff]")  # half a character, which no file in UTF-8 can hold
_FOLDERS = re.compile(r"(?<![\w/.:~])/(?:[\w.@+~-]+/)+")

SHAPES = {
    "Hugging Face token": r"hf_[A-Za-z0-9]{30,}",
    "API key": r"(?<![\w-])sk-(?=[\w-]*[0-9])(?=[\w-]*[A-Z])(?:[a-z0-9]{2,8}-){0,3}[\w-]{20,}",
    "GitHub token": r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,100}",
    "GitLab token": r"(?<![\w-])glpat-[\w-]{20,}",
    "AWS key": r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    "Google key": r"(?<![\w-])AIza[\w-]{35}",
    "Slack token": r"(?<![\w-])xox[abeprs]-[\w-]{10,}",
    "PyPI token": r"(?<![\w-])pypi-AgE[\w-]{50,}",
    "npm token": r"npm_[A-Za-z0-9]{36}",
    "JSON web token": r"(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "private key": r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]+-----|\Z)",
    "password": r"(?<=://)[^\s/:@]{1,100}:[^\s/:@]{1,200}(?=@)",
    "bearer token": r"(?<=Bearer )[\w.~+/=-]{16,}",
}
"""The shapes of well-known tokens, by what they are called in their place.

What may go on for long starts where nothing of it comes before: a hostile text costs linear time.
"""

_NAMES = list(SHAPES)
_SHAPE = re.compile(
    "|".join(f"(?P<s{number}>{shape})" for number, shape in enumerate(SHAPES.values())), re.DOTALL
)


def secrets(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the secret values of an environment, by default this process's, with their names.

    A value of several lines, such as a private key, is several secrets.
    """
    found = {}
    for name, value in (os.environ if environment is None else environment).items():
        if not _SECRET.search(name) or _HARMLESS.search(name):
            continue
        for line in map(str.strip, value.splitlines()):
            if len(line) >= SHORTEST and not _PLAIN.fullmatch(line):
                found[line] = name
    return found


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return a text in which each secret is `[redacted NAME]`.

    Examples:
        >>> redact("401 for hunter2-hunter2", {"MY_TOKEN": "hunter2-hunter2"})
        '401 for [redacted MY_TOKEN]'
    """
    return _redact(_whole(text), secrets(environment))


def redacted(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Return a JSON value with every text in it, and every key, redacted."""
    known = secrets(environment)
    return _mapped(value, lambda text: _redact(_whole(text), known))


def without_folders(text: str) -> str:
    """Return a text in which absolute paths keep their last part: the rest is of one machine.

    Examples:
        >>> without_folders("cannot read '/home/me/runs/x.json'; see https://host/a/b")
        "cannot read '…/x.json'; see https://host/a/b"
    """
    return _FOLDERS.sub("…/", text)


def publishable(value: Any) -> Any:
    """Return a JSON value, all of whose texts anybody may read: no secrets, no folders."""
    return _mapped(redacted(value), without_folders)


def redact_file(path: Path, environment: Mapping[str, str] | None = None) -> bool:
    """Take the secrets out of a text file; return whether it held any.

    The file is read line by line and replaced whole, and only if it held one. One that is missing,
    or no regular file, is left alone.
    """
    if not path.is_file():
        return False
    known = secrets(environment)
    if not any(_redact(line, known) != line for line in _pieces(path)):
        return False
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as out:
            out.writelines(_redact(line, known) for line in _pieces(path))
        os.chmod(temporary, path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return True


def _pieces(path: Path) -> Iterator[str]:
    """Yield the lines of a file, a very long one in pieces; what is not UTF-8 is kept as it is."""
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            yield line.decode(errors="surrogateescape")


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_mapped(key, change): _mapped(each, change) for key, each in value.items()}
    return [_mapped(each, change) for each in value] if isinstance(value, list | tuple) else value


def _whole(text: str) -> str:
    return _HALF.sub("\ufffd", text)


def _redact(text: str, known: Mapping[str, str]) -> str:
    for value in sorted(known, key=len, reverse=True):  # one may be part of another
        text = text.replace(value, f"[redacted {known[value]}]")
    return _SHAPE.sub(lambda match: f"[redacted {_NAMES[int(str(match.lastgroup)[1:])]}]", text)
