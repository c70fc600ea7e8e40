"""Which records may join a board: what one says must be possible there, and of that board."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import LETTERS, START, Cost, Record, at_share, replaced, total_cost
from harness.tuning import named_trials

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions


# Of a trainer or chain, with the settings of a row: sft(sft.epochs=1). Letters of other alphabets,
# and spaces that a page does not show, could make it look like another row.
NAME = re.compile(r"(?=[A-Za-z0-9])(?:(?!  )[ -~]){1,300}(?<! )")
_START = re.compile(r"\(sha256 ([0-9a-f]{12,64})[;)]")  # how conditions name a local start model
NOTES = 65_536  # characters of a stage's notes in a record
OWN = 1_000  # of lm-eval's own metrics in a score
TELLING = 1_000  # tokens of answers that no two models give alike
SHARE = re.compile(r"@([\d.e+-]+)$")  # how the name of a point of a curve ends


@dataclass(frozen=True)
class Known:
    """What is known of a record besides what it says itself."""

    file: str  # its name without `.json`
    claimed: bool = False  # whether nothing shows that its verdicts are those of any answers
    place: int = 0  # in the order of publishing
    submission: str = ""  # that brought it; empty for the publisher's own
    signer: str = ""  # of that submission

    @property
    def hand(self) -> tuple[str, str]:
        """Return by whom it came: who signed it, or else the one submission, or the publisher."""
        return ("signer", self.signer) if self.signer else ("submission", self.submission)


Knowledge = Mapping[str, Known]  # by the digest of a record
NOTHING: Knowledge = {}


def about(known: Knowledge, record: Record) -> Known:
    """Return what is known of a record; one of which nothing is known is taken for no claim."""
    return known.get(record.digest) or Known(record.id)


def objection(record: Record, conditions: Conditions) -> str | None:
    """Return in one line why a record cannot be what this board gives, or None."""
    if record.status != "ok" or not record.scores:
        return None
    made = record.imported
    if (
        made
        and _START.search(conditions.start_model)
        and made.described not in conditions.start_model
    ):
        return "it says that the start model was imported from a file that the board does not name"
    if record.trainer == START:
        return _start(record, conditions)
    if record.seed is not None and record.seed not in conditions.seeds:  # a score alone has none
        planned = ", ".join(map(str, conditions.seeds))
        return f"seed {record.seed} is none of the board's seeds {planned}"
    if record.probes:
        return "it has memorisation probes, which are made of the start model alone"
    named = SHARE.search(record.trainer)
    if named and at_share("", record.share) != named[0]:
        return f"it is of {record.share:g} of the budget, and its name says {named[0]}"
    points = [1.0, *conditions.curve]
    if record.share not in points or not record.trainer.endswith(at_share("", record.share)):
        return f"it is of {record.share:g} of the budget, and no point of the board's curve"
    return _tuned(record, conditions) or _cost(record, conditions)


def _tuned(record: Record, conditions: Conditions) -> str | None:
    """Refuse a row whose options were not chosen as the board, or its own name, says."""
    found, rules = record.tuning, conditions.tuning
    if rules is None:
        return "its options were tuned, and the board has no tuning" if found else None
    if not record.stages:  # a model that is scored as it is
        return None
    trials = found.rules.trials if found else 0
    if trials != rules.trials and named_trials(trials) not in record.trainer:
        return (
            f"its options were chosen from {trials} trials, and the board has {rules.trials}: a row"
            f" of another number is named so, as {record.stages[-1].trainer}({named_trials(0)})"
        )
    if found and found.rules.model_copy(update={"trials": rules.trials}) != rules:
        return "its options were tuned by other rules than the board's"
    for number, trial in enumerate(found.trials if found else ()):
        if why := _spent(trial.cost, conditions, rules.share, len(record.stages)):
            return f"trial {number} of its tuning: {why}"
    for stage in record.stages if found else ():
        chosen = found.setting.get(stage.trainer, {}) if found else {}
        if {name: stage.options.get(name) for name in chosen} != chosen:
            return f"{stage.trainer} was trained with other options than those that tuning chose"
    return None


def _start(record: Record, conditions: Conditions) -> str | None:
    if record.stages or record.seed is not None or record.cost != total_cost(()):
        return "the start model has no seed, no stage and no cost"
    named = _START.search(conditions.start_model)
    scored = record.checkpoint.digest if record.checkpoint else ""
    if named and not scored.startswith(named[1]):
        return f"it scored the model {scored[:12]}, and the board's start model is {named[1]}"
    return None


def _cost(record: Record, conditions: Conditions) -> str | None:
    stages = len(record.stages)
    summed = total_cost(stage.cost for stage in record.stages)
    for name, value in record.cost if stages else ():
        whole, parts = value or 0, getattr(summed, name) or 0
        if not math.isclose(whole, parts, rel_tol=1e-6, abs_tol=1e-6):
            return f"its cost of {whole:g} {name} is not that of its stages, {parts:g}"
    return _spent(record.cost, conditions, record.share, stages) if stages else None


def _spent(cost: Cost, conditions: Conditions, share: float, stages: int) -> str | None:
    """Return why so many stages cannot have had a cost on a share of the board's budget."""
    steps = max(1, cost.steps)
    capped = conditions.caps is not None and conditions.caps.computed_flops is not None
    if capped and None in (cost.body_flops, cost.head_flops, cost.attention_flops):
        return "it does not say what was computed, which the board caps"
    if conditions.caps and conditions.caps.gpu_seconds is not None and not cost.gpu_seconds:
        return "it was trained on no GPU, whose seconds the board caps"
    for name, cap in conditions.caps.set_caps().items() if conditions.caps else ():
        spent = getattr(cost, name)
        # One step may pass a cap, and the host stops a stage at twice its cap in any case
        # (`stage/metering/counter.py`); each stage of a chain may take a step of its own.
        cap *= share
        step = min(cap, max(cap / 10, 2 * spent / steps))
        allowed = cap + stages - 1 if name == "steps" else cap + step * stages
        if spent > allowed:
            return f"it spent {spent:g} {name}, and the board allows {cap:g}"
    if cost.flops < cost.trained_tokens * 2:
        return f"{cost.trained_tokens} trained tokens take more than {cost.flops:g} FLOPs"
    return None


