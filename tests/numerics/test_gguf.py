"""A GGUF file of ours is read by transformers' own reader as the network that it was written from."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from outcrop.catalog.catalog import Catalog
from outcrop.cli.app import run
from outcrop.network import load
from outcrop.network.gguf.exporting import GgufForm, write_gguf
from outcrop.network.gguf.importing import convert
from outcrop.probe import launch
from tests.support.probing import in_this_process
from tests.support.tiny import ARCHITECTURES, SIZES, tiny_model, write_tokenizer

GEMMA = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 16}
FAMILIES = {
    "llama": ARCHITECTURES["llama"],
    "llama3": ARCHITECTURES["llama3"],
    "qwen2": ARCHITECTURES["qwen2"],
    "qwen3": ARCHITECTURES["qwen3"],
    "gemma2": lambda: transformers.Gemma2Config(**SIZES, **GEMMA),
    "gemma3": lambda: transformers.Gemma3TextConfig(**SIZES | {"num_hidden_layers": 7}, **GEMMA),
    "phi3": ARCHITECTURES["phi3"],
    "smollm3": lambda: transformers.SmolLM3Config(**SIZES | {"num_hidden_layers": 5}),
    "olmo2": ARCHITECTURES["olmo2"],
}
READ_BY_TRANSFORMERS = ("llama", "qwen2", "gemma2", "phi3")
"Of others its reader leaves out how rotations are stretched, or how wide a head is."
IDS = torch.tensor([[0, 17, 45, 99, 200, 310, 7, *range(60, 90)]])


def network(folder: Path, family: str) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = transformers.AutoModelForCausalLM.from_config(FAMILIES[family]()).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("norm.weight"):  # all ones, or zeros, say nothing of what was added to them
                parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    made.save_pretrained(folder)
    write_tokenizer(folder, chat=True)
    return made


def logits(network: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = network(IDS).logits
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_comes_back_from_a_file_with_its_logits(family: str, tmp_path: Path) -> None:
    made = network(tmp_path / "network", family)
    write_gguf(tmp_path / "network", tmp_path / "n.gguf", GgufForm.F32, name="Tiny")
    convert(tmp_path / "n.gguf", tmp_path / "back")
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "back", local_files_only=True)
    torch.testing.assert_close(logits(back), logits(made), atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")  # of the library's own reader
@pytest.mark.parametrize("family", READ_BY_TRANSFORMERS)
def test_the_readers_of_transformers_agree(family: str, tmp_path: Path) -> None:
    made = network(tmp_path / "network", family)
    write_gguf(tmp_path / "network", tmp_path / "n.gguf", GgufForm.F32, name="Tiny")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file="n.gguf", local_files_only=True, dtype=torch.float32
    )
    ours = made.state_dict()
    for name, weight in theirs.state_dict().items():
        torch.testing.assert_close(weight, ours[name], atol=1e-6, rtol=0, msg=name)


def test_a_file_is_registered_and_runs_as_the_network_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "probe", in_this_process)
    folder = tiny_model(tmp_path / "network", "qwen2", chat=True)
    write_gguf(folder, tmp_path / "tiny-q8.gguf", GgufForm.Q8_0, name="Tiny")
    home = tmp_path / "home"
    assert run(["register", str(tmp_path / "tiny-q8.gguf"), "--home", str(home)]) == 0
    said = capsys.readouterr().out
    entry = Catalog(home).usable("local.tiny-q8")
    assert said.startswith("local.tiny-q8 is in the catalogue: context 256 tokens, weights in ")
    assert "had been rounded to 8.5 bits before (Q8_0)" in said
    assert entry.notes in said
    assert entry.folder == home / "converted" / "local.tiny-q8"
    assert json.loads((entry.folder / "gguf.json").read_text())["source"] == "tiny-q8.gguf"
    served: Any = load.load_base(entry.folder)
    assert (next(served.parameters()).dtype, served.config.model_type) == (torch.float32, "qwen2")
    assert run(["register", str(tmp_path / "tiny-q8.gguf"), "--home", str(home)]) == 2
    assert "local.tiny-q8: this id is in the catalogue already. Choose another with --id." in capsys.readouterr().err
