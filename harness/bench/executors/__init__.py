"""Executors: where the stages of a bench run, and what of them runs on the node."""
