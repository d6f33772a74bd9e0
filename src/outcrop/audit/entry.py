"""Entry: one call as the record holds it. Never a body, a prompt or a secret, and no sentence that may quote one."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import orjson

from outcrop.store.database import microseconds

LONGEST_TEXT = 1024
_UNKEEPABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"Control characters, which no database need take, and halves of surrogate pairs."


class Entry(NamedTuple):
    """An audit entry: who called what, on which resources, from where, and how it ended."""

    at: datetime
    "When it was answered."
    service: str
    operation: str
    region: str
    caller: str
    "The caller's ARN; empty where nobody proved to be one."
    user_id: str
    key_id: str
    "The access key that signed, or was said to have."
    session: str
    "Name of the session of an assumed role; empty for users."
    resources: tuple[str, ...]
    "ARNs that the request named, or that were made."
    source_ip: str
    user_agent: str
    request_id: str
    status: int
    code: str
    "The service's error code; empty where the call succeeded."
    read_only: bool
    data: bool
    "Whether it is what CloudTrail calls a data event."
    times: int = 1
    "Equal reads that followed within the same moment are one entry; the first has told its request id."
    sent_to: str = ""
    "The host of a remote model that the request was sent on to; empty where it stayed here."
    params: str = ""
    "The members of the request as JSON, without what is hidden (`redaction.py`); empty where they are not told."
    made: str = ""
    "The members of the answer to a call that changed something, likewise."
    message: str = ""
    "The sentence of an error, where nothing hidden can stand in it."
    issuer: str = ""
    "The ARN of the role whose session called; empty for users."

    @property
    def event_id(self) -> str:
        """The id of the event, a UUID that follows from the request's id and the operation.

        Its first half gives the request's id away, by whose index an event is found.
        """
        digest = hashlib.sha256(f"{self.request_id} {self.operation} {self.at.isoformat()}".encode()).hexdigest()
        first = _complement(self.request_id[:18]) if _REQUEST_ID.match(self.request_id) else _head_of(digest)
        return f"{first}-a{digest[1:4]}-{digest[4:16]}"


_REQUEST_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-")
_COMPLEMENT = str.maketrans("0123456789abcdef", "fedcba9876543210")


def requests_of_event(event_id: str) -> str | None:
    """The beginning of the id of an event's request; None for what is no id of an event."""
    text = event_id.lower()
    return _complement(text[:18]) if _REQUEST_ID.match(text) else None


def _complement(text: str) -> str:
    """Three groups of a UUID with every digit turned, but for the one that tells its version."""
    turned = text.translate(_COMPLEMENT)
    return f"{turned[:14]}4{turned[15:]}"


def _head_of(digest: str) -> str:
    return f"{digest[16:24]}-{digest[24:28]}-4{digest[28:31]}"


_ALWAYS = Entry._fields.index("sent_to")
"Fields before this one are in every digest; later ones came with later versions."
COLUMNS = ("at", "service", "operation", "caller", "request_id")
"Of an entry, what can be searched for without reading it."
_REQUIRED = frozenset(Entry._fields[:_ALWAYS])


def canonical(entry: Entry) -> bytes:
    """The bytes of which a digest is made: equal for equal entries."""
    # What a field of a later version says nothing about has the digest that it had before there was that field.
    told = len(entry)
    while told > _ALWAYS and not entry[told - 1]:
        told -= 1
    return orjson.dumps([microseconds(entry.at), *entry[1:told]])


def rest(entry: Entry) -> str:
    """The fields of an entry that have no column of their own, as JSON."""
    members = entry._asdict()
    told = {name: value for name, value in members.items() if name not in COLUMNS and (value or name in _REQUIRED)}
    return orjson.dumps(told).decode()


def entry_of(columns: Mapping[str, object], text: str) -> Entry:
    """Raises ValueError or TypeError for what no entry was written as."""
    members = orjson.loads(text)
    return Entry(**{**members, "resources": tuple(members["resources"]), **{name: columns[name] for name in COLUMNS}})


def keepable(text: str) -> str:
    """A text of a request as it may be kept: of one line, and not endless."""
    return _UNKEEPABLE.sub("?", text[:LONGEST_TEXT])
