"""Answers of a model on a board's problems, generated through lm-eval. Grading happens elsewhere.

This is the only module that imports lm_eval. lm-eval builds the prompts, batches them and keeps
its raw results and samples; what generates behind it is `Engine`, lm-eval's own `hf` model with
three changes: a row that meets a stop string ends there (not with the last row of its batch), the
finish reason of every answer is kept, so that a truncated answer is told from a wrong one, and the
checkpoint's own generation defaults change nothing (see `decoding`).
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.decoding import forget_defaults
from harness.errors import StageError
from harness.protocols import Protocol, get_protocol


def score_name(task: str, protocol: str) -> str:
    """Return the name of a score's files: the task and the protocol with its version."""
    return f"{task}__{protocol}"


def generate_answers(
    model: Path,
    scores: Sequence[Mapping[str, Any]],
    batch_size: int,
    device: str,
    out: Path,
) -> dict[str, int]:
    """Generate greedy answers and write them to `out/answers/<score>.jsonl`.

    Args:
        model: Folder of the checkpoint.
        scores: For each score `task`, `protocol` (with version), `max_new_tokens` and `rows`.
        batch_size: Prompts generated together; changes float rounding, so it is recorded.
        device: `cpu` or `cuda`.
        out: The stage folder; lm-eval's own files are kept unchanged in `out/lm_eval`.

    Returns:
        The number of answers for each score.

    Raises:
        StageError: If lm-eval did not write an answer for every problem.
    """
    import torch
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    engine = _engine(model, batch_size, device)
    written: dict[str, int] = {}
    (out / "answers").mkdir(parents=True, exist_ok=True)
    for chat in (True, False):
        chosen = [s for s in scores if _protocol(s).chat == chat]
        if not chosen:
            continue
        raw = out / "lm_eval" / ("chat" if chat else "plain")
        tracker = EvaluationTracker(output_path=str(raw))
        with torch.inference_mode():
            results = simple_evaluate(
                model=engine,
                model_args=f"pretrained={model.name}",
                tasks=[_task_config(score) for score in chosen],
                task_manager=TaskManager(include_defaults=False),
                num_fewshot=0,
                bootstrap_iters=0,
                log_samples=True,
                predict_only=True,
                apply_chat_template=chat,
                fewshot_as_multiturn=False,
                use_cache=None,
                cache_requests=False,
                evaluation_tracker=tracker,
            )
        samples = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=samples)
        for name, rows in samples.items():
            tracker.save_results_samples(task_name=name, samples=rows)
        for score in chosen:
            name = score_name(score["task"], score["protocol"])
            written[name] = _write_answers(name, score["rows"], raw, engine, out / "answers")
    return written


def _protocol(score: Mapping[str, Any]) -> Protocol:
    protocol = get_protocol(score["protocol"].rsplit(".v", 1)[0])
    if protocol.id != score["protocol"]:
        raise StageError(
            f"protocol {score['protocol']!r} is wanted; this harness has {protocol.id}"
        )
    return protocol


def _task_config(score: Mapping[str, Any]) -> dict[str, Any]:
    """Return lm-eval's definition of one score: our prompt, explicit stops and token limit."""
    protocol = _protocol(score)
    return {
        "task": score_name(score["task"], score["protocol"]),
        "custom_dataset": _dataset(score["rows"]),
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": lambda doc: protocol.prompt(doc["problem"]),
        "doc_to_target": "{{answer}}",
        "target_delimiter": "",
        "num_fewshot": 0,
        "generation_kwargs": {
            "until": list(protocol.stop),
            "max_gen_toks": score["max_new_tokens"],
            "do_sample": False,
            "temperature": 0.0,
        },
        "metadata": {"version": protocol.version},
    }


def _dataset(rows: Sequence[Mapping[str, str]]) -> Callable[..., dict[str, Any]]:
    def load(**_: Any) -> dict[str, Any]:
        import datasets

        keys = ("id", "problem", "answer")
        return {"test": datasets.Dataset.from_list([{k: row[k] for k in keys} for row in rows])}

    return load


