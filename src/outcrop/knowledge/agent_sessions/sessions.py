"""Sessions of bedrock-agent-runtime, in which programs keep the steps of their own conversations.

A session is ACTIVE until it is ended, or was not touched for an hour: then it is EXPIRED. What is in it can be read all
the same, and nothing added. Thirty days after it was last touched it is gone. Who may read it, IAM decides, by its ARN.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from outcrop import arn as arns
from outcrop.clock import Clock
from outcrop.errors import Conflict, NotFound
from outcrop.knowledge.agent_sessions.records import SessionInvocation, SessionRecords, SessionStep
from outcrop.store.changing import Change, change
from outcrop.store.resource_table import RESOURCES
from outcrop.store.resources import Resource
from outcrop.store.store import Store

KIND = "session"
IDLE = timedelta(hours=1)
"After so long without a change, a session is expired."
KEPT = timedelta(days=30)
"So long after its last change, a session is removed."
_MOST_REMOVED = 100
"Old sessions that go with the making of one."


class AgentSessionStatus(StrEnum):
    """The state of a session."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    ENDED = "ENDED"


class AgentSessions:
    """The sessions of an installation, with what is in them."""

    def __init__(self, store: Store, clock: Clock, account: str) -> None:
        self._store = store
        self._clock = clock
        self._account = account
        self.records = SessionRecords(store.engine)

    def create(self, region: str, metadata: Mapping[str, str], tags: Mapping[str, str]) -> Resource:
        """A new session."""
        now = self._clock.now()
        arn = self.arn_of(region, str(uuid.uuid4()))
        row = Resource(
            arn=arn,
            kind=KIND,
            region=region,
            status=AgentSessionStatus.ACTIVE,
            created=now,
            updated=now,
            document={"sessionMetadata": {**metadata}},
        )
        with self._store.transaction():
            self._remove_old(now)
            self._store.resources.add(row)
            self._store.tags.put(arn, tags)
        return row

    def arn_of(self, region: str, identifier: str) -> str:
        """The ARN of a session that is named by its id or ARN."""
        return identifier if arns.is_arn(identifier) else arns.bedrock(region, self._account, f"{KIND}/{identifier}")

    def find(self, region: str, identifier: str) -> Resource:
        """The session with this id or ARN. Raises NotFound."""
        row = self._store.resources.get(self.arn_of(region, identifier))
        if row is None or row.kind != KIND or row.region != region or self._clock.now() - row.updated > KEPT:
            raise NotFound(f"The session {identifier} was not found.")
        return row

    def status(self, row: Resource) -> AgentSessionStatus:
        """The state of a session at this moment."""
        if row.status == AgentSessionStatus.ACTIVE and self._clock.now() - row.updated > IDLE:
            return AgentSessionStatus.EXPIRED
        return AgentSessionStatus(row.status)

    def update(self, row: Resource, metadata: Mapping[str, str] | None) -> Resource:
        """Give a session other metadata; None: leave it as it is. Raises Conflict unless it is active."""
        changed = None if metadata is None else {"sessionMetadata": {**metadata}}
        return self._change(row, Change(document=None if changed is None else {**row.document, **changed}))

    def end(self, row: Resource) -> Resource:
        """End a session. Raises Conflict unless it is active."""
        return self._change(row, Change(status=AgentSessionStatus.ENDED))

    def delete(self, row: Resource) -> None:
        """Remove a session with all that is in it. Raises Conflict while it is active."""
        if self.status(row) is AgentSessionStatus.ACTIVE:
            raise Conflict(f"The session {_id(row)} is active. End it with EndSession before you delete it.")
        with self._store.transaction():
            self._remove(row.arn)

    def add_invocation(self, row: Resource, invocation_id: str | None, description: str) -> SessionInvocation:
        """A new invocation in an active session. Raises Conflict."""
        made = SessionInvocation(
            session=row.arn,
            id=invocation_id or str(uuid.uuid4()),
            created=self._clock.now(),
            description=description,
        )
        with self._store.transaction():
            self._change(row, Change())
            self.records.add_invocation(made)
        return made

    def add_step(self, row: Resource, invocation: str, step_id: str | None, at: datetime, payload: str) -> SessionStep:
        """A new step in an active session. Raises NotFound, Conflict."""
        step = SessionStep(
            session=row.arn, invocation=invocation, id=step_id or str(uuid.uuid4()), at=at, payload=payload
        )
        with self._store.transaction():
            self._change(row, Change())
            self.records.add_step(step)
        return step

    def _change(self, row: Resource, wanted: Change) -> Resource:
        def decide(now: Resource) -> Change:
            status = self.status(now)
            if status is not AgentSessionStatus.ACTIVE:
                raise Conflict(f"The session {_id(row)} is {status}, and takes nothing more. Create another one.")
            return wanted

        return change(self._store.resources, row.arn, at=self._clock.now(), decide=decide)

    def _remove_old(self, now: datetime) -> None:
        old = (RESOURCES.c.kind == KIND) & (RESOURCES.c.updated < now - KEPT)
        for row in self._store.resources.where(old, most=_MOST_REMOVED):
            self._remove(row.arn)

    def _remove(self, arn: str) -> None:
        self._store.resources.remove(arn)
        self._store.tags.clear(arn)
        self.records.remove_all([arn])


def _id(row: Resource) -> str:
    return row.arn.rpartition("/")[2]


def members_of(row: Resource, status: AgentSessionStatus) -> dict[str, Any]:
    """The session as answers tell it."""
    return {
        "sessionId": _id(row),
        "sessionArn": row.arn,
        "sessionStatus": status.value,
        "createdAt": row.created,
        "lastUpdatedAt": row.updated,
    }
