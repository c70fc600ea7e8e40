"""Answers of a model on a board's problems, generated through lm-eval. Grading happens elsewhere.

This is the only module that imports lm_eval. lm-eval builds the prompts, asks for the answers and
keeps its raw results and samples; under `lm_eval:<task>` it also applies its own filters and
metrics, which are handed on as they are. What generates behind it is in `engines`. Its samples are
written without the problems, the prompts and the golds: what lies on disk may be read by trainers.
"""

from __future__ import annotations

import glob
import json
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StageError, UsageError, first_line
from harness.files import read_jsonl
from harness.stage.engines import Completion, HfEngine, VllmEngine, hf_arguments
from harness.stage.spec import GeneratedScore
from harness.tasks.lm_eval import definition
from harness.tasks.protocols import LmEvalProtocol, Protocol, protocol_of


@dataclass(frozen=True)
class Questions:
    """What is asked for one score."""

    score: GeneratedScore
    rows: Sequence[Mapping[str, Any]]  # with `id` and `problem`
    # under `lm_eval:<task>` what lm-eval is given (see `tasks.lm_eval`); only `rows` are scored
    documents: Sequence[Mapping[str, Any]] = ()

    @property
    def name(self) -> str:
        return self.score.name

    @property
    def protocol(self) -> Protocol | LmEvalProtocol:
        return protocol_of(self.score.protocol)


@dataclass
class Generated:
    """What came of generating beside the answers.

    What a reader must know is in the notes: `smallest_batch` where memory forced one,
    `batch_by_batch` or `one_by_one` where rows cannot leave and be refilled, and why,
    `prompts_without_room`, score by score, where a prompt filled the context, and
    `own_metric_errors` where lm-eval's own grader failed on an answer.
    """

    # name of each score under `lm_eval:<task>` -> lm-eval's own metrics, `metric,filter`
    own: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def generate_answers(
    model: Path,
    scores: Sequence[Questions],
    batch_size: int,
    device: str,
    out: Path,
    engine: str = "hf",
    *,
    dtype: str = "float32",
    processes: int = 1,
) -> Generated:
    """Generate answers and write them to `out/answers/<score>.jsonl`.

    lm-eval's own files are kept in `out/lm_eval`, its samples without documents, prompts and
    targets. With several `processes` each has a GPU, or threads, of its own and `batch_size` rows.
    """
    from lm_eval import evaluator

    # it runs pip, git and nvidia-smi to describe the machine: a second of each stage, for what the
    # record says already
    evaluator.add_env_info = lambda _: None
    lm = load_engine(model, engine, batch_size, device, dtype, processes)
    done = Generated()
    (out / "answers").mkdir(parents=True, exist_ok=True)
    try:
        for kind, chosen in _kinds(scores).items():
            _evaluate(lm, model, kind, chosen, out, done)
    finally:
        lm.end()
    done.notes |= lm.notes
    return done


def _evaluate(
    lm: Any,
    model: Path,
    kind: str,
    chosen: Sequence[Questions],
    out: Path,
    done: Generated,
) -> None:
    """Generate the answers of scores that lm-eval takes for one run of it."""
    import torch
    from lm_eval import evaluator
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    raw, own, tasks = out / "lm_eval" / kind, kind == "own", _tasks(chosen)
    tracker = EvaluationTracker(output_path=str(raw))
    with torch.inference_mode():
        results: Any = evaluator.simple_evaluate(
            model=lm,
            model_args=f"pretrained={model.name}",
            tasks=tasks,
            task_manager=TaskManager(include_defaults=False),
            num_fewshot=None if own else 0,
            samples={one.name: sorted(_places(one)) for one in chosen},
            bootstrap_iters=1000 if own else 0,
            log_samples=True,
            predict_only=not own,
            apply_chat_template=kind == "chat",
            fewshot_as_multiturn=False,
            use_cache=None,
            cache_requests=False,
            evaluation_tracker=tracker,
        )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    _check_written(raw, "results")
    for one in chosen:
        prompts = {each["doc_id"]: each["arguments"][0][0] for each in samples[one.name]}
        _strip(samples[one.name])
        tracker.save_results_samples(task_name=one.name, samples=samples[one.name])
        _check_written(raw, f"samples_{one.name}", len(samples[one.name]))
        _write_answers(one, raw, lm.answers, out / "answers", prompts)
        if own:
            done.own[one.name] = _own_metrics(one.name, raw)
    errors = {task.config.task: task.errors for task in tasks if task.errors}
    if errors:
        done.notes["own_metric_errors"] = errors


