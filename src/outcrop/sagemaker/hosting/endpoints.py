"""Endpoints and inference components on record: what each serves, what it is to serve, and the fleets behind both.

A component is an endpoint's in the place of a variant's model. Its record is as that of an endpoint with one variant.

An endpoint that is being changed goes on serving what it did. What is asked of it has a number, its `generation`:
whoever carries a change out says which one, and nothing happens where something else was asked meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from outcrop.clock import Clock
from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.sagemaker.hosting.plans import EndpointPlan, FleetPlan
from outcrop.sagemaker.hosting.states import IN_CHANGE, LIFECYCLE, EndpointStatus
from outcrop.store.changing import Change, change
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource, Row
from outcrop.store.store import Store
from outcrop.store.watch import ChangeWatch

KIND = "endpoint"
COMPONENT = "inference-component"
_KINDS = (KIND, COMPONENT)


@dataclass(frozen=True, kw_only=True)
class EndpointRecord:
    """An endpoint's record, read."""

    row: Resource
    generation: int
    serving: EndpointPlan | None
    "None: it never served."
    desired: EndpointPlan
    failure: str | None

    @property
    def status(self) -> EndpointStatus:
        return EndpointStatus(self.row.status)

    @property
    def endpoint_name(self) -> str:
        """The endpoint's own name; of a component, that of its endpoint."""
        return str(self.row.document["endpointName"] if self.row.kind == COMPONENT else self.row.name)

    @property
    def plans(self) -> tuple[EndpointPlan, ...]:
        """The plan that serves, where one does, and the one that is to."""
        return (self.desired,) if self.serving is None else (self.serving, self.desired)

    @property
    def fleets(self) -> Iterator[FleetPlan]:
        """Every fleet that serves, or is to."""
        return (fleet for plan in self.plans for fleet in plan.fleets)


