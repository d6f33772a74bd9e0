"""Questions read from every form that people keep them in, with everything that is wrong told together."""

import json
from pathlib import Path
from typing import Any

import pytest

from outcrop.datasets.problems import RecordError
from outcrop.datasets.records import Conversation, PromptCompletion, TextRecord
from outcrop.evaluation.questions import GivenAnswer, Question, read_file, read_questions


def of(*values: Any) -> list[Question]:
    return read_questions([json.dumps(value).encode() for value in values], name="test.jsonl")


def problems(*lines: str) -> list[str]:
    with pytest.raises(RecordError) as raised:
        read_questions([line.encode() for line in lines], name="test.jsonl")
    return [str(problem) for problem in raised.value.problems]


def test_a_line_of_bedrocks_evaluation_is_a_question() -> None:
    (question,) = of(
        {
            "prompt": "Where?",
            "referenceResponse": "Here.",
            "category": "places",
            "modelResponses": [{"response": "There.", "modelIdentifier": "mine"}],
        }
    )
    assert (question.id, question.prompt, question.reference) == ("test.jsonl:1", "Where?", "Here.")
    assert question.category == "places"
    assert question.given == (GivenAnswer(text="There.", model="mine"),)
    assert question.record == PromptCompletion(prompt="Where?", completion="Here.", line=1)


def test_references_may_be_several_or_none() -> None:
    several, none = of({"prompt": "a", "referenceResponses": ["b", "c"]}, {"prompt": "d"})
    assert (several.references, none.references, none.reference, none.record) == (("b", "c"), (), None, None)


def test_a_line_of_a_retrievals_evaluation_is_a_question_with_its_passages() -> None:
    output = {
        "text": "In 1926.",
        "knowledgeBaseIdentifier": "third-party",
        "retrievedPassages": {"retrievalResults": [{"content": {"text": "It was 1926."}}]},
    }
    turn = {
        "prompt": {"content": [{"text": "When?"}]},
        "referenceResponses": [{"content": [{"text": "1926"}]}],
        "output": output,
    }
    (question,) = of({"conversationTurns": [turn]})
    assert (question.prompt, question.references) == ("When?", ("1926",))
    assert question.given == (GivenAnswer(text="In 1926.", model="third-party", passages=("It was 1926.",)),)


def test_records_that_jobs_learn_from_are_questions() -> None:
    chat = {"system": "Short.", "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"},
    ]}  # fmt: skip
    pair, conversation, dolly, text = of(
        {"prompt": "p", "completion": "q", "category": "x"},
        chat,
        {"instruction": "i", "context": "", "response": "r", "category": "y"},
        {"input": "a text"},
    )
    assert (pair.prompt, pair.reference, pair.category) == ("p", "q", "x")
    assert (conversation.system, conversation.prompt, conversation.reference) == ("Short.", "c", "d")
    assert [turn["content"] for turn in conversation.messages] == ["a", "b", "c"]
    assert isinstance(conversation.record, Conversation)
    assert (dolly.prompt, dolly.reference, dolly.category) == ("i", "r", "y")
    assert (text.is_text, text.prompt, text.reference) == (True, "", "a text")
    assert text.record == TextRecord(text="a text", line=4)


def test_the_same_question_has_the_same_digest_wherever_it_stands() -> None:
    one, other, unlike = of(
        {"prompt": "p", "completion": "q"},
        {"referenceResponse": "q", "prompt": "p", "category": "c"},
        {"prompt": "p", "completion": "r"},
    )
    assert one.digest == other.digest != unlike.digest


def test_everything_that_is_wrong_is_told_with_line_and_field() -> None:
    assert problems(
        '{"prompt": "a", "referenceResponse": "b"}',
        '{"prompt": "", "referenceResponse": 3, "model": "x"}',
        '{"prompt": "a" "completion": "b"}',
        "[1]",
        '{"conversationTurns": []}',
        '{"conversationTurns": [{}]}',
        '{"messages": [{"role": "user", "content": "a"}]}',
        '{"prompt": "a", "completion": "b", "category": 3}',
    ) == [
        'test.jsonl:2: model: no part of an evaluation\'s line. Leave it out, or write {"prompt": "…", '
        '"referenceResponse": "…"}.',
        "test.jsonl:2: prompt: empty. Write a text.",
        "test.jsonl:2: referenceResponse: expected a string, found a number. Write a text.",
        "test.jsonl:3: column 16: not JSON, expected ','. Write the record as one JSON object on one line.",
        "test.jsonl:4: a JSON array, not JSON Lines. Write each object on a line of its own, without [ ] and commas.",
        "test.jsonl:5: conversationTurns: 0 turns, and one question is asked at a time. Give each turn a line of its "
        "own.",
        'test.jsonl:6: conversationTurns[0].prompt: missing. Write {"content": [{"text": "…"}]}.',
        "test.jsonl:7: messages: the last turn is the user's. End the conversation with what the assistant should say.",
        "test.jsonl:8: category: expected a string, found a number. Write its name.",
    ]
    assert problems("", " ") == [
        'test.jsonl: no questions. Write one on each line: {"prompt": "…", "referenceResponse": "…"}.'
    ]


def test_other_containers_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("prompt,completion,category\na,b,x\nc,d,y\n")
    (tmp_path / "test.json").write_text('[{"prompt": "a", "completion": "b", "category": "x"}]')
    table, array = read_file(tmp_path / "test.csv"), read_file(tmp_path / "test.json")
    assert [(each.prompt, each.reference, each.category) for each in table] == [("a", "b", "x"), ("c", "d", "y")]
    assert array[0].digest == table[0].digest
