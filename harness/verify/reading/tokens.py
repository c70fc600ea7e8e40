"""Text of an answer, LaTeX or plain, into tokens."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from harness.verify.limits import MAX_ANSWER, MAX_DIGITS, MAX_TOKENS, TooLarge, charge
from harness.verify.reading.words import FUNCTIONS, UNITS, WORDS_OF_THREE

_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni")
_SUPER_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ]+")
_SUB = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-")
_SUB_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋]+")
_VULGAR = re.compile("(?<!\\s)\\s*([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒])")

# fmt: off
_CHARS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "﹣": "-", "×": r"\times ",
    "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "•": r"\cdot ", "∗": "*", "÷": r"\div ",
    "∕": "/", "⁄": "/", "≤": r"\le ", "⩽": r"\le ", "≦": r"\le ", "≥": r"\ge ", "⩾": r"\ge ",
    "≧": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≃": r"\approx ", "≅": r"\approx ",
    "≡": r"\equiv ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∉": r"\notin ",
    "∅": r"\emptyset ", "√": r"\sqrt ", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]", "±": r"\pm ",
    "∓": r"\mp ", "°": r"^\circ ", "º": r"^\circ ", "∘": r"\circ ", "′": "'", "’": "'", "‘": "'",
    "“": '"', "”": '"', "∠": r"\angle ", "△": r"\triangle ", "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "→": r"\to ",
    "⇒": r"\implies ", "⟹": r"\implies ", "∨": r"\lor ", "∧": r"\land ", "⌊": r"\lfloor ",
    "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "∣": "|", "…": r"\ldots ",
    "⋯": r"\ldots ", "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ", "π": r"\pi ", "ϕ": r"\phi ",
    "ϵ": r"\epsilon ", "，": ",", "、": ",", "；": ";", "：": ":", "。": ".", "％": "%", "（": "(",
    "）": ")", "［": "[", "］": "]", "｛": "{", "｝": "}", "〈": r"\langle ", "〉": r"\rangle ",
    "⟨": r"\langle ", "⟩": r"\rangle ", "∥": r"\|", "⊥": r"\perp ", "∀": r"\forall ",
    "∃": r"\exists ", "¢": r"\text{ cents}", "Å": r"\text{ angstroms}", "￥": "¥", "$": "$",
}
_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi " \
    "rho _ sigma tau upsilon phi chi psi omega"
_CHARS.update({chr(0x3B1 + i): f"\\{n} " for i, n in enumerate(_GREEK.split()) if n != "_"})
_CHARS.update({"Γ": r"\Gamma ", "Δ": r"\Delta ", "Θ": r"\Theta ", "Λ": r"\Lambda ", "Σ": r"\Sigma ",
               "Φ": r"\Phi ", "Ψ": r"\Psi ", "Ω": r"\Omega ", "Π": r"\Pi ", "Ξ": r"\Xi "})
# fmt: on
_TRANSLATE = str.maketrans(_CHARS)
_INVISIBLE = re.compile(  # and what only decorates: dingbats, emoji
    "[\u2600-\u26ff\u2705\u2713\u2714\u2794-\u27bf\u2b00-\u2bff\U0001f300-\U0001faff"
    "\u200b-\u200d\u0304\u0305\u2060\ufeff\u00ad\ufe0e\ufe0f]"
)
_CJK_SCALES = {
    "百": "hundred", "千": "thousand", "万": "tens thousand", "萬": "tens thousand",
    "亿": "hundred million", "億": "hundred million",
}  # fmt: skip
_MYRIADS = re.compile(r"(?<=[\d ])([百千万萬亿億])")


def plain(text: str) -> str:
    r"""Return the text with typographic characters written as LaTeX or ASCII.

    Superscripts become powers and vulgar fractions `\\frac`, before compatibility
    normalisation can turn `4²` into `42` or `1½` into `11/2`.
    """
    if text.isascii():
        return text
    text = _VULGAR.sub(_vulgar, text)
    text = _SUPER_RUN.sub(lambda m: "^{" + m.group().translate(_SUPER) + "}", text)
    text = _SUB_RUN.sub(lambda m: "_{" + m.group().translate(_SUB) + "}", text)
    text = _MYRIADS.sub(lambda m: f" {_CJK_SCALES[m.group(1)]} ", text.translate(_TRANSLATE))
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_TRANSLATE)
        text = _INVISIBLE.sub("", text)
    return text


def _vulgar(match: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", match.group(1)).partition("\u2044")
    return f"\\frac{{{top}}}{{{bottom}}}"


class Token(NamedTuple):
    r"""One token.

    Attributes:
        kind: One of num, cmd (a LaTeX command), let (a single letter), word (a run of letters), op
            (a character) and end.
        value: The number's digits, the command's name, the letters or the character.
        space: Whether blanks come before it.
        prose: Whether it is inside a text command such as `\text`.
    """

    kind: str
    value: str
    space: bool
    prose: bool


# fmt: off
_SKIP_CMDS = {
    "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl",
    "biggr", "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "hline", "quad",
    "qquad", "thinspace", "hfill", "phantom", "hspace", "vspace", "noindent", "rm", "bf", "it",
    "mathstrut", "strut", "nonumber", "notag", "enspace", "cr", "centering", "large", "Large",
    "small", "tiny", "allowbreak", "bigm", "middle", "mathopen", "mathclose", "mathrel", "smash",
    "vphantom", "negthinspace", "thickspace", "medspace", "dfracs", "boldmath", "bm", "checkmark",
    "blacksquare", "qed",
}
_TEXT_CMDS = {
    "text", "mbox", "textbf", "textit", "textrm", "mathrm", "mathbf", "textnormal", "mathit",
    "textsf", "texttt", "mathsf", "mathtt", "operatorname", "hbox", "emph", "underline", "textsc",
    "bold", "pmb", "boldsymbol", "mathcal", "cancel", "bcancel", "xcancel", "mathbin", "mathord",
    "textup", "textsl",
}
_SAME_CMDS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "leq": "le", "leqslant": "le", "geq": "ge",
    "geqslant": "ge", "neq": "ne", "lt": "<", "gt": ">", "dbinom": "binom", "tbinom": "binom",
    "lbrace": "{set", "rbrace": "}set", "lbrack": "[", "rbrack": "]", "lvert": "|", "rvert": "|",
    "vert": "|", "times": "*", "cdot": "*", "ast": "*", "div": "/", "colon": ":",
    "dots": "ldots", "cdots": "ldots", "dotsc": "ldots", "dotsb": "ldots", "dotsm": "ldots",
    "varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta", "varnothing": "emptyset",
    "lor": "or", "vee": "or", "land": "and", "wedge": "and", "thickapprox": "approx",
    "simeq": "approx", "cong": "approx", "doteq": "approx", "rightarrow": "to",
    "Rightarrow": "implies", "Longrightarrow": "implies", "iff": "implies",
    "therefore": "implies", "degree": "circ", "cupdot": "cup",
    "backslash": "setminus", "smallsetminus": "setminus", "prime": "'",
    "thinmuskip": " ", "lparen": "(", "rparen": ")", "slash": "/", "percent": "%", "arcsinh":
    "asinh", "arccosh": "acosh", "arctanh": "atanh", "tg": "tan", "ctg": "cot", "arctg": "arctan",
    "sh": "sinh", "ch": "cosh", "th": "tanh", "cosec": "csc", "euro": "€", "pounds": "£",
    "cents": "cent",
    "nless": "ge", "ngtr": "le", "Vert": "|", "lVert": "|", "rVert": "|",
}
# fmt: on
_NUMBER = re.compile(
    r"""
      \d{1,3}(?:(?:,\\!\s*|\{\s*,\s*\}\s*|\\,\s*|,\\,|,\\;|\\!,|'|\{,\\!\}|\\text\{,\})\s*\d{3})+
      (?!\d)(?:\.\d+)?
    | \d{1,3}(?:,\d{3})+(?![\d])(?:\.\d+)?
    | \d{1,3}(?:\.\d{3}){2,}(?![\d.])
    | \d{1,3}(?:[ ]\d{3})+(?![\d/]|\s*/)(?:\.\d+)?
    | \d+(?:\.\d+)?(?:[eE][+-]?\d+(?![a-zA-Z\d]))
    | \d+\.(?!\d)(?=\s*[\\$)\]},;/]|\s*$)
    | \d+(?:\.\d+)?
    | \.\d+
    """,
    re.X,
)
_LEX = re.compile(r"\s+|\\([a-zA-Z]+)\*?|\\(.)|([^\W\d_]+)|(.)", re.S)
# what a backslash before a character makes of it
_SYMBOLS = {c: c for c in "|%&#_€£¥₹"} | {"{": "{set", "}": "}set", "\\": "\\\\", "$": "money"}
_OPERATORS = {*"*/<>:|[]()'%€£", "{set", "}set"}
_CLOSING, _OPENING = {")", "]", "}set"}, {"(", "[", "{set"}
_FACTORS = {w for w in WORDS_OF_THREE if len(w) == 2 and w not in UNITS}
_BLANK_CMDS = {"phantom", "hspace", "vspace", "vphantom"}
_BOLD = {"mathbf", "boldsymbol", "bold", "pmb", "bm", "textbf"}  # a unit vector
_NOT_PROSE = {"boxed", "fbox", "underline", "boldsymbol", "bold", "mathcal"}
_NOT_PROSE |= {"cancel", "bcancel", "xcancel"}


def tokenise(text: str, *, thousands: bool = True) -> list[Token]:
    """Return the tokens of an answer.

    Args:
        text: The answer, as `plain` returns it.
        thousands: Whether `1,234` is one number.

    Raises:
        TooLarge: If there are too many characters, digits or tokens.
    """
    if len(text) > MAX_ANSWER:
        raise TooLarge(f"the answer has more than {MAX_ANSWER} characters")
    out: list[Token] = []
    _lex(text, out, thousands, prose=False)
    if "U" in text:
        for i, token in enumerate(out[1:-1], 1):
            if token.value == "U" and out[i - 1].value in _CLOSING and out[i + 1].value in _OPENING:
                out[i] = token._replace(kind="cmd", value="cup")  # typed for a union sign
    return _operators(out) if _SPOKEN.search(text) else out


_SPOKEN = re.compile(r"\b(?:minus|plus|negative|positive)\b", re.I)
_SIGNS = {"minus": "-", "negative": "-", "plus": "+", "positive": "+"}


def _operators(tokens: list[Token]) -> list[Token]:
    """Return the tokens with "minus" and the like as signs where something follows them."""
    return [
        Token("op", _SIGNS[t.value.lower()], t.space, t.prose)
        if t.value.lower() in _SIGNS and i + 1 < len(tokens)
        else t
        for i, t in enumerate(tokens)
    ]


def group_end(text: str, start: int) -> int:
    """Return the index just behind the brace group that opens at `start`, or -1."""
    depth = 0
    i = start
    while i < len(text):
        c = text[i]
        if c == "\\":
            i += 1
        elif c == "{":
            depth += 1
        elif c == "}":
            depth -= 1
            if not depth:
                return i + 1
        i += 1
    charge((i - start) // 16)  # for each brace that nothing closes
    return -1


def _lex(text: str, out: list[Token], thousands: bool, prose: bool, level: int = 0) -> None:
    i, n, space = 0, len(text), False
    while i < n:
        c = text[i]
        if (c.isdigit() and c.isascii()) or (
            c == "." and i + 1 < n and text[i + 1] in "0123456789"
        ):
            m = _NUMBER.match(text, i)
            assert m is not None
            value, end = m.group(), m.end()
            if not thousands and "," in value and "\\" not in value and "{" not in value:
                value = value.partition(",")[0]
                end = i + len(value)
            if len(value) > MAX_DIGITS:
                raise TooLarge(f"a number has more than {MAX_DIGITS} digits")
            out.append(Token("num", _bare_number(value), space, prose))
            i, space = end, False
        else:
            m = _LEX.match(text, i)
            assert m is not None
            name, symbol, letters, char = m.groups()
            i = m.end()
            if name is not None:
                i, space = _command(name, text, i, out, thousands, prose, space, level)
                continue
            if symbol is not None:
                if symbol in _SYMBOLS:  # the rest are blanks and math delimiters
                    out.append(Token("op", _SYMBOLS[symbol], space, prose))
                space = symbol in ",;: !>~\n" or (symbol == "$" and space)
                continue
            if letters is not None:
                if letters[-4:] == "sqrt" and letters[:-4] in ("pi", *"abcdexyz"):
                    i -= 4  # 2pisqrt(3)
                    letters = letters[:-4]
                if letters.lower() in _FACTORS and not prose and _of_power(text, i, out):
                    out.append(Token("let", letters[0], space, prose))  # B e^x, e^{-at}
                    letters, space = letters[1], False
                behind = bool(out) and out[-1].kind == "num" and letters != "GM"
                if _two_names(letters) and not prose and not behind:
                    out.append(Token("let", letters[0], space, prose))  # A / Pt
                    letters, space = letters[1], False
                kind = "let" if len(letters) == 1 else "word"
                out.append(Token(kind, letters, space, prose))
            elif char is None or char == "~":
                space = True
                continue
            elif char == "$":
                nxt = text[i : i + 1]
                if (nxt.isdigit() or (nxt in ".-" and nxt)) and not _closed(text, i):
                    out.append(Token("op", "money", space, prose))
                space = True
                continue
            else:
                out.append(Token("op", char, space, prose))
            space = False
        if len(out) > MAX_TOKENS:
            raise TooLarge(f"the answer has more than {MAX_TOKENS} tokens")


def _two_names(letters: str) -> bool:
    """Whether two letters are no unit because of their case, and so a product: `Pt`."""
    lower = letters.lower()
    return len(letters) == 2 and letters[0].isupper() and letters not in UNITS and lower in UNITS


def _of_power(text: str, i: int, out: list[Token]) -> bool:
    """Whether the letters before `i` are factors: one has a power, or they stand in one."""
    before = "".join(t.value for t in out[-5:])
    if before[-1:] == "(" and text[i : i + 1] == ")" and len(out) > 1:  # cosh(at)
        return out[-2].kind == "cmd" or out[-2].value in FUNCTIONS
    return text[i : i + 1] == "^" or ("^{" in before and "}" not in before[before.rindex("^{") :])


def _closed(text: str, i: int) -> bool:
    """Whether the dollar sign before `i` opens a formula: `$125$ miles`, but not `$5 and $6`."""
    end = text.find("$", i)
    return end > 0 and text[end - 1] not in " \\" and not text[end + 1 : end + 2].isdigit()


def _command(
    name: str,
    text: str,
    i: int,
    out: list[Token],
    thousands: bool,
    prose: bool,
    space: bool,
    level: int,
) -> tuple[int, bool]:
    if name in _SKIP_CMDS:
        if name in _BLANK_CMDS and text[i : i + 1] == "{":
            end = group_end(text, i)
            i = end if end > 0 else i
        elif name in ("left", "right") and text[i : i + 1] == ".":
            i += 1
        return i, space or name in ("quad", "qquad")
    if name in _TEXT_CMDS or name in ("boxed", "fbox", "tag", "color", "textcolor"):
        while text[i : i + 1] == " ":
            i += 1
        if text[i : i + 1] == "{":
            end = group_end(text, i)
            if end > 0 and level < 8:
                inner = text[i + 1 : end - 1]
                if name in ("tag", "color", "textcolor"):
                    return end, space
                before = len(out)
                if name in _BOLD and inner.strip() in ("i", "j", "k"):
                    out.append(Token("let", f"hat {inner.strip()}", space, False))
                    return end, False
                _lex(inner, out, thousands, prose or name not in _NOT_PROSE, level + 1)
                if len(out) > before:
                    out[before] = out[before]._replace(
                        space=space or out[before].space or name in ("boxed", "text", "mbox")
                    )
                return end, inner[-1:].isspace() or name in ("text", "mbox")
        return i, True
    if name.startswith("quad") and len(name) < 8:  # \\quadx, a blank that was forgotten
        _lex(name[4:], out, thousands, prose, level + 1)
        return i, False
    value = _SAME_CMDS.get(name, name)
    if value in _OPERATORS:
        out.append(Token("op", value, space, prose))
    elif name in ("imath", "jmath"):
        out.append(Token("let", name[0], space, prose))
    elif value == "cent":
        out.append(Token("word", value, space, True))
    else:
        out.append(Token("cmd", value, space, prose))
    return i, False


def _bare_number(value: str) -> str:
    """Return the digits of a number literal without marks of thousands."""
    if value.isdigit():
        return value
    if "\\" in value or "{" in value or "'" in value or " " in value or "," in value:
        return re.sub(r"[^\d.]", "", value)
    if value.count(".") > 1:
        return value.replace(".", "")
    return value.rstrip(".") if value.endswith(".") else value
