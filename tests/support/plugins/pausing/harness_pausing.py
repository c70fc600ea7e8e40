"""A trainer that can be met in the middle: it waits after the step that `HARNESS_PAUSE` names, or
fills the disk of its scratch folder after the one that `HARNESS_FILL` names, and goes on.
"""

import contextlib
import os
import time

from harness_sft import SftOptions, fit

from harness import Run, Trainer, hookimpl


def train(run: Run) -> None:
    """Fine-tune, and keep a file of its own in the scratch folder as long as it trains."""
    from transformers import TrainerCallback

    class Pause(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == int(os.environ.get("HARNESS_PAUSE", "0")):
                (run.scratch / "paused").touch()
                time.sleep(3600)
            if state.global_step == int(os.environ.get("HARNESS_FILL", "0")):
                with contextlib.suppress(OSError), open(run.scratch / "fill", "wb", 0) as file:
                    while True:
                        file.write(bytes(4096))

    own = run.scratch / "own" / "drawn.txt"
    found = own.read_text() if own.exists() else None
    own.parent.mkdir(exist_ok=True)
    own.write_text("drawn once")
    resumed = os.path.basename(run.resume) if run.resume else None
    on_node = os.environ["TMPDIR"] in map(str, run.scratch.parents)
    try:
        (run.scratch.parents[1] / "beyond").mkdir()  # where other stages have theirs
        beyond = True
    except OSError:
        beyond = False
    run.note(found=found, resumed=resumed, on_node=on_node, beyond=beyond)
    run.save(fit(run, run.student(), resume=run.resume, callbacks=((), (Pause(),))))


@hookimpl
def harness_trainers():
    return [Trainer("pausing", train, SftOptions, "sft that can be met in the middle")]
