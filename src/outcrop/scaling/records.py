"""Scalable targets, their policies and scheduled actions, on record.

Each is a resource of its own; a policy or an action names its target, and goes when its target does. Rows that cannot
be read are left out, and Failed (`outcrop.store.damage`); who puts the same thing again mends them.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

from outcrop import arn as arns
from outcrop.clock import Clock
from outcrop.errors import NotFound, QuotaExceeded
from outcrop.loops import each
from outcrop.scaling import schedules, stepping, target_id, tracking
from outcrop.scaling.schedules import ActionSchedule
from outcrop.scaling.stepping import SteppingRule
from outcrop.scaling.target_id import NAMESPACE, TargetId
from outcrop.scaling.tracking import TrackingRule
from outcrop.store.changing import Change, change
from outcrop.store.damage import FAILED, understood
from outcrop.store.resources import Resource
from outcrop.store.store import Store

TARGET, POLICY, ACTION = "scalable-target", "scaling-policy", "scheduled-action"
ACTIVE = "Active"
MOST = {TARGET: 3000, POLICY: 50, ACTION: 200}
"Targets of a region, policies and actions of a target: AWS's quotas."
TRACKING, STEPPING = "TargetTrackingScaling", "StepScaling"
CONFIGURATIONS = {
    TRACKING: "TargetTrackingScalingPolicyConfiguration",
    STEPPING: "StepScalingPolicyConfiguration",
}
"Types of policies, and the member that configures each."
_Read = TypeVar("_Read")
_log = logging.getLogger("outcrop.scaling")


@dataclass(frozen=True, kw_only=True)
class RegisteredTarget:
    """A scalable target: the bounds of its capacity, and what is suspended."""

    row: Resource
    id: TargetId
    least: int
    most: int
    suspended: Mapping[str, bool]
    is_bounded: bool
    "Whether the capacity was moved into these bounds."
    answered: datetime | None
    "When alarms were last answered."
    not_scaled: str | None
    "The reason why nothing was scaled then."

    @classmethod
    def of(cls, row: Resource) -> "RegisteredTarget":
        with understood(row.arn):
            document = row.document
            return cls(
                row=row,
                id=target_id.read(*document["target"]),
                least=int(document["least"]),
                most=int(document["most"]),
                suspended=dict(document["suspended"]),
                is_bounded=bool(document["bounded"]),
                answered=_moment(document.get("answered")),
                not_scaled=document.get("notScaled"),
            )


@dataclass(frozen=True, kw_only=True)
class ScaledOut:
    """The last time that a policy scaled out, and the capacity before."""

    at: datetime
    base: int


@dataclass(frozen=True, kw_only=True)
class ScalingPolicy:
    """A policy of a target, its rule, and when it last scaled."""

    row: Resource
    id: TargetId
    name: str
    kind: str
    rule: TrackingRule | SteppingRule
    alarms: tuple[str, ...]
    "Names of the alarms that were made for it: the one above its target, the one below."
    scaled_out: ScaledOut | None
    scaled_in: datetime | None

    @property
    def arn(self) -> str:
        return self.row.arn

    @classmethod
    def of(cls, row: Resource) -> "ScalingPolicy":
        with understood(row.arn):
            document = row.document
            target, kind = target_id.read(*document["target"]), str(document["type"])
            configuration, out = document["configuration"], document.get("scaledOut")
            return cls(
                row=row,
                id=target,
                name=str(document["name"]),
                kind=kind,
                rule=tracking.read(configuration, target) if kind == TRACKING else stepping.read(configuration),
                alarms=tuple(document["alarms"]),
                scaled_out=out and ScaledOut(at=datetime.fromisoformat(out["at"]), base=int(out["base"])),
                scaled_in=_moment(document.get("scaledIn")),
            )


@dataclass(frozen=True, kw_only=True)
class ScheduledAction:
    """A change of a target's bounds at moments to come."""

    row: Resource
    id: TargetId
    name: str
    schedule: str
    timezone: str | None
    bounds: Mapping[str, int]
    begins: datetime | None
    ends: datetime | None
    due: datetime | None
    "Its next run; None after the last."
    moments: ActionSchedule

    @classmethod
    def of(cls, row: Resource) -> "ScheduledAction":
        with understood(row.arn):
            document = row.document
            schedule, timezone = str(document["schedule"]), document["timezone"]
            return cls(
                row=row,
                id=target_id.read(*document["target"]),
                name=str(document["name"]),
                schedule=schedule,
                timezone=timezone,
                bounds=dict(document["bounds"]),
                begins=_moment(document["begins"]),
                ends=_moment(document["ends"]),
                due=_moment(document["due"]),
                moments=schedules.read(schedule, timezone, begins=datetime.fromisoformat(document["since"])),
            )


