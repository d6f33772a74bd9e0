"""Client request tokens: the same request sent again gets the first answer instead of a second resource.

`once` recalls, works and remembers in one transaction: two equal requests at the same moment make one resource and get
one answer, and a crash between leaves neither.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.errors import Conflict
from outcrop.store.database import alone, create_tables, reading, writing

MEMBER = "clientRequestToken"
"The member of most requests that has the token."

_schema = sql.MetaData()
_table = sql.Table(
    "idempotency",
    _schema,
    sql.Column("operation", sql.String, primary_key=True),
    sql.Column("token", sql.String, primary_key=True),
    sql.Column("digest", sql.String, nullable=False),
    sql.Column("answer", sql.JSON, nullable=False),
)


def digest_of(params: Mapping[str, Any]) -> str:
    """A digest of request parameters that does not depend on the order of their keys."""
    return hashlib.sha256(json.dumps(params, sort_keys=True, default=str).encode()).hexdigest()


class Idempotency:
    """Answers by operation and token. Tokens of different regions or callers need different `operation` texts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def once(
        self,
        operation: str,
        token: str | None,
        params: Mapping[str, Any],
        create: Callable[[], dict[str, Any]],
        *,
        member: str = MEMBER,
    ) -> dict[str, Any]:
        """The answer given before to this token, else that of `create`, which is kept.

        Raises Conflict, naming the `member` of the request, when the token came with other `params`. Without a token
        every request is a new one.
        """
        with writing(self._engine) as connection:
            if token is None:
                return create()
            alone(connection, f"{operation} {token}")
            digest = digest_of(params)
            before = self.recall(operation, token, digest, member=member)
            if before is not None:
                return before
            answer = create()
            self.remember(operation, token, digest, answer)
            return answer

    def recall(self, operation: str, token: str, digest: str, *, member: str = MEMBER) -> dict[str, Any] | None:
        """The answer given before, or None. Raises Conflict when the token came with a different request."""
        query = sql.select(_table).where(_table.c.operation == operation, _table.c.token == token)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        if row.digest != digest:
            raise _token_used(member)
        answer: dict[str, Any] = row.answer
        return answer

    def remember(self, operation: str, token: str, digest: str, answer: Mapping[str, Any]) -> None:
        """Keep the answer (JSON values only). Raises Conflict when the token has one already."""
        values = {"operation": operation, "token": token, "digest": digest, "answer": dict(answer)}
        with writing(self._engine) as connection:
            try:
                connection.execute(sql.insert(_table).values(values))
            except sql.exc.IntegrityError as error:
                raise _token_used(MEMBER) from error


def _token_used(member: str) -> Conflict:
    return Conflict(f"{member}: this token was used for a different request. Use a new token.")
