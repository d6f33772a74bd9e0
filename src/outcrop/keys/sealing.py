"""The key that seals a model and all that the job that makes it leaves on the disk.

It is the one that the request names, else that of the model it starts from, else the installation's own where
everything is sealed. The job's record keeps the data key wrapped; whoever works on the job opens it anew, so that the
state of the KMS key counts each time.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from outcrop.errors import Denied
from outcrop.keys.envelopes import INSTALLATION, DataKey, Envelopes
from outcrop.keys.grants import GrantConstraints
from outcrop.keys.key_grants import KeyGrants
from outcrop.keys.keys import Keys
from outcrop.keys.sealed_folder import KEY_CONTEXT, FolderSeal
from outcrop.keys.sealed_records import SEAL, key_told, sealed_by
from outcrop.machine import memory_folder
from outcrop.settings import Settings
from outcrop.store.resources import Resource

_WRITING = ("GenerateDataKey",)
"It lets nobody read."
AuthorizeKey = Callable[[str, Mapping[str, str]], None]
"Raises Denied where whoever asks may not use the key with this ARN, in this encryption context."


class SealingRooms(Protocol):
    """Rooms that seal models."""

    settings: Settings

    @property
    def envelopes(self) -> Envelopes: ...


class GrantingRooms(SealingRooms, Protocol):
    """Rooms that give a job's role the use of a key."""

    @property
    def keys(self) -> Keys: ...

    @property
    def key_grants(self) -> KeyGrants: ...


def nobody_may(key_arn: str, _context: Mapping[str, str]) -> None:
    """The answer of who cannot ask whether a key may be used."""
    raise Denied(f"{key_arn}: nobody was asked whether this key may be used. Name it through the API.")


def choose(
    house: SealingRooms,
    spelling: str,
    *,
    member: str,
    parent: Resource | None,
    model_arn: str,
    region: str,
    authorize: AuthorizeKey,
) -> dict[str, Any]:
    """The members of the document that keep the new data key; none where nothing is sealed.

    `spelling` is the key that the request's `member` names, empty where it names none. A model that comes of a sealed
    one is sealed: its weights tell what the other's do. Raises Invalid, Denied.
    """
    before = sealed_by(parent.document) if parent is not None else None
    if not spelling and before is None and not house.settings.seal:
        return {}
    memory_folder.check()
    context = {KEY_CONTEXT: model_arn}
    key_arn = INSTALLATION if before is None else before.key_arn
    with key_told(f"{member}: "):
        if before is not None and before.key_arn:
            authorize(before.key_arn, before.context)
        if spelling:
            key_arn = house.envelopes.key_arn("bedrock", region, spelling)
        if key_arn:
            authorize(key_arn, context)
        return {SEAL: house.envelopes.make(key_arn, context).wrapped.document()}


@contextmanager
def made_in_memory(
    house: SealingRooms, document: Mapping[str, Any], model_arn: str, *, lease: int = 0
) -> Iterator[FolderSeal | None]:
    """The seal of a model that is being made, with a folder in memory that goes with the block. None where
    nothing is sealed. Raises Invalid while its KMS key may not be used.

    `lease` is the number of the job that makes it: a worker that lost the job leaves its successor's folder alone.
    """
    data_key = opened(house, document)
    if data_key is None:
        yield None
        return
    home, name = house.settings.home, model_arn.rsplit("/", 1)[-1]
    if lease:
        earlier, name = name, f"{name}.{lease}"
        memory_folder.remove_memory_folder(home, earlier, but=name)
    try:
        yield FolderSeal(data_key=data_key, scratch=memory_folder.memory_folder(home, name))
    finally:
        memory_folder.remove_memory_folder(home, name)


def grant_writing(house: GrantingRooms, document: Mapping[str, Any], *, role_arn: str, name: str) -> None:
    """Grant a job's role to write under the key that seals its model, as the caller's `kms:CreateGrant` is for.

    The grant stays until `take_back`: call this in the transaction that writes the job's row. Raises Invalid.
    """
    wrapped = sealed_by(document)
    if wrapped is None or not wrapped.key_arn:
        return
    with key_told():
        house.key_grants.create(
            house.keys.find(wrapped.key_arn), grantee=role_arn, retiring="", operations=_WRITING,
            constraints=GrantConstraints(), name=name,
        )  # fmt: skip


def take_back(house: GrantingRooms, document: Mapping[str, Any], *, name: str) -> None:
    """Revoke the grant of a job that is over, if there is one."""
    wrapped = sealed_by(document)
    for grant in house.keys.records.grants(wrapped.key_arn) if wrapped is not None and wrapped.key_arn else ():
        if grant.name == name:
            house.keys.records.remove_grant(grant.id)


def opened(house: SealingRooms, document: Mapping[str, Any]) -> DataKey | None:
    """The data key of a job or a custom model, in clear. Raises Invalid while its KMS key may not be used."""
    wrapped = sealed_by(document)
    if wrapped is None:
        return None
    with key_told():
        return DataKey(plaintext=house.envelopes.open(wrapped), wrapped=wrapped)
