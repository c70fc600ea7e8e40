"""What words and commands in an answer mean: units, number words, connectives, functions."""

from __future__ import annotations

import re
from fractions import Fraction

from harness.verify.limits import TooLarge, Unreadable

# a command whose argument is text, without that argument
TEXT_COMMAND = (
    r"\\(?:text(?:bf|it|rm|normal|sf|tt|up|sl)?|[mh]box|math(?:rm|bf|it|sf|tt)|emph)(?![a-zA-Z])\s*"
)
TEXT = re.compile(TEXT_COMMAND + r"\{([^{}]*)\}")
_TEXT_COMMAND = re.compile(TEXT_COMMAND + r"|\\displaystyle\b")

# fmt: off
AND_OR = {"and", "or", "und", "oder", "et", "ou", "y", "o", "e", "和", "或", "与"}
QUALIFIERS = {
    "for", "where", "with", "such", "given", "provided", "because", "since", "so",
    "as", "in", "assuming", "but", "which", "that", "is", "are", "on", "at", "to",
}
LEADING = {
    "approximately", "about", "exactly", "around", "roughly", "only", "approx", "both",
    "either", "is", "are", "the", "an", "all", "approx.", "just", "total", "of", "answer",
    "point", "ordered", "pair", "interval", "there", "be", "will", "would", "equals", "equal",
    "to", "he", "she", "they",
}
ORDINALS = {"th", "st", "nd", "rd"}
ROMAN = {"II", "III", "IV", "VI", "VII", "VIII", "IX"}
# short words of prose, which are not products of variables
WORDS_OF_THREE = {
    "the", "and", "are", "not", "yes", "odd", "one", "two", "six", "ten", "his", "her", "all",
    "any", "for", "can", "day", "men", "way", "cat", "dog", "pen", "egg", "red", "may", "sun",
    "mon", "tue", "wed", "thu", "fri", "sat", "who", "how", "why", "out", "box", "car", "map",
    "pie", "cup", "bag", "toy", "hat", "bus", "pig", "cow", "hen", "kid", "boy", "age", "no",
    "is", "to", "of", "in", "or", "it", "if", "so", "we", "he", "pm", "am", "none", "old", "new",
    "nan", "its", "as", "at", "by", "an", "on", "be", "do", "per", "ft", "cm", "km", "dne",
}
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen " \
    "fifteen sixteen seventeen eighteen nineteen"
NUMBER_WORDS = {w: i for i, w in enumerate(_ONES.split())}
NUMBER_WORDS.update({w: 10 * (i + 2) for i, w in enumerate(
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])})
_ORDINALS = "first _ third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth " \
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
# without "second", which is a unit
ORDINAL_WORDS = {w: i + 1 for i, w in enumerate(_ORDINALS.split()) if w != "_"}
# the lower half of a fraction in words, and whether it is a plural: a third, two thirds
DENOMINATORS = {"half": (2, False), "halves": (2, True), "quarter": (4, False),
                "quarters": (4, True), "hundredth": (100, False), "hundredths": (100, True),
                "thousandth": (1000, False), "thousandths": (1000, True)}
DENOMINATORS.update({w: (i, False) for w, i in ORDINAL_WORDS.items() if i > 2})
DENOMINATORS.update({w + "s": (i, True) for w, i in ORDINAL_WORDS.items() if i > 2})
SCALES = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9,
          "trillion": 10**12, "dozen": 12, "tens": 10}


def scale_of(word: str) -> int | None:
    """Return what a word of a scale multiplies by, singular or plural: 12 for `dozens`; or None."""
    word = word.lower()
    return SCALES.get(word) or SCALES.get(word.removesuffix("s"))


