"""Laws of chunks: nothing of a text is lost or twice, and none has more tokens than asked."""

import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outcrop.documents.plain_text import read_plain_text
from outcrop.documents.section import Section
from outcrop.documents.sentences import sentences_of, sentences_over
from outcrop.recipes.chunking import GROUP, Chunk, ChunkSize, chunks_of
from outcrop.tokens import prompt_format
from outcrop.tokens.tokenizer import Tokenizer
from tests.support import small_tokenizers

PIECES = st.sampled_from(
    [
        "One. ",
        "two ",
        "Three! ",
        "\n",
        "\n\n",
        "  ",
        "Mr. ",
        "a, ",
        "é",
        "吾輩は猫である。",
        "「はい。」",
        "と",
        "、",
        "\u3000",
        "- x\n",
        "wordwithoutend" * 3,
        "...",
        "e.g. ",
        "(b) ",
        "#",
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=60).map("".join) | st.text(max_size=80)
KINDS = st.sampled_from([small_tokenizers.byte_level, small_tokenizers.sentencepiece_like])


@cache
def tokenizer_of(kind: object) -> Tokenizer:
    with tempfile.TemporaryDirectory() as folder:
        return Tokenizer.open(kind(Path(folder) / "t"))  # type: ignore[operator]


def sections(texts: list[str], *, document: str = "book", pages: bool = False) -> list[Section]:
    starts = [sum(map(len, texts[:at])) for at in range(len(texts))]
    return [
        Section(document=document, page=at + 1 if pages else None, place=f"part {at}", start=start, text=text)
        for at, (start, text) in enumerate(zip(starts, texts, strict=True))
    ]


@given(TEXTS)
def test_sentences_in_a_row_are_the_text(text: str) -> None:
    assert "".join(sentences_of(text)) == text


@given(st.lists(TEXTS, max_size=8))
def test_sentences_over_parts_are_the_text_and_begin_in_their_part(texts: list[str]) -> None:
    found = list(sentences_over([(str(at), text) for at, text in enumerate(texts)]))
    assert "".join(sentence for _, sentence in found) == "".join(texts)
    ends = [sum(map(len, texts[: at + 1])) for at in range(len(texts))]
    start = 0
    for part, sentence in found:
        assert int(part) == next((at for at, end in enumerate(ends) if start < end), len(texts))
        start += len(sentence)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=6),
    tokens=st.integers(8, 200),
    overlap=st.integers(0, 40),
    pages=st.booleans(),
    kind=KINDS,
)
def test_chunks_lose_no_letter_and_keep_their_size(
    texts: list[str], tokens: int, overlap: int, pages: bool, kind: object
) -> None:
    tokenizer = tokenizer_of(kind)
    size = ChunkSize(
        tokens=tokens, overlap=min(overlap, tokens // 2), close_at_page_from=tokens // 4 if pages else None
    )
    chunks = list(chunks_of(sections(texts, pages=pages), tokenizer, size))
    # Without what is repeated, they are the text.
    assert "".join(chunk.new_text for chunk in chunks) == "".join(texts)
    for chunk in chunks:
        assert chunk.new_text
        num_tokens = len(prompt_format.encode_text(tokenizer, chunk.text))
        assert num_tokens <= tokens or len(chunk.text) == 1
    for before, chunk in pairwise(chunks):
        repeated = "".join(sentence.text for sentence in chunk.sentences[: chunk.num_repeated])
        assert before.text.endswith(repeated)
        # What is in two groups is in neither twice.
        assert chunk.num_repeated == 0 or chunk.group == before.group


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=20), overlap=st.integers(0, 20))
def test_a_page_lies_in_one_group(texts: list[str], overlap: int) -> None:
    size = ChunkSize(tokens=40, overlap=overlap, close_at_page_from=10)
    chunks = list(chunks_of(sections(texts, pages=True), tokenizer_of(small_tokenizers.byte_level), size))
    groups: dict[int | None, set[int]] = {}
    for chunk in chunks:
        for sentence in chunk.sentences:
            groups.setdefault(sentence.section.page, set()).add(chunk.group)
    assert all(len(found) == 1 for found in groups.values())


def test_groups_end_after_some_chunks_without_repeating() -> None:
    text = "".join(f"This is sentence {number} of a book. " for number in range(200))
    size = ChunkSize(tokens=120, overlap=40)
    chunks = list(chunks_of(sections([text]), tokenizer_of(small_tokenizers.byte_level), size))
    first_of_groups = [
        chunk for before, chunk in pairwise([None, *chunks]) if chunk and (not before or before.group != chunk.group)
    ]
    assert len(first_of_groups) == -(-len(chunks) // GROUP)
    assert all(chunk.num_repeated == 0 for chunk in first_of_groups)
    assert all(chunk.num_repeated > 0 for chunk in chunks if chunk not in first_of_groups)
    assert not any(chunk.is_cut for chunk in chunks)


def test_a_sentence_that_alone_is_too_long_is_cut_at_its_clauses() -> None:
    text = "A first clause, a second clause that is longer, and a third one; then the end. Short. It is whole again."
    chunks = list(
        chunks_of(sections([text]), tokenizer_of(small_tokenizers.byte_level), ChunkSize(tokens=40, overlap=0))
    )
    assert [chunk.text for chunk in chunks] == [
        "A first clause, ",
        "a second clause that is longer, ",
        "and a third one; then the end. Short. ",
        "It is whole again.",
    ]
    assert [chunk.is_cut for chunk in chunks] == [True, True, True, False]


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=200))
def test_a_plain_file_of_any_text_comes_back_as_chunks(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        path.write_bytes(text.encode())
        found: list[Chunk] = list(
            chunks_of(read_plain_text(path), tokenizer_of(small_tokenizers.byte_level), ChunkSize(tokens=30, overlap=8))
        )
    assert "".join(chunk.new_text for chunk in found) == text.removeprefix("\ufeff")
