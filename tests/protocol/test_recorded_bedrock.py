"""What the real Bedrock answered, recorded: its requests read, its answers written again by us and compared.

The deviations are those of docs/wire.md, and no others.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.eventstream import EventStreamBuffer

from outcrop.protocol import eventstream, service_model, validate
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.parse import parse
from outcrop.protocol.routing import route, scope_service
from outcrop.protocol.serialize import serialize
from outcrop.protocol.values import json_values

SAMPLES = Path(os.environ.get("OUTCROP_TEST_DATA", "../shared/data")) / "bedrock-wire-samples/converse.recorded.jsonl"
pytestmark = pytest.mark.skipif(not SAMPLES.exists(), reason=f"{SAMPLES} is not there: set OUTCROP_TEST_DATA")

# Members Bedrock sends that its own service model does not hold; no client that goes by the model can see them.
UNMODELLED = {
    ("usage", "cacheReadInputTokenCount"),
    ("usage", "serverToolUsage"),
}
PADDING = "p"


def exchanges() -> list[Any]:
    if not SAMPLES.exists():
        return []
    read = [json.loads(line) for line in SAMPLES.read_text().splitlines()]
    return [pytest.param(each, id=f"{each['source']}-{each['index']}") for each in read]


def without(value: Any, dropped: set[tuple[str, str]], inside: str = "") -> Any:
    """`value` without what our model cannot hold; what was left out is put into `dropped`."""
    if isinstance(value, list):
        return [without(each, dropped, inside) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, inner in value.items():
        if (inside, name) in UNMODELLED:
            dropped.add((inside, name))
        else:
            kept[name] = without(inner, dropped, name)
    return kept


@pytest.mark.parametrize("exchange", exchanges())
def test_a_recorded_request_is_read_whole(exchange: dict[str, Any]) -> None:
    url = urlsplit(exchange["uri"])
    body = json.dumps(exchange["request"]).encode()
    request = HttpRequest(method=exchange["method"], raw_path=url.path, raw_query=url.query, headers={}, body=body)
    routed = route(request, scope_service(request))
    shape = routed.operation.input_shape
    assert shape is not None
    params = parse(routed, request)
    assert params.pop("modelId") == url.path.split("/")[2]
    assert validate.violations(shape, {**params, "modelId": "m"}) == []
    assert json_values.write(shape, params) == exchange["request"]


@pytest.mark.parametrize("exchange", [each for each in exchanges() if "response" in each.values[0]])
def test_a_recorded_answer_is_written_as_it_was(exchange: dict[str, Any]) -> None:
    operation = service_model.operation("bedrock-runtime", "Converse")
    assert operation.output_shape is not None
    expected = without(exchange["response"], set())
    output = json_values.read(operation.output_shape, exchange["response"])
    response = serialize(operation, output, protocol="rest-json", request_id="r")
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == expected
    assert response.status == exchange["status"]["code"]


@pytest.mark.parametrize("exchange", [each for each in exchanges() if "response_events" in each.values[0]])
def test_a_recorded_stream_is_framed_as_it_was_but_for_the_padding(exchange: dict[str, Any]) -> None:
    stream = service_model.operation("bedrock-runtime", "ConverseStream").event_stream
    assert stream is not None
    recorded = EventStreamBuffer()
    recorded.add_data(base64.b64decode(exchange["response_eventstream_base64"]))
    ours = EventStreamBuffer()
    wanted = []
    for message in recorded:
        name = message.headers[":event-type"]
        payload = json.loads(message.payload)
        assert payload.pop(PADDING)
        wanted.append((message.headers, without(payload, set())))
        ours.add_data(eventstream.event(stream, {name: json_values.read(stream.structures[name], payload)}))
    written = [(message.headers, json.loads(message.payload)) for message in ours]
    assert written == wanted


def test_no_deviation_is_listed_that_does_not_occur() -> None:
    dropped: set[tuple[str, str]] = set()
    for each in exchanges():
        exchange = each.values[0]
        payloads = [event["payload"] for event in exchange.get("response_events", [])]
        without([exchange.get("response"), *payloads], dropped)
    assert dropped == UNMODELLED
