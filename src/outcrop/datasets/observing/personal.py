"""Personal data and secrets in records, found by rules: counted, and shown masked.

No rule knows what a person means. These look for forms that are seldom anything else, with check digits where a form
has them, and leave out what is reserved for examples.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from outcrop.datasets.observing.observer import SeenRecord
from outcrop.datasets.report.value import PersonalData

_MOST_LINES = 100
_DASH = r"[-\u2010-\u2015\u2212\uff0d\u30fc]"
_GAP = rf"(?:[ .\u00a0]|{_DASH})"


class PersonalFinding(NamedTuple):
    """A piece of personal data in a text."""

    kind: str
    start: int
    end: int
    masked: str


class _Rule(NamedTuple):
    """A form of personal data: what it looks like, and what else must hold of it."""

    kind: str
    form: re.Pattern[str]
    holds: Callable[[str], bool]
    mask: Callable[[str], str]


def _digits(found: str) -> str:
    return "".join(str(int(letter)) for letter in found if letter.isdecimal())


def _passes_luhn(found: str) -> bool:
    digits = [int(digit) for digit in _digits(found)]
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _is_iban(found: str) -> bool:
    plain = re.sub(r"\s", "", found)
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _is_social_security(found: str) -> bool:
    area, group, serial = found.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _is_phone(found: str) -> bool:
    digits = _digits(found)
    return 9 <= len(digits) <= 15 and len(set(digits)) > 2


def _is_my_number(found: str) -> bool:
    """A Japanese individual number: eleven digits and the one that checks them."""
    digits = [int(digit) for digit in _digits(found)]
    if len(digits) != 12:
        return False
    weighed = sum(digit * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(digits[:11]), start=1)) % 11
    return digits[11] == (0 if weighed <= 1 else 11 - weighed)


def _is_mail(found: str) -> bool:
    domain = found.rpartition("@")[2].lower()
    reserved = (".example", ".test", ".invalid", ".localhost", "example.com", "example.org", "example.net")
    return not domain.endswith(reserved) and not re.search(r"\.(?:png|jpe?g|gif|svg|js|css)$", domain)


def _is_key(found: str) -> bool:
    return "EXAMPLE" not in found.upper() and len(set(found)) > 8


def _always(_found: str) -> bool:
    return True


def _mask_mail(found: str) -> str:
    name, _, domain = found.rpartition("@")
    return f"{name[:1]}…@{domain[:1]}….{domain.rpartition('.')[2]}"


def _mask_digits(found: str) -> str:
    """All digits but the last two hidden, the form kept."""
    left = len(_digits(found)) - 2
    hidden = []
    for letter in found:
        hidden.append("•" if letter.isdecimal() and left > 0 else letter)
        left -= letter.isdecimal()
    return "".join(hidden)


def _mask_key(found: str) -> str:
    return f"{found[:4]}…"


_B, _E = r"(?<![\w@.+-])", r"(?![\w-])"
_RULES = (
    _Rule(
        "e-mail",
        re.compile(
            r"(?<![\w.+%-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
        ),
        _is_mail,
        _mask_mail,
    ),
    _Rule("card", re.compile(rf"{_B}(?:[3-6]|2[2-7])\d{{3}}(?:[ -]?\d{{2,6}}){{2,4}}{_E}"), _passes_luhn, _mask_digits),
    _Rule(
        "account", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"), _is_iban, _mask_digits
    ),
    _Rule("national id", re.compile(rf"{_B}\d{{3}}-\d{{2}}-\d{{4}}{_E}"), _is_social_security, _mask_digits),
    _Rule(
        "national id",
        re.compile(rf"(?:マイナンバー|個人番号)\D{{0,8}}\d{{4}}{_GAP}?\d{{4}}{_GAP}?\d{{4}}(?!\d)"),
        _is_my_number,
        _mask_digits,
    ),
    _Rule(
        "account",
        re.compile(
            r"(?:\b[Aa](?:ccount|/c|cct\.?) ?(?:[Nn]umber|[Nn]o\.?|#)|口座番号)"
            rf"\W{{0,4}}(?:is )?\d(?:{_GAP}?\d){{5,17}}"
        ),
        _always,
        _mask_digits,
    ),
    _Rule(
        "telephone",
        re.compile(rf"(?<![\w.+])\+\d{{1,3}}{_GAP}?(?:\(\d{{1,4}}\)|\d)(?:{_GAP}?\d){{6,12}}{_E}"),
        _is_phone,
        _mask_digits,
    ),
    _Rule(
        "telephone",
        re.compile(r"(?<![\w./+-])(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])[2-9]\d\d[-. ]\d{4}(?![\w-]|\.\d)"),
        _is_phone,
        _mask_digits,
    ),
    _Rule(
        "telephone",
        re.compile(rf"(?<![\d.])[0\uff10][1-9\uff11-\uff19]\d{{0,3}}{_DASH}\d{{1,4}}{_DASH}\d{{3,4}}(?!\d|{_DASH}\d)"),
        _is_phone,
        _mask_digits,
    ),
    _Rule("private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"), _always, _mask_key),
    _Rule("AWS key", re.compile(r"\b(?:AKIA|ASIA|ABIA)[A-Z2-7]{16}\b"), _is_key, _mask_key),
    _Rule(
        "AWS key",
        re.compile(r"(?i:aws_?secret_?access_?key|secretaccesskey)\W{1,6}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"),
        _is_key,
        _mask_key,
    ),
    _Rule(
        "API key",
        re.compile(
            r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,}|glpat-[\w-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}"
            r"|AIza[\w-]{35}|sk-(?:[a-z]+-)*[A-Za-z0-9_-]{24,}|[sr]k_live_[A-Za-z0-9]{20,}|hf_[A-Za-z]{34}"
            r"|pypi-[\w-]{40,}|npm_[A-Za-z0-9]{36}|SG\.[\w-]{20,}\.[\w-]{20,}|ABSK[A-Za-z0-9+/=]{60,}"
            r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
        ),
        _is_key,
        _mask_key,
    ),
)
_NUMBERS = re.compile(rf"\d(?:{_GAP}?\d){{5}}|\d\) ?\d\d\d")
"What every text with a personal number has."
_BEFORE, _BEHIND = 40, 60
"Letters around it that may belong to it."
_SECRETS = ("PRIVATE KEY", "IA", "ecret", "ECRET", "xox", "AIza", "SG.", "ABSK", "eyJ")
_SECRETS_WITH = {
    "_": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "k_live_", "hf_", "npm_"),
    "-": ("glpat-", "sk-", "pypi-"),
}
"What texts with a secret have, and a letter that tells of most: to look for these is faster than to try the rules."
_OF_NUMBERS = tuple(rule for rule in _RULES if rule.kind in ("card", "account", "national id", "telephone"))
_OF_SECRETS = tuple(rule for rule in _RULES if rule.kind in ("private key", "AWS key", "API key"))
_OF_MAIL = tuple(rule for rule in _RULES if rule.kind == "e-mail")


def find(text: str) -> Iterator[PersonalFinding]:
    """The pieces of personal data in a text; no part of it is told twice."""
    taken: list[tuple[int, int]] = []
    for rule, first, last in _looked_for(text):
        for match in rule.form.finditer(text, first, last):
            start, end = match.span()
            if rule.holds(match[0]) and all(end <= before or behind <= start for before, behind in taken):
                taken.append((start, end))
                yield PersonalFinding(rule.kind, start, end, rule.mask(match[0]))


def _looked_for(text: str) -> Iterator[tuple[_Rule, int, int]]:
    """The rules that may find something, and between which places of the text."""
    if "@" in text:
        yield from ((rule, 0, len(text)) for rule in _OF_MAIL)
    if _may_hold_secrets(text):
        yield from ((rule, 0, len(text)) for rule in _OF_SECRETS)
    places = list(_places_of_numbers(text))
    yield from ((rule, *place) for rule in _OF_NUMBERS for place in places)


def _may_hold_secrets(text: str) -> bool:
    return any(map(text.__contains__, _SECRETS)) or any(
        letter in text and any(map(text.__contains__, marks)) for letter, marks in _SECRETS_WITH.items()
    )


def _places_of_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Where long numbers are, with what may belong to them."""
    first = last = 0
    for match in _NUMBERS.finditer(text):
        if match.start() - _BEFORE > last:
            if last:
                yield first, last
            first = max(0, match.start() - _BEFORE)
        last = min(len(text), match.end() + _BEHIND)
    if last:
        yield first, last


def masked(text: str) -> str:
    """The text with what is personal in it masked."""
    for found in sorted(find(text), key=lambda found: -found.start):
        text = text[: found.start] + found.masked + text[found.end :]
    return text


@dataclass
class _Kind:
    num: int = 0
    num_records: int = 0
    lines: list[int] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)


class PersonalRecords:
    """The personal data of a file's records, by kind."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def add(self, seen: SeenRecord) -> None:
        told: set[str] = set()
        for found in find(seen.text):
            kind = self._kinds.setdefault(found.kind, _Kind())
            kind.num += 1
            if found.kind not in told:
                told.add(found.kind)
                kind.num_records += 1
                if len(kind.lines) < _MOST_LINES:
                    kind.lines.append(seen.record.line)
                    kind.masked.append(found.masked)

    def found(self) -> tuple[PersonalData, ...]:
        kinds = sorted(self._kinds.items(), key=lambda pair: -pair[1].num)
        return tuple(
            PersonalData(name, kind.num, kind.num_records, tuple(kind.lines), tuple(kind.masked))
            for name, kind in kinds
        )
