"""Talks: the questions and answers of RetrieveAndGenerate under one sessionId, so that a question may lean on them.

A talk is made by the service at its first answer. It belongs to the user or role that began it, to the region, and to
the knowledge base or the sources that it was about; nobody else is told whether it is there. An hour after its last
answer it is gone.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.errors import Invalid
from outcrop.store.database import UtcTime, alone, create_tables, reading, writing

KEPT = timedelta(hours=1)
"Since its last answer."
MOST_TURNS = 20
"The latest ones are kept."

_schema = sql.MetaData()
_talks = sql.Table(
    "knowledge_talks",
    _schema,
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("owner", sql.String, nullable=False),
    sql.Column("region", sql.String, nullable=False),
    sql.Column("subject", sql.String, nullable=False),
    sql.Column("used", UtcTime, nullable=False),
    sql.Column("turns", sql.String, nullable=False),
    sql.Index("knowledge_talks_used", "used"),
)


@dataclass(frozen=True, kw_only=True)
class TalkTurn:
    """A question as it was asked, and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class TalkScope:
    """The ones that a talk belongs to: what is under its id is for equal scopes alone."""

    owner: str
    "The ARN of a user or role."
    region: str
    subject: str
    "The knowledge base that it is about, or `external`."


@dataclass(frozen=True, kw_only=True)
class Talk:
    """A talk that goes on, or one that begins with the question at hand."""

    id: str
    scope: TalkScope
    turns: tuple[TalkTurn, ...] = ()


class Talks:
    """The talks of an installation."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def resume(self, talk_id: str | None, scope: TalkScope, *, now: datetime) -> Talk:
        """The talk under an id, or a new one. Raises Invalid for an id that is not one of this scope, or not any more.

        A new one is on record with its first turn.
        """
        if talk_id is None:
            return Talk(id=str(uuid.uuid4()), scope=scope)
        with reading(self._engine) as connection:
            turns = _turns(connection, talk_id, scope, now)
        if turns is None:
            raise Invalid(
                f"Session with Id {talk_id} is not valid. Please check and try again. (sessionId: there is no such "
                "session of this caller about this knowledge base, or its last answer was more than an hour ago. "
                "Leave sessionId out to begin another.)"
            )
        return Talk(id=talk_id, scope=scope, turns=turns)

    def add(self, talk: Talk, turn: TalkTurn, *, now: datetime) -> None:
        """Put a turn behind those that are on record by now. Two answers at a time are both kept."""
        with writing(self._engine) as connection:
            alone(connection, "knowledge talks")
            before = _turns(connection, talk.id, talk.scope, now) or ()
            turns = [*before, turn][-MOST_TURNS:]
            told = json.dumps([[each.question, each.answer] for each in turns], ensure_ascii=False)
            connection.execute(sql.delete(_talks).where(_talks.c.id == talk.id))
            row = {"id": talk.id, "owner": talk.scope.owner, "region": talk.scope.region, "used": now, "turns": told}
            connection.execute(sql.insert(_talks).values(subject=talk.scope.subject, **row))
            connection.execute(sql.delete(_talks).where(_talks.c.used < now - KEPT))


def history_of(turns: Sequence[TalkTurn]) -> str:
    """The turns as a prompt shows them."""
    return "\n".join(f"User: {turn.question}\nAssistant: {turn.answer}" for turn in turns)


def _turns(connection: sql.Connection, talk_id: str, scope: TalkScope, now: datetime) -> tuple[TalkTurn, ...] | None:
    query = sql.select(_talks.c.turns).where(
        _talks.c.id == talk_id,
        _talks.c.owner == scope.owner,
        _talks.c.region == scope.region,
        _talks.c.subject == scope.subject,
        _talks.c.used >= now - KEPT,
    )
    told = connection.execute(query).scalar()
    return None if told is None else tuple(TalkTurn(question=q, answer=a) for q, a in json.loads(told))
