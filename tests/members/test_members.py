"""No member of a request is accepted and dropped in silence: of every operation that works here, each is looked at,
refused by its name, or on the list of those that S3, IAM, STS or Bedrock pass over too, with the reason.

Each member is sent alone beside what the operation needs. The lists below hold for whichever operation is named.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.api.operations import OPERATIONS
from outcrop.protocol import service_model
from outcrop.protocol.shapes import ListShape, Shape, StructureShape
from tests.members.house import House, furnished

DEEPEST = 4


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = furnished(tmp_path_factory.mktemp("members") / "home")
    yield made
    made.platform.store.close()


def members_of(shape: Shape | None, path: str = "", deep: int = 0) -> Iterator[tuple[str, Shape]]:
    """Every member by its path, those inside of structures and of lists of structures too."""
    inner = shape.member if isinstance(shape, ListShape) else shape
    if not isinstance(inner, StructureShape) or deep == DEEPEST or inner.is_document_type:
        return
    for name, member in inner.members.items():
        here = f"{path}.{name}" if path else name
        yield here, member
        yield from members_of(member, here, deep + 1)


def with_member(house: House, shape: StructureShape, params: dict[str, Any], path: str, given: str = "") -> Any:
    """The request with this member set, and what has to be around it."""
    name, _, rest = path.partition(".")
    member, here = shape.members[name], f"{given}.{name}"
    value = params.get(name, house.sample(member, name, here))
    if rest:
        inner = member.member if isinstance(member, ListShape) else member
        assert isinstance(inner, StructureShape), path
        first = (value[0] if value else {}) if isinstance(value, list) else value
        value = with_member(house, inner, dict(first), rest, here)
        value = [value] if isinstance(member, ListShape) else value
    return {**params, name: value}


def dropped(house: House, service: str, operation: str) -> Iterator[str]:
    shape = service_model.operation(service, operation).input_shape
    if shape is None:
        return
    base = house.base(service, operation)
    for path, _ in members_of(shape):
        seen, refusal = house.looked_at(service, operation, with_member(house, shape, base, path))
        name = path.rpartition(".")[2]
        if path not in seen and name.lower() not in refusal.lower():
            yield path


@pytest.mark.parametrize(
    ("service", "operation"), [(service, name) for service in ("s3", "iam", "sts", "bedrock") for name in OPERATIONS[service]]
)
def test_no_member_is_dropped_in_silence(house: House, service: str, operation: str) -> None:
    print(list(dropped(house, service, operation)))
    assert not list(dropped(house, service, operation))
