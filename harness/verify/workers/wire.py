"""What travels between the pool and its workers: length-prefixed JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, BinaryIO

from harness.verify.judgement import Judgement, Reason, Verdict

HEADER = 4  # bytes of the length, big-endian


def pack(message: Any) -> bytes:
    """Return the bytes of one message."""
    body = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return len(body).to_bytes(HEADER, "big") + body


def unpack(stream: BinaryIO) -> Any:
    """Return the next message of a stream; None at its end."""
    header = stream.read(HEADER)
    if len(header) < HEADER:
        return None
    return json.loads(stream.read(int.from_bytes(header, "big")))


def judgement_fields(judgement: Judgement) -> dict[str, Any]:
    """Return a judgement as plain JSON values."""
    return asdict(judgement) | {
        "verdict": judgement.verdict.value,
        "reason": judgement.reason.value,
    }


def judgement_from(fields: dict[str, Any]) -> Judgement:
    """Return the judgement of plain JSON values, with every type checked.

    Raises:
        ValueError: If the fields are not those of a judgement.
    """
    texts = {k: fields.get(k) for k in ("extracted", "read", "gold_read")}
    if any(v is not None and not isinstance(v, str) for v in texts.values()):
        raise ValueError("not a judgement")
    return Judgement(
        Verdict(fields["verdict"]),
        texts["extracted"],
        texts["read"],
        texts["gold_read"],
        str(fields["why"]),
        bool(fields["strict"]),
        bool(fields["flexible"]),
        Reason(fields.get("reason", Reason.judged)),
    )
