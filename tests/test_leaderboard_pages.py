from __future__ import annotations

import json
import re

import generated
import pytest
from pages import ACCURACIES, csv_lines, curves, five_rows, row, shown, warned

from harness.boards.conditions import Baseline, Benchmark
from harness.leaderboard.build import build
from harness.leaderboard.data import (
    Leaderboard,
)
from harness.publish.write import json_schema
from harness.render import markdown, numbers, spreadsheet


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return five_rows()


def test_printed_parts_add_up(board):
    for one in board.rows[:-1]:
        first = (text.partition(" [")[0] for text in numbers.parts(one.gain))
        printed = [float(text.replace(numbers.MINUS, "-")) for text in first]
        gain = float(numbers.points(one.gain.difference).replace(numbers.MINUS, "-"))
        assert sum(printed) == pytest.approx(gain, abs=1e-9)


def test_no_printed_character_depends_on_the_boards_digest():
    def printed(digest: str) -> str:
        records = [
            r.model_copy(
                update={"board": r.board.model_copy(update={"digest": digest * 64})}
            ).sealed()
            for r in generated.board(ACCURACIES, seed_sd=0.03, n=150)
        ]
        page = build(records, generated.conditions(digest=digest * 64))
        text = markdown.render(page) + page.to_json() + spreadsheet.render(page)
        for record in records:
            text = text.replace(record.digest, "")
        return text.replace(digest * 64, "").replace(digest * 16, "")

    first = printed("1")
    assert len(first) > 20_000
    assert {printed(digest) for digest in "2345"} == {first}


def test_the_share_of_the_budget_is_a_column():
    caps = {"trained_tokens": 400_000.0, "flops": 1.2e13}
    page = build(generated.board(ACCURACIES), generated.conditions(caps=caps))
    assert row(page, "sft").budget_used == pytest.approx(0.5, abs=1e-3)  # the tightest cap
    assert row(page, "start").budget_used is None
    assert "| Seeds | Budget |" in markdown.render(page)
    assert "| 50\N{NO-BREAK SPACE}% |" in markdown.render(page)


def test_a_board_of_failures_alone_still_renders():
    records = [
        generated.record("rl", 0, {}, status="failed", error="no such file"),
        generated.record("start", None, {}, status="oom", error="too large"),
    ]
    board = build(records, generated.conditions())
    assert warned(board, "start") == []  # the board's own warning says it
    assert "no such file" in markdown.render(board)
    assert "no such file" in shown(board)
    assert "rl" in spreadsheet.render(board)
    assert any("start model was not scored" in line for line in warned(board))


def test_one_command_reproduces_a_row():
    records = [
        generated.record(
            "sft", seed, {"words": "CW"}, command=f"harness bench --seeds {seed} --x y"
        )
        for seed in (2, 0, 1)
    ]
    assert row(build(records, generated.conditions(["words"])), "sft").commands == (
        "harness bench --seeds 0,1,2 --x y",
    )
    odd = [
        generated.record("kd", 0, {"words": "CW"}, command="a \0 b"),
        generated.record("kd", 1, {"words": "CW"}, command="harness bench --seeds 1"),
    ]
    assert row(build(odd, generated.conditions(["words"])), "kd").commands == (
        "a \0 b",
        "harness bench --seeds 1",
    )


def test_a_note_that_differs_between_seeds_has_the_value_of_each_in_their_order():
    records = []
    for one in generated.board({"start": 0.4, "sft": 0.6}, seeds=[0, 1, 2, 3, 4])[::-1]:
        notes = {"pairs": (27, 30, 28, 28, 29)[one.seed or 0], "beta": 0.1}
        stages = tuple(stage.model_copy(update={"notes": notes}) for stage in one.stages)
        records.append(one.model_copy(update={"stages": stages}).sealed())
    page = build(records, generated.conditions(seeds=range(5)))
    assert row(page, "sft").notes == ("sft: beta 0.1", "sft: pairs 27, 30, 28, 28, 29")


def test_quoted_rows_are_marked_and_not_ranked():
    quoted = [{"name": "A paper", "task": "words", "accuracy": 0.99, "source": "https://e.org/x"}]
    board = build(generated.board(ACCURACIES), generated.conditions(quoted=quoted))
    assert all(one.trainer != "A paper" for one in board.rows)
    text = markdown.render(board)
    assert text.index("## Results from elsewhere") > text.index("## Ranking")
    assert "<https://e.org/x>" in text


def test_json_reads_back_and_follows_the_published_schema(board):
    jsonschema = pytest.importorskip("jsonschema")
    content = json.loads(board.to_json())
    jsonschema.validate(content, json.loads(json_schema()))
    assert Leaderboard.model_validate(content) == board
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "rows": [{"trainer": 3}]}, json.loads(json_schema()))


