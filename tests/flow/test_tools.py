"""Tools, reasoning and forms of answers through boto3 and a real server, from a network of random weights.

It says nothing sensible, and where it must call a tool it calls one all the same.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from botocore.exceptions import ClientError

from outcrop import private
from outcrop.catalog.catalog import Catalog
from outcrop.inference.door import EngineDoor
from outcrop.inference.engine import Engine
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.unix_http import UnixServer
from outcrop.network import facts
from outcrop.network.run_mode import ProbeVerdict, RunMode
from tests.support.chat_templates import QWEN3
from tests.support.patience import PATIENCE_S, eventually
from tests.support.servers import Running, running_server
from tests.support.tiny import tiny_chat_model

MODEL = "local.chatty-v1"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOL = {"toolSpec": {"name": "weather", "description": "Tells it.", "inputSchema": {"json": SCHEMA}}}
OTHER = {"toolSpec": {"name": "now", "inputSchema": {"json": {"type": "object", "additionalProperties": False}}}}
ASKED: dict[str, Any] = {"role": "user", "content": [{"text": "Weather?"}]}
OFF = {"enable_thinking": False}


@contextmanager
def serving(folder: Path, socket: Path, name: str) -> Iterator[None]:
    """An engine at this address, in a thread of the test's process."""
    loop = asyncio.new_event_loop()
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        engine = EngineThread(lambda: Engine(folder, cache_bytes=2**24))
        server = UnixServer(socket, EngineDoor(engine, base_name=name).answer)
        await server.start()
        await engine.loaded
        ready.set()
        await over.wait()
        await server.close(grace_s=0)
        engine.stop(timeout_s=PATIENCE_S)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    eventually(lambda: ready.is_set() or not thread.is_alive())
    assert ready.is_set(), "the engine did not start"
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(PATIENCE_S)
        loop.close()


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("house") / "home"
    folder = tiny_chat_model(tmp_path_factory.mktemp("network"), QWEN3)
    verdict = ProbeVerdict(way=RunMode.PACKED, config=facts.digest(folder))
    home.mkdir(parents=True)
    private.make_socket_folder(home)  # a short one, whatever the length of pytest's
    Catalog(home).register(folder, model_id=MODEL, name="Chatty", context_length=4096, licence="none", verdict=verdict)
    running: Running
    with running_server(home) as running:
        base = Catalog(home).usable(MODEL)
        order = running.platform.engines.order(base)
        assert order.socket is not None
        with serving(folder, order.socket, base.engine):
            yield running.client("bedrock-runtime")


def test_a_tool_that_must_be_called_is_called_and_its_result_goes_back(runtime: Any) -> None:
    config = {"tools": [TOOL, OTHER], "toolChoice": {"tool": {"name": "weather"}}}
    fields = {"additionalModelRequestFields": OFF, "inferenceConfig": {"temperature": 1.0, "maxTokens": 400}}
    answer = runtime.converse(modelId=MODEL, messages=[ASKED], toolConfig=config, **fields)
    assert answer["stopReason"] == "tool_use"
    message = answer["output"]["message"]
    (use,) = message["content"]
    assert use["toolUse"]["name"] == "weather"
    jsonschema.validate(use["toolUse"]["input"], SCHEMA)
    back = {"toolUseId": use["toolUse"]["toolUseId"], "content": [{"json": {"degrees": 7}}], "status": "success"}
    turns = [ASKED, message, {"role": "user", "content": [{"toolResult": back}]}]
    counted = runtime.count_tokens(
        modelId=MODEL,
        input={
            "converse": {"messages": turns, "toolConfig": {"tools": [TOOL, OTHER]}, "additionalModelRequestFields": OFF}
        },
    )
    again = runtime.converse(
        modelId=MODEL,
        messages=turns,
        toolConfig={"tools": [TOOL, OTHER]},
        additionalModelRequestFields=OFF,
        inferenceConfig={"maxTokens": 8},
    )
    assert again["usage"]["inputTokens"] == counted["inputTokens"] > answer["usage"]["inputTokens"]


def test_a_stream_of_a_call_is_put_together_to_its_input(runtime: Any) -> None:
    config = {"tools": [TOOL], "toolChoice": {"any": {}}}
    events = list(
        runtime.converse_stream(
            modelId=MODEL,
            messages=[ASKED],
            toolConfig=config,
            additionalModelRequestFields=OFF,
            inferenceConfig={"temperature": 0.0, "maxTokens": 600},
        )["stream"]
    )
    assert events[0] == {"messageStart": {"role": "assistant"}}
    start = events[1]["contentBlockStart"]
    assert start["start"]["toolUse"]["name"] == "weather"
    pieces = [
        event["contentBlockDelta"]["delta"]["toolUse"]["input"]
        for event in events
        if event.get("contentBlockDelta", {}).get("contentBlockIndex") == start["contentBlockIndex"]
    ]
    jsonschema.validate(json.loads("".join(pieces)), SCHEMA)
    reason = next(event["messageStop"]["stopReason"] for event in events if "messageStop" in event)
    assert reason in ("tool_use", "max_tokens")


def test_an_answer_in_a_schema_fits_it_at_once_and_streamed(runtime: Any) -> None:
    form = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(SCHEMA)}}}}
    asked = {
        "modelId": MODEL,
        "messages": [ASKED],
        "outputConfig": form,
        "additionalModelRequestFields": {**OFF, "seed": 5},
        "inferenceConfig": {"temperature": 1.0, "maxTokens": 400},
    }
    answer = runtime.converse(**asked)
    (block,) = answer["output"]["message"]["content"]
    jsonschema.validate(json.loads(block["text"]), SCHEMA)
    streamed = "".join(
        event["contentBlockDelta"]["delta"]["text"]
        for event in runtime.converse_stream(**asked)["stream"]
        if "contentBlockDelta" in event
    )
    assert streamed == block["text"]
    assert answer["stopReason"] == "end_turn"


def test_claude_s_body_is_held_to_its_tool_and_its_format(runtime: Any) -> None:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 400,
        "messages": [{"role": "user", "content": "hi"}],
        "thinking": {"type": "disabled"},
    }

    def invoked(**more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            runtime.invoke_model(modelId=MODEL, body=json.dumps({**body, **more}))["body"].read()
        )
        return answer

    tools = [{"name": "weather", "input_schema": SCHEMA}]
    called = invoked(tools=tools, tool_choice={"type": "tool", "name": "weather"})
    jsonschema.validate(called["content"][0]["input"], SCHEMA)
    assert called["stop_reason"] == "tool_use"
    said = invoked(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    jsonschema.validate(json.loads(said["content"][0]["text"]), SCHEMA)


def test_a_schema_that_cannot_be_held_is_a_validation_exception_with_its_place(runtime: Any) -> None:
    form = {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{"properties": {"a": {"not": {}}}}'}},
        }
    }
    with pytest.raises(ClientError, match=r"#/properties/a/not: the keyword 'not' cannot be enforced") as refused:
        runtime.converse(modelId=MODEL, messages=[ASKED], outputConfig=form)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    fields = {"structured_outputs": {"grammar": "start: foo"}, **OFF}
    with pytest.raises(ClientError, match='unknown name: "foo"') as refused:
        runtime.converse_stream(modelId=MODEL, messages=[ASKED], additionalModelRequestFields=fields)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
