"""Entry: one call as the record holds it. Never a body, a prompt or a secret, and no sentence that may quote one."""

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


COLUMNS = ("at", "service", "operation", "caller", "request_id")
"Of an entry, what can be searched for without reading it."


def canonical(entry: Entry) -> bytes:
    """The bytes of which a digest is made: equal for equal entries."""
    # What went nowhere has the digest that it had before entries told where they went.
    told = entry[1:] if entry.sent_to else entry[1:-1]
    return orjson.dumps([microseconds(entry.at), *told])


def rest(entry: Entry) -> str:
    """The fields of an entry that have no column of their own, as JSON."""
    return orjson.dumps({name: value for name, value in entry._asdict().items() if name not in COLUMNS}).decode()


def entry_of(columns: Mapping[str, object], text: str) -> Entry:
    """Raises ValueError or TypeError for what no entry was written as."""
    members = orjson.loads(text)
    return Entry(**{**members, "resources": tuple(members["resources"]), **{name: columns[name] for name in COLUMNS}})


def keepable(text: str) -> str:
    """A text of a request as it may be kept: of one line, and not endless."""
    return _UNKEEPABLE.sub("?", text[:LONGEST_TEXT])
