"""Commands that publish results and hand them to others."""