class ScalingRecords:
    """The targets, policies and scheduled actions of an installation, in every region."""

    def __init__(self, store: Store, clock: Clock, account: str) -> None:
        self.store = store
        self._clock = clock
        self._account = account

    def targets(self, region: str | None = None) -> list[RegisteredTarget]:
        """Every target, or those of a region, in the order of their resources."""
        found = self._read(RegisteredTarget.of, self._rows(TARGET, region))
        return sorted(found, key=lambda target: (target.id.key, target.row.region))

    def policies(self, region: str | None, target: TargetId | None = None) -> list[ScalingPolicy]:
        """All policies, or those of a region, or of a target there, by target and name."""
        found = self._read(ScalingPolicy.of, self._rows(POLICY, region, target))
        return sorted(found, key=lambda policy: (policy.id.key, policy.name))

    def actions(self, region: str | None, target: TargetId | None = None) -> list[ScheduledAction]:
        """All scheduled actions, or those of a region, or of a target there, by target and name."""
        found = self._read(ScheduledAction.of, self._rows(ACTION, region, target))
        return sorted(found, key=lambda action: (action.id.key, action.name))

    def target(self, target: TargetId, *, region: str) -> RegisteredTarget:
        """Raises NotFound where it is not registered."""
        row = self.find(TARGET, target, region=region)
        if row is None:
            raise NotFound(f"No scalable target registered for {target}")
        return RegisteredTarget.of(row)

    def policy(self, arn: str) -> ScalingPolicy | None:
        """The policy with this ARN."""
        row = self.store.resources.get(arn)
        return ScalingPolicy.of(row) if row is not None and (row.kind, row.status) == (POLICY, ACTIVE) else None

    def find(self, kind: str, target: TargetId, name: str = "", *, region: str) -> Resource | None:
        """The row of a target, or of its policy or action of a name; None where it is damaged."""
        row = self.store.resources.find(kind, region, _name(target, name))
        return row if row is not None and row.status == ACTIVE else None

    def put(
        self, kind: str, target: TargetId, document: Mapping[str, Any], *, region: str, at: datetime, name: str = ""
    ) -> Resource:
        """Make a row of a target, or give the one of that name another document. Raises QuotaExceeded."""
        full, key = {**document, "target": list(target)}, _name(target, name)
        with self.store.transaction():
            found = self.store.resources.find(kind, region, key)
            if found is not None and found.status == ACTIVE:
                return self.store.resources.replace(found, at=at, document=full)
            if found is not None:  # a damaged one, which was marked as Failed
                self.store.resources.remove(found.arn)
            others = self._rows(kind, region, None if kind == TARGET else target)
            if len(others) >= MOST[kind]:
                raise QuotaExceeded(
                    f"There are {MOST[kind]:,} of {kind} already, as many as there may be. Delete some."
                )
            arn = found.arn if found is not None else self._new_arn(kind, target, name, region)
            row = Resource(
                arn=arn, kind=kind, region=region, name=key, status=ACTIVE, created=at, updated=at, document=full
            )
            return self.store.resources.add(row)

    def note(self, row: Resource, *, at: datetime, **members: Any) -> Resource:
        """Write members of a row's document as they are now, whatever else was changed meanwhile. Raises NotFound."""
        return change(
            self.store.resources,
            row.arn,
            at=at,
            decide=lambda now: Change(document={**now.document, **members}),
        )

    def remove(self, kind: str, target: TargetId, name: str = "", *, region: str) -> str | None:
        """Forget a row, damaged or not; returns its ARN, or None where there was none."""
        with self.store.transaction():
            row = self.store.resources.row_named(kind, region, _name(target, name))
            if row is None:
                return None
            self.store.resources.remove(row.arn)
            self.store.tags.clear(row.arn)
            return row.arn

    def names(self, kind: str, target: TargetId, *, region: str) -> list[str]:
        """Names of the policies or actions of a target, damaged ones too."""
        rows = self._rows(kind, region, target, states=(ACTIVE, FAILED))
        return [(row.name or "").removeprefix(f"{target.key} ") for row in rows]

    def _read(self, of: Callable[[Resource], _Read], rows: list[Resource]) -> list[_Read]:
        """The rows, understood; one that cannot be is Failed, and logged once for it."""

        def fail(row: Resource) -> None:
            self.store.resources.fail(row.arn, at=self._clock.now())

        return each(rows, of, log=_log, name=lambda row: row.arn, broken=fail)

    def _rows(
        self, kind: str, region: str | None, target: TargetId | None = None, *, states: Collection[str] = (ACTIVE,)
    ) -> list[Resource]:
        found = self.store.resources.in_states(kind, states)
        prefix = None if target is None else _name(target, "") + " "
        return [
            row
            for row in found
            if region in (None, row.region) and (prefix is None or (row.name or "").startswith(prefix))
        ]

    def _new_arn(self, kind: str, target: TargetId, name: str, region: str) -> str:
        def arn(service: str, resource: str) -> str:
            return str(arns.Arn(service=service, region=region, account=self._account, resource=resource))

        if kind == TARGET:
            return arn("application-autoscaling", f"scalable-target/{arns.new_id(36)}")
        word, named = ("scalingPolicy", "policyName") if kind == POLICY else ("scheduledAction", "scheduledActionName")
        return arn("autoscaling", f"{word}:{uuid4()}:resource/{NAMESPACE}/{target.resource_id}:{named}/{name}")


def _name(target: TargetId, name: str) -> str:
    return f"{target.key} {name}" if name else target.key


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
