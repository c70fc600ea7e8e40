"""Contamination: which test problems stand in training text. See `docs/contamination.md`."""

from harness.contamination.overlap import Overlap, Passage, Shared, TestSets, passages
from harness.contamination.words import words

__all__ = ["Overlap", "Passage", "Shared", "TestSets", "passages", "words"]
