"""The checks behind `harness doctor`: what usually breaks on a machine."""
