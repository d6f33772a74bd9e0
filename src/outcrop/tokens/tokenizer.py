"""Text to token ids and back, read from a Hugging Face model directory without transformers.

A text either begins a document or continues one, and `encode` asks which. Ids are always decoded as a continuation:
a space that a token carries is kept, so that decoding what was encoded gives the very same text back.
"""

import codecs
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tokenizers

from outcrop.clock import Clock, SystemClock
from outcrop.errors import Invalid
from outcrop.tokens.chat_template import ChatTemplate, Messages
from outcrop.tokens.continuation import continuing
from outcrop.tokens.pieces import piece_reader

_SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


class Tokenizer:
    """The tokenizer of one model directory; open it with `Tokenizer.open`."""

    def __init__(self, spec: dict[str, Any], *, config: Mapping[str, Any], name: str, clock: Clock) -> None:
        self.name = name
        "The directory's name, for messages."
        self.clock = clock
        "For chat templates that write today's date."
        self._beginning = tokenizers.Tokenizer.from_str(json.dumps(spec))
        self._continuing = tokenizers.Tokenizer.from_str(json.dumps(continuing(spec)))
        for encoder in (self._beginning, self._continuing):
            encoder.no_truncation()
            encoder.no_padding()
        self.vocab_size: int = self._beginning.get_vocab_size(with_added_tokens=True)
        self._read_piece = piece_reader(spec.get("decoder"))
        self.special_ids = frozenset(token["id"] for token in spec.get("added_tokens", []) if token["special"])
        "Ids that stand for structure and decode to nothing."
        self._bytes_of: dict[int, bytes] = dict.fromkeys(self.special_ids, b"")
        self.special_tokens = {name: config[name] for name in _SPECIAL_TOKENS if config.get(name)}
        self.bos_id, self.begins_with_bos = self._beginning_token(config)
        self.eos_ids = self._end_tokens(config)
        "Every id after which generation ends; the first is the one a trained completion ends with."
        pad_id = self.token_id(self.special_tokens.get("pad_token", ""))
        self.pad_id: int = self.eos_ids[0] if pad_id is None else pad_id
        source = config.get("chat_template")
        self.chat_template = ChatTemplate(source, tokens=self.special_tokens, clock=clock) if source else None

    @classmethod
    def open(cls, model_dir: Path, *, clock: Clock | None = None) -> "Tokenizer":
        """The tokenizer of a Hugging Face directory. Raises Invalid naming the file that is missing or wrong."""
        spec = _read_json(model_dir / "tokenizer.json")
        if spec is None:
            raise Invalid(
                f"{model_dir / 'tokenizer.json'}: missing. Save the model with a fast tokenizer "
                "(AutoTokenizer.from_pretrained(...).save_pretrained(...)) into its directory."
            )
        return cls(spec, config=_read_config(model_dir), name=model_dir.name, clock=clock or SystemClock())

    @property
    def eos_id(self) -> int:
        return self.eos_ids[0]

    def encode(self, text: str, *, begin: bool) -> list[int]:
        """Ids of a text; the spelling of a special token inside it becomes that token.

        begin=True: the text begins a document; it gets the beginning-of-sequence token where the model's convention
        has one (never a second one). begin=False: the text continues another one, and nothing is put before it.
        """
        if not begin:
            return list(self._continuing.encode(text, add_special_tokens=False).ids)
        ids = self.encode_rendered(text)
        if self.begins_with_bos and self.bos_id is not None and ids[:1] != [self.bos_id]:
            return [self.bos_id, *ids]
        return ids

    def encode_rendered(self, text: str) -> list[int]:
        """Ids of a document that already holds its special tokens, as a chat template writes it."""
        return list(self._beginning.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids; special tokens are left out, bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.bytes_of, ids)).decode("utf-8", errors="replace")

    def bytes_of(self, token_id: int) -> bytes:
        """The bytes one token stands for; none for special tokens and for ids the vocabulary does not have."""
        known = self._bytes_of.get(token_id)
        if known is None:
            piece = self._beginning.id_to_token(token_id)
            known = self._bytes_of[token_id] = b"" if piece is None else self._read_piece(piece)
        return known

    def token_id(self, token: str) -> int | None:
        """The id of a token by its spelling in the vocabulary."""
        found: int | None = self._beginning.token_to_id(token)
        return found

    def token(self, token_id: int) -> str | None:
        """The spelling of a token in the vocabulary."""
        found: str | None = self._beginning.id_to_token(token_id)
        return found

    def render_chat(self, messages: Messages, *, add_generation_prompt: bool) -> list[int]:
        """Ids of a conversation as the model's chat template writes it. Raises Invalid when there is no template."""
        return self.encode_rendered(self.chat_text(messages, add_generation_prompt=add_generation_prompt))

    def chat_text(self, messages: Messages, *, add_generation_prompt: bool) -> str:
        if self.chat_template is None:
            raise Invalid(f"{self.name}: the tokenizer has no chat template. Add one to its tokenizer_config.json.")
        return self.chat_template.render(messages, add_generation_prompt=add_generation_prompt)

    def _beginning_token(self, config: Mapping[str, Any]) -> tuple[int | None, bool]:
        """The beginning-of-sequence id and whether documents begin with it: the configuration's word, else what the
        tokenizer's own post-processor does."""
        named = self.special_tokens.get("bos_token")
        bos_id = config.get("bos_token_id") if named is None else self.token_id(named)
        plain = self._beginning.encode("a", add_special_tokens=False).ids
        whole = self._beginning.encode("a", add_special_tokens=True).ids
        adds_one = whole[:1] != plain[:1]
        if adds_one and bos_id is None:
            bos_id = whole[0]
        asked = config.get("add_bos_token")
        return bos_id, bos_id is not None and (adds_one and whole[0] == bos_id if asked is None else bool(asked))

    def _end_tokens(self, config: Mapping[str, Any]) -> tuple[int, ...]:
        named = self.special_tokens.get("eos_token")
        first = None if named is None else self.token_id(named)
        ids = ([] if first is None else [first]) + list(config["eos_token_ids"])
        if not ids:
            raise Invalid(
                f"{self.name}: no end-of-sequence token, so a completion would never end. "
                "Name eos_token in tokenizer_config.json or eos_token_id in config.json."
            )
        return tuple(dict.fromkeys(ids))


