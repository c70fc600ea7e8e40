from __future__ import annotations

import csv
import importlib.util
import json
import os
from collections import Counter
from pathlib import Path

import generated
import pytest
import yaml
from click.testing import CliRunner, Result
from test_escape import HOSTILE

from harness.boards.conditions import Benchmark
from harness.boards.questions import Questions
from harness.cli.main import cli
from harness.errors import UsageError
from harness.export import FORMATS, exporters
from harness.export import export as write
from harness.export.hub import files, left_out
from harness.export.request import HubBenchmark, Request, interval
from harness.leaderboard.stats import clustered_wilson
from harness.publish.write import publish
from harness.records import Record, write_record
from harness.tasks.task import Task


def eee_schemas() -> Path | None:
    """Return the folder with the schemas: HARNESS_EEE_SCHEMAS, or that of the installed package."""
    if named := os.environ.get("HARNESS_EEE_SCHEMAS"):
        return Path(named)
    package = importlib.util.find_spec("every_eval_ever")  # found, not imported: its needs are many
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "schemas"


SCHEMAS = eee_schemas()
ACCURACIES = {"start": 0.4, "sft": 0.6, "kd+rl": 0.7}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    generated.leave(tmp_path / "runs", generated.board(ACCURACIES, n=30, seeds=[0, 1]))
    return tmp_path / "runs"


def records_of(runs: Path) -> list[Record]:
    paths = sorted((runs / "records").glob("*.json"))
    return [Record.model_validate_json(path.read_bytes()) for path in paths]


def request_for(runs: Path, **more: object) -> Request:
    return Request(
        **{
            "records": records_of(runs),
            "conditions": generated.conditions(seeds=[0, 1]),
            "folder": runs,
            "out": runs.parent / "out",
            "questions": generated.questions(),
            **more,
        }
    )


def test_every_eval_ever_has_the_score_its_uncertainty_and_every_answer(runs):
    import hashlib

    written = write("eee", request_for(runs, developer="me"))
    assert len(written) == 2 * 5
    whole = [json.loads(path.read_text()) for path in written if path.suffix == ".json"]
    for one in whole:
        assert one["schema_version"] == "0.3.0"
        details = one["detailed_evaluation_results"]
        samples = runs.parent / "out" / details["file_path"]
        assert hashlib.sha256(samples.read_bytes()).hexdigest() == details["checksum"]
        lines = [json.loads(line) for line in samples.read_text().splitlines()]
        assert len(lines) == details["total_rows"] == 90
        for result in one["evaluation_results"]:
            mine = [
                line
                for line in lines
                if line["evaluation_result_id"] == result["evaluation_result_id"]
            ]
            score = result["score_details"]["score"]
            assert score == pytest.approx(sum(m["evaluation"]["score"] for m in mine) / len(mine))
            interval = result["score_details"]["uncertainty"]["confidence_interval"]
            assert interval["lower"] < score < interval["upper"]
            assert interval["method"] == "wilson"


def test_exporting_twice_gives_the_same_files(runs):
    request = request_for(runs)
    before = {path: path.read_bytes() for path in write("eee", request)}
    assert {path: path.read_bytes() for path in write("eee", request)} == before


