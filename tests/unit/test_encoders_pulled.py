"""An embedding model of the catalogue comes from its hub with its steps, and is held against what the catalogue says."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from outcrop.catalog import model_files
from outcrop.catalog.catalog import Catalog
from outcrop.cli.fetching import pull_weights
from outcrop.errors import Invalid
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.probe import launch
from outcrop.probe.launch import ProbeReport
from outcrop.settings import Settings
from tests.support.word_tokenizers import word_level

E5 = "intfloat.multilingual-e5-small"
BERT = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8, "max_position_embeddings": 512}
EMPTY = (2).to_bytes(8, "little") + b"{}"


def hub(monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], *, weights: bool = True) -> None:
    """Put a hub in place whose every repository holds this model."""

    def snapshot(_repository: str, *, local_dir: Path, allow_patterns: list[str], ignore_patterns: list[str]) -> None:
        assert "consolidated*" in ignore_patterns
        assert "*.json" in allow_patterns  # those of folders too, as the hub reads it
        word_level(local_dir)
        (local_dir / "config.json").write_text(json.dumps(config))
        if weights:
            (local_dir / "model.safetensors").write_bytes(EMPTY)

    def probed(folder: Path) -> ProbeReport:
        return ProbeReport(verdict=ProbeVerdict(way=RunMode.PADDED, config=facts.digest(folder)), context=512)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(launch, "probe", probed)


def test_an_embedding_model_is_pulled_and_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, BERT)
    entry = pull_weights(Settings(home=tmp_path), E5)
    assert (entry.task, entry.way) == (ModelTask.EMBEDDING, RunMode.PADDED)
    assert entry.prompts == {"query": "query: ", "document": "passage: "}
    assert Catalog(tmp_path).usable(E5).folder == tmp_path / "hub" / "intfloat" / "multilingual-e5-small"


@pytest.mark.parametrize(
    ("config", "weights", "sentence"),
    [
        (
            BERT,
            False,
            r"^intfloat/multilingual-e5-small: no \*\.safetensors there \(the weights\), and no pickle is opened",
        ),
        (
            {**BERT, "architectures": ["BertLMHeadModel"]},
            True,
            "its files are of a network for text, and intfloat.multilingual-e5-small is for embedding",
        ),
    ],
)
def test_what_is_no_such_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], weights: bool, sentence: str
) -> None:
    hub(monkeypatch, config, weights=weights)
    with pytest.raises(Invalid, match=sentence):
        pull_weights(Settings(home=tmp_path), E5)


def test_the_steps_behind_an_encoder_are_files_of_it() -> None:
    steps = ("modules.json", "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors")
    wanted = ("config.json", "tokenizer.json", "model.safetensors", *steps)
    others = ("onnx/model.onnx", "onnx/config.json", "README.md", "1_Pooling/notes.txt")
    found = model_files.wanted_files(dict.fromkeys((*wanted, *others), 1), place="hf://a/b")
    assert set(found) == set(wanted)


def test_the_weights_of_a_step_alone_are_no_model() -> None:
    with pytest.raises(Invalid, match=r"no \*\.safetensors there \(the weights\)"):
        model_files.wanted_files(dict.fromkeys(("config.json", "2_Dense/model.safetensors"), 1), place="hf://a/b")
