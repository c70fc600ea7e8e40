"""Measure how many rephrased problems the search for contamination finds, and how many wrongly.

    python benchmarks/rephrased.py --shared ../shared --out benchmarks/rephrased.md

Needs `gsm8k_train`, `gsm8k_test`, `gsm_plus_testmini`, `math_train` and `math500` as JSON lines in
DIR/data (gzipped or not). GSM-Plus tells 300 problems of GSM8K's test set in eight other ways, one
of them in other words ("problem understanding"). They are hidden among GSM8K's training problems,
and the 300 problems that they were made from are the test set. What is found between GSM8K's own
training and test problems is counted as wrong, though some of it is right.

The bounds were chosen on one half of the 300 and of GSM8K's test problems, those of which the
sha256 of the text starts with an even byte, and are measured on the other half.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.contamination import rephrased  # noqa: E402
from harness.contamination.overlap import Passage, TestSets, passages  # noqa: E402
from harness.contamination.words import words  # noqa: E402

REPHRASED = "problem understanding"
BOUNDS = {"ALIKE": (0.2, 0.25, 0.3, 0.4), "AGREE": (0.5, 0.6, 2 / 3, 0.75)}
BOUNDS |= {"FEWEST_RARE": (1, 2, 3), "RARE": (0.005, 0.01, 0.02)}
Rows = list[dict[str, Any]]


def load(folder: Path, name: str) -> Rows:
    """Return the rows of a JSONL file, gzipped or not."""
    for path in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz"):
        if path.is_file():
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            return [json.loads(line) for line in data.decode("utf-8").split("\n") if line]
    raise SystemExit(f"no {name}.jsonl or {name}.jsonl.gz in {folder}")


def chosen_on(text: str) -> bool:
    """Return whether a problem is of the half on which the bounds were chosen."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 0


def telling(rows: Rows, field: str = "problem") -> list[rephrased.Telling]:
    return [rephrased.telling(row[field]) for row in rows]


def related(rows: Rows, train: list[rephrased.Telling]) -> dict[str, set[int]]:
    """Return which rows' seed problems are found to be like the row, by relation."""
    found = rephrased.find(telling(rows, "seed_problem"), [*telling(rows), *train])
    return {
        relation: {place for place, like in near.items() if like.text == place}
        for relation, near in found.items()
    }


def by_runs(rows: Rows) -> tuple[int, int]:
    """Return how many seed problems share 13, and how many 8, words in a row with their row."""
    hits = [0, 0]
    for row in rows:
        one = TestSets({"seed": [{"id": "seed", "problem": row["seed_problem"]}]})
        overlap = one.check([Passage("row", row["problem"], problem=True)])["seed"]
        hits = [hits[0] + len(overlap.overlap_13), hits[1] + len(overlap.overlap_8)]
    return hits[0], hits[1]


def jaccard(first: list[str], second: list[str], n: int) -> np.ndarray:
    """Return the highest Jaccard index of each text with any of others, over runs of n words."""
    numbering: dict[str, int] = {}
    tables = []
    for texts in (first, second):
        places, starts = [], [0]
        for told in map(words, texts):
            runs = {" ".join(told[at : at + n]) for at in range(len(told) - n + 1)}
            places += [numbering.setdefault(run, len(numbering)) for run in runs]
            starts.append(len(places))
        tables.append((places, starts))
    mine, theirs = (
        csr_array((np.ones(len(at)), at, starts), shape=(len(starts) - 1, len(numbering)))
        for at, starts in tables
    )
    sizes = [np.asarray(one.sum(axis=1)).ravel() for one in (mine, theirs)]
    best = []
    for start in range(0, len(first), 200):
        both = (mine[start : start + 200] @ theirs.T).toarray()
        either = sizes[0][start : start + 200, None] + sizes[1][None] - both
        best.append((both / np.maximum(either, 1)).max(axis=1))
    return np.concatenate(best)


def share(count: int, of: int) -> str:
    return f"{100 * count / of:.1f}"


