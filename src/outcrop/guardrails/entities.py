"""Bedrock's types of personal data that a pattern and a checksum can tell, and those that take a model.

A pattern is bounded, so that a stream is held back no longer than it is wide. Numbers without a checksum of their own
(an account, a passport, a PIN) are found behind a word that names them.

https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-sensitive-filters.html
"""

from collections.abc import Callable, Mapping

import regex

from outcrop.guardrails import checksums
from outcrop.guardrails.matching import PatternMatcher, anything

BY_MODEL = {
    "NAME": "the name of a person, without titles",
    "ADDRESS": "a postal address of a place or a person, or a part of one",
}
"Types that no pattern tells: what a judge is asked for."

_ASCII = r"[!-~]"
_LEFT, _RIGHT = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
_BETWEEN = r"(?:\s{0,2}(?:is|was|no\.?|number|code|は|が|[:=：＝#])){0,3}\s{0,2}[\"'「]?"
"What stands between the name of a thing and its value."
_COLON = r"\s{0,2}[:=：＝は]\s{0,2}[\"'「]?"
"That which no sentence about the thing has."


def _pattern(
    name: str,
    pattern: str,
    width: int,
    *,
    letters: str | None = None,
    check: Callable[[str], bool] = anything,
    by_group: bool = False,
) -> PatternMatcher:
    return PatternMatcher(
        name=name,
        pattern=regex.compile(pattern),
        width=width,
        letters=None if letters is None else regex.compile(letters),
        check=check,
        by_group=by_group,
    )


def _behind(
    name: str, words: str, value: str, *, check: Callable[[str], bool] = anything, between: str = _BETWEEN
) -> PatternMatcher:
    """A value, in capitals if any, behind one of some words."""
    pattern = rf"(?i)(?<![A-Za-z])(?:{words}){between}((?-i:{value})){_RIGHT}"
    return _pattern(name, pattern, _WIDEST_BEHIND, check=check, by_group=True)


_WIDEST_BEHIND = 260
"Letters of the words, of what is between, of the value and of what is looked at behind it."


def _is_no_word(text: str) -> bool:
    """Whether it holds more than letters: the password is *required*."""
    return not text.isalpha()


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


_DIGITS = r"[0-9 .()+\-/]"
_NUMBER_LETTERS = r"[A-Za-z0-9 \-]"
_DRIVER = r"driver'?s?[ -]?licen[cs]e|driving[ -]?licen[cs]e|licen[cs]e number|DLN?|運転免許証?(?:番号)?|免許証番号"
_CVV = r"CVV2?|CVC2?|CSC|security code|card verification(?: value| code)?|セキュリティ(?:ー)?コード"
_EXPIRY = r"exp(?:\.|iry|ires|iration)?(?: date)?|valid (?:thru|until|through)|有効期限"
_TWICE = r"0[1-9]|1[0-2]"

