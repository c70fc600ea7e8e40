"""Plug-ins: the hooks, the host that loads them, and what an author writes a trainer with."""
