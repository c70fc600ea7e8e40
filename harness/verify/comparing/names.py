"""Names in equations: what only names a value, and the value that it names."""

from __future__ import annotations

from harness.verify.algebra import tree
from harness.verify.algebra.equal import equal
from harness.verify.algebra.node import Node, nodes_in
from harness.verify.algebra.numeric import magnitude
from harness.verify.comparing.parts import EXPRESSIONS, is_function
from harness.verify.reading.words import canonical_unit

_UNCOMPUTED = ("@sum", "@int", "@prod", "@lim")
_EXCLUDING = {"except", "not", "no", "other", "never", "unless", "without", "but", "excluding"}
# functions of a name that name a value themselves: \sin A = 3/5, |z| = 2
_NAMING = {
    "abs", "sin", "cos", "tan", "cot", "sec", "csc", "re", "im", "arg", "det", "sgn", "gcd", "lcm",
    "floor", "ceil",
}  # fmt: skip


def items_of(node: Node) -> list[Node]:
    """Return the values of a list, a set or `n = 1, 2, 3`; else the node alone."""
    pair = named(node)
    whole = node if pair is None else pair[1]
    return list(whole.args) if whole.kind in ("list", "set") else [node]


def values_of(items: list[Node]) -> list[Node]:
    """Return items without the names of assignments."""
    pairs = [named(x) for x in items]
    if pairs[0] is None and any(pairs):
        return items  # in `x = 1, 2` the name is that of both, in `1, x = 2` it is not
    return [n[1] if n is not None else x for n, x in zip(pairs, items, strict=True)]


def named(node: Node) -> tuple[str, Node] | None:
    """Return (name, value) of an assignment such as `x = 5` or `f(x) = 2x`, or None.

    A chain that contradicts itself, such as `x = 1 = 2`, names no value.
    """
    if node.kind != "rel":
        return None
    operators, items = node.args
    if operators == ("in",) and items[1].kind == "set" and is_name(items[0]):
        return items[0].key, items[1]
    if operators[0] == "approx" and not is_name(items[0]):
        # pi/4 ~ 0.785: the exact value is the answer
        return ("", items[0]) if all(near(items[0], x) for x in items[1:]) else None
    if any(o not in ("=", "approx", "equiv") for o in operators) or operators[0] == "equiv":
        return None
    if "approx" in operators[1:]:  # x = pi/4 ~ 0.785
        items = items[: operators.index("approx", 1) + 1]
    if is_name(items[0]):
        return (items[0].key, items[-1]) if agree(items[1:]) else None
    if len(items) == 2 and is_name(items[1]) and not tree.symbols(items[0]):
        return items[1].key, items[0]
    if is_compound(items[0]) and not any(map(tree.symbols, items[1:])) and agree(items[1:]):
        return items[0].key, items[-1]
    # 2 + 3 = 5 is the value 5, if it is true, and 2(x + 1) = 2x + 2 the expression
    return ("", items[-1]) if agree(items) else None


def closing(node: Node) -> Node:
    """Return the last side of a chain of equations that ends a text: `s^3 = 10^3 = 1000`.

    Only of three sides or more, which derive a value, and where no two numbers contradict it.
    """
    if node.kind == "list" and len(node.args) > 1 and all(x.kind == "rel" for x in node.args):
        found = [named(x) for x in node.args]  # a = 3, b = 5, a + b = 8
        of = tree.symbols(node.args[-1].args[1][0])
        if found[-1] is not None and len(of) > 1 and of <= {x[0] for x in found[:-1] if x}:
            return found[-1][1]
    if node.kind != "rel":
        return node
    operators, sides = node.args
    sets = operators == ("=",) and sides[0].kind == sides[1].kind == "union"
    if sets:
        return node if tree.symbols(sides[1]) else sides[1]  # what it comes to
    if len(sides) < 3:
        return node
    if operators[-1] == "approx" and _is_constant(sides[-2]) and near(sides[-2], sides[-1]):
        operators, sides = operators[:-1], sides[:-1]  # what it is about comes behind the value
    if not {*operators} <= {"=", "equiv"}:
        return node
    last = sides[-1]
    constant = [x for x in sides[:-1] if x.kind in EXPRESSIONS and _is_constant(x)]
    valid = "equiv" in operators or agree((*constant, last))
    return last if (last.kind in EXPRESSIONS or last.kind in ("br", "matrix")) and valid else node


