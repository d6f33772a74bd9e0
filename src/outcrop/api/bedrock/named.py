"""The resource that a request names: the one that its permission was decided on, however it was spelled."""

from outcrop.api.door.call import Call
from outcrop.errors import NotFound
from outcrop.house import House
from outcrop.store.resources import Resource, Row


def look(house: House, call: Call, member: str) -> Resource | None:
    """The resource that the member of the request names; None where there is no such thing."""
    row = house.access.row(call, member)
    return None if row is None else row.resource()


def row_of(house: House, call: Call, member: str, what: str) -> Row:
    """The row that the member of the request names, its document not decoded.

    Raises NotFound: `what` is the noun of its sentence.
    """
    row = house.access.row(call, member)
    if row is None:
        raise NotFound(f"The {what} {call.params[member]} was not found.")
    return row


def resource_of(house: House, call: Call, member: str, what: str) -> Resource:
    """The resource that the member of the request names. Raises NotFound."""
    return row_of(house, call, member, what).resource()
