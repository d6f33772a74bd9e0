"""JSON is accepted and refused as RFC 8259 says; what it leaves open is decided here, and said."""

import json
from typing import Any

import pytest

from outcrop.datasets.json_lines import ELEMENT, JsonError, parse

ACCEPTED: list[tuple[bytes, Any]] = [
    (b"{}", {}),
    (b'{"a":[]}', {"a": []}),
    (b'{"":0}', {"": 0}),
    (b'{"a":[1,null,1,"2",{}]}', {"a": [1, None, 1, "2", {}]}),
    (b'\t{ "a" :\t"b" } \r\n', {"a": "b"}),
    (b'{"a":-0}', {"a": 0}),
    (b'{"a":0e+1}', {"a": 0.0}),
    (b'{"a":123.456E-2}', {"a": 1.23456}),
    (b'{"a":1E22}', {"a": 1e22}),
    (b'{"a":true,"b":false,"c":null}', {"a": True, "b": False, "c": None}),
    (b'{"a":"\\" \\\\ \\/ \\b \\f \\n \\r \\t"}', {"a": '" \\ / \b \f \n \r \t'}),
    (b'{"a":"\\u0041\\uD83D\\uDE00"}', {"a": "A\U0001f600"}),
    (b'{"a":"\\u0000"}', {"a": "\x00"}),
    ('{"a":"€𝄞\u2028\u2029\x7f\ufffe"}'.encode(), {"a": "€𝄞\u2028\u2029\x7f\ufffe"}),
    ('{"古":"池"}'.encode(), {"古": "池"}),
    (b'"a"', "a"),
    (b"12", 12),
    (b"null", None),
    # Left open: half a character may be written; it is told by the record's field.
    (b'{"a":"\\uD800"}', {"a": "\ud800"}),
    # Left open: numbers beyond a double's range.
    (b'{"a":1e999}', {"a": float("inf")}),
    (b'{"a":-1e-999}', {"a": -0.0}),
]
REFUSED: list[tuple[bytes, str, str]] = [
    (b"", "column 1", "not JSON, the line ends too early"),
    (b"{", "column 2", "not JSON, the line ends too early"),
    (b'{"a"}', "column 5", "not JSON, expected ':'"),
    (b'{"a":}', "column 6", "not JSON, expected a value"),
    (b'{"a":1,}', "column 8", "not JSON, expected a key in double quotes"),
    (b'{,"a":1}', "column 2", "not JSON, expected a key in double quotes"),
    (b'{"a":1,,"b":2}', "column 8", "not JSON, expected a key in double quotes"),
    (b'{"a":[1,]}', "column 9", "not JSON, expected a value"),
    (b'{"a":[1 2]}', "column 9", "not JSON, expected ','"),
    (b'{"a":1 "b":2}', "column 8", "not JSON, expected ','"),
    (b'{"a":1}}', "column 8", "not JSON, expected the end of the line"),
    (b'{"a":1} // end', "column 9", "not JSON, expected the end of the line"),
    (b'{"a":/* one */1}', "column 6", "not JSON, expected a value"),
    (b"{'a':1}", "column 2", "not JSON, expected a key in double quotes"),
    (b"{\"a\":'b'}", "column 6", "not JSON, expected a value"),
    (b"{a:1}", "column 2", "not JSON, expected a key in double quotes"),
    (b"{1:1}", "column 2", "not JSON, expected a key in double quotes"),
    (b'{"a":01}', "column 7", "not JSON, expected ','"),
    (b'{"a":+1}', "column 6", "not JSON, expected a value"),
    (b'{"a":.5}', "column 6", "not JSON, expected a value"),
    (b'{"a":1.}', "column 7", "not JSON, expected ','"),
    (b'{"a":1e}', "column 7", "not JSON, expected ','"),
    (b'{"a":0x1}', "column 7", "not JSON, expected ','"),
    (b'{"a":1_000}', "column 7", "not JSON, expected ','"),
    ('{"a":１}'.encode(), "column 6", "not JSON, expected a value"),
    (b'{"a":- 1}', "column 6", "not JSON, expected a value"),
    (b'{"a":NaN}', "", "not JSON, NaN is no value"),
    (b'{"a":Infinity}', "", "not JSON, Infinity is no value"),
    (b'{"a":-Infinity}', "", "not JSON, -Infinity is no value"),
    (b'{"a":nan}', "column 6", "not JSON, expected a value"),
    (b'{"a":True}', "column 6", "not JSON, True is Python's"),
    (b'{"a":None}', "column 6", "not JSON, None is Python's"),
    (b'{"a":TRUE}', "column 6", "not JSON, expected a value"),
    (b'{"a":undefined}', "column 6", "not JSON, expected a value"),
    (b'{"a":"b}', "column 6", "not JSON, the string that begins here does not end"),
    (b'{"a":"\\x41"}', "column 7", "not JSON, invalid \\escape"),
    (b'{"a":"\\u12"}', "column 8", "not JSON, invalid \\uXXXX escape"),
    (b'{"a":"\\u+123"}', "column 8", "not JSON, invalid \\uXXXX escape"),
    (b'{"a":"\\uZZZZ"}', "column 8", "not JSON, invalid \\uXXXX escape"),
    (b'{"a":"\\"}', "column 6", "not JSON, the string that begins here does not end"),
    (b'{"a":"b\tc"}', "column 8", "not JSON, a control character in a string, such as a tab or a line break"),
    (b'{"a":"b\x1fc"}', "column 8", "not JSON, a control character in a string, such as a tab or a line break"),
    (b'{"a":\x0c1}', "column 6", "not JSON, expected a value"),
    (b'{"a":\xc2\xa01}', "column 6", "not JSON, expected a value"),
    (b'\xef\xbb\xbf{"a":1}', "column 1", "not JSON, a byte order mark that does not begin the file"),
    (b'{"a":"\xff"}', "byte 7", "not UTF-8"),
    (b'{"a":"\xc0\xaf"}', "byte 7", "not UTF-8"),
    (b'{"a":"\xed\xa0\x80"}', "byte 7", "not UTF-8"),
    (b'{"a":"\xf4\xbf\xbf\xbf"}', "byte 7", "not UTF-8"),
    (b'{"a":"\xe2\x82"}', "byte 7", "not UTF-8"),
    (b'{"a":"b\x00"}', "column 8", "a NUL byte"),
    # Left open: of two values of one key any may be meant.
    (b'{"a":1,"a":1}', "a", "written twice"),
    (b'{"a":{"b":1,"b":2}}', "b", "written twice"),
    # Limits that the RFC allows: depth, and digits.
    (b'{"a":' + b"[" * 100_000, "", "nested too deeply"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "", "nested too deeply"),
]


@pytest.mark.parametrize(("content", "value"), ACCEPTED, ids=[repr(content[:24]) for content, _ in ACCEPTED])
def test_what_is_json_is_read(content: bytes, value: Any) -> None:
    assert parse(content) == value
    assert json.dumps(parse(content)) == json.dumps(value)


@pytest.mark.parametrize(("content", "place", "what"), REFUSED, ids=[repr(content[:24]) for content, *_ in REFUSED])
def test_what_is_no_json_is_refused_with_its_place(content: bytes, place: str, what: str) -> None:
    with pytest.raises(JsonError) as refused:
        parse(content)
    assert (refused.value.field, refused.value.what) == (place, what)


def test_a_number_of_very_many_digits_is_refused() -> None:
    with pytest.raises(JsonError, match=r"^a number of more than 4,300 digits$"):
        parse(b'{"a":' + b"1" * 5000 + b"}")


def test_in_an_array_places_are_counted_in_the_record() -> None:
    with pytest.raises(JsonError) as refused:
        parse(b'{"a":1\n,}', ELEMENT)
    assert (refused.value.field, refused.value.mend) == ("character 9", "Write the record with a JSON library.")
