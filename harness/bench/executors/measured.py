"""What a stage took and how it was confined, as its guard saw it: `outside.json` in its folder.

The bench writes it when all processes of the stage have ended. A stage that runs again could change
what is there, so it is read before that.
"""

from __future__ import annotations

from pathlib import Path

import pydantic

from harness.errors import UsageError
from harness.files import clear_for, read_bytes, write_atomically
from harness.records import Frozen, Outside

FILE = "outside.json"


class Measured(Frozen):
    """A stage as it was seen from outside."""

    outside: Outside
    confinement: str  # of the last attempt

    def after(self, earlier: Measured | None) -> Measured:
        """Return this attempt together with the ones before it."""
        if earlier is None:
            return self
        return self.model_copy(update={"outside": earlier.outside.plus(self.outside)})

    def write(self, folder: Path) -> None:
        clear_for(folder / FILE)
        write_atomically(folder / FILE, self.to_json())


def read(folder: Path) -> Measured | None:
    """Return what was measured of a stage; None where nothing was, or the file is broken."""
    try:
        return Measured.model_validate_json(read_bytes(folder / FILE))
    except (UsageError, pydantic.ValidationError):
        return None
