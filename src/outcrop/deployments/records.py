"""Deployments on record, of both kinds: on demand (custom model deployments) and provisioned throughput.

A new one is Creating; the reconciler makes it Active or InService once its engine serves it. One with a new model is
Updating meanwhile, and goes on serving the old one.
"""

from collections.abc import Mapping
from typing import Any

from outcrop import arn
from outcrop.clock import Clock
from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.store.changing import Change, change
from outcrop.store.resources import NameTaken, Resource
from outcrop.store.store import Store

ON_DEMAND = "custom-model-deployment"
THROUGHPUT = "provisioned-model"

CREATING, UPDATING, FAILED = "Creating", "Updating", "Failed"
SERVING = {ON_DEMAND: "Active", THROUGHPUT: "InService"}


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
        """Let a serving deployment go over to another model. Raises Conflict for one that does not serve."""
        if row.status != SERVING[row.kind]:
            raise Conflict(f"{row.name}: it is {row.status}. Wait until it is {SERVING[row.kind]}, then update it.")
        document = {**row.document, "desiredModelArn": model_arn, "failureMessage": None}
        status = UPDATING if model_arn != row.document["modelArn"] else row.status
        return self._store.resources.replace(row, at=self._clock.now(), status=status, document=document, name=name)

    def pending(self) -> list[Resource]:
        """Rows that wait for an engine."""
        rows = [*self._store.resources.all(ON_DEMAND), *self._store.resources.all(THROUGHPUT)]
        return [row for row in rows if row.status in (CREATING, UPDATING)]

    def serve(self, row: Resource) -> None:
        """The model asked for is being served."""
        self._settle(row, failure=None)

    def fail(self, row: Resource, failure: str) -> None:
        """The model asked for cannot be served: a new deployment fails, an updated one keeps its old model."""
        self._settle(row, failure=failure)

    def served(self) -> set[tuple[str, str]]:
        """Region and ARN of the models that deployments serve, or are about to."""
        rows = [*self._store.resources.all(ON_DEMAND), *self._store.resources.all(THROUGHPUT)]
        return {
            (row.region, row.document[member])
            for row in rows
            if row.status != FAILED
            for member in ("modelArn", "desiredModelArn")
        }

    def of_model(self, model_arn: str) -> list[Resource]:
        """Deployments that serve this model, or are about to."""
        rows = [*self._store.resources.all(ON_DEMAND), *self._store.resources.all(THROUGHPUT)]
        return [row for row in rows if model_arn in (row.document["modelArn"], row.document["desiredModelArn"])]

    def remove(self, row: Resource) -> None:
        with self._store.transaction():
            self._store.resources.remove(row.arn)
            self._store.tags.clear(row.arn)

    def _settle(self, row: Resource, *, failure: str | None) -> None:
        def decide(now: Resource) -> Change | None:
            if now.version != row.version:
                return None  # changed again meanwhile: the next round looks at it
            if failure is None:
                served = {"modelArn": now.document["desiredModelArn"], "failureMessage": None}
                return Change(SERVING[now.kind], {**now.document, **served})
            status = FAILED if now.status == CREATING else SERVING[now.kind]
            return Change(status, {**now.document, "failureMessage": failure})

        try:
            change(self._store.resources, row.arn, at=self._clock.now(), decide=decide)
        except NotFound:
            return  # deleted while its engine was starting; nothing is left to settle
