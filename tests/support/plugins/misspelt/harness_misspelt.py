"""A plug-in with a misspelt hook."""

from harness import hookimpl


@hookimpl
def harness_trainerz():
    return []
