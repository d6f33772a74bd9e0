"""The loop that scales: what alarms, schedules and bounds ask for is set, and followed until it is there.

`turn` does what is due by the clock of the house. All that it knows is on record, so another process goes on where this
one ended. An alarm asks when it goes off, and once a minute while it lasts, as CloudWatch has it.

1. Activities on the way are followed; one whose resource was being changed, and could not be set, is tried again.
2. Scheduled actions that are due change bounds. Of runs that were missed, the last one counts.
3. A capacity outside of new bounds is moved into them.
4. Else what the policies ask for is chosen from (`outcrop.scaling.choosing`).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from outcrop import logs
from outcrop.errors import Conflict, NotFound, NotReady, Refusal, Throttled
from outcrop.loops import contained, each
from outcrop.scaling.activities import ActivityStatus, ScalingActivity, begun, not_scaled
from outcrop.scaling.choosing import CapacityBounds, ScalingProposal, choose, overruled, within_machine
from outcrop.scaling.policies import policy_named
from outcrop.scaling.records import TARGET, RegisteredTarget, ScalingPolicy, ScheduledAction
from outcrop.scaling.resources import Capacity
from outcrop.scaling.scaling import Scaling
from outcrop.scaling.stepping import SteppingRule
from outcrop.scaling.target_id import NAMESPACE, TargetId
from outcrop.scaling.tracking import TrackingRule
from outcrop.scaling.triggers import PolicyTrigger
from outcrop.store.changing import Change, change
from outcrop.store.resources import Resource

ASKED_AGAIN = timedelta(seconds=60)
"So often an alarm that lasts asks again."
PATIENCE = timedelta(hours=1)
"So long an activity may take."
_LATER = (Conflict, NotReady, Throttled)
_Owned = TypeVar("_Owned", ScheduledAction, ScalingPolicy)
_log = logging.getLogger("outcrop.scaling")


@dataclass
class _Asking:
    """The alarms that ask for one policy."""

    alarms: dict[str, Resource] = field(default_factory=dict)
    is_new: bool = False
    "Whether one of them has gone off since the last turn."


@dataclass(frozen=True)
class _Due:
    """Records of one turn, read once for all targets; lists by region and target."""

    actions: Mapping[tuple[str, TargetId], Sequence[ScheduledAction]]
    policies: Mapping[tuple[str, TargetId], Sequence[ScalingPolicy]]
    asking: Mapping[str, _Asking]


class Scaler:
    """The scaling of an installation: `turn` now and then, in one process."""

    def __init__(self, scaling: Scaling) -> None:
        self._records = scaling.records
        self._activities = scaling.activities
        self._triggers = scaling.triggers
        self._alarms = scaling.alarms
        self._resources = scaling.resources
        self._clock = scaling.clock
        self._scaling = scaling

    def turn(self) -> None:
        """Do all that is due."""
        with contained(_log, "following activities"):
            each(self._activities.open(), self._follow, log=_log, name=lambda activity: f"activity {activity.id}")
        targets, waiting = self._records.targets(), self._triggers.waiting()
        if targets:
            due = _Due(
                actions=_by_target(self._records.actions(None)),
                policies=_by_target(self._records.policies(None)),
                asking=self._asking(waiting),
            )
            each(targets, lambda target: self._settle(target, due), log=_log, name=lambda target: target.row.arn)
        if waiting:
            self._triggers.remove_until(waiting[-1].id)

    def _asking(self, waiting: Sequence[PolicyTrigger]) -> dict[str, _Asking]:
        """The alarms that ask for policies, by the policy's ARN."""
        found: dict[str, _Asking] = {}
        for action, alarm in self._alarms.acting():
            arn = policy_named(action, alarm)
            if arn is not None:
                found.setdefault(arn, _Asking()).alarms[alarm.arn] = alarm

        def add(trigger: PolicyTrigger) -> None:
            alarm = self._records.store.resources.get(trigger.alarm)
            if alarm is not None:
                asked = found.setdefault(trigger.policy, _Asking())
                # It has gone off, also where it is well again by now.
                asked.alarms[alarm.arn], asked.is_new = replace(alarm, status=trigger.state), True

        each(waiting, add, log=_log, name=lambda trigger: trigger.alarm)
        return found

    def _follow(self, activity: ScalingActivity) -> None:
        region, count = activity.region, activity.count
        assert count is not None, "an open activity sets a capacity"
        capacity = self._resources.find(activity.target, region=region)
        if capacity is None:
            self._fail(activity, "The resource is no more.")
        elif activity.status is ActivityStatus.PENDING:
            if self._records.find(TARGET, activity.target, region=region) is None:
                self._fail(activity, "The scalable target was deregistered.")
            else:
                self._set(activity)
        elif capacity.desired != count:
            self._end(activity, ActivityStatus.OVERRIDDEN, f"Found it was later changed to {capacity.desired}.")
        elif capacity.current == count:
            self._end(activity, ActivityStatus.SUCCESSFUL, f"Change successfully fulfilled by {NAMESPACE}.")
        elif self._clock.now() - activity.began > PATIENCE:
            told = f"There are {capacity.current} after {PATIENCE.total_seconds() / 60:.0f} minutes."
            self._end(activity, ActivityStatus.UNFULFILLED, told)

    def _settle(self, target: RegisteredTarget, due: _Due) -> None:
        region, own = target.row.region, (target.row.region, target.id)
        capacity = self._resources.find(target.id, region=region)
        try:
            if capacity is None:
                logs.tell(_log, "what was scaled is no more", target=target.row.arn, resource=target.id.resource_id)
                self._scaling.deregister(target.id, region=region)
                return
            target = self._run_actions(target, due.actions.get(own, ()))
            if not self._hold_bounds(target, capacity):
                self._answer_alarms(target, due.policies.get(own, ()), capacity, due.asking)
        except NotFound:
            _log.info("%s: deregistered or changed meanwhile", target.row.arn)

    def _run_actions(self, target: RegisteredTarget, actions: Sequence[ScheduledAction]) -> RegisteredTarget:
        """The target after the scheduled actions that are due, in the order in which they would have run."""
        now = self._clock.now()
        due = [
            (action.moments.last_until(action.due, now if action.ends is None else min(now, action.ends)), action)
            for action in actions
            if action.due is not None and action.due <= now
        ]
        for _, action in sorted(due, key=lambda run: (run[0], run[1].name)):
            target = self._run_action(target, action, now)
        return target

    def _run_action(self, target: RegisteredTarget, action: ScheduledAction, now: datetime) -> RegisteredTarget:
        following = action.moments.next_after(now)
        if following is not None and action.ends is not None and following > action.ends:
            following = None
        with self._records.store.transaction():
            target = self._records.target(target.id, region=target.row.region)  # as it is by now
            bounds = {"least": target.least, "most": target.most, **action.bounds}
            self._records.note(action.row, at=now, due=following and following.isoformat())
            if target.suspended.get("ScheduledScalingSuspended"):
                return target
            if bounds["least"] > bounds["most"]:
                cause = f"scheduled action {action.name} was due"
                failed = begun(target.id, target.row.region, bounds["least"], cause=cause, base=0, at=now)
                self._activities.add(failed)
                self._fail(failed, "Maximum capacity cannot be less than minimum capacity")
                return target
            return RegisteredTarget.of(self._records.note(target.row, at=now, **bounds, bounded=False))

    def _hold_bounds(self, target: RegisteredTarget, capacity: Capacity) -> bool:
        """Move the capacity into new bounds; whether it was moved."""
        if target.is_bounded:
            return False
        wanted = max(target.least, min(capacity.desired, target.most))
        if wanted > capacity.desired:
            self._begin_bounded(target, wanted, capacity, f"minimum capacity was set to {target.least}")
        elif wanted < capacity.desired:
            self._begin_bounded(target, wanted, capacity, f"maximum capacity was set to {target.most}")
        change(self._records.store.resources, target.row.arn, at=self._clock.now(), decide=_bounded(target))
        return wanted != capacity.desired

    def _begin_bounded(self, target: RegisteredTarget, wanted: int, capacity: Capacity, cause: str) -> None:
        now, region, base = self._clock.now(), target.row.region, capacity.desired
        count = within_machine(wanted, capacity) if wanted > base else wanted
        if wanted > base >= count:
            activity = begun(target.id, region, wanted, cause=cause, base=base, at=now)
            self._activities.add(activity)
            self._fail(activity, f"This machine allows {capacity.most}.")
        else:
            activity = begun(target.id, region, count, cause=cause, base=base, at=now)
            self._begin(target, replace(activity, details=overruled(wanted, count)))

    def _answer_alarms(
        self,
        target: RegisteredTarget,
        policies: Sequence[ScalingPolicy],
        capacity: Capacity,
        asking: Mapping[str, _Asking],
    ) -> None:
        now, region = self._clock.now(), target.row.region
        asked = [policy.arn for policy in policies if policy.arn in asking]
        if not asked or not (any(asking[arn].is_new for arn in asked) or _is_due(target, now)):
            return
        bounds = CapacityBounds(
            target.least,
            target.most,
            target.suspended.get("DynamicScalingOutSuspended", False),
            target.suspended.get("DynamicScalingInSuspended", False),
        )
        choice = choose(self._proposals(policies, capacity, asking, now), capacity, bounds)
        told = target.not_scaled
        if choice is not None and choice.set_to is not None:
            activity = begun(
                target.id, region, choice.set_to, cause=choice.proposal.cause, base=choice.proposal.base, at=now
            )
            self._begin(target, replace(activity, policy=choice.proposal.policy, details=choice.overruled))
            told = None
        elif choice is not None and choice.reason is not None and choice.reason["Code"] != told:
            # Said once: an idle target is asked to become smaller every minute.
            told = choice.reason["Code"]
            self._activities.add(not_scaled(target.id, region, choice.reason, cause=choice.proposal.cause, at=now))
        self._records.note(target.row, at=now, answered=now.isoformat(), notScaled=told)

    def _proposals(
        self, policies: Sequence[ScalingPolicy], capacity: Capacity, asking: Mapping[str, _Asking], now: datetime
    ) -> list[ScalingProposal]:
        found: list[ScalingProposal | None] = []
        smaller: list[ScalingProposal | None] = []
        for policy in policies:
            for alarm in asking[policy.arn].alarms.values() if policy.arn in asking else ():
                if isinstance(policy.rule, SteppingRule):
                    found.append(self._stepped(policy, policy.rule, alarm, capacity, now))
                elif alarm.name == policy.alarms[0]:
                    found.append(self._above(policy, policy.rule, alarm, capacity, now))
                elif alarm.name == policy.alarms[1] and policy.rule.scales_in:
                    smaller.append(self._below(policy, policy.rule, alarm, capacity, now))
        # Whoever tracks a target and is not for less, because its metric is not low or has no data, is against it.
        asked = sum(isinstance(policy.rule, TrackingRule) and policy.rule.scales_in for policy in policies)
        agreed = [each for each in smaller if each is not None]
        return [*(each for each in found if each is not None), *(agreed if len(agreed) == asked else ())]

    def _above(
        self, policy: ScalingPolicy, rule: TrackingRule, alarm: Resource, capacity: Capacity, now: datetime
    ) -> ScalingProposal | None:
        base = _base(policy, rule.out_cooldown_s, now)
        serving = capacity.current if base is None else base
        wanted = rule.wanted_above(self._alarms.watched(alarm).values, serving)
        if wanted is not None and (base is None or wanted > capacity.desired):
            # More than the target, and yet no more than is there or comes: nothing is taken away for it.
            return ScalingProposal(max(wanted, capacity.desired), serving, policy.arn, _cause(alarm, policy))
        return None

    def _below(
        self, policy: ScalingPolicy, rule: TrackingRule, alarm: Resource, capacity: Capacity, now: datetime
    ) -> ScalingProposal | None:
        if _is_cooling(policy.scaled_in, rule.in_cooldown_s, now):
            return None
        wanted = rule.wanted_below(self._alarms.watched(alarm).values, min(capacity.current, capacity.desired))
        if wanted is None:
            return None
        return ScalingProposal(min(wanted, capacity.desired), capacity.desired, policy.arn, _cause(alarm, policy))

    def _stepped(
        self, policy: ScalingPolicy, rule: SteppingRule, alarm: Resource, capacity: Capacity, now: datetime
    ) -> ScalingProposal | None:
        watched = self._alarms.watched(alarm)
        distance = rule.distance(watched.values, watched.rule.threshold)
        base, desired = capacity.desired, capacity.desired
        wanted = rule.wanted(distance, base)
        if wanted is not None and wanted > desired and (before := _base(policy, rule.cooldown_s, now)) is not None:
            # What was added already counts: a larger step adds only what is missing.
            base, wanted = before, rule.wanted(distance, before)
            wanted = wanted if wanted is not None and wanted > desired else None
        if wanted is not None and wanted < desired:
            wanted = None if _is_cooling(policy.scaled_in, rule.cooldown_s, now) else wanted
        return None if wanted is None else ScalingProposal(wanted, base, policy.arn, _cause(alarm, policy))

    def _begin(self, target: RegisteredTarget, activity: ScalingActivity) -> None:
        """Set a capacity, in place of what is on its way to another."""
        for other in self._activities.open():
            if (other.target, other.region) == (activity.target, activity.region):
                if other.count == activity.count:
                    return
                said = f"Found it was later changed to {activity.count}."
                self._end(other, ActivityStatus.OVERRIDDEN, said)
        self._activities.add(activity)
        logs.tell(_log, "scaling", target=target.row.arn, count=activity.count, cause=activity.cause)
        self._set(activity)

    def _set(self, activity: ScalingActivity) -> None:
        """Set the capacity of an activity that is Pending; a resource that cannot take it now is asked again."""
        count = activity.count
        assert count is not None, "an activity that is begun sets a capacity"
        try:
            self._resources.set_desired(activity.target, count, region=activity.region)
        except _LATER as refused:
            message = f"Waiting to set {activity.target.counted} to {count}. Reason: {refused.message}"
            if self._clock.now() - activity.began > PATIENCE:
                self._fail(activity, refused.message)
            elif message != activity.message:
                self._activities.update(activity, ActivityStatus.PENDING, message)
        except Refusal as refused:
            self._fail(activity, refused.message)
        else:
            message = f"{_set_to(activity)} Waiting for change to be fulfilled by {NAMESPACE}."
            with self._records.store.transaction():
                self._activities.update(activity, ActivityStatus.IN_PROGRESS, message)
                self._cool(activity)

    def _cool(self, activity: ScalingActivity) -> None:
        """Begin the cooldown of the policy that asked for an activity."""
        row = self._records.store.resources.get(activity.policy) if activity.policy else None
        if row is None:
            return
        now = self._clock.now()
        if (activity.count or 0) > activity.base:
            # To scale out ends the cooldown of scaling in, as AWS has it.
            self._records.note(row, at=now, scaledOut={"at": now.isoformat(), "base": activity.base}, scaledIn=None)
        else:
            self._records.note(row, at=now, scaledIn=now.isoformat())

    def _fail(self, activity: ScalingActivity, reason: str) -> None:
        message = f"Failed to set {activity.target.counted} to {activity.count}. Reason: {reason}"
        self._activities.update(activity, ActivityStatus.FAILED, message, at=self._clock.now())

    def _end(self, activity: ScalingActivity, status: ActivityStatus, said: str) -> None:
        was_set = activity.status is ActivityStatus.IN_PROGRESS
        message = f"{_set_to(activity)} {said}" if was_set else said
        self._activities.update(activity, status, message, at=self._clock.now())


