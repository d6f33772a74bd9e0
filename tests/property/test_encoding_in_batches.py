"""Laws of encoding in batches: the ids, problems and reports are those of every record by itself."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.datasets.encoding import encode, encode_lines
from outcrop.datasets.reading import Line
from outcrop.datasets.records import Conversation, PromptCompletion, Record, TextRecord
from outcrop.datasets.repeated import Digests
from outcrop.errors import Invalid
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import PlacedText, TextPlace, Tokenizer
from tests.support.small_tokenizers import CHATML, byte_level, sentencepiece_like

KINDS = ["byte level", "byte level, chat", "sentencepiece", "legacy sentencepiece"]
FORMATS = [PromptFormat.TEXT, PromptFormat.CHAT, PromptFormat("Ask: {prompt}\nAnswer: ")]
LETTERS = st.sampled_from(
    [" ", "  ", "\n", "\t", "　", "a", "the", " the", "'s", "7", ".", "猫", "é", "<|im_end|>", "</s>"]
)
TEXTS = st.lists(st.one_of(LETTERS, st.characters(exclude_categories=["Cs"])), max_size=12).map("".join)
SAID = TEXTS.filter(str.strip)
HALF = "half \ud83d a character"


@cache
def tokenizer_of(kind: str) -> Tokenizer:
    folder = Path(mkdtemp())
    if kind.startswith("byte level"):
        return Tokenizer.open(byte_level(folder, chat_template=CHATML if "chat" in kind else None))
    return Tokenizer.open(sentencepiece_like(folder, legacy=kind.startswith("legacy")))


def turns(said: Sequence[str]) -> tuple[dict[str, str], ...]:
    both = [*said, "x"][: len(said) // 2 * 2 + 2] if len(said) % 2 else said
    return tuple({"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(both))


RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(PromptCompletion, prompt=SAID, completion=SAID, line=st.just(1)),
    st.builds(TextRecord, text=SAID | SAID.map(lambda text: text * 20) | st.just(HALF), line=st.just(1)),
    st.builds(
        Conversation, system=st.none() | SAID, messages=st.lists(SAID, min_size=1, max_size=6).map(turns),
        line=st.just(1),
    ),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(st.tuples(TEXTS, st.sampled_from(TextPlace)).map(PlacedText._make), max_size=8))
def test_a_batch_of_texts_has_the_ids_of_each(kind: str, texts: list[PlacedText]) -> None:
    tokenizer = tokenizer_of(kind)
    assert tokenizer.encode_batch(texts) == [tokenizer.encode_text(text) for text in texts]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(records=st.lists(RECORDS, max_size=6), prompt_format=st.sampled_from(FORMATS), context_length=st.just(24))
def test_a_batch_of_records_is_encoded_as_each(
    kind: str, records: list[Record], prompt_format: PromptFormat, context_length: int
) -> None:
    tokenizer = tokenizer_of(kind)
    records = [replace(record, line=number) for number, record in enumerate(records, start=1)]
    how = {"context_length": context_length, "name": "train.jsonl", "prompt_format": prompt_format}
    lines = [Line(number=record.line, record=record) for record in records]
    together = [line.encoded for line in encode_lines(lines, tokenizer, **how)]  # type: ignore[arg-type]
    assert together == [encode(record, tokenizer, **how) for record in records]  # type: ignore[arg-type]


def test_half_a_character_spoils_no_record_beside_it() -> None:
    tokenizer = tokenizer_of("byte level")
    with pytest.raises(Invalid, match=r"half a character \(\\ud83d\) at position 6"):
        tokenizer.encode_batch([PlacedText("whole", TextPlace.BEGINNING), PlacedText(HALF, TextPlace.BEGINNING)])


@given(st.lists(st.sampled_from([bytes(16), b"a" + bytes(15), b"ab" * 8, bytes(15) + b"a"]), max_size=8), st.data())
def test_repeated_and_shared_records_are_found_by_their_digests(digests: list[bytes], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.sampled_from([bytes(16), b"a" + bytes(15), b"ba" * 8]), max_size=8))
    here, there = Digests(), Digests()
    for number, one in enumerate(digests, start=1):
        here.add(one, number * 10)
    for number, one in enumerate(others, start=1):
        there.add(one, number)
    lines = {one: [n * 10 for n, each in enumerate(digests, start=1) if each == one] for one in digests}
    groups = sorted((tuple(group) for group in lines.values() if len(group) > 1), key=lambda group: group[1])
    assert here.repeated() == tuple(groups)
    assert here.shared_with(there) == sorted((lines[one][0], others.index(one) + 1) for one in {*digests} & {*others})
