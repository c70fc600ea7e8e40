"""Leaderboards: rows, ranking and statistics, computed from records; no text for people."""
