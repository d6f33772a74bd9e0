"""Alarms that went off and name a scaling policy, written down until the policy has answered.

An alarm that is well again before anybody looked has gone off all the same, also when the server was away meanwhile.
"""

from typing import NamedTuple

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.store.database import create_tables, reading, writing

_schema = sql.MetaData()
_table = sql.Table(
    "scaling_triggers",
    _schema,
    sql.Column("id", sql.BigInteger().with_variant(sql.Integer, "sqlite"), primary_key=True),
    sql.Column("policy", sql.String, nullable=False),
    sql.Column("alarm", sql.String, nullable=False),
    sql.Column("state", sql.String, nullable=False),
)


class PolicyTrigger(NamedTuple):
    """The ARNs of an alarm and of the policy that it asked for, and the state that it came into."""

    id: int
    policy: str
    alarm: str
    state: str


class Triggers:
    """The triggers of one database that wait for an answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def add(self, policy: str, alarm: str, state: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(sql.insert(_table).values(policy=policy, alarm=alarm, state=state))

    def waiting(self) -> list[PolicyTrigger]:
        """All of them, in the order in which they came."""
        with reading(self._engine) as connection:
            rows = connection.execute(sql.select(_table).order_by(_table.c.id))
            return [PolicyTrigger(row.id, row.policy, row.alarm, row.state) for row in rows]

    def remove_until(self, last: int) -> None:
        """Forget those that came up to one."""
        with writing(self._engine) as connection:
            connection.execute(sql.delete(_table).where(_table.c.id <= last))
