"""The command ``harness verify``, and what ``harness score --answers`` does."""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import FORMS
from harness.errors import UsageError
from harness.verify.conventions import Conventions
from harness.verify.judgement import VERIFIER_VERSION
from harness.verify.reading.extract import Form

if TYPE_CHECKING:
    from harness.bench.answers_file import Tally
    from harness.plugin.host import Host


def conventions_from(pairs: tuple[str, ...]) -> Conventions:
    """Return conventions from ``name=value`` pairs of a command line.

    Raises:
        UsageError: an unknown option or a value it does not take.
    """
    from pydantic import ValidationError

    values: dict[str, Any] = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark:
            raise UsageError(f"{pair!r} is not of the form option=value")
        values[name] = value
    try:
        return Conventions.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(x) for x in first["loc"])
        known = ", ".join(Conventions.model_fields)
        raise UsageError(f"convention {where!r}: {first['msg']}; known: {known}") from error


def register(cli: click.Group) -> None:
    """Add the verifier's command to the command line."""

    @cli.command("verify", short_help="Judge one answer and explain it step by step.")
    @click.argument("gold")
    @click.argument("answer")
    @click.option(
        "--form",
        type=FORMS,
        default="bare",
        show_default=True,
        help="Where the answer stands in ANSWER; bare takes all of it.",
    )
    @click.option(
        "--convention",
        "-c",
        "pairs",
        multiple=True,
        metavar="OPTION=VALUE",
        help="A named option of the task, as rounding=gold; may be repeated.",
    )
    @click.option("--truncated", is_flag=True, help="The response stopped at the token limit.")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
    def verify_command(
        gold: str, answer: str, form: Any, pairs: tuple[str, ...], truncated: bool, as_json: bool
    ) -> None:
        """Judge ANSWER against GOLD and show each step.

        The exit status is 0 for a correct answer and 1 for any other verdict.
        """
        from harness.verify import explain, self_test
        from harness.verify.workers.wire import judgement_fields

        conventions = conventions_from(pairs)
        self_test()
        judgement, steps = explain(answer, gold, conventions, form=form, truncated=truncated)
        if as_json:
            shown = judgement_fields(judgement) | {"steps": steps, "verifier": VERIFIER_VERSION}
            click.echo(json.dumps(shown, ensure_ascii=False, indent=2, sort_keys=True))
        else:
            for number, step in enumerate(steps, 1):
                click.echo(f"{number}. {printable(step)}")
            click.echo(
                f"strict match: {_yes(judgement.strict)}; "
                f"flexible match: {_yes(judgement.flexible)}; "
                f"verifier {VERIFIER_VERSION}"
            )
        raise SystemExit(0 if judgement.verdict == "correct" else 1)


@dataclass(frozen=True)
class Request:
    """What `harness score --answers` was asked for; None is to be found out."""

    file: Path
    task: str | None = None
    answer: str | None = None
    gold: str | None = None
    form: Form = "boxed"
    conventions: tuple[str, ...] = ()
    out: Path | None = None
    workers: int = 1
    seconds: float = 3.0


