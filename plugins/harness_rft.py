"""`rft`: the student's own solutions, kept where the verifier confirms them, learnt in rounds.

Known as STaR (Zelikman et al. 2022, arXiv 2203.14465, here without its rationalization), rejection
sampling fine-tuning (Yuan et al. 2023, arXiv 2308.01825), ReST-EM (Singh et al. 2023, arXiv
2312.06585), and expert iteration. The defaults are those of ReST-EM where two cores allow it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from harness_sft import SupervisedOptions, completion, expected, fit
from pydantic import Field

from harness import Expected, Run, Search, StageError, Trainer, Workload, hookimpl

if TYPE_CHECKING:
    import datasets

ROUND = "round.json"  # of a training checkpoint: the round that it belongs to
FACTS = (
    "problems",
    "samples",
    "truncated",
    "confirmed",
    "solved",
    "kept",
)  # of a round, in numbers
CONFIRMED = 0.5  # share of the samples that a forecast takes to be right


class RftOptions(SupervisedOptions, frozen=True):
    """Options of `rft`: how the student samples, then how it learns from that."""

    rounds: int = Field(2, gt=0, description="of sampling and learning; each has an equal share")
    restart: bool = Field(
        True, description="each round trains the start model; false: the model of the round before"
    )
    problems: int | None = Field(None, gt=0, description="problems of a round; by default all")
    samples: int = Field(4, gt=0, description="solutions to each problem")
    temperature: Annotated[float, Search(0.4, 1.2)] = Field(
        0.7, gt=0, description="sampling temperature"
    )
    top_p: float = Field(1.0, gt=0, le=1, description="nucleus of sampling")
    max_new_tokens: int | None = Field(
        None, gt=0, description="tokens of a solution; by default the limit of the board's scores"
    )
    max_per_problem: int = Field(10, gt=0, description="confirmed solutions kept of a problem")
    dedupe: bool = Field(True, description="keep a solution once, however often it was written")
    problems_at_once: int = Field(
        64, gt=0, description="problems whose solutions are written together"
    )
    sampling_share: float = Field(0.5, gt=0, lt=1, description="share of a round for sampling")


class Round(NamedTuple):
    """What one round learns from, and the facts about it."""

    begun: float  # share of the budget that was spent when its training began
    facts: dict[str, int]  # `FACTS`
    pairs: list[Any]  # prompt and completion of each row

    def write(self, path: Path) -> None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(self), encoding="utf-8")
        part.replace(path)


def train(run: Run) -> None:
    """Sample, keep what is confirmed, fine-tune on it; then again with the model that came of it.

    A resumed run takes the rounds up to its training checkpoint's from `run.scratch`; what was
    sampled later is sampled again, from the same random numbers.

    Raises:
        StageError: If the first round confirms nothing, or the weights are spread over processes.
    """
    options: RftOptions = run.options
    if run.group.sharded:
        raise StageError("rft samples from the model that it trains, which must lie in one place")
    reached = int(Path(run.resume, ROUND).read_text()) if run.resume else -1
    done = [Round(*json.loads(path_of(run, n).read_text())) for n in range(reached + 1)]
    tokenizer: Any = run.tokenizer()
    model: Any = run.student(tokenizer)
    for number in range(options.rounds):
        end = (number + 1) / options.rounds
        if number > reached:
            if number and run.budget.exhausted():
                break
            found = sample(run, model, tokenizer, number, end)
            if not found.pairs or (number and run.budget.exhausted()):
                break
            if run.group.rank == 0:
                found.write(path_of(run, number))
                forget_checkpoints(run)
            run.group.wait()
            done.append(found)
            if number and options.restart:
                del model  # before the next one takes its place in memory
                model = run.student(tokenizer)
        tell(run, done)
        if number >= reached:
            resume = run.resume if number == reached else None
            model = learn(run, model, done[number], number, end, resume)
    run.save(model)


def path_of(run: Run, number: int) -> Path:
    return run.scratch / f"round-{number}.json"


def forget_checkpoints(run: Run) -> None:
    """Remove the training checkpoints of the round before: this one's count from 1 again."""
    import shutil

    for folder in (run.scratch / "trainer").glob("checkpoint-*"):
        shutil.rmtree(folder)


def tell(run: Run, done: Sequence[Round]) -> None:
    """Put the facts of the rounds so far into the record, and hand in what they learn from."""
    facts = {name: [each.facts[name] for each in done] for name in done[0].facts}
    solved = zip(facts["solved"], facts["problems"], strict=True)
    run.note(
        rounds=len(done),
        **{f"round_{name}": numbers for name, numbers in facts.items()},
        round_solved_share=[round(right / asked, 4) for right, asked in solved],
    )
    texts = [one for each in done for _, one in each.pairs]
    run.synthetic([one if isinstance(one, str) else one[0]["content"] for one in texts])


