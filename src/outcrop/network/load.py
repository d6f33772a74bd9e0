"""A base model from its Hugging Face directory, ready for rows of records.

Packed, it is any causal language model of `transformers` whose attention goes through its attention interface; one
record a row, it is any causal language model at all, run as `transformers` itself runs it.
"""

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from outcrop.errors import Invalid
from outcrop.network import facts, headers, rotary_lengths, weight_files
from outcrop.network.attention import IMPLEMENTATION, Layout, Packed
from outcrop.network.run_mode import RunMode
from outcrop.network.weight_files import OpenFile


def device() -> torch.device:
    """The accelerator when there is one, else the CPU."""
    return torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


def serving_dtype() -> torch.dtype:
    """fp32 on a CPU, where bf16 is slower and less exact; bf16 on a GPU."""
    return torch.bfloat16 if device().type == "cuda" else torch.float32


def load_base(
    folder: Path, *, trainable: bool = False, way: RunMode = RunMode.PACKED, open_file: OpenFile | None = None
) -> nn.Module:
    """The frozen network in `folder`, in evaluation mode, on `device()`, to be run in that way.

    `open_file` opens its weights where they are sealed. In `serving_dtype()`, but in fp32 when its own weights shall be
    `trainable`: small steps vanish in 16 bits. Raises Invalid for a folder that holds no causal language model, or not
    all of its weights.
    """
    if not (folder / "config.json").is_file():
        raise Invalid(
            f"{folder}: no config.json. A base model is a Hugging Face directory; name the folder that holds it."
        )
    asked = {
        "dtype": torch.float32 if trainable else serving_dtype(),
        "local_files_only": True,
        "output_loading_info": True,
        **_attention(way),
    }
    try:
        if open_file is not None and headers.is_sealed(folder):
            network, told = _from_sealed(folder, open_file, asked)
        else:
            headers.check_plain(folder)
            network, told = AutoModelForCausalLM.from_pretrained(folder, **asked)
    except (ValueError, KeyError) as error:
        if way is RunMode.PACKED and str(error) == repr(IMPLEMENTATION):  # families with a table of attention classes
            raise Invalid("its attention takes no function of others, so records cannot share a row.") from error
        raise Invalid(f"{folder}: transformers cannot load it as a causal language model: {error}") from error
    missing = sorted(told["missing_keys"])
    if missing:
        raise Invalid(
            f"{folder}: its files lack {len(missing)} of the network's weights, {missing[0]} among them. "
            f"{type(network).__name__} would begin with random numbers there. Save the whole model, then register it."
        )
    network.to(device()).eval().requires_grad_(False)
    if way is RunMode.PACKED:
        rotary_lengths.make_per_sequence(network)
    else:
        rotary_lengths.make_forgetful(network)
    return prepared(network, way)


def _from_sealed(folder: Path, open_file: OpenFile, asked: dict[str, Any]) -> tuple[Any, Any]:
    """The network of sealed weights: without a path the library takes them from memory, and touches no file."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):  # the one way to the class behind a configuration, without its numbers
        empty: Any = AutoModelForCausalLM.from_config(config)
    weights = weight_files.read_folder(folder, open_file)
    found: tuple[Any, Any] = type(empty).from_pretrained(None, config=empty.config, state_dict=weights, **asked)
    return found


def from_config(config: Any, *, dtype: torch.dtype, way: RunMode = RunMode.PACKED) -> nn.Module:
    """A network without contents that matter, as `load_base` would give it."""
    return prepared(AutoModelForCausalLM.from_config(config, dtype=dtype, **_attention(way)).eval(), way)


def prepared(network: Any, way: RunMode) -> nn.Module:
    """The network, which knows its way from now on."""
    network.config.use_cache = False
    network.way = way
    made: nn.Module = network
    return made


def way_of(network: nn.Module) -> RunMode:
    """The mode in which a network was loaded: packed, or one record a row."""
    return getattr(network, "way", RunMode.PACKED)  # a module that others made, as tests do, goes through our attention


def context_length(folder: Path) -> int:
    """Most tokens the model in `folder` attends to. Raises Invalid where its configuration does not say."""
    return facts.of_config(AutoConfig.from_pretrained(folder, local_files_only=True)).context


def inputs(network: nn.Module, ids_1T: Tensor, positions_1T: Tensor, layout: Layout) -> dict[str, Any]:
    """The keywords by which a row is given to a network, or to its decoder."""
    place = device()
    if way_of(network) is RunMode.PACKED:
        return {"input_ids": ids_1T.to(place), "position_ids": positions_1T.to(place), "layout": layout}
    assert isinstance(layout, Packed), "this network is not decoded through a layout"
    assert len(layout.lengths) == 1, "this network takes one record a row"
    return {"input_ids": ids_1T.to(place)}


def logits(network: nn.Module, ids_1T: Tensor, positions_1T: Tensor, layout: Layout, *, at_N: Tensor) -> Tensor:
    """Logits of shape NV at the positions `at_N` of the row; the head runs over these alone, where it can."""
    given = inputs(network, ids_1T, positions_1T, layout)
    at_N = at_N.to(device())
    if way_of(network) is RunMode.PACKED or accepts(network, "logits_to_keep"):
        out = network(**given, logits_to_keep=at_N, use_cache=False)
        return out.logits[0]  # type: ignore[no-any-return]
    return network(**given, use_cache=False).logits[0].index_select(0, at_N)  # type: ignore[no-any-return]


def accepts(network: nn.Module, keyword: str) -> bool:
    """Whether its forward pass names this argument."""
    return keyword in inspect.signature(network.forward).parameters


def _attention(way: RunMode) -> dict[str, str]:
    """Without a name, `transformers` chooses sdpa where a family has it, else its plain attention."""
    return {"attn_implementation": IMPLEMENTATION} if way is RunMode.PACKED else {}