def judge_file(request: Request, host: Host) -> tuple[Tally, dict[str, Any]]:
    """Judge a file of answers, with a progress bar on standard error.

    Returns:
        The counts, and what they were made with.

    Raises:
        UsageError: If the file, a column, the task or a convention is not as it should be.
    """
    from harness.bench import answers_file
    from harness.verify import VerifierPool, self_test

    task = None if request.task is None else host.task(request.task)
    conventions = conventions_from(request.conventions)
    if task is not None:
        told = conventions.model_dump(include=conventions.model_fields_set)
        conventions = task.conventions.model_copy(update=told)
    if request.out is not None and request.out.resolve() == request.file.resolve():
        raise UsageError(f"--out {request.out} is the file of answers itself: name another")
    self_test()
    tally = answers_file.Tally()
    with answers_file.open_lines(request.file) as lines:
        total = _count(lines, request.file)
        lines.seek(0)
        rows = answers_file.rows_of(lines, tally, request.file.name)
        first = next(rows, None)
        if first is None:
            raise UsageError(f"{request.file} holds no answer")
        columns = answers_file.find_columns(
            first, answer=request.answer, gold=request.gold, golds_elsewhere=task is not None
        )
        from_task = task is not None and columns.gold is None
        with (
            VerifierPool(workers=request.workers, seconds=request.seconds) as pool,
            click.progressbar(length=total, label=request.file.name, file=sys.stderr) as bar,
        ):
            judged = answers_file.judge_rows(
                chain([first], rows),
                pool,
                columns,
                golds=answers_file.golds_of(task.split("test")) if task and from_task else None,
                conventions=conventions,
                form=request.form,
                tally=tally,
                progress=bar.update,
            )
            _write(judged, request.out)
    return tally, {
        "file": str(request.file),
        "answer": columns.answer,
        "gold": f"task {request.task}" if from_task else columns.gold,
        "label": columns.label,
        "form": request.form,
        "task": request.task,
        "conventions": conventions.model_dump(mode="json", exclude_defaults=True),
        "verifier": VERIFIER_VERSION,
    }


def tally_json(tally: Tally, used: dict[str, Any], disagreements: bool) -> dict[str, Any]:
    """Return the counts for programs; each disagreement too, if asked."""
    from harness.bench import answers_file
    from harness.leaderboard.stats import wilson

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
                    for (said, verdict), count in sorted(tally.table.items())
                    if said is label
                }
                for label in (True, False)
            }
        }
    if disagreements:
        found["disagreements"] = [asdict(one) for one in tally.disagreements]
    return found


def tally_text(tally: Tally, used: dict[str, Any], disagreements: bool) -> str:
    """Return the counts for people; each disagreement too, if asked."""
    from harness.leaderboard.stats import wilson
    from harness.verify.judgement import Verdict

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
            right = 100 * each[Verdict.correct.value] / total
            lines.append(f"  {name}: {right:.1f} % of {total:,} ({_counts(each)})")
    if tally.labelled:
        agree = tally.labelled - len(tally.disagreements)
        lines.append(f"agrees with {used['label']!r}: {agree:,} of {tally.labelled:,} labels")
        known = [verdict.value for verdict in Verdict if tally.verdicts[verdict.value]]
        lines.append(f"  {'label':<8}" + "".join(f"{name:>12}" for name in known))
        for label in (True, False):
            cells = "".join(f"{tally.table[label, name]:>12,}" for name in known)
            lines.append(f"  {'right' if label else 'wrong':<8}{cells}")
    if disagreements:
        for one in tally.disagreements:
            said = "right" if one.label else "wrong"
            lines += [
                f"row {one.row} {one.id} {one.model}".rstrip(),
                f"  gold {one.gold!r}, extracted {one.extracted!r}",
                f"  label {said}, verdict {one.verdict}: {one.why}",
            ]
    elif tally.disagreements:
        lines.append("  --disagreements shows each answer whose label and verdict differ")
    if tally.torn:
        lines.append("the last line was torn and left out")
    return "".join(f"{printable(line)}\n" for line in lines)


def _counts(verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(verdicts.items()))


def _count(lines: Iterable[str], file: Path) -> int:
    """Return the number of lines; every byte of the file is read, so a broken one is told here."""
    try:
        return sum(1 for _ in lines)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"cannot read {file}: {error}") from None


def _write(judged: Iterable[dict[str, Any]], out: Path | None) -> None:
    """Take every judged row, and write them to a file that is there only when it is whole."""
    if out is None:
        for _ in judged:
            pass
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    with partial.open("w", encoding="utf-8") as sink:
        for row in judged:
            sink.write(json.dumps(row, ensure_ascii=True) + "\n")
    os.replace(partial, out)


def printable(text: str) -> str:
    """Return text without characters that could steer a terminal."""
    return "".join(c if c.isprintable() or c == " " else " " for c in text)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
