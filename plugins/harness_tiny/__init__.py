"""The embedded `tiny` board: problems, tokenizer, start model and teacher, all made here."""

from harness_tiny.problems import FAMILIES, SIZES, rows

__all__ = ["FAMILIES", "SIZES", "rows"]
