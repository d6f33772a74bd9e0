"""Responses at OpenAI's door: items and events to the letter, kept for whoever goes on from them."""

from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.api.openai import stored_responses
from tests.support.openai_house import STARTER, Json, OpenAiHouse, openai_house, run, speaking

ASKED = {"model": STARTER, "input": "hi"}
CALL, INVOKE = "bedrock:CallWithBearerToken", "bedrock:InvokeModel"


def test_a_response_is_openais_to_the_letter(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes") as place:
            answer = await place.post(
                "/responses", **ASKED, instructions="Be brief.", temperature=0.5, metadata={"a": "b"}
            )
            assert answer.pop("id").startswith("resp_")
            usage = answer.pop("usage")
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
            (item,) = answer.pop("output")
            part = {"type": "output_text", "text": "yes", "annotations": [], "logprobs": []}
            assert item.pop("id").startswith("msg_")
            assert item == {"type": "message", "status": "completed", "role": "assistant", "content": [part]}
            assert answer == {
                "object": "response",
                "created_at": 1767225600,
                "status": "completed",
                "error": None,
                "incomplete_details": None,
                "model": STARTER,
                "instructions": "Be brief.",
                "max_output_tokens": None,
                "metadata": {"a": "b"},
                "parallel_tool_calls": True,
                "previous_response_id": None,
                "reasoning": {"effort": None, "summary": None},
                "store": True,
                "temperature": 0.5,
                "text": {"format": {"type": "text"}, "verbosity": "medium"},
                "tool_choice": "auto",
                "tools": [],
                "top_logprobs": 0,
                "top_p": 1.0,
                "truncation": "disabled",
                "background": False,
                "service_tier": "default",
                "user": None,
            }
            assert place.prompt().startswith("<|begin|><|system|>Be brief.<|end|><|user|>hi<|end|>")

    run(scenario())


def test_the_events_of_a_stream_are_named_numbered_and_whole(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes") as place:
            events = await place.events("/responses", **ASKED)
            kinds = [event["type"] for event in events if event["type"] != "response.output_text.delta"]
            assert kinds == [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.completed",
            ]
            assert [event["sequence_number"] for event in events] == list(range(len(events)))
            deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
            final = events[-1]["response"]
            assert "".join(deltas) == "yes" == final["output"][0]["content"][0]["text"]
            assert events[0]["response"]["status"] == "in_progress"
            assert {event["item_id"] for event in events if "item_id" in event} == {final["output"][0]["id"]}
            whole = await place.post("/responses", **ASKED)
            assert final["usage"] == whole["usage"]

    run(scenario())


def test_an_answer_that_is_cut_is_incomplete_and_an_empty_one_is_a_message(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, "yes, it is") as place:
            cut = await place.post("/responses", **ASKED, max_output_tokens=1)
            assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
            assert cut["output"][0]["status"] == "incomplete"
            assert (await place.events("/responses", **ASKED, max_output_tokens=1))[-1]["type"] == "response.incomplete"
        async with openai_house(tmp_path / "empty", "") as place:
            assert (await place.post("/responses", **ASKED))["output"][0]["content"][0]["text"] == ""
            assert len((await place.events("/responses", **ASKED))[-1]["response"]["output"]) == 1

    run(scenario())


def test_log_probabilities_are_told_where_they_are_included(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes") as place:
            more = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
            told = (await place.post("/responses", **ASKED, **more))["output"][0]["content"][0]["logprobs"]
            assert "".join(one["token"] for one in told) == "yes"
            assert len(told[0]["top_logprobs"]) == 2
            final = (await place.events("/responses", **ASKED, **more))[-1]["response"]
            assert final["output"][0]["content"][0]["logprobs"] == told

    run(scenario())


def test_a_conversation_goes_on_from_a_response_without_its_instructions(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes") as place:
            first = await place.post("/responses", **ASKED, instructions="Be brief.")
            second = await place.post("/responses", model=STARTER, input="and?", previous_response_id=first["id"])
            turns = "<|user|>hi<|end|><|assistant|>yes<|end|><|user|>and?<|end|><|assistant|>"
            assert place.prompt() == f"<|begin|>{turns}"
            third = (await place.events("/responses", model=STARTER, input="so?", previous_response_id=second["id"]))[
                -1
            ]
            assert place.prompt().count("<|user|>") == 3
            assert third["response"]["previous_response_id"] == second["id"]
            items = await place.get(f"/responses/{second['id']}/input_items?order=asc")
            assert [item["role"] for item in items["data"]] == ["user", "assistant", "user"]
            assert (await place.get(f"/responses/{first['id']}"))["output"] == first["output"]

    run(scenario())


def test_a_response_is_kept_for_thirty_days_unless_it_is_not_to_be(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, "yes") as place:
            kept = await place.post("/responses", **ASKED)
            lost = await place.post("/responses", **ASKED, store=False)
            gone = await place.post("/responses", **ASKED)
            bucket = f"outcrop-openai-{place.house.account}"
            assert len(list(place.house.buckets.under(bucket, "responses/"))) == 2
            answer = await place.ask("DELETE", f"/responses/{gone['id']}")
            assert answer.json() == {"id": gone["id"], "object": "response", "deleted": True}
            for response in (lost, gone):
                assert (await place.refused("GET", f"/responses/{response['id']}", 404))["code"] == "not_found"
                more = {**ASKED, "previous_response_id": response["id"]}
                error = await place.refused("POST", "/responses", 400, json=more)
                assert error["code"] == "previous_response_not_found"
            assert stored_responses.remove_old(place.house) == 0
            place.clock.move(timedelta(days=31))
            await place.refused("GET", f"/responses/{kept['id']}", 404)
            assert stored_responses.remove_old(place.house) == 1
            assert not list(place.house.buckets.under(bucket, "responses/"))

    run(scenario())


def test_nobody_goes_on_from_a_response_of_somebody_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, "yes") as place:
            ada, bob = place.user("ada", CALL, INVOKE), place.user("bob", CALL, INVOKE)
            made = (await place.ask("POST", "/responses", json=ASKED, key=ada)).json()
            more = {**ASKED, "previous_response_id": made["id"]}
            assert (await place.ask("POST", "/responses", json=more, key=ada)).status_code == 200
            assert (await place.refused("POST", "/responses", 400, json=more, key=bob))[
                "param"
            ] == "previous_response_id"
            for method, action in (("GET", "s3:GetObject"), ("DELETE", "s3:DeleteObject")):
                error = await place.refused(method, f"/responses/{made['id']}", 403, key=bob)
                assert f"not authorized to perform: {action}" in error["message"]

    run(scenario())


def test_an_engine_that_breaks_off_ends_the_stream_with_an_event_of_its_number(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes, it is so") as place:
            place.engine.die_after = [2]
            events = await place.events("/responses", **ASKED)
            assert events[-1] == {
                "type": "error",
                "sequence_number": len(events) - 1,
                "code": "ModelStreamErrorException",
                "message": events[-1]["message"],
                "param": None,
            }

    run(scenario())


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"background": True}, "background", "unsupported_parameter"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"max_tool_calls": 2}, "max_tool_calls", "unsupported_parameter"),
        ({"truncation": "auto"}, "truncation", "unsupported_parameter"),
        ({"reasoning": {"summary": "auto"}}, "reasoning.summary", "unsupported_parameter"),
        ({"include": ["reasoning.encrypted_content"]}, "include[0]", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema", "missing_required_parameter"),
        ({"text": {"verbosity": "low"}}, "text.verbosity", "invalid_value"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "invalid_type"),
        ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", "invalid_value"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0].type", "invalid_value"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"messages": []}, "messages", "unknown_parameter"),
        ({"store": "yes"}, "store", "invalid_type"),
    ],
)  # fmt: skip
def test_what_is_not_served_or_wrong_is_refused_by_its_name(
    more: Json, param: str, code: str, shared: OpenAiHouse
) -> None:
    async def scenario() -> None:
        error = await shared.refused("POST", "/responses", 400, json={**ASKED, **more})
        assert (error["param"], error["code"]) == (param, code)

    run(scenario())
