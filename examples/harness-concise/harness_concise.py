"""Fine-tune on the shorter half of the solutions."""

from harness import OptimiserOptions, Run, Trainer, hookimpl


def train(run: Run) -> None:
    from trl import SFTConfig, SFTTrainer  # heavy imports stay in here

    tokenizer, data = run.tokenizer(), run.train_data()
    median = sorted(map(len, data["solution"]))[len(data) // 2]
    rows = run.tokenized(tokenizer, 1024, data.filter(lambda row: len(row["solution"]) <= median))
    steps = run.steps(len(rows), 32, run.options.epochs, run.options.max_steps)
    arguments = run.arguments(max_length=None, **run.options.arguments(steps, batch_size=32))
    trainer = SFTTrainer(
        run.student(), SFTConfig(**arguments), train_dataset=rows, callbacks=[run.callback()]
    )
    trainer.train()
    run.save(trainer.model)


@hookimpl
def harness_trainers():
    summary = "SFT on the shorter half of the solutions"
    return [Trainer("concise", train, OptimiserOptions, summary, needs_solutions=True)]
