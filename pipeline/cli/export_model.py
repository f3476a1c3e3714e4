"""`pipeline export-model`."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import plain_errors, relative, say
from pipeline.cli.export_tokenizer import compared_files
from pipeline.cli.versions import OutputFolder
from pipeline.config import ConfigError
from pipeline.versions import find_version

CONTEXT = {"gpt2": "n_positions", "llama": "max_position_embeddings"}
"""What `config.json` calls the number of positions, by `model_type`."""


def export_model(
    checkpoint: Annotated[Path, typer.Argument(help="A folder such as models/gpt2-124m/checkpoints/step-00001000.")],
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that is not there yet.")],
    data: Annotated[str, typer.Option(help="The version it was trained on: its digits, a dataset, or a folder.")],
    documents: Annotated[int, typer.Option(min=1, help="Compare the tokenizer's ids on that many documents.")] = 1000,
    output: OutputFolder = Path("datasets"),
) -> None:
    """Write a checkpoint for Hugging Face transformers: weights, config, generation config and tokenizer.

    Architectures gpt2 and llama; transformers has no model like modern.
    """
    with plain_errors():
        folder = find_version(data, output)
        command = [sys.executable, "-m", "training.export", str(checkpoint), "--data", str(folder), "--to", str(to)]
        if code := subprocess.run(command).returncode:
            raise typer.Exit(code)
        config = json.loads((to / "config.json").read_bytes())
        say(f"{relative(to)}: config.json, generation_config.json, model.safetensors")
        try:
            files, found, n_pieces = compared_files(folder, config[CONTEXT[config["model_type"]]], documents)
        except ConfigError as error:
            raise ConfigError([f"the model was written, its tokenizer cannot be: {error}"]) from None
        if found.difference:
            say(f"The tokenizer was not written: `tokenizers` does not give the same ids. {found.difference}.")
            raise typer.Exit(1)
        for name, content in files.items():
            (to / name).write_text(content, encoding="utf-8")
    say(f"{relative(to)}: {', '.join(files)}. Ids are equal on the first {found.texts:,} documents")
    say(f"and on the spellings of all {n_pieces:,} pieces.")
    say(f"Next: transformers.AutoModelForCausalLM.from_pretrained({shlex.quote(str(to))!r})")