# a number in words, as a pattern
_W = "|".join(sorted([*NUMBER_WORDS, *SCALES, *DENOMINATORS], key=len, reverse=True))
SPOKEN = rf"(?:{_W})\b(?:[\s-](?:and\s)?(?:an?\s)?(?:{_W})\b){{0,8}}"
CONSTANT_WORDS = {"pi", "infinity", "inf", "oo", "infty", "Infinity", "undefined", "alpha", "beta",
                  "gamma", "delta", "theta", "lambda", "mu", "sigma", "omega", "phi", "epsilon",
                  "Pi", "PI", "rho", "tau", "psi"}
FUNCTIONS = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "asin": "asin", "acos": "acos",
    "atan": "atan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "asinh",
    "acosh": "acosh", "atanh": "atanh", "ln": "ln", "log": "log", "lg": "lg", "exp": "exp",
    "sqrt": "sqrt", "cbrt": "cbrt", "max": "max", "min": "min", "gcd": "gcd", "lcm": "lcm",
    "abs": "abs", "Abs": "abs", "floor": "floor", "ceil": "ceil", "ceiling": "ceil",
    "factorial": "factorial", "binomial": "binomial", "arccot": "acot", "acot": "acot",
    "det": "det", "Re": "re", "Im": "im", "arg": "arg", "sgn": "sgn", "sign": "sgn", "arsinh":
    "asinh", "root": "root", "cis": "cis", "log10": "log10", "log2": "log2", "Matrix": "Matrix",
}
INVERSES = {"sin": "asin", "cos": "acos", "tan": "atan", "sinh": "asinh", "cosh": "acosh",
            "tanh": "atanh", "cot": "acot"}