def _is_constant(node: Node) -> bool:
    """Whether a value depends on no variable and no unknown function."""
    if node.kind == "sym" or is_function(node):
        return False
    return all(_is_constant(x) for x in node.args if isinstance(x, Node))


def near(exact: Node, about: Node) -> bool:
    """Whether a value may be rounded to another, as far as both are known numbers."""
    x, y = (magnitude(n.args[0] if n.kind in ("unit", "pct", "deg") else n) for n in (exact, about))
    if x is None or y is None:
        return True
    scales = (1, 100) if "pct" in (exact.kind, about.kind) else (1,)
    return any(abs(x * a - y * b) <= 0.06 * abs(x * a) + 0.05 for a in scales for b in scales)


def _size(node: Node) -> str:
    """Return the value of a quantity in the base unit of its kind, with that kind."""
    kind, size, _ = canonical_unit(node.args[1])
    return f"{kind} {tree.mul(tree.num(size), node.args[0]).key}"


def agree(items: tuple[Node, ...]) -> bool:
    """Whether the values of a chain are one value; a unit may stand behind the last alone."""
    if len(items) > 1 and all(x.kind == "unit" for x in items):
        return len({_size(x) for x in items}) == 1  # 1.5 hours = 90 minutes
    *others, last = (
        x.args[0] if x.kind == "unit" else tree.num(x.args[2]) if x.kind == "base" else x
        for x in items
    )
    return all(
        x.key == last.key
        or x.kind == "sym"  # x = y = 2
        or is_function(x)  # f(1) = g(2) = 3
        or (last.kind in ("br", "matrix") and x.kind in EXPRESSIONS)  # p = v - (1, 2) = (3, 4)
        or (x.kind in EXPRESSIONS and last.kind in EXPRESSIONS and equal(x, last)[0])
        or not {"pct", "deg", "ratio"}.isdisjoint((x.kind, last.kind))
        for x in others
    )


def is_compound(node: Node) -> bool:
    """Whether the left side of an equation is a value asked for, made of names: `a + b`, `xy`.

    Not where a coefficient makes it an equation to solve: `2x + z = 1` does not answer 1, and
    neither does an equation in one unknown, such as `x^2 = 16`.
    """
    if _is_applied(node):
        return bool(tree.symbols(node))
    return len(tree.symbols(node)) > 1 and _without_coefficients(node)


def _is_applied(node: Node) -> bool:
    r"""Whether a value is made of functions that name one alone: `\sin A`, `\tan A`."""
    if node.kind == "pow":
        return _is_applied(node.args[0]) and node.args[1].kind == "num"
    if node.kind == "mul":
        return all(map(_is_applied, node.args))
    return node.kind == "fn" and node.args[0] in _NAMING


def _without_coefficients(node: Node) -> bool:
    if node.kind == "sym":
        return True
    if node.kind == "pow":
        return _without_coefficients(node.args[0]) and node.args[1].kind == "num"
    if node.kind in ("add", "mul"):
        return all(_without_coefficients(x) or x.key == "-1" for x in node.args)
    return node.kind == "fn" and node.args[0] in _NAMING


def is_name(node: Node) -> bool:
    """Whether the left side of an equation only names a quantity."""
    kind = node.kind
    if kind == "sym" or node.key in ("e", "i"):  # the eraser costs e = 0.05
        return True
    if kind == "text":  # "this would lead to 0" = 1 says 0 = 1, which names nothing
        words = node.key.strip('"').split()
        if _EXCLUDING.intersection(words):
            return False
        return not (words and words[-1].isdecimal() and words[-2:-1] and words[-2].isalpha())
    if is_function(node):  # f(x) is a name, a sum that was not computed is a value
        return not node.args[0].startswith(_UNCOMPUTED)
    if kind == "mul":  # AB, the name of a segment
        return all(x.kind == "sym" and x.key[:1].isupper() for x in node.args)
    named_by_all = kind in ("unit", "union", "br", "matrix", "ratio") or (
        kind == "fn" and node.args[0] == "abs"
    )
    return named_by_all and all(map(is_name, nodes_in(node.args)))