@pytest.mark.skipif(
    SCHEMAS is None,
    reason="no schemas: pip install --no-deps --ignore-requires-python every-eval-ever==0.3.0",
)
def test_every_eval_ever_follows_its_schema(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    whole = json.loads((SCHEMAS / "eval.schema.json").read_text())
    sample = json.loads((SCHEMAS / "instance_level_eval.schema.json").read_text())
    texts = [text[:2000].encode("utf-8", "ignore").decode() for text in HOSTILE.values()]
    made = generated.board({"start": 0.4, "sft": 0.6}, n=12, seeds=[0])
    groups = tuple(place // 3 for place in range(12))
    made[1] = made[1].model_copy(
        update={"scores": tuple(s.model_copy(update={"groups": groups}) for s in made[1].scores)}
    )
    made.append(sampled(trainer="rl"))
    generated.leave(tmp_path / "runs", made, text=" ".join(texts))
    known = {"words": HubBenchmark("me/words", "words", "share")}
    request = request_for(tmp_path / "runs", relationship="first_party", benchmarks=known)
    for path in write("eee", request):
        if path.suffix == ".json":
            jsonschema.validate(json.loads(path.read_text()), whole)
        else:
            lines = path.read_text().split("\n")
            for line in filter(None, lines):
                jsonschema.validate(json.loads(line), sample)


def sampled(trainer: str) -> Record:
    """Return a cell with three questions and two answers to each."""
    one = generated.score("words", "CCCWWW", n=3, samples=2, majority="CCW")
    return generated.record(trainer, 1, [one])


def test_several_answers_to_a_question_keep_together(tmp_path):
    generated.leave(tmp_path / "runs", [sampled("sft")])
    request = request_for(
        tmp_path / "runs",
        conditions=generated.conditions(
            benchmarks=(
                Benchmark(
                    task="words",
                    protocol="chat_zeroshot.v1",
                    max_new_tokens=128,
                    ranking=True,
                    samples=2,
                    temperature=0.6,
                    top_p=0.95,
                ),
            )
        ),
        benchmarks={"words": HubBenchmark("me/words", "words", "percent", 3)},
    )
    low, high, method = interval(request.records[0].scores[0])
    assert method == "wilson, clustered by question"
    assert (low, high) == pytest.approx(
        tuple(clustered_wilson([1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 2, 2]))
    )
    (path,) = write("evalstats", request)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    pairs = [(row["input"].rsplit("/", 1)[1], row["run"], row["score"]) for row in rows]
    assert pairs == [
        ("0", "2", "1"), ("0", "3", "1"), ("1", "2", "1"),
        ("1", "3", "0"), ("2", "2", "0"), ("2", "3", "0"),
    ]  # fmt: skip
    samples, whole = sorted(write("eee", request), key=lambda path: path.suffix, reverse=True)
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len({line["sample_id"] for line in lines}) == 6
    (result,) = json.loads(whole.read_text())["evaluation_results"]
    assert result["generation_config"]["generation_args"]["temperature"] == 0.6
    assert result["score_details"]["uncertainty"]["num_samples"] == 6
    assert result["source_data"]["hf_repo"] == "me/words"
    written = {path.name: path.read_text() for path in write("hub", request)}
    assert "2 samples at temperature 0.6, top-p 0.95" in written["README.md"]
    entry = yaml.safe_load(written["words__chat_zeroshot.v1.yaml"])[0]
    assert entry["value"] == 50.0
    assert "clustered by question" in entry["notes"]


def test_a_single_group_of_questions_bounds_nothing():
    one = generated.score("words", "CCW", n=3)
    assert interval(one)[2] == "wilson"
    assert interval(one.model_copy(update={"groups": (0, 0, 1)}))[2] == "wilson, clustered by group"
    assert interval(one.model_copy(update={"groups": (4, 4, 4)}))[:2] == (0.0, 1.0)


def test_parquet_has_every_answer(runs):
    parquet = pytest.importorskip("pyarrow.parquet")
    (path,) = write("parquet", request_for(runs))
    rows = parquet.read_table(path).to_pylist()
    assert len(rows) == 5 * 3 * 30
    for record in records_of(runs):
        for score in record.scores:
            mine = [r for r in rows if r["record"] == record.id and r["task"] == score.task]
            assert sum(r["verdict"] == "correct" for r in mine) == score.counts["correct"]
            assert [r["place"] for r in mine] == list(range(score.n))


@pytest.mark.parametrize("name", ["nul", "surrogate", "right to left", "ansi"])
def test_hostile_answers_come_back_from_parquet(tmp_path, name):
    parquet = pytest.importorskip("pyarrow.parquet")
    made = [generated.record("sft", 0, {"words": "CW"})]
    generated.leave(tmp_path / "runs", made, text=HOSTILE[name])
    (path,) = write("parquet", request_for(tmp_path / "runs"))
    expected = HOSTILE[name].encode("utf-8", "replace").decode()
    assert parquet.read_table(path).to_pylist()[0]["text"].startswith(expected)


def test_the_long_csv_pairs_every_question(runs):
    (path,) = write("evalstats", request_for(runs))
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert set(rows[0]) == {"template", "input", "run", "score"}
    assert len(rows) == 5 * 3 * 30
    assert {row["template"] for row in rows} == set(ACCURACIES)
    inputs = {(row["template"], row["run"]): set() for row in rows}
    for row in rows:
        inputs[row["template"], row["run"]].add(row["input"])
    assert len(set(map(frozenset, inputs.values()))) == 1


def test_lm_evals_own_files_come_with_the_documents_that_a_bench_leaves_out(runs):
    records = records_of(runs)
    originals, name = {}, "samples_words__chat_zeroshot.v1_2026.jsonl"
    for record in records:
        stage = runs / "stages" / f"generate-{record.id}"
        place = stage / "lm_eval" / "chat" / "model"
        place.mkdir(parents=True)
        (place / "results_2026.json").write_text(f'{{"of": "{record.id}"}}')
        (place / name).write_text('{"doc_id": 7, "doc": {}, "resps": [["7"]]}\n')
        (stage / "answers").mkdir()
        for judged in (runs / "answers" / record.id).iterdir():
            lines = [json.loads(line) for line in judged.read_text().splitlines()]
            kept = [{key: line[key] for key in ("id", "text", "tokens")} for line in lines]
            target = stage / "answers" / judged.name
            target.write_text("".join(json.dumps(line) + "\n" for line in kept))
        originals[record.id] = (place / "results_2026.json").read_bytes()
    written = write("lm-eval", request_for(runs))
    assert len(written) == 2 * len(records)
    results = {path.read_bytes() for path in written if path.suffix == ".json"}
    assert results == set(originals.values())
    for path in (path for path in written if path.name == name):
        (sample,) = [json.loads(line) for line in path.read_text().splitlines()]
        assert sample["resps"] == [["7"]]
        assert sample["doc"]["id"] == "words-7"
        assert "bakes 7 rolls" in sample["doc"]["problem"]
    with pytest.raises(UsageError, match="no lm-eval files"):
        write("lm-eval", request_for(runs, folder=runs.parent))


@pytest.mark.parametrize("name", ["eee", "parquet"])
def test_answers_are_not_exported_without_their_problems(runs, name):
    def find(task: str) -> Task:
        raise UsageError(f"no task {task!r}")

    message = "problems and gold answers of words are not at hand: no task 'words'"
    with pytest.raises(UsageError, match=message):
        write(name, request_for(runs, questions=Questions(find)))


def test_a_model_card_reads_as_yaml_and_as_a_page(runs):
    written = write("hub", request_for(runs))
    assert [path.name for path in written] == ["README.md"] * 5
    for path, record in zip(written, records_of(runs), strict=True):
        _, front, body = path.read_text().split("---\n", 2)
        results = yaml.safe_load(front)["model-index"][0]["results"]
        assert [r["metrics"][0]["value"] for r in results] == pytest.approx(
            [score.accuracy for score in record.scores], abs=1e-6
        )
        assert "| words | chat\\_zeroshot.v1 | 30 |" in body
        assert "One training seed says nothing" in body


def test_eval_results_need_a_known_scale(runs):
    known = {
        "words": HubBenchmark("me/words", "words", "percent"),
        "longer": HubBenchmark("me/longer", "x", "share"),
    }
    written = write("hub", request_for(runs, benchmarks=known))
    found = [path for path in written if path.suffix == ".yaml"]
    assert len(found) == 2 * 5
    by_task = {path.name.split("__")[0]: yaml.safe_load(path.read_text())[0] for path in found}
    assert by_task["words"]["value"] > 1 > by_task["longer"]["value"]
    assert by_task["words"]["dataset"] == {"id": "me/words", "task_id": "words"}
    assert "wilson" in by_task["words"]["notes"]
    with pytest.raises(UsageError, match="share or percent"):
        write("hub", request_for(runs, benchmarks={"words": HubBenchmark("a", "b", "points")}))
    with pytest.raises(UsageError, match="no task 'wrds'; did you mean 'words'"):
        write("hub", request_for(runs, benchmarks={"wrds": HubBenchmark("a", "b", "share")}))


@pytest.mark.parametrize(("n", "written"), [(1319, True), (200, False)])
def test_a_known_benchmark_is_reported_whole_or_not_at_all(tmp_path, n, written):
    made = [generated.record("sft", 0, {"gsm8k": "CW" * (n // 2) + "C" * (n % 2)})]
    generated.leave(tmp_path / "runs", made)
    request = request_for(
        tmp_path / "runs", conditions=generated.conditions(["gsm8k"], ranking=["gsm8k"])
    )
    made = files(request, request.records[0])
    assert (".eval_results/gsm8k__chat_zeroshot.v1.yaml" in made) == written
    if written:
        (entry,) = yaml.safe_load(made[".eval_results/gsm8k__chat_zeroshot.v1.yaml"])
        assert entry["dataset"] == {"id": "openai/gsm8k", "task_id": "gsm8k"}
        assert entry["value"] == pytest.approx(100 * 660 / 1319, abs=1e-6)
        assert not left_out(request, request.records[0])
    else:
        assert left_out(request, request.records[0]) == [
            "gsm8k: 200 questions are not the 1,319 of openai/gsm8k"
        ]


def test_unknown_formats_and_empty_boards_are_refused(runs):
    """Unknown ones before records are looked for: there are none."""
    for arguments, says in (
        (("parqet",), "'FORMAT': 'parqet' is not one of 'eee', 'lm-eval', 'parquet'"),
        (
            ("eee", "--relationship", "friend"),
            "'friend' is not one of 'first_party', 'third_party'",
        ),
    ):
        done = run("export", *arguments, "tiny", "--runs", "nowhere")
        assert done.exit_code == 2
        assert says in done.output
    assert tuple(exporters()) == FORMATS
    for name in FORMATS:
        with pytest.raises(UsageError, match="no finished cell"):
            write(name, request_for(runs, records=[]))


@pytest.fixture
def published(runs: Path, tmp_path: Path) -> str:
    publish(runs, generated.conditions(seeds=[0, 1]), tmp_path / "leaderboards")
    return str(tmp_path / "leaderboards" / "records" / "made-up")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_the_commands_on_a_folder_of_published_records(published, tmp_path):
    target = tmp_path / "page.html"
    pytest.importorskip("matplotlib")
    done = run("report", published, "--out", str(target))
    assert done.exit_code == 0
    assert "<h1>A made-up board</h1>" in target.read_text()
    done = run("export", "evalstats", published, "--out", str(tmp_path / "csv"), "--cell", "sft/1")
    assert done.output.strip() == str(tmp_path / "csv" / "evalstats.csv")
    assert len((tmp_path / "csv" / "evalstats.csv").read_text().splitlines()) == 1 + 90
    assert run("export", "hub", published, "--hub", "words").exit_code == 2


def test_no_record_drops_that_of_another_trainer_or_hand_from_an_export(runs, tmp_path):
    (start,) = (one for one in records_of(runs) if one.cell == "start")
    (sft,) = (one for one in records_of(runs) if one.cell == "sft/0")
    theirs = sft.model_copy(update={"id": "theirs-s0-0123456789ab", "supersedes": sft.id}).sealed()
    write_record(theirs, tmp_path / "theirs")
    mine = sft.model_copy(update={"supersedes": start.id}).sealed()
    (runs / "records" / f"{sft.id}.json").write_text(mine.to_json())
    for source in (runs, tmp_path / "theirs"):
        publish(source, generated.conditions(seeds=[0, 1]), tmp_path / "leaderboards")
    place = tmp_path / "leaderboards" / "records" / "made-up"
    assert run("export", "evalstats", str(place), "--out", str(tmp_path)).exit_code == 0
    names = [line.split(",")[0] for line in (tmp_path / "evalstats.csv").read_text().splitlines()]
    assert Counter(names[1:]) == {"start": 90, "sft": 3 * 90, "kd+rl": 2 * 90}


def test_the_diff_command(runs, tmp_path):
    runs.rename(tmp_path / "made-up")
    arguments = ("diff", "start", "sft/1", "made-up", "--runs", str(tmp_path))
    done = run(*arguments)
    assert done.exit_code == 0
    assert "fixed" in done.output
    assert "both wrong" not in done.output.split("questions shown")[0].replace("Both wrong", "")
    done = run(*arguments, "--json", "--limit", "3")
    content = json.loads(done.output)
    assert len(content["questions"]) == 3
    assert {one["kind"] for one in content["questions"]} <= {"fixed", "broken"}