def _set_to(activity: ScalingActivity) -> str:
    return f"Successfully set {activity.target.counted} to {activity.count}."


def _cause(alarm: Resource, policy: ScalingPolicy) -> str:
    return f"monitor alarm {alarm.name} in state {alarm.status} triggered policy {policy.name}"


def _by_target(rows: Sequence[_Owned]) -> dict[tuple[str, TargetId], list[_Owned]]:
    found: dict[tuple[str, TargetId], list[_Owned]] = {}
    for row in rows:
        found.setdefault((row.row.region, row.id), []).append(row)
    return found


def _bounded(target: RegisteredTarget) -> Callable[[Resource], Change | None]:
    """Let a target's bounds be met, unless they are others by now."""

    def decide(row: Resource) -> Change | None:
        same = (row.document["least"], row.document["most"]) == (target.least, target.most)
        return Change(document={**row.document, "bounded": True}) if same else None

    return decide


def _is_due(target: RegisteredTarget, now: datetime) -> bool:
    """Whether alarms that last ask again; a clock that was set back asks at once."""
    return target.answered is None or not timedelta() <= now - target.answered < ASKED_AGAIN


def _is_cooling(scaled: datetime | None, cooldown_s: int, now: datetime) -> bool:
    """Whether a cooldown lasts; a clock that was set back behind its beginning ends it."""
    return scaled is not None and timedelta() <= now - scaled < timedelta(seconds=cooldown_s)


def _base(policy: ScalingPolicy, cooldown_s: int, now: datetime) -> int | None:
    """The capacity before the policy last scaled out, while that is cooling down; else None."""
    scaled = policy.scaled_out
    return scaled.base if scaled is not None and _is_cooling(scaled.at, cooldown_s, now) else None
