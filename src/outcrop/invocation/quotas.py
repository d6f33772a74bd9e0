"""Quotas on record: requests and tokens a minute that a user, a role, a key or a model may take.

The administrator sets them (`outcrop quotas`). A quota of `*` holds for everyone of its kind who has none of their own,
for each of them apart.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from outcrop.clock import Clock
from outcrop.errors import Invalid
from outcrop.loops import each
from outcrop.store.damage import understood
from outcrop.store.resources import NameTaken, Resource
from outcrop.store.store import Store
from outcrop.store.watch import ChangeWatch

KIND = "quota"
EVERYONE = "*"
_EVERYWHERE = "local"
_ACTIVE = "Active"
_LEAST = 1
_log = logging.getLogger("outcrop.invocation")


class Scope(StrEnum):
    """The subject that a quota counts by."""

    USER = "user"
    ROLE = "role"
    KEY = "key"
    MODEL = "model"
    "A base model with its on-demand deployments, or one such deployment."


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The requests and tokens a minute that one subject may take; None: as many as it likes."""

    scope: Scope
    name: str
    "Of the user, the role or the model; an access key's id; or `*`."
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    "Those of prompts and of answers together."

    @property
    def subject(self) -> str:
        return f"{self.scope}:{self.name}"


class Quotas:
    """The quotas of an installation."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._watch: ChangeWatch | None = None
        self._current: dict[str, Quota] = {}

    def current(self) -> Mapping[str, Quota]:
        """The quotas as they stand, by subject; read again only where somebody has written since.

        One that cannot be read is logged and holds for nobody.
        """
        if self._watch is None:
            self._watch = ChangeWatch(self._store.engine)
        with self._watch.news() as something:
            if something:
                # Most installations have none, and there is something new with nearly every request.
                some = self._store.resources.has_any(KIND)
                self._current = {quota.subject: quota for quota in self.all()} if some else {}
        return self._current

    def all(self) -> list[Quota]:
        """The quotas that can be read, in order. Others become Failed, which is logged once."""
        rows = self._store.resources.in_states(KIND, [_ACTIVE])
        found = each(rows, _quota_of, log=_log, name=lambda row: row.arn, broken=self._fail)
        return sorted(found, key=lambda quota: quota.subject)

    def _fail(self, row: Resource) -> None:
        self._store.resources.fail(row.arn, at=self._clock.now())

    def set(self, quota: Quota) -> None:
        """Let this quota hold from now on, in the place of one that the subject had. Raises Invalid."""
        _check(quota)
        limits = {"requestsPerMinute": quota.requests_per_minute, "tokensPerMinute": quota.tokens_per_minute}
        now = self._clock.now()
        row = Resource(
            arn=_arn(quota),
            kind=KIND,
            region=_EVERYWHERE,
            name=quota.subject,
            status=_ACTIVE,
            created=now,
            updated=now,
            document={"scope": quota.scope.value, "name": quota.name, **limits},
        )
        with self._store.transaction():
            self._store.resources.remove(row.arn)
            try:
                self._store.resources.add(row)
            except NameTaken as taken:
                raise Invalid(f"{quota.subject}: somebody else sets this quota at the moment. Try again.") from taken

    def remove(self, scope: Scope, name: str) -> bool:
        """Whether there was one."""
        return self._store.resources.remove(_arn(Quota(scope=scope, name=name)))


def _check(quota: Quota) -> None:
    given = {"requests": quota.requests_per_minute, "tokens": quota.tokens_per_minute}
    if all(number is None for number in given.values()):
        raise Invalid(f"{quota.subject}: a quota limits requests or tokens a minute. Give at least one of them.")
    for what, number in given.items():
        if number is not None and number < _LEAST:
            raise Invalid(
                f"{quota.subject}: {number} {what} a minute are below the least value {_LEAST}. To forbid a model "
                "altogether, use a policy."
            )


def _quota_of(row: Resource) -> Quota:
    with understood(row.arn):
        document = row.document
        return Quota(
            scope=Scope(document["scope"]),
            name=str(document["name"]),
            requests_per_minute=_number(document["requestsPerMinute"]),
            tokens_per_minute=_number(document["tokensPerMinute"]),
        )


def _number(value: Any) -> int | None:
    if value is None:
        return None
    number = int(value)
    if number < _LEAST:
        raise ValueError("a quota counts from 1")
    return number


def _arn(quota: Quota) -> str:
    return f"{KIND}/{quota.subject}"
