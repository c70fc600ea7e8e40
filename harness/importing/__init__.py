"""Importing: a model of another format becomes a folder of safetensors, checked by round trips."""

from harness.importing.write import import_model

__all__ = ["import_model"]
