r"""The words of a text, as n-grams compare them, and the signs a problem is compared whole by.

The normalisation, in this order:

1. Unicode NFKC, lower case.
2. Drawing code `[asy]...[/asy]` is left out of words: it is boilerplate that many figures share.
   It stays where a whole problem is compared, since the figure is part of it.
3. GSM8K's calculator marks `<<48/2=24>>` are left out.
4. LaTeX that only lays out is left out (`\left`, `\text`, spacing, ...); `\dfrac` is `\frac`.
   Any other command is a word: `\frac{1}{2}` is `frac 1 2`.
5. Separators within thousands are left out: `1,000` is `1000`. A number is a word, a decimal
   point is part of it, and so is every run of letters: `3x` is `3 x`.
6. Apostrophes within a word are left out: `Janet's` is `janets`.
7. Everything else separates words. For a whole problem the signs `+ - * / = < > ^ ! % |` count
   too: 3 + 4 is not 3 - 4.
"""

from __future__ import annotations

import re
import unicodedata

_DRAWING = re.compile(r"\[asy\].*?(?:\[/asy\]|\Z)", re.DOTALL | re.IGNORECASE)
_CALCULATOR = re.compile(r"<<[^<>\n]*>>")
_LAYOUT = re.compile(
    r"\\(?:left|right|big|bigg|displaystyle|textstyle|text|textbf|textit|mathrm|mathbf|mbox"
    r"|operatorname|quad|qquad|begin|end)(?![a-z])|\\[^a-z]"
)
_FRACTION = re.compile(r"\\[dtc]frac(?![a-z])")
_THOUSANDS = re.compile(r"(?<=\d)(?:,|\{,\}|\\!,?|,\\!)(?=\d{3}(?!\d))")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['\u2019](?=[^\W\d_])")
_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")
_SIGN = re.compile(rf"{_WORD.pattern}|[-+*/=<>^!%|]")


def _plain(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    text = text.lower()
    if "<<" in text:
        text = _CALCULATOR.sub(" ", text)
    if "," in text or "\\!" in text:
        text = _THOUSANDS.sub("", text)
    if "\\" in text:
        text = _LAYOUT.sub(" ", _FRACTION.sub(r"\\frac", text))
    return _APOSTROPHE.sub("", text)


def words(text: str) -> list[str]:
    r"""Return the words of a text, in order.

    Examples:
        >>> words(r"Janet's 1,200 ducks: \dfrac{1}{2}x + 0.5")
        ['janets', '1200', 'ducks', 'frac', '1', '2', 'x', '0.5']
    """
    if "[" in text:
        text = _DRAWING.sub(" ", text)
    return _WORD.findall(_plain(text))


def whole(text: str) -> str:
    """Return what two problems have in common if they are the same but for layout.

    Examples:
        >>> whole("Find $3 + 4$.") == whole("find 3+4") != whole("Find $3 - 4$.")
        True
    """
    return " ".join(_SIGN.findall(_plain(text)))


def verbatim(text: str) -> str:
    """Return a text with each run of white space as one space: all but the very same characters."""
    return " ".join(text.split())
