"""An in-memory cache of what access decisions need, for as long as nothing in the access tables changed.

`DecisionCache.now()` hands out the memory of the present moment. Values are put into the memory they were read under:
once anything changes, every later request gets a new one, and nothing read before can answer it. What is absent is
never remembered, so a new key or session works at once, and strangers cannot fill the memory.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from outcrop.access.caller import Credential
from outcrop.access.changes import Changes
from outcrop.access.policies.bucket_policy import BucketRules
from outcrop.access.policies.documents import Policy
from outcrop.access.policies.evaluation import Decision, Matter
from outcrop.access.policies.patterns import Values
from outcrop.access.records.identities import Identity

MAX_KEPT = 4096
K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PolicyVerdict:
    """A decision, and the kind of policy that made it: `identity-based`, `permissions boundary` or `session`."""

    decision: Decision
    by: str = "identity-based"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A user or role with everything its decisions are made from."""

    identity: Identity
    policies: tuple[Policy, ...]
    "Its own and, for a user, those of its groups."
    boundary: Policy | None
    "What it may do at most; None: no limit."
    known: dict[str, Values]
    "The condition keys about it, in lower case."
    keys: frozenset[str]
    "The condition keys that any of its policies reads."


class CappedCache(Generic[K, T]):
    """Values by key, at most MAX_KEPT of them: then it begins anew, so unsealed secrets do not pile up."""

    def __init__(self) -> None:
        self._values: dict[K, T] = {}

    def get(self, key: K, read: Callable[[K], T | None]) -> T | None:
        """The value, read when it is not here; None is not kept."""
        found = self._values.get(key)
        if found is None:
            found = read(key)
            if found is not None:
                self.keep(key, found)
        return found

    def keep(self, key: K, value: T) -> None:
        if len(self._values) >= MAX_KEPT:
            self._values.clear()
        self._values[key] = value

    def at_hand(self, key: K) -> T | None:
        return self._values.get(key)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The session policies and condition keys that a session brings beside its identity's policies."""

    limits: tuple[Policy, ...] = ()
    "Session policies; each decision must be allowed by them too."
    known: Mapping[str, Values] = field(default_factory=dict)
    "The condition keys that its marks give; they stand before those of its identity."


Question = tuple[str, Matter, tuple[tuple[str, Values], ...]]
"Who (identity and session), what it is about, and the values of all condition keys that the policies read."


Repeated = tuple[str, str, Hashable]
"Who (identity id), region, and what stands for one service, operation and parameters."


@dataclass(frozen=True)
class CachedDecisions:
    """Everything read since the last change."""

    number: int = -1
    credentials: CappedCache[str, Credential] = field(default_factory=CappedCache)
    "By key id."
    subjects: CappedCache[str, Subject] = field(default_factory=CappedCache)
    "By identity id."
    terms: CappedCache[str, Terms] = field(default_factory=CappedCache)
    "Of sessions, by key id."
    verdicts: CappedCache[Question, PolicyVerdict] = field(default_factory=CappedCache)
    buckets: CappedCache[str, BucketRules] = field(default_factory=CappedCache)
    "Policies and access blocks, by name of the bucket."
    identities: CappedCache[str, Identity] = field(default_factory=CappedCache)
    "By ARN."
    permitted: CappedCache[Repeated, tuple[str, ...]] = field(default_factory=CappedCache)
    "Requests that were allowed by nothing but their line, their caller and the policies; their resources."


class DecisionCache:
    """The memory that is valid now."""

    def __init__(self, changes: Changes, in_transaction: Callable[[], bool]) -> None:
        self._changes = changes
        self._in_transaction = in_transaction
        # The moment before its number was read stands beside the memory, in one value: threads replace both or neither.
        self._latest = (CachedDecisions(), float("-inf"))

    def now(self, *, since: float | None = None) -> CachedDecisions:
        """The memory of this moment, or of one after `since` (`time.monotonic()`).

        For a request that is being answered, every moment after its arrival is as good as any other.
        """
        if self._in_transaction():
            # It reads what it wrote itself and may yet roll back: nothing of that is for others.
            return CachedDecisions()
        memory, asked_at = self._latest
        if since is not None and asked_at >= since:
            return memory
        asked_at = time.monotonic()
        number = self._changes.number()
        if memory.number != number:
            memory = CachedDecisions(number)
        self._latest = (memory, asked_at)
        return memory
