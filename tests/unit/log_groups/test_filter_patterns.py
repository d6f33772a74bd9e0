"""Filter patterns: which messages each keeps, and what is wrong with those that are none."""

import pytest

from outcrop.errors import Invalid
from outcrop.log_groups.filter_patterns import parse

LINES = (
    "[ERROR 400] BAD REQUEST",
    "[ERROR 401] UNAUTHORIZED REQUEST",
    "[ERROR 419] MISSING ARGUMENTS",
    "[WARN] slow",
    "Japanese: 警告",
)
TRAIL = (
    '{"event": "UpdateTrail", "ip": "123.123.4.5", "code": 301, "user": {"id": 1, "roles": ["a", "b"]}, "gone": null}',
    '{"event": "DeleteTrail", "ip": "10.0.0.1", "code": 404.5, "ok": true, "a.b": "x", "text": "say \\"hi\\""}',
    "no JSON with a { brace",
    '"a text"',
)


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("ERROR", [0, 1, 2]),
        ("error", []),
        ("ERROR REQUEST", [0, 1]),
        ('"BAD REQUEST"', [0]),
        ('"[WARN]"', [3]),
        ("?WARN ?MISSING", [2, 3]),
        ("ERROR ?WARN", [0, 1, 2]),
        ("ERROR -ARGUMENTS", [0, 1]),
        ('-ERROR -"警告"', [3]),
        ("-ERROR", [3, 4]),
        ("警告", [4]),
    ],
)
def test_terms_keep_lines(pattern: str, kept: list[int]) -> None:
    matches = parse(pattern)
    assert [place for place, line in enumerate(LINES) if matches is None or matches(line)] == kept


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ('{ $.event = "UpdateTrail" }', [0]),
        ('{ $.event != "UpdateTrail" }', [1]),
        ("{ $.event = *Trail }", [0, 1]),
        ('{ $.event = "*date*ail" }', [0]),
        ('{ $.event = "*eTrailx*" }', []),
        ("{ $.ip != 123.123.* }", [1]),
        ("{ $.nothing != x }", []),
        ("{ $.code = 301 }", [0]),
        ("{ $.code != 301 }", [1]),
        ("{ $.code > 3.01e2 }", [1]),
        ("{ $.code >= 301 && $.code <= 301 }", [0]),
        ("{ $.code < 302 || $.ok IS TRUE }", [0, 1]),
        ("{ $.ok IS FALSE }", []),
        ("{ $.gone IS NULL }", [0]),
        ("{ $.gone NOT EXISTS }", [1]),
        ('{ $.user.roles[1] = "b" }', [0]),
        ("{ $.user.roles[9] NOT EXISTS && $.user.id = 1 }", [0]),
        ("{ $['a.b'] = x }", [1]),
        ('{ $.text = "say \\"hi\\"" }', [1]),
        ('{ ($.event = "U*" || $.event = "D*") && $.code = 301 }', [0]),
        ('{ $.event = "U*" || $.event = "D*" && $.code = 301 }', [0]),
    ],
)
def test_json_patterns_keep_objects(pattern: str, kept: list[int]) -> None:
    matches = parse(pattern)
    assert matches is not None
    assert [place for place, line in enumerate(TRAIL) if matches(line)] == kept


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ('"open', "a quotation mark is not closed"),
        ("a:b", "invalid character(s) in term 'a:b'"),
        ("-", "invalid character(s) in term '-'"),
        ("%a%", "regular expressions (%…%) are not built"),
        ("[a, b]", "patterns of fields between spaces ([…]) are not built"),
        ("{ $.a", "the brace is not closed"),
        ("{ }", "expected a selector such as $.level, found 'the end'"),
        ("{ $.a }", "expected =, !=, <, <=, > or >=, IS or NOT EXISTS, found 'the end'"),
        ("{ $.a = }", "expected a value, found 'the end'"),
        ("{ $.a && 1 }", "expected a comparison, found '&&'"),
        ('{ $.a < "b" }', "< compares numbers, and 'b' is none"),
        ("{ $.a IS OPEN }", "expected NULL, TRUE or FALSE behind IS, found 'OPEN'"),
        ("{ $.a NOT }", "expected EXISTS"),
        ("{ ($.a = 1 }", "expected ')', found 'the end'"),
        ("{ $.a = 1 $.b = 2 }", "expected &&, || or the end, found '$.b'"),
        ("{ $.a[x] = 1 }", "'x' is no place in a list"),
        ("{ $.a.* = 1 }", "wildcards in selectors ($.a.*) are not built"),
        ("{ $.a = %x% }", "regular expressions (%…%) are not built"),
        ("{ " + "(" * 60 + "$.a = 1" + ")" * 60 + " }", "nested too deep"),
    ],
)
def test_a_pattern_that_is_none_says_why(pattern: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(pattern)
    assert told in refused.value.message


def test_many_wildcards_over_a_long_text_take_no_time() -> None:
    matches = parse('{ $.a = "' + "*a" * 400 + '*b" }')
    assert matches is not None
    assert not matches('{"a": "' + "a" * 100_000 + '"}')
