"""Notices of alarms: what leaves for the webhook or the command that the administrator named, and nobody else.

An action of an alarm that is an SNS topic of this account becomes a notice, on record in the transaction that changes
the alarm, so that none is lost with the process. It is sent until somebody takes it, at most ten times over an hour;
the alarm's history says what became of it. Where the administrator named nothing, no action becomes a notice.
"""

import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sql

from outcrop import arn as arns
from outcrop import logs
from outcrop.alarms.destinations import Destination, NotTaken
from outcrop.alarms.history import AlarmHistory, HistoryItem, HistoryKind
from outcrop.clock import Clock
from outcrop.loops import each
from outcrop.store.database import UtcTime, create_tables, reading, writing
from outcrop.store.resources import Resource
from outcrop.store.store import Store

MOST_TRIES = 10
MOST_WAITING = 1000
"Notices on record; further ones are not made, and the alarm's history says so."
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=15)
_AT_ONCE = 20
"Sent in one turn."
_schema = sql.MetaData()
_notices = sql.Table(
    "alarm_notices",
    _schema,
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("destination", sql.String, nullable=False),
    sql.Column("region", sql.String, nullable=False),
    sql.Column("alarm", sql.String, nullable=False),
    sql.Column("action", sql.String, nullable=False),
    sql.Column("body", sql.Text, nullable=False),
    sql.Column("due", UtcTime, nullable=False),
    sql.Column("tries", sql.Integer, nullable=False),
    sql.Index("alarm_notices_due", "due"),
)
_log = logging.getLogger("outcrop.alarms")


@dataclass(frozen=True, kw_only=True)
class _Notice:
    id: str
    destination: str
    region: str
    alarm: str
    action: str
    body: str
    due: datetime
    tries: int


class AlarmNotices:
    """The notices of one installation."""

    def __init__(self, store: Store, clock: Clock, account: str, destinations: Sequence[Destination]) -> None:
        self._store = store
        self._clock = clock
        self._account = account
        self._destinations = {destination.name: destination for destination in destinations}
        self._history = AlarmHistory(store.engine)
        create_tables(store.engine, _schema)

    def take(self, action: str, alarm: Resource) -> bool:
        """Whether an alarm's action becomes a notice; asked within the transaction that changes the alarm."""
        named = arns.parse(action)
        if not self._destinations or named is None or (named.service, named.account) != ("sns", self._account):
            return False
        now = self._clock.now()
        with writing(self._store.engine) as connection:
            waiting = connection.execute(sql.select(sql.func.count()).select_from(_notices)).scalar_one()
            if waiting >= MOST_WAITING:
                return False
            for name in self._destinations:
                notice = {
                    "id": str(uuid.uuid4()),
                    "destination": name,
                    "region": alarm.region,
                    "alarm": alarm.name or "",
                    "action": action,
                    "due": now,
                    "tries": 0,
                }
                notice["body"] = json.dumps(envelope(str(notice["id"]), action, alarm, self._account, now))
                connection.execute(sql.insert(_notices).values(notice))
        return True

    def turn(self) -> int:
        """Send what is due; returns how many were taken."""
        if not self._destinations:
            return 0
        query = sql.select(_notices).where(_notices.c.due <= self._clock.now()).order_by(_notices.c.due).limit(_AT_ONCE)
        with reading(self._store.engine) as connection:
            due = [_Notice(**row._mapping) for row in connection.execute(query)]
        return sum(each(due, self._send, log=_log, name=lambda notice: notice.id))

    def _send(self, notice: _Notice) -> bool:
        destination = self._destinations.get(notice.destination)
        try:
            if destination is None:
                raise NotTaken("the administrator names it no more")
            destination.send(notice.body.encode(), notice.id, self._clock.now())
        except NotTaken as problem:
            self._not_taken(notice, str(problem), forever=destination is None)
            return False
        self._ended(notice, "Successfully executed action", "Succeeded", None)
        return True

    def _not_taken(self, notice: _Notice, problem: str, *, forever: bool) -> None:
        tries = notice.tries + 1
        if forever or tries >= MOST_TRIES:
            logs.tell(_log, "a notice is given up", level=logging.WARNING, alarm=notice.alarm, note=problem)
            self._ended(notice, "Failed to execute action", "Failed", problem)
            return
        pause = min(_FIRST_PAUSE * 2**notice.tries, _LONGEST_PAUSE)
        change = sql.update(_notices).where(_notices.c.id == notice.id)
        with writing(self._store.engine) as connection:
            connection.execute(change.values(tries=tries, due=self._clock.now() + pause))

    def _ended(self, notice: _Notice, told: str, state: str, problem: str | None) -> None:
        data: dict[str, Any] = {
            "actionState": state,
            "notificationResource": notice.action,
            "sentTo": notice.destination,
            **({} if problem is None else {"error": problem}),
        }
        item = HistoryItem(
            alarm=notice.alarm,
            at=self._clock.now(),
            kind=HistoryKind.ACTION,
            summary=f"{told} {notice.action}",
            data=json.dumps(data),
        )
        with self._store.transaction(), writing(self._store.engine) as connection:
            connection.execute(sql.delete(_notices).where(_notices.c.id == notice.id))
            self._history.add(item, region=notice.region)


def envelope(notice_id: str, topic: str, alarm: Resource, account: str, now: datetime) -> dict[str, Any]:
    """The notice in the form in which SNS hands on an alarm: nothing but the alarm's own members and state."""
    message = message_of(alarm, account)
    return {
        "Type": "Notification",
        "MessageId": notice_id,
        "TopicArn": topic,
        "Subject": f'{alarm.status}: "{alarm.name}" in {alarm.region}'[:100],
        "Message": json.dumps(message, ensure_ascii=False),
        "Timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
    }


def message_of(alarm: Resource, account: str) -> dict[str, Any]:
    """The alarm as CloudWatch tells it to a topic."""
    document, members = alarm.document, alarm.document["members"]
    trigger = {
        name: members[name]
        for name in (
            "MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Unit", "Period", "EvaluationPeriods",
            "DatapointsToAlarm", "ComparisonOperator", "Threshold", "TreatMissingData",
        )
        if members.get(name) is not None
    }  # fmt: skip
    dimensions = [{"name": one["Name"], "value": one["Value"]} for one in members.get("Dimensions") or ()]
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": members.get("AlarmDescription"),
        "AWSAccountId": account,
        "AlarmArn": alarm.arn,
        "Region": alarm.region,
        "NewStateValue": alarm.status,
        "NewStateReason": document["reason"],
        "OldStateValue": document.get("before"),
        "StateChangeTime": document["stateUpdated"],
        "Trigger": {**trigger, "Dimensions": dimensions},
    }
