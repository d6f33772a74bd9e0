"""Deployments on record, of both kinds: on demand (custom model deployments) and provisioned throughput.

A new one is Creating; the reconciler makes it Active or InService once its engine serves it. One with a new model is
Updating meanwhile, and goes on serving the old one. What is asked of a deployment has a number, its `generation`: who
settles it says which one he settled, and nothing happens when something else was asked meanwhile.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from outcrop import arn
from outcrop.clock import Clock
from outcrop.deployments.precision import precision_of
from outcrop.deployments.states import (
    CREATING,
    FAILED,
    ON_DEMAND,
    SERVING,
    THROUGHPUT,
    UPDATING,
    WAITING,
    check,
    status_of,
)
from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.network.weight_precision import WeightPrecision
from outcrop.store.changing import Change, change
from outcrop.store.damage import understood
from outcrop.store.resources import NameTaken, Resource
from outcrop.store.store import Store
from outcrop.store.watch import ChangeWatch

_KINDS = (ON_DEMAND, THROUGHPUT)
_MODELS = ("modelArn", "desiredModelArn")
"The members that name models: the one it serves, and the one it is to serve."


class Deployments:
    """The deployments of an installation."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        for kind in _KINDS:
            store.references.index(kind, *_MODELS)

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
            document={"modelArn": model_arn, "desiredModelArn": model_arn, "generation": 1, **details},
        )
        try:
            return self._store.resources.add(row)
        except NameTaken as error:
            raise Invalid(f"The provided name {name} is currently in use. Choose another name.") from error

    def point_to(self, row: Resource, model_arn: str, *, name: str | None = None) -> Resource:
        """Let a serving deployment go over to another model, or a failed one try again, with the same or another.

        Raises Conflict for one that is being made or changed.
        """
        if status_of(row) not in (SERVING[row.kind], FAILED):
            raise Conflict(f"{row.name}: it is {row.status}. Wait until it is {SERVING[row.kind]}, then update it.")
        asked = {"desiredModelArn": model_arn, "failureMessage": None, "generation": generation(row) + 1}
        document, status = {**row.document, **asked}, row.status
        if row.status == FAILED:
            status, document = CREATING, {**document, "modelArn": model_arn}
        elif model_arn != row.document["modelArn"]:
            status = UPDATING
        check(row, status)
        return self._store.resources.replace(row, at=self._clock.now(), status=status, document=document, name=name)

    def watch(self) -> ChangeWatch:
        """Tells a loop whether anything may have changed since it last looked."""
        return ChangeWatch(self._store.engine)

    def pending(self, *, most: int) -> list[Resource]:
        """Rows that wait for an engine: of each kind the oldest, at most so many."""
        return [row for kind in _KINDS for row in self._store.resources.in_states(kind, WAITING, most=most)]

    def find(self, deployment_arn: str) -> Resource | None:
        """The deployment with this ARN."""
        row = self._store.resources.get(deployment_arn)
        return row if row is not None and row.kind in _KINDS else None

    def named(self, name: str) -> list[Resource]:
        """The deployments of this name or ARN, of both kinds and in all regions."""
        return [row for kind in _KINDS for row in self._store.resources.all(kind) if name in (row.name, row.arn)]

    def note(self, row: Resource, members: Mapping[str, Any]) -> None:
        """Keep members of a deployment's document, if nothing else was asked of it meanwhile."""

        def decide(now: Resource) -> Change | None:
            if generation(now) != generation(row):
                return None
            return Change(document={**now.document, **members})

        self._change(row, decide)

    def provisioned(self) -> list[Resource]:
        """Provisioned throughput in service."""
        return self._store.resources.in_states(THROUGHPUT, [SERVING[THROUGHPUT]])

    def serve(self, row: Resource) -> None:
        """The model asked for is being served."""
        self._settle(row, failure=None)

    def fail(self, row: Resource, failure: str) -> None:
        """The model asked for cannot be served: a new deployment fails, an updated one keeps its old model."""
        self._settle(row, failure=failure)

    def spoil(self, row: Resource, failure: str) -> None:
        """Fail a deployment that cannot be settled at all, whatever its record holds. Nothing changes if it was settled
        already or asked for something else meanwhile."""
        now = self._store.resources.get(row.arn)
        if now is not None and now.status in WAITING and _asked(now) == _asked(row):
            self._store.resources.fail(row.arn, at=self._clock.now(), message=failure)

    def served(self) -> set[tuple[str, str]]:
        """Region and ARN of the models that deployments serve, or are about to."""
        named = (self._store.references.named(kind, _MODELS, but_in=[FAILED]) for kind in _KINDS)
        return set().union(*named)

    def of_model(self, model_arn: str) -> list[Resource]:
        """Deployments that serve this model, or are about to."""
        return [row for kind in _KINDS for row in self._store.references.naming(kind, _MODELS, model_arn)]

    def precisions(self, model_arn: str) -> set[WeightPrecision]:
        """The numbers in which deployments keep the weights of this model. Raises Damaged."""
        return {precision_of(row) for row in self.of_model(model_arn)}

    def fail_model(self, model_arn: str, failure: str) -> None:
        """Fail the deployments that serve this custom model, for its files are no longer of use. One that is changing
        settles."""

        def decide(now: Resource) -> Change | None:
            if now.status != SERVING[now.kind] or now.document.get("modelArn") != model_arn:
                return None
            check(now, FAILED)
            return Change(FAILED, {**now.document, "failureMessage": failure})

        for row in self.of_model(model_arn):
            self._change(row, decide)

    def remove(self, row: Resource) -> None:
        with self._store.transaction():
            self._store.resources.remove(row.arn)
            self._store.tags.clear(row.arn)

    def _settle(self, row: Resource, *, failure: str | None) -> None:
        def decide(now: Resource) -> Change | None:
            if status_of(now) not in WAITING or generation(now) != generation(row):
                return None  # settled already, or asked for something else meanwhile: the next round looks at it
            if failure is None:
                status, told = SERVING[now.kind], {"modelArn": model_arns(now)[1], "failureMessage": None}
            else:
                status = FAILED if now.status == CREATING else SERVING[now.kind]
                told = {"failureMessage": failure}
            check(now, status)
            return Change(status, {**now.document, **told})

        self._change(row, decide)

    def _change(self, row: Resource, decide: Callable[[Resource], Change | None]) -> None:
        """Change a deployment's row; nothing is left to do for one that was deleted meanwhile."""
        with suppress(NotFound):
            change(self._store.resources, row.arn, at=self._clock.now(), decide=decide)


def generation(row: Resource) -> int:
    """How often something was asked of a deployment: 1 for one that was made and never updated. Raises Damaged."""
    with understood(row.arn):
        found = row.document.get("generation", 1)  # which those made by older programs do not have
        if type(found) is not int:
            raise TypeError("a count")
        return found


def _asked(row: Resource) -> object:
    """The generation of a row that may hold anything."""
    return row.document.get("generation")


def model_arns(row: Resource) -> tuple[str, str]:
    """The model that a deployment serves, and the one it is to serve. Raises Damaged."""
    with understood(row.arn):
        now, then = row.document["modelArn"], row.document["desiredModelArn"]
        if not (isinstance(now, str) and isinstance(then, str)):
            raise TypeError("both are ARNs")
        return now, then