class IncrementalDecoder:
    """Text from ids as they come: only whole characters leave, and all that leaves together equals `decode`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, ids: Iterable[int]) -> str:
        return self._utf8.decode(b"".join(map(self._tokenizer.bytes_of, ids)))

    def finish(self) -> str:
        """What is left when no more ids come: U+FFFD for a character that was never completed, else nothing."""
        return self._utf8.decode(b"", final=True)


def _read_config(model_dir: Path) -> dict[str, Any]:
    """What the directory's several files say about the tokenizer, in one place and one form."""
    config = _read_json(model_dir / "special_tokens_map.json") or {}
    config |= _read_json(model_dir / "tokenizer_config.json") or {}
    for name in _SPECIAL_TOKENS:
        if isinstance(config.get(name), dict):
            config[name] = config[name]["content"]
    network = _read_json(model_dir / "config.json") or {}
    generation = _read_json(model_dir / "generation_config.json") or {}
    config.setdefault("bos_token_id", network.get("bos_token_id"))
    config["eos_token_ids"] = _as_list(generation.get("eos_token_id")) + _as_list(network.get("eos_token_id"))
    config["chat_template"] = _chat_template(model_dir, config.get("chat_template"))
    return config


def _chat_template(model_dir: Path, configured: Any) -> str | None:
    """The default template. A file of its own goes before the configuration, as newer models have it."""
    file = model_dir / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    if isinstance(configured, list):
        named = {entry["name"]: entry["template"] for entry in configured}
        return named.get("default")
    return None if configured is None else str(configured)


def _as_list(value: Any) -> list[int]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise Invalid(f"{path}: not JSON: {problem}. Copy the file again.") from problem
    return content
