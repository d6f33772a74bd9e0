"""Ways to cut a text into words before pairs are merged, by the names that llama.cpp gives them.

A GGUF file names the way, a tokenizer.json spells it out. A name that is not here is refused: with other words a model
reads other tokens than it has learned. llama.cpp's names: src/llama-vocab.cpp.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.json_files import FileProblem

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_REST_WITH_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _byte_level(*, use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _split(pattern: str) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, _byte_level(use_regex=False)]}


@dataclass(frozen=True, kw_only=True)
class PreTokenizer:
    """A way to cut text into words, under each of its names."""

    names: tuple[str, ...]
    "llama.cpp's; the first is the one that is written."
    spec: Mapping[str, Any]
    "As tokenizer.json has it."
    begins_with_bos: bool = False
    "Whether llama.cpp puts the beginning-of-sequence token before a text where a file does not say."
    ignore_merges: bool = False
    "Whether a word that is a token is taken whole."
    normalizer: Mapping[str, Any] | None = None


PRE_TOKENIZERS = (
    PreTokenizer(names=("gpt-2", "olmo", "mpt", "jais", "phi-2"), spec=_byte_level(use_regex=True)),
    PreTokenizer(
        names=("smollm", "starcoder", "refact", "codeshell"),
        spec={
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, _byte_level(use_regex=True)],
        },
    ),
    PreTokenizer(
        names=("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"),
        spec=_split(rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}"),
        begins_with_bos=True,
        ignore_merges=True,
    ),
    PreTokenizer(names=("smaug-bpe", "dbrx"), spec=_split(rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}")),
    PreTokenizer(
        names=("qwen2", "deepseek-r1-qwen", "megrez"),
        spec=_split(rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}|{_REST}"),
        normalizer={"type": "NFC"},
    ),
    PreTokenizer(
        names=("tekken",),
        spec=_split(rf"{_BEFORE}{_UPPER}*{_LOWER}+|{_BEFORE}{_UPPER}+{_LOWER}*|\p{{N}}|{_REST_WITH_SLASH}"),
        begins_with_bos=True,
        ignore_merges=True,
    ),
    PreTokenizer(
        names=("gpt-4o", "llama4"),
        spec=_split(
            rf"{_BEFORE}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|{_BEFORE}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
            rf"|\p{{N}}{{1,3}}|{_REST_WITH_SLASH}"
        ),
    ),
)


def named(name: str) -> PreTokenizer:
    """The way of this name. Raises FileProblem."""
    found = next((way for way in PRE_TOKENIZERS if name in way.names), None)
    if found is None:
        known = ", ".join(way.names[0] for way in PRE_TOKENIZERS)
        raise FileProblem(f"tokenizer.ggml.pre: {name} is a way to cut words that is not known here; known are {known}")
    return found


def of_spec(spec: Mapping[str, Any]) -> PreTokenizer:
    """The way that a tokenizer.json spells out. Raises FileProblem for one that llama.cpp has no name for."""
    told = _plain(spec.get("pre_tokenizer"))
    whole = bool((spec.get("model") or {}).get("ignore_merges"))
    alike = [way for way in PRE_TOKENIZERS if _plain(way.spec) == told]
    found = next((way for way in alike if way.ignore_merges == whole), None)
    if found is None:
        raise FileProblem(
            f"pre_tokenizer: {json.dumps(told)[:120]}: a way to cut words for which no name of llama.cpp is known here"
        )
    return found


def _plain(part: Any) -> Any:
    """The members that decide how a text is cut, without those that only tell places."""
    if not isinstance(part, dict):
        return part
    kept = {name: _plain(value) for name, value in part.items() if name not in ("trim_offsets", "invert")}
    if isinstance(kept.get("pretokenizers"), list):
        kept["pretokenizers"] = [_plain(each) for each in kept["pretokenizers"]]
        if len(kept["pretokenizers"]) == 1:
            return kept["pretokenizers"][0]
    if kept.get("type") == "ByteLevel":
        kept.setdefault("use_regex", True)
        kept.setdefault("add_prefix_space", True)
    return kept