def objections(
    records: Iterable[Record], conditions: Conditions, known: Knowledge, *, published: bool
) -> dict[str, str]:
    """Return why records cannot be counted, by their digests.

    Args:
        records: Of the board's digest.
        conditions: The board's.
        known: What is known of them; of those with the same answers the first published counts.
        published: Whether the rules of published boards hold, where everybody's records meet.
    """
    found: dict[str, str] = {}
    ordered = sorted(records, key=lambda one: (about(known, one).place, one.created, one.id))
    copies = _Copies(ordered, conditions, known)
    for record in ordered:
        reason = objection(record, conditions)
        if reason is None and published:
            reason = _foreign(record, conditions) or copies.objection(record)
        if reason is not None:
            found[record.digest] = reason
    return found | (_unlike(ordered, found, known) if published else {})


def _unlike(
    ordered: Sequence[Record], refused: Mapping[str, str], known: Knowledge
) -> dict[str, str]:
    """Return why records cannot be set beside the first published one, which is no mere claim.

    They were asked other questions, or the trials of their tuning were.
    """
    found: dict[str, str] = {}
    first: dict[object, tuple[object, Record]] = {}
    counted = [one for one in ordered if one.digest not in refused and one.status == "ok"]
    for record in sorted(counted, key=lambda one: about(known, one).claimed):
        asked: dict[object, object] = {
            (one.task, one.protocol): (one.task_digest, one.n, one.groups) for one in record.scores
        }
        if record.tuning and record.tuning.trials:
            by = record.tuning
            asked["the trials of its tuning"] = (by.seed, by.held_out, by.problems, by.samples)
        for what, questions in asked.items():
            wanted, other = first.setdefault(what, (questions, record))
            if questions != wanted:
                name = what[0] if isinstance(what, tuple) else what
                found[record.digest] = f"{name}: other questions than {other.cell} ({other.id}) had"
    return found


def asked_of(
    conditions: Conditions, records: Iterable[Record], known: Knowledge
) -> dict[tuple[str, str], int]:
    """Return how many questions a board asks of each task and protocol that it has a number for.

    That is its limit, or else, of a board that is published, what its first record was asked.
    """
    limits = {(one.task, one.protocol): one.limit for one in conditions.benchmarks if one.limit}
    checked = [one for one in records if not about(known, one).claimed and one.status == "ok"]
    for record in sorted(checked, key=lambda one: about(known, one).place):
        for score in record.scores:
            limits.setdefault((score.task, score.protocol), score.n)
    return limits


