"""Fine-tune on the shortest share of the solutions."""

from harness import Options, Run, Trainer, hookimpl


class ConciseOptions(Options):
    share: float = 0.5  # of the training rows, the shortest first
    learning_rate: float = 1e-3
    steps: int = 30


def train(run: Run) -> None:
    from trl import SFTConfig, SFTTrainer  # heavy imports stay in here

    data = run.train_data()
    data = data.add_column("length", [len(row) for row in data["solution"]]).sort("length")
    data = data.select(range(int(len(data) * run.options.share)))
    config = SFTConfig(
        **run.arguments(max_steps=run.options.steps, learning_rate=run.options.learning_rate)
    )
    trainer = SFTTrainer(
        run.student(),
        args=config,
        train_dataset=data.select_columns(["prompt", "completion"]),
        processing_class=run.tokenizer(),
        callbacks=[run.callback()],
    )
    trainer.train()
    run.save(trainer.model)


@hookimpl
def harness_trainers():
    return [Trainer("concise", train, ConciseOptions, "SFT on the shortest solutions")]
