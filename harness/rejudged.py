"""What an earlier version of the verifier made of a record that was judged anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.costs import Count, Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.records import Record, Score


class ScoreBefore(Frozen):
    """What judging gives of one score; the rest of it comes from generating and training."""

    verdicts: str
    majority: str
    strict: Count
    flexible: Count
    unreadable: Count
    copied: Count
    samples_sha256: str


class JudgedBefore(Frozen):
    """A record as it was first written, so far as judging its answers anew has changed it.

    The rest of the record is as it was: its training, costs, commit, date and answers. So the
    first record can be made again, and whoever has its digest (a signed submission lists it) can
    tell that it is this one.
    """

    verifier_version: str
    board: str  # digest of the board under that version
    digest: str  # of the first record
    scores: tuple[ScoreBefore, ...]

    @classmethod
    def of(cls, record: Record) -> JudgedBefore:
        """Return what to keep of a record that is about to be judged anew."""
        return record.judged_before or cls(
            verifier_version=record.verifier_version,
            board=record.board.digest,
            digest=record.digest,
            scores=tuple(
                ScoreBefore(**{name: getattr(one, name) for name in ScoreBefore.model_fields})
                for one in record.scores
            ),
        )

    def restored(self, record: Record) -> Record:
        """Return the first record, made again from the one that was judged anew."""
        scores: Sequence[Score] = [
            now.model_copy(update=before.model_dump())
            for now, before in zip(record.scores, self.scores, strict=False)
        ]
        update = {
            "board": record.board.model_copy(update={"digest": self.board}),
            "verifier_version": self.verifier_version,
            "scores": tuple(scores),
            "judged_before": None,
        }
        return record.model_copy(update=update).sealed()

    def is_of(self, record: Record) -> bool:
        """Whether this is what a record was: the digest of the first one shows it."""
        same = len(self.scores) == len(record.scores)
        return same and self.restored(record).digest == self.digest