def _foreign(record: Record, conditions: Conditions) -> str | None:
    if record.board.name != conditions.board:
        return f"it is of the board {record.board.name!r}"
    benchmarks = {(one.task, one.protocol): one for one in conditions.benchmarks}
    for score in record.scores:
        wanted = benchmarks.get((score.task, score.protocol))
        if wanted is None:
            return f"the board has no task {score.task!r} under {score.protocol!r}"
        if (wanted.max_new_tokens, wanted.samples) != (score.max_new_tokens, score.samples):
            return f"{score.task}: another token limit or number of answers than the board's"
    if record.status == "ok":
        given = {(score.task, score.protocol) for score in record.scores}
        if lacking := [f"{task} ({protocol})" for task, protocol in benchmarks.keys() - given]:
            return (
                f"it lacks {', '.join(sorted(lacking))} of the board: a record has a score of each"
                " benchmark; bench the cell again"
            )
    notes = [
        len(name) + len(json.dumps(v)) for one in record.stages for name, v in one.notes.items()
    ]
    if sum(notes) > (NOTES + 1000) * len(record.stages):
        return f"its notes have {sum(notes):,} characters, and a bench keeps {NOTES:,} of a stage"
    if (more := max((len(one.own) for one in record.scores), default=0)) > OWN:
        return f"it has {more:,} metrics of lm-eval's own in a score, and {OWN} are shown at most"
    if not NAME.fullmatch(record.trainer):
        return (
            f"{record.trainer!r} is no name of a trainer: a letter or digit, then printable ASCII"
        )
    if record.trainer != START and record.trainer.casefold() == START:
        return f"{record.trainer!r} is the start model's name in other letters"
    if not record.command.strip():
        return "it has no command that makes it again"
    if record.trainer == START:
        return None
    if not record.stages or record.seed is None:
        return "it has no seed, or was trained by no stage"
    if record.status == "ok" and record.checkpoint is None:
        return "it does not say which checkpoint was scored"
    return None


class _Copies:
    """Who gave answers first, of all that is asked about in the order of publishing.

    Those of the start model may come again: a trainer that changed too little answers as it does.
    """

    def __init__(self, ordered: Sequence[Record], conditions: Conditions, known: Knowledge) -> None:
        self._known = known
        self._ranking = {(one.task, one.protocol) for one in conditions.benchmarks if one.ranking}
        self._first: dict[object, Record] = {}
        self._seed_of: dict[tuple[str, str], Record] = {}  # trainer and stage -> who named it first
        checked = (one for one in ordered if not about(known, one).claimed and one.status == "ok")
        start = next((one for one in checked if one.trainer == START), None)
        self._start = {key for key, _ in self._answers(start)} if start else set()

    def objection(self, record: Record) -> str | None:
        """Refuse the answers of another trainer, or seed, under a new name.

        What is asked about is kept.
        """
        if about(self._known, record).claimed or record.status != "ok" or record.trainer == START:
            return None
        for stage in record.stages:
            other = self._seed_of.setdefault((record.trainer, stage.stage), record)
            if other.seed != record.seed:
                return (
                    f"it names the stage {stage.stage}, which {other.cell} ({other.id}) has: a"
                    " stage is of one seed"
                )
        for key, task in self._answers(record):
            other = self._first.setdefault(key, record)
            if other is record or key in self._start:
                continue
            which = f" to {task}" if task else ""
            copied = f"its answers{which} are, letter by letter, those of {other.cell} ({other.id})"
            if other.trainer != record.trainer:
                if not (_begins_alike(record, other) if task else _goes_on(record, other)):
                    return copied
            elif not task and other.seed != record.seed and not _may_repeat(record, other):
                return f"{copied}, and its weights are others: two seeds do not answer alike"
        return None

    def _answers(self, record: Record) -> Iterator[tuple[object, str]]:
        """Yield what tells a record's answers from others, with the task where it is of one.

        That is all of them, and those to each score that ranks, unless they are so few words that
        two models may say the same.
        """
        yield tuple(sorted(one.samples_sha256 for one in record.scores)), ""
        for one in record.scores:
            key = (one.task, one.protocol)
            if key in self._ranking and one.completion_tokens >= TELLING:
                yield (*key, one.samples_sha256), one.task


def _may_repeat(record: Record, other: Record) -> bool:
    """Return whether two seeds may answer alike: by the same weights, or in few or wrong words."""
    weights = [each.checkpoint.weights if each.checkpoint else "" for each in (record, other)]
    right = any(LETTERS["correct"] in one.verdicts for one in record.scores)
    few = sum(one.completion_tokens for one in record.scores) < TELLING
    return few or not right or bool(weights[0] and weights[0] == weights[1])


def _goes_on(record: Record, other: Record) -> bool:
    """Return whether of two rows one trains on where the other ends, as both of their names say."""
    stages, others = sorted(
        ([one.stage for one in each.stages] for each in (record, other)), key=len
    )
    names = [re.split("[(@]", each.trainer)[0].split("+") for each in (record, other)]
    fewer, more = sorted(names, key=len)
    return bool(stages) and (stages, fewer) == (others[: len(stages)], more[: len(fewer)])


def _begins_alike(record: Record, other: Record) -> bool:
    """Return whether two rows train on from one checkpoint: they may say much alike."""
    first, second = ([one.stage for one in each.stages[:1]] for each in (record, other))
    return bool(first) and first == second


def replaced_here(records: Iterable[Record], known: Knowledge) -> set[str]:
    """Return the digests of the records that another one by the same hand replaces."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault(about(known, record).hand, []).append(record)
    return {digest for group in groups.values() for digest in replaced(group)}
