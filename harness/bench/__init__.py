"""The bench: the controlling process that plans cells, runs stages, judges and records."""
