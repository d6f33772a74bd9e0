"""Tiny encoders of many families: two layers of random weights, a tokenizer, and the files of sentence-transformers."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel

WORDS = [
    "the",
    "a",
    "of",
    "in",
    "is",
    "it",
    "and",
    "to",
    "river",
    "stone",
    "house",
    "capital",
    "city",
    "question",
    "answer",
    "morning",
    "evening",
    "summer",
    "water",
    "bridge",
    "who",
    "what",
    "where",
    "built",
    "crosses",
    "flows",
    "through",
    "old",
    "new",
    "stands",
    "by",
    "hill",
    "sea",
    "query",
    "passage",
    ":",
    "?",
]
PAD, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
_SPECIAL = [PAD, UNKNOWN, FIRST, LAST]
VOCAB_SIZE = len(_SPECIAL) + len(WORDS)
WIDTH = 32
POSITIONS = 96

_SIZES: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
    "pad_token_id": 0,
    "initializer_range": 0.2,  # larger than usual: it shows what one token does to another
}
_ROBERTA = {**_SIZES, "max_position_embeddings": POSITIONS + 1, "type_vocab_size": 1}
"Positions are counted from behind the padding token."
_CAUSAL = {**_SIZES, "num_key_value_heads": 2}


def _distilbert() -> Any:
    names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
    names |= {"intermediate_size": "hidden_dim"}
    return transformers.DistilBertConfig(**{names.get(name, name): value for name, value in _SIZES.items()})


FAMILIES: dict[str, Callable[[], Any]] = {
    "bert": lambda: transformers.BertConfig(**_SIZES),
    "roberta": lambda: transformers.RobertaConfig(**_ROBERTA),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(**_ROBERTA),
    "mpnet": lambda: transformers.MPNetConfig(**_SIZES | {"max_position_embeddings": POSITIONS + 1}),
    "modernbert": lambda: transformers.ModernBertConfig(
        **_SIZES, local_attention=8, global_attn_every_n_layers=2, cls_token_id=2, sep_token_id=3
    ),
    "distilbert": _distilbert,
    "electra": lambda: transformers.ElectraConfig(**_SIZES, embedding_size=16),
    "deberta-v2": lambda: transformers.DebertaV2Config(
        **_SIZES, relative_attention=True, position_buckets=8, pos_att_type=["p2c", "c2p"], type_vocab_size=0
    ),
    "albert": lambda: transformers.AlbertConfig(**_SIZES, embedding_size=16),
    "qwen3": lambda: transformers.Qwen3Config(**_CAUSAL, head_dim=8, bos_token_id=2, eos_token_id=3),
}
_TELLS_TYPES = ("bert", "electra", "albert")


def tiny_encoder(
    folder: Path,
    family: str = "bert",
    *,
    steps: Sequence[str] = ("Pooling", "Normalize"),
    pooling: str | Sequence[str] = "mean",
    include_prompt: bool = True,
    prompts: dict[str, str] | None = None,
    default_prompt: str | None = None,
    max_length: int | None = 64,
    dense_width: int = 24,
) -> Path:
    """An embedding model in `folder`. `steps` are those behind the network; none: no files of sentence-transformers."""
    _network(folder, transformers.AutoModel, FAMILIES[family]())
    write_tokenizer(folder, tells_types=family in _TELLS_TYPES)
    if not steps:
        return folder
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for number, kind in enumerate(steps, start=1):
        place = f"{number}_{kind}"
        modules.append(
            {"idx": number, "name": str(number), "path": place, "type": f"sentence_transformers.models.{kind}"}
        )
        (folder / place).mkdir()
        if kind == "Pooling":
            several = [pooling] if isinstance(pooling, str) else list(pooling)
            told = {"word_embedding_dimension": WIDTH, "pooling_mode": several[0] if len(several) == 1 else several}
            _write(folder / place / "config.json", {**told, "include_prompt": include_prompt})
        elif kind == "Dense":
            ways = 1 if isinstance(pooling, str) else len(pooling)
            _dense(folder / place, WIDTH * ways, dense_width)
    _write(folder / "modules.json", modules)
    described = {"prompts": prompts or {}, "default_prompt_name": default_prompt, "similarity_fn_name": "cosine"}
    _write(folder / "config_sentence_transformers.json", described)
    if max_length is not None:
        _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    return folder


def tiny_reranker(folder: Path, family: str = "bert", *, labels: int = 1) -> Path:
    """A cross-encoder in `folder`."""
    config = FAMILIES[family]()
    config.num_labels = labels
    _network(folder, transformers.AutoModelForSequenceClassification, config)
    return write_tokenizer(folder, tells_types=family in _TELLS_TYPES)


def write_tokenizer(folder: Path, *, tells_types: bool = True) -> Path:
    """A tokenizer of words, with the special tokens of BERT around one text or two."""
    vocabulary = {word: number for number, word in enumerate((*_SPECIAL, *WORDS))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    second = 1 if tells_types else 0
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{FIRST} $A {LAST}",
        pair=f"{FIRST} $A {LAST} $B:{second} {LAST}:{second}",
        special_tokens=[(FIRST, 2), (LAST, 3)],
    )
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if tells_types else [])]
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=FIRST,
        sep_token=LAST,
        model_input_names=names,
        model_max_length=POSITIONS,
    ).save_pretrained(folder)
    return folder


def _network(folder: Path, kind: Any, config: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kind.from_config(config).save_pretrained(folder)


def _dense(folder: Path, num_in: int, num_out: int) -> None:
    generator = torch.Generator().manual_seed(1)
    weights = {
        "linear.weight": torch.randn(num_out, num_in, generator=generator),
        "linear.bias": torch.randn(num_out, generator=generator),
    }
    save_file(weights, folder / "model.safetensors")
    activation = "torch.nn.modules.activation.Tanh"
    _write(
        folder / "config.json",
        {"in_features": num_in, "out_features": num_out, "bias": True, "activation_function": activation},
    )


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
