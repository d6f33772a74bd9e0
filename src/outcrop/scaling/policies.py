"""Scaling policies put and deleted, with the alarms that drive them; and the alarms that ask for one.

A policy that tracks a target gets two alarms of its own, made anew at each change and deleted with it. One of steps is
driven by whichever alarms name it.
"""

import logging
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from outcrop import arn as arns
from outcrop.alarms.alarms import Alarms, actions_of
from outcrop.clock import Clock
from outcrop.errors import Invalid, NotFound
from outcrop.loops import contained
from outcrop.scaling import stepping, tracking
from outcrop.scaling.records import POLICY, TRACKING, ScalingPolicy, ScalingRecords
from outcrop.scaling.target_id import TargetId
from outcrop.scaling.tracking import HIGH, LOW, TrackingRule
from outcrop.scaling.triggers import Triggers
from outcrop.store.resources import Resource

_MADE_FOR = ":createdBy/"
"Between the ARN of a policy and an id of the alarms made for it, in their actions."
_PREFIX = "TargetTracking-"
_log = logging.getLogger("outcrop.scaling")


class ScalingPolicies:
    """The policies of an installation, in every region."""

    def __init__(self, records: ScalingRecords, triggers: Triggers, alarms: Alarms, clock: Clock) -> None:
        self._records = records
        self._triggers = triggers
        self._alarms = alarms
        self._clock = clock

    def put(
        self, target: TargetId, name: str, kind: str, configuration: Mapping[str, Any], *, region: str
    ) -> ScalingPolicy:
        """Make a policy, or give the one of that name another configuration. Raises NotFound, Invalid."""
        rule = tracking.read(configuration, target) if kind == TRACKING else stepping.read(configuration)
        with self._records.store.transaction():
            self._records.target(target, region=region)
            found = self._records.find(POLICY, target, name, region=region)
            before = found.document if found is not None else {}
            if before.get("type", kind) != kind:
                raise Invalid(
                    f"PolicyType: {name} is a {before['type']} policy. Delete it first, or choose another name."
                )
            if isinstance(rule, TrackingRule):
                self._check_alone(target, name, rule, region)
            # Cooldowns go on: another configuration does not undo what was scaled a minute ago.
            document = {**before, "name": name, "type": kind, "configuration": dict(configuration), "alarms": []}
            row = self._records.put(POLICY, target, document, name=name, region=region, at=self._clock.now())
            self._forget_alarms(row.arn, region)
            if isinstance(rule, TrackingRule):
                names = [self._make_alarm(row, target, rule, which) for which in (HIGH, LOW)]
                row = self._records.note(row, at=self._clock.now(), alarms=names)
        return ScalingPolicy.of(row)

    def delete(self, target: TargetId, name: str, *, region: str) -> None:
        """Forget a policy and the alarms made for it. Raises NotFound."""
        with self._records.store.transaction():
            arn = self._records.remove(POLICY, target, name, region=region)
            if arn is None:
                raise NotFound(f"No scaling policy found for {target}, policy name: {name}")
            self._forget_alarms(arn, region)

    def alarms_by_policy(self, region: str) -> dict[str, list[str]]:
        """Names of the alarms of a region that have a policy among their actions, by the policy's ARN."""
        found: dict[str, list[str]] = {}
        for alarm in self._alarms.of_region(region):
            for arn in {policy_named(action, alarm) for action in actions_of(alarm)} - {None}:
                found.setdefault(str(arn), []).append(alarm.name or "")
        return found

    def take(self, action: str, alarm: Resource) -> bool:
        """Whether an alarm's action names a policy of this room, which will answer it at the next turn."""
        arn, policy = policy_named(action, alarm), None
        if arn is None:
            return False
        with contained(_log, arn):  # a policy that cannot be read answers nothing, and keeps no alarm from its state
            policy = self._records.policy(arn)
        if policy is not None:
            self._triggers.add(arn, alarm.arn, alarm.status)
        return policy is not None

    def _check_alone(self, target: TargetId, name: str, rule: TrackingRule, region: str) -> None:
        for other in self._records.policies(region, target):
            if other.name != name and isinstance(other.rule, TrackingRule) and other.rule.metric == rule.metric:
                raise Invalid("Only one TargetTrackingScaling policy for a given metric specification is allowed.")

    def _make_alarm(self, row: Resource, target: TargetId, rule: TrackingRule, which: str) -> str:
        action = f"{row.arn}{_MADE_FOR}{row.arn.split(':')[6]}"
        name = f"{_PREFIX}{target.resource_id}-{which}-{uuid4()}"
        described = f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {action}."
        members = {**rule.alarm(which), "AlarmActions": [action], "AlarmDescription": described}
        self._alarms.put(name, members, region=row.region, tags={})
        return name

    def _forget_alarms(self, policy: str, region: str) -> None:
        """Delete the alarms made for a policy; they are found by their actions, whatever its record says."""
        self._alarms.delete(
            [
                alarm.name or ""
                for alarm in self._alarms.of_region(region)
                if (alarm.name or "").startswith(_PREFIX)
                and any(action.startswith(f"{policy}{_MADE_FOR}") for action in actions_of(alarm))
            ],
            region=region,
        )


def policy_named(action: str, alarm: Resource) -> str | None:
    """The ARN of the policy in an alarm's action; None where it is none of the alarm's region."""
    arn = action.partition(_MADE_FOR)[0]
    parsed = arns.parse(arn)
    return arn if parsed is not None and (parsed.service, parsed.region) == ("autoscaling", alarm.region) else None
