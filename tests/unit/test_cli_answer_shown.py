"""`outcrop ask`: an answer at 80 columns, with numbers behind its sentences and their passages beneath."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from outcrop.cli.answer_shown import AnswerShown, excerpt, source_of, wrapped

RULE = "Tickets are kept for six years. Complaints are kept for four years. Nothing else is kept."


def reference(chunk: str, text: str = RULE) -> dict[str, Any]:
    return {
        "content": {"type": "TEXT", "text": text},
        "location": {"type": "S3", "s3Location": {"uri": f"s3://rules/{chunk}.txt"}},
        "metadata": {"x-amz-bedrock-kb-chunk-id": chunk},
    }


def part(text: str, *references: dict[str, Any]) -> dict[str, Any]:
    return {
        "generatedResponsePart": {"textResponsePart": {"text": text, "span": {"start": 0, "end": len(text) - 1}}},
        "retrievedReferences": list(references),
    }


def shown(*parts: dict[str, Any], width: int | None = 60, full: bool = False) -> AnswerShown:
    answer = AnswerShown(width=width, full=full)
    for each in parts:
        answer.add(each)
    answer.finish()
    return answer


def test_each_sentence_has_the_numbers_of_its_passages_which_stand_beneath(capsys: pytest.CaptureFixture[str]) -> None:
    five = reference("5.1")
    five["metadata"] |= {"x-outcrop-headings": ["Records", "Rule 5.1"], "x-amz-bedrock-kb-document-page-number": 3.0}
    three = reference("3.4", "A complaint is kept for four years.")
    shown(
        part("Tickets are kept for six years. ", five),
        part("Complaints are kept for four years. ", five, three),
        part("That is all."),
    )
    assert capsys.readouterr().out == (
        "Tickets are kept for six years. [1] Complaints are kept for\n"
        "four years. [1][2] That is all.\n"
        "\n"
        "[1] s3://rules/5.1.txt\n"
        "    Records > Rule 5.1, page 3\n"
        "    Tickets are kept for six years. Complaints are kept for\n"
        "    four years. …\n"
        "\n"
        "[2] s3://rules/3.4.txt\n"
        "    A complaint is kept for four years.\n"
    )


def test_japanese_has_its_numbers_without_a_blank(capsys: pytest.CaptureFixture[str]) -> None:
    shown(part("売買は停止される。", reference("7.1", "売買は停止される。")))
    assert capsys.readouterr().out.splitlines()[0] == "売買は停止される。[1]"


def test_an_answer_without_passages_is_its_text_alone(capsys: pytest.CaptureFixture[str]) -> None:
    answer = shown(part("Sorry, I am unable to assist you with this request."))
    assert not answer.has_passages
    assert capsys.readouterr().out == "Sorry, I am unable to assist you with this request.\n"


def test_a_passage_is_shown_whole_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    shown(part("Tickets are kept for six years.", reference("5.1")), full=True, width=None)
    assert capsys.readouterr().out.endswith(f"    {RULE}\n")


def test_lines_of_an_answer_are_kept_and_of_a_pipe_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    shown(part(f"- {RULE}\n- {RULE}"), width=None)
    assert capsys.readouterr().out == f"- {RULE}\n- {RULE}\n"


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (["Tickets are kept six years"], "Tickets are kept for six years. …"),
        (["four years for complaints"], "… Complaints are kept for four years. …"),
        (["nothing else is"], "… Nothing else is kept."),
        (["Tickets: six", "nothing else"], "Tickets are kept for six years. … Nothing else is kept."),
        (["Tickets: six", "Complaints: four", "nothing else"], RULE),
    ],
)
def test_an_excerpt_is_the_sentences_that_say_what_is_claimed(claims: list[str], expected: str) -> None:
    assert excerpt(RULE, claims) == expected


@given(text=st.text(max_size=200), claims=st.lists(st.text(max_size=40), min_size=1, max_size=3))
def test_an_excerpt_of_any_text_is_made(text: str, claims: list[str]) -> None:
    assert isinstance(excerpt(text, claims), str)


@given(text=st.text(alphabet="ab cd。売買は\n\t", max_size=200))
def test_wrapped_lines_fit_and_hold_every_letter(text: str) -> None:
    lines = list(wrapped(text, 24))
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= 24 or " " not in line.strip() for line in lines)


def test_a_document_of_its_owners_naming_is_told_by_its_id() -> None:
    assert source_of({"type": "CUSTOM", "customDocumentLocation": {"id": "note-1"}}) == "note-1"
