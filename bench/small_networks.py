"""Small random networks of every causal family of `transformers`, made by cutting down its own default configuration.

What is cut is named in tables of numbers, one for all families; families that need more have a line of their own.
"""

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

FAMILIES = tuple(sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
_MOST_PARAMETERS = 60_000_000
_VOCABULARY = 384

_SIZES: dict[str, Any] = {
    # width
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embed_dim", "embedding_size"), 64),
    **dict.fromkeys(("word_embed_proj_dim", "attention_hidden_size", "lru_width", "mamba_hidden_size"), 64),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "n_inner", "dim_ff", "feed_forward_size", "dff"), 96),
    **dict.fromkeys(("ffn_hidden_size", "decoder_ffn_dim", "encoder_ffn_dim", "intermediate_size_mlp", "d_inner"), 96),
    **dict.fromkeys(("dense_intermediate_size", "shared_intermediate_size", "mlp_intermediate_size"), 96),
    # attention
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "num_decoder_attention_heads", "num_encoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "multi_query_group_num", "swa_num_key_value_heads"), 2),
    **dict.fromkeys(("head_dim", "attention_head_dim", "attention_head_size", "v_head_dim", "kv_channels"), 16),
    **dict.fromkeys(("global_head_dim", "swa_head_dim", "swa_v_head_dim", "d_kv"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "rotary_dim"), 16),
    **dict.fromkeys(("qk_head_dim", "index_head_dim"), 32),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("index_n_heads", "num_global_key_value_heads"), 2),
    **dict.fromkeys(("sliding_window", "attention_window_size", "window_size", "attention_chunk_size"), 16),
    "index_topk": 64,
    # experts
    **dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_topk", "top_k_experts"), 2),
    **dict.fromkeys(("moe_intermediate_size", "expert_ffn_hidden_size", "shared_expert_intermediate_size"), 32),
    **dict.fromkeys(("moe_shared_expert_intermediate_size",), 32),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "num_shared_experts", "first_k_dense_replace"), 1),
    "zero_expert_num": 2,
    # states
    **dict.fromkeys(("state_size", "mamba_d_state", "ssm_state_size"), 8),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "mamba_headdim_heads"), 4),
    **dict.fromkeys(("mamba_d_head", "mamba_head_dim", "mamba_headdim"), 32),
    **dict.fromkeys(("mamba_d_ssm",), 128),
    **dict.fromkeys(("linear_num_value_heads",), 4),
    **dict.fromkeys(("linear_num_key_heads",), 2),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 16),
    "mamba_dt_rank": 4, "time_step_rank": 4, "mamba_chunk_size": 16, "chunk_size": 16,
    **dict.fromkeys(("n_groups", "mamba_n_groups", "mamba_ngroups"), 1),
    # the rest
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input", "text_vocab_size", "decoder_vocab_size"), _VOCABULARY),
    "hidden_size_per_layer_input": 8, "laurel_rank": 4, "num_kv_shared_layers": 0,
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length"), 256),
    **dict.fromkeys(("attention_dropout", "hidden_dropout", "resid_pdrop", "attn_pdrop", "dropout"), 0.1),
    "initializer_range": 0.15, "init_std": 0.15,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "decoder_start_token_id": 0, "sep_token_id": 1,
    "is_decoder": True, "is_encoder_decoder": False, "add_cross_attention": False, "use_mamba_kernels": False,
    "num_nextn_predict_layers": 0, "use_cache": True,
}  # fmt: skip
_LAYERS = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers",
    "num_decoder_layers", "num_encoder_layers", "num_blocks",
)  # fmt: skip

