"""Chunks of documents, whatever their text and sizes: none exceeds its tokens, and together they are the document."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.documents.section import Section
from outcrop.knowledge.chunking.document_text import DocumentText
from outcrop.knowledge.chunking.strategy import Chunking, ChunkingStrategy, Chunks, chunks_of
from outcrop.knowledge.chunking.token_counts import TokenCounts, estimated_counts

WORDS = st.sampled_from(
    [
        "Rule 2. ", "A member shall report. ", "It halts; ", "word ", "supercalifragilistic", "取引所は、", "停止する。", "\n", "\n\n",
        "| a | b |\n", "Bond: A | Coupon: 3.5\n", "§ 240.10b-5 Fraud.\n", "第3条　会員は報告する。\n", " ", "\u3000", "é", "👍🏽", "x" * 40,
    ]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=60).map("".join)
SIZES = st.integers(min_value=2, max_value=40)


def of_words(texts: Sequence[str]) -> list[int]:
    """A tokenizer of another kind: a token for every three letters of a word, and one for where it begins."""
    return [sum(1 + len(word) // 3 for word in text.split()) for text in texts]


def document(text: str) -> DocumentText:
    """A document in sections of some letters each, under headings."""
    parts = [text[start : start + 97] for start in range(0, len(text), 97)]
    return DocumentText.of(
        [
            Section(document="d", headings=(f"Part {number // 2}",), place="p", start=number * 97, text=part)
            for number, part in enumerate(parts)
        ]
    )


def check(text: str, chunks: Chunks, counts: TokenCounts, most: int) -> None:
    covered = set[int]()
    for span in chunks.spans:
        part = text[span.start : span.end]
        assert part == part.strip() != ""
        assert counts([part])[0] <= most or len(part) == 1
        covered |= set(range(span.start, span.end))
    assert all(place in covered or text[place].isspace() for place in range(len(text)))


@pytest.mark.parametrize("counts", [estimated_counts, of_words])
@given(text=TEXTS, most=SIZES)
def test_default_chunks_follow_each_other(counts: TokenCounts, text: str, most: int) -> None:
    chunks = chunks_of(document(text), Chunking(most_tokens=most), counts, None)
    check(text, chunks, counts, most)
    assert all(before.end <= after.start for before, after in pairwise(chunks.spans))


@pytest.mark.parametrize("counts", [estimated_counts, of_words])
@given(text=TEXTS, most=SIZES, share=st.integers(1, 99))
def test_fixed_chunks_overlap_by_no_more_than_was_asked(counts: TokenCounts, text: str, most: int, share: int) -> None:
    overlap = most * share // 100
    chunking = Chunking(strategy=ChunkingStrategy.FIXED_SIZE, most_tokens=most, overlap_tokens=overlap)
    chunks = chunks_of(document(text), chunking, counts, None)
    check(text, chunks, counts, most)
    for before, after in pairwise(chunks.spans):
        assert (before.start, before.end) != (after.start, after.end)
        assert before.start < after.start
        assert before.end < after.end


@pytest.mark.parametrize("counts", [estimated_counts, of_words])
@given(text=TEXTS, child=SIZES, more=SIZES, share=st.integers(0, 90))
def test_children_lie_in_their_parents(counts: TokenCounts, text: str, child: int, more: int, share: int) -> None:
    chunking = Chunking(
        strategy=ChunkingStrategy.HIERARCHICAL,
        most_tokens=child,
        parent_tokens=child + more,
        overlap_tokens=child * share // 100,
    )
    chunks = chunks_of(document(text), chunking, counts, None)
    check(text, chunks, counts, child)
    assert len(set(chunks.spans)) == len(chunks.spans)
    for span, number in zip(chunks.spans, chunks.parent_of, strict=True):
        assert number is not None
        parent = chunks.parents[number]
        assert parent.start <= span.start < span.end <= parent.end
        assert counts([text[parent.start : parent.end]])[0] <= child + more or parent.end - parent.start == 1


@given(text=TEXTS, most=SIZES, percentile=st.integers(50, 99), buffer=st.integers(0, 1))
def test_semantic_chunks_follow_each_other(text: str, most: int, percentile: int, buffer: int) -> None:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] if "halt" in each else [0.0, 1.0] for each in texts]

    chunking = Chunking(strategy=ChunkingStrategy.SEMANTIC, most_tokens=most, percentile=percentile, buffer=buffer)
    chunks = chunks_of(document(text), chunking, estimated_counts, embed)
    check(text, chunks, estimated_counts, most)
    assert all(before.end <= after.start for before, after in pairwise(chunks.spans))


@given(text=TEXTS)
def test_a_document_that_is_not_cut_is_one_chunk(text: str) -> None:
    chunks = chunks_of(document(text), Chunking(strategy=ChunkingStrategy.NONE), estimated_counts, None)
    assert [text[span.start : span.end] for span in chunks.spans] == ([text.strip()] if text.strip() else [])
