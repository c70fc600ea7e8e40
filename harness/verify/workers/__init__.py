"""Judging in guarded processes."""
