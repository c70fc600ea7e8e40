"""Text for a terminal that has no Unicode: what cannot be shown is shown as the nearest thing."""

from __future__ import annotations

import codecs
import io
import unicodedata

_NEAREST = {
    "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{MINUS SIGN}": "-", "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{PLUS-MINUS SIGN}": "+-", "\N{MULTIPLICATION SIGN}": "x", "\N{NO-BREAK SPACE}": " ",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"', "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
}  # fmt: skip


def _nearest(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    shown = []
    for character in error.object[error.start : error.end]:
        plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
        shown.append(_NEAREST.get(character) or plain or "?")
    return "".join(shown), error.end


def _ascii(name: str) -> codecs.CodecInfo | None:
    """Find ASCII by another name: under its own, click writes UTF-8 in its place."""
    if name != "harness_ascii":
        return None
    found = codecs.lookup("ascii")
    return codecs.CodecInfo(
        found.encode,
        found.decode,
        streamreader=found.streamreader,
        streamwriter=found.streamwriter,
        incrementalencoder=found.incrementalencoder,
        incrementaldecoder=found.incrementaldecoder,
        name="harness_ascii",
    )


def never_fail(*streams: object) -> None:
    """Let streams write what their encoding lacks as the nearest ASCII characters."""
    codecs.register(_ascii)
    codecs.register_error("harness-nearest", _nearest)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            name = codecs.lookup(stream.encoding).name
            encoding = "harness_ascii" if name == "ascii" else stream.encoding
            stream.reconfigure(encoding=encoding, errors="harness-nearest")
