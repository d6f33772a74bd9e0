"""Sentences end where a reader would end them."""

import pytest

from outcrop.documents.sentences import sentences_of, sentences_over


@pytest.mark.parametrize(
    "sentences",
    [
        ["One. ", "Two! ", "Three? ", "Four"],
        ["Mr. Smith met Dr. Jones at 5 p.m. on Main St. and left. ", "He was late."],
        ["See Sec. 5 of the Act. ", "It rose by 3.5 percent."],
        ["J. R. R. Tolkien wrote it. ", "So they say."],
        ["The U.S. Government did. ", "Nobody else."],
        ["He said “Go.” ", "Then he left."],
        ["“Is it so?” he asked. ", "It was."],
        ["It was red, blue, etc. ", "Then it was gone."],
        ["Wait... and see. ", "Now!"],
        ["A title without a stop\n\n", "Its text begins. ", "It goes on\nover lines."],
        ["First:\n", "- one thing\n", "- another"],
        ["1. The first point stands. ", "2. The second too."],
        ["Das kostet z.B. 5 Euro. ", "Mehr nicht."],
        ["吾輩は猫である。", "名前はまだ無い。\n", "　どこで生れたか。"],
        ["「行くよ。すぐに。」と彼は言った。", "誰もいない。"],
        ["彼は答えた。", "「はい。」", "それだけだった。"],
        ["本当か？！", "知らない。"],
        ["約３．５倍になった。", "終り。"],
        ["我是猫。", "没有名字！"],
        ["هل هذا صحيح؟ ", "نعم."],
        ["एक वाक्य। ", "दूसरा।"],
        ["（注。括弧の中。）", "次の文。"],
    ],
)
def test_a_text_is_parted_into_its_sentences(sentences: list[str]) -> None:
    assert list(sentences_of("".join(sentences))) == sentences


def test_a_sentence_over_two_parts_belongs_to_the_first() -> None:
    parts = [("page 1", "One. A sentence that goes "), ("page 2", "on over it. Two. "), ("page 3", "Three.\n\n")]
    assert list(sentences_over(parts)) == [
        ("page 1", "One. "),
        ("page 1", "A sentence that goes on over it. "),
        ("page 2", "Two. "),
        ("page 3", "Three.\n\n"),
    ]


def test_text_without_any_end_is_held_for_a_while_only() -> None:
    parts = [(str(number), "word " * 5000) for number in range(20)]
    found = list(sentences_over(parts))
    assert len(found) > 3
    assert "".join(text for _, text in found) == "word " * 100_000
