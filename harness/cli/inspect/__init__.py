"""Commands that show and check, and write nothing."""
