"""Check digits and other marks by which a number is told from one that only looks like it."""

from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_VIN_LETTERS = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)), strict=True))
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_IBAN_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 "
    "FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
    "LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 "
    "SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
_IBAN_LENGTH = {each[:2]: int(each[2:]) for each in _IBAN_LENGTHS.split()}


def digits_of(text: str) -> list[int]:
    """The digits of a text, in their order."""
    return [int(letter) for letter in text if letter.isascii() and letter.isdigit()]


def luhn(text: str) -> bool:
    """Whether the last digit is Luhn's check digit of the others (ISO/IEC 7812)."""
    digits = digits_of(text)
    doubled = (digit * 2 - 9 * (digit > 4) if number % 2 else digit for number, digit in enumerate(reversed(digits)))
    return bool(digits) and any(digits) and sum(doubled) % 10 == 0


def card(text: str) -> bool:
    """Whether it is the number of a card: 13 to 19 digits with Luhn's check digit."""
    return 13 <= len(digits_of(text)) <= 19 and luhn(text)


def iban(text: str) -> bool:
    """Whether it is an account by ISO 13616: of its country's length, and 1 modulo 97."""
    plain = "".join(text.split()).upper()
    if _IBAN_LENGTH.get(plain[:2]) != len(plain) or not plain.isalnum() or not plain.isascii():
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def routing(text: str) -> bool:
    """Whether it is the number of a bank in the United States, by a weighted sum of its digits."""
    digits = digits_of(text)
    first = digits[0] * 10 + digits[1] if len(digits) == 9 else -1
    known = first in range(1, 13) or first in range(21, 33) or first in range(61, 73) or first == 80
    return known and _weighted(digits, (3, 7, 1) * 3) % 10 == 0


def nhs(text: str) -> bool:
    """Whether it is a number of the National Health Service: ten digits, the last by modulo 11."""
    digits = digits_of(text)
    if len(digits) != 10 or len(set(digits)) == 1:
        return False
    return (11 - _weighted(digits[:9], range(10, 1, -1)) % 11) % 11 == digits[9]


def taxpayer(text: str) -> bool:
    """Whether it is a Unique Taxpayer Reference of the United Kingdom: ten digits, the first by modulo 11."""
    digits = digits_of(text)
    if len(digits) != 10:
        return False
    return int("21987654321"[_weighted(digits[1:], (6, 7, 8, 9, 10, 5, 4, 3, 2)) % 11]) == digits[0]


def vehicle(text: str) -> bool:
    """Whether it is the number of a vehicle with the check digit of ISO 3779 as North America has it."""
    values = [int(letter) if letter.isdigit() else _VIN_LETTERS.get(letter, 0) for letter in text.upper()]
    if len(values) != 17 or text.isdigit():
        return False
    return "0123456789X"[_weighted(values, _VIN_WEIGHTS) % 11] == text[8].upper()


def my_number(text: str) -> bool:
    """Whether it is a Japanese individual number: twelve digits, the last by modulo 11."""
    digits = digits_of(text)
    if len(digits) != 12:
        return False
    rest = _weighted(digits[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == digits[11]


def social_security(text: str) -> bool:
    """Whether it may be a Social Security number, with no part zero and no area that is never given."""
    digits = "".join(map(str, digits_of(text)))
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return len(digits) == 9 and area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def phone(text: str) -> bool:
    """Whether it has as many digits as a telephone number (ITU-T E.164), and is no date."""
    digits = digits_of(text)
    return 7 <= len(digits) <= 15 and len(set(digits)) > 1


def address(text: str) -> bool:
    """Whether it is an address of the Internet Protocol, version 4 or 6."""
    for kind in (IPv4Address, IPv6Address):
        try:
            kind(text)
        except AddressValueError:
            continue
        return True
    return False


def secret(text: str) -> bool:
    """Whether 40 letters may be a secret key: of three kinds of letters, many different ones, no run of hexadecimal."""
    kinds = (any(map(str.islower, text)), any(map(str.isupper, text)), any(map(str.isdigit, text)))
    return all(kinds) and len(set(text)) >= 16


def _weighted(digits: Sequence[int], weights: Sequence[int]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=True))
