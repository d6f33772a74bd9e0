"""An answer taken apart while it comes: marks out of the text, sentences complete as soon as they are."""

import pytest

from outcrop.knowledge.answering.sentences import AnswerReader, AnswerSentence


def read(text: str, *, num_passages: int = 3, size: int = 1) -> tuple[str, list[AnswerSentence]]:
    """The text that is shown, and the sentences, of an answer in pieces of so many letters."""
    reader = AnswerReader(num_passages)
    shown, sentences = "", list[AnswerSentence]()
    for at in range(0, len(text), size):
        more, done = reader.push(text[at : at + size])
        shown, sentences = shown + more, sentences + done
    more, done = reader.finish()
    return shown + more, sentences + done


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    ("said", "shown", "marked"),
    [
        ("One is so [1]. Two is so [2].", "One is so. Two is so.", [(0,), (1,)]),
        ("One is so. [1] Two is so. [2]", "One is so. Two is so.", [(0,), (1,)]),
        ("One is so.[1][3] Two is so.", "One is so. Two is so.", [(0, 2), ()]),
        ("One is so [1, 2].", "One is so.", [(0, 1)]),
        ("One is so [Source 2].", "One is so.", [(1,)]),
        ("一つ目である【1】。二つ目である[2]。", "一つ目である。二つ目である。", [(0,), (1,)]),
        ("See list [7] and [x] and [.", "See list [7] and [x] and [.", [()]),
        ("  \n Well. \n\n", "Well.", [()]),
        ("[1] One is so.", "One is so.", [(0,)]),
        ("", "", []),
    ],
)
def test_marks_are_taken_out_and_kept(said: str, shown: str, marked: list[tuple[int, ...]], size: int) -> None:
    text, sentences = read(said, size=size)
    assert text == shown
    assert [sentence.marked for sentence in sentences] == marked
    assert "".join(sentence.text for sentence in sentences) == text


def test_brackets_are_text_where_the_model_was_not_asked_for_marks() -> None:
    assert read("One is so [1].", num_passages=0)[0] == "One is so [1]."


def test_text_goes_out_before_its_sentence_is_complete() -> None:
    reader = AnswerReader(1)
    assert reader.push("The fee is ") == ("The fee is", [])
    assert reader.push("5 dollars. The") == (
        " 5 dollars. The",
        [AnswerSentence(text="The fee is 5 dollars. ", start=0)],
    )
    assert reader.finish() == ("", [AnswerSentence(text="The", start=22)])
