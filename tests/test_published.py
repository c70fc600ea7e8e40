"""Every number of the published boards, computed again from its records by code of its own."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import recompute

ROOT = Path(__file__).parents[1]
BOARDS = ROOT / "leaderboards"
TEXTS = {"test", "claim", "to", "task", "protocol", "ranking", "start", "trainer", "letters"}
TEXTS |= {"sources", "environment", "notes", "warnings", "records", "commands"}
TEXTS |= {"claimed", "confirmations"}
MINUS, SPACE, DASH = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}", "\N{EN DASH}"


NAMES = sorted(path.stem for path in BOARDS.glob("*.svg"))


@pytest.fixture(scope="module", params=NAMES)
def board(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def again(board) -> dict[str, Any]:
    return recompute.recompute(BOARDS, board)


@pytest.fixture(scope="module")
def published(board) -> dict[str, Any]:
    return json.loads((BOARDS / f"{board}.json").read_text())


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in TEXTS:
                yield from leaves(each, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield from leaves(each, f"{path}[{place}]")
    else:
        yield path, value


def test_recomputing_imports_nothing_of_the_harness():
    source = importlib.util.find_spec("recompute").origin
    assert not re.search(r"^\s*(from|import) harness", Path(source).read_text(), re.MULTILINE)


def test_every_number_of_the_json_is_what_its_records_give(again, published):
    compared = 0
    assert [row["trainer"] for row in published["rows"] if not row["start"]] == again["order"]
    for row in published["rows"]:
        expected = dict(leaves(again["rows"][row["trainer"]]))
        found = dict(leaves(row))
        assert found.keys() == expected.keys(), row["trainer"]
        for path, value in found.items():
            if isinstance(value, int | float):
                close = math.isclose(value, expected[path], rel_tol=1e-7, abs_tol=2e-9)
                assert close, (row["trainer"], path, value, expected[path])
                compared += 1
            else:
                assert value == expected[path], (row["trainer"], path)
    assert compared > 100 * len(published["rows"])
    for name in ("gain_family", "pair_family", "score_family", "not_worse", "leads"):
        assert published[name] == again[name], name
    assert published["reached"] == again["reached"] or published["reached"] == pytest.approx(
        again["reached"], rel=1e-7
    )
    assert dict(leaves(published["detectable"])) == pytest.approx(
        dict(leaves(again["detectable"])), rel=1e-5
    )
    assert [(one["first"], one["second"]) for one in published["equal"]] == [
        (one["first"], one["second"]) for one in again["equal"]
    ]


def test_rows_share_a_letter_exactly_where_they_were_not_told_apart(again, published):
    letters = {row["trainer"]: set(row["letters"]) for row in published["rows"]}
    for place, first in enumerate(again["order"]):
        for second in again["order"][place + 1 :]:
            apart = frozenset((first, second)) in again["apart"]
            assert bool(letters[first] & letters[second]) is not apart, (first, second)


def test_every_number_of_the_csv_is_what_its_records_give(board, again):
    accuracy = {"accuracy": "accuracy", "accuracy_low": "low", "accuracy_high": "high"}
    accuracy |= {name: name for name in ("question_sd", "seed_sd", "answer_sd", "seeds")}
    gain = {"gain": "difference", "gain_low": "low", "gain_high": "high", "p": "p"}
    gain |= {"p_holm_page": "p_adjusted", "gain_format": "format", "format_low": "format_low"}
    gain |= {"format_high": "format_high", "gain_correctness": "correctness"}
    gain |= {name: name for name in ("correctness_low", "correctness_high")}
    clean = {"clean_questions": "n", "clean_accuracy": "accuracy"}
    clean |= {"clean_low": "low", "clean_high": "high"}
    clean_gain = {"clean_gain": "difference", "clean_gain_low": "low", "clean_gain_high": "high"}
    overall = {"mean_accuracy": "accuracy", "mean_gain": "gain", "mean_gain_low": "low"}
    overall |= {"mean_gain_high": "high", "above_start": "above_start"}
    overall |= {"above_others": "above_others"}
    plain = ("strict", "flexible", "unreadable", "copied", "limit_reached", "mean_tokens")
    costs = ("steps", "trained_tokens", "generated_tokens", "teacher_tokens", "flops", "seconds")
    costs += ("gpu_seconds", "peak_memory_bytes", "energy_joules")
    texts = {"board", "trainer", "kind", "group", "task", "protocol", "ranking", "test", "claim"}
    texts |= {"environment", "notes", "warnings", "sources", "records", "command", "control_of"}
    texts |= {"control"}
    shared = {"shared_gain": "difference", "shared_gain_low": "low", "shared_gain_high": "high"}
    shared |= {"shared_p": "p", "shared_p_holm": "p_adjusted"}
    control = {"control_budget_used": "budget_used", "control_matched": "matched"}
    stage = {"stage_gain": "difference", "stage_gain_low": "low", "stage_gain_high": "high"}
    stage |= {"stage_p": "p", "stage_p_holm": "p_adjusted"}
    with (BOARDS / f"{board}.csv").open() as file:
        lines = list(csv.DictReader(file))
    conditions = json.loads((BOARDS / "records" / board / "conditions.json").read_text())
    tasks = [one["task"] for one in conditions["benchmarks"]]
    expected_rows = len(tasks) * len(again["rows"])
    assert len(lines) == expected_rows + len(conditions["quoted"]) + sum(
        len(row["curve"]) - 1 for row in again["rows"].values() if row["curve"]
    )
    for line in lines:
        if line["kind"] == "quoted":
            assert any(
                (line["trainer"], line["task"], float(line["accuracy"]))
                == (one["name"], one["task"], one["accuracy"])
                for one in conditions["quoted"]
            )
            continue
        if line["kind"] == "curve":
            trainer, _, share = line["trainer"].rpartition("@")
            (point,) = (
                one
                for one in again["rows"][trainer]["curve"]
                if one["share"] == float(share) == float(line["share"])
            )
            given = {column: point["accuracy"][of] for column, of in accuracy.items()}
            given |= {name: point["cost"][name] for name in costs}
            given |= {"questions": point["accuracy"]["n"], "budget_used": point["budget_used"]}
            assert {column for column, value in line.items() if value} - texts - {
                "share",
                "samples",
            } == {column for column, value in given.items() if value is not None}
            for column, value in given.items():
                assert value is None or float(line[column]) == pytest.approx(
                    value, rel=1e-7, abs=2e-9
                )
            continue
        row = again["rows"][line["trainer"]]
        task = row["tasks"][tasks.index(line["task"])]
        start = line["kind"] == "start"
        expected: dict[str, Any] = {
            "rank_low": row["rank"] and row["rank"][0],
            "rank_high": row["rank"] and row["rank"][1],
            "questions": task["accuracy"]["n"],
            "samples": 1,
            "seeds": len(row["seeds"]),
            "seeds_failed": 0,
            "seeds_missing": 0,
            "p_holm": row["gain"]["p_adjusted"] if line["ranking"] == "1" and not start else None,
            **dict.fromkeys(("pass_at_k", "maj_at_k", "maj_low", "maj_high", "lm_eval")),
            "overlap_13": None if start else task["overlap_13"],
            "overlap_8": None if start else task["overlap_8"],
            "rephrased": None if start else task["rephrased"],
            "share": None if start else 1,
            "flops_to_reach": row["flops_to_reach"],
            "budget_used": row["budget_used"],
            **{name: task[name] for name in plain},
            **{name: share for name, share in task["verdicts"].items() if name != "correct"},
            **{name: (row["cost"] or {}).get(name) for name in costs},
        }
        parts = [(accuracy, task["accuracy"]), (gain, task["gain"]), (clean, task["clean"])]
        parts += [(clean_gain, task["clean_gain"]), (overall, row["overall"])]
        parts += [(shared, task["shared_gain"]), (stage, row["stage_gain"])]
        if any("tuning" in one for one in again["rows"].values()):
            trials = row.get("tuning")
            expected |= {"trials": None if start else trials["trials"] if trials else 0}
            held = {f"holdout_{name}": name for name in ("default", "accuracy", "low", "high")}
            spent = {f"trials_{name}": name for name in ("flops", "seconds", "gpu_seconds")}
            parts += [(held, trials), (spent, trials and trials["cost"])]
            expected["trials_failed"] = len(trials["failed"]) if trials else None
            best = [
                (str(one["trials"]), one["accuracy"]) for one in (trials or {}).get("expected", ())
            ]
            told = [each.split("=") for each in line["holdout_expected"].split("; ") if each]
            assert [n for n, _ in told] == [n for n, _ in best]
            assert [float(share) for _, share in told] == pytest.approx(
                [share for _, share in best]
            )
            texts |= {"setting", "holdout_expected"}
        first = (row["controls"] or [None])[0]
        assert line["control"] == (first["trainer"] if first else "")
        for names, values in [*parts, (control, first)]:
            of = {column: (values or {}).get(name) for column, name in names.items()}
            expected |= {column: one for column, one in of.items() if column != "seeds"}
        assert expected.keys() | texts == line.keys()
        for column, value in expected.items():
            if value is None:
                assert line[column] == "", (line["trainer"], column)
            else:
                assert float(line[column]) == pytest.approx(float(value), rel=1e-7, abs=2e-9), (
                    column
                )


def test_every_place_of_the_plot_is_what_its_records_give(board, again):
    """Read off its own axis, marks, intervals and the start model lie where they should."""
    names = {"svg": "http://www.w3.org/2000/svg"}
    drawn = ElementTree.parse(BOARDS / f"{board}.svg").getroot()
    ticks = {
        float(one.text): float(one.get("x"))
        for one in drawn.findall("svg:text[@text-anchor='middle']", names)
    }
    (low, left), (high, right) = min(ticks.items()), max(ticks.items())
    assert low < high
    assert left < right

    def read(x: float) -> float:
        return (low + (high - low) * (x - left) / (right - left)) / 100

    close = (high - low) / (right - left) / 100 * 0.11  # coordinates have one decimal
    rows = drawn.findall("svg:g", names)
    shown = [row.findall("svg:text", names) for row in rows]
    assert [name.text.removesuffix(" ⚠") for name, _ in shown] == again["order"]
    for row, (_, value), trainer in zip(rows, shown, again["order"], strict=True):
        one = again["rows"][trainer]["accuracy"]
        assert value.text == f"{100 * one['accuracy']:.1f}"
        first, last = re.match(r"M(\S+) \S+H(\S+)$", row.find("svg:path", names).get("d")).groups()
        place, size = re.match(
            r"translate\((\S+) \S+\) scale\((\S+)\)", row.find("svg:g", names).get("transform")
        ).groups()
        found = (read(float(place) + 6 * float(size)), read(float(first)), read(float(last)))
        assert found == pytest.approx([one[x] for x in ("accuracy", "low", "high")], abs=close)
    lines = drawn.findall("svg:path[@stroke='currentColor']", names)
    start = again["rows"]["start"]["accuracy"]["accuracy"]
    assert [read(float(one.get("d")[1:].split()[0])) for one in lines] == [
        pytest.approx(start, abs=close)
    ]
    assert f"start model {100 * start:.1f}" in "".join(drawn.itertext())


def percent(share: float) -> str:
    return f"{round(100 * share, 9):.1f}"


def points(share: float) -> str:
    text = f"{round(100 * share, 9):+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def interval(one: dict[str, Any] | None, middle: str = "difference", name: str = "") -> str:
    if one is None:
        return DASH
    shown = percent if middle == "accuracy" else points
    low, high = (shown(one[f"{name}{end}"]) for end in ("low", "high"))
    return f"{shown(one[middle])} [{low},{SPACE}{high}]"


def split(one: dict[str, Any] | None) -> list[str]:
    if one is None:
        return [DASH, DASH]
    form = round(round(100 * one["format"], 9), 1)
    rest = {
        **one,
        "format": form / 100,
        "correctness": (round(round(100 * one["difference"], 9), 1) - form) / 100,
    }
    return [interval(rest, name, f"{name}_") for name in ("format", "correctness")]


def used(row: dict[str, Any]) -> str:
    share = row["budget_used"]
    return DASH if share is None else f"{100 * share:.0f}{SPACE}%"


def tables(text: str, heading: str) -> list[list[list[str]]]:
    """Return the tables under a heading, cell by cell, the head and the marks left out."""
    part = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found: list[list[list[str]]] = []
    for block in part.split("\n\n"):
        if block.strip().startswith("|"):
            lines = [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in block.strip().split("\n")]
            found.append([[cell.strip() for cell in line] for line in lines[2:]])
    return found


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def curve(row: dict[str, Any], again: dict[str, Any]) -> list[str]:
    """Return a row of the table of curves."""
    shares = sorted({p["share"] for one in again["rows"].values() for p in one["curve"]})
    points = {point["share"]: point for point in row["curve"]}
    cells = [DASH] * len(shares)
    for place, share in enumerate(shares):
        if point := points.get(share):
            flops = f"{point['cost']['flops']:.1e}".replace("e+", "e").replace("e0", "e")
            spent = f"{flops} FLOPs, {duration(point['cost']['seconds'])}"
            cells[place] = f"{interval(point['accuracy'], 'accuracy')}, {spent}"
    reach = row["flops_to_reach"]
    assert reach is None  # no published curve has one yet: say here how it is written
    return [*cells, DASH]


def chosen(row: dict[str, Any], _: dict[str, Any]) -> list[str]:
    """Return a row of the table of tuning."""
    one = row["tuning"]
    setting = ", ".join(
        f"{trainer}.{option}={value:.3g}"
        for trainer, options in sorted(one["setting"].items())
        for option, value in sorted(options.items())
    )
    best = {each["trials"]: interval(each, "accuracy") for each in one["expected"]}
    return [
        setting.replace("_", r"\_"),
        f"{one['chosen']} of {one['trials']}",
        percent(one["default"]),
        interval(one, "accuracy"),
        *(best[n] for n in (1, 2, 4, 5)),
    ]


def test_every_number_of_the_tables_is_what_its_records_give(board, again):
    text = (BOARDS / f"{board}.md").read_text()

    def name(cell: str) -> str:
        return cell.replace("*", "").replace("⚠", "").strip()

    rows = again["rows"]
    tuned = any("tuning" in row for row in rows.values())
    ranking, parts = tables(text, "Ranking")
    names = [name(line[1]) for line in ranking]
    assert [one for one in names if one != "start"] == list(again["order"])
    for line, row in zip(ranking, (rows[each] for each in names), strict=True):
        low, high = row["rank"] or (0, 0)
        p = row["gain"]["p_adjusted"] if row["gain"] else None
        assert line[0] == (DASH if not low else str(low) if low == high else f"{low}{DASH}{high}")
        assert line[2] == interval(row["accuracy"], "accuracy")
        assert line[3] == interval(row["gain"])
        assert line[4] == (DASH if p is None else "<0.001" if p < 0.001 else f"{p:.3f}")
        seeds = str(len(row["seeds"])) if row["gain"] else DASH
        trials = [str(row["tuning"]["trials"]) if "tuning" in row else DASH] if tuned else []
        assert line[6:] == [seeds, used(row), *trials]
    for line in parts:
        row = rows[name(line[0])]
        moved = (row["accuracy"][f"{what}_sd"] for what in ("question", "seed", "answer"))
        deviations = [DASH if one is None else percent(one) for one in moved]
        assert line[1:] == [*split(row["gain"]), *deviations]
    (chains,) = tables(text, "Chains against the same compute without their last stage")
    assert len(chains) == sum(row["controls"] is not None for row in rows.values()) > 0
    for line in chains:
        row = rows[name(line[0])]
        first, one = row["controls"][0]["trainer"], row["stage_gain"]
        budget = f"{first} {used(rows[first])}, chain {used(row)}"
        if one is None:
            assert line[1:] == [DASH, "more compute, no control", DASH, DASH, DASH, budget]
            continue
        p = one["p_adjusted"]
        shown = "<0.001" if p < 0.001 else f"{p:.3f}"
        assert line[1:] == [first, interval(one), shown, *split(one), budget]
    for heading, of_each in (
        ("Accuracy against compute", curve),
        ("How options were chosen", chosen),
    ):
        if f"\n## {heading}\n" in text:
            (table,) = tables(text, heading)
            assert [name(line[0]) for line in table] == list(again["order"])
            for line in table:
                assert line[1:] == of_each(rows[name(line[0])], again)
        else:
            assert not any(
                row["curve"] if of_each is curve else "tuning" in row for row in rows.values()
            )
    (every,) = tables(text, "Every benchmark")
    for line in every:
        row = rows[name(line[0])]
        for cell, task in zip(line[1:-1], row["tasks"], strict=True):
            change = f" ({points(task['gain']['difference'])})" if task["gain"] else ""
            assert cell == percent(task["accuracy"]["accuracy"]) + change
        tally = f"{row['wins']}/{row['ties']}/{row['losses']}"
        assert line[-1] == (tally if row["gain"] else DASH)
    (together,) = tables(text, "All tasks together")
    for line in together:
        one = rows[name(line[0])]["overall"]
        assert line[1] == percent(one["accuracy"])
        assert line[2] == interval(one, "gain")
        assert line[3:] == [percent(one["above_start"]), percent(one["above_others"])]
    for place, table in enumerate(tables(text, "How answers ended")):
        for line in table:
            task = rows[name(line[0])]["tasks"][place]
            share = {kind: percent(value) for kind, value in task["verdicts"].items()}
            wrong = f"{share['wrong']} ({percent(task['unreadable'])}, {percent(task['copied'])})"
            matched = [share["correct"], percent(task["strict"]), percent(task["flexible"])]
            others = [share[kind] for kind in ("no_answer", "truncated", "ungradable")]
            ended = [percent(task["limit_reached"]), f"{task['mean_tokens']:.0f}"]
            assert line[1:] == [*matched, wrong, *others, *ended]
    shared = [
        place
        for place in range(len(rows["start"]["tasks"]))
        if any(row["tasks"][place]["overlap_8"] for row in rows.values())
    ]
    found = tables(text, "Problems shared with training data")
    for place, table in zip(shared, found, strict=True):
        for line in table:
            row = rows[name(line[0])]
            task = row["tasks"][place]
            counts = [task[name] for name in ("overlap_13", "overlap_8", "rephrased")]
            hits = [DASH if one is None or not row["gain"] else str(one) for one in counts]
            clean = interval(task["clean"], "accuracy"), interval(task["clean_gain"])
            more = task["shared_gain"]
            p = more and more["p_adjusted"]
            apart = DASH if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
            shown = [*clean, interval(more), apart]
            assert line[1:] == [*hits, interval(task["accuracy"], "accuracy"), *shown]
    (costs,) = tables(text, "Cost of training one seed")
    assert len(costs) == len(again["order"])
    for line in costs:
        cost = rows[name(line[0])]["cost"]
        assert line[1:3] == [duration(cost["seconds"]), f"{cost['steps']}"]
        for cell, what in zip(line[3:6], ("trained", "generated", "teacher"), strict=True):
            number = cost[f"{what}_tokens"]
            assert cell == (f"{number / 1000:.3g} k" if number >= 1000 else str(number))
        assert float(line[6]) == pytest.approx(cost["flops"], rel=0.05)
        assert line[7] == f"{cost['peak_memory_bytes'] / 2**30:.1f} GiB"
        if tuned:
            trials = rows[name(line[0])]["tuning"]["cost"]
            assert float(line[9]) == pytest.approx(trials["flops"], rel=0.05)
            assert line[10] == duration(trials["seconds"])


def test_every_number_of_the_explanations_is_what_its_records_give(board, again):
    text = (BOARDS / f"{board}.md").read_text()
    found = again["detectable"]
    assert f"a gain over the start model of {percent(found['gain'])} points" in text
    assert f"a difference between two rows of {percent(found['pair'])} points" in text
    assert f"over all {again['pair_family']} pairs" in text
    assert f"over the {again['gain_family']} comparisons with the start model" in text
    assert f"over all {again['score_family']} rows and scores" in text
    tasks = [task for row in again["rows"].values() for task in row["tasks"]]
    family = sum(task["shared_gain"] is not None for task in tasks)
    if family:
        over = "the one such difference" if family == 1 else f"all {family} such differences"
        assert f"by Holm's method over {over} of this page" in text
