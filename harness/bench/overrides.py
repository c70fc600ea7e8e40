"""Options of trainers as they are given to `--set`, and as a row's command quotes them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import UsageError
from harness.redact import redact


def overrides_of(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Parse `trainer.option=value`; a value is TOML, or else the text itself."""
    changed: dict[str, dict[str, Any]] = {}
    for text in given:
        match = re.fullmatch(r"([\w-]+)\.(\w+)=(.*)", text, re.DOTALL)
        if not match:
            raise UsageError(f"--set {text}: write trainer.option=value, as in kd.temperature=2.0")
        trainer, option, value = match.groups()
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        changed.setdefault(trainer, {})[option] = parsed
    return changed


def written(changed: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Write the overrides of one cell as on the command line."""
    return tuple(
        redact(f"{trainer}.{option}={value}")
        for trainer, values in sorted(changed.items())
        for option, value in sorted(values.items())
    )
