"""The permissions that a knowledge base's role needs on its store, as Bedrock asks for them."""

from collections.abc import Iterator
from typing import Protocol

from outcrop.access.access import Access
from outcrop.access.policies.evaluation import Decision
from outcrop.errors import Invalid
from outcrop.knowledge.stores.configuration import (
    PostgresPlace,
    RedisPlace,
    StorePlace,
    VectorIndexPlace,
    read_storage,
)
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

_OF_DATABASE = ("rds-data:ExecuteStatement", "rds-data:BatchExecuteStatement")
_OF_VECTORS = ("s3vectors:GetIndex", "s3vectors:PutVectors", "s3vectors:DeleteVectors")
_OF_SECRET = "secretsmanager:GetSecretValue"


class StoreRooms(Protocol):
    """The rooms that know what a role may."""

    @property
    def access(self) -> Access: ...


def check_may_store(house: StoreRooms, role_arn: str, place: StorePlace | None) -> None:
    """Raises Invalid for a role that does not allow what is done in the store."""
    for action, resource in _needed(place):
        if house.access.role_may(role_arn, action, resource) is not Decision.ALLOWED:
            raise Invalid(
                f"Knowledge base role {role_arn} is not able to use the store: it does not allow {action} on "
                f"{resource}. Allow it with iam.put_role_policy."
            )


def check_may_store_in(house: StoreRooms, knowledge_base: Resource) -> None:
    """Raises Invalid for a knowledge base whose role does not allow any more what is done in its store."""
    with understood(knowledge_base.arn):
        role_arn: str = knowledge_base.document["roleArn"]
        place = read_storage(knowledge_base.document.get("storageConfiguration"))
    check_may_store(house, role_arn, place)


def _needed(place: StorePlace | None) -> Iterator[tuple[str, str]]:
    if isinstance(place, PostgresPlace):
        yield from ((action, place.cluster_arn) for action in _OF_DATABASE)
    if isinstance(place, PostgresPlace | RedisPlace):
        yield _OF_SECRET, place.secret_arn
    if isinstance(place, VectorIndexPlace):
        yield from ((action, place.arn) for action in _OF_VECTORS)