def test_csv_has_a_line_for_each_trainer_and_task_with_plain_numbers(board):
    import csv

    lines = list(csv.DictReader(spreadsheet.render(board).splitlines()))
    assert len(lines) == 5 * 3
    first = lines[0]
    assert first["trainer"] == "sft+rl"
    assert float(first["accuracy_low"]) < float(first["accuracy"]) < float(first["accuracy_high"])
    assert all(float(line["gain"]) > 0 for line in lines if line["trainer"] != "start")


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_table_fits(board, width):
    lines = shown(board, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    ranking = [line for line in lines if line.split()[:2] == ["1", "sft+rl"]]
    assert len(ranking) == 1
    assert "<0.001" in ranking[0]


@pytest.mark.parametrize("width", [40, 48, 60, 72])
def test_a_narrow_terminal_leaves_out_columns_and_never_the_trainer(board, width):
    lines = shown(board, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    assert any(line.split()[:2] == ["Rank", "Trainer"] for line in lines)
    (first,) = [line for line in lines if line.split()[:2] == ["1", "sft+rl"]]
    assert ("<0.001" in first) is (width >= 60)


LONG = "sft(sft.batch_size=8, sft.epochs=3, sft.learning_rate={}, sft.warmup=0.1)"
SETTINGS = (
    *("kd-on-policy", "kd-sequence", "sft-shuffled", "hybrid-joint", "kd(kd.temperature=1.0)"),
    *("kd(kd.temperature=2.0)", LONG.format(0.001), LONG.format(0.002)),
)


@pytest.fixture(scope="module")
def settings() -> Leaderboard:
    accuracies = {"start": 0.4} | {name: 0.5 + n / 50 for n, name in enumerate(SETTINGS)}
    return build(generated.board(accuracies), generated.conditions())


@pytest.mark.parametrize("width", [40, 48, 60, 72, 80, 100, 120])
def test_a_terminal_breaks_no_word_and_no_number_of_a_name(settings, width):
    lines = shown(settings, width).splitlines()
    assert max(map(len, lines)) <= width
    table = lines[: next(n for n, line in enumerate(lines) if n > 3 and not line.strip())]
    head = next(line for line in table if "Trainer" in line)
    place = head.index("Trainer")
    names = [line[place:].split("  ")[0].strip() for line in table[table.index(head) + 2 :]]
    names = [name for name in names if name and not name.startswith("[")]
    for name in SETTINGS[:4]:
        assert name in names
    for broken in (one for one in names if not one[-1].isalnum()):
        assert broken[-1] in "+(,-)", names
    assert (
        sum("0.001" in name for name in names)
        == sum("0.002" in name for name in names)
        == (1 if width > 40 else 0)
    )
    ends = [name for name in names if name[-1] not in "+(,-"]
    assert len(set(ends)) == len(ends)  # two settings never look alike
    if "…" in "".join(names):
        assert LONG.format(0.002) in re.sub(r"\s+", " ", shown(settings, width))  # the legend
    if width < 100:
        assert "Time" not in head


def test_every_markdown_table_has_as_many_cells_in_each_line(board):
    tables = [line for line in markdown.render(board).splitlines() if line.startswith("|")]
    assert len(tables) > 20
    previous = ""
    for line in tables:
        if previous.count("|") and line.startswith("| :--"):
            assert line.count("|") == previous.count("|")
        previous = line
    assert max(line.count("|") for line in tables) <= 12


def test_the_ranking_comes_first_and_then_the_conditions(board):
    text = markdown.render(board)
    conditions = text.split("## Conditions")[1].split("## ")[0]
    for said in ("Start model:", "Training data:", "Budget of", "Verifier:", "Scored on:", "Date"):
        assert f"**{said}" in conditions
    assert text.index("## Ranking") < text.index("## Conditions") < text.index("## How answers")
    assert "What this board finds" in text
    assert "over all 6 pairs" in text
    assert "over the 4 comparisons" in text


def test_a_large_board_stays_readable():
    tasks = [f"task-{i}" for i in range(6)]
    accuracies = {"start": 0.3} | {f"trainer-{i}": 0.4 + 0.01 * i for i in range(30)}
    records = generated.board(accuracies, tasks=tasks, seeds=range(5), n=1319, seed_sd=0.01)
    conditions = generated.conditions(tasks=tasks, seeds=range(5), ranking=tasks[:1])
    board = build(records, conditions)
    text = markdown.render(board) + spreadsheet.render(board) + board.to_json() + shown(board)
    assert len(board.rows) == 31
    assert text.count("trainer-29") > 10
    assert row(board, "trainer-29").rank[0] == 1
    assert row(board, "trainer-0").rank[1] == 30


def test_the_csv_has_control_arms_controls_of_chains_and_points_of_curves():
    finals, quarter = {"sft": 0.6, "rl": 0.7, "sft+rl": 0.8}, {"sft": 0.5, "rl": 0.3}
    records = []
    for one in curves(dict.fromkeys(finals, 9.0), finals, quarter):
        stages = [
            stage.model_copy(update={"control_of": "sft"}) if one.trainer == "rl" else stage
            for stage in one.stages
        ]
        records.append(one.model_copy(update={"stages": tuple(stages)}).sealed())
    told = generated.conditions(caps={"flops": 10.0}, curve=[0.25])
    board = build(records, told)
    lines = {line["trainer"]: line for line in csv_lines(board)}
    kinds = {name: line["kind"] for name, line in lines.items()}
    assert kinds == {
        **{"start": "start", "sft": "trained", "rl": "control", "sft+rl": "trained"},
        **{"sft@0.25": "curve", "rl@0.25": "curve"},
    }
    assert (lines["rl"]["control_of"], lines["sft"]["control_of"]) == ("sft", "")
    chain, point = lines["sft+rl"], lines["sft@0.25"]
    assert (chain["control"], chain["control_matched"]) == ("sft", "1")
    gain = row(board, "sft+rl").stage_gain
    assert float(chain["stage_gain"]) == pytest.approx(gain.difference)
    assert float(chain["stage_p_holm"]) == pytest.approx(gain.p_adjusted)
    first = row(board, "sft").curve[0]
    assert (point["share"], point["rank_low"], point["gain"]) == ("0.25", "", "")
    assert float(point["accuracy"]) == pytest.approx(first.accuracy.accuracy)
    assert (float(point["flops"]), point["task"]) == (2.25, "words")  # which ranks the board
    assert lines["sft"]["share"] == "1"


def test_quoted_rows_in_the_csv_are_called_so():
    quoted = [
        {"name": "=A paper", "task": "words", "accuracy": 0.99, "source": "https://e.org/x"},
        {"name": "B", "task": "other", "accuracy": 0.5, "source": "arXiv 1", "note": "4 shots"},
    ]
    board = build(generated.board(ACCURACIES), generated.conditions(quoted=quoted))
    lines = [line for line in csv_lines(board) if line["kind"] == "quoted"]
    assert [line["trainer"] for line in lines] == ["'=A paper", "B"]
    assert all(not line["rank_low"] and not line["gain"] for line in lines)
    assert (lines[1]["notes"], lines[1]["sources"]) == ("4 shots", "arXiv 1")
    assert "*B* (quoted)" in markdown.render(board)
    said = " ".join(shown(board).split())
    assert "other conditions, never ranked: words 99.0 %: =A paper (https://e.org/x)" in said
    assert "other 50.0 %: B (arXiv 1; 4 shots)" in said


def test_own_metrics_stand_beside_the_verified_accuracy():
    def scored(verdicts: str, own: float) -> list:
        metrics = {"exact_match,strict-match": own, "exact_match,flexible-extract": 0.5}
        return [
            generated.score("words", verdicts),
            generated.score("words", verdicts, protocol="lm_eval:words@1", own=metrics),
        ]

    records = [generated.record("start", None, scored("CCWW" * 50, 0.25))]
    records += [generated.record("sft", seed, scored("CCCW" * 50, 0.5)) for seed in range(3)]
    both = [
        Benchmark(
            task="words",
            protocol=protocol,
            max_new_tokens=128,
            ranking=not place,
            baseline=Baseline(
                accuracy=0.4, tolerance=0.1, source="lm-eval's page", metric=metric, note="8 shots"
            ),
        )
        for place, (protocol, metric) in enumerate(
            [("chat_zeroshot.v1", "verified"), ("lm_eval:words@1", "exact_match,strict-match")]
        )
    ]
    board = build(records, generated.conditions(benchmarks=tuple(both)))
    assert row(board, "sft").tasks[1].own["exact_match,strict-match"] == 0.5
    text = markdown.render(board)
    plain = text.replace("\\", "").replace("&#58;", ":").replace("&#64;<!-- -->", "@")
    head = "| Trainer | *words (chat_zeroshot.v1)* | words (lm_eval:words@1) | W/T/L |"
    assert head in plain
    own = plain.split("## lm-eval's own metrics")[1].split("## Cost")[0]
    assert (
        "| Trainer | Verified % | exact_match,flexible-extract | exact_match,strict-match |" in own
    )
    assert "| *start* | 50.0 | 0.5 | 0.25 |" in own
    line = next(line for line in csv_lines(board) if line["protocol"].startswith("lm_eval"))
    assert line["lm_eval"] == "exact_match,flexible-extract=0.5; exact_match,strict-match=0.5"
    off = [line for line in warned(board) if "lm-eval's page" in line]
    assert off == [
        "words (lm_eval:words@1): the start model scores 25.0% by lm-eval's"
        " exact_match,strict-match, while lm-eval's page gives 40.0% ± 10.0 points (8 shots)"
    ]


@pytest.mark.parametrize("width", [80, 100])
def test_a_board_of_many_benchmarks_stays_readable(width):
    board = build(*generated.wide(seeds=[0]))
    text = markdown.render(board)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    body = text.partition("## Ranking")[2]
    conditions = body.split("## Conditions")[1].split("## ")[0]
    assert max(line.count("|") for line in rows) <= 12
    scores = body.split("## Every benchmark")[1].split("## All tasks")[0].splitlines()
    assert max(map(len, scores)) <= 140
    assert "**Benchmarks:** 16 scores" in conditions
    assert "amc23, aime24: 4 samples at temperature 0.6; all others: greedy" in conditions
    lines = body.split("> **Warnings**")[1].split("\n\n")[0].splitlines()
    assert len([line for line in lines if line.startswith("> -")]) <= 12
    lines = shown(board, width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) < 70
