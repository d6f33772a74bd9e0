"""The data of `make bench-data`: records made of real sentences, and a byte-level BPE tokenizer of 32,000 pieces.

Sentences are those of the English test data, put together at random into prompts and completions with lengths as
instruction data has them. In most sentences a word gives way to one that was made up, so that new words never end, as
in real text: about one of thirty. A model of one layer stands beside the tokenizer, for TRL wants one.
"""

import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

SOURCES = (
    "dolly-en/dolly-summarization.first900.jsonl", "gsm8k/train.first2000.jsonl", "dialogsum/dev.first400.jsonl",
    "us-securities-law/sections.jsonl", "wikipedia-en-demo/articles.jsonl", "botchan-en/botchan.first85pct.txt",
)  # fmt: skip
VOCABULARY, CONTEXT_LENGTH = 32_000, 2_048
PROMPT_LETTERS, COMPLETION_LETTERS, MOST_LETTERS, SIGMA = 600, 150, 3_000, 0.8
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_CONSONANTS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "sh", "ch")
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in "aeiou"]
_CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 8,
    "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT_LENGTH, "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": 0,
}  # fmt: skip


def sentences(data: Path) -> list[str]:
    """The different sentences of the test data, in order."""
    found = [part.strip() for text in _texts(data) for part in _SENTENCE.split(text)]
    return list(dict.fromkeys(part for part in found if len(part) > 15))


def _texts(data: Path) -> Iterator[str]:
    for source in SOURCES:
        content = (data / source).read_text(encoding="utf-8")
        if source.endswith(".txt"):
            yield content
            continue
        for line in content.splitlines():
            yield from (value for value in json.loads(line).values() if isinstance(value, str))


def write_records(path: Path, said: list[str], num: int) -> Path:
    """Records of prompt and completion, the same at every run; a file that is there already stays."""
    if path.exists():
        return path
    drawn = random.Random(num)
    making = path.with_suffix(".part")
    with making.open("w", encoding="utf-8") as file:
        for _ in range(num):
            record = {
                "prompt": _text(drawn, said, PROMPT_LETTERS),
                "completion": _text(drawn, said, COMPLETION_LETTERS),
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return making.replace(path)


def _text(drawn: random.Random, said: list[str], mean: int) -> str:
    wanted = min(MOST_LETTERS, drawn.lognormvariate(math.log(mean) - SIGMA**2 / 2, SIGMA))
    parts: list[str] = []
    while sum(map(len, parts)) < wanted:
        parts.append(_sentence(drawn, said))
    return " ".join(parts)


def _sentence(drawn: random.Random, said: list[str]) -> str:
    sentence = drawn.choice(said)
    if drawn.random() > 0.6:
        return sentence
    words = sentence.split(" ")
    made_up = "".join(drawn.choices(_SYLLABLES, k=3)).title() if drawn.random() < 0.5 else f"{drawn.randrange(10**6):,}"
    words[drawn.randrange(len(words))] = made_up
    return " ".join(words)


def write_base(folder: Path, said: list[str]) -> Path:
    """A model directory with the tokenizer, trained on the sentences at the first run, and small random weights."""
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    import transformers

    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<|end|>", "<|pad|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(said, trainer)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|end|>", pad_token="<|pad|>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(**_CONFIG)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
