"""Adapters and networks of others: which base they belong to, and what does not fit it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.customization import adopted
from outcrop.errors import Invalid, NotFound
from tests.support.gguf_files import small_network, write_weights

BASE = "local.small-v1"
CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": BASE}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    home = tmp_path / "home"
    home.mkdir()
    found = Catalog(home)
    found.register(
        small_network(tmp_path / "base"), model_id=BASE, name="Small", context_length=256, licence="none", verdict=None
    )
    return found


def adapter(folder: Path, *, rank: int = 4, layer: str = "model.layers.0.self_attn.q_proj", **config: Any) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | config))
    weights = {
        f"base_model.model.{layer}.lora_A.weight": np.zeros((rank, 64), np.float32),
        f"base_model.model.{layer}.lora_B.weight": np.zeros((64, rank), np.float32),
    }
    write_weights(folder / "adapter_model.safetensors", weights)
    return folder


def test_an_adapter_finds_its_base_by_id_repository_or_directory(catalog: Catalog, tmp_path: Path) -> None:
    for number, name in enumerate((BASE, f"{BASE}:0", str(tmp_path / "base"))):
        found = adopted.look_at(adapter(tmp_path / str(number), base_model_name_or_path=name), catalog)
        assert (found.base.id, found.is_adapter) == (BASE, True)
    known = adopted.base_named("qwen/qwen3-0.6b", catalog)
    assert known is not None
    assert known.id == "qwen.qwen3-0-6b-v1"
    pulled = small_network(tmp_path / "home" / "hub" / "somebody" / "small")
    catalog.register(pulled, model_id="somebody.small", name="S", context_length=256, licence="none")
    found = adopted.look_at(adapter(tmp_path / "b", base_model_name_or_path="somebody/small"), catalog)
    assert found.base.id == "somebody.small"


def test_a_base_that_is_named_in_the_request_counts(catalog: Catalog, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", base_model_name_or_path="somebody/else")
    assert adopted.look_at(folder, catalog, base=BASE).base.id == BASE


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"base_model_name_or_path": "somebody/else"},
        "its base 'somebody/else' is not in the catalogue. `outcrop pull somebody/else` or `outcrop register FOLDER`",
    ),
    ({"base_model_name_or_path": None}, "base_model_name_or_path: missing: it names no base."),
    ({"base_model_name_or_path": 7}, "base_model_name_or_path: expected a text, found the number 7"),
    ({"peft_type": "IA3"}, "peft_type IA3 is not supported. Save the adapter as LoRA, DoRA or OFT."),
    ({"r": 8}, "its shape [4, 64] fits neither the rank 8 of adapter_config.json nor"),
    ({"modules_to_save": ["lm_head"]}, "modules_to_save is not supported."),
    ({"layer": "model.layers.9.self_attn.q_proj"}, "has no linear layer model.layers.9.self_attn.q_proj."),
    ({"layer": "model.embed_tokens"}, "has no linear layer model.embed_tokens."),
]


@pytest.mark.parametrize(("changed", "told"), REFUSED)
def test_an_adapter_that_does_not_fit_is_refused(
    catalog: Catalog, tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(Invalid) as refused:
        adopted.look_at(adapter(tmp_path / "a", **changed), catalog)
    assert told in refused.value.message


def test_a_base_that_waits_for_its_weights_is_told(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"outcrop pull qwen\.qwen3-0-6b-v1"):
        adopted.look_at(adapter(tmp_path / "a", base_model_name_or_path="Qwen/Qwen3-0.6B"), catalog)


def test_a_whole_network_belongs_to_the_base_that_is_alike(catalog: Catalog, tmp_path: Path) -> None:
    merged = small_network(tmp_path / "merged")
    found = adopted.look_at(merged, catalog)
    assert (found.base.id, found.is_adapter) == (BASE, False)
    with pytest.raises(Invalid, match="a qwen2 network, and no base model of the catalogue is alike"):
        adopted.look_at(small_network(tmp_path / "other", "qwen2"), catalog)


def test_the_form_is_that_of_our_own_description_where_there_is_one(catalog: Catalog, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    assert adopted.look_at(folder, catalog).prompt_format.value == "chat"
    (folder / "custom_model.json").write_text('{"prompt_format": "Q: {prompt} A:"}')
    assert adopted.look_at(folder, catalog).prompt_format.value == "Q: {prompt} A:"
    (folder / "custom_model.json").write_text('{"prompt_format": "no place"}')
    with pytest.raises(Invalid, match=r"custom_model.json: prompt_format: 'no place' is none"):
        adopted.look_at(folder, catalog)


def test_an_unknown_base_of_a_request_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises((Invalid, NotFound), match="not in the catalogue"):
        adopted.look_at(adapter(tmp_path / "a"), catalog, base="nobody.knows-v1")
