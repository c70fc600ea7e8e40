"""Commands that write something to start from."""
