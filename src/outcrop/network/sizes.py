"""A configuration of fewer layers and less width, in the family of a network that is there. JSON alone; no tensors.

Heads, key-value heads and inner widths go with the width. Nothing is known here of single families: whether a network
of these sizes runs is for the probe to find.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid
from outcrop.network import facts, headers
from outcrop.network.facts import Facts

_STEP = 8
"Widths are multiples of it: heads of an even width are left, which rotary positions need."
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_head_kv")
_INNER = (
    "intermediate_size", "moe_intermediate_size", "shared_expert_intermediate_size", "n_inner", "ffn_dim",
    "ffn_hidden_size", "d_ff", "mlp_hidden_size", "intermediate_dim",
)  # fmt: skip
_AS_WIDE = ("word_embed_proj_dim", "embedding_size", "lru_width")
"Where they equal the width, they go with it."
_AS_WIDE_AS_A_HEAD = ("query_pre_attn_scalar", "rotary_dim", "rotary_ndims")
_AS_MANY_AS_LAYERS = ("max_window_layers", "num_kv_shared_layers")
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a decoder; 0 for what its family does not have or name."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    inner: int

    def __str__(self) -> str:
        """The sizes in a plan's words."""
        told = [f"{_counted(self.layers, 'layer')} of width {self.width:,}"]
        if self.heads:
            told.append(f"{_counted(self.heads, 'head')} of {self.head_width}")
        if self.kv_heads and self.kv_heads != self.heads:
            told.append(f"{self.kv_heads} for keys and values")
        if self.inner:
            told.append(f"inner width {self.inner:,}")
        return ", ".join(told)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The number of a tokenizer's ids, and those of its special tokens that a configuration names."""

    size: int
    ids: Mapping[str, int | list[int] | None]
    "bos_token_id, eos_token_id, pad_token_id."


def scaled(folder: Path, *, layers: int | None, width: int | None) -> Sizes:
    """The sizes of the network in `folder`, with so many layers and such a width where they are given.

    Raises Invalid for numbers that it cannot have.
    """
    described = facts.read(folder)
    before = of(described)
    _check_most("layers", layers, before.layers)
    _check_most("width", width, before.width)
    if width is None or width == before.width:
        return _replaced(before, layers=layers or before.layers)
    if width % _STEP:
        raise Invalid(
            f"hyperParameters.outcrop.width: {width} is no multiple of {_STEP}. Choose {_around(width, before.width)}."
        )
    heads, head_width = _heads(before, width)
    if head_width != before.head_width and _is_stretched(described):
        raise Invalid(
            f"hyperParameters.outcrop.width: the positions of this network are written for heads of "
            f"{before.head_width}. Choose a multiple of {before.head_width}."
        )
    return Sizes(
        layers=layers or before.layers,
        width=width,
        heads=heads,
        kv_heads=_kv_heads(before, heads),
        head_width=head_width,
        inner=_in_steps(before.inner * width / before.width) if before.inner else 0,
    )


def of(described: Facts) -> Sizes:
    """The sizes that a configuration names."""
    heads = described.heads
    return Sizes(
        layers=described.layers,
        width=described.width,
        heads=heads,
        kv_heads=_first(described.named, _KV_HEADS) or heads,
        head_width=described.head_width,
        inner=_first(described.named, _INNER),
    )


def configuration(folder: Path, sizes: Sizes, vocabulary: Vocabulary | None) -> dict[str, Any]:
    """The content of `folder`'s config.json, for a network of these sizes and with this vocabulary.

    None: its own vocabulary.
    """
    described = json.loads((folder / "config.json").read_text("utf-8"))
    before = of(facts.read(folder))
    for part in facts.parts(described):
        _resize(part, before, sizes)
        if vocabulary is not None:
            _rename_ids(part, vocabulary)
    described.pop("dtype", None)  # random weights are written as they are trained, in 32 bits
    described.pop("torch_dtype", None)
    return dict(described)


