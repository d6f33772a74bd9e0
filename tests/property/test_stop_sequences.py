"""A stop sequence ends the text at the same letter, however the text arrives."""

from hypothesis import given
from hypothesis import strategies as st

from outcrop.invocation.stopping import StopScanner

few_letters = st.text("ab\n猫", max_size=30)
stops = st.lists(st.text("ab\n猫", min_size=1, max_size=4), max_size=3)


def up_to_the_first_stop(text: str, stop_sequences: list[str]) -> tuple[str, str | None]:
    """The plain reading: grow the text letter by letter until it ends with a stop sequence, the longest that fits."""
    for end in range(1, len(text) + 1):
        met = [stop for stop in stop_sequences if text[:end].endswith(stop)]
        if met:
            longest = max(met, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(pieces=st.lists(few_letters), stop_sequences=stops)
def test_the_text_ends_before_the_first_stop_sequence(pieces: list[str], stop_sequences: list[str]) -> None:
    scanner = StopScanner(tuple(stop_sequences))
    shown = [scanner.push(piece) for piece in pieces] + [scanner.finish()]
    assert ("".join(shown), scanner.met) == up_to_the_first_stop("".join(pieces), stop_sequences)


@given(text=few_letters, stop_sequences=stops)
def test_no_letter_waits_that_cannot_become_a_stop_sequence(text: str, stop_sequences: list[str]) -> None:
    scanner = StopScanner(tuple(stop_sequences))
    shown = scanner.push(text)
    held = scanner.finish()
    assert scanner.met or text == shown + held
    assert not held or any(stop.startswith(held) for stop in stop_sequences)
