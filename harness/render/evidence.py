"""What shows that records are true: answers, confirmations, signatures, and what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.render.escape import markdown

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard, RecordRef, Row

COUNTS = (
    "Of several records of one cell the first that was published counts; one with the same weights"
    " and answers confirms it."
)


def evidence(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield what is known of a published board's records, for the list of its conditions."""
    if not leaderboard.published:
        return
    refs = [ref for row in leaderboard.rows for ref in row.records if ref.status == "ok"]
    checked = sum(not ref.claimed for ref in refs)
    yield (
        f"- **Evidence:** the answers of {checked} of {len(refs)} records are published, and"
        f" `harness check {markdown(leaderboard.conditions.board)}` judges them anew; a row without"
        f" them is a claim and is not ranked. {COUNTS}"
    )


def record_link(leaderboard: Leaderboard, file: str, text: str) -> str:
    # Publishing refuses a record whose file has no plain name.
    return f"[{markdown(text)}](records/{leaderboard.conditions.board}/{file}.json)"


def records(leaderboard: Leaderboard, row: Row) -> str:
    """Return links to a row's records and their answers, and who handed them in."""
    return ", ".join(_record(leaderboard, ref) for ref in row.records)


def _record(leaderboard: Leaderboard, ref: RecordRef) -> str:
    text = record_link(leaderboard, ref.file, "record" if ref.seed is None else f"seed {ref.seed}")
    about = []
    if leaderboard.published and ref.status == "ok":
        name = f"records/{leaderboard.conditions.board}/answers/{ref.file}.jsonl.gz"
        about.append("claimed" if ref.claimed else f"[answers]({name})")
    if ref.submission:
        about.append(f"handed in as {markdown(ref.submission)}")
        about.append(f"signed by {markdown(ref.signer)}" if ref.signer else "not signed")
    return f"{text} ({', '.join(about)})" if about else text


def confirmations(leaderboard: Leaderboard, row: Row) -> Iterator[str]:
    """Yield how often a row's records were made again, with links."""
    again = row.confirmations
    if again:
        times = "once" if len(again) == 1 else f"{len(again)} times"
        yield (
            f"  - made again {times} with the same weights and answers:"
            f" {', '.join(_again(leaderboard, again))}"
        )


def _again(leaderboard: Leaderboard, refs: Sequence[RecordRef]) -> Iterator[str]:
    for ref in refs:
        text = record_link(
            leaderboard, ref.file, "record" if ref.seed is None else f"seed {ref.seed}"
        )
        yield f"{text} (signed by {markdown(ref.signer)})" if ref.signer else text


def refused(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield the records that count for nothing, with the reason of each."""
    if leaderboard.refused:
        yield "## Records that were refused"
        yield "\n".join(
            f"- {record_link(leaderboard, one.record.file, one.record.file)}:"
            f" {markdown(one.reason, 300)}"
            for one in leaderboard.refused
        )
