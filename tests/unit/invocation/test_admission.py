"""Who may ask now: quotas of users, keys and models, model units, and what is put right when an answer has ended."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.access.caller import Caller
from outcrop.api.door import failures
from outcrop.clock import MovableClock
from outcrop.errors import Invalid, Throttled
from outcrop.invocation.admission import Admission, Allowance, ReservedCapacity, Ticket
from outcrop.invocation.quotas import Quota, Quotas, Scope
from outcrop.invocation.token_bucket import TokenBucket
from outcrop.metrics.traffic import metric_of
from outcrop.protocol import service_model
from outcrop.protocol.unbuilt import OPENAI
from outcrop.settings import Settings
from outcrop.store.store import Store

ADA = Caller(arn="arn:aws:iam::123456789012:user/team/ada", account="123456789012", user_id="AIDA", key_id="AKIAADA")
BOB = replace(ADA, arn="arn:aws:iam::123456789012:user/bob", key_id="AKIABOB")
ROLE = replace(ADA, arn="arn:aws:sts::123456789012:assumed-role/batch/run-1", key_id="ASIA1", session_name="run-1")
TOO_MANY_TOKENS = r"^Too many tokens, please wait before trying again\. "
TOO_MANY_REQUESTS = r"^Too many requests, please wait before trying again\. "


class Gate:
    """An admission over records of its own, with a clock that is moved."""

    def __init__(self, home: Path) -> None:
        self.clock = MovableClock()
        self.store = Store.open(Settings(home=home))
        self.quotas = Quotas(self.store, self.clock)
        self.admission = Admission(self.quotas, self.clock)

    def limit(self, scope: Scope, name: str, **limits: int) -> None:
        self.quotas.set(Quota(scope=scope, name=name, **limits))

    def allowance(self, caller: Caller | None = ADA, **counted: Any) -> Allowance:
        return Allowance(admission=self.admission, caller=caller, **{"quotas_of": ("outcrop.starter-v1",), **counted})

    async def ask(
        self,
        caller: Caller | None = ADA,
        *,
        prompt: int = 1,
        most: int = 1,
        used: tuple[int, int] | None = None,
        **counted: Any,
    ) -> Ticket:
        """One invocation from begin to end; by default it uses all that it might."""
        async with self.allowance(caller, **counted).one(prompt, most) as ticket:
            ticket.used(*(used or (prompt, most)))
        return ticket

    async def fails(self, sentence: str, caller: Caller | None = ADA, **asked: Any) -> Throttled:
        with pytest.raises(Throttled, match=sentence) as refused:
            await self.ask(caller, **asked)
        return refused.value

    def wait(self, seconds: float) -> None:
        self.clock.move(timedelta(seconds=seconds))


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario()

    asyncio.run(whole())


def test_where_nothing_is_limited_everything_is_admitted(gate: Gate) -> None:
    async def scenario() -> None:
        for _ in range(1000):
            assert (await gate.ask(most=100_000)).rates == {}

    run(scenario)


def test_a_user_has_so_many_requests_a_minute_and_gets_the_next_when_time_has_passed(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", requests_per_minute=6)

    async def scenario() -> None:
        for left in (5, 4, 3, 2, 1, 0):
            assert (await gate.ask()).rates["remaining_requests"] == left
        refused = await gate.fails(TOO_MANY_REQUESTS + r"The quota of the user ada is 6 requests a minute\.")
        assert refused.retry_after_s == 10
        assert refused.rates == {"limit_requests": 6, "remaining_requests": 0, "reset_requests_s": 60}
        await gate.ask(BOB)
        gate.wait(9.9)
        await gate.fails(TOO_MANY_REQUESTS)
        gate.wait(0.1)
        await gate.ask()
        await gate.fails(TOO_MANY_REQUESTS)

    run(scenario)


@pytest.mark.parametrize(
    ("scope", "name", "limited", "free"),
    [
        (Scope.USER, "ada", ADA, BOB),
        (Scope.KEY, "AKIAADA", ADA, replace(ADA, key_id="AKIAOTHER")),
        (Scope.ROLE, "batch", ROLE, ADA),
        (Scope.ROLE, "batch", replace(ROLE, arn=ROLE.arn.replace("run-1", "run-2"), session_name="run-2"), BOB),
        (Scope.MODEL, "outcrop.starter-v1", BOB, None),
    ],
)
def test_a_quota_counts_what_it_names_and_nobody_else(
    gate: Gate, scope: Scope, name: str, limited: Caller, free: Caller | None
) -> None:
    gate.limit(scope, name, requests_per_minute=1)

    async def scenario() -> None:
        await gate.ask(limited)
        await gate.fails(TOO_MANY_REQUESTS, limited)
        await gate.ask(free, quotas_of=("another.model",))
        await gate.ask(free, quotas_of=("another.model",))

    run(scenario)


def test_the_installation_itself_has_no_user_s_quota(gate: Gate) -> None:
    gate.limit(Scope.USER, "*", requests_per_minute=1)

    async def scenario() -> None:
        for _ in range(5):
            await gate.ask(None)

    run(scenario)


def test_a_quota_of_everyone_holds_for_each_apart_and_gives_way_to_one_of_their_own(gate: Gate) -> None:
    gate.limit(Scope.USER, "*", requests_per_minute=1)
    gate.limit(Scope.USER, "bob", requests_per_minute=2)

    async def scenario() -> None:
        await gate.ask(ADA)
        await gate.ask(BOB)
        await gate.ask(BOB)
        await gate.fails(TOO_MANY_REQUESTS, ADA)
        await gate.fails(TOO_MANY_REQUESTS, BOB)

    run(scenario)


def test_tokens_of_prompt_and_answer_count_and_what_was_not_used_is_put_back(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", tokens_per_minute=100)

    async def scenario() -> None:
        await gate.ask(prompt=40, most=1000, used=(40, 10))
        refused = await gate.fails(TOO_MANY_TOKENS, prompt=40, most=20)
        assert refused.retry_after_s == pytest.approx(6)  # 50 are left, 60 are asked for, 100 come in a minute
        assert (await gate.ask(prompt=30, most=20)).rates["limit_tokens"] == 100

    run(scenario)


def test_an_answer_longer_than_was_taken_for_it_is_paid_by_whoever_comes_next(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", tokens_per_minute=60)

    async def scenario() -> None:
        await gate.ask(prompt=10, most=500, used=(10, 110))
        refused = await gate.fails(TOO_MANY_TOKENS, prompt=1, most=1)
        assert refused.retry_after_s == pytest.approx(62)

    run(scenario)


def test_a_request_larger_than_a_minute_s_tokens_waits_for_a_full_bucket_not_for_ever(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", tokens_per_minute=60)

    async def scenario() -> None:
        await gate.ask(prompt=6000, most=10)
        refused = await gate.fails(TOO_MANY_TOKENS, prompt=6000, most=10)
        gate.wait(refused.retry_after_s)
        await gate.ask(prompt=6000, most=10)

    run(scenario)


def test_a_request_that_fails_before_it_answers_counts_nothing(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", tokens_per_minute=10, requests_per_minute=100)

    async def scenario() -> None:
        for _ in range(5):
            with pytest.raises(Invalid):
                async with gate.allowance().one(10, 10):
                    raise Invalid("the engine refused it")
        assert (await gate.ask(prompt=10, most=0)).rates["remaining_requests"] == 99

    run(scenario)


def test_a_caller_who_leaves_before_the_answer_has_taken_the_prompt_s_tokens(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", tokens_per_minute=100, requests_per_minute=2)

    async def waits_for_ever() -> None:
        async with gate.allowance().one(60, 40):
            await asyncio.Event().wait()

    async def scenario() -> None:
        asked = asyncio.create_task(waits_for_ever())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        ticket = await gate.ask(prompt=40, most=0)
        assert (ticket.rates["remaining_tokens"], ticket.rates["remaining_requests"]) == (0, 0)

    run(scenario)


def test_what_one_limit_refuses_is_taken_from_no_other(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", requests_per_minute=1)
    gate.limit(Scope.MODEL, "outcrop.starter-v1", requests_per_minute=3)

    async def scenario() -> None:
        await gate.ask(ADA)
        for _ in range(5):
            await gate.fails(TOO_MANY_REQUESTS, ADA)
        await gate.ask(BOB)
        await gate.ask(BOB)
        await gate.fails(r"The quota of the model outcrop\.starter-v1 is 3 requests a minute\.", BOB)

    run(scenario)


def test_model_units_are_so_many_tokens_a_minute(gate: Gate) -> None:
    units = ReservedCapacity(arn="arn:pt", name="chat-pt", num_units=2, tokens_per_minute=1200.0)

    async def scenario() -> None:
        await gate.ask(prompt=1000, most=200, capacity=units, quotas_of=())
        refused = await gate.fails(
            TOO_MANY_TOKENS + r"chat-pt has 2 model units: 1,200 tokens a minute on this machine\. "
            r"Enough of them are free in 5\.0 s\.$",
            prompt=50,
            most=50,
            capacity=units,
            quotas_of=(),
        )
        gate.wait(refused.retry_after_s)
        await gate.ask(prompt=50, most=50, capacity=units, quotas_of=())

    run(scenario)


def test_requests_at_once_share_what_there_is(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", tokens_per_minute=100)

    async def scenario() -> None:
        async with AsyncExitStack() as running:
            for _ in range(4):
                await running.enter_async_context(gate.allowance().one(0, 400))  # 25 are taken for each
            await gate.fails(TOO_MANY_TOKENS, prompt=1, most=0)
        await gate.ask(prompt=100, most=0)  # none of them answered

    run(scenario)


def test_a_quota_that_is_changed_or_removed_holds_with_the_next_request(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", requests_per_minute=1)

    async def scenario() -> None:
        await gate.ask()
        await gate.fails(TOO_MANY_REQUESTS)
        gate.limit(Scope.USER, "ada", requests_per_minute=60)
        gate.wait(1)
        await gate.ask()
        await gate.fails(TOO_MANY_REQUESTS)
        assert gate.quotas.remove(Scope.USER, "ada")
        await gate.ask()
        assert not gate.quotas.remove(Scope.USER, "ada")

    run(scenario)


def test_a_quota_whose_record_is_damaged_holds_for_nobody_and_stops_nobody(gate: Gate) -> None:
    gate.limit(Scope.USER, "ada", requests_per_minute=1)
    gate.limit(Scope.USER, "bob", requests_per_minute=1)
    row = gate.store.resources.get("quota/user:ada")
    assert row is not None
    gate.store.resources.replace(row, at=gate.clock.now(), document={"scope": "user", "name": "ada"})

    async def scenario() -> None:
        for _ in range(3):
            await gate.ask(ADA)
        await gate.ask(BOB)
        await gate.fails(TOO_MANY_REQUESTS, BOB)

    run(scenario)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({}, r"^user:ada: a quota limits requests or tokens a minute\. Give at least one of them\.$"),
        ({"requests_per_minute": 0}, r"^user:ada: 0 requests a minute are below the least value 1\. To forbid"),
        ({"tokens_per_minute": -5, "requests_per_minute": 1}, r"^user:ada: -5 tokens a minute are below"),
    ],
)
def test_a_quota_that_limits_nothing_or_forbids_everything_is_refused(
    gate: Gate, limits: dict[str, int], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        gate.limit(Scope.USER, "ada", **limits)
    assert gate.quotas.all() == []


@pytest.mark.parametrize(
    ("service", "protocol", "operation", "code", "status"),
    [
        ("bedrock-runtime", "rest-json", "Converse", "ThrottlingException", 429),
        ("bedrock-runtime", "rest-json", "InvokeModelWithResponseStream", "ThrottlingException", 429),
        ("bedrock", "rest-json", "CreateModelCustomizationJob", "ThrottlingException", 429),
        ("s3", "rest-xml", "GetObject", "SlowDown", 503),
        ("iam", "query", "GetUser", "Throttling", 400),
        ("bedrock-runtime", OPENAI, "InvokeModel", "rate_limit_exceeded", 429),
    ],
)
def test_the_service_says_it_in_its_own_words_and_how_long_to_wait(
    service: str, protocol: str, operation: str, code: str, status: int
) -> None:
    error = Throttled("Too many tokens.", retry_after_s=1.2)
    model = service_model.operation(service, operation)
    found = failures.failure(error, service=service, protocol=protocol, operation=model)
    assert (found.code, found.status, found.headers["Retry-After"]) == (code, status, "2")
    assert metric_of(found.status, found.code) == "InvocationThrottles"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    per_minute=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 400), st.integers(0, 400)), max_size=40),
)
def test_over_any_time_no_more_goes_out_than_the_rate_and_one_bucket(
    per_minute: int, steps: list[tuple[float, int, int]]
) -> None:
    clock = MovableClock()
    bucket, began, spent = TokenBucket(per_minute, clock.now()), clock.now(), 0.0
    for pause, taken, used in steps:
        clock.move(timedelta(seconds=pause))
        wait_s = bucket.wait_s(taken, clock.now())
        if wait_s:
            clock.move(timedelta(seconds=wait_s))
            assert bucket.wait_s(taken, clock.now()) < 1e-3
        before = spent
        bucket.take(taken)
        bucket.put_back(taken - used)
        spent += used
        minutes = (clock.now() - began).total_seconds() / 60
        assert before <= per_minute * (1 + minutes) + 1e-3
        assert 0 <= bucket.left(clock.now()) <= per_minute + 1e-9


def test_a_clock_that_is_set_back_gives_nothing_away(gate: Gate) -> None:
    bucket = TokenBucket(60, gate.clock.now())
    bucket.take(60)
    gate.wait(-3600)
    assert bucket.wait_s(1, gate.clock.now()) == pytest.approx(1)
    gate.wait(1)
    assert bucket.wait_s(1, gate.clock.now()) == 0
