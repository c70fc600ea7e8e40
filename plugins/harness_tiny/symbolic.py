r"""Short symbolic problems whose answers are fractions, decimals or polynomials.

The same value is written in several forms (3/4, 0.75, \frac{3}{4}; x^2 - 9 or -9 + x^2), and
nothing in a problem says which form its gold answer has, so only a comparison of values is fair.
"""

from __future__ import annotations

import math
import random
from fractions import Fraction

DENOMINATORS = (2, 3, 4, 6)
MORE_DENOMINATORS = (2, 3, 4, 5, 6, 8, 9, 10, 12)  # of wider ranges
THINGS = ("apples", "cards", "coins", "eggs", "pens", "stones")


def question(rng: random.Random, wide: int = 1) -> tuple[str, str, str, str]:
    """Draw one symbolic problem.

    Args:
        rng: the source of the draws.
        wide: how many times as large as on the tiny board the largest numbers are.

    Returns:
        (kind, problem, solution, answer).
    """
    while True:
        kind = rng.choice(tuple(_WRITERS))
        problem, solution, answer = _WRITERS[kind](rng, wide)
        if not answer.lstrip("-").isdigit():  # whole answers are what the word problems are for
            return kind, problem, solution, answer


def fraction_text(value: Fraction, rng: random.Random) -> str:
    r"""Write a fraction in one of the forms it has: 3/4, \frac{3}{4} or, where it ends, 0.75."""
    if value.denominator == 1:
        return str(value.numerator)
    forms = [f"{value.numerator}/{value.denominator}"] * 2
    sign = "-" if value < 0 else ""
    forms.append(f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}")
    if value.denominator in (2, 4, 5, 10):
        forms.append(decimal_text(value))
    return rng.choice(forms)


def decimal_text(value: Fraction) -> str:
    """Write a fraction whose denominator divides 1000 as a decimal without closing zeros."""
    scaled = value * 1000
    if scaled.denominator != 1:
        raise ValueError(f"{value} has more than three decimals")
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(scaled.numerator), 1000)
    return f"{sign}{whole}.{rest:03d}".rstrip("0").rstrip(".") if rest else f"{sign}{whole}"


def polynomial_text(coefficients: list[int], rising: bool = False) -> str:
    """Write a polynomial in x, highest power first (or last): [-6, -1, 1] is x^2 - x - 6."""
    powers = range(len(coefficients))
    text = ""
    for power in powers if rising else reversed(powers):
        c = coefficients[power]
        if c == 0:
            continue
        unit = ("", "x", f"x^{power}")[min(power, 2)]
        size = unit if abs(c) == 1 and unit else f"{abs(c)}{unit}"
        sign = (" - " if c < 0 else " + ") if text else ("-" if c < 0 else "")
        text += sign + size
    return text or "0"


def _gold(coefficients: list[int], rng: random.Random) -> str:
    return polynomial_text(coefficients, rising=rng.random() < 0.3)


def _sign(number: int) -> str:
    return f"- {-number}" if number < 0 else f"+ {number}"


def _nonzero(rng: random.Random, largest: int) -> int:
    return rng.choice([n for n in range(-largest, largest + 1) if n])


def _sum(rng: random.Random, wide: int) -> tuple[str, str, str]:
    denominators = DENOMINATORS if wide == 1 else MORE_DENOMINATORS
    b, d = rng.choice(denominators), rng.choice(denominators)
    a, c = rng.randint(1, b - 1), rng.randint(1, d - 1)
    sign = rng.choice("+-")
    common = math.lcm(b, d)
    left, right = a * common // b, c * common // d
    total = left + right if sign == "+" else left - right
    value = Fraction(total, common)
    steps = f"{left}/{common} {sign} {right}/{common} = {total}/{common}."
    if str(value) != f"{total}/{common}":
        steps += f" {total}/{common} = {value}."
    return f"What is {a}/{b} {sign} {c}/{d}?", steps, fraction_text(value, rng)


def _share(rng: random.Random, wide: int) -> tuple[str, str, str]:
    whole, times = rng.randint(2, 6 * wide), rng.randint(2, 5 * wide)
    part = rng.randint(1, whole - 1)
    thing = rng.choice(THINGS)
    value = Fraction(part, whole)
    top, bottom = part * times, whole * times
    colour = rng.choice(("red", "blue", "green"))
    problem = f"{top} of {bottom} {thing} are {colour}. What fraction is {colour}?"
    return problem, f"{top}/{bottom} = {value}.", fraction_text(value, rng)


