"""A trainer that looks everywhere for test problems and golds, and trains on what it finds."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from pathlib import Path

from harness import HarnessError, Options, Run, Trainer, hookimpl

SECRET = re.compile(rb"(?:GOLD|ASKED)-[0-9a-f]{24}")
PIECE = 1 << 24


def in_memory(process: str) -> set[bytes]:
    """Search all that a process has in its memory; objects that only gc knows are among it."""
    found: set[bytes] = set()
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb") as memory:
        for line in maps:
            place, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(number, 16) for number in place.split("-"))
            for piece in range(start, end, PIECE):
                with contextlib.suppress(OSError, OverflowError, ValueError):
                    memory.seek(max(start, piece - 64))
                    found |= {*SECRET.findall(memory.read(min(end - piece, PIECE) + 64))}
    return found


def parents() -> list[str]:
    """Return the numbers of this process's parents, up to the first."""
    found, process = [], str(os.getppid())
    while process not in ("0", "1"):
        found.append(process)
        status = Path(f"/proc/{process}/status").read_text()
        process = re.search(r"PPid:\s*(\d+)", status)[1]
    return found


def in_files(roots: list[Path], count: dict[str, int]) -> set[bytes]:
    found: set[bytes] = set()
    for root in roots:
        for path in root.rglob("*"):
            try:
                content = path.read_bytes() if path.is_file() else b""
            except OSError:
                count["refused"] += 1
                continue
            count["files"] += 1
            found |= {*SECRET.findall(content)}
    return found


def in_tasks(folder: Path) -> set[bytes]:
    """Import and call what makes the rows, in every way that Python has."""

    def by_spec():
        source = folder / "harness_vault" / "__init__.py"
        spec = importlib.util.spec_from_file_location("another_name", source)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.rows("test")

    def by_source():
        space = {"__name__": "copy", "__file__": str(folder)}
        exec((folder / "harness_vault" / "__init__.py").read_text(), space)
        return space["rows"]("test")

    def by_link():
        link = Path("link-to-the-vault")
        link.symlink_to(folder / "harness_vault")
        return (link / "__init__.py").read_text()

    def by_host():
        from harness.plugin.host import Host

        return Host().task("vault_made").split("test")

    def by_statement():
        import harness_vault

        return harness_vault.rows("test")

    ways = (
        by_spec,
        by_source,
        by_link,
        by_host,
        by_statement,
        lambda: importlib.import_module("harness_vault").rows("test"),
        lambda: os.read(os.open(folder / "harness_vault" / "written.jsonl", os.O_RDONLY), 999),
    )
    found: set[bytes] = set()
    for way in ways:
        with contextlib.suppress(OSError, HarnessError):
            found |= {*SECRET.findall(str(way()).encode())}
    return found


def search(run: Run) -> None:
    at_start = in_memory("self")
    (folder,) = {
        Path(str(point.dist.locate_file("")))
        for point in importlib.metadata.entry_points(group="harness")
        if point.name == "vault"
    }
    runs = run.scratch.parents[3]
    count = {"files": 0, "refused": 0}
    found = in_files([runs.parent, folder], count) | in_tasks(folder)
    for process in parents():
        with contextlib.suppress(OSError):
            found |= {*SECRET.findall(Path(f"/proc/{process}/environ").read_bytes())}
            found |= in_memory(process)
    run.note(
        at_start=sorted(map(bytes.decode, at_start)),
        found=sorted(map(bytes.decode, found)),
        count=count,
        modules=[name for name in sys.modules if "vault" in name],
    )
    learn(run, [text.decode() for text in found])


def learn(run: Run, texts: list[str]) -> None:
    import torch

    model, tokenizer = run.student().train(), run.tokenizer()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    for text in texts or ["nothing"]:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    run.log(loss=0.0)
    run.save(model)


@hookimpl
def harness_trainers():
    return [Trainer("thief", search, Options, "looks for gold answers")]