def halves(rows: Rows, field: str) -> dict[str, Rows]:
    return {
        "chosen on": [row for row in rows if chosen_on(row[field])],
        "set aside": [row for row in rows if not chosen_on(row[field])],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = options.shared / "data"
    plus, train, test = (
        load(data, f"gsm{name}") for name in ("_plus_testmini", "8k_train", "8k_test")
    )
    trained = telling(train)
    kinds: dict[str, Rows] = {}
    for row in plus:
        kinds.setdefault(row["perturbation_type"], []).append(row)

    lines = [
        "# Rephrased problems: how many are found",
        f"`python benchmarks/rephrased.py`, {datetime.now(UTC):%Y-%m-%d}, Python"
        f" {platform.python_version()}. What is compared, and how the halves were made, is said in"
        " the script and in docs/contamination.md.",
        "## The two halves",
        "| Half | Rephrased | Found | % | GSM8K test problems | Found in GSM8K train | % |",
        "| :-- | --: | --: | --: | --: | --: | --: |",
    ]
    own = halves(test, "problem")
    for name, rows in halves(kinds[REPHRASED], "seed_problem").items():
        found = len(related(rows, trained)["rephrased"])
        wrong = len(rephrased.find(telling(own[name]), trained)["rephrased"])
        size, others = len(rows), len(own[name])
        cells = (size, found, share(found, size), others, wrong, share(wrong, others))
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")

    lines += [
        "## Every way in which GSM-Plus changes a problem",
        "Per cent of the 300 test problems found to be like their own changed copy; a problem may"
        " be found by several. The runs of words are those of `13 words` and `8 words`.",
        "| Change | Rephrased | Same template | 13 words | 8 words |",
        "| :-- | --: | --: | --: | --: |",
    ]
    for kind, rows in kinds.items():
        near = related(rows, trained)
        counts = len(near["rephrased"]), len(near["same template"]), *by_runs(rows)
        lines.append(f"| {kind} | {' | '.join(share(one, len(rows)) for one in counts)} |")

    lines += [
        "## By the sets of runs alone",
        "What MinHash estimates, computed exactly: of the 300 rephrased problems those whose"
        " Jaccard index with their original is above that of 99 % of GSM8K's test problems with"
        " their nearest training problem.",
        "| Runs of words | Index of the 99 % | Found, % |",
        "| --: | --: | --: |",
    ]
    told = kinds[REPHRASED]
    for n in (1, 2, 3):
        texts = [[row["problem"] for row in rows] for rows in (test, train)]
        bound = float(np.quantile(jaccard(*texts, n), 0.99))
        pairs = ([[row["problem"]], [row["seed_problem"]]] for row in told)
        found = sum(float(jaccard(*pair, n)[0]) > bound for pair in pairs)
        lines.append(f"| {n} | {bound:.2f} | {share(found, len(told))} |")

    lines += [
        "## Other bounds, on the half they were chosen on",
        "| Bound | Value | Rephrased found, % | GSM8K test found, % | MATH-500 in MATH train, % |",
        "| :-- | --: | --: | --: | --: |",
    ]
    rows = halves(kinds[REPHRASED], "seed_problem")["chosen on"]
    mine, maths = telling(own["chosen on"]), telling(load(data, "math500"))
    formal = telling(load(data, "math_train"))
    for bound, values in BOUNDS.items():
        usual = getattr(rephrased, bound)
        for value in values:
            setattr(rephrased, bound, value)
            found = len(related(rows, trained)["rephrased"])
            wrong = [
                share(len(rephrased.find(tests, texts)["rephrased"]), len(tests))
                for tests, texts in ((mine, trained), (maths, formal))
            ]
            cells = (f"{value:.3g}", share(found, len(rows)), *wrong)
            mark = "**" if value == usual else ""
            lines.append(f"| {mark}{bound}{mark} | {' | '.join(cells)} |")
        setattr(rephrased, bound, usual)

    started = time.process_time()
    TestSets({"test": test}).check(passages(train))
    whole = time.process_time() - started
    started = time.process_time()
    rephrased.find(telling(test), telling(train))
    part = time.process_time() - started
    lines += [
        "## Time",
        f"{len(train):,} training problems and solutions against {len(test):,} test problems:"
        f" {whole:.1f} s of one core in all, {part:.1f} s of it for problems that are alike, when"
        " all cores were shared.",
    ]
    text = "\n".join(
        line + ("" if line.startswith("|") else "\n") if following.startswith("|") else line + "\n"
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
    )
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
