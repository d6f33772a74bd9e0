"""Bedrock's own decisions: over AWS's sample files, and at each published limit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outcrop.datasets.bedrock.decision import BedrockDecision, decide
from outcrop.errors import Invalid
from tests.support.small_tokenizers import TEST_DATA

FOLDER = TEST_DATA / "bedrock-sample-formats"
NOVA, CLAUDE, TITAN = "amazon.nova-micro-v1:0", "anthropic.claude-3-haiku-20240307-v1:0", "amazon.titan-text-lite-v1"
PAIR = '{"prompt": "<input text>", "completion": "<output text>"}'
CLAUDE_FORM = '{"system": "…", "messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'
ENDS = f"Messages must start with user and end with assistant. Write {CLAUDE_FORM}."

SAMPLES = [
    # AWS trains Nova on it. Its guide shows a schemaVersion in each record; these have none, and AWS's validator asks
    # for none either, so none is asked for here.
    ("nova_tooluse.conversation.train.first200.jsonl", NOVA, "FINE_TUNING", None),
    ("nova_tooluse.conversation.train.first200.jsonl", "amazon.nova-pro-v1:0:300k", "FINE_TUNING", None),
    # Llama 3.3 takes the same form, from 100 records on.
    ("nova_tooluse.conversation.train.first200.jsonl", "meta.llama3-3-70b-instruct-v1:0", "FINE_TUNING", None),
    ("nova_tooluse.conversation.train.first200.jsonl", CLAUDE, "FINE_TUNING", "system: expected a string, found a list. Write the system prompt as a string."),
    ("nova_tooluse.conversation.train.first200.jsonl", TITAN, "FINE_TUNING", f"Input data at prompt must follow '{PAIR}' format. Write {PAIR} and nothing else."),
    ("nova_tooluse.conversation.train.first200.jsonl", TITAN, "CONTINUED_PRE_TRAINING", "Input data at input must follow '{\"input\": \"<input text>\"}' format. Write {\"input\": \"<input text>\"} and nothing else."),
    # AWS trains Claude 3 Haiku on it.
    ("tooluse.system_messages.train.jsonl", CLAUDE, "FINE_TUNING", None),
    ("tooluse.system_messages.train.jsonl", NOVA, "FINE_TUNING", 'system: expected a list of text blocks. Write [{"text": "…"}].'),
    # For reinforcement alone: an answer to be graded against, and none to be learned.
    ("rft_train_data.jsonl", "amazon.nova-2-lite-v1:0", "REINFORCEMENT_FINE_TUNING", None),
    ("rft_validation.first50.jsonl", "amazon.nova-2-lite-v1:0", "REINFORCEMENT_FINE_TUNING", None),
    ("rft_train_data.jsonl", CLAUDE, "FINE_TUNING", f"messages: {ENDS}"),
    ("rft_validation.first50.jsonl", NOVA, "FINE_TUNING", 'messages[0].content: expected a list of blocks, found a string. Write [{"text": "…"}].'),
    # Inputs of evaluation jobs, which are no training data.
    ("llmaaj-byoi-sample-data.jsonl", TITAN, "FINE_TUNING", f"Input data at completion must follow '{PAIR}' format. Write {PAIR} and nothing else."),
    ("llmaaj-byoi-sample-data.jsonl", CLAUDE, "FINE_TUNING", f"messages: {ENDS}"),
    ("rag-eval-byoi-sample-data.jsonl", TITAN, "FINE_TUNING", f"Input data at prompt must follow '{PAIR}' format. Write {PAIR} and nothing else."),
    ("rag-eval-byoi-sample-data.jsonl", NOVA, "FINE_TUNING", "messages: Invalid messages, both user and assistant are needed in sample. Give it an answer."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "base", "customization", "refusal"), SAMPLES)
def test_aws_s_samples_are_decided_as_aws_decides(
    name: str, base: str, customization: str, refusal: str | None
) -> None:
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{path} is not here; set OUTCROP_TEST_DATA")
    decision = decide([path], [], base=base, customization=customization)
    assert decision.takes == (refusal is None)
    assert [str(problem) for problem in decision.problems[:1]] == ([] if refusal is None else [f"{name}:1: {refusal}"])


def test_every_sample_is_in_the_table() -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER} is not here; set OUTCROP_TEST_DATA")
    assert {path.name for path in FOLDER.glob("*.jsonl")} == {name for name, *_ in SAMPLES}


def pair(prompt: str = "a", completion: str = "b", **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "completion": completion, **more}


def claude(*said: str, **more: Any) -> dict[str, Any]:
    said = said or ("q", "a")
    turns = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    return {"messages": turns, **more}


def nova(*said: Any, **more: Any) -> dict[str, Any]:
    turns = [{**turn, "content": [{"text": turn["content"]}]} for turn in claude(*said)["messages"]]
    return {"schemaVersion": "bedrock-conversation-2024", "messages": turns, **more}


def media(block: dict[str, Any], role: int = 0) -> dict[str, Any]:
    record = nova()
    record["messages"][role]["content"].append(block)
    return record


def picture(form: str = "png", uri: str = "s3://b/p.png") -> dict[str, Any]:
    return {"image": {"format": form, "source": {"s3Location": {"uri": uri}}}}


def decided(folder: Path, records: list[Any], base: str, *, name: str = "train.jsonl", **more: Any) -> BedrockDecision:
    path = folder / name
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in records))
    return decide([path], [], base=base, customization=more.pop("customization", "FINE_TUNING"), **more)


@pytest.mark.parametrize(
    ("records", "base", "sentence"),
    [
        ([pair()], TITAN, None),
        ([pair(id=1)], TITAN, f"train.jsonl:1: Input data at id must follow '{PAIR}' format. Write {PAIR} and nothing else."),
        ([pair(" ")], TITAN, f"train.jsonl:1: Input data at prompt must follow '{PAIR}' format, found no text. Give it a text."),
        ([pair(), "", pair()], TITAN, "train.jsonl:2: Unable to parse Amazon S3 file: train.jsonl. Data files must conform to JSONL format (an empty line). Remove the line."),
        ([pair(), "{"], TITAN, "train.jsonl:2: column 2: Unable to parse Amazon S3 file: train.jsonl. Data files must conform to JSONL format (not JSON, the line ends too early). Write the record as one JSON object on one line."),
        (["[1]"], TITAN, "train.jsonl: Unable to parse Amazon S3 file: train.jsonl. Data files must conform to JSONL format (a JSON array, not JSON Lines). Write each object on a line of its own, without [ ] and commas: jq -c '.[]' train.jsonl > NEW.jsonl"),
        ([pair("x" * 6 * 4097)], TITAN, "train.jsonl:1: Maximum input token count 4097 exceeds limit of 4096, estimated at 6 characters a token. Shorten the record."),
        ([pair("a", "x" * 6 * 4097)], TITAN, "train.jsonl:1: Maximum output token count 4097 exceeds limit of 4096, estimated at 6 characters a token. Shorten the record."),
        ([pair("x" * 6 * 4096, "x" * 6)], TITAN, "train.jsonl:1: Max sum of input and output token length 4097 exceeds total limit of 4096, estimated at 6 characters a token. Shorten the record."),
        ([pair()] * 10_001, TITAN, "train.jsonl: The dataset contains 10001 records, which exceeds the maximum allowed limit of 10000. Give fewer records."),
        ([pair()] * 31, "cohere.command-text-v14:7:4k", "train.jsonl: File has 31 lines. Training data should have between 32 and 10000 lines. Give between 32 and 10000 records."),
        ([pair()] * 99, "meta.llama3-1-8b-instruct-v1:0", "train.jsonl: File has 99 lines. Training data should have at least 100 lines. Give at least 100 records."),
        ([claude()] * 31, CLAUDE, "train.jsonl: File has 31 lines. Training data should have between 32 and 10000 lines. Give between 32 and 10000 records."),
        ([claude()] * 32, CLAUDE, None),
        ([claude("q", "a", "q")] * 32, CLAUDE, f"train.jsonl:1: messages: {ENDS}"),
        ([{"messages": [*claude("q", "a")["messages"], *claude("q", "a")["messages"][1:]]}] * 32, CLAUDE, "train.jsonl:1: messages: Messages must alternate between user and assistant. Join turns of one speaker."),
        ([claude("q\nHuman: x")] * 32, CLAUDE, f"train.jsonl:1: messages: {ENDS}"),
        ([claude("q\nHuman: x", "a")] * 32, CLAUDE, "train.jsonl:1: Reserved keyword '\\nHuman:' found in the text. Write the line otherwise."),
        ([claude("q", "x" * 96_003)] * 32, CLAUDE, "train.jsonl:1: Max sum of input and output token length 32001 exceeds total limit of 32000, estimated at 3 characters a token. Shorten the record."),
        ([{"messages": [{"role": "system", "content": "s"}, *claude()["messages"]]}] * 32, CLAUDE, "train.jsonl:1: messages[0].role: The role 'system' is not supported. Write user or assistant, and instructions as system."),
        ([nova()] * 7, NOVA, "train.jsonl: File has 7 lines. Training data should have between 8 and 20000 lines. Give between 8 and 20000 records."),
        ([nova()] * 8, NOVA, None),
        ([nova("q", "User: x")] * 8, NOVA, "train.jsonl:1: Invalid text content, following tokens are invalid: `User:`. Write them otherwise."),
        ([nova("q", "a", "q")] * 8, NOVA, "train.jsonl:1: messages: Invalid messages, last turn should have assistant role. Give it an answer."),
        ([nova("q", "")] * 8, NOVA, "train.jsonl:1: messages[1].content: Invalid content, empty text content. Give the turn a text."),
        ([media(picture())] * 8, "amazon.nova-lite-v1:0", None),
        ([media(picture())] * 8, NOVA, "train.jsonl:1: messages[0].content: Invalid content, image samples not supported by this model. Take it out."),
        ([media(picture("bmp"))] * 8, "amazon.nova-lite-v1:0", "train.jsonl:1: messages[0].content[1].image: Invalid image format, supported formats are jpeg, png, gif, webp. Turn it into one of these."),
        ([media(picture(uri="https://h/p.png"))] * 8, "amazon.nova-lite-v1:0", "train.jsonl:1: messages[0].content[1].image: Invalid S3 URI, must start with 's3://'. Write {\"s3Location\": {\"uri\": \"s3://…\"}}."),
        ([media(picture(), role=1)] * 8, "amazon.nova-lite-v1:0", "train.jsonl:1: messages[1].content: Invalid content, image/video cannot be included when role is 'assistant'. Take it out."),
        ([media({"document": {}})] * 8, "amazon.nova-lite-v1:0", "train.jsonl:1: messages[0].content[1]: Invalid content, at least one of text, image, video must be provided. Write {\"text\": \"…\"}."),
        ([nova()] * 99, "meta.llama3-2-1b-instruct-v1:0", "train.jsonl: File has 99 lines. Training data should have at least 100 lines. Give at least 100 records."),
    ],
)  # fmt: skip
def test_bedrock_s_limits_hold_to_the_record(
    tmp_path: Path, records: list[Any], base: str, sentence: str | None
) -> None:
    decision = decided(tmp_path, records, base)
    assert [str(problem) for problem in decision.problems[:1]] == ([] if sentence is None else [sentence])


def test_larger_batches_of_titan_leave_fewer_tokens(tmp_path: Path) -> None:
    records = [pair("x" * 6 * 3000)]
    assert decided(tmp_path, records, "amazon.titan-text-express-v1").takes
    decision = decided(tmp_path, records, "amazon.titan-text-express-v1", batch_size=2)
    assert str(decision.problems[0]).startswith("train.jsonl:1: Maximum input token count 3000 exceeds limit of 2048")
    assert decided(tmp_path, records, TITAN, batch_size=2).takes


@pytest.mark.parametrize(
    ("record", "model"),
    [
        (pair, "amazon.titan-text-express"),
        (claude, "anthropic.claude-3-haiku"),
        (nova, "amazon.nova-lite"),
    ],
)
def test_without_a_model_of_bedrock_s_the_form_chooses_one(
    tmp_path: Path, record: Callable[[], dict[str, Any]], model: str
) -> None:
    decision = decided(tmp_path, [record()] * 40, "outcrop.starter-v1")
    assert (decision.takes, decision.model, decision.is_named) == (True, model, False)
    assert decision.to_text() == (
        f"By AWS's published limits for {model} (FINE_TUNING); --base names no model of Bedrock's, so this one was "
        "chosen by the form:\n  train.jsonl: 40 records\nBedrock would take it.\n"
    )


def test_bedrock_reads_one_file_and_jsonl_alone(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jsonl", "b.json")]
    for path in paths:
        path.write_text(json.dumps(pair()) + "\n")
    told = [str(problem) for problem in decide(paths, [], base=TITAN, customization="FINE_TUNING").problems]
    assert told == [
        "b.json: File is not jsonl. Name it .jsonl, with one JSON object on each line.",
        "b.json: 2 training files, and Bedrock reads one. Write them to one file.",
    ]


def test_a_type_without_limits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"^--as-bedrock: no limits are known for DISTILLATION\. Choose one of FINE_"):
        decided(tmp_path, [pair()], TITAN, customization="DISTILLATION")
