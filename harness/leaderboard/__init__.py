"""Leaderboards: rows and statistics computed from records."""
