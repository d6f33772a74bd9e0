"""A base model from its Hugging Face directory, ready for packed rows. Any causal language model of `transformers`
whose attention goes through its attention interface will do."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from outcrop.errors import Invalid
from outcrop.network import rotary_lengths
from outcrop.network.attention import IMPLEMENTATION, Layout


def device() -> torch.device:
    """The accelerator when there is one, else the CPU."""
    return torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


def serving_dtype() -> torch.dtype:
    """fp32 on a CPU, where bf16 is slower and less exact; bf16 on a GPU."""
    return torch.bfloat16 if device().type == "cuda" else torch.float32


def load_base(folder: Path, *, trainable: bool = False) -> nn.Module:
    """The frozen network in `folder`, in evaluation mode, on `device()`.

    In `serving_dtype()`, but in fp32 when its own weights shall be `trainable`: small steps vanish in 16 bits. Raises
    Invalid for a folder that holds no causal language model.
    """
    if not (folder / "config.json").is_file():
        raise Invalid(
            f"{folder}: no config.json. A base model is a Hugging Face directory; name the folder that holds it."
        )
    try:
        network: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32 if trainable else serving_dtype(),
            attn_implementation=IMPLEMENTATION,
            local_files_only=True,
        )
    except (ValueError, KeyError) as error:
        raise Invalid(f"{folder}: transformers cannot load it as a causal language model: {error}") from error
    network.config.use_cache = False
    loaded: nn.Module = network.to(device()).eval().requires_grad_(False)
    rotary_lengths.make_per_sequence(loaded)
    return loaded


def context_length(folder: Path) -> int:
    """Most tokens the model in `folder` attends to."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config()
    return int(config.max_position_embeddings * rotary_lengths.stretched(config))


def logits(network: nn.Module, ids_1T: Tensor, positions_1T: Tensor, layout: Layout, *, at_N: Tensor) -> Tensor:
    """Logits of shape NV at the positions `at_N` of the row; the head runs over these alone."""
    place = device()
    out = network(
        input_ids=ids_1T.to(place),
        position_ids=positions_1T.to(place),
        layout=layout,
        logits_to_keep=at_N.to(place),
        use_cache=False,
    )
    return out.logits[0]  # type: ignore[no-any-return]