def _engine(model: Path, batch_size: int, device: str) -> Any:
    """Return the model that generates, as an lm-eval LM."""
    from lm_eval.models.huggingface import HFLM

    class Engine(HFLM):
        """lm-eval's `hf` model that ends each row at its stop and keeps its finish reason."""

        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            forget_defaults(self.model)
            # prompt -> (tokens written, whether the limit ended it), one for each repeat, in order
            self.finished: dict[str, deque[tuple[int, bool]]] = defaultdict(deque)
            self._prompts: tuple[str, ...] = ()

        def tok_batch_encode(self, strings: Any, *args: Any, **kwargs: Any) -> Any:
            self._prompts = tuple(strings)
            return super().tok_batch_encode(strings, *args, **kwargs)

        def _model_generate(
            self, context: Any, max_length: int, stop: list[str], **kwargs: Any
        ) -> Any:
            kwargs.pop("temperature", None)
            end = self.tokenizer.eos_token
            strings = [text for text in stop if text != end]
            if strings:  # transformers checks these row by row
                kwargs |= {"stop_strings": strings, "tokenizer": self.tokenizer}
            output = self.model.generate(
                input_ids=context,
                max_new_tokens=max_length - context.shape[1],
                pad_token_id=self.tokenizer.pad_token_id,
                use_cache=True,
                **kwargs,
            )
            ends = set(_as_list(self.model.generation_config.eos_token_id))
            ends.add(self.tokenizer.eos_token_id)
            for prompt, row in zip(self._prompts, output.tolist(), strict=True):
                new = row[context.shape[1] :]
                length = next((i + 1 for i, token in enumerate(new) if token in ends), None)
                if length is None:
                    text = self.tokenizer.decode(new)
                    stopped = any(string in text for string in strings)
                    while stopped and new and new[-1] == self.tokenizer.pad_token_id:
                        new.pop()
                    self.finished[prompt].append((len(new), not stopped))
                else:
                    self.finished[prompt].append((length, False))
            return output

    return Engine(
        pretrained=str(model),
        device="cuda" if device == "cuda" else "cpu",
        dtype="float32" if device == "cpu" else "bfloat16",
        batch_size=batch_size,
        trust_remote_code=False,
        use_safetensors=True,
    )


def _as_list(value: Any) -> list[int]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _write_answers(
    name: str, rows: Sequence[Mapping[str, str]], raw: Path, engine: Any, out: Path
) -> int:
    """Turn lm-eval's samples file into answers in the task's order, checked against the rows.

    lm-eval swallows errors while saving, so the file on disk is what is read back here.
    """
    files = sorted(raw.rglob(f"samples_{name}_*.jsonl"))
    if len(files) != 1:
        raise StageError(f"lm-eval wrote {len(files)} samples files for {name}, not one")
    samples: dict[str, Any] = {}
    with files[0].open(encoding="utf-8") as lines:
        for line in lines:
            sample = json.loads(line)
            samples[sample["doc"]["id"]] = sample
    lost = [row["id"] for row in rows if row["id"] not in samples]
    if lost or len(samples) != len(rows):
        raise StageError(f"lm-eval wrote {len(samples)} of {len(rows)} answers for {name}")
    with (out / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            sample = samples[row["id"]]
            finished = engine.finished[_prompt(sample)]
            tokens, limit = finished.popleft() if len(finished) > 1 else finished[0]
            answer = {
                "id": row["id"],
                "text": _response(sample),
                "tokens": tokens,
                "finish": "length" if limit else "stop",
            }
            file.write(json.dumps(answer) + "\n")
    return len(rows)


def _prompt(sample: Mapping[str, Any]) -> str:
    """Return the prompt of a sample; lm-eval writes the arguments of a request as nested dicts."""
    return sample["arguments"]["gen_args_0"]["arg_0"]


def _response(sample: Mapping[str, Any]) -> str:
    return sample["resps"][0][0]
