"""Admission: whether an invocation may run now, by the quotas of its caller and model, or by model units.

Every invocation of every entrance passes here once its prompt is encoded, and again when it has ended:

    async with target.allowance.one(num_input_tokens, max_tokens) as ticket:    # raises Throttled
        …
        ticket.used(num_input_tokens, num_output_tokens)                        # as often as one likes

Counts live in the memory of one server process: one that is started anew begins with nothing taken. An answer's tokens
are not known before, so a part of those it may have is taken at first, and the rest put right at the end.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from anyio import to_thread

from outcrop.access.caller import Caller
from outcrop.clock import Clock, SystemClock
from outcrop.errors import Throttled
from outcrop.invocation.quotas import EVERYONE, Quota, Quotas, Scope
from outcrop.invocation.token_bucket import TokenBucket

_MOST_TAKEN_AHEAD = 4
"""For an answer not more than such a part of a minute's tokens is taken ahead. Programs ask for far more tokens than
they get: if all were taken, a second request would wait for the first."""
_TOO_MANY = {
    "requests": "Too many requests, please wait before trying again.",
    "tokens": "Too many tokens, please wait before trying again.",
}


@dataclass(frozen=True, kw_only=True)
class ReservedCapacity:
    """The model units of a provisioned throughput."""

    arn: str
    name: str
    num_units: int
    tokens_per_minute: float
    "Of all units together."


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """The limits of one target's invocations: who asks, and what counts them."""

    admission: "Admission"
    caller: Caller | None = None
    "Who asks; None: the installation itself, which no user's quota counts."
    capacity: ReservedCapacity | None = None
    "The model units of the provisioned throughput that is asked."
    quotas_of: tuple[str, ...] = ()
    "The names by which quotas of models count a request on demand: of the base model, and of the deployment."

    def one(self, num_input_tokens: int, max_tokens: int) -> AbstractAsyncContextManager["Ticket"]:
        """Around one invocation, whose answer may have `max_tokens`. Raises Throttled when it is entered."""
        return self.admission.one(self, num_input_tokens, max_tokens)


class _Limit(NamedTuple):
    """A limit that an invocation is held against."""

    subject: str
    "By which it is counted."
    what: str
    "`requests` or `tokens`."
    per_minute: float
    told: str
    "What the limit is, as a sentence says it."


class _Taken(NamedTuple):
    limit: _Limit
    bucket: TokenBucket
    amount: float


class Ticket:
    """An invocation that was admitted. What it did not use is put back at its end."""

    def __init__(self, taken: Sequence[_Taken], num_input_tokens: int, now: datetime) -> None:
        self._taken = taken
        self._used = num_input_tokens  # which an engine has read, or will have, whoever leaves before its answer
        self._is_told = False
        self.rates = _rates(taken, now)
        """What is left of the tightest limit of each sort: `limit_requests`, `remaining_requests`, `reset_requests_s`
        (until all of it is there again), and the same of tokens. Empty where nothing is limited."""

    def used(self, num_input_tokens: int, num_output_tokens: int) -> None:
        """Told what the invocation has come to by now; the last word counts."""
        self._used, self._is_told = num_input_tokens + num_output_tokens, True

    def _end(self, *, failed: bool) -> None:
        for limit, bucket, amount in self._taken:
            if failed and not self._is_told:
                bucket.put_back(amount)  # who was told to come again is not counted twice
            elif limit.what == "tokens":
                bucket.put_back(amount - self._used)


