"""Conditions of a policy statement: operators, quantifiers, and what a missing key means.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
A value that cannot be read as the operator's type (a number that is none) satisfies no positive operator.
"""

import base64
import binascii
import ipaddress
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from outcrop.access.policies.patterns import (
    Values,
    fill,
    like_arn,
    matches,
    plain,
)

Compare = Callable[[str, str], bool]
"Whether a filled value of the policy (first) is satisfied by a value of the request (second)."


class Quantifier(Enum):
    """How many of a key's values must satisfy the operator."""

    PLAIN = ""
    FOR_ALL = "ForAllValues"
    FOR_ANY = "ForAnyValue"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition of one operator over one key: `{"StringEquals": {"aws:username": ["a", "b"]}}`."""

    operator: str
    "One of OPERATORS, or `Null`; without prefix and suffix."
    quantifier: Quantifier = Quantifier.PLAIN
    if_exists: bool = False
    key: str
    "In lower case: keys are compared without case."
    values: tuple[str, ...]


def holds(condition: Condition, context: Mapping[str, Values], *, variables: bool) -> bool:
    """Whether a request with this context (keys in lower case) satisfies the condition."""
    given = context.get(condition.key)
    if condition.operator == "Null":
        return any((value.lower() == "true") == (given is None) for value in condition.values)
    positive, compare = OPERATORS[condition.operator]
    if not given:
        return _without_value(condition, positive=positive)
    wanted = [text for value in condition.values if (text := fill(value, context, variables=variables)) is not None]

    def satisfies(value: str) -> bool:
        return any(compare(text, value) for text in wanted) == positive

    if condition.quantifier is Quantifier.FOR_ALL:
        return all(map(satisfies, given))
    if condition.quantifier is Quantifier.FOR_ANY:
        return any(map(satisfies, given))
    return any(map(satisfies, given)) if positive else all(map(satisfies, given))


def _without_value(condition: Condition, *, positive: bool) -> bool:
    if condition.quantifier is Quantifier.FOR_ALL or condition.if_exists:
        return True
    return condition.quantifier is Quantifier.PLAIN and not positive


def _equals(wanted: str, given: str) -> bool:
    return plain(wanted) == given


def _equals_without_case(wanted: str, given: str) -> bool:
    return plain(wanted).lower() == given.lower()


def _compared(read: Callable[[str], Any], relation: Callable[[Any, Any], bool]) -> Compare:
    """`given <relation> wanted`, both read as a type; false where one of them is not of that type."""

    def compare(wanted: str, given: str) -> bool:
        try:
            return relation(read(given), read(plain(wanted)))
        except (ValueError, InvalidOperation, OverflowError, OSError):
            return False

    return compare


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return number


def _date(text: str) -> datetime:
    """ISO 8601, or seconds since 1970."""
    if text.lstrip("-").isdigit() and len(text) != 4:
        return datetime.fromtimestamp(int(text), UTC)
    date = datetime.fromisoformat(f"{text}-01-01" if len(text) == 4 else text)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


def _in_network(address: Any, network: Any) -> bool:
    return address.network_address in network and address.prefixlen >= network.prefixlen


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


_IN_NETWORK = _compared(_network, _in_network)
_NUMBERS_EQUAL, _DATES_EQUAL = _compared(_number, operator.eq), _compared(_date, operator.eq)

OPERATORS: dict[str, tuple[bool, Compare]] = {
    "StringEquals": (True, _equals),
    "StringNotEquals": (False, _equals),
    "StringEqualsIgnoreCase": (True, _equals_without_case),
    "StringNotEqualsIgnoreCase": (False, _equals_without_case),
    "StringLike": (True, matches),
    "StringNotLike": (False, matches),
    "NumericEquals": (True, _NUMBERS_EQUAL),
    "NumericNotEquals": (False, _NUMBERS_EQUAL),
    "NumericLessThan": (True, _compared(_number, operator.lt)),
    "NumericLessThanEquals": (True, _compared(_number, operator.le)),
    "NumericGreaterThan": (True, _compared(_number, operator.gt)),
    "NumericGreaterThanEquals": (True, _compared(_number, operator.ge)),
    "DateEquals": (True, _DATES_EQUAL),
    "DateNotEquals": (False, _DATES_EQUAL),
    "DateLessThan": (True, _compared(_date, operator.lt)),
    "DateLessThanEquals": (True, _compared(_date, operator.le)),
    "DateGreaterThan": (True, _compared(_date, operator.gt)),
    "DateGreaterThanEquals": (True, _compared(_date, operator.ge)),
    "Bool": (True, _compared(_boolean, operator.eq)),
    "BinaryEquals": (True, _compared(_binary, operator.eq)),
    "IpAddress": (True, _IN_NETWORK),
    "NotIpAddress": (False, _IN_NETWORK),
    # IAM makes no difference between the two: both compare part by part, with wildcards.
    "ArnEquals": (True, like_arn),
    "ArnLike": (True, like_arn),
    "ArnNotEquals": (False, like_arn),
    "ArnNotLike": (False, like_arn),
}
"Each operator: whether it is positive, and the comparison that it asks for or forbids."
