"""CloudWatch: the members that requests about metrics have in common, and how their flaws are said."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Call
from outcrop.errors import Invalid, ServiceRefusal

HIGH_RESOLUTION_S = (1, 5, 10, 20, 30)


def dimensions_of(given: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """Dimensions by their name. Raises InvalidParameterValue for a name that comes twice."""
    found: dict[str, str] = {}
    for each in given or ():
        if each["Name"] in found:
            raise wrong(f"Dimensions: the name {each['Name'][:80]!r} is given twice. Give each name once.")
        found[each["Name"]] = each["Value"]
    return found


def dimension_list(dimensions: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Dimensions as CloudWatch sends them."""
    return [{"Name": name, "Value": value} for name, value in dimensions]


def check_period(period_s: int) -> None:
    """Raises Invalid for a period that CloudWatch does not know."""
    if period_s not in HIGH_RESOLUTION_S and period_s % 60:
        allowed = ", ".join(map(str, HIGH_RESOLUTION_S))
        raise Invalid(f"Period: {period_s} is none. Choose {allowed}, or a multiple of 60.")


def check_span(since: datetime, until: datetime) -> None:
    """Raises InvalidParameterValue where the end is not behind the beginning."""
    if since >= until:
        raise wrong("The parameter StartTime must be less than the parameter EndTime.")


def read_token(call: Call) -> str | None:
    """The place in the request's token. Raises InvalidNextToken for one of another query."""
    try:
        return page_tokens.read(call)
    except Invalid as error:
        raise ServiceRefusal("InvalidNextToken", error.message, http_status=400) from error


def moment(at: datetime) -> datetime:
    """A moment without its microseconds, as CloudWatch sends it."""
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


def wrong(text: str) -> ServiceRefusal:
    """The refusal of a value."""
    return ServiceRefusal("InvalidParameterValue", text, http_status=400)


def missing(text: str) -> ServiceRefusal:
    """The refusal of a request that lacks something."""
    return ServiceRefusal("MissingParameter", text, http_status=400)


def contradictory(text: str) -> ServiceRefusal:
    """The refusal of members that do not go together."""
    return ServiceRefusal("InvalidParameterCombination", text, http_status=400)


def refuse_unbuilt(params: Mapping[str, Any], *members: str) -> None:
    """Raises Invalid for members that ask for what is not built."""
    for member in members:
        if params.get(member):
            raise Invalid(f"{member}: not built in Outcrop yet. Leave it out.")
