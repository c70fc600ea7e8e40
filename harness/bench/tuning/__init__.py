"""Tuning: the trials of every row, and the options that they choose."""
