"""One process of a crew: it loads the model, and answers the prompts that it is given.

Run as a module; `crew` says what passes through its standard streams.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from harness.errors import first_line
from harness.redact import redact
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.models import lay_out, load_model, load_tokenizer
from harness.stage.processes import die_with_parent


class Inbox:
    """What the crew says, read by a thread of its own so that the crew never waits."""

    def __init__(self, stream: IO[str]) -> None:
        self._said: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._said.put(json.loads(line))
        os._exit(1)  # whoever made the crew is gone

    def next(self, *, wait: bool) -> Any:
        """Return the next message.

        Raises:
            Empty: If there is none, and it is not waited for.
        """
        return self._said.get(block=wait)


class Prompts(list[Prompt]):
    """The prompts of one call, which come in parts."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__()
        self._inbox, self._over = inbox, False

    def more(self, wait: bool) -> Sequence[int]:
        """Return the places of prompts that have come; none where it waited and none are left."""
        known = len(self)
        while not self._over:
            try:
                said = self._inbox.next(wait=wait and len(self) == known)
            except Empty:
                break
            if said is None:
                self._over = True
            else:
                self.extend(Prompt(**one) for one in said)
        return range(known, len(self))


def answer(inbox: Inbox, out: IO[str], model: Any, tokenizer: Any) -> None:
    """Answer all prompts of one call."""

    def say(message: Any) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    decoder = Decoder(model, tokenizer, **inbox.next(wait=True))
    prompts = Prompts(inbox)
    for place, tokens, stopped in decoder.serve(prompts, prompts.more(True), prompts.more):
        say([place, tokens, stopped])
    say({"smallest": decoder.smallest, "way": asdict(decoder.way)})


def main() -> None:
    """Load the model, and answer calls until the crew ends this process."""
    inbox_stream, out = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what a library prints is for the log
    setting = json.loads(inbox_stream.readline())
    die_with_parent(setting["parent"])
    inbox = Inbox(inbox_stream)
    try:
        import torch

        device = setting["device"]
        if device == "cpu":
            torch.set_num_threads(setting["threads"])
        torch.use_deterministic_algorithms(device == "cpu")
        folder = Path(setting["model"])
        loaded: Any = load_model(folder, setting["dtype"], device)
        tokenizer = load_tokenizer(folder)
        model = loaded.to(device).eval()
        lay_out(model)
        with torch.inference_mode():
            while True:
                answer(inbox, out, model, tokenizer)
    except BaseException as error:
        traceback.print_exc()
        message = {"error": redact(f"{type(error).__name__}: {first_line(error)}")[:300]}
        out.write(json.dumps(message) + "\n")
        out.flush()
        sys.stderr.flush()
        os._exit(1)  # the thread that reads is not to be waited for


if __name__ == "__main__":
    main()