# LaTeX commands by what they begin
GREEK_OR_SYMBOL = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda",
    "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma",
    "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega", "ell",
    "hbar", "star", "ldots", "nabla", "partial", "square", "Box", "heartsuit", "spadesuit",
    "clubsuit", "diamondsuit", "bullet", "diamond", "triangle", "Re", "Im", "aleph", "wp",
}
DECORATIONS = {
    "overline", "vec", "hat", "bar", "tilde", "dot", "ddot", "widehat", "widetilde",
    "overrightarrow", "overleftrightarrow", "overarc", "underline", "mathbb", "mathfrak",
    "mathscr", "not", "overset", "stackrel", "angle", "measuredangle", "overbrace", "underbrace",
    "wideparen", "check",
}
OPAQUE = {
    "sum", "prod", "int", "iint", "oint", "lim", "bigcup", "bigcap", "limsup", "liminf", "sup",
    "inf", "forall", "exists",
}
RELATIONS = {
    "=", "<", ">", "le", "ge", "ne", "approx", "in", "notin", "equiv", "subset", "subseteq",
    "perp", "parallel", "sim",
}
# fmt: on
_F = Fraction
# unit: (kind of quantity, size in a common unit); several spellings share a line
_UNIT_LINES: list[tuple[str, str, Fraction]] = [
    ("m meter meters metre metres", "length", _F(1)),
    ("km kilometer kilometers kilometre kilometres kms", "length", _F(1000)),
    ("cm centimeter centimeters centimetre centimetres cms", "length", _F(1, 100)),
    ("mm millimeter millimeters millimetre millimetres", "length", _F(1, 1000)),
    ("in inch inches", "length", _F(254, 10000)),
    ("ft foot feet", "length", _F(3048, 10000)),
    ("yd yard yards", "length", _F(9144, 10000)),
    ("mi mile miles", "length", _F(1609344, 1000)),
    ("s sec secs second seconds", "time", _F(1)),
    ("min mins minute minutes", "time", _F(60)),
    ("h hr hrs hour hours", "time", _F(3600)),
    ("day days", "time", _F(86400)),
    ("week weeks wk wks", "time", _F(604800)),
    ("month months", "month", _F(1)),
    ("year years yr yrs", "month", _F(12)),
    ("g gram grams gm gms", "mass", _F(1)),
    ("kg kilogram kilograms kgs", "mass", _F(1000)),
    ("mg milligram milligrams", "mass", _F(1, 1000)),
    ("lb lbs pound pounds", "pound", _F(16)),
    ("oz ounce ounces", "pound", _F(1)),
    ("l liter liters litre litres", "volume", _F(1, 1000)),
    ("ml milliliter milliliters millilitre millilitres", "volume", _F(1, 10**6)),
    ("cup cups", "cup", _F(1)),
    ("pint pints pt", "cup", _F(2)),
    ("quart quarts qt", "cup", _F(4)),
    ("gallon gallons gal", "cup", _F(16)),
    ("dollar dollars usd bucks", "dollar", _F(1)),
    ("cent cents", "dollar", _F(1, 100)),
    ("euro euros eur", "euro", _F(1)),
    ("£ gbp", "£", _F(1)),
    ("¥ yen yuan", "¥", _F(1)),
    ("₹ rupee rupees", "₹", _F(1)),
    ("zł zloty złoty pln", "zł", _F(1)),
    ("kr krona kronor kroner", "kr", _F(1)),
    ("rub ruble rubles", "rub", _F(1)),
    ("peso pesos", "peso", _F(1)),
    ("chf franc francs", "franc", _F(1)),
    ("n newton newtons", "force", _F(1)),
    ("kn", "force", _F(1000)),
    ("j joule joules", "energy", _F(1)),
    ("kj", "energy", _F(1000)),
    ("ev electronvolt electronvolts", "energy", _F(1602176634, 10**28)),
    ("kev", "energy", _F(1602176634, 10**25)),
    ("mev", "energy", _F(1602176634, 10**22)),
    ("erg ergs", "energy", _F(1, 10**7)),
    ("cal calorie calories", "energy", _F(4184, 1000)),
    ("kcal kilocalorie kilocalories", "energy", _F(4184)),
    ("wh", "energy", _F(3600)),
    ("kwh", "energy", _F(3_600_000)),
    ("micron microns microm", "length", _F(1, 10**6)),
    ("angstrom angstroms", "length", _F(1, 10**10)),
    ("parsec parsecs pc", "parsec", _F(1)),
    ("mol mole moles", "amount", _F(1)),
    ("coulomb coulombs", "charge", _F(1)),
    ("kelvin kelvins", "kelvin", _F(1)),
    ("w watt watts", "power", _F(1)),
    ("kw", "power", _F(1000)),
    ("pa pascal pascals", "pressure", _F(1)),
    ("kpa", "pressure", _F(1000)),
    ("atm atmosphere atmospheres", "pressure", _F(101325)),
    ("hz hertz", "frequency", _F(1)),
    ("khz", "frequency", _F(1000)),
    ("v volt volts", "voltage", _F(1)),
    ("ampere amperes amp amps", "current", _F(1)),
    ("ohm ohms", "resistance", _F(1)),
    ("farad farads", "capacitance", _F(1)),
    ("tesla teslas", "induction", _F(1)),
    ("°f fahrenheit", "fahrenheit", _F(1)),
    ("°c celsius centigrade", "celsius", _F(1)),
]
UNITS: dict[str, tuple[str, Fraction]] = {
    word: (kind, size) for line, kind, size in _UNIT_LINES for word in line.split()
}
_PREFIXES = {
    "p": "pico", "n": "nano", "u": "micro", "m": "milli", "c": "centi", "k": "kilo", "M": "mega",
    "G": "giga", "T": "tera",
}  # fmt: skip
_POWERS = dict(zip(_PREFIXES.values(), (-12, -9, -6, -3, -2, 3, 6, 9, 12), strict=True))
_SYMBOLS = {
    "m": "meter", "s": "second", "g": "gram", "L": "liter", "W": "watt", "V": "volt",
    "A": "ampere", "Hz": "hertz", "Pa": "pascal", "N": "newton", "J": "joule",
    "eV": "electronvolt", "C": "coulomb", "F": "farad", "T": "tesla", "mol": "mole",
    "K": "kelvin", "pc": "parsec",
}  # fmt: skip
# the case of a symbol counts: mW and MW; but Mm is a mm that somebody wrote in capitals
for _prefix, _power in _POWERS.items():
    for _name in (*_SYMBOLS.values(), "metre", "litre", "ohm"):
        for _word in (_prefix + _name, f"{_prefix}{_name}s"):
            UNITS.setdefault(_word, (UNITS[_name][0], UNITS[_name][1] * _F(10) ** _power))
