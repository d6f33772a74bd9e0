"""Deployments on record, of both kinds: on demand (custom model deployments) and provisioned throughput.

A new one is Creating; the reconciler makes it Active or InService once its engine serves it. One with a new model is
Updating meanwhile, and goes on serving the old one.
"""

import logging
from collections.abc import Mapping
from typing import Any

from outcrop import arn
from outcrop.clock import Clock
from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.loops import each
from outcrop.store.changing import Change, change
from outcrop.store.damage import understood
from outcrop.store.resources import NameTaken, Resource
from outcrop.store.store import Store

ON_DEMAND = "custom-model-deployment"
THROUGHPUT = "provisioned-model"

CREATING, UPDATING, FAILED = "Creating", "Updating", "Failed"
SERVING = {ON_DEMAND: "Active", THROUGHPUT: "InService"}
_log = logging.getLogger("outcrop.deployments")


class Deployments:
    """The deployments of an installation."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def create(
        self, kind: str, *, name: str, region: str, account: str, model_arn: str, details: Mapping[str, Any]
    ) -> Resource:
        """A new row, Creating. Raises Invalid when the name is in use: neither kind declares ConflictException."""
        now = self._clock.now()
        row = Resource(
            arn=arn.bedrock(region, account, f"{kind}/{arn.new_id()}"),
            kind=kind,
            region=region,
            name=name,
            status=CREATING,
            created=now,
            updated=now,
            document={"modelArn": model_arn, "desiredModelArn": model_arn, **details},
        )
        try:
            return self._store.resources.add(row)
        except NameTaken as error:
            raise Invalid(f"The provided name {name} is currently in use. Choose another name.") from error

    def point_to(self, row: Resource, model_arn: str, *, name: str | None = None) -> Resource:
        """Let a serving deployment go over to another model, or a failed one try again, with the same or another.

        Raises Conflict for one that is being made or changed.
        """
        if row.status not in (SERVING[row.kind], FAILED):
            raise Conflict(f"{row.name}: it is {row.status}. Wait until it is {SERVING[row.kind]}, then update it.")
        document = {**row.document, "desiredModelArn": model_arn, "failureMessage": None}
        if row.status == FAILED:
            status, document = CREATING, {**document, "modelArn": model_arn}
        else:
            status = UPDATING if model_arn != row.document["modelArn"] else row.status
        return self._store.resources.replace(row, at=self._clock.now(), status=status, document=document, name=name)

    def pending(self) -> list[Resource]:
        """Rows that wait for an engine."""
        return [row for row in self._all() if row.status in (CREATING, UPDATING)]

    def serve(self, row: Resource) -> None:
        """The model asked for is being served."""
        self._settle(row, failure=None)

    def fail(self, row: Resource, failure: str) -> None:
        """The model asked for cannot be served: a new deployment fails, an updated one keeps its old model."""
        self._settle(row, failure=failure)

    def spoil(self, row: Resource, failure: str) -> None:
        """The deployment cannot be settled at all: it fails, whatever it was, unless it was changed meanwhile."""
        now = self._store.resources.row(row.arn)
        if now is not None and now.version == row.version:
            self._store.resources.fail(row.arn, at=self._clock.now(), message=failure)

    def served(self) -> set[tuple[str, str]]:
        """Region and ARN of the models that deployments serve, or are about to."""
        rows = [row for row in self._all() if row.status != FAILED]
        served = each(rows, _served, log=_log, name=_name, broken=self._fail_damaged)
        return {pair for pairs in served for pair in pairs}

    def of_model(self, model_arn: str) -> list[Resource]:
        """Deployments that serve this model, or are about to."""
        return [row for row in self._all() if model_arn in _named_models(row)]

    def fail_model(self, model_arn: str, failure: str) -> None:
        """What a custom model is served by fails, for its files are no longer of use. One that is changing settles."""
        for row in self.of_model(model_arn):
            if row.status == SERVING[row.kind]:
                self._store.resources.fail(row.arn, at=self._clock.now(), message=failure)

    def remove(self, row: Resource) -> None:
        with self._store.transaction():
            self._store.resources.remove(row.arn)
            self._store.tags.clear(row.arn)

    def _settle(self, row: Resource, *, failure: str | None) -> None:
        def decide(now: Resource) -> Change | None:
            if now.version != row.version:
                return None  # changed again meanwhile: the next round looks at it
            if failure is None:
                served = {"modelArn": model_arns(now)[1], "failureMessage": None}
                return Change(SERVING[now.kind], {**now.document, **served})
            status = FAILED if now.status == CREATING else SERVING[now.kind]
            return Change(status, {**now.document, "failureMessage": failure})

        try:
            change(self._store.resources, row.arn, at=self._clock.now(), decide=decide)
        except NotFound:
            return  # deleted while its engine was starting; nothing is left to settle

    def _all(self) -> list[Resource]:
        return [*self._store.resources.all(ON_DEMAND), *self._store.resources.all(THROUGHPUT)]

    def _fail_damaged(self, row: Resource) -> None:
        self._store.resources.fail(row.arn, at=self._clock.now())


def model_arns(row: Resource) -> tuple[str, str]:
    """The model that a deployment serves, and the one it is to serve. Raises Damaged."""
    with understood(row.arn):
        now, then = row.document["modelArn"], row.document["desiredModelArn"]
        if not (isinstance(now, str) and isinstance(then, str)):
            raise TypeError("both are ARNs")
        return now, then


def _served(row: Resource) -> set[tuple[str, str]]:
    return {(row.region, model_arn) for model_arn in model_arns(row)}


def _named_models(row: Resource) -> tuple[object, ...]:
    """The ARNs of a deployment's models, where its row can be read."""
    return row.document.get("modelArn"), row.document.get("desiredModelArn")


def _name(row: Resource) -> str:
    return row.arn
