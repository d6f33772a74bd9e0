"""Bedrock's invocation logs and their ratings become training records, and whatever does not says why."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.recipes.feedback import FeedbackFilter, feedback, parse_metadata_test
from outcrop.recipes.recipe import Dropped, Kept

USER = {"role": "user", "content": [{"text": "Where?"}]}
ANSWER = {"role": "assistant", "content": [{"text": "Here."}]}
CONVERSE = {"output": {"message": ANSWER}, "stopReason": "end_turn"}


def log(asked: Any, told: Any, *, request_id: str = "r1", model: str = "amazon.nova-lite-v1:0", **more: Any) -> Any:
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-01-01T00:00:00Z",
        "requestId": request_id,
        "operation": "Converse",
        "modelId": model,
        "input": {"inputContentType": "application/json", "inputBodyJson": asked},
        "output": {"outputContentType": "application/json", "outputBodyJson": told},
        **more,
    }


def write(folder: Path, *rows: Any, name: str = "log.json") -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


def made(folder: Path, *rows: Any, ratings: list[Any] | None = None, **options: Any) -> tuple[list[Any], Counter[str]]:
    rated = None if ratings is None else write(folder, *ratings, name="ratings.jsonl")
    items = list(feedback([write(folder, *rows)], ratings=rated, **options))
    records = [item.record for item in items if isinstance(item, Kept)]
    return records, Counter(item.reason for item in items if isinstance(item, Dropped))


PROMPT = {"prompt": "Where?"}
TEXT = "Here."


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"messages": [USER]}, CONVERSE),
        ({"messages": [USER], "schemaVersion": "messages-v1"}, CONVERSE),
        ({"inputText": "Where?"}, {"results": [{"outputText": TEXT, "completionReason": "FINISH"}]}),
        ({"inputText": "Where?"}, [{"outputText": "He"}, {"outputText": "re.", "completionReason": "FINISH"}]),
        (PROMPT, {"generation": TEXT, "stop_reason": "stop"}),
        (PROMPT, [{"generation": "Her", "stop_reason": None}, {"generation": "e.", "stop_reason": "stop"}]),
        (PROMPT, {"outputs": [{"text": TEXT, "stop_reason": "stop"}]}),
        (PROMPT, {"generations": [{"text": TEXT, "finish_reason": "COMPLETE"}]}),
        (PROMPT, [{"is_finished": False, "text": TEXT}, {"is_finished": True, "finish_reason": "COMPLETE"}]),
        (PROMPT, {"completions": [{"data": {"text": TEXT}, "finishReason": {"reason": "endoftext"}}]}),
        (PROMPT, {"choices": [{"text": TEXT, "stop_reason": "stop"}]}),
        (PROMPT, {"type": "completion", "completion": TEXT, "stop_reason": "stop_sequence"}),
        (
            {"messages": [{"role": "user", "content": "Where?"}], "max_tokens": 9},
            {"role": "assistant", "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn"},
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Where?"}]}]},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": TEXT}],
                "stop_reason": "end_turn",
            },
        ),
        (
            {"messages": [{"role": "user", "content": "Where?"}]},
            [
                {"type": "message_start", "message": {"role": "assistant", "content": []}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "delta": {"type": "text_delta", "text": TEXT}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            ],
        ),
        (
            {"messages": [USER]},
            [
                {"messageStart": {"role": "assistant"}},
                {"contentBlockDelta": {"delta": {"text": TEXT}, "contentBlockIndex": 0}},
                {"messageStop": {"stopReason": "end_turn"}},
            ],
        ),
        (
            {"messages": [{"role": "user", "content": "Where?"}]},
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}]},
        ),
        (
            {"messages": [{"role": "user", "content": "Where?"}]},
            [
                {"choices": [{"delta": {"role": "assistant", "content": "Here"}}]},
                {"choices": [{"delta": {"content": "."}}]},
            ],
        ),
    ],
)
def test_bodies_of_every_provider_give_prompt_and_answer(tmp_path: Path, asked: Any, told: Any) -> None:
    assert made(tmp_path, log(asked, told)) == ([{"prompt": "Where?", "completion": "Here."}], Counter())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (log(PROMPT, {"generation": TEXT, "stop_reason": "length"}), "the answer was cut at its token limit"),
        (log({"inputText": "a"}, {"results": [{"outputText": "b", "completionReason": "LENGTH"}]}), "the answer was cut at its token limit"),
        (log({"messages": [USER]}, [{"messageStop": {"stopReason": "max_tokens"}}]), "the answer was cut at its token limit"),
        (log({"messages": [USER]}, {**CONVERSE, "stopReason": "guardrail_intervened"}), "the answer was stopped by a filter"),
        (log({"messages": [USER]}, {**CONVERSE, "stopReason": "tool_use"}), "tools, pictures or documents in the answer"),
        (log({"messages": [{"role": "user", "content": [{"image": {}}]}]}, CONVERSE), "tools, pictures or documents in the conversation"),
        (log(PROMPT, {"generation": " "}), "no text in the answer"),
        (log(PROMPT, {"embedding": [1, 2]}), "no text in the answer"),
        (log({"texts": ["a"]}, CONVERSE), "no prompt and no messages"),
        (log(PROMPT, None, errorCode="ThrottlingException"), "the invocation failed (ThrottlingException)"),
        (log(None, CONVERSE) | {"input": {"inputBodyS3Path": "s3://b/k"}}, "its input lies in an object of its own (inputBodyS3Path)"),
        (log({"messages": [USER, ANSWER, USER]}, CONVERSE), "a system prompt or several turns (--conversations takes them)"),
        (log({"messages": [USER], "system": [{"text": "Be short."}]}, CONVERSE), "a system prompt or several turns (--conversations takes them)"),
        ({"any": "thing"}, "no record of an invocation log"),
    ],
)  # fmt: skip
def test_what_teaches_nothing_is_left_out_with_its_reason(tmp_path: Path, row: Any, reason: str) -> None:
    assert made(tmp_path, row) == ([], Counter([reason]))


def test_conversations_keep_system_prompt_and_turns(tmp_path: Path) -> None:
    asked = {"messages": [USER, ANSWER, USER], "system": [{"text": "Be short."}]}
    records, left_out = made(tmp_path, log(asked, CONVERSE), log(PROMPT, {"generation": TEXT}), conversations=True)
    where, here = {"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}
    assert records == [
        {"system": "Be short.", "messages": [where, here, where, here]},
        {"messages": [where, here]},
    ]
    assert not left_out


def test_ratings_decide_and_a_better_answer_takes_the_place_of_the_model_s(tmp_path: Path) -> None:
    def asked(number: int, **more: Any) -> Any:
        return log(
            {"prompt": f"q{number}"},
            {"generation": f"a{number}", "stop_reason": "stop"},
            request_id=f"r{number}",
            **more,
        )

    ratings = [
        {"requestId": "r1", "rating": 0},
        {"requestId": "r1", "rating": 1},  # the last one counts
        {"requestId": "r2", "rating": True},
        {"requestId": "r3", "rating": False},
        {"requestId": "r4", "rating": 0, "completion": "better"},
        {"requestId": "r5", "completion": "of a failed one"},
        {"requestId": "r7", "rating": 5},
        {"requestId": "r8", "rating": "fine"},
        {"rating": 1},
    ]
    logs = [*map(asked, (1, 2, 3, 4)), asked(5, errorCode="ModelTimeoutException"), asked(6)]
    records, left_out = made(tmp_path, *logs, ratings=ratings)
    assert [(record["prompt"], record["completion"]) for record in records] == [
        ("q1", "a1"), ("q2", "a2"), ("q4", "better"), ("q5", "of a failed one"),
    ]  # fmt: skip
    assert left_out == {
        "rated below 1": 1,
        "not rated": 1,
        "a rating of no invocation in the logs": 1,
        "a rating that is no number": 1,
        "a rating without a requestId": 1,
    }


def test_stars_are_numbers_too(tmp_path: Path) -> None:
    ratings = [{"requestId": "r1", "rating": "3.5"}]
    row = log(PROMPT, {"generation": TEXT})
    assert made(tmp_path, row, ratings=ratings, choice=FeedbackFilter(least_rating=4))[1] == {"rated below 4": 1}
    assert len(made(tmp_path, row, ratings=ratings, choice=FeedbackFilter(least_rating=3))[0]) == 1


@pytest.mark.parametrize(
    ("tests", "is_any", "num_kept"),
    [
        (["task=sum"], False, 2),
        (["task!=sum"], False, 2),
        (["task=sum", "priority=High"], False, 1),
        (["task=sum", "priority=High"], True, 3),
        (["equation=a=b"], False, 1),
    ],
)
def test_metadata_is_filtered_as_bedrock_filters_it(
    tmp_path: Path, tests: list[str], is_any: bool, num_kept: int
) -> None:
    given = [
        {"task": "sum"},
        {"task": "sum", "priority": "High"},
        {"priority": "High"},
        {"equation": "a=b", "task": "sum "},
    ]
    logs = [log({"prompt": f"q{n}"}, {"generation": "a"}, requestMetadata=each) for n, each in enumerate(given)]
    choice = FeedbackFilter(metadata=[parse_metadata_test(each) for each in tests], any_metadata=is_any)
    assert len(made(tmp_path, *logs, choice=choice)[0]) == num_kept


@pytest.mark.parametrize("text", ["task", "=sum", "!=sum", ""])
def test_a_test_of_metadata_that_is_none_is_named(text: str) -> None:
    with pytest.raises(Invalid, match=r"--metadata: .* is no test\. Write KEY=VALUE or KEY!=VALUE\."):
        parse_metadata_test(text)


def test_only_the_named_model_s_answers_are_taken(tmp_path: Path) -> None:
    logs = [log({"prompt": "a"}, {"generation": "b"}, model=model) for model in ("meta.llama3", "arn:aws:bedrock:x")]
    assert made(tmp_path, *logs, choice=FeedbackFilter(model="llama3"))[1] == {"of another model": 1}


def test_answers_to_one_prompt_are_one_group(tmp_path: Path) -> None:
    logs = [log({"prompt": prompt}, {"generation": "b"}) for prompt in ("a  b", "a b", "c")]
    items = [item for item in feedback([write(tmp_path, *logs)]) if isinstance(item, Kept)]
    assert items[0].group == items[1].group != items[2].group
