"""`pipeline export-model`: a folder that transformers loads, model and tokenizer."""

from pathlib import Path

import pytest

from tests.small_dataset import run_pipeline, write_small_recipe

MODEL = "model={architecture: ARCHITECTURE, n_layers: 1, n_heads: 2, d_model: 16, context: 32}"
QUICK = ["n_steps=2", "schedule.warmup_steps=1", "evaluate.sequences_per_cell=1", "sample.n_tokens=2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("exported")
    done = run_pipeline("run", write_small_recipe(folder), "--output", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder


def trained(place: Path, architecture: str) -> Path:
    changes = [word for c in (MODEL.replace("ARCHITECTURE", architecture), *QUICK) for word in ("--set", c)]
    output = place / architecture
    data = place / "out" / "small"
    done = run_pipeline("train", "recipes/train/tiny.yaml", "--data", data, "--output", output, *changes)
    assert done.returncode == 0, done.stdout + done.stderr
    return output / "checkpoints" / "step-00000002"


def test_transformers_loads_model_and_tokenizer_and_writes_text(place: Path) -> None:
    transformers = pytest.importorskip("transformers")
    to = place / "hf"
    done = run_pipeline("export-model", trained(place, "llama"), to, "--data", place / "out" / "small")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Next: transformers.AutoModelForCausalLM.from_pretrained('{to}')" in done.stdout
    tokenizer = transformers.AutoTokenizer.from_pretrained(to)
    model = transformers.AutoModelForCausalLM.from_pretrained(to)
    ids = tokenizer("a mill", return_tensors="pt")
    assert tokenizer.model_max_length == model.config.max_position_embeddings == 32
    written = model.generate(ids["input_ids"], attention_mask=ids["attention_mask"], max_new_tokens=3, do_sample=False)
    assert written.shape[1] > ids["input_ids"].shape[1] and tokenizer.decode(written[0])
    checkpoint = place / "llama" / "checkpoints" / "step-00000002"
    again = run_pipeline("export-model", checkpoint, to, "--data", place / "out" / "small")
    assert again.returncode == 2 and "name a new folder" in again.stderr


def test_modern_is_refused(place: Path) -> None:
    done = run_pipeline("export-model", trained(place, "modern"), place / "no", "--data", place / "out" / "small")
    assert done.returncode == 2 and "`transformers` has no model like architecture: modern" in done.stderr
    assert not (place / "no").exists()
