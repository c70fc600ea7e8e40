"""The sentences of a leaderboard's warnings, and which rows and benchmarks share one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from harness.render.sentences import label

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.leaderboard import data

LINES, SUBJECTS = 3, 4
"""Lines for one kind of warning, and benchmarks named in a line."""

SENTENCES: dict[data.WarningKind, str] = {
    "declared": "{text}",
    "no_start_model": "the start model was not scored: no gain can be stated",
    "no_record": "planned, without a record: {trainers}",
    "measured_differently": "rows were measured with different {what}: {found}",
    "trained_elsewhere": "trained on different hardware: {hardware}",
    "few_questions": (
        "{subject} has only {questions} questions: between two checkpoints a difference under"
        " {detectable:.0p} points is seldom seen"
    ),
    "unfit_to_rank": "no ranking should rest on it: {reason}",
    "no_figure_to_compare": "no figure{metric} to compare with {source}",
    "off_baseline": (
        "the start model scores {accuracy:.1%}{metric}, while {source} gives {expected:.1%} ±"
        " {tolerance:.1p} points{note}"
    ),
    "conflict": (
        "{cell}: the record {record} has {what} than {counted}; the one that was published first"
        " counts"
    ),
    "control_arm": "a control of {trainers}: what it gains owes nothing to right answers",
    "claimed": (
        "claimed, not ranked: no answers are published that give its verdicts, so nobody can check"
        " them"
    ),
    "failed": "seed {seeds} failed: not ranked, as only rows are whose seeds all ended well",
    "unscored": "not ranked: a score that the board ranks by is missing",
    "missing_seeds": "not ranked: missing of the board's seeds: {seeds}",
    "token_limit": "{share:.1%} of answers hit the token limit",
    "matching": "strict and flexible matching differ by {difference:.1p} points",
    "ungradable": "{share:.1%} could not be graded",
    "shared_words": (
        "{problems} {problems:problem shares|problems share} 13 words in a row with training data;"
        " a table of its own has the accuracy without them"
    ),
    "rephrased": (
        "{problems} {problems:problem is a training problem|problems are training problems} in"
        " other words; a table of its own has the accuracy without them"
    ),
    "all_shared_words": "all {problems} problems share 13 words in a row with training data",
    "seeds_scored_differently": "its seeds were scored on different hardware or engines",
    "seeds_trained_differently": (
        "its seeds were trained with different options or versions of a trainer"
    ),
    "seeds_trained_elsewhere": "its seeds were trained on different hardware",
    "unconfined": "trained unconfined: nothing kept it from other files (docs/reliability.md)",
    "had_network": "trained with the network at hand",
    "within_reach": "its own plug-in makes test problems, which nothing kept it from: {what}",
    "reached_for": "it tried to open what test problems come from, and was refused: {what}",
    "costs_little": (
        "it worked {seconds:,.0f} seconds longer than its counted FLOPs take other rows: not all of"
        " its training may have been counted"
    ),
    "costs_contradict": "its counted cost contradicts what was measured outside: {what}",
    "computes_otherwise": (
        "it computed {times:.2g} times the FLOPs that were counted by tokens, where trainers do"
        " half to one and a half times as many: one of the two counts may have been misled"
    ),
    "computes_beside": (
        "{share:.0%} of its processor time was spent in other processes than the one that trains,"
        " in which nothing is counted: not all of its training may have been"
    ),
    "same_as_start": "seed {seeds} has the start model's weights: training changed nothing",
    "same_as_teacher": "not ranked: seed {seeds} has the teacher's weights",
    "near_teacher": "{share:.0%} of the tensors of a seed are the teacher's to the bit",
    "almost_teacher": (
        "not ranked: its weights moved straight to the teacher's (cosine {cosine:.2f}), as a copy"
        " with noise or a mean of the two does and training does not"
    ),
    "toward_teacher": "its weights moved to the teacher's (cosine {cosine:.2f})",
    "same_as_other": "weights that several cells share: {others}",
    "uncounted": "not ranked: the weights of seed {seeds} changed and no training was counted",
}
"""The sentence of each kind, for `str.format`; every number is a `Span`."""
BARRED = ("same_as_teacher", "almost_teacher", "uncounted")
"""Kinds that bar a row from the ranking, whatever seeds it has."""


class Span(NamedTuple):
    """A number, or the lowest and the highest of several.

    Formats as its ends do, once where they look alike. Besides Python's formats it knows `p`,
    points (per cent without the sign), and `one|many`, the words that suit the number.
    """

    low: float
    high: float

    def __format__(self, spec: str) -> str:
        if "|" in spec:
            one, many = spec.split("|")
            return one if self.low == self.high == 1 else many
        scale, spec = (100, f"{spec[:-1]}f") if spec.endswith("p") else (1, spec)
        low, high = (format(scale * end, spec) for end in self)
        return low if low == high else f"{low.removesuffix('%')} to {high}"


_Found = dict[str, "data.LeaderboardWarning"]  # benchmark -> the warning about a row on it


def sentence(conditions: Conditions, warning: data.LeaderboardWarning) -> str:
    """Return the sentence of a single warning, with the benchmark that it is about."""
    return _sentence(label(conditions, warning), [warning])


def grouped(leaderboard: data.Leaderboard) -> Iterator[tuple[str, str]]:
    """Yield the rows that a warning is about (empty for the board) and its sentence.

    Warnings that differ in their numbers alone share a sentence with the ranges of these, over rows
    and over the benchmarks of a row. Where benchmarks are too many to be named, their number is
    given; the CSV has the warnings of each row in full.
    """
    conditions = leaderboard.conditions
    for one in leaderboard.warnings:
        yield "", sentence(conditions, one)
    kinds: dict[tuple[object, ...], dict[str, _Found]] = defaultdict(lambda: defaultdict(dict))
    for row in leaderboard.rows:
        for one in row.warnings:
            same = (value for value in one.values.values() if not isinstance(value, int | float))
            kinds[one.kind, *same][row.trainer][label(conditions, one)] = one
    for rows in kinds.values():
        alike: dict[tuple[str, ...], dict[str, _Found]] = defaultdict(dict)
        for trainer, found in rows.items():
            alike[tuple(found)][trainer] = found
        sizes = sorted(map(len, alike))
        if len(alike) > LINES or sizes[-1] > SUBJECTS:
            subject = f"{Span(sizes[0], sizes[-1])} of {len(conditions.benchmarks)} scores"
            alike = {(subject,): rows}
        for subjects, some in alike.items():
            merged = [one for found in some.values() for one in found.values()]
            yield _who(leaderboard, some), _sentence(", ".join(subjects), merged)


def why_unranked(leaderboard: data.Leaderboard, row: data.Row) -> str:
    """Return why a row is not ranked, in a few words: by its worst fault."""
    for one in row.warnings:
        if one.kind in BARRED:
            return _sentence("", [one]).partition("not ranked: ")[2]
    if row.claimed:
        return "claimed: nobody can check its verdicts"
    if row.failed_seeds:
        return f"seed {', '.join(map(str, row.failed_seeds))} failed"
    if row.accuracy is None:
        return "a score that the board ranks by is missing"
    if row.missing_seeds:
        return f"missing of the board's seeds: {', '.join(map(str, row.missing_seeds))}"
    return f"the start model of board {leaderboard.conditions.board} has no score"


def properties(leaderboard: data.Leaderboard) -> Iterator[str]:
    """Yield the sentences of what holds for a benchmark or for all rows alike."""
    conditions = leaderboard.conditions
    alike: dict[tuple[object, ...], list[data.LeaderboardWarning]] = defaultdict(list)
    for one in leaderboard.properties:
        same = (value for value in one.values.values() if not isinstance(value, int | float))
        alike[one.kind, *same].append(one)
    for (kind, *_), found in alike.items():
        subjects = list(dict.fromkeys(label(conditions, one) for one in found))
        several = f"{len(subjects)} of {len(conditions.benchmarks)} scores"
        text = _sentence(several if len(subjects) > SUBJECTS else ", ".join(subjects), found)
        usual = kind in ("token_limit", "matching", "ungradable", "shared_words", "rephrased")
        yield f"{text} (the row in the middle)" if usual else text


def _who(leaderboard: data.Leaderboard, rows: Collection[str]) -> str:
    trained = {row.trainer for row in leaderboard.rows if not row.start}
    if len(rows) > 2 and trained <= set(rows):
        return "every row" if len(rows) == len(leaderboard.rows) else "every trained row"
    return ", ".join(rows)


def _sentence(subject: str, warnings: list[data.LeaderboardWarning]) -> str:
    """Return the sentence of warnings of one kind, with the range of each of their numbers."""
    text = SENTENCES[warnings[0].kind]
    if subject and "{subject}" not in text:
        text = f"{{subject}}: {text}"
    shown = {
        name: _shown(name, [one.values[name] for one in warnings]) for name in warnings[0].values
    }
    return text.format(subject=subject, **shown)


def _shown(name: str, values: list[data.WarningValue]) -> str | Span:
    value = values[0]
    if isinstance(value, int | float):
        numbers = [one for one in values if isinstance(one, int | float)]
        return Span(min(numbers), max(numbers))
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if name == "metric":
        return "" if value == "verified" else f" by lm-eval's {value}"
    return f" ({value})" if name == "note" and value else value
