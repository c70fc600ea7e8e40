"""Tasks: benchmarks, where their rows come from, and how a problem becomes a prompt."""
