"""Our reading of the service models against botocore's own, over every shape of every service."""

from collections.abc import Iterator
from typing import Any

import pytest

from outcrop.protocol import service_model
from tests.support.shaped_values import service_of_botocore


def inside(shape: Any) -> Iterator[tuple[str, Any]]:
    if shape.type_name == "structure":
        yield from shape.members.items()
    elif shape.type_name == "list":
        yield "member", shape.member
    elif shape.type_name == "map":
        yield "key", shape.key
        yield "value", shape.value


def assert_same(ours: Any, theirs: Any) -> None:
    """The two shapes themselves, and how they are referred to; not what is deeper inside."""
    assert (ours.name, ours.type_name) == (theirs.name, theirs.type_name)
    assert ours.serialization == dict(theirs.serialization)
    assert ours.metadata == dict(theirs.metadata)
    if ours.type_name == "string":
        assert ours.enum == theirs.enum
    if ours.type_name == "structure":
        assert ours.required_members == theirs.required_members
        assert ours.is_document_type == theirs.is_document_type
        assert not ours.metadata.get("exception") or ours.error_code == theirs.error_code


@pytest.mark.parametrize("service", service_model.SERVICES)
def test_every_shape_is_as_botocore_reads_it(service: str) -> None:
    ours, theirs = service_model.load(service), service_of_botocore(service)
    assert theirs.shape_names
    for name in theirs.shape_names:
        our, their = ours.shape_for(name), theirs.shape_for(name)
        assert_same(our, their)
        pairs = list(zip(inside(our), inside(their), strict=True))
        for (our_name, our_member), (their_name, their_member) in pairs:
            assert our_name == their_name
            assert_same(our_member, their_member)


@pytest.mark.parametrize("service", service_model.SERVICES)
def test_every_operation_is_as_botocore_reads_it(service: str) -> None:
    ours, theirs = service_model.load(service), service_of_botocore(service)
    assert ours.operation_names == theirs.operation_names
    assert (ours.metadata, ours.api_version) == (theirs.metadata, theirs.api_version)
    assert {each.name for each in ours.error_shapes} == {each.name for each in theirs.error_shapes}
    for name in theirs.operation_names:
        our, their = ours.operation_model(name), theirs.operation_model(name)
        assert our.http == their.http
        assert our.deprecated == their.deprecated
        for one, other in ((our.input_shape, their.input_shape), (our.output_shape, their.output_shape)):
            assert (one is None) == (other is None)
            if one is not None:
                assert_same(one, other)
        assert [each.name for each in our.error_shapes] == [each.name for each in their.error_shapes]
        stream = their.get_event_stream_output() if their.output_shape is not None else None
        assert (our.event_stream.name if our.event_stream else None) == (stream.name if stream else None)
