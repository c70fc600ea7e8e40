"""The exact text that is put to a model, for people to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.stage.models import load_tokenizer
from harness.tasks.protocols import LmEvalProtocol, Protocol


class Prompts:
    """Makes prompts as a score's generation does, with the tokenizer of a model's folder."""

    def __init__(self, model: Path) -> None:
        self.tokenizer: Any = load_tokenizer(model)

    def text(self, protocol: Protocol | LmEvalProtocol, problem: str) -> str | None:
        """Return the whole prompt of a problem; None where a task of lm-eval makes it."""
        if isinstance(protocol, LmEvalProtocol):
            return None
        prompt = protocol.prompt(problem)
        if not protocol.chat:
            return prompt
        messages = [{"role": "user", "content": prompt}]
        return str(
            self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )

    def tokens(self, prompt: str) -> int:
        """Return how many tokens a prompt has."""
        return len(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])
