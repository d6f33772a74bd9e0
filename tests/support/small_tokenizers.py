"""Tokenizers of every family the house reads: tiny ones made here, and real ones where test data is at hand."""

import json
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from outcrop.tokens.tokenizer import Tokenizer

TEST_DATA = Path(os.environ.get("OUTCROP_TEST_DATA", "../shared/data"))
BUNDLED = Path(__file__).parents[2] / "src/outcrop/catalog/bundled/starter-v1"
BEGIN, END, PAD = "<s>", "</s>", "<pad>"
CHATML = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def save(tokenizer: tokenizers.Tokenizer, folder: Path, **config: Any) -> Path:
    """A model directory with this tokenizer and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def byte_level(
    folder: Path, *, begins: bool = True, special: Sequence[str] = (), added: Sequence[str] = (), **config: Any
) -> Path:
    """GPT-2's kind: one token per byte and some merges, special tokens at the end of the vocabulary.

    `special` are more of those, `added` are tokens that are text.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("Ġ", "Ġ"), ("Ċ", "Ċ"), ("a", "n")]
    vocab = {piece: number for number, piece in enumerate(letters + [left + right for left, right in merges])}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([BEGIN, END, PAD, "<|im_start|>", "<|im_end|>", *special])
    tokenizer.add_tokens(list(added))
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
        )
    return save(tokenizer, folder, **{"bos_token": BEGIN, "eos_token": END, "pad_token": PAD, **config})


def sentencepiece_like(folder: Path, *, legacy: bool = False, **config: Any) -> Path:
    """Llama 2's kind: `▁` for spaces, one put before every text, byte fallback; legacy files use a normalizer."""
    pieces = ["<unk>", BEGIN, END, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdehlnotrw.,:", "▁a", "▁th"]
    merges = [("▁", "a"), ("▁", "t"), ("▁t", "h")]
    pieces.insert(len(pieces) - 1, "▁t")
    vocab = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", BEGIN, END])
    return save(tokenizer, folder, **{"bos_token": BEGIN, "eos_token": END, "add_bos_token": True, **config})


def unigram(folder: Path, pieces: list[tuple[str, float]]) -> Path:
    """A SentencePiece unigram model as Hugging Face converts it, without byte fallback."""
    tokenizer = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([piece for piece, _ in pieces[:3]])
    return save(tokenizer, folder, bos_token="<s>", eos_token="</s>")


def real(name: str, folder: Path) -> Tokenizer:
    """A tokenizer of the world, by its folder among the test data; skips where that is not at hand."""
    place = BUNDLED if name == "starter-v1" else TEST_DATA / "tokenizers-and-models" / name
    if not place.exists():
        pytest.skip(f"{place} is not here; set OUTCROP_TEST_DATA")
    if name == "starter-v1":
        return Tokenizer.open(place)
    return Tokenizer.open(_CONVERT[name.split("/")[0]](place, folder))


REAL = (
    "starter-v1",
    "gpt-neox-20b",
    "gpt2-bpe",
    "rinna-ja-sp32k/google_sp.model",
    "sentencepiece-test/test_model.model",
    "sentencepiece-test/test_ja_model.model",
)
JAPANESE_ONLY = "test_ja_model"


def _gpt_neox(place: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes((place / "tokenizer.json").read_bytes())
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}')
    return folder


def _gpt2(place: Path, folder: Path) -> Path:
    vocab = json.loads((place / "vocab.json").read_text())
    lines = (place / "merges.txt").read_text().splitlines()
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines if line)]
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return save(tokenizer, folder, eos_token="<|endoftext|>", bos_token="<|endoftext|>", add_bos_token=False)


def _sentencepiece(place: Path, folder: Path) -> Path:
    return unigram(folder, list(_sentencepiece_pieces(place.read_bytes())))


_CONVERT = {
    "gpt-neox-20b": _gpt_neox,
    "gpt2-bpe": _gpt2,
    "rinna-ja-sp32k": _sentencepiece,
    "sentencepiece-test": _sentencepiece,
}


def _sentencepiece_pieces(model: bytes) -> Iterator[tuple[str, float]]:
    """Pieces and scores of a ModelProto: field 1, repeated, each with a text (field 1) and a float (field 2)."""
    for field, value in _protobuf(model):
        if field == 1:
            parts = dict(_protobuf(value))
            yield parts[1].decode(), struct.unpack("<f", parts.get(2, bytes(4)))[0]


def _protobuf(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            start = at
            _, at = _varint(data, at)
            yield key >> 3, data[start:at]
            continue
        size, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at
