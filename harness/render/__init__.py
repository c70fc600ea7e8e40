"""Leaderboards as markdown, JSON, CSV and terminal tables. Numbers come from `standings` only."""
