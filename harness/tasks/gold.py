"""How a gold answer is read from the column of a published data set."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from harness.errors import UsageError

_UNIT = re.compile(r"\A(.*?\S)\s*\([^()]*\)\Z", re.S)


def gold_answer(value: Any, how: str, tidy: str | None, *, required: bool = False) -> str:
    r"""Return the gold answer in a value of a data set.

    Args:
        value: The column's value.
        how: `column`, `hash`, `boxed`, `final` or `list` (see `harness.Source`).
        tidy: `number`, `unit` or None.
        required: Whether a missing marker is an error; otherwise the whole text is the answer.

    Raises:
        UsageError: If the marker is missing and required.

    Examples:
        >>> gold_answer("3 + 4 = 7\n#### 7", "hash", None)
        '7'
        >>> gold_answer("so $\\boxed{\\frac12}$", "boxed", None)
        '\\frac12'
        >>> gold_answer("51.0", "column", "number"), gold_answer("9 (apples)", "column", "unit")
        ('51', '9')
    """
    if how == "list":
        text = ", ".join(str(part).strip() for part in value)
    else:
        text = "" if value is None else str(value).strip()
    found: str | None = text
    if how in ("boxed", "final"):
        from harness.verify.reading.extract import boxes

        found = next((box.strip() for _, _, box in reversed(boxes(text))), None)
    if how == "hash" or (how == "final" and found is None):
        _, mark, after = text.rpartition("####")
        found = after.strip() if mark else None
    if found is None:
        if required:
            raise UsageError(f"no gold answer is marked in {text[:60]!r}")
        found = text
    if tidy == "unit":
        return _UNIT.sub(r"\1", found)
    return _number(found) if tidy == "number" else found


def _number(text: str) -> str:
    """Return a decimal literal without a fraction of zero; any other text unchanged."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if not value.is_finite() or "e" in text.lower():
        return text
    return str(int(value)) if value == value.to_integral_value() else text
