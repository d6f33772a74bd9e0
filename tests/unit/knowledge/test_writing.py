"""Prompts that fit the context: passages by rank, whole ones or whole sentences, and what was left out in the log."""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from outcrop.errors import InputTooLong
from outcrop.invocation.exchange import uncounted
from outcrop.knowledge.answering.settings import WritingSettings
from outcrop.knowledge.answering.talks import TalkTurn
from outcrop.knowledge.answering.writing import ShownPassages, Tally, Writer
from outcrop.knowledge.passages import Found
from tests.support.found_passages import found
from tests.support.small_tokenizers import CHATML
from tests.support.spoken_target import chatting

SENTENCES = "The first sentence is here. The second sentence is here. The third sentence is here. "
PASSAGES = [found(f"{SENTENCES}Of passage {number}.", number=number) for number in range(5)]
TURN = TalkTurn(question="What came before?", answer="A word. " * 8)


def shown(
    folder: Path, context: int, *, passages: list[Found] = PASSAGES, turns: tuple[TalkTurn, ...] = ()
) -> ShownPassages:
    async def fit() -> ShownPassages:
        async with chatting(folder, "yes", template=CHATML, context_length=context) as (target, _):
            writer = Writer(target=target, now=lambda: datetime(2026, 5, 4, tzinfo=UTC), tally=Tally(uncounted))
            return await writer.fit(lambda results: f"Answer.\n{results}", passages, turns, WritingSettings())

    return asyncio.run(fit())


def test_all_passages_are_shown_where_there_is_room(tmp_path: Path) -> None:
    assert [text for _, text in shown(tmp_path, 8192).passages] == [one.text for one in PASSAGES]


@pytest.mark.parametrize("context", [160, 200, 240, 300, 400, 500, 700])
def test_a_prompt_holds_whole_sentences_by_rank(tmp_path: Path, context: int) -> None:
    fitting = shown(tmp_path, context).passages
    assert fitting
    assert [one for one, _ in fitting] == PASSAGES[: len(fitting)]
    assert all(text == one.text for one, text in fitting[:-1])
    last, text = fitting[-1]
    assert last.text.startswith(text)
    assert text.rstrip().endswith(".")


def test_more_room_never_shows_less(tmp_path: Path) -> None:
    lengths = [len(shown(tmp_path / str(context), context).told) for context in range(150, 900, 75)]
    assert lengths == sorted(lengths)


def test_what_does_not_fit_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="outcrop.knowledge"):
        fitting = shown(tmp_path, 300)
    told = " ".join(str(record.__dict__) for record in caplog.records)
    assert "passages do not fit the prompt" in told
    assert "chunk-4" in told
    assert len(fitting.passages) < len(PASSAGES)


def test_earlier_turns_give_way_to_the_first_passage(tmp_path: Path) -> None:
    assert shown(tmp_path / "wide", 8192, turns=(TURN,) * 5).turns == (TURN,) * 3
    narrow = shown(tmp_path / "narrow", 260, turns=(TURN,) * 3)
    assert len(narrow.turns) < 3
    assert narrow.passages


def test_a_prompt_with_no_room_for_a_passage_shows_none(tmp_path: Path) -> None:
    assert shown(tmp_path, 60).passages == ()


def test_a_prompt_that_is_too_long_by_itself_is_refused_by_the_model(tmp_path: Path) -> None:
    async def ask() -> None:
        async with chatting(tmp_path, "yes", template=CHATML, context_length=64) as (target, _):
            writer = Writer(target=target, now=lambda: datetime(2026, 5, 4, tzinfo=UTC), tally=Tally(uncounted))
            await writer.text("word " * 200, WritingSettings())

    with pytest.raises(InputTooLong):
        asyncio.run(ask())


def test_tokens_of_several_requests_are_counted_together() -> None:
    told: list[tuple[int, int]] = []
    tally = Tally(lambda read, made: told.append((read, made)))
    tally.count(10, 1)
    tally.count(10, 3)
    tally.next()
    tally.count(20, 1)
    assert told == [(10, 1), (10, 3), (30, 4)]