UNIT_OF_SYMBOL = {"A": "ampere", "K": "kelvin", "T": "tesla"} | {
    p + s: prefix + name
    for p, prefix in _PREFIXES.items()
    for s, name in _SYMBOLS.items()
    if (p != "c" or s == "m") and not (p.isupper() and s in "msgL")
}
_NAMES_OF: dict[tuple[str, Fraction], str] = {}
for _word, _unit in UNITS.items():
    _NAMES_OF.setdefault(_unit, _word)
# fmt: off
# runs of letters behind a number that are a unit and not a product of variables
SHORT_UNITS = {w for w in UNITS if len(w) > 1} | {
    "mph", "kph", "km/h", "rpm", "hz", "pts", "deg", "sq", "cu", "pcs", "kwh", "lbs", "kb", "mb",
    "gb", "cc", "pm", "am", "pct", "rs", "yrs", "yr", "amu", "ev", "kev", "mev", "pa", "kpa", "atm",
    "mol", "th", "st", "nd", "rd", "rad", "rads", "usd", "units", "unit", "cups", "gal", "qt", "pt",
    "ways", "erg", "ergs", "cal", "kcal", "kj", "hp",
}
PERCENT_WORDS = {"percent", "pct", "percents", "percentage", "prozent", "pourcent"}
DEGREE_WORDS = {"degree", "degrees", "deg", "degs"}
_EXPONENTS = {
    "square": 2, "sq": 2, "squared": 2, "2": 2, "cubic": 3, "cu": 3, "cubed": 3, "3": 3,
}
_WRITTEN_POWER = re.compile(r"\^-?\d{1,2}")
_DERIVED = {"mph": "mile per hour", "kph": "km per hour", "kmh": "km per hour",
            "kmph": "km per hour"}
_MAX_UNITS = 24  # in a product, each of which multiplies its size
_DROP = {"a", "the", "of", "each", "total", "more"}

ALL_REALS = {"all real numbers", "all reals", "all real values", "any real number", "reals",
             "every real number", "set of all real numbers", "real numbers", "all real x",
             "all real values of x"}
SAME_TEXT = {
    "no solution": "no solution", "no solutions": "no solution", "none": "none",
    "no real solution": "no solution", "no real solutions": "no solution",
    "dne": "does not exist", "undefined": "does not exist", "does not exist": "does not exist",
    "infinitely many": "infinitely many", "infinitely many solutions": "infinitely many",
    "infinite": "infinitely many", "infinite solutions": "infinitely many",
    "true": "true", "false": "false", "yes": "yes", "no": "no",
}
# fmt: on
def number_of(words: list[str]) -> int | None:
    """Return the value of number words such as `twenty one` or `three hundred`, or None."""
    total, current, seen = 0, 0, False
    for word in (p for w in words for p in w.lower().split("-")):
        if word in NUMBER_WORDS:
            current += NUMBER_WORDS[word]
        elif word in SCALES:
            current = (current or 1) * SCALES[word]
            if SCALES[word] >= 1000:
                total, current = total + current, 0
        elif word == "and" and seen:
            continue
        else:
            return None
        seen = True
    return total + current if seen else None


