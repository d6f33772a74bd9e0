"""Events and exceptions as frames, read back by botocore's own parser."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.eventstream import EventStream
from botocore.exceptions import EventStreamError
from botocore.parsers import EventStreamJSONParser

from outcrop.api.door import failures
from outcrop.errors import Invalid, ModelFailed, NotReady, ServiceRefusal
from outcrop.protocol import eventstream, service_model
from outcrop.protocol.serialize import event_stream_shape
from outcrop.protocol.shapes import StructureShape
from tests.support.random_values import Maker
from tests.support.shaped_values import operation_of_botocore

# First InvokeModel's and Converse's, which the tests below take as examples; then all others whose events are JSON.
STREAMS = [("bedrock-runtime", "InvokeModelWithResponseStream"), ("bedrock-runtime", "ConverseStream")]
STREAMS += [
    (service, name)
    for service in service_model.SERVICES
    for name in service_model.load(service).operation_names
    if service_model.load(service).metadata["protocols"][0] == "rest-json"
    and service_model.operation(service, name).event_stream is not None
    and (service, name) not in STREAMS
]


class Wire:
    """Bytes as urllib3 hands them to botocore, cut where it hurts."""

    def __init__(self, data: bytes, cut: int = 7) -> None:
        self._pieces = [data[start : start + cut] for start in range(0, len(data), cut)]

    def stream(self) -> Iterator[bytes]:
        return iter(self._pieces)


def stream_of(service: str, operation: str) -> StructureShape:
    """The shape of an operation's event stream, as our service model has it."""
    stream = event_stream_shape(service_model.operation(service, operation))
    assert stream is not None
    return stream


def stream_of_botocore(service: str, operation: str) -> Any:
    return operation_of_botocore(service, operation).get_event_stream_output()


def read(stream: Any, data: bytes) -> list[dict[str, Any]]:
    return list(EventStream(Wire(data), stream, EventStreamJSONParser(), "Test"))


@pytest.mark.parametrize(("service", "operation"), STREAMS)
def test_botocore_reads_every_kind_of_event(service: str, operation: str) -> None:
    stream, known = stream_of(service, operation), stream_of_botocore(service, operation)
    events = [
        {name: Maker(random.Random(f"{name} {number}"), loose=True).structure(shape)}
        for number in range(5)
        for name, shape in stream.structures.items()
        if not shape.metadata.get("exception")
    ]
    for event in events:
        if "PayloadPart" in event:
            event["PayloadPart"].setdefault("Bytes", b"")  # the payload of a frame is never absent
    assert read(known, b"".join(eventstream.event(stream, each) for each in events)) == events


def test_a_chunk_of_invoke_model_carries_base64_in_json() -> None:
    stream = stream_of(*STREAMS[0])
    frame = eventstream.event(stream, {"chunk": {"bytes": b'{"outputText":"hi"}'}})
    assert b'{"bytes":"eyJvdXRwdXRUZXh0IjoiaGkifQ=="}' in frame


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid("wrong"), "validationException"),
        (NotReady("wrong"), "serviceUnavailableException"),
        (ModelFailed("wrong"), "modelStreamErrorException"),
        (ServiceRefusal("ThrottlingException", "wrong", http_status=429), "throttlingException"),
    ],
)
def test_an_error_after_the_first_event_is_raised_under_its_member_name(error: Exception, code: str) -> None:
    stream = stream_of(*STREAMS[1])
    frames = eventstream.event(stream, {"messageStart": {"role": "assistant"}}) + failures.frame(error, stream)
    events = iter(EventStream(Wire(frames), stream_of_botocore(*STREAMS[1]), EventStreamJSONParser(), "ConverseStream"))
    assert next(events) == {"messageStart": {"role": "assistant"}}
    with pytest.raises(EventStreamError) as raised:
        next(events)
    assert raised.value.response["Error"] == {"Code": code, "Message": "wrong"}


def test_an_error_the_stream_does_not_know_becomes_an_unmodelled_frame() -> None:
    stream = stream_of(*STREAMS[0])
    frame = failures.frame(ServiceRefusal("Strange", "unheard of", http_status=400), stream)
    with pytest.raises(EventStreamError) as raised:
        read(stream_of_botocore(*STREAMS[0]), frame)
    assert raised.value.response["Error"] == {"Code": "Strange", "Message": "unheard of"}
