r"""Problems that were rephrased, and problems of one template: compared by words and numbers.

A text is compared by its set of words and by its numbers. Words are the first five letters of every
word of three letters or more, LaTeX commands left out. A word weighs ``1 + log((1 + N) / (1 + n))``
where n of the N texts compared have it; one that more than a tenth of them have says nothing and
weighs 0, one that at most a hundredth have is *rare* (and every word that at most 20 have). Two
texts are *alike* by the cosine of their weighted words (Salton and Buckley 1988); their numbers,
written out or not, *agree* by the share of them that both have (Jaccard's, over multisets).

Of two texts that have four words in common, two of them rare, a problem is

- *rephrased* if they are alike by 0.25 or more and two thirds of their numbers agree, two at least.
  So a problem told in other words is found, and one of the same sort with other numbers is not;
- of the *same template* if they are alike by 0.85 or more and fewer of their numbers agree: the
  same text with other numbers.

A problem all of whose words many others have, as where they are made from templates, is neither.

`benchmarks/rephrased.py` measures this; how the bounds were chosen is in docs/contamination.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from harness.contamination.words import words

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_array

ALIKE = 0.25
AGREE = 2 / 3
SAME_TEXT = 0.85
FEWEST_NUMBERS, FEWEST_WORDS, FEWEST_RARE = 2, 4, 2  # that both texts have
FREQUENT, RARE = 0.1, 0.01  # shares of the texts that have a word
FEW = 20  # texts: a word that no more have is rare, and never frequent
CHUNK = 2_000  # training texts that are compared together
Relation = Literal["rephrased", "same template"]
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_ONES += " fifteen sixteen seventeen eighteen nineteen twenty"
_TENS = "thirty forty fifty sixty seventy eighty ninety hundred"
_NUMBERS = {word: f"{value}" for value, word in enumerate(_ONES.split())}
_NUMBERS |= {word: f"{10 * value}" for value, word in enumerate(_TENS.split(), 3)}
_NUMBERS |= {"once": "1", "twice": "2", "double": "2", "thrice": "3", "triple": "3"}
_NUMBERS |= {"dozen": "12", "thousand": "1000", "half": "1/2", "quarter": "1/4"}
_NUMBERS |= {"third": "1/3", "thirds": "1/3"}


class Telling(NamedTuple):
    """What a text is compared by."""

    words: dict[str, str]  # the first letters of each word -> the word, in order
    numbers: Counter[str]


class Like(NamedTuple):
    """The training text that is most like a test problem."""

    text: int  # its place among the texts
    cosine: float
    words: str  # that both have, as the problem has them, then the numbers


def telling(text: str) -> Telling:
    """Return the words and the numbers that a text is compared by.

    Examples:
        >>> found = telling("Half of the 1,200 ducklings, or six dozen?")
        >>> list(found.words), sorted(found.numbers)
        (['the', 'duckl'], ['1/2', '12', '1200', '6'])
    """
    found, numbers = dict[str, str](), Counter[str]()
    for word in words(_COMMAND.sub(" ", text)):
        if word[0].isdigit():
            numbers[f"{float(word):g}" if word.isascii() else word] += 1
        elif word in _NUMBERS:
            numbers[_NUMBERS[word]] += 1
        elif len(word) > 2:
            found.setdefault(word[:5], word)
    return Telling(found, numbers)


def agreement(first: Counter[str], second: Counter[str]) -> float:
    """Return the share of all numbers of two texts that both have; 0 if neither has any."""
    either = (first | second).total()
    return (first & second).total() / either if either else 0.0


def find(problems: Sequence[Telling], texts: Iterable[Telling]) -> dict[Relation, dict[int, Like]]:
    """Return the problems that are like a training text, by place, with the most alike of those.

    Args:
        problems: The test problems.
        texts: What is trained on: problems, or paragraphs that may hold one.
    """
    from scipy.sparse import coo_array

    texts = list(texts)
    found: dict[Relation, dict[int, Like]] = {"rephrased": {}, "same template": {}}
    if not problems or not texts:
        return found
    numbering: dict[str, int] = {}
    tables = [_table(each, numbering) for each in (problems, texts)]
    weight, rare = _weights(tables, len(numbering))
    tests, trained = (_scaled(each, weight) for each in tables)
    rare_tests, rare_trained = (_scaled(each, rare, length=False) for each in tables)
    for start in range(0, len(texts), CHUNK):
        some = slice(start, start + CHUNK)
        both = coo_array(rare_tests @ rare_trained[some].T)
        enough = both.data >= FEWEST_RARE
        first, second = both.row[enough], both.col[enough] + start
        cosines = (tests[first] * trained[second]).sum(axis=1)
        near = cosines >= ALIKE
        pairs = zip(
            first[near].tolist(), second[near].tolist(), cosines[near].tolist(), strict=True
        )
        for place, text, cosine in pairs:
            relation = _relation(problems[place], texts[text], cosine)
            if relation is None:
                continue
            before = found[relation].get(place)
            if before is None or cosine > before.cosine:
                found[relation][place] = Like(text, cosine, _shared(problems[place], texts[text]))
    return found


def _relation(problem: Telling, text: Telling, cosine: float) -> Relation | None:
    """Return how a problem and a text that are alike are related, if they are."""
    if sum(start in text.words for start in problem.words) < FEWEST_WORDS:
        return None
    if agreement(problem.numbers, text.numbers) < AGREE:
        return "same template" if cosine >= SAME_TEXT else None
    enough = (problem.numbers & text.numbers).total() >= FEWEST_NUMBERS
    return "rephrased" if enough else None


def _shared(problem: Telling, text: Telling) -> str:
    """Return the words that both have, as the problem has them, then the numbers."""
    words = (word for start, word in problem.words.items() if start in text.words)
    return " ".join([*words, *(problem.numbers & text.numbers)])


def _table(texts: Sequence[Telling], numbering: dict[str, int]) -> csr_array:
    """Return which text has which word, of shape (texts, words), and number the new words."""
    import numpy as np
    from scipy.sparse import csr_array

    places = [numbering.setdefault(word, len(numbering)) for text in texts for word in text.words]
    starts = np.cumsum([0, *(len(text.words) for text in texts)])
    shape = len(texts), max(1, len(numbering))
    return csr_array((np.ones(len(places)), np.array(places, dtype=np.int64), starts), shape=shape)


def _weights(tables: Sequence[Any], vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of each word, 0 for those that say nothing, and 1 for rare ones, else 0."""
    import numpy as np

    counts = [np.bincount(table.indices, minlength=vocabulary) for table in tables]
    having, number = sum(counts), sum(table.shape[0] for table in tables)
    weight: np.ndarray = 1 + np.log((1 + number) / (1 + having))
    weight[having > max(FEW, FREQUENT * number)] = 0
    return weight, (having <= max(FEW, RARE * number)).astype(float)


def _scaled(table: Any, weight: np.ndarray, *, length: bool = True) -> csr_array:
    """Return the weighted words of texts, each text scaled to length 1 if wanted."""
    import numpy as np
    from scipy.sparse import csr_array

    values = weight[table.indices]
    if length:
        sums = np.concatenate(([0.0], np.cumsum(values**2)))
        lengths = np.sqrt(np.maximum(0.0, np.diff(sums[table.indptr])))
        values /= np.repeat(np.maximum(lengths, 1e-9), np.diff(table.indptr))
    shape = (table.shape[0], weight.size)
    found = csr_array((values, table.indices.copy(), table.indptr.copy()), shape=shape)
    found.eliminate_zeros()
    return found