class Admission:
    """Holds invocations against their limits. For one event loop."""

    def __init__(self, quotas: Quotas | None, clock: Clock, *, is_local: bool = True) -> None:
        """Without `quotas`, only model units limit anything. `is_local`: they are read in microseconds."""
        self._quotas = quotas
        self._clock = clock
        self._is_local = is_local
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    @asynccontextmanager
    async def one(self, allowance: Allowance, num_input_tokens: int, max_tokens: int) -> AsyncGenerator[Ticket, None]:
        """Around one invocation, whose answer may have `max_tokens`. Raises Throttled."""
        ticket = self._admit(await self._limits(allowance), num_input_tokens, max_tokens)
        failed = False
        try:
            yield ticket
        except Exception:
            failed = True
            raise
        finally:
            ticket._end(failed=failed)

    async def _limits(self, allowance: Allowance) -> list[_Limit]:
        return [*_of_capacity(allowance.capacity), *_of_quotas(await self._current(), allowance)]

    async def _current(self) -> Mapping[str, Quota]:
        if self._quotas is None:
            return {}
        return self._quotas.current() if self._is_local else await to_thread.run_sync(self._quotas.current)

    def _admit(self, limits: Sequence[_Limit], num_input_tokens: int, max_tokens: int) -> Ticket:
        """Take from every limit's bucket, or from none."""
        now = self._clock.now()
        taken = [_Taken(each, self._bucket(each, now), _amount(each, num_input_tokens, max_tokens)) for each in limits]
        waits = [(one.bucket.wait_s(one.amount, now), one.limit) for one in taken]
        wait_s, limit = max(waits, key=lambda found: found[0], default=(0.0, None))
        if wait_s and limit is not None:
            sentence = f"{_TOO_MANY[limit.what]} {limit.told} Enough of them are free in {wait_s:.1f} s."
            raise Throttled(sentence, retry_after_s=wait_s, rates=_rates(taken, now))
        for one in taken:
            one.bucket.take(one.amount)
        return Ticket(taken, num_input_tokens, now)

    def _bucket(self, limit: _Limit, now: datetime) -> TokenBucket:
        key = (limit.subject, limit.what)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(limit.per_minute, now)
        elif bucket.per_minute != limit.per_minute:
            bucket.resize(limit.per_minute)
        return bucket


def _amount(limit: _Limit, num_input_tokens: int, max_tokens: int) -> float:
    if limit.what == "requests":
        return 1.0
    return num_input_tokens + min(max_tokens, limit.per_minute / _MOST_TAKEN_AHEAD)


def _of_capacity(capacity: ReservedCapacity | None) -> list[_Limit]:
    if capacity is None:
        return []
    units = f"{capacity.num_units} model unit{'s' * (capacity.num_units != 1)}"
    told = f"{capacity.name} has {units}: {capacity.tokens_per_minute:,.0f} tokens a minute on this machine."
    return [_Limit(capacity.arn, "tokens", capacity.tokens_per_minute, told)]


def _of_quotas(quotas: Mapping[str, Quota], allowance: Allowance) -> list[_Limit]:
    if not quotas:
        return []
    subjects = [] if allowance.caller is None else _subjects(allowance.caller)
    subjects += [(Scope.MODEL, each) for each in allowance.quotas_of]
    limits = []
    for scope, name in subjects:
        quota = quotas.get(f"{scope}:{name}") or quotas.get(f"{scope}:{EVERYONE}")
        if quota is not None:
            limits += _of_quota(quota, scope, name)
    return limits


def _of_quota(quota: Quota, scope: Scope, name: str) -> list[_Limit]:
    """The limits of a quota for one who is counted by it."""
    numbers = (("requests", quota.requests_per_minute), ("tokens", quota.tokens_per_minute))
    told = f"The quota of the {scope} {name} is"
    return [
        _Limit(f"{scope}:{name}", what, number, f"{told} {number:,} {what if number != 1 else what[:-1]} a minute.")
        for what, number in numbers
        if number is not None
    ]


def _subjects(caller: Caller) -> list[tuple[Scope, str]]:
    """The user or role that calls, and the key."""
    kind, _, path = caller.principal.rpartition(":")[2].partition("/")
    scope = Scope.ROLE if kind == "assumed-role" else Scope.USER
    return [(scope, path.rpartition("/")[2]), (Scope.KEY, caller.key_id)]


def _rates(taken: Sequence[_Taken], now: datetime) -> Mapping[str, float]:
    """The state of the tightest limit of requests, and of tokens."""
    rates: dict[str, float] = {}
    for what in ("requests", "tokens"):
        buckets = [one.bucket for one in taken if one.limit.what == what]
        if buckets:
            tightest = min(buckets, key=lambda bucket: bucket.left(now))
            rates[f"limit_{what}"] = tightest.per_minute
            rates[f"remaining_{what}"] = tightest.left(now)
            rates[f"reset_{what}_s"] = tightest.full_in_s(now)
    return rates


UNLIMITED = Allowance(admission=Admission(None, SystemClock()))
"Of whoever is held against nothing."
