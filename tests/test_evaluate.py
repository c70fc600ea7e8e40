"""Answers through lm-eval: the right prompt, the right stop, the right finish reason, none lost."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from models import save_model

from harness.errors import StageError, UsageError
from harness.stage.generate import Questions, generate_answers
from harness.stage.spec import GeneratedScore
from harness.tasks.lm_eval import definition, version
from harness.tasks.protocols import get_protocol

pytestmark = pytest.mark.bench

START = Path(__file__).parents[1] / "plugins" / "harness_tiny" / "models" / "start"


def questions(rows, task: str, protocol: str, limit: int, documents=(), **decoding) -> Questions:
    known = {"samples": 1, "temperature": 0.0, "top_p": 1.0, **decoding}
    one = GeneratedScore(
        task=task,
        digest="",
        protocol=protocol,
        max_new_tokens=limit,
        limit=None,
        columns=None,
        **known,
    )
    return Questions(one, rows, documents)


def score(rows, protocol: str = "chat_zeroshot", limit: int = 96, **decoding) -> Questions:
    return questions(rows, "tiny_word", get_protocol(protocol).id, limit, **decoding)


@pytest.fixture
def whole_samples(monkeypatch):
    """Keep documents, prompts and targets in lm-eval's samples, which no bench does."""
    monkeypatch.setattr("harness.stage.generate._strip", lambda samples: None)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    from harness_tiny import rows

    return rows("tiny_word", "test")[:12]


@pytest.fixture(scope="module")
def model():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(START), AutoTokenizer.from_pretrained(START)


def answers(out: Path, name: str = "tiny_word__chat_zeroshot.v1") -> list[dict]:
    return [json.loads(line) for line in (out / "answers" / f"{name}.jsonl").open()]


def alone(model, prompt: str, limit: int) -> list[int]:
    """Return the tokens that plain transformers generates greedily after one prompt."""
    import torch

    network, tokenizer = model
    network.generation_config.max_new_tokens = None
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        output = network.generate(**ids, max_new_tokens=limit, do_sample=False)
    return output[0, ids["input_ids"].shape[1] :].tolist()


def chat_prompt(model, row) -> str:
    messages = get_protocol("chat_zeroshot").training_row(row)["prompt"]
    return model[1].apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


def test_answers_are_those_of_plain_greedy_generation(rows, model, tmp_path):
    generate_answers(START, [score(rows)], 5, "cpu", tmp_path)
    tokenizer = model[1]
    for row, answer in zip(rows, answers(tmp_path), strict=True):
        tokens = alone(model, chat_prompt(model, row), 96)
        assert answer["id"] == row["id"]
        assert answer["text"] == tokenizer.decode(tokens, skip_special_tokens=True)
        assert answer["tokens"] == len(tokens)
        assert answer["finish"] == ("stop" if tokens[-1] == tokenizer.eos_token_id else "length")


