"""A board's report: one HTML file that needs no script, no network and no other file."""
