"""What is counted and goes on, so that a part of it is not counted again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.stage.computed.products import Products
from harness.stage.metering.sizes import modules
from harness.stage.metering.tokens import seen_tokens


class Work:
    """What is counted and goes on: a pass of a model over tokens, or a generation."""

    def __init__(self, model: Any, tokens: int = 0, padded: int = 0, own: bool = False) -> None:
        """Begin it; without tokens it is a generation, which may be made of others of its `own`."""
        self.model, self.tokens, self.padded, self.own = model, tokens, padded, own
        self.generates = not padded
        self._parts = {id(model)}  # the rest is looked up where something else is called
        self._read: dict[int, int] = {}  # tokens by part
        # of a generation: tokens of the first pass, rows of all passes, passes of one token a row,
        # their rows, and tokens of the others
        self.first = self.rows = self.steps = self.single = self.wide = 0
        self.gradient = False  # whether a part was seen that takes one
        self._masks: list[Any] = []  # of layers, that were looked at

    def room(self, given: dict[str, Any]) -> int:
        """Return the tokens that a part of it may read, which is given such arguments.

        Where the model made another mask of its own, padding can no longer be told.
        """
        mask = given.get("attention_mask")
        return self.tokens if mask is None or getattr(mask, "ndim", 0) == 2 else self.padded

    def look(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Learn from what a layer of it is given how many tokens are read that are no padding.

        A model may give its layers another mask than it was given itself.
        """
        mask = kwargs.get("attention_mask")
        if self.tokens < self.padded and not any(mask is one for one in self._masks):
            self._masks.append(mask)
            self.tokens = max(self.tokens, min(self.padded, seen_tokens(args, kwargs) or 0))

    def saw(self, tokens: int, rows: int, columns: int) -> None:
        """Learn of a pass that it generates by, which writes a token in each row."""
        self.first = self.first or tokens
        self.rows += rows
        if columns == 1:
            self.steps += 1
            self.single += rows
        else:
            self.wide += tokens

    def holds(self, module: Any, tokens: int, room: int, gradient: bool) -> bool:
        """Return whether a call inside it is a part of it, and take it for one if so."""
        if id(module) not in self._parts:
            self._parts.update(map(id, modules(self.model)))
        if id(module) not in self._parts:
            return False
        if self.generates:
            return not gradient
        read = self._read.get(id(module), 0) + tokens
        if module is self.model or read > room:
            return False
        self._read[id(module)] = read
        return True


class Works(threading.local):
    """What is counted and goes on in this thread, the innermost last."""

    def __init__(self, products: Products) -> None:
        self.on: list[Work] = []
        self._products = products

    @property
    def last(self) -> Work | None:
        return self.on[-1] if self.on else None

    @contextmanager
    def begun(self, work: Work) -> Iterator[None]:
        self.on.append(work)
        self._products.calls += 1
        try:
            self._products.meet(work.model)
            yield
        finally:
            self._products.calls -= 1
            self.on.pop()
