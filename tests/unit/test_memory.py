"""The estimate of a run's memory: from the model's files alone, more for more, and honest about what is short."""

import json
from pathlib import Path

import pytest

from outcrop.customization import memory
from outcrop.errors import Invalid
from outcrop.network.method import OFT, Full, LoRA, Method
from tests.tiny import ARCHITECTURES, tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "gemma3"])
def test_every_family_can_be_estimated(architecture: str, tmp_path: Path) -> None:
    assert architecture in ARCHITECTURES
    model = tiny_model(tmp_path, architecture)
    assert memory.need(model, longest_tokens=100, method=LoRA(rank=8, alpha=1)).total > 0
    assert 5e-5 <= memory.recommended_rate(model) <= 3e-3


def test_the_weights_are_counted_from_the_header(folder: Path) -> None:
    size = (folder / "model.safetensors").stat().st_size  # fp32, so four bytes a parameter, and a short header
    weights = memory.need(folder, longest_tokens=1, method=LoRA(rank=1, alpha=1)).weights
    assert 0 <= size - weights < 10_000


def test_a_longer_record_needs_more_beyond_a_row(folder: Path) -> None:
    within = memory.need(folder, longest_tokens=memory.ROW_TOKENS, method=LoRA(rank=8, alpha=1)).total
    assert memory.need(folder, longest_tokens=1, method=LoRA(rank=8, alpha=1)).total == within
    assert memory.need(folder, longest_tokens=2 * memory.ROW_TOKENS, method=LoRA(rank=8, alpha=1)).total > within


@pytest.mark.parametrize(
    "more", [LoRA(rank=32, alpha=1), LoRA(rank=8, alpha=1, decomposed=True), OFT(block_size=32), Full()]
)
def test_a_method_that_remembers_more_needs_more(more: Method, folder: Path) -> None:
    plain = memory.need(folder, longest_tokens=1, method=LoRA(rank=8, alpha=1)).total
    assert memory.need(folder, longest_tokens=1, method=more).total > plain


def test_what_does_not_fit_is_refused_with_numbers(folder: Path) -> None:
    wanted = memory.need(folder, longest_tokens=1, method=LoRA(rank=8, alpha=1))
    memory.check("local.tiny-v1", wanted, free=wanted.total)
    with pytest.raises(
        Invalid, match=r"^local\.tiny-v1: training needs about 0\.7 GiB .* has 0\.5 GiB free\. Free some memory"
    ):
        memory.check("local.tiny-v1", wanted, free=2**29)


def test_a_multimodal_models_numbers_are_found_one_level_deeper(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({"text_config": config}))
    assert memory.recommended_rate(tmp_path) == memory.recommended_rate(folder)
