"""Random weights in smaller sizes: every family makes a network that runs, and the same seed gives the same bits."""

import json
from pathlib import Path

import pytest
import torch

from outcrop.errors import Invalid
from outcrop.network import headers, load, random_weights, sizes
from outcrop.network.attention import Packed
from outcrop.network.sizes import Vocabulary
from tests.support.tiny import ARCHITECTURES, tiny_model

IDS = [1, 7, 45, 99, 200, 63, 7]


def described(base: Path, folder: Path, *, width: int | None = 32, layers: int | None = 1) -> sizes.Sizes:
    made = sizes.scaled(base, layers=layers, width=width)
    vocabulary = Vocabulary(size=210, ids={"bos_token_id": 3, "eos_token_id": 4, "pad_token_id": 5})
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(sizes.configuration(base, made, vocabulary)))
    return made


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_smaller_network_of_every_family_runs(architecture: str, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", architecture)
    made = described(base, tmp_path / "made")
    count = random_weights.write(tmp_path / "made", seed=0)
    network = load.load_base(tmp_path / "made", trainable=True)
    layout = Packed(lengths=[len(IDS)])
    found = load.logits(network, torch.tensor([IDS]), layout.positions(), layout, at_N=torch.arange(len(IDS)))
    assert found.shape == (len(IDS), 210)
    assert bool(found.isfinite().all())
    # and it has about as many numbers as were told before it was made
    assert abs(sizes.num_parameters(base, made, vocabulary=210) - count) < 0.15 * count
    assert headers.num_parameters(tmp_path / "made") <= count < headers.num_parameters(base) / 2


def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    contents = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        described(base, folder)
        torch.manual_seed(number)  # whatever was drawn before
        random_weights.write(folder, seed=seed)
        contents.append((folder / "model.safetensors").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_only_the_weights_are_written(tmp_path: Path) -> None:
    described(tiny_model(tmp_path / "base"), tmp_path / "made")
    before = (tmp_path / "made" / "config.json").read_bytes()
    random_weights.write(tmp_path / "made", seed=0)
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["config.json", "model.safetensors"]
    assert (tmp_path / "made" / "config.json").read_bytes() == before


def test_sizes_of_which_no_network_can_be_made_are_refused(tmp_path: Path) -> None:
    described(tiny_model(tmp_path / "base"), tmp_path / "made")
    config = json.loads((tmp_path / "made" / "config.json").read_text())
    (tmp_path / "made" / "config.json").write_text(json.dumps(config | {"hidden_act": "none such"}))
    with pytest.raises(Invalid, match=r"no llama network can be made of these sizes .* or choose others\.$"):
        random_weights.write(tmp_path / "made", seed=0)


@pytest.mark.parametrize("architecture", ["phi3_longrope"])
def test_positions_written_for_one_width_of_a_head_are_kept(architecture: str, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", architecture)
    with pytest.raises(Invalid) as refused:
        sizes.scaled(base, layers=None, width=24)
    assert refused.value.message == (
        "hyperParameters.outcrop.width: the positions of this network are written for heads of 16. Choose a multiple "
        "of 16."
    )
    assert sizes.scaled(base, layers=None, width=32).heads == 2