def _equation(rng: random.Random, wide: int) -> tuple[str, str, str]:
    a, b = rng.randint(2, 7 * wide), _nonzero(rng, 5 * wide)
    right = rng.randint(1, 9 * wide)
    moved = right - b
    value = Fraction(moved, a)
    steps = f"{a}x = {right} {_sign(-b)} = {moved}. x = {moved}/{a}."
    if str(value) != f"{moved}/{a}":
        steps += f" {moved}/{a} = {value}."
    return f"Solve {a}x {_sign(b)} = {right}.", steps, fraction_text(value, rng)


def _expand(rng: random.Random, wide: int) -> tuple[str, str, str]:
    a, b, c = rng.randint(1, 3 * wide), _nonzero(rng, 5 * wide), _nonzero(rng, 5 * wide)
    problem = f"Expand ({_term(a)} {_sign(b)})(x {_sign(c)})."
    steps = f"{a} * {_brace(c)} = {a * c}. " if a > 1 else ""
    steps += f"{_brace(a * c)} + {_brace(b)} = {a * c + b}. "
    steps += f"{_brace(b)} * {_brace(c)} = {b * c}."
    return problem, steps, _gold([b * c, a * c + b, a], rng)


def _brace(number: int) -> str:
    return f"({number})" if number < 0 else str(number)


def _collect(rng: random.Random, wide: int) -> tuple[str, str, str]:
    a, b, c = rng.randint(2, 4 * wide), _nonzero(rng, 5 * wide), _nonzero(rng, 5 * wide)
    steps = f"{a}(x {_sign(b)}) = {a}x {_sign(a * b)}. {a}x {_sign(c)}x = {_term(a + c)}."
    return f"Simplify {a}(x {_sign(b)}) {_sign(c)}x.", steps, _gold([a * b, a + c], rng)


def _term(c: int) -> str:
    return polynomial_text([0, c])


def _derivative(rng: random.Random, wide: int) -> tuple[str, str, str]:
    a, b, c = _nonzero(rng, 6 * wide), _nonzero(rng, 9 * wide), _nonzero(rng, 9 * wide)
    problem = f"Differentiate {polynomial_text([c, b, a])}."
    steps = f"2 * {_brace(a)} = {2 * a}."
    return problem, steps, _gold([b, 2 * a], rng)


def _decimal(rng: random.Random, wide: int) -> tuple[str, str, str]:
    tenths, times = rng.randint(1, 6 * wide), rng.randint(2, 5 * wide)
    more = rng.randint(1, 9 * wide)
    first = Fraction(tenths * times, 10)
    total = first + Fraction(more, 10)
    left, right = decimal_text(Fraction(tenths, 10)), decimal_text(Fraction(more, 10))
    steps = f"{left} * {times} = {decimal_text(first)}. "
    steps += f"{decimal_text(first)} + {right} = {decimal_text(total)}."
    forms = [decimal_text(total)] * 3 + [f"{(total * 10).numerator}/10"]
    return f"What is {left} * {times} + {right}?", steps, rng.choice(forms)


def _value(rng: random.Random, wide: int) -> tuple[str, str, str]:
    bottom = rng.choice((2, 3, 4))
    top, slope = rng.randint(1, 7 * wide), rng.randint(2, 5 * wide)
    constant = rng.randint(1, 4 * wide)
    product = Fraction(top * slope, bottom)
    steps = f"{slope} * {top}/{bottom} = {top * slope}/{bottom}. "
    total = top * slope + constant * bottom
    value = product + constant
    steps += f"{top * slope}/{bottom} + {constant * bottom}/{bottom} = {total}/{bottom}."
    if str(value) != f"{total}/{bottom}":
        steps += f" {total}/{bottom} = {value}."
    problem = f"If x = {top}/{bottom}, what is {slope}x + {constant}?"
    return problem, steps, fraction_text(value, rng)


_WRITERS = {
    "sum": _sum,
    "share": _share,
    "equation": _equation,
    "expand": _expand,
    "collect": _collect,
    "derivative": _derivative,
    "decimal": _decimal,
    "value": _value,
}
