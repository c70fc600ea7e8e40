"""What is known of a model that `harness import` made: its config.json and every record say it."""

from __future__ import annotations

from pathlib import Path

import pydantic

from harness import checkpoints
from harness.costs import Count, Frozen
from harness.errors import UsageError

KEY = "imported"  # of a model's config.json


class Imported(Frozen):
    """The file that a model's weights come from. Nothing of it depends on where that file lay."""

    format: str = pydantic.Field(max_length=20)
    # the type that most parameters had, such as "Q4_1, dequantised", or "F16"
    quantization: str = pydantic.Field(max_length=40)
    types: dict[str, Count] = pydantic.Field(max_length=40)  # type -> parameters stored in it
    sha256: str = pydantic.Field(pattern="^[0-9a-f]{64}$")  # of the file
    name: str = pydantic.Field(default="", max_length=200)  # in the file's metadata, as the next
    license: str = pydantic.Field(default="", max_length=200)

    @property
    def described(self) -> str:
        """Return the source in a few words, as leaderboards print it behind a model's name."""
        name = f" of {self.name}" if self.name else ""
        return f"{self.quantization}, from the {self.format} file {self.sha256[:12]}{name}"


def imported(folder: Path) -> Imported | None:
    """Return how a model folder was imported, or None if it was not.

    Raises:
        UsageError: If its configuration says something else there.
    """
    found = checkpoints.configuration(folder).get(KEY)
    if found is None:
        return None
    try:
        return Imported.model_validate(found)
    except pydantic.ValidationError:
        raise UsageError(
            f"{folder / 'config.json'}: {KEY!r} is not what harness import writes; import it again"
        ) from None
