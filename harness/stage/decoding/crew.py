"""A crew: processes that generate answers in place of one, each on a device of its own.

They are fed from one queue: each has as many prompts as its rows hold and some that wait, and is
given more as its answers come. An answer depends on its own prompt and random numbers alone, so
they are those of one process (up to the rounding that the number of rows has). They speak JSON,
one line a message, through pipes; `worker` is the other end.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from harness.errors import StageError
from harness.stage.decoding.families import grouped
from harness.stage.decoding.probe import Way
from harness.stage.decoding.prompt import Decoding, Prompt

END_SECONDS = 10.0  # in which a process whose pipe has closed must have ended


@dataclass
class Worker:
    """One of the processes, as the crew knows it."""

    number: int  # from 1
    process: subprocess.Popen[bytes]
    unread: bytes = b""
    places: list[int] = field(default_factory=list)  # of its prompts, in the order they were given
    open: int = 0  # prompts that it has not answered
    over: bool = False  # whether it has no more to say of these prompts

    @property
    def input(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def tell(self, message: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # what is read from it says that it has ended
            self.input.write(json.dumps(message).encode() + b"\n")
            self.input.flush()

    def heard(self) -> list[Any] | None:
        """Return what it has said; None if it has ended."""
        received = os.read(self.output.fileno(), 2**20)
        if not received:
            return None
        *lines, self.unread = (self.unread + received).split(b"\n")
        return [json.loads(line) for line in lines]


class Crew:
    """Processes that hold the same model; `close` ends them.

    They end with the process that made the crew, however that ends, and are made in its main
    thread: Linux tells a child when the thread ends that started it.

    Attributes:
        smallest: The fewest rows that memory forced on one of them, if any.
        way: How they generate.
    """

    def __init__(self, model: Path, dtype: str, device: str, threads: int, size: int) -> None:
        """Start the processes; they load the model while this one goes on.

        Args:
            model: The folder of a causal model with its tokenizer.
            dtype: Torch's name of the type of its weights.
            device: `cpu` or `cuda`; on `cuda` each has one of the GPUs that this process sees.
            threads: Of torch in each, on a CPU.
            size: How many processes.

        Raises:
            StageError: If there are fewer GPUs than processes.
        """
        self.smallest: int | None = None
        self.way = Way()
        setting = {
            "model": str(model),
            "dtype": dtype,
            "device": device,
            "threads": threads,
            "parent": os.getpid(),
        }
        seen = _gpus(size) if device != "cpu" else [""] * size
        self._workers: list[Worker] = []
        for number, gpu in enumerate(seen, 1):
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.stage.decoding.worker"],
                env={**os.environ, "CUDA_VISIBLE_DEVICES": gpu},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            self._workers.append(Worker(number, process))
            self._workers[-1].tell(setting)

    def answers(
        self, prompts: Sequence[Prompt], how: Decoding
    ) -> Iterator[tuple[int, list[int], bool]]:
        """Generate an answer to each prompt, as `Decoder.generate` does and yields it.

        Raises:
            StageError: If a process has failed or ended. All others are ended then.
        """
        try:
            yield from self._answers(prompts, how)
        except BaseException:  # also where whoever asked wants no more of them
            self.close()
            raise

    def _answers(
        self, prompts: Sequence[Prompt], how: Decoding
    ) -> Iterator[tuple[int, list[int], bool]]:
        # what begins alike stays together, so that it is read once
        families = grouped(prompts, range(len(prompts)))
        queue = deque(place for family in families for place in family.places)
        rows = how.batch_size
        most, group = rows + rows // 2, max(1, rows // 4)
        first = min(most, -(-len(queue) // len(self._workers)))
        for worker in self._workers:
            worker.places, worker.open, worker.over = [], 0, False
            worker.tell(asdict(how))
            _give(worker, prompts, queue, first)
        self.smallest, self.way = None, Way()
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                selector.register(worker.output, selectors.EVENT_READ, worker)
            told = False
            while not all(worker.over for worker in self._workers):
                if not queue and not told:
                    told = True
                    for worker in self._workers:
                        worker.tell(None)
                for key, _ in selector.select():
                    worker = key.data
                    for said in self._heard(worker):
                        if isinstance(said, dict):
                            self._over(worker, said)
                            continue
                        number, tokens, stopped = said
                        worker.open -= 1
                        yield worker.places[number], tokens, stopped
                    if queue and worker.open <= most - group:
                        _give(worker, prompts, queue, most - worker.open)

    def _heard(self, worker: Worker) -> list[Any]:
        said = worker.heard()
        if said is None:
            raise StageError(f"{self._name(worker)} {_end(worker.process)}")
        return said

    def _over(self, worker: Worker, said: dict[str, Any]) -> None:
        """Take what a process says last of its prompts."""
        if error := said.get("error"):
            raise StageError(f"{self._name(worker)} failed: {error}")
        worker.over = True
        if smallest := said["smallest"]:
            self.smallest = min(smallest, self.smallest or smallest)
        found = Way(**said["way"])
        self.way = found if found.why else self.way

    def _name(self, worker: Worker) -> str:
        return f"process {worker.number} of {len(self._workers)} that generate answers"

    def close(self) -> None:
        """End all processes; what they were asked for is lost."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.wait()
            worker.output.close()
            with contextlib.suppress(BrokenPipeError):
                worker.input.close()


def _give(worker: Worker, prompts: Sequence[Prompt], queue: deque[int], count: int) -> None:
    """Give a process the next prompts of the queue."""
    places = [queue.popleft() for _ in range(min(count, len(queue)))]
    if places:
        worker.places += places
        worker.open += len(places)
        worker.tell([asdict(prompts[place]) for place in places])


def _gpus(count: int) -> list[str]:
    """Return the GPUs of so many processes, as CUDA_VISIBLE_DEVICES names them.

    Raises:
        StageError: If this process sees fewer.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(number) for number in range(count)]
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if len(names) < count:
        raise StageError(f"answers are to be generated on {count} GPUs, and {len(names)} are seen")
    return names[:count]


def _end(process: subprocess.Popen[bytes]) -> str:
    """Say how a process ended whose pipe has closed."""
    try:
        code = process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        return "closed its pipe"
    if code >= 0:
        return f"ended with exit code {code}; the log says why"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}; without memory left the system does that"
