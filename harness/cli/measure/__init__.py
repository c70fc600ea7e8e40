"""Commands that train, score and judge."""
