"""Tiny real base models: Hugging Face directories of two layers with random weights and a tokenizer of their own.

What runs with these runs with any model of the architecture; only what it says makes no sense.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE

from bench import small_networks
from tests.support.chat_templates import SPECIAL_TOKENS, TEXT_TOKENS
from tests.support.small_tokenizers import byte_level

CONTEXT_LENGTH = 256
VOCAB_SIZE = 384
BEGIN, END, PAD = "<s>", "</s>", "<pad>"

# A ChatML-like template: each turn is named, and the assistant's ends with the end-of-sequence token.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)

_SPECIAL = [BEGIN, END, PAD, "<|system|>", "<|user|>", "<|assistant|>"]
_READ_BY_THE_TOKENIZER = [
    "The stone at the river is older than the house on the hill.",
    "A question is asked in the morning; the answer comes in the evening.",
    "What is the capital of the country? The capital is the city by the sea.",
    "one two three four five six seven eight nine ten",
    "古池や 蛙飛び込む 水の音",
    "User: summarize the dialogue. Bot: they meet at noon.",
]

SIZES: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT_LENGTH,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
    "initializer_range": 0.15,  # larger than usual: it shows in the logits what one token does to another, and
    # a head that is not trained leaves room to learn anything by heart.
}

# Rotations stretched for long contexts, as Llama 3.1 and 3.2 have them.
_LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

# Rotations that depend on how long a sequence is: another set of factors, or another base for every length.
SHORT_CONTEXT = 24
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0 + 0.05 * i for i in range(8)],
    "long_factor": [2.0 + 0.7 * i for i in range(8)],
    "factor": CONTEXT_LENGTH / SHORT_CONTEXT,
    "original_max_position_embeddings": SHORT_CONTEXT,
}
DYNAMIC_ROPE = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 8.0}


def _gpt_neox() -> Any:
    sizes = {name: value for name, value in SIZES.items() if name != "num_key_value_heads"}
    return transformers.GPTNeoXConfig(**sizes)


def _gpt2() -> Any:
    ids = {
        name: SIZES[name]
        for name in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id", "initializer_range")
    }
    dropout = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
    return transformers.GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=CONTEXT_LENGTH, **ids, **dropout)


ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "llama": lambda: transformers.LlamaConfig(**SIZES),
    "llama3": lambda: transformers.LlamaConfig(**SIZES, rope_parameters=_LLAMA3_ROPE, tie_word_embeddings=True),
    "mistral": lambda: transformers.MistralConfig(**SIZES, sliding_window=16),
    "qwen2": lambda: transformers.Qwen2Config(**SIZES),
    "qwen3": lambda: transformers.Qwen3Config(**SIZES, head_dim=16),
    "gemma2": lambda: transformers.Gemma2Config(**SIZES, head_dim=16, sliding_window=16),
    "gemma3": lambda: transformers.Gemma3TextConfig(**SIZES, head_dim=16, sliding_window=16),
    "phi3": lambda: transformers.Phi3Config(**SIZES),
    "smollm3": lambda: transformers.SmolLM3Config(**SIZES),
    "olmo2": lambda: transformers.Olmo2Config(**SIZES),
    "gpt_neox": _gpt_neox,
    "gpt2": _gpt2,
}
LENGTH_DEPENDENT: dict[str, Callable[[], Any]] = {
    "phi3_longrope": lambda: transformers.Phi3Config(
        **SIZES, rope_parameters=dict(LONGROPE), original_max_position_embeddings=SHORT_CONTEXT
    ),
    "llama_dynamic": lambda: transformers.LlamaConfig(
        **SIZES | {"max_position_embeddings": SHORT_CONTEXT}, rope_parameters=dict(DYNAMIC_ROPE)
    ),
}
"Apart, since a batch of transformers' own is no reference for these: its longest row decides for all."


def tiny_model(folder: Path, architecture: str = "llama", seed: int = 0, *, chat: bool = False) -> Path:
    """Write a random model and its tokenizer into `folder`, and return it. `chat` gives it a chat template.

    Equal arguments give equal files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = transformers.AutoModelForCausalLM.from_config((ARCHITECTURES | LENGTH_DEPENDENT)[architecture]())
    network.save_pretrained(folder)
    return write_tokenizer(folder, chat=chat)


def small_family(folder: Path, family: str) -> Path:
    """As `tiny_model`, of any causal family of `transformers`, also of those that cannot be packed."""
    write_tokenizer(small_networks.write(folder, family))
    return folder


def write_tokenizer(folder: Path, *, chat: bool = False) -> Path:
    """The tokenizer of all these models."""
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(), bos_token=BEGIN, eos_token=END, pad_token=PAD
    )
    if chat:
        wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(folder)
    return folder


def _tokenizer() -> Tokenizer:
    """Byte-level BPE, so that every text has ids; documents begin with BEGIN."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_READ_BY_THE_TOKENIZER, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, 0)])
    return tokenizer


def tiny_chat_model(folder: Path, template: str, *, context_length: int = 4096, seed: int = 0) -> Path:
    """A random Llama whose tokenizer has the tokens of published chat templates, and speaks in this one."""
    tiny_model(folder, seed=seed)
    byte_level(folder, chat_template=template, special=SPECIAL_TOKENS, added=TEXT_TOKENS)
    tokens = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    ids = {token["content"]: token["id"] for token in tokens}
    assert max(ids.values()) < VOCAB_SIZE, "the network has fewer ids than the tokenizer"
    for name in ("config.json", "generation_config.json"):
        config = json.loads((folder / name).read_text())
        config |= {"bos_token_id": ids[BEGIN], "eos_token_id": ids[END], "pad_token_id": ids[PAD]}
        if name == "config.json":
            config["max_position_embeddings"] = context_length
        (folder / name).write_text(json.dumps(config))
    return folder
