"""The tables of invocations and their steps, which programs keep in sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.store.database import UtcTime, alone, create_tables, microseconds, moment, reading, writing

_schema = sql.MetaData()
_invocations = sql.Table(
    "session_invocations",
    _schema,
    sql.Column("session", sql.String, primary_key=True),
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("description", sql.String, nullable=False),
    sql.Index("session_invocations_created", "session", "created", "id"),
)
_steps = sql.Table(
    "session_steps",
    _schema,
    sql.Column("session", sql.String, primary_key=True),
    sql.Column("invocation", sql.String, primary_key=True),
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("at", UtcTime, nullable=False),
    sql.Column("payload", sql.String, nullable=False),
    sql.Index("session_steps_at", "session", "at", "id"),
)


@dataclass(frozen=True, kw_only=True)
class SessionInvocation:
    """A group of steps in a session, such as one question to an agent."""

    session: str
    "The ARN of the session."
    id: str
    created: datetime
    description: str = ""

    @property
    def place(self) -> str:
        """Its place in the order of creation."""
        return f"{microseconds(self.created)} {self.id}"


@dataclass(frozen=True, kw_only=True)
class SessionStep:
    """A step of an invocation."""

    session: str
    invocation: str
    id: str
    at: datetime
    "As its program says."
    payload: str = ""
    "JSON; not read with a list of steps."

    @property
    def place(self) -> str:
        """Its place in the order of time."""
        return f"{microseconds(self.at)} {self.invocation}/{self.id}"


class SessionRecords:
    """The rows of one database. Lists begin with the oldest, behind `after`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def add_invocation(self, invocation: SessionInvocation) -> None:
        """Raises Conflict for an id that the session has already."""
        with writing(self._engine) as connection:
            alone(connection, "session invocations")
            if _invocation(connection, invocation.session, invocation.id):
                raise Conflict(f"The invocation {invocation.id} exists already in this session. Leave its id out.")
            row = {"session": invocation.session, "id": invocation.id, "created": invocation.created}
            connection.execute(sql.insert(_invocations).values(description=invocation.description, **row))

    def add_step(self, step: SessionStep) -> None:
        """Raises NotFound for an invocation that is not there, and Conflict for an id that it has already."""
        with writing(self._engine) as connection:
            alone(connection, "session invocations")
            self._check_invocation(connection, step.session, step.invocation)
            if connection.execute(_step(step.session, step.invocation, step.id)).first() is not None:
                raise Conflict(f"The step {step.id} exists already in this invocation. Leave invocationStepId out.")
            row = {"session": step.session, "invocation": step.invocation, "id": step.id, "at": step.at}
            connection.execute(sql.insert(_steps).values(payload=step.payload, **row))

    def step(self, session: str, invocation: str, step_id: str) -> SessionStep:
        """A step with its payload. Raises NotFound."""
        with reading(self._engine) as connection:
            self._check_invocation(connection, session, invocation)
            row = connection.execute(_step(session, invocation, step_id)).first()
        if row is None:
            raise NotFound(f"The step {step_id} was not found in the invocation {invocation}.")
        return SessionStep(**row._mapping)

    def invocations(self, session: str, *, after: str | None, most: int) -> list[SessionInvocation]:
        """The invocations of a session. Raises Invalid for a place that is none."""
        query = sql.select(*_invocations.c).where(_invocations.c.session == session)
        if after is not None:
            created, _, last = _read_place(after)
            query = query.where(
                sql.tuple_(_invocations.c.created, _invocations.c.id) > sql.tuple_(sql.literal(created, UtcTime), last)
            )
        ordered = query.order_by(_invocations.c.created, _invocations.c.id).limit(most)
        with reading(self._engine) as connection:
            return [SessionInvocation(**row._mapping) for row in connection.execute(ordered)]

    def steps(self, session: str, invocation: str | None, *, after: str | None, most: int) -> list[SessionStep]:
        """The steps of a session, or of one invocation of it, without their payloads. Raises NotFound, Invalid."""
        own = [_steps.c.session, _steps.c.invocation, _steps.c.id, _steps.c.at]
        query = sql.select(*own).where(_steps.c.session == session)
        order = (_steps.c.at, _steps.c.invocation, _steps.c.id)
        if after is not None:
            at, its, last = _read_place(after)
            query = query.where(sql.tuple_(*order) > sql.tuple_(sql.literal(at, UtcTime), its, last))
        with reading(self._engine) as connection:
            if invocation is not None:
                self._check_invocation(connection, session, invocation)
                query = query.where(_steps.c.invocation == invocation)
            rows = connection.execute(query.order_by(*order).limit(most))
            return [SessionStep(**row._mapping) for row in rows]

    def remove_all(self, sessions: Sequence[str]) -> None:
        """Forget what is in these sessions."""
        with writing(self._engine) as connection:
            for table in (_steps, _invocations):
                connection.execute(sql.delete(table).where(table.c.session.in_(list(sessions))))

    def _check_invocation(self, connection: sql.Connection, session: str, invocation: str) -> None:
        if not _invocation(connection, session, invocation):
            raise NotFound(f"The invocation {invocation} was not found in this session.")


def _invocation(connection: sql.Connection, session: str, invocation: str) -> bool:
    table = _invocations.c
    query = sql.select(table.id).where(table.session == session, table.id == invocation)
    return connection.execute(query).first() is not None


def _step(session: str, invocation: str, step_id: str) -> sql.Select[Any]:
    table = _steps.c
    return sql.select(*table).where(table.session == session, table.invocation == invocation, table.id == step_id)


def _read_place(place: str) -> tuple[datetime, str, str]:
    """The time, the invocation and the id of a place. Raises Invalid."""
    count, _, rest = place.partition(" ")
    invocation, _, last = rest.rpartition("/")
    try:
        return moment(int(count)), invocation, last
    except (ValueError, OverflowError) as error:
        raise Invalid("nextToken: not a token of this listing. Begin again without nextToken.") from error
