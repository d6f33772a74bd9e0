"""Texts, and pairs of texts, to token ids as an encoder reads them, with its special tokens around them.

Read from tokenizer.json, without transformers. An encoder ends no text by itself, so nothing here asks for an
end-of-sequence token, as `tokenizer.py` does for networks that write. Nothing is cut unless that is asked for.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import tokenizers

from outcrop.errors import InputTooLong
from outcrop.tokens.model_files import read_spec
from outcrop.tokens.tokenizer import refuse_half_characters


class Truncate(StrEnum):
    """The end at which a text that is too long is cut; NONE refuses the text instead."""

    NONE = "NONE"
    START = "START"
    END = "END"


class TokenRow(NamedTuple):
    """The ids that a network reads for one text, or for a query and a document."""

    ids: list[int]
    type_ids: list[int]
    "0 for the first text, 1 for the second, in families that tell them apart."
    num_prompt: int = 0
    "Ids at the beginning that are the model's own prompt, with the special tokens before it."


class TextTooLong(InputTooLong):
    """A text with more tokens than the model reads."""

    def __init__(self, number: int, num_tokens: int, max_length: int) -> None:
        super().__init__(
            f"Input is too long for requested model. Text {number + 1} has {num_tokens} tokens, and this model reads "
            f"{max_length}. Shorten it."
        )
        self.number = number
        self.num_tokens = num_tokens
        self.max_length = max_length


class EncoderTokenizer:
    """The tokenizer of one encoder; open it with `EncoderTokenizer.open`."""

    def __init__(self, encoder: tokenizers.Tokenizer, *, lower: bool = False) -> None:
        """`lower`: texts are put in small letters first."""
        self._encoder = encoder
        self._lower = lower
        encoder.no_truncation()
        encoder.no_padding()

    @classmethod
    def open(cls, model_dir: Path, *, lower: bool = False) -> "EncoderTokenizer":
        """The tokenizer of a Hugging Face directory. Raises Invalid, naming the file that is missing or wrong."""
        return cls(tokenizers.Tokenizer.from_str(json.dumps(read_spec(model_dir))), lower=lower)

    def rows(
        self, texts: Sequence[str], *, prompt: str = "", max_length: int, truncate: Truncate = Truncate.NONE
    ) -> list[TokenRow]:
        """A row for each text, behind `prompt`, of at most `max_length` ids. Raises TextTooLong, Invalid."""
        room = max_length - self._encoder.num_special_tokens_to_add(False)
        of_prompt = self._plain([prompt])[0] if prompt else None
        num_plain = len(of_prompt.ids) if of_prompt is not None else 0
        num_prompt = self._num_before(of_prompt) + num_plain if of_prompt is not None else 0
        found = []
        for number, encoding in enumerate(self._plain([prompt + text for text in texts])):
            if len(encoding.ids) > room:
                if truncate is Truncate.NONE or num_plain >= room:
                    raise TextTooLong(number, len(encoding.ids) + max_length - room, max_length)
                encoding = self._cut(encoding, prompt + texts[number], room, num_plain, truncate)
            whole = self._encoder.post_process(encoding)
            found.append(TokenRow(list(whole.ids), list(whole.type_ids), min(num_prompt, len(whole.ids))))
        return found

    def pairs(
        self, query: str, documents: Sequence[str], *, max_length: int, most_of_document: int | None = None
    ) -> list[TokenRow]:
        """A row for the query with each document, of at most `max_length` ids.

        A document is cut behind its first `most_of_document` ids, where that is given. Raises TextTooLong, Invalid.
        """
        room = max_length - self._encoder.num_special_tokens_to_add(True)
        found = []
        for number, encoding in enumerate(self._plain(documents)):
            if most_of_document is not None:
                encoding.truncate(most_of_document)
            (asked,) = self._plain([query])  # post-processing takes it
            if len(asked.ids) + len(encoding.ids) > room:
                num_special = max_length - room
                raise TextTooLong(number, len(asked.ids) + len(encoding.ids) + num_special, max_length)
            whole = self._encoder.post_process(asked, encoding)
            found.append(TokenRow(list(whole.ids), list(whole.type_ids)))
        return found

    def counts(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, without special ones around it. Raises Invalid for half a character."""
        return [len(encoding.ids) for encoding in self._plain(texts)]

    def num_ids(self) -> int:
        """Ids that the vocabulary goes up to, added tokens included."""
        return 1 + max(self._encoder.get_vocab(with_added_tokens=True).values(), default=-1)

    def _plain(self, texts: Sequence[str]) -> list[tokenizers.Encoding]:
        """The encodings of texts without special tokens around them."""
        read = [text.lower() for text in texts] if self._lower else list(texts)
        try:
            found: list[tokenizers.Encoding] = self._encoder.encode_batch_fast(read, add_special_tokens=False)
        except (UnicodeEncodeError, TypeError):
            refuse_half_characters(read)
            raise
        return found

    def _num_before(self, plain: tokenizers.Encoding) -> int:
        """The special tokens that come before a text."""
        special = list(self._encoder.post_process(plain).special_tokens_mask)
        return next((place for place, is_special in enumerate(special) if not is_special), 0)

    def _cut(
        self, encoding: tokenizers.Encoding, text: str, room: int, num_plain: int, truncate: Truncate
    ) -> tokenizers.Encoding:
        """An encoding of `room` ids; the prompt, its first `num_plain` ids, stays."""
        if truncate is Truncate.END:
            encoding.truncate(room)
            return encoding
        encoding.truncate(room - num_plain, direction="left")
        if not num_plain:
            return encoding
        (head,) = self._plain([text])
        head.truncate(num_plain)
        return tokenizers.Encoding.merge([head, encoding])
