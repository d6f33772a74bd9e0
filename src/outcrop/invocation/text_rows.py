"""Texts become the rows of token ids that an engine embeds or ranks: an encoder's own way, or a text model's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from outcrop.errors import Invalid
from outcrop.inference.encoder_requests import TextKind
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer, TextTooLong, TokenRow, Truncate
from outcrop.tokens.tokenizer import Tokenizer

_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"Names of the prompt for documents, in the order in which sentence-transformers looks for them."


class TextReader(Protocol):
    """Makes rows of token ids. Raises TextTooLong where a text is too long and nothing says where to cut it."""

    def rows(
        self, texts: Sequence[str], *, kind: TextKind | None, truncate: Truncate = Truncate.NONE
    ) -> list[TokenRow]: ...


@dataclass(frozen=True, kw_only=True)
class EncoderReader:
    """Reads texts as an encoder was trained on them."""

    tokenizer: EncoderTokenizer
    max_length: int
    prompts: Mapping[str, str] = field(default_factory=dict)
    "By name; `query` and `document` are those that are used here."
    default_prompt: str | None = None
    "Name of the one for a text of neither kind."

    def rows(
        self, texts: Sequence[str], *, kind: TextKind | None, truncate: Truncate = Truncate.NONE
    ) -> list[TokenRow]:
        prompt = self.prompt_for(kind)
        return self.tokenizer.rows(texts, prompt=prompt, max_length=self.max_length, truncate=truncate)

    def pairs(self, query: str, documents: Sequence[str], *, most_of_document: int | None = None) -> list[TokenRow]:
        """A row for the query with each document, which is cut where `most_of_document` says so."""
        return self.tokenizer.pairs(query, documents, max_length=self.max_length, most_of_document=most_of_document)

    def prompt_for(self, kind: TextKind | None) -> str:
        """The words that the model wants before a text of this kind; none where it has no prompt for it."""
        wanted = ("query",) if kind == "query" else _DOCUMENT_PROMPTS if kind == "document" else ()
        names = [name for name in (*wanted, self.default_prompt) if name in self.prompts]
        return self.prompts[names[0]] if names else ""


@dataclass(frozen=True, kw_only=True)
class CausalReader:
    """Reads texts as a text model does, whose mean hidden states stand in for an encoder's vectors."""

    tokenizer: Tokenizer
    max_length: int

    def rows(
        self, texts: Sequence[str], *, kind: TextKind | None, truncate: Truncate = Truncate.NONE
    ) -> list[TokenRow]:
        del kind  # a text model has no prompt for texts of one kind
        return [self._row(number, text, truncate) for number, text in enumerate(texts)]

    def _row(self, number: int, text: str, truncate: Truncate) -> TokenRow:
        ids = self.tokenizer.encode(text, begin=True) or self.tokenizer.encode(" ", begin=True)
        beyond = self.tokenizer.beyond(ids)
        if beyond is not None:
            raise Invalid(
                f"Text {number + 1} holds the token {self.tokenizer.token(beyond)!r}, which this model's network does "
                "not have. Send the text without it."
            )
        if len(ids) > self.max_length:
            if truncate is Truncate.NONE:
                raise TextTooLong(number, len(ids), self.max_length)
            ids = ids[-self.max_length :] if truncate is Truncate.START else ids[: self.max_length]
        return TokenRow(ids, [0] * len(ids))
