"""The tokenizer of a text that goes on from another text.

SentencePiece-like tokenizers put a space before every text they are given. For a completion, which follows its prompt,
that space would be one nobody wrote: trained on, and expected at the joint ever after. The space comes from named steps
in `tokenizer.json`; taking those steps out gives the same tokenizer, vocabulary and merges untouched, without it.
"""

from typing import Any

Spec = dict[str, Any]


def continuing(spec: Spec) -> Spec:
    """The tokenizer's description without the steps that change the beginning of a text."""
    return spec | {
        "normalizer": _without_prefix(spec.get("normalizer")),
        "pre_tokenizer": _without_prefix(spec.get("pre_tokenizer")),
    }


def _without_prefix(step: Spec | None) -> Spec | None:
    if step is None:
        return None
    match step["type"]:
        case "Sequence":
            return _without_prefix_in_sequence(step)
        case "Prepend":
            return None
        case "Metaspace":
            kept = {key: value for key, value in step.items() if key != "add_prefix_space"}
            return kept | {"prepend_scheme": "never"}
        case "ByteLevel":
            return step | {"add_prefix_space": False}
        case "Strip":
            return step | {"strip_left": False}
    return step


def _without_prefix_in_sequence(step: Spec) -> Spec:
    inner = "normalizers" if "normalizers" in step else "pretokenizers"
    kept = [changed for one in step[inner] if (changed := _without_prefix(one)) is not None]
    return step | {inner: kept}
