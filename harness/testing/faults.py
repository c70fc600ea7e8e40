"""What does not conform, raised as one error that lists all of it."""

from __future__ import annotations


def raise_all(what: str, faults: list[str]) -> None:
    """Raise an AssertionError with every fault, or return where there is none."""
    if faults:
        raise AssertionError(f"{what} does not conform:\n" + "\n".join(f"  - {x}" for x in faults))
