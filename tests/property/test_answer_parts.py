"""Whatever a model says, in whatever pieces: the parts of the answer in a row are its text, and lie where they say."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from outcrop.knowledge.answering.citations import CitedPart, Evidence
from outcrop.knowledge.answering.sentences import AnswerReader
from tests.support.found_passages import found

PASSAGES = [found("The fee is 5 dollars. It is due on Monday.", number=0), found("取引は9時に始まる。", number=1)]
WORDS = st.sampled_from(
    ["The fee", " is", " 5 dollars", ".", " ", "\n\n", "- ", "[1]", " [2]", "[1, 2]", "[", "]", "e.g.", "取引は", "9時", "。",
     "「そう。」", "No. 5", "?", "it is due", "\t", "[99]", "Dr. ", "！"]
)  # fmt: skip


def parts_of(pieces: list[str]) -> tuple[str, list[CitedPart]]:
    evidence, reader = Evidence(PASSAGES, "What is the fee?"), AnswerReader(len(PASSAGES))
    told = [*map(reader.push, pieces), reader.finish()]

    async def cited() -> list[CitedPart]:
        return [await evidence.cite(sentence) for _, sentences in told for sentence in sentences]

    return "".join(text for text, _ in told), asyncio.run(cited())


@given(pieces=st.lists(st.one_of(WORDS, st.text(max_size=8)), max_size=40))
def test_the_parts_are_the_answer_and_their_spans_lie_inside(pieces: list[str]) -> None:
    text, parts = parts_of(pieces)
    assert "".join(part.text for part in parts) == text
    for part in parts:
        assert text[part.start : part.last + 1] == part.text
        assert 0 <= part.start <= part.last < len(text)
        assert all(0 <= number < len(PASSAGES) for number in part.cited)
    assert text == text.strip()


@given(pieces=st.lists(WORDS, max_size=30), cuts=st.lists(st.integers(1, 5), max_size=60))
def test_how_an_answer_is_cut_into_pieces_changes_nothing(pieces: list[str], cuts: list[int]) -> None:
    whole = "".join(pieces)
    cut, rest = list[str](), whole
    for size in cuts:
        cut.append(rest[:size])
        rest = rest[size:]
    assert parts_of([*cut, rest]) == parts_of([whole])
