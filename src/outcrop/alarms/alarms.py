"""Metric alarms: kept on record, and evaluated over the points by the clock of the house.

    alarms = Alarms(store, points, clock, account)
    alarms.put("slow", {...members of PutMetricAlarm...}, region="us-east-1", tags={})
    alarms.turn()       # every ten seconds: alarms whose state changes are written, and returned

Only whole periods count, from 1970 on. Where a metric has several units and the alarm names none, the value that
breaches the threshold counts. An action that is due is offered to `takes_action`, then to `sends_action`; the history
says what became of each.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from outcrop import arn as arns
from outcrop import logs
from outcrop.alarms import rule as rules
from outcrop.alarms.evaluation import MORE_PERIODS, AlarmVerdict, PeriodValue, evaluate
from outcrop.alarms.history import AlarmHistory, HistoryItem, HistoryKind
from outcrop.alarms.rule import AlarmRule, AlarmState
from outcrop.clock import Clock
from outcrop.errors import NotFound, QuotaExceeded
from outcrop.loops import each
from outcrop.metrics.points import Points
from outcrop.metrics.series import interval
from outcrop.store.damage import understood
from outcrop.store.resources import Resource, Stale
from outcrop.store.store import Store

KIND = "metric-alarm"
MOST_ALARMS = 5000
"Of one region."
HISTORY_KEPT = timedelta(days=30)
_EVALUATED_EVERY_S = 60
_ACTIONS = {
    AlarmState.OK: "OKActions",
    AlarmState.ALARM: "AlarmActions",
    AlarmState.INSUFFICIENT_DATA: "InsufficientDataActions",
}
TakesAction = Callable[[str, Resource], bool]
"Whether somebody takes this action of an alarm upon itself; asked within the transaction that changes the alarm."
_log = logging.getLogger("outcrop.alarms")


class AlarmTransition(NamedTuple):
    """An alarm that went from one state to another, and the actions that are due."""

    alarm: Resource
    before: AlarmState
    after: AlarmState
    actions: Sequence[str]


class WatchedValues(NamedTuple):
    """The rule of an alarm, and the values of its last periods that have one, the oldest first."""

    rule: AlarmRule
    values: Sequence[float]


def _nobody(_action: str, _alarm: Resource) -> bool:
    return False


class Alarms:
    """The alarms of an installation, in every region. Safe in several threads and processes."""

    def __init__(
        self,
        store: Store,
        points: Points,
        clock: Clock,
        account: str,
        *,
        takes_action: TakesAction = _nobody,
        sends_action: TakesAction = _nobody,
    ) -> None:
        """`sends_action`: who takes an action upon itself to carry it out later, and then writes the history."""
        self._store = store
        self._points = points
        self._clock = clock
        self._account = account
        self._takes_action = takes_action
        self._sends_action = sends_action
        self._evaluated: dict[str, tuple[int, datetime]] = {}
        self.history = AlarmHistory(store.engine)

    def put(self, name: str, members: Mapping[str, Any], *, region: str, tags: Mapping[str, str]) -> None:
        """Make an alarm, or give the one of that name another configuration; its state stays. Raises Invalid."""
        rules.read(members)
        now = self._clock.now()
        with self._store.transaction():
            found = self._store.resources.find(KIND, region, name)
            if found is not None and found.status not in set(AlarmState):  # a damaged one, which was marked as Failed
                self._store.resources.remove(found.arn)
                found = None
            if found is None:
                if len(self.of_region(region)) >= MOST_ALARMS:
                    raise QuotaExceeded(f"There are {MOST_ALARMS:,} alarms in {region} already. Delete some first.")
                made = self._store.resources.add(self._made(name, members, region, now))
                self._store.tags.put(made.arn, tags)
            else:
                document = {**found.document, "members": dict(members), "configured": now.isoformat()}
                self._store.resources.replace(found, at=now, document=document)
            self._note_change(region, name, "created" if found is None else "updated")

    def find(self, name: str, *, region: str) -> Resource:
        """Raises NotFound."""
        found = self._store.resources.find(KIND, region, name)
        if found is None:
            raise NotFound(f"There is no alarm named {name[:255]}.")
        return found

    def of_region(self, region: str) -> list[Resource]:
        """The alarms of a region, by name."""
        found = self._store.resources.in_states(KIND, list(AlarmState))
        return sorted((alarm for alarm in found if alarm.region == region), key=lambda alarm: alarm.name or "")

    def delete(self, names: Sequence[str], *, region: str) -> None:
        """Forget alarms: all of them, or none. Raises NotFound."""
        with self._store.transaction():
            for name in dict.fromkeys(names):
                arn = self.find(name, region=region).arn
                self._store.resources.remove(arn)
                self._store.tags.clear(arn)
                self._note_change(region, name, "deleted")

    def enable_actions(self, names: Sequence[str], *, enabled: bool, region: str) -> None:
        """Let actions of alarms follow, or not. Names without an alarm are passed over, as CloudWatch does."""
        now = self._clock.now()
        with self._store.transaction():
            for name in dict.fromkeys(names):
                found = self._store.resources.find(KIND, region, name)
                if found is not None:
                    members = {**found.document["members"], "ActionsEnabled": enabled}
                    document = {**found.document, "members": members, "configured": now.isoformat()}
                    self._store.resources.replace(found, at=now, document=document)
                    self._note_change(region, name, "updated")

    def set_state(self, name: str, state: AlarmState, reason: str, data: str | None, *, region: str) -> None:
        """Set the state of an alarm until it is evaluated again. Raises NotFound."""
        found = self.find(name, region=region)
        if found.status not in set(AlarmState):
            raise NotFound(f"The alarm {name[:255]} is damaged. Put it again, or delete it.")
        self._change(found, AlarmVerdict(state, reason), data)

    def turn(self) -> list[AlarmTransition]:
        """Evaluate the alarms that are due; returns those whose state has changed."""
        alarms = self._store.resources.in_states(KIND, list(AlarmState))
        self._evaluated = {alarm.arn: self._evaluated[alarm.arn] for alarm in alarms if alarm.arn in self._evaluated}
        found = each(alarms, self._evaluate, log=_log, name=lambda alarm: alarm.arn)
        return [transition for transition in found if transition is not None]

    def acting(self) -> list[tuple[str, Resource]]:
        """The actions that the present states of all alarms ask for, each with its alarm."""
        alarms = self._store.resources.in_states(KIND, list(AlarmState))

        def actions(alarm: Resource) -> list[tuple[str, Resource]]:
            with understood(alarm.arn):
                return [(action, alarm) for action in _due(alarm, AlarmState(alarm.status))]

        return [pair for pairs in each(alarms, actions, log=_log, name=lambda alarm: alarm.arn) for pair in pairs]

    def watched(self, alarm: Resource) -> WatchedValues:
        """The values that an alarm looks at now. Raises Damaged."""
        with understood(alarm.arn):
            rule = rules.read(alarm.document["members"])
        found = self._values(rule, alarm.region, self._clock.now())
        return WatchedValues(rule, [value.value for value in found if value.value is not None][-rule.periods :])

    def sweep(self) -> int:
        """Forget old history; returns how many items went."""
        return self.history.remove_before(self._clock.now() - HISTORY_KEPT)

    def _evaluate(self, alarm: Resource) -> AlarmTransition | None:
        now = self._clock.now()
        with understood(alarm.arn):
            rule = rules.read(alarm.document["members"])
        version, at = self._evaluated.get(alarm.arn, (0, now))
        waits = timedelta(seconds=min(rule.period_s, _EVALUATED_EVERY_S))
        if version == alarm.version and timedelta() <= now - at < waits:  # a clock set back waits for nothing
            return None
        values = self._values(rule, alarm.region, now)
        verdict = evaluate(rule, values, AlarmState(alarm.status))
        self._evaluated[alarm.arn] = (alarm.version, now)
        if verdict.state == alarm.status:
            return None
        try:
            changed = self._change(alarm, verdict, json.dumps(_reason_data(rule, values, now)))
        except Stale:
            return None  # somebody has changed it at this moment; the next turn looks at what it is now
        self._evaluated[alarm.arn] = (changed.alarm.version, now)
        return changed

    def _values(self, rule: AlarmRule, region: str, now: datetime) -> list[PeriodValue]:
        """The values of the last whole periods, the oldest first."""
        number = rule.periods + MORE_PERIODS
        end = interval(now, rule.period_s)
        begin = end - timedelta(seconds=number * rule.period_s)
        points = self._points.statistics(
            [rule.statistic],
            namespace=rule.namespace,
            metric=rule.metric,
            dimensions=rule.dimensions,
            since=begin,
            until=end,
            period_s=rule.period_s,
            unit=rule.unit,
            region=region,
        )
        found: dict[datetime, float] = {}
        for point in points:
            value = point.values.get(rule.statistic)
            if value is not None and (point.at not in found or rule.breaches(value)):
                found[point.at] = value
        moments = [begin + timedelta(seconds=place * rule.period_s) for place in range(number)]
        return [PeriodValue(at, found.get(at)) for at in moments]

    def _change(self, alarm: Resource, verdict: AlarmVerdict, data: str | None) -> AlarmTransition:
        """Write another state, its reason, and what is due then. Raises Stale."""
        now, before, after = self._clock.now(), AlarmState(alarm.status), verdict.state
        document = {
            **alarm.document,
            "reason": verdict.reason[:1023],
            "reasonData": data,
            "stateUpdated": now.isoformat(),
        }
        if before is not after:
            document |= {"transitioned": now.isoformat(), "before": before}
        due = _due(alarm, after) if before is not after else []
        name, region = alarm.name or "", alarm.region
        with self._store.transaction():
            changed = self._store.resources.replace(alarm, at=now, status=after, document=document)
            if before is not after:
                self._note(region, name, HistoryKind.STATE, f"Alarm updated from {before} to {after}", {
                    "version": "1.0",
                    "oldState": {"stateValue": before, "stateReason": alarm.document["reason"]},
                    "newState": {"stateValue": after, "stateReason": document["reason"]},
                })  # fmt: skip
            left = [action for action in due if not self._takes_action(action, changed)]
            sent = [action for action in left if self._sends_action(action, changed)]
            left = [action for action in left if action not in sent]
            for action in due:
                if action in sent:
                    continue
                told = "Not carried out in Outcrop: action" if action in left else "Successfully executed action"
                became = {"actionState": "Failed" if action in left else "Succeeded", "notificationResource": action}
                self._note(region, name, HistoryKind.ACTION, f"{told} {action}", became)
        if before is not after:
            logs.tell(_log, "alarm", alarm=alarm.arn, before=before, after=after, actions_not_carried_out=len(left))
        return AlarmTransition(changed, before, after, due)

    def _made(self, name: str, members: Mapping[str, Any], region: str, now: datetime) -> Resource:
        arn = arns.Arn(service="cloudwatch", region=region, account=self._account, resource=f"alarm:{name}")
        return Resource(
            arn=str(arn),
            kind=KIND,
            region=region,
            name=name,
            status=AlarmState.INSUFFICIENT_DATA,
            created=now,
            updated=now,
            document={
                "members": dict(members),
                "configured": now.isoformat(),
                "reason": "Unchecked: Initial alarm creation",
                "reasonData": None,
                "stateUpdated": now.isoformat(),
                "transitioned": now.isoformat(),
            },
        )

    def _note_change(self, region: str, name: str, what: str) -> None:
        data = {"version": "1.0", "type": what.capitalize()}
        self._note(region, name, HistoryKind.CONFIGURATION, f'Alarm "{name}" {what}', data)

    def _note(self, region: str, name: str, kind: HistoryKind, summary: str, data: Mapping[str, Any]) -> None:
        item = HistoryItem(alarm=name, at=self._clock.now(), kind=kind, summary=summary, data=json.dumps(data))
        self.history.add(item, region=region)


def actions_of(alarm: Resource) -> list[str]:
    """The actions that an alarm has in any state."""
    members = alarm.document.get("members", {})
    return [action for member in _ACTIONS.values() for action in members.get(member) or ()]


def _due(alarm: Resource, state: AlarmState) -> list[str]:
    """The actions that follow when an alarm comes into a state."""
    members = alarm.document["members"]
    return list(members.get(_ACTIONS[state]) or ()) if members.get("ActionsEnabled", True) else []


def _reason_data(rule: AlarmRule, values: Sequence[PeriodValue], now: datetime) -> dict[str, Any]:
    """The evaluation in numbers, as CloudWatch tells it beside the reason."""
    recent = [value.value for value in values if value.value is not None][-rule.periods :]
    return {
        "version": "1.0",
        "queryDate": now.isoformat(),
        "statistic": rule.statistic,
        "period": rule.period_s,
        "recentDatapoints": recent[-20:],
        "threshold": rule.threshold,
    }
