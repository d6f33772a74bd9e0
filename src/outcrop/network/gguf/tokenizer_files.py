"""The tokenizer of a GGUF file, written as transformers reads it: tokenizer.json, its configuration, chat template."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.json_files import FileProblem
from outcrop.network.gguf.header import GgufHeader
from outcrop.network.gguf.pre_tokenizers import named

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"tokenizer.ggml.token_type"
SPACE = "▁"
"Stands for a space in vocabularies of SentencePiece."
_LONGEST_TOKEN, _MOST_LETTERS = 1_024, 16_000_000
_SPECIAL = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


@dataclass(frozen=True, kw_only=True)
class GgufVocabulary:
    """The tokens of a GGUF file by their ids, with what is told of each."""

    tokens: Sequence[str]
    types: Sequence[int]
    scores: Sequence[float]
    metadata: Mapping[str, Any]

    def special(self, name: str) -> str | None:
        """The token that the file names for this purpose."""
        number = self.metadata.get(f"tokenizer.ggml.{name}_token_id")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(self.tokens):
            return None
        return self.tokens[number]

    def flag(self, name: str, otherwise: bool) -> bool:
        value = self.metadata.get(f"tokenizer.ggml.{name}")
        return value if isinstance(value, bool) else otherwise


def write_tokenizer(header: GgufHeader, folder: Path, *, context_length: int, num_embeddings: int) -> None:
    """Write the tokenizer's files into `folder`. Raises FileProblem for one that cannot be written exactly."""
    kind = header.text("tokenizer.ggml.model")
    vocabulary = _vocabulary(header, num_embeddings)
    if kind == "gpt2":
        spec, bos = _byte_level(header, vocabulary)
    elif kind == "llama":
        spec, bos = _sentence_piece(header, vocabulary)
    else:
        raise FileProblem(f"tokenizer.ggml.model: {kind} is not converted here; known are gpt2 and llama")
    first = vocabulary.special("bos")
    begins = vocabulary.flag("add_bos_token", bos) and first is not None
    spec["post_processor"] = _post_processor(first, vocabulary.tokens) if begins and first is not None else None
    config: dict[str, Any] = {name: token for name, by in _SPECIAL.items() if (token := vocabulary.special(by))}
    config |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": context_length,
        "add_bos_token": begins,
    }
    _write(folder / "tokenizer.json", spec)
    _write(folder / "tokenizer_config.json", config)
    template = header.metadata.get("tokenizer.chat_template")
    if isinstance(template, str) and template:
        (folder / "chat_template.jinja").write_text(template, "utf-8")


