"""Refusals of CloudTrail, in its codes."""

from outcrop.errors import ServiceRefusal


def refusal(code: str, sentence: str) -> ServiceRefusal:
    return ServiceRefusal(code, sentence, http_status=400)


def no_trail(account: str, name: str) -> ServiceRefusal:
    return refusal("TrailNotFoundException", f"Unknown trail: {name} for the user: {account}")


def invalid_selectors(sentence: str) -> ServiceRefusal:
    return refusal("InvalidEventSelectorsException", sentence)


def unsupported(member: str, why: str) -> ServiceRefusal:
    return refusal("UnsupportedOperationException", f"{member}: {why}")
