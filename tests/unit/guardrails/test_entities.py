"""Personal data told by patterns and checksums, and what only looks like it."""

import pytest

from outcrop.errors import Invalid
from outcrop.guardrails import checksums
from outcrop.guardrails.entities import BY_MODEL, MATCHERS
from outcrop.guardrails.expressions import matcher_of
from outcrop.guardrails.matching import Action, Side, TextRule, scan
from outcrop.protocol.service_model import load


def found(kind: str, text: str) -> list[str]:
    rule = TextRule(policy="entity", name=kind, matcher=MATCHERS[kind], actions={Side.INPUT: Action.BLOCK})
    return [place.text for place in scan(text, [rule], Side.INPUT).places]


def test_every_type_of_bedrock_is_told_by_a_pattern_or_asked_of_a_model() -> None:
    types = load("bedrock").shape_for("GuardrailPiiEntityType").enum
    assert set(types) == {*MATCHERS, *BY_MODEL}


@pytest.mark.parametrize(
    ("kind", "text", "places"),
    [
        ("EMAIL", "Write to ann.o+b@mail.example.co.jp, or b@c.", ["ann.o+b@mail.example.co.jp"]),
        ("EMAIL", "メールはann@example.jpです。", ["ann@example.jp"]),
        ("PHONE", "(206) 555-0100 or +44 20 7946 0958", ["(206) 555-0100", "+44 20 7946 0958"]),
        ("PHONE", "電話は090-1234-5678、固定は03-1234-5678。", ["090-1234-5678", "03-1234-5678"]),
        ("PHONE", "On 2024-01-02 at 10:20:30, version 1.2.3.4.5", []),
        ("CREDIT_DEBIT_CARD_NUMBER", "4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("CREDIT_DEBIT_CARD_NUMBER", "4111 1111 1111 1112, 0000000000000000", []),
        ("CREDIT_DEBIT_CARD_NUMBER", "378282246310005", ["378282246310005"]),
        ("CREDIT_DEBIT_CARD_CVV", "CVV: 123", ["123"]),
        ("CREDIT_DEBIT_CARD_EXPIRY", "exp 12/27", ["12/27"]),
        ("INTERNATIONAL_BANK_ACCOUNT_NUMBER", "GB82 WEST 1234 5698 7654 32", ["GB82 WEST 1234 5698 7654 32"]),
        ("INTERNATIONAL_BANK_ACCOUNT_NUMBER", "GB82 WEST 1234 5698 7654 33", []),
        ("SWIFT_CODE", "BIC: DEUTDEFF500, and a swift language", ["DEUTDEFF500"]),
        ("US_SOCIAL_SECURITY_NUMBER", "123-45-6789 but not 000-45-6789, 666-45-6789 or 900-45-6789", ["123-45-6789"]),
        ("US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", "912-70-1234", ["912-70-1234"]),
        ("US_BANK_ROUTING_NUMBER", "routing number 021000021, routing 021000022", ["021000021"]),
        ("US_BANK_ACCOUNT_NUMBER", "account number: 12345678", ["12345678"]),
        ("US_PASSPORT_NUMBER", "passport A12345678", ["A12345678"]),
        ("DRIVER_ID", "driver's license: D1234567", ["D1234567"]),
        ("LICENSE_PLATE", "plate ABC-1234; the plate is on the table", ["ABC-1234"]),
        ("VEHICLE_IDENTIFICATION_NUMBER", "1HGCM82633A004352 1HGCM82633A004353", ["1HGCM82633A004352"]),
        ("IP_ADDRESS", "10.0.0.1, 2001:db8::1, 300.1.1.1, 12:30", ["10.0.0.1", "2001:db8::1"]),
        ("MAC_ADDRESS", "00:1a:2b:3c:4d:5e", ["00:1a:2b:3c:4d:5e"]),
        ("URL", "See https://a.example/x?y=1. Or www.b.example.", ["https://a.example/x?y=1", "www.b.example"]),
        ("AWS_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE", ["AKIAIOSFODNN7EXAMPLE"]),
        ("AWS_SECRET_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"]),
        ("AWS_SECRET_KEY", "da39a3ee5e6b4b0d3255bfef95601890afd80709", []),
        ("PASSWORD", "The password is required. Password: hunter2!", ["hunter2!"]),
        ("USERNAME", "username: jdoe, a user name is required", ["jdoe"]),
        ("PIN", "PIN 1234", ["1234"]),
        ("AGE", "She is 40 years old; 四十ではなく41歳。", ["40 years old", "41歳"]),
        ("CA_SOCIAL_INSURANCE_NUMBER", "130-692-544 130-692-545", ["130-692-544"]),
        ("CA_HEALTH_NUMBER", "OHIP 1234-567-890", ["1234-567-890"]),
        ("UK_NATIONAL_HEALTH_SERVICE_NUMBER", "943 476 5919, 943 476 5918", ["943 476 5919"]),
        ("UK_NATIONAL_INSURANCE_NUMBER", "AB 12 34 56 C, GB123456A", ["AB 12 34 56 C"]),
        ("UK_UNIQUE_TAXPAYER_REFERENCE_NUMBER", "UTR 1123456789, UTR 2123456789", ["1123456789"]),
    ],
)  # fmt: skip
def test_what_is_one_is_found_and_what_only_looks_like_it_is_not(kind: str, text: str, places: list[str]) -> None:
    assert found(kind, text) == places


def test_a_custom_expression_named_for_it_finds_individual_numbers_with_their_check_digit() -> None:
    written = {"name": "JP_MY_NUMBER", "pattern": r"\b\d{4}[ -]?\d{4}[ -]?\d{4}\b"}
    matcher = matcher_of(written, at="x")
    looked_at = [candidate.found for candidate in matcher.candidates("1234 5678 9018 と 1234 5678 9012", 0)]
    assert looked_at == [(0, 14), None]
    assert checksums.my_number("123456789018")


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("(", "x.pattern: '(' is no regular expression: missing ) at position 1."),
        ("a*", "x.pattern: 'a*' is found in an empty text too. Let it describe one letter at least."),
        (r"(a|aa)+$", "x.pattern: '(a|aa)+$' takes more than 1 s over 65 letters."),
    ],
)
def test_an_expression_that_cannot_be_is_refused(pattern: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outcrop.guardrails.expressions.TRIAL_S", 0.02)
    with pytest.raises(Invalid) as refused:
        matcher_of({"name": "n", "pattern": pattern}, at="x")
    assert str(refused.value).startswith(sentence.replace("1 s", "0.02 s"))
