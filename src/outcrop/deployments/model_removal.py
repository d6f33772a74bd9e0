"""Removal of a custom model, which happens only where nobody needs it. No deployment serves it then, and no running job
starts from it."""

import shutil
from typing import Protocol

from outcrop.catalog.custom_model_states import ModelStatus
from outcrop.catalog.custom_models import CustomModels
from outcrop.customization.kind import KIND
from outcrop.customization.states import LIFECYCLE
from outcrop.deployments.records import Deployments
from outcrop.errors import Conflict
from outcrop.store.resources import Resource
from outcrop.store.store import Store


class RemovalRooms(Protocol):
    """The rooms that know who uses a model, and what it consists of."""

    @property
    def store(self) -> Store: ...

    @property
    def deployments(self) -> Deployments: ...

    @property
    def models(self) -> CustomModels: ...


def remove_model(rooms: RemovalRooms, model: Resource) -> None:
    """Remove the row, its tags and its files. Raises Conflict that names who uses the model, or makes it."""
    if model.status == ModelStatus.CREATING:
        raise Conflict(f"The custom model {model.name} is being created. Delete it once it is Active or Failed.")
    users = users_of(rooms, model.arn)
    if users:
        named = ", ".join(row.name or row.arn for row in users)
        raise Conflict(f"The custom model {model.name} is in use by {named}. Delete or stop these first.")
    with rooms.store.transaction():
        rooms.models.remove(model.arn)
        rooms.store.tags.clear(model.arn)
    # The row is gone; what a crash leaves of the folder is garbage that no one can reach.
    shutil.rmtree(rooms.models.folder(model.arn), ignore_errors=True)


def users_of(rooms: RemovalRooms, model_arn: str) -> list[Resource]:
    """Deployments that serve a model, and running jobs that start from it."""
    jobs = rooms.store.references.naming(KIND.name, ["parentArn"], model_arn, states=LIFECYCLE.running)
    return [*rooms.deployments.of_model(model_arn), *jobs]
