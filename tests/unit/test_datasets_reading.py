"""Lines become records, or sentences that say where, what, and how to mend it."""

import json
from pathlib import Path

import pytest

from outcrop.datasets.problems import RecordError
from outcrop.datasets.raw_records import MAX_LINE_BYTES, open_lines
from outcrop.datasets.reading import check, read_records
from outcrop.datasets.records import Conversation, Customization, PromptCompletion, TextRecord, digest

PAIR = '{"prompt": "<input text>", "completion": "<output text>"}'
ONE_OBJECT = "Write the record as one JSON object on one line."


def problems(line: str | bytes, customization: Customization = "FINE_TUNING") -> list[str]:
    content = line if isinstance(line, bytes) else line.encode()
    return [str(problem) for problem in check([content], name="train.jsonl", customization=customization)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"prompt": "a"}', "completion: missing. Give the record a completion, or remove the line."),
        (
            '{"prompt": "a", "completion": null}',
            "completion: expected a string, found null. Give the record a completion, or remove the line.",
        ),
        (
            '{"prompt": 3, "completion": "b"}',
            "prompt: expected a string, found a number. Give the record a prompt, or remove the line.",
        ),
        ('{"prompt": "a", "completion": ""}', "completion: empty. Give the record a completion, or remove the line."),
        ('{"prompt": "a", "completion": "b", "id": 1}', f"id: unknown key. Remove it; the form is {PAIR}."),
        ('{"prompt": "a" "completion": "b"}', f"column 16: not JSON, expected ','. {ONE_OBJECT}"),
        ('{"prompt": "a", "completion": "b"', f"column 34: not JSON, the line ends too early. {ONE_OBJECT}"),
        ('{"prompt": "a", "completion": "b"} {}', f"column 36: not JSON, expected the end of the line. {ONE_OBJECT}"),
        ('{"prompt": "a", "prompt": "c", "completion": "b"}', "prompt: written twice. Keep one of the two."),
        ('"a"', f"expected an object, found a string. Write {PAIR}."),
        ("null", f"expected an object, found null. Write {PAIR}."),
        ("[{}]", "a JSON array, not JSON Lines. Write each object on a line of its own, without [ ] and commas."),
        (b'{"prompt": "\xff"}', "byte 13: not UTF-8. Save the file as UTF-8."),
        ('{"prompt": "a"}'.encode("utf-16"), "byte 1: not UTF-8 (it looks like UTF-16). Save the file as UTF-8."),
        (b'{"prompt": "\x00"}', "column 13: a NUL byte. Remove it; UTF-8 text holds none."),
        (
            '{"prompt": "\\ud800", "completion": "b"}',
            "prompt: half a character (\\ud800) at position 1. "
            "Write both halves of the surrogate pair, or the character itself.",
        ),
        (
            '{"input": "a"}',
            f"input: belongs to CONTINUED_PRE_TRAINING. Write {PAIR}, or choose that customizationType.",
        ),
    ],
)
def test_a_bad_line_names_its_field_and_how_to_mend_it(line: str | bytes, problem: str) -> None:
    assert problems(line)[0] == f"train.jsonl:1: {problem}"


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([], "messages: no turns. End the conversation with what the assistant should say."),
        (
            [{"role": "user", "content": "a"}],
            "messages: the last turn is the user's. End the conversation with what the assistant should say.",
        ),
        (
            [{"role": "assistant", "content": "a"}],
            "messages[0].role: expected user, found assistant. Turns alternate and begin with the user.",
        ),
        (
            [{"role": "user", "content": "a"}, {"role": "user", "content": "a"}],
            "messages[1].role: expected assistant, found user. Turns alternate and begin with the user.",
        ),
        (
            [{"role": "user", "content": "a"}, {"role": "bot", "content": "a"}],
            "messages[1].role: expected user or assistant, found 'bot'. Write assistant.",
        ),
        (
            [{"role": "user", "content": [{"image": {}}]}, {"role": "assistant", "content": "a"}],
            "messages[0].content[0].image: this base model reads text alone. Remove the block, or the line.",
        ),
        (
            [{"role": "user", "content": [{"text": None}]}, {"role": "assistant", "content": "a"}],
            "messages[0].content[0].text: expected a string, found null. Give the record a text, or remove the line.",
        ),
    ],
)
def test_a_bad_conversation_names_the_turn(messages: list[object], problem: str) -> None:
    assert problems(json.dumps({"messages": messages})) == [f"train.jsonl:1: {problem}"]


