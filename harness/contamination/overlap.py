"""Which test problems are part of training text: runs of words, whole and rephrased problems.

A test problem is *hit at n* if n of its words in a row occur in a row in a training text. One that
is shorter than n words is hit only if it is, as a whole, a training problem. *Same* are problems
that are training problems but for layout, *verbatim* those that are so to the character, white
space aside. *Rephrased* and of the *same template* are problems that are like a training problem
by their words and numbers (`harness.contamination.rephrased`). Each is counted for itself, because
they answer different questions: a shared run may be a phrase that many problems share, and a same
problem may be shorter than any run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Literal, NamedTuple

from harness.contamination import rephrased
from harness.contamination.words import verbatim, whole, words
from harness.records import Frozen

EXAMPLES = 50
"""Pairs of texts that are kept for each test set, the strictest first."""
Kind = Literal["verbatim", "same", "rephrased", "13 words", "same template", "8 words"]
# the field of `Overlap` for each kind, the strictest first
_FIELDS: dict[Kind, str] = {
    "verbatim": "verbatim",
    "same": "same",
    "rephrased": "rephrased",
    "13 words": "overlap_13",
    "same template": "template",
    "8 words": "overlap_8",
}
_RUNS: dict[Kind, int] = {"13 words": 13, "8 words": 8}


class Passage(NamedTuple):
    """One text that is trained on."""

    source: str  # where it comes from: the id of a row
    text: str
    problem: bool = False  # a whole problem, which may be the same as a test problem
    solution: bool = False  # of a problem that is compared beside it: it holds none


class Shared(Frozen):
    """A test problem and the training text it shares something with."""

    kind: Kind  # the strictest that holds
    place: int  # of the problem in its test set
    id: str
    problem: str
    source: str  # of the training text
    text: str
    # that both have in a row, normalised; of a whole problem all of them; of a rephrased one or one
    # of the same template those that both have anywhere
    words: str


class Overlap(Frozen):
    """What one test set shares with training text: places of problems, ascending."""

    task: str
    n: int
    overlap_13: tuple[int, ...] = ()
    overlap_8: tuple[int, ...] = ()
    rephrased: tuple[int, ...] = ()
    template: tuple[int, ...] = ()
    same: tuple[int, ...] = ()
    verbatim: tuple[int, ...] = ()
    examples: tuple[Shared, ...] = ()

    def joined(self, other: Overlap) -> Overlap:
        """Return what is shared with either of two sets of training texts."""
        together = sorted((*self.examples, *other.examples), key=_strictness)
        fields = {
            name: tuple(sorted({*getattr(self, name), *getattr(other, name)}))
            for name in _FIELDS.values()
        }
        return Overlap(task=self.task, n=self.n, examples=tuple(together[:EXAMPLES]), **fields)


def _strictness(shared: Shared) -> tuple[int, int]:
    return list(_FIELDS).index(shared.kind), shared.place


def passages(rows: Iterable[Mapping[str, str]]) -> Iterator[Passage]:
    """Yield the texts of training rows: each problem, and its solution where there is one."""
    for row in rows:
        yield Passage(row["id"], row["problem"], problem=True)
        if row.get("solution"):
            yield Passage(row["id"], row["solution"], solution=True)


class _Problem(NamedTuple):
    task: str
    place: int
    row: Mapping[str, str]
    words: list[str]


_Hits = dict[Kind, dict[int, tuple[Passage, str]]]
"""For each kind, the problems that are hit by number, with the first text and the words shared."""


class TestSets:
    """Test problems, indexed once, to be compared with any training text.

    The index is of the tests, so training text of any size streams past it; it takes about 150
    bytes for each word of a test problem.
    """

    __test__ = False  # pytest is not meant

    def __init__(self, tests: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
        self._problems = [
            _Problem(task, place, row, words(row["problem"]))
            for task, rows in tests.items()
            for place, row in enumerate(rows)
        ]
        self._sizes = {task: len(rows) for task, rows in tests.items()}
        self._numbers: dict[str, list[int]] = defaultdict(list)
        for number, problem in enumerate(self._problems):
            self._numbers[problem.task].append(number)
        self._telling = [rephrased.telling(problem.row["problem"]) for problem in self._problems]
        self._grams: dict[Kind, dict[int, list[int]]] = {kind: defaultdict(list) for kind in _RUNS}
        self._whole: dict[str, list[int]] = defaultdict(list)
        for number, problem in enumerate(self._problems):
            self._whole[whole(problem.row["problem"])].append(number)
            for kind, n in _RUNS.items():
                for gram in _grams(problem.words, n):
                    self._grams[kind][gram].append(number)

    def check(self, texts: Iterable[Passage]) -> dict[str, Overlap]:
        """Return each test set's overlap with training text, by task.

        Each text is compared on its own: no run of words goes from one into the next.
        """
        hits: _Hits = {kind: {} for kind in _FIELDS}
        likely: list[tuple[Passage, rephrased.Telling]] = []  # that may be a problem or hold one
        for passage in texts:
            likely += [(passage, rephrased.telling(part)) for part in _parts(passage)]
            told = words(passage.text)
            for kind, n in _RUNS.items():
                grams = self._grams[kind]
                for gram in filter(grams.__contains__, _grams(told, n)):
                    for number in grams[gram]:
                        if number in hits[kind]:
                            continue
                        if run := _run(self._problems[number].words, told, gram, n):
                            hits[kind][number] = passage, run
            if passage.problem:
                self._compare_whole(passage, hits)
        parts = [one for _, one in likely]
        for numbers in self._numbers.values():  # what is rare depends on the texts compared
            found = rephrased.find([self._telling[number] for number in numbers], parts)
            for relation, near in found.items():
                for place, like in near.items():
                    hits[relation][numbers[place]] = likely[like.text][0], like.words
        for number, hit in hits["same"].items():
            hits["rephrased"][number] = hit  # it may have too few words or numbers to be like it
            for kind, n in _RUNS.items():
                if len(self._problems[number].words) < n:  # too short to be hit by a run
                    hits[kind].setdefault(number, hit)
        return {task: self._overlap(task, n, hits) for task, n in self._sizes.items()}

    def _compare_whole(self, passage: Passage, hits: _Hits) -> None:
        text = whole(passage.text)
        for number in self._whole.get(text, ()) if text else ():
            hits["same"].setdefault(number, (passage, text))
            if verbatim(passage.text) == verbatim(self._problems[number].row["problem"]):
                hits["verbatim"].setdefault(number, (passage, text))

    def _overlap(self, task: str, n: int, hits: _Hits) -> Overlap:
        places: dict[str, tuple[int, ...]] = {}
        examples: dict[int, Shared] = {}
        for kind, field in _FIELDS.items():
            found = [number for number in hits[kind] if self._problems[number].task == task]
            places[field] = tuple(sorted(self._problems[number].place for number in found))
            for number in found:
                problem, (passage, shared) = self._problems[number], hits[kind][number]
                examples.setdefault(
                    problem.place,
                    Shared(
                        kind=kind,
                        place=problem.place,
                        id=problem.row["id"],
                        problem=problem.row["problem"],
                        source=passage.source,
                        text=passage.text,
                        words=shared,
                    ),
                )
        strictest = sorted(examples.values(), key=_strictness)[:EXAMPLES]
        return Overlap(task=task, n=n, examples=tuple(strictest), **places)


def _parts(passage: Passage) -> list[str]:
    """Return the texts that may be a problem: of what a stage wrote every paragraph as well."""
    if passage.problem or passage.solution:
        return [passage.text] if passage.problem else []
    paragraphs = [line for line in passage.text.splitlines() if line.strip()]
    return [passage.text, *(paragraphs if len(paragraphs) > 1 else ())]


def _grams(found: Sequence[str], n: int) -> Iterator[int]:
    """Return the hashes of all runs of n words; a process has hashes of its own."""
    return map(hash, zip(*(found[start:] for start in range(n)), strict=False))


def _run(first: Sequence[str], second: Sequence[str], gram: int, n: int) -> str:
    """Return the longest run around the gram that both have, or nothing if only hashes met."""
    mine, theirs = (
        next(place for place, other in enumerate(_grams(one, n)) if other == gram)
        for one in (first, second)
    )
    before = _equal(first[:mine][::-1], second[:theirs][::-1])
    after = _equal(first[mine:], second[theirs:])
    return " ".join(first[mine - before : mine + after]) if after >= n else ""


def _equal(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many words two texts share from their starts on."""
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
