"""Stops: the token after which an answer is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class Stops:
    """What ends an answer: an end-of-turn token, or a string that its text has come to hold.

    Text is looked at only after a token that can end one of the strings. That is found once for a
    token, when it is first written.

    Attributes:
        ends: The end-of-turn tokens.
        strings: The strings, none of them empty.
    """

    def __init__(self, tokenizer: Any, ends: Iterable[int], strings: Sequence[str] = ()) -> None:
        self.ends = frozenset(ends)
        self.strings = [text for text in strings if text]
        self._tokenizer = tokenizer
        self._last = {text[-1] for text in self.strings}
        # a token is a byte at least, so a string that ends in a token starts in a tail so long
        self._longest = max((len(text.encode()) for text in self.strings), default=0)
        self._finishing: dict[int, bool] = {}

    def ended(self, tokens: Sequence[int]) -> bool:
        """Return whether an answer is over at its last token, if it was not before."""
        last = tokens[-1]
        if last in self.ends:
            return True
        return self.finishing(last) and self.complete(tokens)

    def complete(self, tokens: Sequence[int]) -> bool:
        """Return whether the end of an answer's text holds one of the strings."""
        text = self._tokenizer.decode(tokens[-self._longest - 1 :])
        return any(stop in text for stop in self.strings)

    def finishing(self, token: int) -> bool:
        """Return whether a token can be the last one of a string."""
        if not self._last:
            return False
        found = self._finishing.get(token)
        if found is None:
            # Twice, because what a tokenizer writes between two tokens belongs to the second one.
            text = self._tokenizer.decode([token, token])
            # a part of a character is seen as U+FFFD, and an invisible token may complete one
            found = not text or "\ufffd" in text or not self._last.isdisjoint(text)
            self._finishing[token] = found
        return found


class Row:
    """An answer as far as it is generated.

    Attributes:
        limit: Most tokens that it may have.
        start: Tokens of its prompt.
        tokens: Its token ids, up to the one that ends it.
        done: Whether it is over.
        stopped: Whether it ended by itself, and not at its limit.
    """

    __slots__ = ("done", "limit", "start", "stopped", "tokens")

    def __init__(self, limit: int, start: int = 0) -> None:
        self.limit, self.start = limit, start
        self.tokens: list[int] = []
        self.done = self.stopped = False

    def extend(self, new: Iterable[int], stops: Stops) -> bool:
        """Append tokens up to the first that ends the answer; return whether it is over."""
        for token in new if not self.done else ():
            self.tokens.append(token)
            self.stopped = stops.ended(self.tokens)
            if self.stopped or len(self.tokens) == self.limit:
                self.done = True
                break
        return self.done
