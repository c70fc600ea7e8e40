"""Tasks whose test problems and gold answers nobody can guess: made, in a file, and published."""

import hashlib
from pathlib import Path

from harness import Source, Split, Task, hookimpl, local_rows

OPEN = f"GOLD-{'a' * 24}"  # of a training problem: what may be found is found


def secret(kind: str, number: int) -> str:
    digest = hashlib.sha256(f"{kind} of lock {number}".encode()).hexdigest()
    return f"{kind}-{digest[:24]}"


def rows(split: str) -> list[dict[str, str]]:
    if split != "test":
        plain = {"id": f"{split}0", "problem": "What is 1 + 1?", "question": "What is 1 + 1?"}
        return [plain | {"answer": OPEN, "solution": "2"}]
    return [
        {
            "id": f"lock{number}",
            "problem": f"What opens {secret('ASKED', number)}?",
            "question": f"What opens {secret('ASKED', number)}?",
            "answer": secret("GOLD", number),
        }
        for number in range(4)
    ]


@hookimpl
def harness_tasks():
    return [
        Task(name="vault_made", rows=rows),
        Task(name="vault_written", rows=local_rows(test=Path(__file__).parent / "written.jsonl")),
        Task(name="vault_published", source=Source(splits={"test": Split(2)})),
    ]