def canonical_unit(text: str) -> tuple[str, Fraction, str]:
    """Return (kind, size, name) of a unit phrase; an unknown unit has the kind `""`.

    `square cm`, `cm^2` and `cm squared` agree, and so do `m/s`, `m per s` and `m s^-1`. Sizes are
    relative within a kind.
    """
    words = text.lower().replace(".", " ").replace("*", " ").replace("^ ", "^").split()
    words = [w for word in words for w in _DERIVED.get(word, word).split()]
    parts: list[tuple[str, int]] = []  # units with their exponents
    sign, ahead = 1, 1
    for at, w in enumerate(words):
        # 12 people in total, but 40 in and 12 in^2
        if w == "in" and at + 1 < len(words) and words[at + 1][0] not in "^23s":
            continue
        if w[0] == "^" or w in ("squared", "cubed", "2", "3"):
            above = int(w[1:]) if _WRITTEN_POWER.fullmatch(w) else _EXPONENTS.get(w)
            if above is None:
                raise Unreadable(f"the power {w} of a unit")
            if parts:
                name, power = parts[-1]
                parts[-1] = name, (1 if power > 0 else -1) * above
        elif w in _EXPONENTS:
            ahead = _EXPONENTS[w]
        elif w == "per":
            sign = -1
        elif w not in _DROP and w not in ("unit", "units"):
            parts.append((w, sign * ahead))
            ahead = 1
    if not parts:
        return "", Fraction(1), ""
    # 4 litres per cooler are litres
    parts = [p for p in parts if p[1] > 0 or p[0] in UNITS] if parts[0][0] in UNITS else parts
    kinds: dict[str, int] = {}
    size = Fraction(1)
    for i, (name, power) in enumerate(parts):
        known = UNITS.get(name)
        if known is None:
            return "", Fraction(1), " ".join(n.rstrip("s") for n, _ in parts)
        if i == _MAX_UNITS:
            raise TooLarge(f"a unit is a product of more than {_MAX_UNITS}")
        # a litre is a volume, and so is a length cubed
        kind, dimension = ("length", 3) if known[0] == "volume" else (known[0], 1)
        kinds[kind] = kinds.get(kind, 0) + dimension * power
        size *= known[1] ** power
    shown = " ".join(f"{_NAMES_OF[UNITS[n]]}^{p}" for n, p in parts)
    return " ".join(f"{k}^{n}" for k, n in sorted(kinds.items())), size, shown


_ARTICLES = re.compile(r"^(?:(?:the|an?|on|there (?:is|are))\s+)+|(?<=\d)(?:st|nd|rd|th)\b")


_NONE_SUCH = re.compile(
    r"(?:there (?:is|are|exists?) )?no (?:such )?(?:real |integer |positive |whole |natural )*"
    r"(?:solutions?|integers?|numbers?|values?|pairs?|triples?|functions?|primes?)(?: exists?)?"
    r"|(?:there (?:is|are|exists?) )?no such \w+(?: exists?)?|(?:there (?:is|are) )?no \w+ exists?"
)
_INFINITELY = re.compile(r"(?:there (?:are|exist) )?infinitely many(?: such)?(?: \w+)?")
_WINS = re.compile(r" (?:(?:always|can|will) )?(?:wins?|has (?:an? |the )?winning strategy)$")
_PERMUTED = re.compile(
    r"(?:(?:all|their|its|any|other|of|these|the) )*permutations"
    r"(?: (?:of (?:them|these|this)|thereof))?"
)


def normal_words(text: str) -> str:
    """Return words in lower case without marks; a single letter keeps its case."""
    text = text.strip()
    if len(text) == 1:
        return text
    text = _TEXT_COMMAND.sub("", text)
    text = re.sub(r"[\s~{}$]+|\\[,;! ]", " ", text).strip(" .,;:!?\"'`*")
    text = re.sub(r"\s+", " ", text)
    lowered = text.lower() if sum(c.isalpha() for c in text) > 1 else text
    lowered = _ARTICLES.sub("", lowered)
    if _NONE_SUCH.fullmatch(lowered):
        return "no solution"
    if lowered.startswith(("infinitely", "there")) and _INFINITELY.fullmatch(lowered):
        return "infinitely many"
    lowered = lowered.replace("right-angled", "right")
    lowered = _WINS.sub("", lowered)
    if lowered.endswith("permutations") or "permutations of" in lowered or "thereof" in lowered:
        lowered = _PERMUTED.sub("permutations", lowered)
    return SAME_TEXT.get(lowered, lowered)