def sample(run: Run, model: Any, tokenizer: Any, number: int, end: float) -> Round:
    """Return what the model wrote to training problems and the verifier confirmed.

    Problems are taken in an order drawn anew in each round, until they or the round's share for
    sampling end. Where the stage runs as several processes, they take the batches in turn.

    Raises:
        StageError: If the first round confirms nothing.
    """
    import torch

    options: RftOptions = run.options
    data = run.train_data().shuffle(seed=run.seed(f"problems of round {number}"))
    data = data.select(range(min(options.problems or len(data), len(data))))
    rank, size = run.group.rank, options.problems_at_once * run.group.size
    torch.manual_seed(run.seed(f"samples of round {number} {rank}"))
    model.to(run.device)
    run.budget.sync()
    begun = spent = run.budget.fraction
    last = begun + (end - begun) * options.sampling_share
    batch = 0.0  # the share of the budget that a batch took
    facts = dict.fromkeys(FACTS, 0)
    pairs: list[Any] = []
    for start in range(0, len(data), size):
        if start and spent + batch > last:
            break
        first = start + options.problems_at_once * rank
        mine = data.select(
            range(min(first, len(data)), min(first + options.problems_at_once, len(data)))
        )
        for counts, kept in run.group.gather(confirmed(run, model, tokenizer, mine)):
            facts = {name: facts[name] + counts[name] for name in facts}
            pairs += kept
        run.budget.sync()
        batch, spent = max(batch, run.budget.fraction - spent), run.budget.fraction
    if not pairs and number == 0:
        raise StageError(
            f"the verifier confirmed none of {facts['samples']} solutions that the start model"
            " wrote; nothing to learn from"
        )
    return Round(spent, facts, pairs)


def confirmed(
    run: Run, model: Any, tokenizer: Any, data: datasets.Dataset
) -> tuple[dict[str, int], list[Any]]:
    """Return counts, and prompt and completion of what is kept of the answers to some problems."""
    options: RftOptions = run.options
    rows: list[Any] = list(data)
    if not rows:  # other processes have the last of them
        return dict.fromkeys(FACTS, 0), []
    written = run.generate(
        model,
        tokenizer,
        data["prompt"],
        samples=options.samples,
        temperature=options.temperature,
        top_p=options.top_p,
        limit=options.max_new_tokens,
        rows=options.problems_at_once * options.samples,
    )
    flat = [(row, one) for row, answers in zip(rows, written, strict=True) for one in answers]
    right = run.correct(
        [one.text for _, one in flat],
        [row["answer"] for row, _ in flat],
        [row["task"] for row, _ in flat],
        [row["problem"] for row, _ in flat],
    )
    good: dict[int, list[str]] = {}  # by the place of each problem that was solved
    for place, ((_, one), verdict) in enumerate(zip(flat, right, strict=True)):
        if verdict and one.stopped:
            texts = good.setdefault(place // options.samples, [])
            if not (options.dedupe and one.text.strip() in texts):
                texts.append(one.text.strip())
    pairs = [
        [rows[place]["prompt"], completion(run, text)]
        for place, texts in good.items()
        for text in texts[: options.max_per_problem]
    ]
    truncated = sum(not one.stopped for _, one in flat)
    counted = (len(rows), len(flat), truncated, right.count(True), len(good), len(pairs))
    return dict(zip(FACTS, counted, strict=True)), pairs


def learn(run: Run, model: Any, found: Round, number: int, end: float, resume: str | None) -> Any:
    """Fine-tune on a round's rows until they were seen `epochs` times or the round's share ends.

    The rate falls to zero within the round: its schedule is read at the share of the round that is
    spent, where that is further on than the steps.
    """
    import datasets
    from transformers import TrainerCallback

    options: RftOptions = run.options
    rates: list[Any] = []

    def share() -> float:
        return (run.budget.fraction - found.begun) / max(1e-9, end - found.begun)

    def hastened(rate: Any, steps: int, step: int) -> float:
        return float(rate(max(step, min(steps, int(share() * steps)))))

    class Before(TrainerCallback):
        """Called before the run's own callback, which lays the rate over the whole budget."""

        def on_train_begin(self, *given: Any, lr_scheduler: Any = None, **_: Any) -> None:
            rates.extend(lr_scheduler.lr_lambdas)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                folder = Path(args.output_dir, f"checkpoint-{state.global_step}")
                (folder / ROUND).write_text(str(number))

    class After(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            lambdas = more["lr_scheduler"].lr_lambdas
            lambdas[:] = [partial(hastened, rate, state.max_steps) for rate in rates]

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if run.budget.fraction >= end:
                control.should_training_stop = True
            if state.global_step == 1 and args.save_strategy != "no":
                control.should_save = True  # those of the round before are gone

    whole = options.max_steps
    steps = None if whole is None else part(whole, options.rounds, number)
    pairs = [{"prompt": prompt, "completion": one} for prompt, one in found.pairs]
    data = datasets.Dataset.from_list(pairs)
    return fit(run, model, data, resume=resume, steps=steps, callbacks=([Before()], [After()]))


def part(whole: int, rounds: int, number: int) -> int:
    """Return the part of some steps that a round has: an equal one, at least 1."""
    return max(1, whole * (number + 1) // rounds - whole * number // rounds)


def expects(options: RftOptions, work: Workload) -> Expected:
    """Return what a run would do, if half of the samples were right: the rest is known after it."""
    problems = min(options.problems or work.rows, work.rows) * options.rounds
    kept = min(options.samples * CONFIRMED, options.max_per_problem) * problems
    found = expected(options, work, work.prompt + work.answer, round(kept))
    return dataclasses.replace(
        found,
        rollouts=-(-problems * options.samples // found.steps),
        limit=options.max_new_tokens or work.limit,
        together=options.problems_at_once * options.samples,
    )


@hookimpl
def harness_trainers() -> list[Trainer]:
    """Offer `rft`."""
    return [
        Trainer(
            name="rft",
            train=train,
            options=RftOptions,
            summary="the student's own solutions that the verifier confirms, learnt in rounds",
            expects=expects,
        )
    ]
