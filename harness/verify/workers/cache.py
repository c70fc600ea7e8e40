"""A bounded cache of verdicts: RL judges the same answer to the same question again and again."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from harness.verify.conventions import Conventions
from harness.verify.judgement import VERIFIER_VERSION, Judgement


class VerdictCache:
    """Judgements by everything that can change them; the least recently used is dropped.

    Args:
        size: The number of judgements kept.
    """

    def __init__(self, size: int = 65_536) -> None:
        self.size = size
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[bytes, Judgement] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def key(
        answer: str,
        gold: str | Sequence[str],
        conventions: Conventions,
        form: str,
        truncated: bool,
        problem: str | None = None,
    ) -> bytes:
        """Return a digest of version, options, gold and answer."""
        golds = [gold] if isinstance(gold, str) else list(gold)
        options = conventions.model_dump_json(), form, truncated, problem or ""
        parts = json.dumps([VERIFIER_VERSION, *options, answer, *golds], ensure_ascii=False)
        return blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=20).digest()

    def get(self, key: bytes) -> Judgement | None:
        """Return the judgement kept under a key, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self.misses += 1
            else:
                self.hits += 1
                self._kept.move_to_end(key)
            return found

    def put(self, key: bytes, judgement: Judgement) -> None:
        """Keep a judgement."""
        with self._lock:
            self._kept[key] = judgement
            self._kept.move_to_end(key)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)
