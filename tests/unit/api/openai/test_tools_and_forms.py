"""Tools, thoughts and forms of answers at OpenAI's door, in chat completions and in responses."""

import json
from pathlib import Path

from tests.support.chat_templates import HERMES, QWEN3
from tests.support.openai_house import HI, STARTER, TEMPLATED, Json, openai_house, run

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]
CHAT = {"model": TEMPLATED, "messages": HI, "tools": TOOLS}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
OTHER = '<tool_call>\n{"name": "weather", "arguments": {"city": "猫"}}\n</tool_call>'


def functions(calls: list[Json]) -> list[tuple[str, Json]]:
    assert all(call["type"] == "function" and call["id"] for call in calls)
    assert len({call["id"] for call in calls}) == len(calls)
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


def test_calls_are_told_in_the_message_and_end_the_turn(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, f"{CALL}\n{OTHER}", template=HERMES) as place:
            (choice,) = (await place.post("/chat/completions", **CHAT))["choices"]
            assert choice["finish_reason"] == "tool_calls"
            assert choice["message"]["content"] is None
            told = functions(choice["message"]["tool_calls"])
            assert told == [("weather", {"city": "Oslo"}), ("weather", {"city": "猫"})]

    run(scenario())


def test_a_stream_tells_each_call_by_its_index_and_its_arguments_as_text(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, f"I look.\n{CALL}\n{OTHER}", template=HERMES) as place:
            chunks = await place.stream("/chat/completions", **CHAT)
            text, calls = "", dict[int, Json]()
            for chunk in chunks:
                delta = chunk["choices"][0]["delta"]
                text += delta.get("content") or ""
                for call in delta.get("tool_calls", []):
                    if "id" in call:
                        calls[call["index"]] = call
                    else:
                        calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
            assert text.strip() == "I look."
            assert functions(list(calls.values())) == [("weather", {"city": "Oslo"}), ("weather", {"city": "猫"})]
            assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"

    run(scenario())


def test_results_go_back_to_the_model(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, "It rains.", template=HERMES) as place:
            call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
            messages = [
                *HI,
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            ]
            answer = await place.post("/chat/completions", model=TEMPLATED, messages=messages, tools=TOOLS)
            assert answer["choices"][0]["message"]["content"] == "It rains."
            assert "<tool_response>\nrain\n</tool_response>" in place.prompt()
            bad = [*HI, {"role": "assistant", "tool_calls": [{**call, "function": {"name": "f", "arguments": "{"}}]}]
            body = {"model": TEMPLATED, "messages": bad}
            error = await place.refused("POST", "/chat/completions", 400, json=body)
            assert error["param"] == "messages[1].tool_calls[0].function.arguments"

    run(scenario())


def test_a_choice_of_tools_reaches_the_engine_as_a_grammar(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, CALL, template=HERMES) as place:
            one = {"type": "function", "function": {"name": "weather"}}
            for choice, has_grammar in (("auto", False), ("required", True), (one, True)):
                await place.post("/chat/completions", **CHAT, tool_choice=choice)
                assert ("structured_outputs" in place.engine.requests[-1]) is has_grammar
            await place.post("/chat/completions", **CHAT, tool_choice="none")
            assert "# Tools" not in place.prompt()

    run(scenario())


def test_a_model_without_tools_refuses_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            error = await place.refused("POST", "/chat/completions", 400, json={**CHAT, "model": STARTER})
            assert "tool use" in error["message"]

    run(scenario())


def test_thoughts_are_told_apart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, "<think>\nhm\n</think>\n\nyes", template=QWEN3) as place:
            body = {"model": TEMPLATED, "messages": HI}
            message = (await place.post("/chat/completions", **body))["choices"][0]["message"]
            assert (message["reasoning_content"].strip(), message["content"]) == ("hm", "yes")
            chunks = await place.stream("/chat/completions", **body)
            deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
            assert "".join(delta.get("reasoning_content", "") for delta in deltas).strip() == "hm"
            assert "".join(delta.get("content") or "" for delta in deltas) == "yes"
            await place.post("/chat/completions", **body, reasoning_effort="none")
            assert place.prompt().endswith("<think>\n\n</think>\n\n")
            error = await place.refused(
                "POST", "/chat/completions", 400, json={"model": STARTER, "messages": HI, "reasoning_effort": "high"}
            )
            assert (error["param"], error["code"]) == ("reasoning_effort", "unsupported_parameter")

    run(scenario())


def test_a_form_of_answers_reaches_the_engine_and_a_schema_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, '{"city": "Oslo"}') as place:
            named = {"name": "place", "schema": SCHEMA, "strict": True}
            chat = {"model": STARTER, "messages": HI}
            for form in ({"type": "json_schema", "json_schema": named}, {"type": "json_object"}):
                answer = await place.post("/chat/completions", **chat, response_format=form)
                assert json.loads(answer["choices"][0]["message"]["content"]) == {"city": "Oslo"}
                assert "grammar" in place.engine.requests[-1]["structured_outputs"]
            await place.post("/chat/completions", **chat, response_format={"type": "text"})
            assert "structured_outputs" not in place.engine.requests[-1]
            await place.post("/chat/completions", **chat, structured_outputs={"choice": ["a", "b"]})
            assert "grammar" in place.engine.requests[-1]["structured_outputs"]
            bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "thing"}}}
            error = await place.refused("POST", "/chat/completions", 400, json={**chat, "response_format": bad})
            assert error["param"].startswith("response_format.json_schema.schema")

    run(scenario())


def test_a_response_calls_tools_and_takes_their_results(tmp_path: Path) -> None:
    async def scenario() -> None:
        def said(body: Json) -> str:
            return f"I look.\n{CALL}" if len(body["prompt"]) < 500 else "It rains."

        async with openai_house(tmp_path, said, template=HERMES) as place:
            tools = [{"type": "function", **FUNCTION}]
            first = await place.post("/responses", model=TEMPLATED, input="Weather?", tools=tools)
            message, call = first["output"]
            assert (message["type"], call["type"], call["status"]) == ("message", "function_call", "completed")
            assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Oslo"})
            result = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain " * 60}
            second = await place.post(
                "/responses", model=TEMPLATED, input=[result], tools=tools, previous_response_id=first["id"]
            )
            assert second["output"][0]["content"][0]["text"] == "It rains."
            assert "Weather?" in place.prompt()
            assert "<tool_response>\nrain rain" in place.prompt()

    run(scenario())


def test_a_response_streams_a_call_and_a_thought_as_items(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, f"<think>\nhm\n</think>\n\n{CALL}", template=QWEN3) as place:
            tools = [{"type": "function", **FUNCTION}]
            events = await place.events("/responses", model=TEMPLATED, input="Weather?", tools=tools)
            kinds = [event["type"] for event in events]
            for kind in (
                "response.reasoning_text.delta",
                "response.reasoning_text.done",
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
            ):
                assert kind in kinds
            final = events[-1]["response"]
            assert [item["type"] for item in final["output"]] == ["reasoning", "function_call"]
            done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
            assert final["output"] == done
            assert [event["sequence_number"] for event in events] == list(range(len(events)))

    run(scenario())
