"""The metadata of a tokenizer as llama.cpp reads them, from a Hugging Face directory: the way back of
`tokenizer_files.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outcrop.json_files import FileProblem
from outcrop.network.gguf import pre_tokenizers
from outcrop.network.gguf.tokenizer_files import BYTE, CONTROL, NORMAL, SPACE, UNKNOWN, UNUSED, USER_DEFINED
from outcrop.tokens.model_files import read_config, read_spec
from outcrop.tokens.tokenizer import Tokenizer

_NOT_MERGED = -1e6
"The score of a token that no two others make."


@dataclass(kw_only=True)
class VocabularyMetadata:
    """The lists and values of a tokenizer, by llama.cpp's keys behind `tokenizer.`."""

    tokens: list[str]
    types: list[int]
    values: dict[str, str | int | bool] = field(default_factory=dict)
    merges: list[str] | None = None
    scores: list[float] | None = None


def vocabulary_of(folder: Path, *, num_embeddings: int) -> VocabularyMetadata:
    """The tokenizer of the directory. Raises FileProblem for one that llama.cpp would read otherwise."""
    spec, config, tokenizer = read_spec(folder), read_config(folder), Tokenizer.open(folder)
    model = spec.get("model") or {}
    if model.get("type") != "BPE":
        raise FileProblem(
            f"tokenizer.json: a {model.get('type')} tokenizer, and only those of merged pairs are written"
        )
    found = _tokens(spec, tokenizer, num_embeddings)
    pairs = [each if isinstance(each, list) else str(each).split(" ") for each in model.get("merges") or []]
    if model.get("byte_fallback"):
        found.values["ggml.model"] = "llama"
        found.values["ggml.pre"] = "default"
        found.values["ggml.add_space_prefix"] = _has_prefix(spec)
        found.scores = _scores(found, pairs)
    else:
        found.values["ggml.model"] = "gpt2"
        found.values["ggml.pre"] = pre_tokenizers.of_spec(spec).names[0]
        _check_plain(spec)
        found.merges = [" ".join(pair) for pair in pairs]
    _name_special(found, tokenizer, config)
    return found


def _tokens(spec: Mapping[str, Any], tokenizer: Tokenizer, num_embeddings: int) -> VocabularyMetadata:
    """Every id of the embedding with its token; ids without one are filled up, as llama.cpp's converter does."""
    tokens = [f"[PAD{number}]" for number in range(num_embeddings)]
    types = [UNUSED] * num_embeddings
    for token, number in tokenizer.vocabulary().items():
        if number < num_embeddings:  # a token for padding alone may lie beyond
            tokens[number], types[number] = token, NORMAL
    byte_fallback = bool((spec.get("model") or {}).get("byte_fallback"))
    if byte_fallback:
        for number, token in enumerate(tokens):
            if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
                types[number] = BYTE
    for added in spec.get("added_tokens", []):
        if added["id"] < num_embeddings:
            types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    unknown = (spec.get("model") or {}).get("unk_token")
    if byte_fallback and unknown in tokens:
        types[tokens.index(unknown)] = UNKNOWN
    return VocabularyMetadata(tokens=tokens, types=types)


def _has_prefix(spec: Mapping[str, Any]) -> bool:
    """Whether a text gets a space before it, by either of the two ways that tokenizer.json has for it."""
    normalizer, before = spec.get("normalizer") or {}, spec.get("pre_tokenizer") or {}
    parts = normalizer.get("normalizers", [normalizer])
    known = [part for part in parts if part.get("type") in ("Prepend", "Replace")]
    if len(known) != len([part for part in parts if part]):
        raise FileProblem("tokenizer.json: normalizer: changes a text in a way that llama.cpp does not")
    if before.get("type") == "Metaspace":
        return str(before.get("prepend_scheme", "always")) != "never"
    if before and not (before.get("type") == "Split" and before.get("pattern") == {"String": " "}):
        raise FileProblem(f"tokenizer.json: pre_tokenizer: {before.get('type')} is not what llama.cpp does")
    return any(part.get("type") == "Prepend" and part.get("prepend") == SPACE for part in known)


def _check_plain(spec: Mapping[str, Any]) -> None:
    """The normalizer is none that changes more than how characters are composed, which llama.cpp leaves out."""
    normalizer = spec.get("normalizer")
    if normalizer is not None and normalizer.get("type") != "NFC":
        raise FileProblem(
            f"tokenizer.json: normalizer: {normalizer.get('type')} changes a text, and llama.cpp does not"
        )


def _scores(vocabulary: VocabularyMetadata, pairs: list[list[str]]) -> list[float]:
    """A score for each token, the highest for the one that the first pair makes: it is merged first."""
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(pairs):
        ranks.setdefault("".join(pair), rank)
    return [-float(ranks[token]) if token in ranks else _NOT_MERGED for token in vocabulary.tokens]


def _name_special(found: VocabularyMetadata, tokenizer: Tokenizer, config: Mapping[str, Any]) -> None:
    unknown = tokenizer.token_id(tokenizer.special_tokens.get("unk_token", ""))
    ids = {
        "bos": tokenizer.bos_id,
        "eos": tokenizer.eos_id,
        "eot": next((one for one in tokenizer.eos_ids[1:] if one != tokenizer.eos_id), None),
        "padding": tokenizer.pad_id,
        "unknown": unknown,
    }
    for name, number in ids.items():
        if number is not None and number < len(found.tokens):
            found.values[f"ggml.{name}_token_id"] = number
    found.values["ggml.add_bos_token"] = tokenizer.begins_with_bos
    template = config.get("chat_template")
    if template:
        found.values["chat_template"] = str(template)