def _check_written(raw: Path, name: str, rows: int | None = None) -> None:
    """Check that lm-eval wrote a file whole: where it could not, it says so in the log and goes on.

    Args:
        raw: The folder that it writes to.
        name: The file's, before its date.
        rows: How many JSON lines it has; None where it is one JSON value.

    Raises:
        StageError: If it is not there, or only a part of it.
    """
    try:
        (path,) = raw.rglob(f"{glob.escape(name)}_[0-9][0-9][0-9][0-9]-[0-9][0-9]-*.json*")
        if rows is None:
            json.loads(path.read_bytes())
            return
        if sum(1 for _ in read_jsonl(path)) == rows:
            return
    except (ValueError, UsageError):
        pass
    raise StageError(f"lm-eval could not write its file {name}, and warns of it in the log")


def _strip(samples: Sequence[dict[str, Any]]) -> None:
    """Take the problem, the prompt, the gold and what can be guessed from out of samples."""
    for sample in samples:
        for name in ("doc_hash", "target_hash"):  # of a short text: all of them can be tried
            del sample[name]
        arguments = [("", *rest) for _, *rest in sample["arguments"]]
        sample |= {"doc": {}, "target": "", "arguments": arguments}


def _places(asked: Questions) -> list[int]:
    """Return the place of each row of a score among the documents that lm-eval is given."""
    if not isinstance(asked.protocol, LmEvalProtocol):
        return list(range(len(asked.rows)))
    places = {one["id"]: place for place, one in enumerate(asked.documents)}
    return [places[row["id"]] for row in asked.rows]


def _kinds(scores: Sequence[Questions]) -> dict[str, list[Questions]]:
    """Group scores by what lm-eval takes for a whole run of it."""
    kinds: dict[str, list[Questions]] = defaultdict(list)
    for one in scores:
        kind = "chat" if one.protocol.chat else "plain"
        kinds["own" if isinstance(one.protocol, LmEvalProtocol) else kind].append(one)
    return kinds


def _tasks(scores: Sequence[Questions]) -> list[Any]:
    """Return lm-eval's tasks, or say in one line why one cannot be made."""
    from lm_eval.api.task import ConfigurableTask

    class OneTask(ConfigurableTask):
        """A task whose grader may fail on an answer without losing the others."""

        errors = 0

        def process_results(self, doc: Any, results: Any) -> Any:
            try:
                return super().process_results(doc, results)
            except Exception as error:  # whose text may quote the gold, and the log is on disk
                name = type(error).__name__
                logging.getLogger(__name__).error("lm-eval's grader failed (%s); wrong", name)
                self.errors += 1
                return dict.fromkeys(self._metric_fn_list, 0)

    tasks = []
    for one in scores:
        try:
            tasks.append(OneTask(config=_config(one)))
        except (StageError, UsageError):
            raise
        except Exception as error:  # lm-eval's asserts too
            raise StageError(
                f"{one.score.protocol} cannot make prompts of task {one.score.task!r}:"
                f" {type(error).__name__}: {first_line(error)}"
            ) from error
    return tasks


