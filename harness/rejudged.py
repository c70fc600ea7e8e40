"""What an earlier version of the verifier made of a record that was judged anew."""

from __future__ import annotations

from typing import Any, TypeVar

from harness.costs import Count, Frozen

_Record = TypeVar("_Record", bound=Frozen)


class ScoreBefore(Frozen):
    """What judging gives of one score; the rest of it comes from generating and training."""

    verdicts: str
    majority: str
    strict: Count
    flexible: Count
    unreadable: Count
    copied: Count
    samples_sha256: str
    task_digest: str = ""  # where the task's conventions have changed since


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
    def of(cls, record: Frozen) -> JudgedBefore:
        """Return what to keep of a record that is about to be judged anew."""
        content: dict[str, Any] = record.model_dump()
        if content["judged_before"] is not None:
            return cls.model_validate(content["judged_before"])
        kept = [{name: one[name] for name in ScoreBefore.model_fields} for one in content["scores"]]
        return cls.model_validate(
            {name: content[name] for name in ("verifier_version", "digest")}
            | {"board": content["board"]["digest"], "scores": kept}
        )

    def restored(self, record: _Record) -> _Record:
        """Return the first record, made again from the one that was judged anew.

        Raises:
            pydantic.ValidationError: If they cannot be of one record.
        """
        content: dict[str, Any] = record.model_dump()
        content["scores"] = [
            now | before.model_dump(exclude_defaults=True)
            for now, before in zip(content["scores"], self.scores, strict=True)
        ]
        content["board"]["digest"] = self.board
        content |= {"verifier_version": self.verifier_version, "digest": self.digest}
        return type(record).model_validate(content | {"judged_before": None})
