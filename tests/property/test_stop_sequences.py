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


SPECIAL = ["<|end|>", "</s>", "<a>", "ab"]
parts = st.lists(st.one_of(st.tuples(st.text("ab<|>/s", max_size=6), st.just(False)),
                           st.tuples(st.sampled_from(SPECIAL), st.just(True))), max_size=8)  # fmt: skip
stops_with_specials = st.lists(
    st.one_of(st.text("ab<|>/s", min_size=1, max_size=4), st.lists(st.sampled_from(SPECIAL), min_size=1, max_size=3).map("".join)),
    max_size=3,
)  # fmt: skip


def plain_reading(parts: list[tuple[str, bool]], stop_sequences: list[str]) -> tuple[str, str | None]:
    """Letter by letter: a stop sequence is met in the text with its special tokens, or in the text without them."""
    letters = [(letter, special) for text, special in parts for letter in text]
    for end in range(1, len(letters) + 1):
        spelled = "".join(letter for letter, _ in letters[:end])
        shown = [at for at in range(end) if not letters[at][1]]
        begins = [(end - len(stop), stop) for stop in stop_sequences if spelled.endswith(stop)]
        if not letters[end - 1][1]:
            text = "".join(letters[at][0] for at in shown)
            begins += [(shown[len(shown) - len(stop)], stop) for stop in stop_sequences if text.endswith(stop)]
        if begins:
            begin, met = min(begins)
            return "".join(letter for letter, special in letters[:begin] if not special), met
    return "".join(letter for letter, special in letters if not special), None


@given(parts=parts, stop_sequences=stops_with_specials)
def test_special_tokens_are_never_shown_and_complete_a_stop_sequence(
    parts: list[tuple[str, bool]], stop_sequences: list[str]
) -> None:
    scanner = StopScanner(tuple(stop_sequences))
    shown = [scanner.push(text, special=special) for text, special in parts] + [scanner.finish()]
    assert ("".join(shown), scanner.met) == plain_reading(parts, stop_sequences)