def _config(asked: Questions) -> dict[str, Any]:
    """Return lm-eval's definition of one score, with explicit stops, limit and decoding."""
    protocol, score = asked.protocol, asked.score
    limit = {"max_gen_toks": score.max_new_tokens, "do_sample": score.temperature > 0}
    generation: dict[str, Any] = limit | score.model_dump(include={"temperature", "top_p"})
    given = {"task": asked.name, "repeats": score.samples}
    if isinstance(protocol, LmEvalProtocol):
        from lm_eval.tasks._yaml_loader import load_yaml

        config = load_yaml(definition(protocol.task).path, resolve_func=True)
        for key in ("tag", "group", "task_list", "dataset_path", "dataset_name", "dataset_kwargs"):
            config.pop(key, None)
        until = (config.get("generation_kwargs") or {}).get("until", ["\n\n"])
        generation["until"] = [until] if isinstance(until, str) else list(until)
        loaded = _dataset((one["split"], one["doc"]) for one in asked.documents)
        return {**config, **given, "custom_dataset": loaded, "generation_kwargs": generation}
    generation["until"] = list(protocol.stop)
    # no golds: nothing is graded here
    loaded = _dataset(("test", {key: row[key] for key in ("id", "problem")}) for row in asked.rows)
    return {
        **given,
        "custom_dataset": loaded,
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": lambda doc: protocol.prompt(doc["problem"]),
        "doc_to_target": lambda _: "",  # a string would be compiled as a template for each problem
        "target_delimiter": "",
        "num_fewshot": 0,
        "generation_kwargs": generation,
        "metadata": {"version": protocol.version},
    }


def _dataset(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> Callable[..., dict[str, Any]]:
    """Return what lm-eval calls in place of a download."""
    splits: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for split, doc in documents:
        splits[split].append(dict(doc))

    def load(**_: Any) -> dict[str, Any]:
        import datasets

        return {name: datasets.Dataset.from_list(docs) for name, docs in splits.items()}

    return load


def load_engine(
    model: Path, engine: str, batch_size: int, device: str, dtype: str, processes: int = 1
) -> Any:
    """Return what answers lm-eval's requests; its `end` ends what it has started."""
    if engine == "vllm":
        # in one process vLLM schedules in the same order each time, and dies with its stage
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        from lm_eval.models.vllm_causallms import VLLM

        make: Any = type("Vllm", (VllmEngine, VLLM), {})
        lm = make(
            pretrained=str(model),
            dtype=dtype,
            seed=0,
            batch_size="auto",
            trust_remote_code=False,
            generation_config="vllm",  # not the checkpoint's own
        )
    else:
        from lm_eval.models.huggingface import HFLM

        make = type("Hf", (HfEngine, HFLM), {})
        lm = make(batch_size=batch_size, **hf_arguments(model, device, dtype, processes))
        if processes > 1:
            lm.form_crew(model, dtype, device, processes)
    lm.begin(model, batch_size)
    return lm


def _write_answers(
    asked: Questions,
    raw: Path,
    answers: Mapping[tuple[str, int], Sequence[Completion]],
    out: Path,
    prompts: Mapping[int, str],
) -> None:
    """Turn lm-eval's samples file into answers in the task's order, checked against the rows.

    lm-eval swallows errors while saving, so the file on disk is what is read back here. The prompts
    are those of its documents, by their places.
    """
    name, rows = asked.name, asked.rows
    files = sorted(raw.rglob(f"samples_{name}_*.jsonl"))
    if len(files) != 1:
        raise StageError(f"lm-eval wrote {len(files)} samples files for {name}, not one")
    samples = {sample["doc_id"]: sample for _, sample in read_jsonl(files[0])}
    places = _places(asked)
    order = {place: number for number, place in enumerate(sorted(places))}
    if samples.keys() != order.keys():
        raise StageError(f"lm-eval wrote {len(samples)} of {len(rows)} answers for {name}")
    with (out / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        for place, row in zip(places, rows, strict=True):
            texts, found = samples[place]["resps"][0], answers[name, order[place]]
            if texts != [one.text for one in found] or len(texts) != asked.score.samples:
                raise StageError(
                    f"lm-eval's answers to question {row['id']} of {name} are not ours"
                )
            if " ".join(row["problem"].split()) not in " ".join(prompts[place].split()):
                raise StageError(f"{name} asks another question in the place of {row['id']}")
            for number, one in enumerate(found):
                answer = {"id": row["id"], "sample": number, **asdict(one)}
                file.write(json.dumps(answer) + "\n")


def _own_metrics(name: str, raw: Path) -> dict[str, float]:
    """Return what lm-eval itself computed for a score, from the results file that it wrote."""
    for path in sorted(raw.rglob("results_*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))["results"].get(name, {})
        names = [key for key in found if "," in key and "_stderr" not in key]
        own = {key: float(found[key]) for key in names if isinstance(found[key], int | float)}
        if own:
            return own
    raise StageError(f"lm-eval wrote no results for {name}")
