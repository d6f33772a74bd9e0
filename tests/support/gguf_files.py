"""Small GGUF files and the Hugging Face directories that they are made of, without torch; and files that lie."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from outcrop.network.gguf.families import FAMILIES, GgufFamily
from outcrop.network.gguf.tensor_values import safetensors_header
from tests.support import small_tokenizers

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
MORE: dict[str, dict[str, Any]] = {
    "llama": {"attention_bias": False, "mlp_bias": False},
    "smollm3": {"num_hidden_layers": 4, "no_rope_layers": [1, 1, 1, 0], "use_sliding_window": False},
    "gemma": {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"},
    "gemma2": {
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 16,
        "sliding_window": 32,
        "layer_types": ["sliding_attention", "full_attention"],
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    },
    "gemma3_text": {
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 16,
        "sliding_window": 32,
        "layer_types": ["sliding_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    },
    "phi3": {"original_max_position_embeddings": 256, "sliding_window": None},
}
"What a family's configuration says beside the sizes."


def config_of(model_type: str, num_tokens: int, **more: Any) -> dict[str, Any]:
    """config.json of a small network."""
    family = next(family for family in FAMILIES if family.model_type == model_type)
    return {
        "architectures": [family.class_name],
        "model_type": model_type,
        "vocab_size": num_tokens,
        **SIZES,
        "tie_word_embeddings": family.always_tied,
        "dtype": "float32",
        "rope_parameters": ROPE,
        "hidden_act": "silu",
        **MORE.get(model_type, {}),
        **more,
    }


def small_network(folder: Path, model_type: str = "llama", *, dtype: str = "F32", **more: Any) -> Path:
    """A Hugging Face directory with random weights and a byte-level tokenizer; `more` is for its configuration."""
    small_tokenizers.byte_level(folder, chat_template=small_tokenizers.CHATML)
    num_tokens = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]) + 5
    config = config_of(model_type, num_tokens, **more)
    return with_weights(folder, config, dtype=dtype)


def with_weights(folder: Path, config: dict[str, Any], *, dtype: str = "F32") -> Path:
    """Write the configuration, and random weights of the shapes that it makes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    family = next(family for family in FAMILIES if family.model_type == config["model_type"])
    generator = np.random.default_rng(7)
    weights = {
        name: generator.standard_normal(shape).astype(np.float32) * np.float32(0.1)
        for name, shape in _shapes(family, config).items()
    }
    write_weights(folder / "model.safetensors", weights, dtype=dtype)
    return folder


def write_weights(path: Path, weights: Mapping[str, Any], *, dtype: str = "F32") -> None:
    raw = {name: _bytes(weight, dtype) for name, weight in weights.items()}
    told = {name: (dtype, weights[name].shape, len(data)) for name, data in raw.items()}
    path.write_bytes(safetensors_header(told) + b"".join(raw.values()))


def _bytes(weight: Any, dtype: str) -> bytes:
    if dtype == "BF16":
        found: bytes = (weight.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        return found
    made: bytes = weight.astype({"F32": np.float32, "F16": np.float16}[dtype]).tobytes()
    return made


def _shapes(family: GgufFamily, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    width, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    whole = family.architecture == "olmo2"
    shapes: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": (queries, width),
        "self_attn.k_proj": (keys, width),
        "self_attn.v_proj": (keys, width),
        "self_attn.qkv_proj": (queries + 2 * keys, width),
        "self_attn.o_proj": (width, queries),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.gate_up_proj": (2 * inner, width),
        "mlp.down_proj": (width, inner),
        "self_attn.q_norm": (queries if whole else head,),
        "self_attn.k_norm": (keys if whole else head,),
    }
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], width)}
    for layer in range(config["num_hidden_layers"]):
        for name in family.layer.values():
            found[f"model.layers.{layer}.{name}.weight"] = shapes.get(name, (width,))
            if family.architecture == "qwen2" and name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
                found[f"model.layers.{layer}.{name}.bias"] = shapes[name][:1]
    found["model.norm.weight"] = (width,)
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (config["vocab_size"], width)
    return found


def gguf_bytes(
    *,
    metadata: bytes = b"",
    num_metadata: int = 0,
    tensors: bytes = b"",
    num_tensors: int = 0,
    data: bytes = b"",
    version: int = 3,
) -> bytes:
    """A GGUF file put together by hand, whose counts may lie."""
    head = b"GGUF" + struct.pack("<IQQ", version, num_tensors, num_metadata) + metadata + tensors
    return head + b"\0" * (-len(head) % 32) + data


def text_entry(key: str, value: str) -> bytes:
    return string(key) + struct.pack("<I", 8) + string(value)


def list_entry(key: str, kind: int, count: int, values: bytes = b"") -> bytes:
    return string(key) + struct.pack("<IIQ", 9, kind, count) + values


def tensor_entry(name: str, shape: tuple[int, ...], *, form: int = 0, offset: int = 0) -> bytes:
    told = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return string(name) + told + struct.pack("<IQ", form, offset)


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
