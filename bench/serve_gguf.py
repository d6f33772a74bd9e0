"""A Hugging Face directory of Llama's or Qwen 2's kind as a GGUF file in fp32, for llama.cpp in `make bench-serve`."""

import json
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

Array = NDArray[np.float32]


def write(folder: Path, file: Path) -> None:
    """Names of tokens are made up: llama.cpp is asked by ids."""
    config = json.loads((folder / "config.json").read_text())
    family = config["model_type"]
    heads, kv_heads = config["num_attention_heads"], config.get("num_key_value_heads") or config["num_attention_heads"]
    width, layers, vocabulary = config["hidden_size"], config["num_hidden_layers"], config["vocab_size"]
    writer = gguf.GGUFWriter(str(file), family)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config.get("head_dim") or width // heads)
    rope = config.get("rope_parameters") or {}
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"t{number}" for number in range(vocabulary)])
    writer.add_token_scores([0.0] * vocabulary)
    writer.add_token_types([int(gguf.TokenType.NORMAL)] * vocabulary)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, family.upper()), layers)
    for file_of_weights in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file_of_weights).items():
            new = names.get_name(name, try_suffixes=(".weight", ".bias"))
            assert new is not None, name
            if family == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
                tensor = _interleaved(tensor, heads if "q_proj" in name else kv_heads)
            writer.add_tensor(new, np.ascontiguousarray(tensor, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _interleaved(weight: Array, heads: int) -> Array:
    """llama.cpp turns neighbours of a Llama's head, transformers its halves."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)
