"""A stream behind a guardrail is the same however it is cut, and shows nothing that is blocked or masked."""

import asyncio
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.guardrails.applying import GuardedRequest
from outcrop.guardrails.assessment import Applied
from outcrop.guardrails.entities import MATCHERS
from outcrop.guardrails.expressions import matcher_of
from outcrop.guardrails.guard import Guard
from outcrop.guardrails.matching import Action, Side, TextRule, TextScanner, masked, scan
from outcrop.guardrails.words import WordMatcher
from outcrop.invocation.exchange import AnswerPiece, Finish, Finished

BLOCKED = ("secret plan", "ass", "ばか者", "plan")
MASKED = ("EMAIL", "PHONE", "CREDIT_DEBIT_CARD_NUMBER", "URL", "IP_ADDRESS", "PASSWORD", "AGE", "MAC_ADDRESS")
FRAGMENTS = (
    "secret", " ", "  ", "\n", "plan", "ass", "ess", "\u200b", "ばか", "者", "Ｐｌａｎ", "a", "ann", "@", "example", ".com", ".",
    "555", "-", "0100", "(206) 555-0100", "4111 1111 1111 1111", "https://", "www.", "x/y", "10.0.0.1", ":", "password",
    "is ", "hunter2", "41", " years old", "歳", "ID-", "77", "x" * 40, "00:1a:2b:3c:4d:5e", "ſ", "ﬁ",
)  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=24).map("".join)
rules = [
    TextRule(policy="word", name="", matcher=WordMatcher(BLOCKED), actions={Side.OUTPUT: Action.BLOCK}),
    *(
        TextRule(policy="entity", name=kind, matcher=MATCHERS[kind], actions={Side.OUTPUT: Action.ANONYMIZE})
        for kind in MASKED
    ),
    TextRule(
        policy="expression",
        name="ID",
        matcher=matcher_of({"name": "ID", "pattern": r"ID-\d{2,4}"}, at=""),
        actions={Side.OUTPUT: Action.ANONYMIZE},
    ),
]
without_bound = TextRule(
    policy="expression",
    name="ALL",
    matcher=matcher_of({"name": "ALL", "pattern": r"x\S+x(?=.*y)"}, at=""),
    actions={Side.OUTPUT: Action.ANONYMIZE},
)


def cut_at(text: str, places: list[int]) -> list[str]:
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[begin:end] for begin, end in pairwise(ends)]


def expected(text: str, looked_for: list[TextRule]) -> tuple[str, bool]:
    """What may be shown of a text: all of it, masked, up to the first place that blocks."""
    scanned = scan(text, looked_for, Side.OUTPUT)
    blocks = [place.start for place in scanned.places if place.action is Action.BLOCK]
    if not blocks:
        return scanned.masked, False
    before = [place for place in scanned.places if place.start < blocks[0]]
    covered = max([blocks[0], *(place.end for place in before if place.action is Action.ANONYMIZE)])
    shown = masked(text[:covered], before)
    return shown, True


@settings(max_examples=150, deadline=None)
@given(text=texts, places=st.lists(st.integers(0, 2000), max_size=30), unbounded=st.booleans())
def test_a_text_is_shown_alike_however_it_is_cut(text: str, places: list[int], unbounded: bool) -> None:
    looked_for = [*rules, without_bound] if unbounded else rules
    scanner = TextScanner(looked_for, Side.OUTPUT)
    shown = [scanner.push(piece) for piece in cut_at(text, places)]
    shown.append(scanner.finish())
    assert ("".join(shown), scanner.blocked) == expected(text, looked_for)


@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_what_was_shown_letter_by_letter_never_held_a_blocked_word(text: str) -> None:
    scanner, shown = TextScanner(rules, Side.OUTPUT), ""
    words = WordMatcher(BLOCKED)
    for letter in text:
        shown += scanner.push(letter)
        assert not [*words.candidates(shown + ".", 0)]


def guard() -> Guard:
    return Guard(
        applied=Applied("g", "arn:g", "1"),
        messages={Side.INPUT: "No.", Side.OUTPUT: "Sorry."},
        rules=tuple(rules),
    )


def streamed(parts: list[tuple[Any, str]], whole: Finished) -> tuple[list[Any], GuardedRequest]:
    request = GuardedRequest(guard(), trace="enabled")
    answer, shown = request.streamed(), list[Any]()

    async def take() -> None:
        block, last = -1, None
        for number, (part, text) in enumerate(parts):
            block, opens, last = block + (part != last), part != last, part
            piece = AnswerPiece(
                text=text, num_output_tokens=number, first=not number, part=part, block=block, opens=opens
            )
            if not answer.over:
                shown.extend(await answer.take(piece))
        if not answer.over:
            shown.extend(await answer.take(whole))

    asyncio.run(take())
    return shown, request


@settings(max_examples=80, deadline=None)
@given(
    thought=texts,
    said=texts.filter(bool),
    places=st.lists(st.integers(0, 500), max_size=12),
    more=st.lists(st.integers(0, 500), max_size=12),
)
def test_blocks_of_a_stream_stay_well_formed(thought: str, said: str, places: list[int], more: list[int]) -> None:
    parts = [("reasoning", each) for each in cut_at(thought, places)] + [("text", each) for each in cut_at(said, more)]
    whole = Finished(
        text=said, reasoning=thought, num_output_tokens=len(parts), finish=Finish.END, num_blocks=2 if thought else 1
    )
    shown, request = streamed(parts, whole)
    *pieces, last = shown
    assert isinstance(last, Finished)
    assert [piece.block for piece in pieces if piece.opens] == [*range(last.num_blocks)]
    assert [piece.block for piece in pieces] == sorted(piece.block for piece in pieces)
    assert "".join(piece.text for piece in pieces if piece.part == "text") == last.text
    assert "".join(piece.text for piece in pieces if piece.part == "reasoning") == last.reasoning
    assert [piece.first for piece in pieces] == [number == 0 for number in range(len(pieces))]
    assert (last.finish is Finish.GUARDRAIL) == last.text.endswith("Sorry.")
    assert request.intervened == ((last.text, last.reasoning) != (said, thought))
