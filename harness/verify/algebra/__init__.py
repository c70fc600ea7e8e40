"""Expressions in canonical form, and whether two of them are equal."""
