"""One of two distributions that claim a name."""
