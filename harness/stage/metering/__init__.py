"""Metering: what a training stage spends, counted below its trainer."""
