"""Handing in: the records of some cells, checked, with their answers and a manifest."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import TamperedError, UsageError, did_you_mean
from harness.files import json_sha256, slug, write_atomically
from harness.publish import answers
from harness.publish.recheck import Checked, recheck, refusals
from harness.publish.recompute import Tasks
from harness.publish.sources import Brought, Source, gather
from harness.publish.submission import MANIFEST, Manifest, PluginSource, Submitted
from harness.records import replaced
from harness.render.escape import code, markdown
from harness.verify import VERIFIER_VERSION

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions

DISTRIBUTION = "srlm-harness"  # whose trainers need no address
TEXT = "PULL_REQUEST.md"


def submit(
    runs: Path,
    conditions: Conditions,
    cells: Sequence[str],
    tasks: Tasks,
    trials: int,
    address: str = "",
    out: Path | None = None,
    published: Path | None = None,
) -> Path:
    """Write a submission of some cells of a board's runs folder and return its folder.

    Args:
        runs: The board's runs folder.
        conditions: What the board fixes.
        cells: Names such as `sft/0`.
        tasks: Finds a task by its name.
        trials: How many settings were tried in all, as the submitter says.
        address: Where the source of trainers can be read that are not this project's.
        out: The folder; `submissions/<name>` if none is given.
        published: The folder of the board's published records, which these are to join.

    Raises:
        UsageError: If there is no such cell, or the folder is there already.
        TamperedError: If the board's rules refuse a record, or its answers give something else.
    """
    source = gather(runs, conditions.digest)
    chosen = Source(runs, tuple(_chosen(source, cells)), runs=True)
    checks = {one.record: one for one in recheck(chosen, conditions, tasks, None, published)}
    _accept(chosen, checks, refusals(chosen, conditions, published))
    made = [one.record for one in chosen.records]
    trainers = slug("-".join(sorted({record.trainer for record in made})))[:40]
    name = f"{trainers}-{json_sha256(sorted(record.digest for record in made))[:8]}"
    folder = out or Path("submissions") / name
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is there already: name another with --out, or delete it")
    stages = [stage for record in made for stage in record.stages]
    sources = dict.fromkeys(
        (stage.plugin, stage.distribution, stage.version, stage.source_sha256) for stage in stages
    )
    manifest = Manifest(
        name=name,
        board=conditions.board,
        board_digest=conditions.digest,
        harness=importlib.metadata.version(DISTRIBUTION),
        verifier=VERIFIER_VERSION,
        trials=trials,
        plugins=tuple(
            PluginSource(
                plugin=plugin,
                distribution=distribution,
                version=version,
                source_sha256=digest,
                address="" if distribution == DISTRIBUTION else address,
            )
            for plugin, distribution, version, digest in sources
        ),
        records=tuple(
            Submitted(
                file=one.path.stem,
                digest=one.record.digest,
                answers=one.answers and one.answers.digest,
                cell=one.record.cell,
                checked="recomputed",
            )
            for one in chosen.records
        ),
    )
    for one in chosen.records:
        write_atomically(folder / "records" / one.path.name, one.record.to_json())
        packed = folder / answers.FOLDER / f"{one.path.stem}{answers.ENDING}"
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.write_bytes(answers.pack(one.answers.text if one.answers else ""))
    write_atomically(folder / MANIFEST, manifest.to_json())
    write_atomically(folder / TEXT, pull_request(manifest, chosen))
    return folder


def _chosen(source: Source, cells: Sequence[str]) -> list[Brought]:
    gone = replaced(one.record for one in source.records)
    there = [one for one in source.records if one.record.scores and one.record.digest not in gone]
    found = []
    for name in dict.fromkeys(cells):
        same = [one for one in there if name in (one.record.cell, one.record.id)]
        if not same:
            known = [one.record.cell for one in there]
            hint = did_you_mean(name, known) if known else "run harness bench first"
            raise UsageError(f"no finished cell {name!r} in {source.folder}; {hint}")
        found.append(min(same, key=lambda one: one.record.created))
    if not found:
        raise UsageError("--cells names no cell, such as sft/0")
    return found


def _accept(chosen: Source, checks: Mapping[str, Checked], refused: Mapping[str, str]) -> None:
    """Refuse to hand in what would be refused."""
    for one in chosen.records:
        found, reason = checks[one.path.stem], refused.get(one.record.digest)
        if found.state != "recomputed" or reason:
            raise TamperedError(
                f"{one.record.cell} cannot be handed in ({found.state}): {reason or found.why}"
            )


def pull_request(manifest: Manifest, chosen: Source) -> str:
    """Return the text of the pull request."""
    n = len(chosen.records)
    lines = [
        f"# Results on {markdown(manifest.board)}: {n} {'cell' if n == 1 else 'cells'}",
        "",
        f"Submission {code(manifest.name)}, made with srlm-harness {manifest.harness}, verifier"
        f" {manifest.verifier}, board digest {code(manifest.board_digest[:16])}.",
        "",
        f"Settings tried in all: {manifest.trials:,}.",
        "",
        "| Cell | Task | Right | Of | Record |",
        "| :-- | :-- | --: | --: | :-- |",
    ]
    for one in chosen.records:
        for score in one.record.scores:
            right, answered = score.verdicts.count("C"), len(score.verdicts)
            cell, task = markdown(one.record.cell), markdown(score.task)
            lines.append(f"| {cell} | {task} | {right} | {answered} | {code(one.path.stem)} |")
    lines += ["", "Trained by:", ""]
    for plugin in manifest.plugins:
        ours = plugin.distribution == DISTRIBUTION
        address = markdown(plugin.address) or ("this project" if ours else "no address was given")
        lines.append(
            f"- {markdown(plugin.plugin)} of {markdown(plugin.distribution)}"
            f" {markdown(plugin.version)}, source sha256 {code(plugin.source_sha256[:16])}:"
            f" {address}"
        )
    lines += ["", "Every answer was judged anew by `harness submit`, with the same verdicts."]
    return "\n".join(lines) + "\n"
