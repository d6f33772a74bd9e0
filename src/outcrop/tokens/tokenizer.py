"""Text to token ids and back, read from a Hugging Face model directory without transformers.

A text either begins a document or continues one, and `encode` asks which. Ids are always decoded as a continuation:
a space that a token carries is kept, so that decoding what was encoded gives the very same text back.
"""

import codecs
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
from numpy.typing import NDArray

from outcrop.clock import Clock, SystemClock
from outcrop.errors import Invalid
from outcrop.tokens.chat_template import ChatTemplate, Messages, Options, Tools
from outcrop.tokens.continuation import continuing
from outcrop.tokens.model_files import SPECIAL_TOKENS, read_config, read_spec
from outcrop.tokens.pieces import bytes_per_token_byte, piece_reader
from outcrop.tokens.word_cache import WordCache, keeps_words_apart

_LARGE = 16_384
"Letters of a text that is encoded where the interpreter is free; less takes a few milliseconds."


class TextPlace(Enum):
    """The place of a text in its document."""

    BEGINNING = "it begins a document, which gets the model's beginning-of-sequence token"
    RENDERED = "a document that already holds its special tokens"
    CONTINUATION = "it goes on from another text"


class PlacedText(NamedTuple):
    """A text to encode, and its place."""

    text: str
    place: TextPlace


