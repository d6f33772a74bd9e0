"""Scalable targets and scheduled actions as requests make, change and remove them; and what all of this room has.

scaling = Scaling(store, alarms, resources, clock, account)
scaling.register(target, {"least": 1, "most": 4}, {}, region="us-east-1", tags={})
Scaler(scaling).turn()          # every few seconds: what is due is scaled
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from outcrop.alarms.alarms import Alarms
from outcrop.clock import Clock
from outcrop.errors import Invalid, NotFound
from outcrop.scaling import schedules
from outcrop.scaling.activities import KEPT, Activities
from outcrop.scaling.policies import ScalingPolicies
from outcrop.scaling.records import ACTION, POLICY, TARGET, ScalingRecords
from outcrop.scaling.resources import Capacity, ScalableResources
from outcrop.scaling.target_id import Dimension, TargetId
from outcrop.scaling.triggers import Triggers
from outcrop.store.store import Store

_MOMENT = timedelta(microseconds=1)
_KIND_WORDS = {Dimension.INSTANCES: "SageMaker endpoint variant", Dimension.COPIES: "SageMaker inference component"}
_BOUNDS = {"least": "MinCapacity", "most": "MaxCapacity"}
_DIRECTIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


class Scaling:
    """The scalable targets of an installation, with their policies, scheduled actions and activities."""

    def __init__(self, store: Store, alarms: Alarms, resources: ScalableResources, clock: Clock, account: str) -> None:
        self.store = store
        self.alarms = alarms
        self.resources = resources
        self.clock = clock
        self.records = ScalingRecords(store, clock, account)
        self.activities = Activities(store.engine)
        self.triggers = Triggers(store.engine)
        self.policies = ScalingPolicies(self.records, self.triggers, alarms, clock)

    def register(
        self,
        target: TargetId,
        bounds: Mapping[str, int],
        suspended: Mapping[str, bool],
        *,
        region: str,
        tags: Mapping[str, str],
    ) -> str:
        """Register a target, or change what is given of it; returns its ARN. Raises Invalid.

        `bounds`: `least` and `most`, both of them the first time.
        """
        capacity = self.resources.find(target, region=region)
        if capacity is None:
            raise Invalid(f"{_KIND_WORDS[target.dimension]} doesn't exist: {target.resource_id}")
        with self.store.transaction():
            found = self.records.find(TARGET, target, region=region)
            if found is not None and tags:
                raise Invalid(
                    "The scalable target that you tried to tag already exists. To update tags on an existing scalable"
                    " target, use the TagResource API."
                )
            before = found.document if found is not None else {"suspended": dict.fromkeys(_DIRECTIONS, False)}
            document = {**before, **bounds, "suspended": {**before["suspended"], **suspended}}
            _check_registered(document, capacity)
            changed = found is None or any(before[each] != document[each] for each in ("least", "most"))
            document["bounded"] = before.get("bounded", True) and not changed
            row = self.records.put(TARGET, target, document, region=region, at=self.clock.now())
            if found is None:
                self.store.tags.put(row.arn, tags)
        return row.arn

    def deregister(self, target: TargetId, *, region: str) -> None:
        """Forget a target with its policies and scheduled actions, but not its activities. Raises NotFound."""
        with self.store.transaction():
            if self.records.remove(TARGET, target, region=region) is None:
                raise NotFound(f"No scalable target found for {target}")
            for name in self.records.names(POLICY, target, region=region):
                self.policies.delete(target, name, region=region)
            for name in self.records.names(ACTION, target, region=region):
                self.records.remove(ACTION, target, name, region=region)

    def put_action(
        self,
        target: TargetId,
        name: str,
        *,
        schedule: str | None,
        timezone: str | None,
        bounds: Mapping[str, int],
        begins: datetime | None,
        ends: datetime | None,
        region: str,
    ) -> None:
        """Make a scheduled action, or change what is given of it, and its begin and end. Raises NotFound, Invalid."""
        now = self.clock.now()
        with self.store.transaction():
            self.records.target(target, region=region)
            found = self.records.find(ACTION, target, name, region=region)
            before = found.document if found is not None else {}
            text, zone = schedule or before.get("schedule"), timezone or (None if schedule else before.get("timezone"))
            kept = bounds or before.get("bounds")
            if not text:
                raise Invalid("Schedule: is not there. A new scheduled action needs one.")
            if not kept:
                raise Invalid("ScalableTargetAction: is not there, or empty. Give MinCapacity, MaxCapacity or both.")
            _check_bounds(kept)
            if begins is not None and ends is not None and begins >= ends:
                raise Invalid("EndTime: is not behind StartTime.")
            since = begins or now
            due = schedules.read(text, zone, begins=since).next_after(max(now, since - _MOMENT))
            if due is None or (ends is not None and due > ends):
                raise Invalid(f"Schedule: {text[:100]} has no run between now and its end. Choose a later one.")
            document = {
                "name": name,
                "schedule": text,
                "timezone": zone,
                "bounds": dict(kept),
                "begins": begins and begins.isoformat(),
                "ends": ends and ends.isoformat(),
                "since": since.isoformat(),
                "due": due.isoformat(),
            }
            self.records.put(ACTION, target, document, name=name, region=region, at=now)

    def delete_action(self, target: TargetId, name: str, *, region: str) -> None:
        """Raises NotFound."""
        if self.records.remove(ACTION, target, name, region=region) is None:
            raise NotFound(f"No scheduled action found for {target}, scheduled action name: {name}")

    def sweep(self) -> int:
        """Forget old activities; returns how many went."""
        return self.activities.remove_before(self.clock.now() - KEPT)


def _check_registered(document: Mapping[str, Any], capacity: Capacity) -> None:
    absent = [member for key, member in _BOUNDS.items() if key not in document]
    if absent:
        raise Invalid(f"{absent[0]}: is not there. A new scalable target needs MinCapacity and MaxCapacity.")
    _check_bounds({key: document[key] for key in _BOUNDS})
    if document["least"] == 0 and not capacity.may_be_zero:
        raise Invalid("MinCapacity: 0 is below the least value 1, because this resource cannot be scaled to zero.")


def _check_bounds(bounds: Mapping[str, int]) -> None:
    for key, member in _BOUNDS.items():
        if bounds.get(key, 0) < 0:
            raise Invalid(f"{member}: {bounds[key]} is below 0.")
    if "least" in bounds and "most" in bounds and bounds["least"] > bounds["most"]:
        raise Invalid("Maximum capacity cannot be less than minimum capacity")
