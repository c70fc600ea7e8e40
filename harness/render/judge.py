"""Counts of judged answers: as JSON, and as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.bench import answers_file
from harness.leaderboard.stats import wilson
from harness.render.escape import terminal
from harness.verify import Verdict

if TYPE_CHECKING:
    from harness.bench.answers_file import Tally


def tally_json(tally: Tally, used: dict[str, Any], disagreements: bool) -> dict[str, Any]:
    """Return the counts for programs, with what was used (columns, form, conventions).

    With `disagreements`, each answer whose label and verdict differ is listed.
    """
    found: dict[str, Any] = {
        **used,
        "answers": tally.rows,
        "verdicts": dict(sorted(tally.verdicts.items())),
        "accuracy": tally.correct / tally.rows,
        "interval": list(wilson(tally.correct, tally.rows)),
        "strict": tally.strict / tally.rows,
        "flexible": tally.flexible / tally.rows,
        "models": {name: dict(sorted(each.items())) for name, each in tally.models.items()},
        "torn_last_line": tally.torn,
    }
    if tally.labelled:
        found["agreement"] = answers_file.agreement(tally) | {
            "table": {
                str(label).lower(): {
                    verdict: count
                    for (given, verdict), count in sorted(tally.table.items())
                    if given is label
                }
                for label in (True, False)
            }
        }
    if disagreements:
        found["disagreements"] = [asdict(one) for one in tally.disagreements]
    return found


def tally_text(tally: Tally, used: dict[str, Any], disagreements: bool) -> str:
    """Return the counts for people; the arguments are those of `tally_json`."""
    low, high = wilson(tally.correct, tally.rows)
    share = 100 / tally.rows
    lines = [
        f"{tally.rows:,} answer{'' if tally.rows == 1 else 's'} in {used['answer']!r},"
        f" gold answers in {used['gold']!r},"
        f" verifier {used['verifier']}",
        f"accuracy {tally.correct * share:.1f} % [{100 * low:.1f}, {100 * high:.1f}],"
        f" strict {tally.strict * share:.1f} %, flexible {tally.flexible * share:.1f} %",
        _counts(tally.verdicts),
    ]
    if len(tally.models) > 1:
        for name, each in sorted(tally.models.items()):
            total = sum(each.values())
            percent = 100 * each[Verdict.correct.value] / total
            lines.append(f"  {name}: {percent:.1f} % of {total:,} ({_counts(each)})")
    if tally.labelled:
        agree = tally.labelled - len(tally.disagreements)
        lines.append(f"agrees with {used['label']!r}: {agree:,} of {tally.labelled:,} labels")
        known = [verdict.value for verdict in Verdict if tally.verdicts[verdict.value]]
        lines.append(f"  {'label':<8}" + "".join(f"{name:>12}" for name in known))
        for right, shown in ((True, "right"), (False, "wrong")):
            cells = "".join(f"{tally.table[right, name]:>12,}" for name in known)
            lines.append(f"  {shown:<8}{cells}")
    if disagreements:
        for one in tally.disagreements:
            label = "right" if one.label else "wrong"
            lines += [
                f"line {one.line} {one.id} {one.model}".rstrip(),
                f"  gold {one.gold!r}, extracted {one.extracted!r}",
                f"  label {label}, verdict {one.verdict}: {one.why}",
            ]
    elif tally.disagreements:
        lines.append("  --disagreements shows each answer whose label and verdict differ")
    if tally.torn:
        lines.append("the last line was torn and left out")
    return "".join(f"{terminal(line, None)}\n" for line in lines)


def _counts(verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(verdicts.items()))