def test_an_answer_at_the_limit_is_told_from_one_that_ended(rows, model, tmp_path):
    """Limits that cut some answers just before, and some just after, their end of turn."""
    lengths = sorted(len(alone(model, chat_prompt(model, row), 96)) for row in rows)
    limit = lengths[len(lengths) // 2]
    generate_answers(START, [score(rows, limit=limit)], 12, "cpu", tmp_path)
    for row, answer in zip(rows, answers(tmp_path), strict=True):
        natural = alone(model, chat_prompt(model, row), 96)
        ends = natural[-1] == model[1].eos_token_id and len(natural) <= limit
        assert answer["finish"] == ("stop" if ends else "length")
        assert answer["tokens"] == min(len(natural), limit)


@pytest.mark.usefixtures("whole_samples")
def test_a_prompt_in_scoring_is_the_prompt_in_training(rows, model, tmp_path):
    generate_answers(START, [score(rows, limit=2)], 12, "cpu", tmp_path)
    (samples,) = tmp_path.rglob("samples_*.jsonl")
    for line in samples.read_text().splitlines():
        sample = json.loads(line)
        prompt = sample["arguments"]["gen_args_0"]["arg_0"]
        assert prompt == chat_prompt(model, sample["doc"] | {"answer": ""})
        assert "answer" not in sample["doc"]  # a process that generates has no use for golds


def test_rows_end_at_a_stop_string_without_waiting_for_their_batch(rows, tmp_path):
    """The few-shot protocol stops at the next problem; both protocols are kept apart."""
    both = [score(rows, limit=24), score(rows, "base_fewshot", limit=24)]
    generate_answers(START, both, 6, "cpu", tmp_path)
    plain = answers(tmp_path, "tiny_word__base_fewshot.v1")
    assert len(plain) == len(answers(tmp_path)) == 12
    assert all("Problem:" not in answer["text"] for answer in plain)
    assert len(list(tmp_path.rglob("results_*.json"))) == 2


def test_lm_evals_own_files_are_kept_as_it_wrote_them(rows, tmp_path):
    generate_answers(START, [score(rows, limit=4)], 12, "cpu", tmp_path)
    (results,) = tmp_path.rglob("results_*.json")
    content = json.loads(results.read_text())
    assert content["n-samples"]["tiny_word__chat_zeroshot.v1"]["effective"] == 12
    (config,) = content["configs"].values()
    assert config["generation_kwargs"]["max_gen_toks"] == 4


def test_samples_are_kept_without_problems_prompts_and_golds(tmp_path):
    """What lies on disk may be read by whatever trains later."""
    tested = [{"question": f"{n} plus 1?", "answer": f"#### {n + 1}"} for n in range(7001, 7004)]
    own = own_score("gsm8k_cot_zeroshot", tested, 2)
    generate_answers(START, [own, score(own.rows, limit=2)], 4, "cpu", tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 6  # answers, results and samples of each
    for path in files:
        assert not re.search(r"700[1-4]( plus 1)?", path.read_text().replace("q700", "")), path
    for path in tmp_path.rglob("samples_*.jsonl"):
        for line in path.read_text().splitlines():
            sample = json.loads(line)
            assert (sample["doc"], sample["target"]) == ({}, "")
            assert sample["arguments"]["gen_args_0"]["arg_0"] == ""
            assert sample["arguments"]["gen_args_0"]["arg_1"]["max_gen_toks"] == 2
            assert not {"doc_hash", "target_hash"} & set(sample)


def test_answers_that_lm_eval_did_not_write_are_an_error_and_not_zero(rows, tmp_path):
    """lm-eval swallows errors while saving; here it cannot write at all."""
    (tmp_path / "lm_eval").write_text("in the way")
    with pytest.raises(StageError, match="lm-eval could not write its file"):
        generate_answers(START, [score(rows, limit=2)], 12, "cpu", tmp_path)


def test_a_protocol_of_another_version_is_refused(rows, tmp_path):
    old = questions(rows, "tiny_word", "chat_zeroshot.v0", 96)
    with pytest.raises(UsageError, match=r"'chat_zeroshot\.v0' is wanted"):
        generate_answers(START, [old], 12, "cpu", tmp_path)


def test_generation_defaults_of_a_checkpoint_change_nothing(rows, tmp_path):
    """Neither a token limit, a penalty nor sampling in generation_config.json."""
    import shutil

    plain = tmp_path / "plain"
    generate_answers(START, [score(rows, limit=18)], 12, "cpu", plain)
    model = shutil.copytree(START, tmp_path / "model")
    path = model / "generation_config.json"
    settings = json.loads(path.read_text())
    settings |= {"max_new_tokens": 3, "repetition_penalty": 1.9, "do_sample": True, "top_k": 2}
    path.write_text(json.dumps(settings))
    generate_answers(model, [score(rows, limit=18)], 12, "cpu", tmp_path / "spoilt")
    assert answers(tmp_path / "spoilt") == answers(plain)
    assert max(answer["tokens"] for answer in answers(plain)) == 18


def test_a_prompt_without_room_is_counted_and_never_cut(rows, model, tmp_path):
    """One fills the context, one leaves room for three tokens."""
    tokenizer = model[1]
    context = model[0].config.max_position_embeddings
    bare = len(tokenizer(chat_prompt(model, {**rows[0], "problem": ""}))["input_ids"])
    long = [
        {"id": name, "problem": "7" * (context - bare - left), "answer": "1"}
        for name, left in (("full", 0), ("near", 3))
    ]
    lengths = [len(tokenizer(chat_prompt(model, row))["input_ids"]) for row in long]
    assert lengths == [context, context - 3]
    found = generate_answers(START, [score([*long, rows[0]])], 2, "cpu", tmp_path)
    full, near, usual = answers(tmp_path)
    assert (full["text"], full["tokens"], full["finish"]) == ("", 0, "length")
    assert near["tokens"] <= 3
    assert usual["tokens"] > 3
    assert found.notes == {"prompts_without_room": {"tiny_word__chat_zeroshot.v1": 1}}


def test_samples_stand_together_and_are_the_same_again(rows, tmp_path):
    sampled = score(rows[:5], limit=40, samples=4, temperature=1.0, top_p=0.9)
    generate_answers(START, [sampled], 20, "cpu", tmp_path / "first")
    found = answers(tmp_path / "first")
    places = [(row["id"], sample) for row in rows[:5] for sample in range(4)]
    assert [(answer["id"], answer["sample"]) for answer in found] == places
    texts = [{answer["text"] for answer in found[i : i + 4]} for i in range(0, 20, 4)]
    assert any(len(different) > 1 for different in texts)
    generate_answers(START, [sampled], 3, "cpu", tmp_path / "again")
    assert answers(tmp_path / "again") == found
    (samples,) = (tmp_path / "first").rglob("samples_*.jsonl")
    kept = [json.loads(line)["resps"][0] for line in samples.read_text().splitlines()]
    assert kept == [[answer["text"] for answer in found[i : i + 4]] for i in range(0, 20, 4)]


# -- lm-eval's own tasks ------------------------------------------------------------------------

SHOTS = [
    {"question": f"{n} and {n}?", "answer": f"{n}+{n}={2 * n}\n#### {2 * n}"} for n in range(9)
]


def own_score(
    name: str, tested: list[dict], limit: int = 24, count: int | None = None, **decoding
) -> Questions:
    """Return a score under one of lm-eval's tasks, with documents made here."""
    documents = [{"split": "test", "doc": doc, "id": f"q{n}"} for n, doc in enumerate(tested)]
    documents += [{"split": "train", "doc": doc, "id": None} for doc in SHOTS]
    rows = [
        {"id": f"q{n}", "problem": doc["question"], "answer": doc["answer"].split("#### ")[-1]}
        for n, doc in enumerate(tested)
    ]
    protocol = get_protocol(f"lm_eval:{name}").id
    return questions(rows[:count], "sums", protocol, limit, documents, **decoding)


def lm_evals_task(name: str, tested: list[dict]):
    """Return lm-eval's task made from its own file alone, on the same documents."""
    import datasets
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(definition(name).path)
    config.pop("tag", None)
    splits = {"test": tested, "train": SHOTS}
    config["custom_dataset"] = lambda **_: {
        split: datasets.Dataset.from_list(docs) for split, docs in splits.items()
    }
    task = ConfigurableTask(config=config)
    task.set_fewshot_seed(1234)  # the default of lm-eval's command line
    task.build_all_requests()
    return task


def read_samples(folder: Path) -> list[dict]:
    """Return lm-eval's samples, one for each filter and question."""
    (path,) = folder.rglob("samples_*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["gsm8k", "gsm8k_cot", "gsm8k_cot_zeroshot"])
@pytest.mark.usefixtures("whole_samples")
def test_prompts_and_stops_are_those_of_lm_evals_own_file(name, tmp_path):
    tested = [{"question": f"{n} plus 1?", "answer": f"#### {n + 1}"} for n in range(4)]
    model = save_model(tmp_path / "model", seed=4, positions=4096)
    asked = [own_score(name, tested, 2, count=3)]
    generate_answers(model, asked, 4, "cpu", tmp_path / "out")
    theirs = lm_evals_task(name, tested)
    given = {}
    for sample in read_samples(tmp_path / "out"):
        arguments = sample["arguments"]["gen_args_0"]
        given[sample["doc_id"]] = arguments["arg_0"]
        assert arguments["arg_1"]["until"] == theirs.config.generation_kwargs["until"]
        assert arguments["arg_1"]["max_gen_toks"] == 2
    assert given == {n: theirs.instances[n].args[0] for n in range(3)}


def test_lm_evals_own_metrics_are_those_of_its_filters_on_the_same_texts(tmp_path):
    """The golds of every other question are what the model is seen to answer."""
    tested = [{"question": f"{n}{n} take {n}?", "answer": "#### -1"} for n in range(1, 9)]
    hot = {"temperature": 2.0}  # greedy answers of this model to such prompts hold no number
    first = own_score("gsm8k", tested, 40, **hot)
    generate_answers(START, [first], 8, "cpu", tmp_path / "first")
    name = f"sums__lm_eval-gsm8k-{version()}"
    numbers = [re.findall(r"-?[0-9]+", one["text"]) for one in answers(tmp_path / "first", name)]
    for doc, seen in list(zip(tested, numbers, strict=True))[::2]:
        doc["answer"] = f"#### {(seen or ['-1'])[-1]}"
    out = tmp_path / "second"
    second = own_score("gsm8k", tested, 40, **hot)
    found = generate_answers(START, [second], 8, "cpu", out)
    theirs = lm_evals_task("gsm8k", tested)
    for instance, answer in zip(theirs.instances, answers(out, name), strict=True):
        instance.resps = [answer["text"]]
    theirs.apply_filters()
    for kind in ("strict-match", "flexible-extract"):
        right = [
            theirs.process_results(doc, [instance.filtered_resps[kind]])["exact_match"]
            for doc, instance in zip(tested, theirs.instances, strict=True)
        ]
        assert found.own[name][f"exact_match,{kind}"] == sum(right) / 8
    assert 0 < found.own[name]["exact_match,flexible-extract"] < 1
    assert set(found.own[name]) == {"exact_match,strict-match", "exact_match,flexible-extract"}


def test_filters_see_what_lm_evals_own_would_see():
    from harness.stage.generate import _tasks

    tested = [{"question": f"{n}?", "answer": "work\n#### 5"} for n in range(4)]
    texts = ["5\n#### 5", "So 5", "#### 6 or 5", "nothing"]
    (ours,) = _tasks([own_score("gsm8k", tested)])
    ours.build_all_requests()
    right = {}
    for task in (ours, lm_evals_task("gsm8k", tested)):
        for instance, text in zip(task.instances, texts, strict=True):
            instance.resps = [text]
        task.apply_filters()
        right[task] = {
            kind: [
                task.process_results(doc, [instance.filtered_resps[kind]])["exact_match"]
                for doc, instance in zip(tested, task.instances, strict=True)
            ]
            for kind in ("strict-match", "flexible-extract")
        }
    mine, theirs = right.values()
    assert mine == theirs
    assert mine == {"strict-match": [1, 0, 0, 0], "flexible-extract": [1, 1, 1, 0]}


def test_lm_evals_metrics_are_of_the_first_sample_and_every_sample_is_kept(tmp_path):
    tested = [{"question": f"{n} plus 1?", "answer": f"#### {n + 1}"} for n in range(3)]
    sampled = own_score("gsm8k_cot_zeroshot", tested, samples=5, temperature=1.0)
    generate_answers(START, [sampled], 8, "cpu", tmp_path)
    assert len(answers(tmp_path, sampled.name)) == 15


@pytest.mark.parametrize("protocol", ["base_fewshot", "lm_eval:gsm8k_cot_zeroshot"])
@pytest.mark.usefixtures("whole_samples")
def test_an_answer_cut_by_the_limit_is_told_under_every_protocol(protocol, model, tmp_path):
    """The finish reason is that of plain generation with the protocol's own stop strings."""
    tested = [{"question": f"{n} plus 1?", "answer": f"#### {n + 1}"} for n in range(6)]
    own = own_score("gsm8k_cot_zeroshot", tested, 20)
    given = questions(own.rows, "sums", get_protocol(protocol).id, 20, own.documents)
    generate_answers(START, [given], 4, "cpu", tmp_path)
    ((path),) = (tmp_path / "answers").glob("*.jsonl")
    found = answers(tmp_path, path.stem)
    samples = {one["doc_id"]: one["arguments"]["gen_args_0"] for one in read_samples(tmp_path)}
    tokenizer = model[1]
    for place, answer in enumerate(found):
        tokens = alone(model, samples[place]["arg_0"], 20)
        ends = [
            end
            for end in range(1, len(tokens) + 1)
            if tokens[end - 1] == tokenizer.eos_token_id
            or any(s in tokenizer.decode(tokens[:end]) for s in samples[place]["arg_1"]["until"])
        ]
        assert answer["finish"] == ("stop" if ends else "length")
        assert answer["tokens"] == (ends[0] if ends else 20)


def test_a_grader_of_lm_eval_that_fails_on_an_answer_loses_no_other(tmp_path):
    """That of hendrycks_math takes it for granted that every solution has a box."""
    from harness.stage.generate import _tasks

    docs = [
        {"question": "1+1?", "problem": "1+1?", "solution": "\\boxed{2}", "answer": "2"}
        for _ in range(3)
    ]
    (task,) = _tasks([own_score("hendrycks_math500", docs)])
    right = task.process_results(docs[0], ["so $2$"])
    failed = task.process_results({**docs[0], "solution": "no box"}, ["so $2$"])
    assert (right, failed, task.errors) == ({"exact_match": 1}, {"exact_match": 0}, 1)


def test_documents_that_lm_evals_task_cannot_use_are_one_line(tmp_path):
    wrong = own_score("gsm8k", [{"question": "1?", "answer": "#### 1"}])
    for one in wrong.documents:
        one["doc"] = {"problem": "1?"}
    with pytest.raises(StageError, match=r"cannot make prompts of task 'sums': .*question"):
        generate_answers(START, [wrong], 4, "cpu", tmp_path)


def test_answers_are_never_given_to_another_question(tmp_path):
    """Documents that carry the ids of other rows."""
    tested = [{"question": f"{n} plus 1?", "answer": f"#### {n + 1}"} for n in range(3)]
    crossed = own_score("gsm8k_cot_zeroshot", tested, 2)
    crossed.documents[0]["id"], crossed.documents[2]["id"] = "q2", "q0"
    with pytest.raises(StageError, match="asks another question in the place of q0"):
        generate_answers(START, [crossed], 4, "cpu", tmp_path)


def test_documents_in_another_order_answer_their_own_rows(tmp_path):
    tested = [{"question": f"{n} plus 1?", "answer": f"#### {n + 1}"} for n in range(4)]
    straight = own_score("gsm8k_cot_zeroshot", tested, 8)
    shuffled = replace(straight, rows=[straight.rows[n] for n in (2, 0, 3)])
    found = {}
    for name, one in (("straight", straight), ("shuffled", shuffled)):
        generate_answers(START, [one], 4, "cpu", tmp_path / name)
        found[name] = answers(tmp_path / name, one.name)
    assert [answer["id"] for answer in found["shuffled"]] == ["q2", "q0", "q3"]
    assert found["shuffled"] == [found["straight"][n] for n in (2, 0, 3)]
