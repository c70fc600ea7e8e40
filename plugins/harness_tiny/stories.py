"""Word problems in several small steps, written as a chain of arithmetic.

A story is an opening that fixes a first number, some events that change it and an ending that asks
for it (or for one more step on it). Every quantity stays a whole number, on the tiny board between
1 and 30, so that a model with less than a million parameters can learn the arithmetic, and every
step of a solution is one equation `a op b = c`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

NAMES = ("Ana", "Ben", "Carl", "Dina", "Eva", "Finn", "Gus", "Hana",
         "Ivan", "Jude", "Kira", "Leo", "Mia", "Noah", "Omar", "Pia")  # fmt: skip
THINGS = ("apples", "beads", "books", "cards", "coins", "cups",
          "eggs", "nuts", "pens", "shells", "stamps", "stones")  # fmt: skip
HOLDERS = ("bags", "boxes", "jars", "packs")
GOODS = ("ball", "cup", "hat", "kite", "lamp", "pen", "plate", "toy")

OPENINGS = ("bags", "two", "have", "more", "fewer", "times", "daily")
EVENTS = ("get", "buy", "lose", "give", "packs", "half", "double")
ENDINGS = ("now", "now", "share", "fill", "sell")
SHOPS = ("single", "basket")


@dataclass(frozen=True)
class Numbers:
    """How large the numbers of a story are; each range is inclusive."""

    largest: int  # every quantity stays within 1 to this
    few: tuple[int, int]  # counts, prices, factors and divisors
    some: tuple[int, int]  # what is had at first or added
    many: tuple[int, int]  # a first number that no step leads to
    notes: tuple[int, ...]  # dollars to pay with


TINY = Numbers(largest=30, few=(2, 9), some=(2, 12), many=(5, 25), notes=(10, 20, 30))


@dataclass
class Story:
    """A story being written: its sentences, its equations and the number it has come to."""

    rng: random.Random
    name: str
    other: str
    thing: str
    numbers: Numbers = TINY
    value: int = 0
    sentences: list[str] = field(default_factory=list)
    equations: list[str] = field(default_factory=list)

    def tell(self, sentence: str) -> None:
        """Add one sentence to the problem."""
        self.sentences.append(sentence)

    def few(self) -> int:
        """Draw a small number."""
        return self.rng.randint(*self.numbers.few)

    def step(self, left: int, sign: str, right: int) -> int:
        """Add the equation `left sign right = result` and return the result.

        Raises:
            ValueError: the result is not a whole number from 1 to the largest.
        """
        result = {
            "+": left + right,
            "-": left - right,
            "*": left * right,
            "/": left // right if left % right == 0 else 0,
        }[sign]
        if not 1 <= result <= self.numbers.largest:
            raise ValueError(f"{left} {sign} {right} leaves the range of a story")
        self.equations.append(f"{left} {sign} {right} = {result}")
        return result


def story(
    rng: random.Random, fewest: int, most: int, numbers: Numbers = TINY
) -> tuple[str, str, str, str]:
    """Draw one word problem of `fewest` to `most` steps.

    Returns:
        (kind, problem, solution, answer). The kind names the opening, or the shop.
    """
    while True:
        name, other = rng.sample(NAMES, 2)
        draft = Story(rng, name, other, rng.choice(THINGS), numbers)
        steps = rng.randint(fewest, most)
        try:
            if rng.random() < 0.2:
                kind = rng.choice(SHOPS)
                _shop(draft, kind, steps)
            else:
                kind = rng.choice(OPENINGS)
                _open(draft, kind)
                ending = rng.choice(ENDINGS)
                _events(draft, steps - (ending != "now"))
                _end(draft, ending)
        except ValueError:
            continue
        if len(draft.equations) != steps:
            continue
        return kind, " ".join(draft.sentences), ". ".join(draft.equations) + ".", str(draft.value)


def _open(s: Story, kind: str) -> None:
    small, few = s.rng.randint(*s.numbers.some), s.few()
    if kind == "bags":
        each = s.few()
        s.tell(f"{s.name} has {few} {s.rng.choice(HOLDERS)} with {each} {s.thing} each.")
        s.value = s.step(few, "*", each)
    elif kind == "two":
        more = s.rng.randint(*s.numbers.some)
        s.tell(f"{s.name} has {small} red and {more} blue {s.thing}.")
        s.value = s.step(small, "+", more)
    elif kind == "have":
        s.value = s.rng.randint(*s.numbers.many)
        s.tell(f"{s.name} has {s.value} {s.thing}.")
    elif kind == "daily":
        days = s.few()
        s.tell(f"{s.name} finds {few} {s.thing} a day for {days} days.")
        s.value = s.step(few, "*", days)
    else:
        s.tell(f"{s.other} has {small} {s.thing}.")
        if kind == "times":
            s.tell(f"{s.name} has {few} times as many.")
            s.value = s.step(small, "*", few)
        else:
            s.tell(f"{s.name} has {few} {kind}.")
            s.value = s.step(small, "+" if kind == "more" else "-", few)


def _events(s: Story, until: int) -> None:
    """Add events until the story has `until` equations."""
    last = ""
    while len(s.equations) < until:
        undone = {"half": "double", "double": "half"}.get(last)
        event = s.rng.choice([e for e in EVENTS if e not in (last, undone)])
        last = event
        amount = s.few()
        if event == "get":
            s.tell(f"{s.other} gives {s.name} {amount} more.")
            s.value = s.step(s.value, "+", amount)
        elif event == "buy":
            s.tell(f"{s.name} buys {amount} more.")
            s.value = s.step(s.value, "+", amount)
        elif event == "lose":
            s.tell(f"{s.name} loses {amount}.")
            s.value = s.step(s.value, "-", amount)
        elif event == "give":
            s.tell(f"{s.name} gives {amount} to {s.other}.")
            s.value = s.step(s.value, "-", amount)
        elif event == "packs":
            count, each = s.few(), s.few()
            s.tell(f"{s.name} buys {count} packs of {each}.")
            s.value = s.step(s.value, "+", s.step(count, "*", each))
        elif event == "half":
            s.tell(f"{s.name} gives half to {s.other}.")
            s.value = s.step(s.value, "/", 2)
        else:
            s.tell(f"{s.name} doubles the pile.")
            s.value = s.step(s.value, "*", 2)


def _end(s: Story, kind: str) -> None:
    few = s.few()
    if kind == "now":
        s.tell(f"How many {s.thing} does {s.name} have now?")
    elif kind == "share":
        s.tell(f"{few} friends share them. How many does each get?")
        s.value = s.step(s.value, "/", few)
    elif kind == "fill":
        s.tell(f"How many boxes of {few} can {s.name} fill?")
        s.value = s.step(s.value, "/", few)
    else:
        s.tell(f"{s.name} sells them for {few} dollars each. How many dollars is that?")
        s.value = s.step(s.value, "*", few)


def _shop(s: Story, kind: str, steps: int) -> None:
    """A purchase: the cost of a basket, or the change left after paying it."""
    good, second = s.rng.sample(GOODS, 2)
    price, count = s.few(), s.few()
    if kind == "single":
        s.tell(f"A {good} costs {price} dollars. {s.name} buys {count}.")
        s.value = s.step(price, "*", count)
    else:
        price2, count2 = s.few(), s.few()
        s.tell(f"A {good} costs {price} dollars and a {second} costs {price2}.")
        s.tell(f"{s.name} buys {count} {good}s and {count2} {second}s.")
        first = s.step(price, "*", count)
        s.value = s.step(first, "+", s.step(price2, "*", count2))
    if steps == len(s.equations):
        s.tell(f"How many dollars does {s.name} pay?")
        return
    if steps == len(s.equations) + 2:
        extra = s.few()
        s.tell(f"{s.name} also buys a bag for {extra} dollars.")
        s.value = s.step(s.value, "+", extra)
    note = s.rng.choice(s.numbers.notes)
    s.tell(f"{s.name} pays with {note} dollars. How many dollars are left?")
    s.value = s.step(note, "-", s.value)
