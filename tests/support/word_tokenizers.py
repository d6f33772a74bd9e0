"""Tokenizers of words with the special tokens of an encoder, made without transformers."""

from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel

WORDS = [
    "who",
    "wrote",
    "the",
    "river",
    "book",
    "a",
    "of",
    "query",
    "passage",
    ":",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
]
PAD, UNKNOWN, FIRST, LAST = range(4)


def ids(text: str) -> list[int]:
    """The ids of words, without special tokens."""
    return [WORDS.index(word) + 4 for word in text.split()]


def word_level(folder: Path, *, tells_types: bool = True) -> Path:
    """tokenizer.json of BERT's form: [CLS] a text [SEP], or [CLS] a query [SEP] a document [SEP]."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: number for number, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    second = 1 if tells_types else 0
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A [SEP] $B:{second} [SEP]:{second}",
        special_tokens=[("[CLS]", FIRST), ("[SEP]", LAST)],
    )
    tokenizer.enable_truncation(5)  # as many directories have it; what is cut here is said
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