def end_ids(metadata: Mapping[str, Any], num_embeddings: int) -> list[int]:
    """The ids that end an answer: of a text, and of a turn where the file names one."""
    named_ids = [metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot")]
    return list(dict.fromkeys(n for n in named_ids if isinstance(n, int) and 0 <= n < num_embeddings))


def _vocabulary(header: GgufHeader, num_embeddings: int) -> GgufVocabulary:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise FileProblem("tokenizer.ggml.tokens: missing, or no list of texts")
    if len(tokens) != num_embeddings:
        raise FileProblem(
            f"tokenizer.ggml.tokens: {len(tokens):,} tokens, and the embedding has {num_embeddings:,} rows"
        )
    if len(set(tokens)) != len(tokens):
        twice, _ = Counter(tokens).most_common(1)[0]
        raise FileProblem(f"tokenizer.ggml.tokens: {twice[:40]!r} is there twice")
    if max(map(len, tokens)) > _LONGEST_TOKEN or sum(map(len, tokens)) > _MOST_LETTERS:
        raise FileProblem(f"tokenizer.ggml.tokens: a token of more than {_LONGEST_TOKEN:,} letters, or too many of all")
    types = _numbers(header.metadata, "token_type", len(tokens), otherwise=NORMAL)
    scores = _numbers(header.metadata, "scores", len(tokens), otherwise=0)
    return GgufVocabulary(tokens=tokens, types=[int(kind) for kind in types], scores=scores, metadata=header.metadata)


def _numbers(metadata: Mapping[str, Any], name: str, count: int, *, otherwise: float) -> list[float]:
    found = metadata.get(f"tokenizer.ggml.{name}")
    if found is None:
        return [otherwise] * count
    if not isinstance(found, list) or len(found) != count or not all(isinstance(each, int | float) for each in found):
        raise FileProblem(f"tokenizer.ggml.{name}: no list of {count:,} numbers, one for each token")
    return found


def _byte_level(header: GgufHeader, vocabulary: GgufVocabulary) -> tuple[dict[str, Any], bool]:
    """tokenizer.json of a vocabulary whose tokens spell bytes, and whether a text begins with a token of its own."""
    way = named(header.text("tokenizer.ggml.pre"))
    given = header.metadata.get("tokenizer.ggml.merges")
    pairs = [str(each).split(" ") for each in given] if isinstance(given, list) else []
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise FileProblem("tokenizer.ggml.merges: missing, or no list of pairs")
    known = {token: number for number, token in enumerate(vocabulary.tokens)}
    strange = next((pair for pair in pairs if not {*pair, "".join(pair)} <= known.keys()), None)
    if strange is not None:
        raise FileProblem(f"tokenizer.ggml.merges: {' '.join(strange)!r} is made of, or makes, no token")
    model = {"unk_token": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": way.ignore_merges}
    decoder = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    return _spec(vocabulary, way.normalizer, way.spec, decoder, {**model, "merges": pairs}), way.begins_with_bos


def _sentence_piece(header: GgufHeader, vocabulary: GgufVocabulary) -> tuple[dict[str, Any], bool]:
    """tokenizer.json of a vocabulary whose tokens spell characters, and bytes where they must."""
    gemma = header.architecture.startswith("gemma")
    if gemma:  # whose long spaces are written as such
        tokens = [SPACE * len(token) if " " in token and not token.strip() else token for token in vocabulary.tokens]
        vocabulary = GgufVocabulary(
            tokens=tokens, types=vocabulary.types, scores=vocabulary.scores, metadata=vocabulary.metadata
        )
    prefix = vocabulary.flag("add_space_prefix", not gemma)
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    before = [{"type": "Prepend", "prepend": SPACE}] if prefix else []
    normalizer = {"type": "Sequence", "normalizers": [*before, replace]}
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    decoders += [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    # The order in which Gemma's pairs are merged is that of its tokens; its scores are not in order.
    ranks = [-float(number) for number in range(len(vocabulary.tokens))] if gemma else vocabulary.scores
    model = {
        "unk_token": vocabulary.special("unknown"),
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "merges": _merges(vocabulary, ranks),
    }
    return _spec(vocabulary, normalizer, None, {"type": "Sequence", "decoders": decoders}, model), True


def _merges(vocabulary: GgufVocabulary, ranks: Sequence[float]) -> list[list[str]]:
    """The pairs of which each token is made, those first that SentencePiece would merge first."""
    known = {
        token: number
        for number, token in enumerate(vocabulary.tokens)
        if vocabulary.types[number] in (NORMAL, USER_DEFINED)
    }
    found: list[tuple[float, int, int, str, str]] = []
    for token, number in known.items():
        for cut in range(1, len(token)):
            left, right = known.get(token[:cut]), known.get(token[cut:])
            if left is not None and right is not None:
                found.append((-ranks[number], left, right, token[:cut], token[cut:]))
    return [[left, right] for *_, left, right in sorted(found)]


def _spec(
    vocabulary: GgufVocabulary,
    normalizer: Mapping[str, Any] | None,
    pre_tokenizer: Mapping[str, Any] | None,
    decoder: Mapping[str, Any],
    model: Mapping[str, Any],
) -> dict[str, Any]:
    added = [
        {
            "id": number,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": vocabulary.types[number] in (CONTROL, UNKNOWN),
        }
        for number, token in enumerate(vocabulary.tokens)
        if vocabulary.types[number] in (CONTROL, USER_DEFINED, UNKNOWN)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": {
            "type": "BPE",
            "dropout": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "vocab": {token: number for number, token in enumerate(vocabulary.tokens)},
            **model,
        },
    }


def _post_processor(first: str, tokens: Sequence[str]) -> dict[str, Any]:
    """The beginning-of-sequence token before every text."""
    begin = {"SpecialToken": {"id": first, "type_id": 0}}
    one, other = ({"Sequence": {"id": name, "type_id": place}} for place, name in enumerate("AB"))
    return {
        "type": "TemplateProcessing",
        "single": [begin, one],
        "pair": [begin, one, {"SpecialToken": {"id": first, "type_id": 1}}, other],
        "special_tokens": {first: {"id": first, "ids": [tokens.index(first)], "tokens": [first]}},
    }


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
