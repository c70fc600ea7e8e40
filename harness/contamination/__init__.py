"""Contamination: which test problems occur in training text. See `docs/contamination.md`."""
