"""Talks: kept by their owner, unknown to everybody else, gone after an hour."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.knowledge.answering.talks import MOST_TURNS, Talks, TalkScope, TalkTurn
from outcrop.store.database import open_database

NOW = datetime(2026, 5, 4, tzinfo=UTC)
ADA = TalkScope(owner="arn:aws:iam::123456789012:user/ada", region="us-east-1", subject="KB00000001")
TURN = TalkTurn(question="What is the fee?", answer="5 dollars.")


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Talks]:
    engine = open_database(f"sqlite:///{tmp_path / 'talks.db'}")
    yield Talks(engine)
    engine.dispose()


def test_a_talk_goes_on_where_it_was(talks: Talks) -> None:
    talk = talks.resume(None, ADA, now=NOW)
    assert talk.turns == ()
    talks.add(talk, TURN, now=NOW)
    again = talks.resume(talk.id, ADA, now=NOW + timedelta(minutes=59))
    assert again.turns == (TURN,)
    talks.add(again, replace(TURN, question="And now?"), now=NOW + timedelta(minutes=59))
    assert len(talks.resume(talk.id, ADA, now=NOW + timedelta(minutes=100)).turns) == 2


@pytest.mark.parametrize(
    "other",
    [
        replace(ADA, owner="arn:aws:iam::123456789012:user/bob"),
        replace(ADA, region="eu-west-1"),
        replace(ADA, subject="KB00000002"),
    ],
)
def test_a_talk_is_nobody_elses(talks: Talks, other: TalkScope) -> None:
    talk = talks.resume(None, ADA, now=NOW)
    talks.add(talk, TURN, now=NOW)
    with pytest.raises(Invalid) as refused:
        talks.resume(talk.id, other, now=NOW)
    with pytest.raises(Invalid) as unknown:
        talks.resume(talk.id[::-1], ADA, now=NOW)
    assert refused.value.message == unknown.value.message.replace(talk.id[::-1], talk.id)
    assert refused.value.message.startswith(f"Session with Id {talk.id} is not valid. Please check and try again.")


def test_an_id_cannot_be_chosen_and_a_talk_without_an_answer_is_not_kept(talks: Talks) -> None:
    with pytest.raises(Invalid):
        talks.resume("my-own", ADA, now=NOW)
    talk = talks.resume(None, ADA, now=NOW)
    with pytest.raises(Invalid):
        talks.resume(talk.id, ADA, now=NOW)


def test_an_hour_after_its_last_answer_a_talk_is_gone(talks: Talks) -> None:
    talk = talks.resume(None, ADA, now=NOW)
    talks.add(talk, TURN, now=NOW)
    with pytest.raises(Invalid):
        talks.resume(talk.id, ADA, now=NOW + timedelta(minutes=61))


def test_two_answers_of_one_talk_at_a_time_are_both_kept(talks: Talks) -> None:
    talk = talks.resume(None, ADA, now=NOW)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: talks.add(talk, replace(TURN, answer=str(n)), now=NOW), range(8)))
    assert {turn.answer for turn in talks.resume(talk.id, ADA, now=NOW).turns} == {str(n) for n in range(8)}


def test_the_latest_turns_are_kept(talks: Talks) -> None:
    talk = talks.resume(None, ADA, now=NOW)
    for number in range(MOST_TURNS + 3):
        talks.add(talk, replace(TURN, answer=str(number)), now=NOW)
    turns = talks.resume(talk.id, ADA, now=NOW).turns
    assert (len(turns), turns[0].answer) == (MOST_TURNS, "3")
