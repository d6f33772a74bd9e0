"""Rows of token ids made of texts, for an engine to embed or rank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from outcrop.errors import Invalid
from outcrop.inference.encoder_requests import TextKind
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer, TextTooLong, TokenRow, Truncate
from outcrop.tokens.tokenizer import Tokenizer

_PROMPTS: Mapping[TextKind, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}
"Names of the prompt for a kind, as sentence-transformers looks for them. Other kinds have one of their name."


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How texts are to be read."""

    kind: TextKind | None = None
    truncate: Truncate = Truncate.NONE
    most_tokens: int | None = None
    "Of each text; None: as many as the model reads."

    def limit(self, max_length: int) -> int:
        """The most tokens of a text, for a model that reads `max_length`."""
        return max_length if self.most_tokens is None else min(max_length, self.most_tokens)


class TextReader(Protocol):
    """Makes rows of token ids. Raises TextTooLong where a text is too long and nothing says where to cut it."""

    def rows(self, texts: Sequence[str], reading: Reading) -> list[TokenRow]: ...


@dataclass(frozen=True, kw_only=True)
class EncoderReader:
    """Reads texts as an encoder was trained on them."""

    tokenizer: EncoderTokenizer
    max_length: int
    prompts: Mapping[str, str] = field(default_factory=dict)
    "By name: query, document (or passage, or corpus), classification, clustering."
    default_prompt: str | None = None
    "Name of the one for a text of neither kind."

    def rows(self, texts: Sequence[str], reading: Reading) -> list[TokenRow]:
        return self.tokenizer.rows(
            texts,
            prompt=self.prompt_for(reading.kind),
            max_length=reading.limit(self.max_length),
            truncate=reading.truncate,
        )

    def pairs(self, query: str, documents: Sequence[str], *, most_of_document: int | None = None) -> list[TokenRow]:
        """A row for the query with each document, which is cut where `most_of_document` says so."""
        return self.tokenizer.pairs(query, documents, max_length=self.max_length, most_of_document=most_of_document)

    def prompt_for(self, kind: TextKind | None) -> str:
        """The words that the model wants before a text of this kind; none where it has no prompt for it."""
        prompts = {name.lower(): text for name, text in self.prompts.items()}
        usual = () if self.default_prompt is None else (self.default_prompt.lower(),)
        wanted = _PROMPTS.get(kind, (kind, *usual)) if kind is not None else usual
        return next((prompts[name] for name in wanted if name in prompts), "")


@dataclass(frozen=True, kw_only=True)
class CausalReader:
    """Reads texts as a text model does, whose mean hidden states stand in for an encoder's vectors."""

    tokenizer: Tokenizer
    max_length: int

    def rows(self, texts: Sequence[str], reading: Reading) -> list[TokenRow]:
        """Rows without a prompt: a text model has none for texts of one kind."""
        return [self._row(number, text, reading) for number, text in enumerate(texts)]

    def _row(self, number: int, text: str, reading: Reading) -> TokenRow:
        ids = self.tokenizer.encode(text, begin=True) or self.tokenizer.encode(" ", begin=True)
        beyond = self.tokenizer.beyond(ids)
        if beyond is not None:
            raise Invalid(
                f"Text {number + 1} holds the token {self.tokenizer.token(beyond)!r}, which this model's network does "
                "not have. Send the text without it."
            )
        most = reading.limit(self.max_length)
        if len(ids) > most:
            if reading.truncate is Truncate.NONE:
                raise TextTooLong(number, len(ids), most)
            ids = ids[-most:] if reading.truncate is Truncate.START else ids[:most]
        return TokenRow(ids, [0] * len(ids))