_OWN: dict[str, dict[str, Any]] = {
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 16, "num_layers": 2},
    "reformer": {"axial_pos_shape": [16, 16], "axial_pos_embds_dim": [32, 32], "attn_layers": ["local", "lsh"]},
    "xlm": {"causal": True, "is_encoder": False},
    "openai-gpt": {"afn": "gelu"},
    "rwkv": {"attention_hidden_size": 64, "intermediate_size": 128},
    "mamba2": {"num_heads": 8, "head_dim": 16, "expand": 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
    "bamba": {"attn_layer_indices": [1], "num_hidden_layers": 2},
    "recurrent_gemma": {"num_hidden_layers": 3, "block_types": ["recurrent", "recurrent", "attention"]},
    "ctrl": {"dff": 96},
    "mpt": {"attn_config": {"attn_pdrop": 0}},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "ministral": {"head_dim": 16},
    "diffllama": {"attention_dropout": 0.0},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "n_group": 1, "topk_group": 1},
    "deepseek_v2": {"n_routed_experts": 4, "num_experts_per_tok": 2, "topk_method": "greedy"},
    "lfm2": {"layer_types": ["conv", "full_attention"], "num_hidden_layers": 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_hidden_layers": 2, "num_dense_layers": 1},
    "xglm": {"num_layers": 2},
}


class NotSmall(Exception):  # a finding of the table
    """The family's configuration could not be cut down, with what was in the way."""


def configuration(family: str) -> Any:
    """The configuration of a small network of the family. Raises NotSmall."""
    made = CONFIG_MAPPING[family]
    try:
        return made(**{**_cut(made()), **_OWN.get(family, {})})
    except Exception as error:  # whatever a family checks
        raise NotSmall(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]) from error


def write(folder: Path, family: str, *, seed: int = 0) -> Path:
    """A random network of the family, without a tokenizer. Raises NotSmall."""
    config = configuration(family)
    try:
        with torch.device("meta"):
            size = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
        if size > _MOST_PARAMETERS:
            raise NotSmall(f"{size / 1e6:.0f} million parameters after all cuts")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            _shake(network)
        network.save_pretrained(folder)
    except NotSmall:
        raise
    except Exception as error:
        raise NotSmall(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]) from error
    return folder


@torch.no_grad()
def _shake(network: nn.Module) -> None:
    """Give random values to weights that begin as zeros, which would hide what it does."""
    for parameter in network.parameters():
        if parameter.is_floating_point() and not parameter.any():
            parameter.normal_(std=0.05)


def _cut(config: Any) -> dict[str, Any]:
    """The keywords of a small configuration, from the default one."""
    named = config.to_dict()
    accepted = set(inspect.signature(type(config).__init__).parameters) | named.keys()
    found = {name: size for name, size in _SIZES.items() if name in accepted and _wanted(name, named)}
    depth = 2
    lists = {}
    count = next((named[name] for name in _LAYERS if isinstance(named.get(name), int)), None)
    for name, value in named.items():
        if (
            isinstance(value, list)
            and count
            and len(value) == count
            and not name.endswith(("_ids", "_idxs", "_indices"))
        ):
            kinds = list(dict.fromkeys(map(str, value)))
            depth = max(depth, min(4, len(kinds)))
            lists[name] = value
    for name, value in lists.items():
        firsts = [next(v for v in value if str(v) == kind) for kind in dict.fromkeys(map(str, value))]
        found[name] = (firsts * depth)[:depth]
    found |= {name: depth for name in _LAYERS if name in accepted}
    if named.get("kv_lora_rank") and "num_key_value_heads" in named:
        found["num_key_value_heads"] = found.get("num_attention_heads", 4)  # latent attention has no groups
    for name, inner in vars(config).items():
        if hasattr(inner, "to_dict"):
            found[name] = {**_cut(inner), "model_type": inner.model_type}
    return found


def _wanted(name: str, named: dict[str, Any]) -> bool:
    """A number that a family leaves out stays out; one that it has no name for is not given to it."""
    if name in ("is_decoder", "is_encoder_decoder"):
        return True
    value = named.get(name)
    if isinstance(value, list):
        return False
    return value is not None or name in ("num_key_value_heads", "pad_token_id", "sliding_window")