class Endpoints:
    """The endpoints of an installation."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._read: dict[tuple[str, str, str], tuple[Row, EndpointRecord]] = {}
        "By kind, region and name, what was found last."
        store.references.index(COMPONENT, "endpointName")

    def add(
        self,
        *,
        endpoint_arn: str,
        name: str,
        region: str,
        plan: EndpointPlan,
        kind: str = KIND,
        more: Mapping[str, Any] = {},
    ) -> Resource:
        """A new endpoint, Creating. Raises Invalid where the name is in use.

        `kind` may be that of components, `more` are further members of its document.
        """
        now = self._clock.now()
        asked = {"generation": 1, "serving": None, "desired": plan.document(), "failureMessage": None}
        row = Resource(
            arn=endpoint_arn,
            kind=kind,
            region=region,
            name=name,
            status=EndpointStatus.CREATING,
            created=now,
            updated=now,
            document={**asked, **more},
        )
        try:
            return self._store.resources.add(row)
        except Conflict as taken:  # by its name, or by one in other letters
            noun = kind.replace("-", " ")
            raise Invalid(f'Cannot create already existing {noun} "{endpoint_arn}".') from taken

    def ask(
        self, endpoint_arn: str, plan: Callable[[EndpointRecord], EndpointPlan], *, more: Mapping[str, Any] = {}
    ) -> EndpointRecord:
        """Ask an endpoint that is not being changed for another plan; it is Updating. Raises Invalid, NotFound.

        `more` are members of its document that change with it.
        """

        def decide(row: Resource) -> Change:
            record, noun = record_of(row), row.kind.replace("-", " ")
            if record.status in IN_CHANGE:
                raise Invalid(f'Cannot update in-progress {noun} "{endpoint_arn}".')
            if record.status is EndpointStatus.FAILED:
                raise Invalid(f'Cannot update failed {noun} "{endpoint_arn}". Delete it, and create it anew.')
            wanted = plan(record).document()
            asked = {"desired": wanted, "generation": record.generation + 1, "failureMessage": None}
            return Change(EndpointStatus.UPDATING, {**row.document, **asked, **more})

        return record_of(change(self._store.resources, endpoint_arn, at=self._clock.now(), decide=decide))

    def serve(self, endpoint_arn: str, generation: int) -> None:
        """Note that everything that was asked for serves."""
        self._settle(
            endpoint_arn,
            generation,
            lambda record: Change(
                EndpointStatus.IN_SERVICE, {**record.row.document, "serving": record.desired.document()}
            ),
        )

    def fail(self, endpoint_arn: str, generation: int, reason: str) -> None:
        """Note that what was asked for cannot serve: the endpoint goes on with what it had, or fails."""

        def decide(record: EndpointRecord) -> Change:
            document = {**record.row.document, "failureMessage": reason}
            if record.serving is None:
                return Change(EndpointStatus.FAILED, document)
            return Change(EndpointStatus.IN_SERVICE, {**document, "desired": record.serving.document()})

        self._settle(endpoint_arn, generation, decide)

    def remove(self, endpoint_arn: str) -> bool:
        """Forget an endpoint with its tags; whether it was there."""
        with self._store.transaction():
            self._store.tags.clear(endpoint_arn)
            return self._store.resources.remove(endpoint_arn)

    def find(self, region: str, name: str, *, kind: str = KIND) -> EndpointRecord | None:
        """Raises Damaged."""
        row = self._store.resources.row_named(kind, region, name)
        if row is None:
            self._read.pop((kind, region, name), None)
            return None
        known = self._read.get((kind, region, name))
        if known is None or known[0] != row:  # a request asks each time, and a row seldom changes
            known = self._read[kind, region, name] = (row, record_of(self._store.resources.whole(row)))
        return known[1]

    def get(self, endpoint_arn: str) -> EndpointRecord | None:
        """Raises Damaged."""
        row = self._store.resources.get(endpoint_arn)
        return None if row is None else record_of(row)

    def all(self) -> Iterator[EndpointRecord]:
        """Every endpoint and every component that can be read."""
        for kind in _KINDS:
            for row in self._store.resources.all(kind):
                with suppress(Damaged):  # it is told by whoever asks for it, and made Failed
                    yield record_of(row)

    def components(self, region: str, endpoint: str) -> list[EndpointRecord]:
        """The components of an endpoint, oldest first."""
        rows = self._store.references.naming(COMPONENT, ["endpointName"], endpoint)
        return [record_of(row) for row in rows if row.region == region]

    def watch(self) -> ChangeWatch:
        """Tells a loop whether anything may have changed since it last looked."""
        return ChangeWatch(self._store.engine)

    def _settle(self, endpoint_arn: str, generation: int, decide: Callable[[EndpointRecord], Change]) -> None:
        def settled(row: Resource) -> Change | None:
            record = record_of(row)
            if record.generation != generation or record.status not in IN_CHANGE:
                return None
            made = decide(record)
            then = EndpointStatus(str(made.status))
            if then not in LIFECYCLE.following(record.status):
                LIFECYCLE.check(endpoint_arn, record.status, then)
            return made

        with suppress(NotFound):  # it was deleted meanwhile
            change(self._store.resources, endpoint_arn, at=self._clock.now(), decide=settled)


def record_of(row: Resource) -> EndpointRecord:
    """An endpoint's record, read. Raises Damaged."""
    with understood(row.arn):
        document: dict[str, Any] = row.document
        serving = document["serving"]
        return EndpointRecord(
            row=row,
            generation=int(document["generation"]),
            serving=None if serving is None else EndpointPlan.from_document(serving),
            desired=EndpointPlan.from_document(document["desired"]),
            failure=document["failureMessage"],
        )


def with_capacities(plan: EndpointPlan, counts: dict[str, int], weights: dict[str, float]) -> EndpointPlan:
    """The plan with other numbers of copies and other weights, by variant."""
    variants = []
    for variant in plan.variants:
        fleet = variant.fleet
        if fleet is not None and variant.name in counts:
            fleet = replace(fleet, num_copies=counts[variant.name])
        variants.append(replace(variant, fleet=fleet, weight=weights.get(variant.name, variant.weight)))
    return replace(plan, variants=tuple(variants))
