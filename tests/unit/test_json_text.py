"""JSON from outside: whatever is taken can be written, compared and walked; the rest is refused in one sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.protocol.values.json_text import DEEPEST, NotJson, loads

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec=None)), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"[" * 200_000, "it is nested more than 200 levels deep"),
        (b'{"a":' * 200_000, "it is nested more than 200 levels deep"),
        (b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2), "it is nested more than 200 levels deep"),
        (b'{"a": 1e999}', "the number 1e999 is too large"),
        (b"[-1e400]", "the number -1e400 is too large"),
        (b"[1E+0400]", "the number 1E+0400 is too large"),
        (b"[0.5, " + b"1" * 400 + b".5]", f"the number {'1' * 40} is too large"),
        (b"[" + b"1" * 220 + b"e99]", f"the number {'1' * 40} is too large"),
        ("[1e309]".encode("utf-16"), "the number 1e309 is too large"),
        (b"[" * 201 + b"1" + b"]" * 201, "it is nested more than 200 levels deep"),
        (b"[NaN]", "NaN is no JSON value"),
        (b"-Infinity", "-Infinity is no JSON value"),
        (b"9" * 10_000, "a number has too many digits"),
        (b'"\\ud800"', "a text holds half of a surrogate pair, which is no character"),
        (b'{"a\\uDFFF": 1}', "a text holds half of a surrogate pair, which is no character"),
        (b'[{"a": ["x", "\\udc00\\ud800"]}]', "a text holds half of a surrogate pair, which is no character"),
        (b'"\xed\xa0\x80"', "it is not UTF-8 at byte 1"),
        (b"\xff\xfe{", "it is not UTF-16-LE at byte 2"),
        (b'{"a" 1}', "Expecting ':' delimiter at line 1, column 6"),
        (b"[] []", "Extra data at line 1, column 4"),
    ],
)
def test_what_is_not_taken_is_told(data: bytes, told: str) -> None:
    with pytest.raises(NotJson) as refused:
        loads(data)
    assert str(refused.value) == told


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'"\\ud83d\\ude00"', "😀"),
        ('"\\ud83d\\ude00 é"', "😀 é"),
        (b"\xef\xbb\xbf[1]", [1]),
        ('{"a": 1}'.encode("utf-16"), {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'"\\u0000"', "\0"),
        (b"1" * 4_000, int("1" * 4_000)),
        (b"[1e308, 1e-400, -2.5E+00, 0.1e0009]", [1e308, 0.0, -2.5, 1e8]),
        (b"[" + b"1" * 300 + b".5]", [float("1" * 300)]),
        (b'["e+999", 0.25]', ["e+999", 0.25]),
        (b"[" * DEEPEST + b"1" + b"]" * DEEPEST, json.loads("[" * DEEPEST + "1" + "]" * DEEPEST)),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), json.loads("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))),
        (b"[" * DEEPEST + b"]" * DEEPEST, json.loads("[" * DEEPEST + "]" * DEEPEST)),
        (b"[" + b"[]," * 5_000 + b"{}]", [[]] * 5_000 + [{}]),
    ],
)
def test_what_is_valid_is_taken(data: bytes | str, value: object) -> None:
    assert loads(data) == value


@given(anything)
def test_whatever_is_taken_can_be_written_as_utf8(value: object) -> None:
    try:
        taken = loads(json.dumps(value))
    except NotJson:
        return
    assert json.loads(json.dumps(taken, ensure_ascii=False, allow_nan=False).encode()) == taken == value
