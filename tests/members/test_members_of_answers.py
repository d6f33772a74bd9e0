"""The same of the questions to knowledge bases: every member is looked at or refused by its name, however deep it stands.

The answers are extracts, so that no model has to be there; what only a model would be told is read all the same.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from outcrop.access.caller import Caller
from outcrop.api.door.call import Call
from outcrop.api.operations import OPERATIONS
from outcrop.clock import SystemClock
from outcrop.errors import Refusal
from outcrop.house import House
from outcrop.protocol import service_model
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape
from outcrop.settings import Settings
from tests.support.knowledge_house import knowledge_base
from tests.support.recorded_members import Recorded

SERVICE, EXTRACTS = "bedrock-agent-runtime", "arn:aws:bedrock:us-east-1::foundation-model/outcrop.extractive-v1"
DEEPEST = 12
HARMLESS = {
    "type": "the kind of configuration, of which there is one here, or which its other members tell",
    "selectionMode": "read where there is a reranker",
}
SAMPLES: dict[str, Any] = {
    "modelArn": EXTRACTS,
    "text": "fee",
    "uri": "s3://papers/a.txt",
    "numberOfResults": 3,
    "sourceType": "BYTE_CONTENT",
    "byteContent": {"identifier": "a.txt", "contentType": "text/plain", "data": b"The fee is 5 dollars."},
    "filter": {"equals": {"key": "a", "value": 1}},
    "stopSequences": ["x"],
    "textPromptTemplate": "$search_results$",
    "additionalModelRequestFields": {"top_k": 1},
    "overrideSearchType": "SEMANTIC",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House.open(Settings(home=tmp_path_factory.mktemp("answers") / "home"), SystemClock()) as opened:
        SAMPLES["knowledgeBaseId"] = knowledge_base(opened, {"s3://a/1.txt": "The fee is 5 dollars."})
        yield opened


def paths_of(shape: Shape, path: str = "", deep: int = 0) -> Iterator[str]:
    """Every member by its path; a filter's own are judged where filters are."""
    inner = shape.member if isinstance(shape, ListShape) else shape
    if not isinstance(inner, StructureShape) or deep == DEEPEST or inner.name == "RetrievalFilter":
        return
    for name, member in inner.members.items():
        here = f"{path}.{name}" if path else name
        yield here
        yield from paths_of(member, here, deep + 1)


def sample(shape: Shape, name: str) -> Any:
    if name in SAMPLES:
        return SAMPLES[name]
    if isinstance(shape, StructureShape):
        return {each: sample(shape.members[each], each) for each in shape.required_members}
    if isinstance(shape, ListShape):
        return [sample(shape.member, "")]
    if isinstance(shape, MapShape):
        return {"key": "value"}
    plain = {"integer": 1, "float": 0.5, "double": 0.5, "blob": b"x", "boolean": True}
    return plain.get(shape.type_name, shape.enum[-1] if shape.enum else "value")


def with_member(shape: StructureShape, params: dict[str, Any], path: str) -> dict[str, Any]:
    """The request with this member set, and what has to be around it."""
    name, _, rest = path.partition(".")
    member = shape.members[name]
    value = params.get(name, sample(member, name))
    if rest:
        inner = member.member if isinstance(member, ListShape) else member
        assert isinstance(inner, StructureShape), path
        first = value[0] if isinstance(value, list) else value
        value = with_member(inner, dict(first), rest)
        value = [value] if isinstance(member, ListShape) else value
    elif not isinstance(member, StructureShape):
        value = sample(member, name)
    return {**params, name: value}


def needed(operation: str, path: str) -> dict[str, Any]:
    if operation == "Retrieve":
        return {"knowledgeBaseId": SAMPLES["knowledgeBaseId"], "retrievalQuery": {"text": "fee"}}
    kind = "EXTERNAL_SOURCES" if "externalSources" in path else "KNOWLEDGE_BASE"
    own: dict[str, Any] = {"modelArn": EXTRACTS}
    if kind == "EXTERNAL_SOURCES":
        own["sources"] = [{"sourceType": "BYTE_CONTENT", "byteContent": SAMPLES["byteContent"]}]
        member = "externalSourcesConfiguration"
    else:
        own["knowledgeBaseId"], member = SAMPLES["knowledgeBaseId"], "knowledgeBaseConfiguration"
    return {"input": {"text": "fee"}, "retrieveAndGenerateConfiguration": {"type": kind, member: own}}


def looked_at(house: House, operation: str, params: dict[str, Any]) -> tuple[set[str], str]:
    seen: set[str] = set()
    caller = Caller(arn=f"arn:aws:iam::{house.account}:user/ada", account=house.account, user_id="A", key_id="AKIA")
    call = Call(
        service=SERVICE,
        operation=operation,
        params=Recorded(params, seen),
        caller=caller,
        region="us-east-1",
        request_id="r",
        headers={},
    )
    try:
        work = OPERATIONS[SERVICE][operation](house, call)
        assert isinstance(work, Coroutine)
        asyncio.run(work)
    except Refusal as refusal:
        return seen, str(refusal)
    return seen, ""


@pytest.mark.parametrize("operation", ["Retrieve", "RetrieveAndGenerate", "RetrieveAndGenerateStream"])
def test_no_member_is_dropped_in_silence(house: House, operation: str) -> None:
    shape = service_model.operation(SERVICE, operation).input_shape
    assert shape is not None
    dropped = []
    for path in paths_of(shape):
        params = with_member(shape, needed(operation, path), path)
        seen, refusal = looked_at(house, operation, params)
        names = path.split(".")
        by_name = any(name in refusal for name in names)
        if path not in seen and not by_name and names[-1] not in HARMLESS:
            dropped.append(path)
    assert dropped == []