_MATCHERS = (
    _pattern(
        "EMAIL",
        r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62})\.){1,8}[A-Za-z]{2,24}"
        r"(?![A-Za-z0-9\-])",
        320,
        letters=r"[A-Za-z0-9._%+\-@]",
    ),
    _pattern(
        "URL",
        r"(?<![A-Za-z0-9@])(?:(?:https?|ftp)://[!-~]{1,2000}|www\.[A-Za-z0-9\-.]{1,250}\.[A-Za-z]{2,24}(?:/[!-~]{0,1700})?"
        r"|(?:[A-Za-z0-9][A-Za-z0-9\-]{0,62}\.){1,4}(?:com|org|net|edu|gov|io|dev|co|jp|uk|de|fr|eu|info|app|ai)"
        r"(?:/[!-~]{0,1700})?(?![A-Za-z0-9\-.@]))(?<![.,;:!?)\]}'\"])",
        2400,
        letters=_ASCII,
    ),
    _pattern(
        "IP_ADDRESS",
        r"(?<![A-Za-z0-9_.:])(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})(?![A-Za-z0-9_:]|\.[0-9])",
        64,
        letters=r"[0-9A-Fa-f:.]",
        check=checksums.address,
    ),
    _pattern(
        "MAC_ADDRESS",
        rf"(?<![A-Za-z0-9_:\-])(?:[0-9A-Fa-f]{{2}}(?:[:\-][0-9A-Fa-f]{{2}}){{5}}|[0-9A-Fa-f]{{4}}(?:\.[0-9A-Fa-f]{{4}}){{2}}){_RIGHT}",
        17,
        letters=r"[0-9A-Fa-f:.\-]",
    ),
    _pattern("AWS_ACCESS_KEY", rf"{_LEFT}(?:AKIA|ASIA)[A-Z0-9]{{16}}{_RIGHT}", 20, letters=r"[A-Z0-9]"),
    _pattern(
        "AWS_SECRET_KEY",
        r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])",
        40,
        letters=r"[A-Za-z0-9/+=]",
        check=checksums.secret,
    ),
    _pattern(
        "CREDIT_DEBIT_CARD_NUMBER",
        r"(?<![0-9])[0-9](?:[ \-]?[0-9]){12,18}(?![0-9])",
        38,
        letters=r"[0-9 \-]",
        check=checksums.card,
    ),
    _behind("CREDIT_DEBIT_CARD_CVV", _CVV, r"[0-9]{3,4}"),
    _behind("CREDIT_DEBIT_CARD_EXPIRY", _EXPIRY, rf"(?:{_TWICE})\s?[/\-]\s?(?:20)?[0-9]{{2}}"),
    _behind("PIN", r"PIN(?: code)?|personal identification number|暗証番号", r"[0-9]{4,8}"),
    _behind(
        "PASSWORD",
        r"passwords?|passwd|pwd|passphrase|パスワード",
        r"[!-~]{3,63}[A-Za-z0-9!@#$%^&*+=_~?\-](?![!-~]{0,64}[A-Za-z0-9!@#$%^&*+=_~?\-])",
        check=_is_no_word,
    ),
    _behind(
        "USERNAME",
        r"user[ _-]?names?|user id|login|ユーザー?名",
        r"[A-Za-z0-9][A-Za-z0-9._@\-]{1,62}[A-Za-z0-9]",
        between=_COLON,
    ),
    _pattern(
        "INTERNATIONAL_BANK_ACCOUNT_NUMBER",
        rf"{_LEFT}[A-Z]{{2}}[0-9]{{2}}(?: ?[A-Z0-9]{{4}}){{2,7}}(?: ?[A-Z0-9]{{1,4}})?{_RIGHT}",
        44,
        letters=r"[A-Z0-9 ]",
        check=checksums.iban,
    ),
    _behind("SWIFT_CODE", r"SWIFT(?:[ /-]?BIC)?(?: code)?|BIC", r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?"),
    _pattern(
        "PHONE",
        r"(?<![A-Za-z0-9_.+\-/])(?:\+[0-9]{1,3}[ .\-]?(?:\([0-9]{1,4}\)[ .\-]?)?[0-9]{1,4}(?:[ .\-]?[0-9]{2,4}){1,4}"
        r"|\([0-9]{2,4}\)[ .\-]?[0-9]{3,4}[ .\-][0-9]{4}|[0-9]{3}[ .\-][0-9]{3}[ .\-][0-9]{4}"
        r"|0[0-9]{1,3}\-[0-9]{2,4}\-[0-9]{4}|0[5789]0[0-9]{8})(?![0-9]|[.\-][0-9])",
        40,
        letters=_DIGITS,
        check=checksums.phone,
    ),
    _pattern(
        "US_SOCIAL_SECURITY_NUMBER",
        r"(?<![0-9\-])[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{4}(?![0-9]|\-[0-9])",
        11,
        letters=r"[0-9 \-]",
        check=checksums.social_security,
    ),
    _pattern(
        "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER",
        r"(?<![0-9\-])9[0-9]{2}[ \-]?(?:5[0-9]|6[0-5]|[78][0-9]|9[0-24-9])[ \-]?[0-9]{4}(?![0-9]|\-[0-9])",
        11,
        letters=r"[0-9 \-]",
    ),
    _behind("US_BANK_ROUTING_NUMBER", r"routing(?: transit)?|RTN|ABA", r"[0-9]{9}", check=checksums.routing),
    _behind("US_BANK_ACCOUNT_NUMBER", r"(?:bank |checking |savings )?account|acct\.?|口座番号", r"[0-9]{6,17}"),
    _behind("US_PASSPORT_NUMBER", r"passport", r"(?:[A-Z][0-9]{8}|[0-9]{9})"),
    _behind("DRIVER_ID", _DRIVER, r"[A-Z0-9][A-Z0-9\-]{3,17}[0-9]"),
    _behind(
        "LICENSE_PLATE",
        r"licen[cs]e plates?|number plates?|plate",
        r"[A-Z0-9]{1,4}[ \-]?[A-Z0-9]{2,5}",
        check=_has_digit,
    ),
    _pattern(
        "VEHICLE_IDENTIFICATION_NUMBER",
        rf"{_LEFT}[A-HJ-NPR-Z0-9]{{17}}{_RIGHT}",
        17,
        letters=r"[A-Z0-9]",
        check=checksums.vehicle,
    ),
    _pattern(
        "CA_SOCIAL_INSURANCE_NUMBER",
        r"(?<![0-9\-])[1-79][0-9]{2}[ \-][0-9]{3}[ \-][0-9]{3}(?![0-9]|\-[0-9])",
        11,
        letters=r"[0-9 \-]",
        check=checksums.luhn,
    ),
    _behind("CA_HEALTH_NUMBER", r"health (?:card|insurance|number)|OHIP|PHN", r"[0-9]{4}[ \-]?[0-9]{3}[ \-]?[0-9]{3}"),
    _pattern(
        "UK_NATIONAL_HEALTH_SERVICE_NUMBER",
        r"(?<![0-9\-])[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{4}(?![0-9]|\-[0-9])",
        12,
        letters=r"[0-9 \-]",
        check=checksums.nhs,
    ),
    _pattern(
        "UK_NATIONAL_INSURANCE_NUMBER",
        rf"{_LEFT}(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?[0-9]{{2}}){{3}} ?[A-D]{_RIGHT}",
        13,
        letters=_NUMBER_LETTERS,
    ),
    _behind(
        "UK_UNIQUE_TAXPAYER_REFERENCE_NUMBER",
        r"UTR|unique taxpayer(?: reference)?|tax reference",
        r"[0-9]{5} ?[0-9]{5}",
        check=checksums.taxpayer,
    ),
    _pattern(
        "AGE",
        r"(?i)(?<![0-9.])(?:1[0-2][0-9]|[1-9]?[0-9])(?:[ \-]?(?:years?|yrs?)(?:[ \-]old| of age)|[ \-]?y/o|歳|才)|"
        r"(?<![A-Za-z])aged? (?:1[0-2][0-9]|[1-9]?[0-9])(?![0-9])",
        20,
    ),
)
MATCHERS: Mapping[str, PatternMatcher] = {each.name: each for each in _MATCHERS}
"By type."

CHECKED_EXPRESSIONS: Mapping[str, Callable[[str], bool]] = {"JP_MY_NUMBER": checksums.my_number}
"Custom expressions with one of these names find only what has the check digit too."