class Tokenizer:
    """The tokenizer of one model directory; open it with `Tokenizer.open`."""

    def __init__(self, spec: dict[str, Any], *, config: Mapping[str, Any], name: str, clock: Clock) -> None:
        self.name = name
        "The directory's name, for messages."
        self._config = config
        self.clock = clock
        "For chat templates that write today's date."
        self._beginning = tokenizers.Tokenizer.from_str(json.dumps(spec))
        self._continuing = tokenizers.Tokenizer.from_str(json.dumps(continuing(spec)))
        for encoder in (self._beginning, self._continuing):
            encoder.no_truncation()
            encoder.no_padding()
        words = keeps_words_apart(spec)
        self._words = WordCache(spec, partial(_ids_of_many, self._beginning)) if words else None
        self.vocab_size: int = self._beginning.get_vocab_size(with_added_tokens=True)
        self.num_embeddings: int | None = config.get("num_embeddings")
        "Ids that the network knows: those from it on may be spelled, and never reach it. None: nobody says."
        self._read_piece = piece_reader(spec.get("decoder"))
        self._bytes_per_token_byte = bytes_per_token_byte(spec)
        self.special_ids = frozenset(token["id"] for token in spec.get("added_tokens", []) if token["special"])
        "Ids that stand for structure and decode to nothing."
        self._bytes_of: dict[int, bytes] = dict.fromkeys(self.special_ids, b"")
        self.special_tokens = {name: config[name] for name in SPECIAL_TOKENS if config.get(name)}
        self.bos_id, self.begins_with_bos = self._beginning_token(config)
        self.eos_ids = self._end_tokens(config)
        "Every id after which generation ends; the first is the one a trained completion ends with."
        pad_id = self.token_id(self.special_tokens.get("pad_token", ""))
        self.pad_id: int = self.eos_ids[0] if pad_id is None else pad_id
        source = config.get("chat_template")
        self.chat_template = ChatTemplate(source, tokens=self.special_tokens, clock=clock) if source else None

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (self._beginning.to_str(), dict(self._config), self.name, self.clock)

    @classmethod
    def open(cls, model_dir: Path, *, clock: Clock | None = None) -> "Tokenizer":
        """The tokenizer of a Hugging Face directory. Raises Invalid naming the file that is missing or wrong."""
        spec, config = read_spec(model_dir), read_config(model_dir)
        return cls(spec, config=config, name=model_dir.name, clock=clock or SystemClock())

    @property
    def eos_id(self) -> int:
        return self.eos_ids[0]

    def encode(self, text: str, *, begin: bool) -> list[int]:
        """Ids of a text; the spelling of a special token inside it becomes that token.

        begin=True: the text begins a document; it gets the beginning-of-sequence token where the model's convention
        has one (never a second one). begin=False: the text continues another one, and nothing is put before it.
        """
        return self.encode_text(PlacedText(text, TextPlace.BEGINNING if begin else TextPlace.CONTINUATION))

    def encode_rendered(self, text: str) -> list[int]:
        """Ids of a document that already holds its special tokens, as a chat template writes it."""
        return self.encode_text(PlacedText(text, TextPlace.RENDERED))

    def encode_text(self, text: PlacedText) -> list[int]:
        """Ids of a text at its place, as `encode` and `encode_rendered` give them."""
        return self._begun(text, _ids(self._encoder(text.place), text.text))

    def encode_batch(self, texts: Sequence[PlacedText]) -> list[list[int]]:
        """Ids of many texts, each as `encode_text` gives them, computed on all cores."""
        if self._words is not None:  # wherever a text stands, it is encoded alike
            every = self._words.encode([text.text for text in texts])
            return [self._begun(text, ids) for text, ids in zip(texts, every, strict=True)]
        found: dict[int, list[int]] = {}
        for encoder in (self._beginning, self._continuing):
            numbers = [number for number, text in enumerate(texts) if self._encoder(text.place) is encoder]
            ids = _ids_of_many(encoder, [texts[number].text for number in numbers])
            found.update(zip(numbers, ids, strict=True))
        return [self._begun(text, found[number]) for number, text in enumerate(texts)]

    def _encoder(self, place: TextPlace) -> tokenizers.Tokenizer:
        return self._continuing if place is TextPlace.CONTINUATION else self._beginning

    def _begun(self, text: PlacedText, ids: list[int]) -> list[int]:
        if text.place is not TextPlace.BEGINNING or not self.begins_with_bos:
            return ids
        return ids if self.bos_id is None or ids[:1] == [self.bos_id] else [self.bos_id, *ids]

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

    def sizes_of(self, ids: NDArray[np.signedinteger[Any]]) -> NDArray[np.int64]:
        """The number of bytes that each token stands for."""
        sizes: NDArray[np.int64] = self._sizes[np.minimum(ids, len(self._sizes) - 1)]
        return sizes

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        """The bytes of each token, by id; the last is of ids that the vocabulary does not have."""
        return np.array([*(len(self.bytes_of(one)) for one in range(self._last_id + 1)), 0])

    def beyond(self, ids: Sequence[int]) -> int | None:
        """The first of these ids that the network has no embedding for, or None."""
        if self.num_embeddings is None or self._last_id < self.num_embeddings:
            return None
        return next((one for one in ids if one >= self.num_embeddings), None)

    @cached_property
    def _last_id(self) -> int:
        return max(self.vocabulary().values(), default=0)

    @cached_property
    def eos_spellings(self) -> frozenset[str]:
        """Spellings of the tokens that end a text by themselves."""
        return frozenset(spelling for one in self.eos_ids if (spelling := self.token(one)))

    @cached_property
    def most_bytes_per_token(self) -> int | None:
        """The most bytes of a text that one token stands for. None where a token may swallow any length."""
        if self._bytes_per_token_byte is None:
            return None
        return self._bytes_per_token_byte * max(len(self._read_piece(piece)) for piece in self.vocabulary())

    def least_tokens(self, num_bytes: int) -> int:
        """No text of so many bytes has fewer tokens; told without reading it."""
        return 0 if self.most_bytes_per_token is None else -(-num_bytes // self.most_bytes_per_token)

    def vocabulary(self) -> dict[str, int]:
        """Every token by its spelling, added ones too."""
        found: dict[str, int] = self._beginning.get_vocab(with_added_tokens=True)
        return found

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

    def chat_text(
        self,
        messages: Messages,
        *,
        add_generation_prompt: bool,
        today: datetime | None = None,
        tools: Tools = (),
        options: Options | None = None,
    ) -> str:
        """A conversation as the template writes it, on the day that `today` names instead of the clock's."""
        if self.chat_template is None:
            raise Invalid(f"{self.name}: the tokenizer has no chat template. Add one to its tokenizer_config.json.")
        return self.chat_template.render(
            messages, add_generation_prompt=add_generation_prompt, today=today, tools=tools, options=options
        )

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


def _made_again(spec: str, config: dict[str, Any], name: str, clock: Clock) -> Tokenizer:
    """The tokenizer that another process had."""
    return Tokenizer(json.loads(spec), config=config, name=name, clock=clock)


class IncrementalDecoder:
    """Text from ids as they come: only whole characters leave, and all that leaves together equals `decode`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, ids: Iterable[int]) -> str:
        return self._utf8.decode(b"".join([self._tokenizer.bytes_of(one) for one in ids]))

    def finish(self) -> str:
        """The text left when no more ids come: U+FFFD for a character that was never completed, else nothing."""
        return self._utf8.decode(b"", final=True)


def _ids(encoder: tokenizers.Tokenizer, text: str) -> list[int]:
    """Raises Invalid for half a character, which no tokenizer reads."""
    if len(text) >= _LARGE:
        # The same ids, but without the offsets of each, and while other threads of this process go on: a text of
        # 20 MB takes half a minute.
        return _ids_of_many(encoder, [text])[0]
    try:
        return list(encoder.encode(text, add_special_tokens=False).ids)
    except (UnicodeEncodeError, TypeError):
        refuse_half_characters([text])
        raise


def _ids_of_many(encoder: tokenizers.Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    try:
        return [one.ids for one in encoder.encode_batch_fast(texts, add_special_tokens=False)]
    except (UnicodeEncodeError, TypeError):
        refuse_half_characters(texts)
        raise


def refuse_half_characters(texts: Sequence[str]) -> None:
    """Half a character in one of the texts, refused: no tokenizer reads it. Raises Invalid."""
    for text in texts:
        half = next((n for n, letter in enumerate(text) if "\ud800" <= letter <= "\udfff"), None)
        if half is None:
            continue
        raise Invalid(
            f"The text holds half a character (\\u{ord(text[half]):04x}) at position {half + 1}. "
            "Write both halves of the surrogate pair, or the character itself."
        ) from None
