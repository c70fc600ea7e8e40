"""Decoding: how answers are generated with transformers, and where they end."""
