"""The least memory of a run: from the headers of the model's files alone, and honest about what is short."""

import json
from pathlib import Path

import pytest

from outcrop.customization import memory
from outcrop.errors import Invalid
from outcrop.network.adapters.method import OFT, Full, LoRA, Method
from tests.support.tiny import ARCHITECTURES, tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "gemma3"])
def test_every_family_can_be_bounded(architecture: str, tmp_path: Path) -> None:
    assert architecture in ARCHITECTURES
    model = tiny_model(tmp_path, architecture)
    assert memory.need(model, method=LoRA(rank=8, alpha=1)).trained > 0
    assert 5e-5 <= memory.recommended_rate(model) <= 3e-3


def test_the_weights_are_counted_from_the_header(folder: Path) -> None:
    size = (folder / "model.safetensors").stat().st_size  # fp32, so four bytes a parameter, and a short header
    weights = memory.need(folder, method=LoRA(rank=1, alpha=1)).weights
    assert 0 <= size - weights < 10_000


@pytest.mark.parametrize(("method", "num_trained"), [(LoRA(rank=8, alpha=1), 16_384), (Full(), 123_200)])
def test_what_learns_is_counted_with_its_copies(method: Method, num_trained: int, folder: Path) -> None:
    copies = 6 if isinstance(method, Full) else 7
    assert memory.need(folder, method=method).trained == num_trained * 4 * copies


def test_only_the_layers_that_are_named_count(folder: Path) -> None:
    """Two query projections of 64 x 64."""
    wanted = memory.need(folder, method=LoRA(rank=8, alpha=1, targets=("q_proj",)))
    assert wanted.trained == 2 * 8 * 128 * 4 * 7


@pytest.mark.parametrize("more", [LoRA(rank=32, alpha=1), Full()])
def test_a_method_that_learns_more_needs_more(more: Method, folder: Path) -> None:
    assert memory.need(folder, method=more).total > memory.need(folder, method=OFT(block_size=16)).total


def test_what_cannot_fit_is_refused_with_numbers(folder: Path) -> None:
    wanted = memory.need(folder, method=LoRA(rank=8, alpha=1))
    memory.check("local.tiny-v1", wanted, free=wanted.total)
    with pytest.raises(
        Invalid, match=r"^local\.tiny-v1: training needs at least 0\.3 GiB .* has 0\.2 GiB free\. Free some memory"
    ):
        memory.check("local.tiny-v1", wanted, free=2**28)


def test_a_multimodal_models_numbers_are_found_one_level_deeper(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({"text_config": config}))
    assert memory.recommended_rate(tmp_path) == memory.recommended_rate(folder)
