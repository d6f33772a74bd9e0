"""Sessions of programs: active until they end or idle, readable for thirty days, then gone."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.clock import MovableClock
from outcrop.errors import Conflict, NotFound
from outcrop.house import House
from outcrop.knowledge.agent_sessions.sessions import AgentSessions, AgentSessionStatus
from outcrop.settings import Settings

REGION = "us-east-1"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House.open(Settings(home=tmp_path / "home"), MovableClock()) as opened:
        yield opened


@pytest.fixture
def sessions(house: House) -> AgentSessions:
    return house.agent_sessions


def test_a_session_is_expired_after_an_hour_without_a_change(house: House, sessions: AgentSessions) -> None:
    clock = house.clock
    assert isinstance(clock, MovableClock)
    row = sessions.create(REGION, {}, {})
    clock.move(timedelta(minutes=59))
    row = sessions.update(row, {"a": "b"})
    clock.move(timedelta(minutes=59))
    assert sessions.status(row) is AgentSessionStatus.ACTIVE
    clock.move(timedelta(minutes=2))
    row = sessions.find(REGION, row.arn)
    assert sessions.status(row) is AgentSessionStatus.EXPIRED
    assert row.document["sessionMetadata"] == {"a": "b"}
    with pytest.raises(Conflict, match="is EXPIRED, and takes nothing more"):
        sessions.add_invocation(row, None, "")
    sessions.delete(row)


def test_thirty_days_later_it_is_gone_with_all_that_was_in_it(house: House, sessions: AgentSessions) -> None:
    clock = house.clock
    assert isinstance(clock, MovableClock)
    row = sessions.create(REGION, {}, {"a": "b"})
    invocation = sessions.add_invocation(row, None, "")
    sessions.add_step(row, invocation.id, None, clock.now(), "{}")
    clock.move(timedelta(days=31))
    with pytest.raises(NotFound):
        sessions.find(REGION, row.arn)
    sessions.create(REGION, {}, {})  # which takes old ones away
    assert house.store.resources.get(row.arn) is None
    assert sessions.records.invocations(row.arn, after=None, most=10) == []
    assert house.store.tags.get(row.arn) == {}


def test_an_active_session_is_not_deleted_and_an_ended_one_takes_nothing(sessions: AgentSessions) -> None:
    row = sessions.create(REGION, {}, {})
    with pytest.raises(Conflict, match="End it with EndSession before you delete it"):
        sessions.delete(row)
    row = sessions.end(row)
    for change in (
        lambda: sessions.end(row),
        lambda: sessions.update(row, {}),
        lambda: sessions.add_invocation(row, None, ""),
    ):
        with pytest.raises(Conflict, match="is ENDED, and takes nothing more"):
            change()


def test_ids_are_unique_where_they_are_given(house: House, sessions: AgentSessions) -> None:
    row, other = sessions.create(REGION, {}, {}), sessions.create(REGION, {}, {})
    made = sessions.add_invocation(row, "one", "")
    assert sessions.add_invocation(other, "one", "").id == made.id
    with pytest.raises(Conflict, match="The invocation one exists already in this session"):
        sessions.add_invocation(row, "one", "")
    sessions.add_step(row, "one", "step", house.clock.now(), "{}")
    with pytest.raises(Conflict, match="The step step exists already in this invocation"):
        sessions.add_step(row, "one", "step", house.clock.now(), "{}")
    with pytest.raises(NotFound, match="The invocation two was not found in this session"):
        sessions.add_step(row, "two", None, house.clock.now(), "{}")
    with pytest.raises(NotFound, match="The step none was not found"):
        sessions.records.step(row.arn, "one", "none")


def test_a_session_of_another_region_is_not_there(sessions: AgentSessions) -> None:
    row = sessions.create(REGION, {}, {})
    with pytest.raises(NotFound):
        sessions.find("eu-west-1", row.arn.rpartition("/")[2])
    with pytest.raises(NotFound):
        sessions.find("eu-west-1", row.arn)
