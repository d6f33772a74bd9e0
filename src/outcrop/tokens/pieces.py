"""The bytes that a token stands for, read from its spelling in `tokenizer.json`.

Decoding goes through bytes, token by token, instead of through the library's own text decoding: bytes of tokens simply
follow each other, so what streams out piece by piece equals what is decoded in one go, by construction. A tokenizer
whose decoder looks at neighbouring tokens (WordPiece) cannot be read this way and is refused when it is opened.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from outcrop.errors import Invalid

PieceBytes = Callable[[str], bytes]
_BYTE_PIECE = re.compile(r"^<0x([0-9A-F]{2})>$")


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's visible stand-ins for the 256 bytes: printable ones stand for themselves, the others for 256, 257, …"""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + n): byte for n, byte in enumerate(hidden)}


_BYTE_LEVEL = _byte_level_alphabet()


def piece_reader(decoder: Mapping[str, Any] | None) -> PieceBytes:
    """How this decoder turns one token's spelling into bytes.

    Whatever strips the text's first space is left out on purpose: ids are read as a continuation of what came before.
    """
    steps = _steps(decoder)
    if any(step["type"] == "ByteLevel" for step in steps):
        return _read_byte_level
    replacements = [pair for step in steps for pair in _replacements(step)]
    byte_fallback = any(step["type"] == "ByteFallback" for step in steps)

    def read(piece: str) -> bytes:
        byte = _BYTE_PIECE.match(piece) if byte_fallback else None
        if byte:
            return bytes([int(byte.group(1), 16)])
        for old, new in replacements:
            piece = piece.replace(old, new)
        return piece.encode("utf-8")

    return read


def _steps(decoder: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if decoder is None:
        raise Invalid("tokenizer.json: decoder: missing. Choose one that says how tokens become text again.")
    if decoder["type"] == "Sequence":
        return [step for inner in decoder["decoders"] for step in _steps(inner)]
    if decoder["type"] not in ("ByteLevel", "Metaspace", "Replace", "ByteFallback", "Fuse", "Strip", "BPEDecoder"):
        raise Invalid(
            f"tokenizer.json: decoder: type {decoder['type']!r} is not supported. "
            "Choose a model with a byte-level, SentencePiece-like or BPE tokenizer."
        )
    return [decoder]


def _replacements(step: Mapping[str, Any]) -> list[tuple[str, str]]:
    if step["type"] == "Metaspace":
        return [(step["replacement"], " ")]
    if step["type"] == "BPEDecoder":
        return [(step["suffix"], " ")]
    if step["type"] == "Replace":
        pattern = step["pattern"].get("String")
        if pattern is None:
            raise Invalid("tokenizer.json: decoder: Replace by a regular expression is not supported.")
        return [(pattern, step["content"])]
    return []


def _read_byte_level(piece: str) -> bytes:
    # An added token such as "   " is spelled in plain text; one letter outside the alphabet shows it.
    try:
        return bytes(_BYTE_LEVEL[letter] for letter in piece)
    except KeyError:
        return piece.encode("utf-8")


def bytes_per_token_byte(spec: Mapping[str, Any]) -> int | None:
    """The most bytes of a text that become one byte of its tokens. It is 1 for most tokenizers, 4 where letters are
    composed.

    None where a tokenizer drops parts of a text, or hides any length of it behind one unknown token.
    """
    steps = [*_inner(spec.get("normalizer"), "normalizers"), *_inner(spec.get("pre_tokenizer"), "pretokenizers")]
    swallows = any(token.get("lstrip") or token.get("rstrip") for token in spec.get("added_tokens", []))
    if swallows or not all(map(_keeps, steps)) or not _knows_every_byte(spec["model"], steps):
        return None
    return 4 if any(step["type"] in ("NFC", "NFKC") for step in steps) else 1


def _inner(step: Mapping[str, Any] | None, several: str) -> list[Mapping[str, Any]]:
    if step is None:
        return []
    return [one for inner in step[several] for one in _inner(inner, several)] if several in step else [step]


def _keeps(step: Mapping[str, Any]) -> bool:
    match step["type"]:
        case "Replace":
            old = step["pattern"].get("String")
            return old is not None and len(step["content"].encode()) >= len(old.encode())
        case "Split" | "Punctuation":
            return step.get("behavior") != "Removed"
        case kind:
            # Of letters that are composed, at most four bytes become one: a letter of mathematics, a syllable of jamo.
            return kind in ("Prepend", "Metaspace", "ByteLevel", "Digits", "UnicodeScripts", "NFC", "NFKC")


def _knows_every_byte(model: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> bool:
    vocab = model["vocab"]
    known = vocab.keys() if isinstance(vocab, Mapping) else {piece for piece, _ in vocab}
    if any(step["type"] == "ByteLevel" for step in steps):
        return known >= _BYTE_LEVEL.keys()
    return bool(model.get("byte_fallback")) and known >= {f"<0x{byte:02X}>" for byte in range(256)}
