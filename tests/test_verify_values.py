"""Exact trees, the tests of equality, and regions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.verify import Conventions, verify
from harness.verify.algebra import tree
from harness.verify.algebra.equal import equal, proportional
from harness.verify.algebra.separation import bound_bits
from harness.verify.comparing.compare import comparison
from harness.verify.comparing.regions import region, same_region
from harness.verify.limits import TooLarge, Unreadable
from harness.verify.reading.answer import read


def one(text: str) -> tree.Node:
    return read(text)[0]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("2(x+1)", "(2 + 2*x)"),
        ("x^2 x^3", "x^5"),
        (r"\sqrt{8}", "2*2^(1/2)"),
        (r"\frac{1}{\sqrt{2}}", "1/2*2^(1/2)"),
        (r"\sin\frac{\pi}{6}", "1/2"),
        ("i^3", "-1*i"),
        ("5!", "120"),
        (r"\binom{5}{2}", "10"),
        ("1,234", "1234"),
        ("3:4", "ratio[3, 4]"),
        (r"\pm 3", "list[3, -3]"),
        ("1012_3", "1012_3"),
        ("4:30 pm", "4:30:00 pm"),
        (r"12\frac{1}{2}", "25/2"),
        (r"\cos(-x)", "cos(x)"),
        ("x - x", "0"),
        ("4²", "16"),
    ],
)
def test_canonical_keys(text: str, key: str) -> None:
    assert one(text).key == key


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{1}{0}",
        "0^0",
        r"\infty-\infty",
        r"0\cdot\infty",
        "2 3",
        "1..2",
        r"\ln 0",
        "x^",
        "((1)",
    ],
)
def test_what_has_no_value_is_not_read(text: str) -> None:
    assert all(r.kind == "text" for r in read(text))


@pytest.mark.parametrize(
    "text", ["(" * 60 + "1" + ")" * 60, "9" * 5_000, "x+" * 4_000 + "x", "1e99999", "a" * 10_000]
)
def test_what_is_too_large_is_refused(text: str) -> None:
    with pytest.raises(TooLarge):
        read(text)


def test_large_powers_stay_powers() -> None:
    assert one("10^{10^{10}}").kind == "pow"
    assert equal(one("10^{10^{10}}+1"), one("10^{10^{10}}"))[0] is False
    assert equal(one("3^{10^{10}}"), one("9^{5000000000}"))[0] is True


small = st.integers(-40, 40)
fractions = st.builds(Fraction, small, st.integers(1, 12))


@settings(max_examples=150, deadline=None)
@given(fractions, fractions, fractions)
def test_numbers_agree_with_fractions(a: Fraction, b: Fraction, c: Fraction) -> None:
    x, y, z = (tree.num(v) for v in (a, b, c))
    assert tree.add(tree.mul(x, y), z).args[0] == a * b + c
    written = f"\\frac{{{a.numerator}}}{{{a.denominator}}}"
    assert one(written).args[0] == a
    assert verify(str(a), str(b), form="bare").verdict == ("correct" if a == b else "wrong")


@settings(max_examples=60, deadline=None)
@given(st.lists(small, min_size=1, max_size=5), small)
def test_expanded_products_are_equal_and_shifted_ones_are_not(roots: list[int], shift: int) -> None:
    x = tree.sym("x")
    product = tree.mul(*(tree.sub(x, tree.num(r)) for r in roots))
    coefficients = [Fraction(1)]
    for r in roots:
        coefficients = [
            a - r * b for a, b in zip([*coefficients, 0], [0, *coefficients], strict=True)
        ]
    n = len(coefficients) - 1
    terms = [
        tree.mul(tree.num(c), tree.power(x, tree.num(n - i))) for i, c in enumerate(coefficients)
    ]
    assert equal(product, tree.add(*terms))[0]
    assert equal(product, tree.add(*terms, tree.num(shift)))[0] is (shift == 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_nested_radicals_are_proved(a: int, b: int, c: int, d: int) -> None:
    left = one(f"\\sqrt{{{a * a * b + c * c * d}+{2 * a * c}\\sqrt{{{b * d}}}}}")
    right = one(f"{a}\\sqrt{{{b}}}+{c}\\sqrt{{{d}}}")
    assert equal(left, right)[0]
    bits = bound_bits(tree.sub(left, right))
    assert bits is None or bits >= 0
    assert not equal(left, tree.add(right, tree.num(Fraction(1, 10**60))))[0]


def test_the_separation_bound_holds_for_a_near_miss() -> None:
    # sqrt(n) + sqrt(n+2) - 2 sqrt(n+1) is tiny and not zero
    tiny = one(r"\sqrt{1000000}+\sqrt{1000002}-2\sqrt{1000001}")
    bits = bound_bits(tiny)
    assert bits is not None
    assert bits > 30
    assert not equal(tiny, tree.ZERO)[0]


def test_proportional_keeps_the_sign() -> None:
    assert proportional(one("2x+4y"), one("x+2y")) == 1
    assert proportional(one("2x+4y"), one("-x-2y")) == -1
    assert proportional(one("2x+4y"), one("x+y")) == 0


def test_regions() -> None:
    pairs = [
        ("x>1", r"(1,\infty)", True),
        ("x>1", "2x>2", True),
        ("-3x>6", "x<-2", True),
        ("x>1", r"[1,\infty)", False),
        (r"[1,2]\cup(2,3]", "[1,3]", True),
    ]
    for a, b, same in pairs:
        left, right = region(one(a)), region(one(b))
        assert left is not None
        assert right is not None
        assert same_region(comparison(Conventions()), left[1], right[1]) is same, (a, b)
    assert region(one("5")) is None


@pytest.mark.parametrize(
    ("a", "b", "right"),
    [
        ("x+5", "|x+5|", False),
        ("x", r"\min(x, 10)", False),
        ("x", r"\max(x, -10^6)", False),
        (r"\sqrt{x^2-2000x+1000000}", "1000-x", False),
        ("1", "2^{1/2^{1000}}", False),
        ("f(a+b)", "f(a)+f(b)", False),
        ("|x-y|", "|y-x|", True),
        (r"\max(x,y)+\min(x,y)", "x+y", True),
        ("f((x+1)^2)", "f(x^2+2x+1)", True),
        ("2|x|", "|-2x|", True),
    ],
)
def test_a_guess_is_no_proof(a: str, b: str, right: bool) -> None:
    for sampling in (True, False):  # what is proved needs no sampling, what is not gets none
        assert equal(one(a), one(b), sampling=sampling)[0] is right
        assert equal(one(b), one(a), sampling=sampling)[0] is right


def test_what_is_only_sampled_says_so_and_can_be_refused() -> None:
    a, b = one(r"\cos(2\arctan x)"), one(r"\frac{1-x^2}{1+x^2}")
    right, why = equal(a, b)
    assert right
    assert why.startswith("probably equal")
    right, why = equal(a, b, sampling=False)
    assert not right
    assert "does not count" in why


def test_arguments_settle_what_is_out_of_numeric_range() -> None:
    assert (
        verify(r"e^{2000000\sin x\cos x}", r"e^{1000000\sin 2x}", form="bare").verdict == "correct"
    )
    assert verify(r"e^{2000000\sin x}", r"e^{1000000\sin 2x}", form="bare").verdict == "wrong"


@pytest.mark.parametrize(
    ("a", "b"),
    [("4^x", "2^{2x}"), ("3^{n+2}", r"9\cdot 3^n"), (r"(\frac12)^x", "2^{-x}"), ("8^{x/3}", "2^x")],
)
def test_powers_of_a_number_have_one_key(a: str, b: str) -> None:
    assert one(a).key == one(b).key


def test_nodes_compare_by_key_and_substitute() -> None:
    assert one("x+y") == one("y+x")
    assert hash(one("x+y")) == hash(one("y+x"))
    assert tree.substitute(one("(x, 2x)"), "x", tree.num(3)).key == "(3, 6)"
    with pytest.raises(Unreadable):
        tree.add(one("(1,2)"), tree.ONE)
