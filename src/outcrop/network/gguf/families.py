"""Families of networks that are converted from GGUF and to it: names of tensors, and what is written otherwise there.

Only families whose every number is found again are here; others are refused by name. llama.cpp's names of tensors are
those of its tensor_mapping, and its converters say what is done to the numbers:
https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/tensor_mapping.py
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from outcrop.json_files import FileProblem

_OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_ATTENTION = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
_MLP = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
_NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
_FOUR_NORMS = {
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_IN_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
_IN_OUR_LAYER = re.compile(r"model\.layers\.(\d+)\.([\w.]+)\.(weight|bias)")
ROPE_FREQS, ROPE_LONG, ROPE_SHORT = "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"
ROPE_TENSORS = (ROPE_FREQS, ROPE_LONG, ROPE_SHORT)
"Tensors that are no weights: a factor for each rotation."


@dataclass(frozen=True, kw_only=True)
class GgufFamily:
    """A family of networks under llama.cpp's name and under that of transformers."""

    architecture: str
    model_type: str
    class_name: str
    layer: Mapping[str, str]
    "Names inside a layer, llama.cpp's to transformers'."
    paired_rotations: bool = False
    "Whether the rows of queries and keys are written in pairs: llama.cpp rotates neighbours, transformers halves."
    norms_plus_one: bool = False
    "Whether norms are written with the 1 that the network adds to them."
    always_tied: bool = False
    "Whether the LM head is always the embedding."
    back: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "back", {ours: theirs for theirs, ours in self.layer.items()})

    def our_name(self, name: str) -> str:
        """The name by which transformers knows a tensor of the file. Raises FileProblem for one it does not know."""
        stem, _, part = name.rpartition(".")
        if stem in _OUTSIDE and part in ("weight", "bias"):
            return f"{_OUTSIDE[stem]}.{part}"
        found = _IN_LAYER.fullmatch(name)
        if found is None or found[2] not in self.layer:
            raise FileProblem(f"{name}: a tensor that a {self.architecture} network does not have here")
        return f"model.layers.{found[1]}.{self.layer[found[2]]}.{found[3]}"

    def gguf_name(self, name: str) -> str:
        """The name by which llama.cpp knows a weight. Raises FileProblem for one it does not know."""
        stem, _, part = name.rpartition(".")
        outside = {ours: theirs for theirs, ours in _OUTSIDE.items()}
        if stem in outside:
            return f"{outside[stem]}.{part}"
        found = _IN_OUR_LAYER.fullmatch(name)
        if found is None or found[2] not in self.back:
            raise FileProblem(f"{name}: a weight that llama.cpp's {self.architecture} networks do not have")
        return f"blk.{found[1]}.{self.back[found[2]]}.{found[3]}"

    def is_rotated(self, gguf_name: str) -> bool:
        """Whether the tensor's rows are queries or keys, and written in pairs."""
        return self.paired_rotations and re.fullmatch(r"blk\.\d+\.attn_[qk]\.(weight|bias)", gguf_name) is not None

    def is_shifted(self, gguf_name: str) -> bool:
        """Whether the tensor is written with 1 added."""
        return self.norms_plus_one and gguf_name.endswith("norm.weight")


_LLAMA_LAYER = {**_ATTENTION, **_MLP, **_NORMS}
FAMILIES = (
    GgufFamily(
        architecture="llama",
        model_type="llama",
        class_name="LlamaForCausalLM",
        layer=_LLAMA_LAYER,
        paired_rotations=True,
    ),
    GgufFamily(architecture="qwen2", model_type="qwen2", class_name="Qwen2ForCausalLM", layer=_LLAMA_LAYER),
    GgufFamily(
        architecture="qwen3",
        model_type="qwen3",
        class_name="Qwen3ForCausalLM",
        layer={**_LLAMA_LAYER, **_HEAD_NORMS},
    ),
    GgufFamily(
        architecture="smollm3",
        model_type="smollm3",
        class_name="SmolLM3ForCausalLM",
        layer=_LLAMA_LAYER,
        paired_rotations=True,
    ),
    GgufFamily(
        architecture="gemma",
        model_type="gemma",
        class_name="GemmaForCausalLM",
        layer=_LLAMA_LAYER,
        norms_plus_one=True,
        always_tied=True,
    ),
    GgufFamily(
        architecture="gemma2",
        model_type="gemma2",
        class_name="Gemma2ForCausalLM",
        layer={**_ATTENTION, **_MLP, **_FOUR_NORMS},
        norms_plus_one=True,
        always_tied=True,
    ),
    GgufFamily(
        architecture="gemma3",
        model_type="gemma3_text",
        class_name="Gemma3ForCausalLM",
        layer={**_ATTENTION, **_MLP, **_FOUR_NORMS, **_HEAD_NORMS},
        norms_plus_one=True,
        always_tied=True,
    ),
    GgufFamily(
        architecture="phi3",
        model_type="phi3",
        class_name="Phi3ForCausalLM",
        layer={
            "attn_qkv": "self_attn.qkv_proj",
            "attn_output": "self_attn.o_proj",
            "ffn_up": "mlp.gate_up_proj",
            "ffn_down": "mlp.down_proj",
            **_NORMS,
        },
    ),
    GgufFamily(
        architecture="olmo2",
        model_type="olmo2",
        class_name="Olmo2ForCausalLM",
        layer={
            **_ATTENTION,
            **_MLP,
            **_HEAD_NORMS,
            "post_attention_norm": "post_attention_layernorm",
            "post_ffw_norm": "post_feedforward_layernorm",
        },
    ),
)
_WRITTEN_AS = {"mistral": "llama"}
"Kinds of networks that llama.cpp knows as another one, which they are but for their names."


def family_of_file(architecture: str) -> GgufFamily:
    """The family of a GGUF file. Raises FileProblem for one that is not converted here."""
    return _named(architecture, lambda family: family.architecture, "a network of the architecture")


def family_of_network(model_type: str) -> GgufFamily:
    """The family of a network by the name of transformers. Raises FileProblem for one that is not converted here."""
    known = _WRITTEN_AS.get(model_type, model_type)
    return _named(known, lambda family: family.model_type, "a network of the kind")


def _named(name: str, name_of: Callable[[GgufFamily], str], what: str) -> GgufFamily:
    found = next((family for family in FAMILIES if name_of(family) == name), None)
    if found is None:
        known = ", ".join(sorted({name_of(family) for family in FAMILIES}))
        raise FileProblem(f"{what} {name} is not converted here; known are {known}")
    return found
