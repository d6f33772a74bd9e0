"""The metadata of a GGUF file from a network's config.json: the way back of `configuration.py`.

What llama.cpp would compute otherwise than transformers is refused by its name: a file that loads and answers otherwise
is worse than none.
"""

import math
from collections.abc import Mapping
from typing import Any

from outcrop.json_files import FileProblem
from outcrop.network.gguf.configuration import (
    ACTIVATIONS,
    GEMMA3_LOCAL_THETA,
    GEMMA3_PATTERN,
    GEMMA_LARGE,
    LLAMA3_HIGH,
    LLAMA3_LOW,
    SMOLLM3_STEP,
    llama3_factors,
)
from outcrop.network.gguf.families import ROPE_FREQS, ROPE_LONG, ROPE_SHORT, GgufFamily

Numbers = dict[str, int | float | str]
"By llama.cpp's keys, without the architecture before them."


class NetworkConfig:
    """The members of a config.json, each checked when it is asked for."""

    def __init__(self, config: Mapping[str, Any], family: GgufFamily) -> None:
        self.config = config
        self.family = family

    def whole(self, name: str, otherwise: int | None = None) -> int:
        """A number of things. Raises FileProblem."""
        value = self.config.get(name)
        value = otherwise if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise FileProblem(f"config.json: {name}: {value!r} is no number of things")
        return value

    def real(self, name: str) -> float:
        value = self.config.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise FileProblem(f"config.json: {name}: {value!r} is no number")
        return float(value)

    def refuse(self, name: str, why: str) -> FileProblem:
        return FileProblem(f"config.json: {name}: {why}, and llama.cpp's {self.family.architecture} has it otherwise")

    @property
    def heads(self) -> int:
        return self.whole("num_attention_heads")

    @property
    def kv_heads(self) -> int:
        return self.whole("num_key_value_heads", self.heads)

    @property
    def head_width(self) -> int:
        return self.whole("head_dim", self.whole("hidden_size") // self.heads)

    @property
    def layers(self) -> int:
        return self.whole("num_hidden_layers")

    @property
    def is_tied(self) -> bool:
        return self.family.always_tied or bool(self.config.get("tie_word_embeddings"))


def numbers_of(network: NetworkConfig) -> tuple[Numbers, dict[str, list[float]]]:
    """The numbers of a network, and the tensors that its rotations need. Raises FileProblem."""
    _check(network)
    numbers: Numbers = {
        "vocab_size": network.whole("vocab_size"),
        "context_length": network.whole("max_position_embeddings"),
        "embedding_length": network.whole("hidden_size"),
        "block_count": network.layers,
        "feed_forward_length": network.whole("intermediate_size"),
        "attention.head_count": network.heads,
        "attention.head_count_kv": network.kv_heads,
        "attention.key_length": network.head_width,
        "attention.value_length": network.head_width,
        "attention.layer_norm_rms_epsilon": network.real("rms_norm_eps"),
    }
    more, factors = _rotations(network)
    return numbers | more | _of_family(network), factors


def _check(network: NetworkConfig) -> None:
    config, kind = network.config, network.family.architecture
    activation = config.get("hidden_activation") or config.get("hidden_act") or "silu"
    wanted = ACTIVATIONS.get(kind, "silu")
    if activation != wanted:
        raise network.refuse("hidden_act", f"{activation} where it should be {wanted}")
    if config.get("model_type") == "mistral" and config.get("sliding_window") is not None:
        raise network.refuse("sliding_window", f"each layer sees {config['sliding_window']} tokens")
    if config.get("use_sliding_window"):
        raise network.refuse("use_sliding_window", "some layers see a window")
    if kind == "smollm3":
        wanted_layers = [int((layer + 1) % SMOLLM3_STEP != 0) for layer in range(network.layers)]
        if (config.get("no_rope_layers") or wanted_layers) != wanted_layers:
            raise network.refuse("no_rope_layers", "other layers than every fourth are not rotated")
    if kind in GEMMA_LARGE:
        _check_gemma(network)


def _check_gemma(network: NetworkConfig) -> None:
    kind, config = network.family.architecture, network.config
    large = network.layers == GEMMA_LARGE[kind]
    scale = network.whole("hidden_size") // network.heads if large else network.head_width
    if network.real("query_pre_attn_scalar") != scale:
        raise network.refuse(
            "query_pre_attn_scalar", f"{config.get('query_pre_attn_scalar')} where it should be {scale}"
        )
    pattern = 2 if kind == "gemma2" else GEMMA3_PATTERN
    wanted = [
        "full_attention" if (layer + 1) % pattern == 0 else "sliding_attention" for layer in range(network.layers)
    ]
    if (config.get("layer_types") or wanted) != wanted:
        raise network.refuse("layer_types", f"other layers than each {pattern}th see everything")
    if config.get("use_bidirectional_attention"):
        raise network.refuse("use_bidirectional_attention", "tokens see those behind them")
    caps = ("attn_logit_softcapping", "final_logit_softcapping")
    if kind == "gemma3" and any(config.get(name) for name in caps):
        raise network.refuse(caps[1], "logits are capped")


def _of_family(network: NetworkConfig) -> Numbers:
    kind = network.family.architecture
    if kind == "gemma2":
        return {
            "attention.sliding_window": network.whole("sliding_window"),
            "attn_logit_softcapping": network.real("attn_logit_softcapping"),
            "final_logit_softcapping": network.real("final_logit_softcapping"),
        }
    if kind == "gemma3":
        return {"attention.sliding_window": network.whole("sliding_window")}
    if kind == "phi3":
        context = network.whole("max_position_embeddings")
        return {
            "attention.sliding_window": network.whole("sliding_window", context),
            "rope.scaling.original_context_length": network.whole("original_max_position_embeddings", context),
        }
    return {}


def _rotations(network: NetworkConfig) -> tuple[Numbers, dict[str, list[float]]]:
    config = network.config
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if network.family.architecture == "gemma3":
        local = rope.get("sliding_attention") or {}
        if float(local.get("rope_theta", GEMMA3_LOCAL_THETA)) != GEMMA3_LOCAL_THETA:
            raise network.refuse("rope_parameters", f"local layers turn by {local.get('rope_theta')}")
        rope = dict(rope.get("full_attention") or rope)
    theta = rope.get("rope_theta", config.get("rope_theta"))
    if isinstance(theta, bool) or not isinstance(theta, int | float):
        raise FileProblem("config.json: rope_parameters: rope_theta: missing, or no number")
    part = float(rope.get("partial_rotary_factor", config.get("partial_rotary_factor")) or 1)
    if part != 1 and network.family.architecture != "phi3":
        raise network.refuse("partial_rotary_factor", f"a share of {part} of each head is rotated")
    numbers: Numbers = {"rope.freq_base": float(theta), "rope.dimension_count": int(part * network.head_width)}
    kind = str(rope.get("rope_type", rope.get("type", "default")))
    rope = {**rope, "rope_theta": float(theta)}
    if kind == "default":
        return numbers, {}
    if kind in ("linear", "yarn") and network.family.architecture != "phi3":
        return numbers | _stretched(network, rope, kind), {}
    if kind == "llama3" and (rope.get("low_freq_factor"), rope.get("high_freq_factor")) == (LLAMA3_LOW, LLAMA3_HIGH):
        return numbers, {ROPE_FREQS: llama3_factors(rope, network.head_width)}
    if kind == "longrope" and network.family.architecture == "phi3":
        return numbers | _longrope(network, rope), {ROPE_LONG: rope["long_factor"], ROPE_SHORT: rope["short_factor"]}
    raise network.refuse("rope_parameters", f"rotations are stretched by {kind}")


def _stretched(network: NetworkConfig, rope: Mapping[str, Any], kind: str) -> Numbers:
    found: Numbers = {"rope.scaling.type": kind, "rope.scaling.factor": float(rope["factor"])}
    if kind == "linear":
        return found
    odd = [name for name in ("attention_factor", "beta_fast", "beta_slow", "mscale") if rope.get(name) is not None]
    if odd:
        raise network.refuse("rope_parameters", f"{odd[0]} is {rope[odd[0]]}")
    original = rope.get("original_max_position_embeddings", network.config.get("max_position_embeddings"))
    return found | {"rope.scaling.original_context_length": int(original)}


def _longrope(network: NetworkConfig, rope: Mapping[str, Any]) -> Numbers:
    """The scale of attention is written as a number, where transformers computes it from the two lengths."""
    original = network.whole("original_max_position_embeddings", rope.get("original_max_position_embeddings"))
    factor = network.whole("max_position_embeddings") / original
    attention = rope.get("attention_factor")
    if attention is None:
        attention = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    return {"rope.scaling.attn_factor": float(attention)}
