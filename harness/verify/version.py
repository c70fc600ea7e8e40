"""The version of the rules: it changes whenever a verdict on the project's own cases changes."""

VERIFIER_VERSION = "2"
