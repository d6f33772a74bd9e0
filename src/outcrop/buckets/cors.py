"""A bucket's rules for browsers (CORS): whether they are well formed, and what they allow a page to do."""

import re
from collections.abc import Sequence
from typing import Any

from outcrop.buckets import refusals
from outcrop.errors import ServiceRefusal

MAX_RULES = 100
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")

VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

Rule = dict[str, Any]
"""CORSRule of the service model."""


def check_rules(rules: Sequence[Rule]) -> None:
    """Raises MalformedXML without a rule or with one that lacks a member, InvalidRequest for what a rule cannot say."""
    if not 1 <= len(rules) <= MAX_RULES or any(not _is_complete(rule) for rule in rules):
        raise refusals.malformed_xml()
    for rule in rules:
        for method in rule["AllowedMethods"]:
            if method not in METHODS:
                raise refusals.invalid_request(
                    f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
                )
        for what, patterns in (("Origin", rule["AllowedOrigins"]), ("Header", rule.get("AllowedHeaders", []))):
            for pattern in patterns:
                if pattern.count("*") > 1:
                    raise refusals.invalid_request(f'Allowed{what} "{pattern}" can not have more than one wildcard.')


def allowed(rules: Sequence[Rule], origin: str, method: str, headers: Sequence[str] = ()) -> dict[str, str] | None:
    """The headers that tell a browser so, by the first rule that allows this; None when none does."""
    for rule in rules:
        pattern = next((each for each in rule["AllowedOrigins"] if _fits(each, origin)), None)
        fits_headers = all(any(_fits(each, name) for each in rule.get("AllowedHeaders", [])) for name in headers)
        if pattern is not None and method in rule["AllowedMethods"] and fits_headers:
            return _told(rule, origin, pattern, headers)
    return None


def refused(message: str, method: str, resource_type: str) -> ServiceRefusal:
    return ServiceRefusal(
        "AccessForbidden", f"CORSResponse: {message}", http_status=403, Method=method, ResourceType=resource_type
    )


def _told(rule: Rule, origin: str, pattern: str, headers: Sequence[str]) -> dict[str, str]:
    told = {
        "Access-Control-Allow-Origin": "*" if pattern == "*" else origin,
        "Access-Control-Allow-Methods": ", ".join(rule["AllowedMethods"]),
        "Vary": VARY,
    }
    if pattern != "*":
        told["Access-Control-Allow-Credentials"] = "true"
    if headers:
        told["Access-Control-Allow-Headers"] = ", ".join(headers)
    if rule.get("ExposeHeaders"):
        told["Access-Control-Expose-Headers"] = ", ".join(rule["ExposeHeaders"])
    if rule.get("MaxAgeSeconds") is not None:
        told["Access-Control-Max-Age"] = str(rule["MaxAgeSeconds"])
    return told


def _is_complete(rule: Rule) -> bool:
    return bool(rule.get("AllowedMethods")) and bool(rule.get("AllowedOrigins"))


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text, re.IGNORECASE) is not None
