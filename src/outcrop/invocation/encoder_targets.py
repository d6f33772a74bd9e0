"""Targets of embedding models and rerankers: what a catalogue entry leads to that does not write text."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from outcrop.catalog.base_model import BaseModel
from outcrop.engines.clients import Clients
from outcrop.errors import ModelDamaged
from outcrop.invocation.admission import Allowance
from outcrop.invocation.target import EncoderTarget
from outcrop.invocation.text_rows import CausalReader, EncoderReader, TextReader
from outcrop.loops import contained
from outcrop.network import encoder_facts, facts
from outcrop.network.encoder_facts import EncoderFacts
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer
from outcrop.tokens.tokenizer import Tokenizer

_log = logging.getLogger("outcrop.invocation")


class _OpenedEncoder(NamedTuple):
    """The files of an encoder that are read here."""

    facts: EncoderFacts
    tokenizer: EncoderTokenizer


class EncoderTargets:
    """Makes targets; an encoder's files stay open between requests."""

    def __init__(self, clients: Clients, tokenizer: Callable[[Path], Tokenizer], *, patience_s: float) -> None:
        """`tokenizer` opens that of a text model which stands in for an embedding model."""
        self._clients = clients
        self._tokenizer = tokenizer
        self._patience_s = patience_s
        self._opened: dict[Path, _OpenedEncoder] = {}

    def of(self, model_id: str, base: BaseModel, allowance: Allowance) -> EncoderTarget:
        """The target of an entry with weights. Raises ModelDamaged for files that cannot be read."""
        assert base.folder is not None, "an entry with weights has a folder"
        reader: TextReader
        if base.stands_in:
            reader = CausalReader(tokenizer=self._tokenizer(base.folder), max_length=base.context_length)
            width, normalizes = facts.read(base.folder).width, False
        else:
            told, tokenizer = self._open(base.folder)
            reader, width, normalizes = _reader(base, told, tokenizer), told.width, told.normalizes
        return EncoderTarget(
            model_id=model_id,
            base_id=base.engine,
            client=self._clients.of(base),
            task=base.task,
            dialect=base.dialect,
            reader=reader,
            width=width,
            normalizes=normalizes,
            stands_in=base.stands_in,
            allowance=allowance,
            patience_s=self._patience_s,
        )

    def _open(self, folder: Path) -> _OpenedEncoder:
        """Raises ModelDamaged: whoever asks for a vector has not made these files."""
        if folder not in self._opened:
            with contained(_log, f"opening the encoder in {folder}") as outcome:
                told = encoder_facts.read(folder)
                self._opened[folder] = _OpenedEncoder(told, EncoderTokenizer.open(folder, lower=told.lower))
            if outcome.error is not None:
                raise ModelDamaged(
                    "The files of the model cannot be read: some are missing or damaged. Put them back; the server's "
                    "log has the details."
                ) from outcome.error
        return self._opened[folder]


def _reader(base: BaseModel, told: EncoderFacts, tokenizer: EncoderTokenizer) -> EncoderReader:
    """The reader of an encoder; prompts in the catalogue go before those in its files."""
    return EncoderReader(
        tokenizer=tokenizer,
        max_length=min(told.max_length, base.context_length),
        prompts=base.prompts or told.prompts,
        default_prompt=base.default_prompt or told.default_prompt,
    )