def num_parameters(folder: Path, sizes: Sizes, *, vocabulary: int | None) -> int:
    """About how many numbers the network of `folder` has when it is made of these sizes."""
    before, count = of(facts.read(folder)), 0.0
    ids = facts.read(folder).named.get("vocab_size")
    ratio = sizes.width / before.width
    for name, shape in headers.shapes(folder).items():
        numbers = [int(part) for part in name.split(".") if part.isdigit()]
        if numbers and numbers[0] >= sizes.layers:
            continue
        if not numbers and vocabulary is not None and ids in shape:
            count += vocabulary * math.prod(shape) / ids * ratio
            continue
        count += math.prod(shape) * ratio ** (2 if numbers and len(shape) > 1 else 1)
    return round(count)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _replaced(before: Sizes, *, layers: int) -> Sizes:
    return Sizes(**{**vars(before), "layers": layers})


def _check_most(what: str, asked: int | None, most: int) -> None:
    if asked is not None and asked > most:
        raise Invalid(
            f"hyperParameters.outcrop.{what}: {asked:,} is more than the {most:,} of the base model. Choose at most "
            f"{most:,}, or a larger base model."
        )


def _around(width: int, most: int) -> str:
    below, above = width // _STEP * _STEP, -(-width // _STEP) * _STEP
    return " or ".join(str(one) for one in (below, above) if 0 < one <= most)


def _heads(before: Sizes, width: int) -> tuple[int, int]:
    """Heads as wide as the base's, or nearly, of which a whole number fits; their number and width."""
    if not before.heads:
        return 0, 0
    if before.head_width * before.heads != before.width:  # its heads are as wide as they like
        return max(1, round(before.heads * width / before.width)), before.head_width
    fitting = [heads for heads in range(1, before.heads + 1) if width % (2 * heads) == 0]
    heads = min(fitting, key=lambda heads: abs(math.log(width / heads / before.head_width)))
    return heads, width // heads


def _kv_heads(before: Sizes, heads: int) -> int:
    """A divisor of the heads, nearest to the share that the base has."""
    if not heads:
        return 0
    wanted = heads * before.kv_heads / before.heads
    return min((n for n in range(1, heads + 1) if heads % n == 0), key=lambda n: abs(math.log(n / wanted)))


def _in_steps(number: float) -> int:
    return max(_STEP, round(number / _STEP) * _STEP)


def _is_stretched(described: Facts) -> bool:
    """Whether its rotary positions have a number of their own for each place in a head."""
    rope = described.named.get("rope_parameters") or described.named.get("rope_scaling") or {}
    return any(isinstance(value, list) for value in rope.values())


def _resize(part: dict[str, Any], before: Sizes, sizes: Sizes) -> None:
    """Change the numbers of one level of a configuration in place."""
    named = (
        (facts.LAYER_NAMES, sizes.layers),
        (facts.WIDTH_NAMES, sizes.width),
        (facts.HEAD_NAMES, sizes.heads),
        (_KV_HEADS, sizes.kv_heads),
        (facts.HEAD_WIDTH_NAMES, sizes.head_width),
    )
    for key, value in part.items():
        if isinstance(value, list) and len(value) == before.layers and sizes.layers != before.layers:
            part[key] = value[: sizes.layers]
        if not isinstance(value, int) or isinstance(value, bool):
            continue
        for names, number in named:
            if key in names:
                part[key] = number
        if key in _INNER and sizes.width != before.width:
            part[key] = _in_steps(value * sizes.width / before.width)
        if key in _AS_WIDE and value == before.width:
            part[key] = sizes.width
        if key in _AS_WIDE_AS_A_HEAD:
            part[key] = sizes.head_width if value == before.head_width else min(value, sizes.head_width)
        if key in _AS_MANY_AS_LAYERS:
            part[key] = min(value, sizes.layers)


def _rename_ids(part: dict[str, Any], vocabulary: Vocabulary) -> None:
    if "vocab_size" in part:
        part["vocab_size"] = vocabulary.size
    for name in _IDS:
        if name in part:
            part[name] = vocabulary.ids.get(name)


def _first(named: Mapping[str, Any], names: tuple[str, ...]) -> int:
    found = (named.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), 0)
