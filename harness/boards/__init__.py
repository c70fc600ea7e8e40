"""Boards: the conditions, fixed in a TOML file before anyone trains."""
