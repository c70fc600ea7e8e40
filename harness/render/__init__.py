"""Leaderboards, plans, progress and differences as text; no number is computed here."""