def test_claude_s_form_and_converse_s_form_say_the_same() -> None:
    claude = {"system": "s", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    converse = {
        "schemaVersion": "bedrock-conversation-2024",
        "system": [{"text": "s"}],
        "messages": [{"role": "user", "content": [{"text": "q"}]}, {"role": "assistant", "content": [{"text": "a"}]}],
    }
    llama = {"messages": [{"role": "system", "content": "s"}, *claude["messages"]]}
    lines = [json.dumps(form).encode() for form in (claude, converse, llama)]
    read = list(read_records(lines, name="train.jsonl", customization="FINE_TUNING"))
    turns = ({"role": "user", "content": "q"}, {"role": "assistant", "content": "a"})
    assert read == [Conversation(system="s", messages=turns, line=line) for line in (1, 2, 3)]
    assert len({digest(record) for record in read}) == 1


def test_blank_lines_a_byte_order_mark_and_carriage_returns_are_read_over() -> None:
    lines = [
        b'\xef\xbb\xbf{"prompt": "a", "completion": "b"}\r\n',
        b"\r\n",
        b"  \n",
        b'{"prompt":"c","completion":"d"}',
    ]
    assert list(read_records(lines, name="train.jsonl", customization="FINE_TUNING")) == [
        PromptCompletion(prompt="a", completion="b", line=1),
        PromptCompletion(prompt="c", completion="d", line=4),
    ]


def test_continued_pre_training_reads_texts() -> None:
    assert list(read_records([b'{"input": "a"}'], name="t", customization="CONTINUED_PRE_TRAINING")) == [
        TextRecord(text="a", line=1)
    ]
    assert problems('{"prompt": "a", "completion": "b"}', "CONTINUED_PRE_TRAINING")[0] == (
        'train.jsonl:1: prompt: belongs to FINE_TUNING. Write {"input": "<text>"}, or choose that customizationType.'
    )


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_without_records_is_told(content: bytes) -> None:
    found = check(content.splitlines(keepends=True), name="train.jsonl", customization="FINE_TUNING")
    assert [str(problem) for problem in found] == ["train.jsonl: no records. Write one JSON object on each line."]


def test_a_pretty_printed_array_is_told_once() -> None:
    lines = json.dumps([{"prompt": "a", "completion": "b"}] * 3, indent=2).encode().splitlines()
    assert len(check(lines, name="train.jsonl", customization="FINE_TUNING")) == 1


def test_all_records_of_a_file_have_the_form_of_the_first() -> None:
    chat = b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}'
    found = check([b'{"prompt": "a", "completion": "b"}', chat], name="train.jsonl", customization="FINE_TUNING")
    assert [str(problem) for problem in found] == [
        "train.jsonl:2: of another form than the file's first record. "
        "Keep prompt/completion records and conversations in files of their own."
    ]


def test_reading_stops_at_the_first_problem_and_checking_goes_on() -> None:
    lines = [b"{", b'{"prompt": "a", "completion": "b"}', b"}"]
    with pytest.raises(RecordError, match=r"^train\.jsonl:1: column 2: not JSON, the line ends too early"):
        list(read_records(lines, name="train.jsonl", customization="FINE_TUNING"))
    assert [problem.line for problem in check(lines, name="train.jsonl", customization="FINE_TUNING")] == [1, 3]


def test_a_line_of_a_million_characters_is_a_record_and_an_endless_one_is_not(tmp_path: Path) -> None:
    record = {"prompt": "古" * 1_000_000, "completion": "b"}
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(record) + "\n" + "x" * (2 * MAX_LINE_BYTES + 10) + "\n" + json.dumps(record), "utf-8")
    found = check(open_lines(path), name=path.name, customization="FINE_TUNING")
    assert [str(problem) for problem in found] == [
        "train.jsonl:2: longer than 16,777,216 bytes. Write each record on a line of its own."
    ]
    assert sum(1 for _ in open_lines(path)) == 3


def test_text_that_no_tokenizer_could_take_never_escapes_as_a_python_error() -> None:
    for line in ("[" * 100_000, '{"a":' * 100_000, "1" * 5000, '{"prompt": NaN}', '{"\\ud800": 1}'):
        assert len(problems(line)) >= 1
