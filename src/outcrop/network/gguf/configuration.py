"""The configuration of a network from a GGUF file's metadata: config.json as transformers reads it.

Both name the same numbers; what llama.cpp knows by the architecture alone, and config.json says, is written here.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from outcrop.json_files import FileProblem
from outcrop.network.gguf.families import ROPE_FREQS, ROPE_LONG, ROPE_SHORT, GgufFamily
from outcrop.network.gguf.header import GgufHeader

_MOST = 1 << 31
GEMMA_LARGE = {"gemma2": 46, "gemma3": 62}
"Layers of the one size of a family whose attention is scaled by the width of the network over its heads."
GEMMA3_PATTERN, GEMMA3_LOCAL_THETA = 6, 10_000.0
SMOLLM3_STEP = 4
LLAMA3_LOW, LLAMA3_HIGH = 1.0, 4.0
_CLOSE = 1e-4
_TOKEN_IDS = {"bos": "bos_token_id", "eos": "eos_token_id", "padding": "pad_token_id"}
ACTIVATIONS = {"gemma": "gelu_pytorch_tanh", "gemma2": "gelu_pytorch_tanh", "gemma3": "gelu_pytorch_tanh"}
"Of the MLP; the other families have silu."


class GgufNumbers:
    """The numbers of one architecture in a file's metadata, each checked when it is asked for."""

    def __init__(self, header: GgufHeader, family: GgufFamily) -> None:
        self.header = header
        self.family = family

    def whole(self, key: str, otherwise: int | None = None) -> int:
        """A number of things. Raises FileProblem where it is missing, none, or differs from layer to layer."""
        value = self._value(key)
        value = otherwise if value is None else value
        if value is None:
            raise self.problem(key, "missing")
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _MOST:
            raise self.problem(key, f"{value!r} is no number of things")
        return value

    def real(self, key: str, otherwise: float | None = None) -> float:
        """A finite number, as it was before it was rounded to 32 bits. Raises FileProblem."""
        value = self._value(key)
        value = otherwise if value is None else value
        if value is None:
            raise self.problem(key, "missing")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.problem(key, f"{value!r} is no finite number")
        return float(str(np.float32(value)))

    def has(self, key: str) -> bool:
        return f"{self.family.architecture}.{key}" in self.header.metadata

    def problem(self, key: str, what: str) -> FileProblem:
        return FileProblem(f"{self.header.path.name}: {self.family.architecture}.{key}: {what}")

    def _value(self, key: str) -> Any:
        value = self.header.metadata.get(f"{self.family.architecture}.{key}")
        if isinstance(value, list):
            if not value or any(each != value[0] for each in value):
                raise self.problem(key, "differs from layer to layer, and such networks are not converted here")
            value = value[0]
        return value

    @property
    def layers(self) -> int:
        return self.whole("block_count")

    @property
    def width(self) -> int:
        return self.whole("embedding_length")

    @property
    def heads(self) -> int:
        return self.whole("attention.head_count")

    @property
    def kv_heads(self) -> int:
        return self.whole("attention.head_count_kv", self.heads)

    @property
    def head_width(self) -> int:
        width = self.whole("attention.key_length", self.width // self.heads)
        if self.whole("attention.value_length", width) != width:
            raise self.problem("attention.value_length", f"differs from the {width} of the keys, and is not converted")
        return width

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding."""
        embedding = self.header.tensors.get("token_embd.weight")
        if embedding is None or len(embedding.shape) != 2:
            raise FileProblem(f"{self.header.path.name}: token_embd.weight: missing, or no table")
        return embedding.shape[0]


def config_of(numbers: GgufNumbers, factors: Mapping[str, Sequence[float]], *, dtype: str) -> dict[str, Any]:
    """config.json of the file's network. `factors` are the values of its tensors of rotations, by name.

    Raises FileProblem for what has no place in a configuration of this family.
    """
    family, header = numbers.family, numbers.header
    _check_tensors(numbers)
    config: dict[str, Any] = {
        "architectures": [family.class_name],
        "model_type": family.model_type,
        "vocab_size": numbers.vocabulary,
        "hidden_size": numbers.width,
        "intermediate_size": numbers.whole("feed_forward_length"),
        "num_hidden_layers": numbers.layers,
        "num_attention_heads": numbers.heads,
        "num_key_value_heads": numbers.kv_heads,
        "head_dim": numbers.head_width,
        "max_position_embeddings": numbers.whole("context_length"),
        "rms_norm_eps": numbers.real("attention.layer_norm_rms_epsilon"),
        "tie_word_embeddings": "output.weight" not in header.tensors,
        "dtype": dtype,
        "rope_parameters": _rotations(numbers, factors),
    }
    for theirs, ours in _TOKEN_IDS.items():
        token = header.metadata.get(f"tokenizer.ggml.{theirs}_token_id")
        config[ours] = token if isinstance(token, int) and 0 <= token < numbers.vocabulary else None
    activation = ACTIVATIONS.get(family.architecture, "silu")
    config |= {"hidden_act": activation}
    return config | _of_family(numbers, config)


def _of_family(numbers: GgufNumbers, config: dict[str, Any]) -> dict[str, Any]:
    """The members that one family alone has."""
    kind, tensors = numbers.family.architecture, numbers.header.tensors
    if kind == "llama":
        return {"attention_bias": "blk.0.attn_q.bias" in tensors, "mlp_bias": "blk.0.ffn_up.bias" in tensors}
    if kind == "smollm3":
        layers = range(numbers.layers)
        return {
            "no_rope_layers": [int((layer + 1) % SMOLLM3_STEP != 0) for layer in layers],
            "use_sliding_window": False,
        }
    if kind == "phi3":
        return _of_phi3(numbers)
    if kind in ("gemma2", "gemma3"):
        return {"hidden_activation": config["hidden_act"], **_of_gemma(numbers)}
    if kind == "gemma":
        return {"hidden_activation": config["hidden_act"]}
    if kind == "olmo2" and numbers.has("attention.sliding_window"):
        raise numbers.problem("attention.sliding_window", "an OLMo 3 network, which is not converted here")
    return {}


def _of_phi3(numbers: GgufNumbers) -> dict[str, Any]:
    if numbers.head_width * numbers.heads != numbers.width:
        raise numbers.problem("attention.key_length", "times the heads is not the width, as Phi-3's is")
    found: dict[str, Any] = {"original_max_position_embeddings": _original_context(numbers)}
    window = numbers.whole("attention.sliding_window", _MOST - 1)
    found["sliding_window"] = None if window >= numbers.whole("context_length") else window
    part = numbers.whole("rope.dimension_count", numbers.head_width) / numbers.head_width
    return found | ({"partial_rotary_factor": part} if part != 1 else {})


def _original_context(numbers: GgufNumbers) -> int:
    return numbers.whole("rope.scaling.original_context_length", numbers.whole("context_length"))


def _of_gemma(numbers: GgufNumbers) -> dict[str, Any]:
    kind = numbers.family.architecture
    large = numbers.layers == GEMMA_LARGE[kind]
    scale = numbers.width // numbers.heads if large else numbers.head_width
    window = numbers.whole("attention.sliding_window", 4096 if kind == "gemma2" else 1024)
    found: dict[str, Any] = {"query_pre_attn_scalar": scale, "sliding_window": window}
    pattern = 2 if kind == "gemma2" else numbers.whole("attention.sliding_window_pattern", GEMMA3_PATTERN)
    found["layer_types"] = [
        "full_attention" if (layer + 1) % pattern == 0 else "sliding_attention" for layer in range(numbers.layers)
    ]
    if kind == "gemma2":
        found["attn_logit_softcapping"] = numbers.real("attn_logit_softcapping", 50.0)
        found["final_logit_softcapping"] = numbers.real("final_logit_softcapping", 30.0)
    return found


def _rotations(numbers: GgufNumbers, factors: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """rope_parameters, by whichever of its ways the file stretches them."""
    kind = numbers.family.architecture
    theta = numbers.real("rope.freq_base", 1_000_000.0 if kind == "gemma3" else 10_000.0)
    turned = numbers.whole("rope.dimension_count", numbers.head_width)
    if turned != numbers.head_width and kind != "phi3":
        raise numbers.problem("rope.dimension_count", f"turns {turned} of {numbers.head_width}: not converted here")
    rope = {"rope_theta": theta, **_stretched(numbers, factors, theta=theta)}
    if kind != "gemma3":
        return rope
    local = numbers.real("rope.freq_base_swa", GEMMA3_LOCAL_THETA)
    return {"full_attention": rope, "sliding_attention": {"rope_type": "default", "rope_theta": local}}


def _stretched(numbers: GgufNumbers, factors: Mapping[str, Sequence[float]], *, theta: float) -> dict[str, Any]:
    if ROPE_LONG in factors and ROPE_SHORT in factors:
        original = _original_context(numbers)
        return {
            "rope_type": "longrope",
            "long_factor": list(factors[ROPE_LONG]),
            "short_factor": list(factors[ROPE_SHORT]),
            "factor": numbers.whole("context_length") / original,
            "original_max_position_embeddings": original,
        }
    if ROPE_FREQS in factors:
        return _llama3(numbers, list(factors[ROPE_FREQS]), theta)
    kind = numbers.header.metadata.get(f"{numbers.family.architecture}.rope.scaling.type", "none")
    if kind == "none":
        return {"rope_type": "default"}
    if kind not in ("linear", "yarn"):
        raise numbers.problem("rope.scaling.type", f"{kind} is not converted here")
    found = {"rope_type": kind, "factor": numbers.real("rope.scaling.factor")}
    return found if kind == "linear" else found | {"original_max_position_embeddings": _original_context(numbers)}


def llama3_factors(rope: dict[str, Any], head_width: int) -> list[float]:
    """The factor of each rotation of Llama 3's way, by which its wave is made longer."""
    theta, factor, original = rope["rope_theta"], rope["factor"], rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    found = []
    for place in range(0, head_width, 2):
        length = 2 * math.pi * theta ** (place / head_width)
        smooth = min(1.0, max(0.0, (original / length - low) / (high - low)))
        found.append(1 / ((1 - smooth) / factor + smooth))
    return found


def _llama3(numbers: GgufNumbers, given: list[float], theta: float) -> dict[str, Any]:
    """Llama 3's parameters, found again from the factors that they made. Raises FileProblem where none make these."""
    for power in range(5, 18):
        rope = {
            "rope_type": "llama3",
            "rope_theta": theta,
            "factor": float(str(np.float32(max(given)))) if given else 0.0,
            "low_freq_factor": LLAMA3_LOW,
            "high_freq_factor": LLAMA3_HIGH,
            "original_max_position_embeddings": 1 << power,
        }
        made = llama3_factors(rope, numbers.head_width)
        if len(made) == len(given) and all(
            math.isclose(a, b, rel_tol=_CLOSE) for a, b in zip(made, given, strict=True)
        ):
            return rope
    raise FileProblem(f"{numbers.header.path.name}: {ROPE_FREQS}: rotations of a kind that is not converted here")


def _check_tensors(numbers: GgufNumbers) -> None:
    """Every weight of every layer is there, in the shape that the numbers tell. Raises FileProblem."""
    tensors, name = numbers.header.tensors, numbers.header.path.name
    for layer in range(min(numbers.layers, len(tensors) + 1)):
        for stem in numbers.family.layer:
            wanted = f"blk.{layer}.{stem}.weight"
            if wanted not in tensors:
                raise FileProblem(f"{name}: {wanted}: missing, of {numbers.layers} layers")
            shape = _shape(numbers, stem)
            if tensors[wanted].shape != shape:
                raise FileProblem(
                    f"{name}: {wanted}: its shape is {list(tensors[wanted].shape)}, and by the metadata {list(shape)}"
                )
    for wanted, shape in (
        ("token_embd.weight", (numbers.vocabulary, numbers.width)),
        ("output_norm.weight", (numbers.width,)),
        ("output.weight", (numbers.vocabulary, numbers.width)),
    ):
        if wanted in tensors and tensors[wanted].shape != shape:
            raise FileProblem(f"{name}: {wanted}: its shape is {list(tensors[wanted].shape)}, not {list(shape)}")
        if wanted not in tensors and wanted != "output.weight":
            raise FileProblem(f"{name}: {wanted}: missing")


def _shape(numbers: GgufNumbers, stem: str) -> tuple[int, ...]:
    """The shape of a layer's weight."""
    width, inner, turned = numbers.width, numbers.whole("feed_forward_length"), numbers.head_width
    queries, keys = numbers.heads * turned, numbers.kv_heads * turned
    if stem in ("attn_q_norm", "attn_k_norm"):
        whole = numbers.family.architecture == "olmo2"
        return ((queries if stem == "attn_q_norm" else keys) if whole else turned,)
    if stem.endswith("norm"):
        return (width,)
    doubled = 2 if numbers.family.architecture == "phi3" else 1
    return {
        "attn_q": (queries, width),
        "attn_k": (keys, width),
        "attn_v": (keys, width),
        "attn_qkv": (queries + 2 * keys, width),
        "attn_output": (width, queries),
        "ffn_gate": (inner, width),
        "ffn_up": (doubled * inner, width),
        "ffn_down": (width, inner),
    }[stem]
