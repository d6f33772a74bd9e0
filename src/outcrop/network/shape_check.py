"""Shapes of a directory's weights held against its config.json, from the headers of its files. No tensor is read.

What every family has in common is looked at: how many layers there are, how wide they are, how many tokens. The rest is
compared with the network itself, without contents, by the probe.
"""

import re
from pathlib import Path

from outcrop.errors import Invalid, ModelDamaged
from outcrop.network import facts, headers

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.")
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|embed_in|word_embeddings|tok_embeddings)\.weight$")
_OWN_WIDTHS = ("word_embed_proj_dim", "embedding_size", "hidden_size_per_layer_input")
_MOST_LAYERS = 4_096
_TYPES = ("F32", "F16", "BF16", "F64")
_MEND = "Put the files of one model together, and import them again."


def check(folder: Path) -> None:
    """Raises Invalid for weights that are not those of the network that config.json describes."""
    described = facts.read(folder)
    try:
        shapes = headers.shapes(folder)
        quantized = headers.other_types(folder, _TYPES)
    except ModelDamaged as damaged:
        raise Invalid(damaged.message) from damaged
    if quantized is not None:
        raise Invalid(
            f"{folder}: {quantized.name} is {quantized.dtype}: weights are taken as BF16, FP16 or "
            "FP32. Save the model without quantization."
        )
    layers = described.layers
    if not 0 < layers <= _MOST_LAYERS:
        raise Invalid(f"{folder}/config.json: {layers:,} layers are more than a network has. {_MEND}")
    found = {int(match[1]) for name in shapes if (match := _LAYER.search(name))}
    if found and not set(range(layers)) <= found:
        raise Invalid(f"{folder}/config.json: tells of {layers} layers, and the weights have {len(found)}: {_MEND}")
    for name, shape in shapes.items():
        if _EMBEDDING.search(name) and len(shape) == 2:
            _check_embedding(folder, described, name, shape)


def _check_embedding(folder: Path, described: facts.Facts, name: str, shape: tuple[int, ...]) -> None:
    rows = described.named.get("vocab_size")
    if isinstance(rows, int) and shape[0] != rows:
        raise Invalid(f"{folder}/config.json: vocab_size is {rows:,}, and {name} has {shape[0]:,} rows. {_MEND}")
    if shape[1] not in _widths(described):
        raise Invalid(f"{folder}/config.json: the width is {described.width:,}, and {name} has {shape[1]:,}. {_MEND}")


def _widths(described: facts.Facts) -> set[int]:
    """The widths that an embedding may have: the network's, or one of its own where the family has such."""
    own = (
        described.named.get(name) for name in ("word_embed_proj_dim", "embedding_size", "hidden_size_per_layer_input")
    )
    return {described.width, *(width for width in own if isinstance(width, int))}
