"""The one attention function gives what `transformers` gives, in every family that a tiny model is made of."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from outcrop.network import load
from outcrop.network.attention import Packed
from tests.support.tiny import ARCHITECTURES, tiny_model

LENGTHS = (41, 23)  # both longer than the sliding windows


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_records_side_by_side_give_the_logits_of_each_alone(architecture: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, architecture)
    eager = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(0)
    records = [torch.randint(6, 300, (1, length), generator=generator) for length in LENGTHS]
    layout = Packed(lengths=LENGTHS)
    with torch.inference_mode():
        alone = torch.cat([eager(input_ids=ids_1T).logits[0] for ids_1T in records])
        row_1T, every_N = torch.cat(records, dim=1), torch.arange(sum(LENGTHS))
        packed = load.logits(load.load_base(folder), row_1T, layout.positions(), layout, at_N=every_N)
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=1e-4)
