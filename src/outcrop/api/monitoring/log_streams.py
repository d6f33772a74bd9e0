"""CloudWatch Logs: the streams of log groups."""

from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.monitoring.named import arn_of_group, group_of, milliseconds
from outcrop.errors import Conflict, Invalid
from outcrop.house import House
from outcrop.log_groups.event_files import Extent
from outcrop.log_groups.records import LogGroup, LogStream
from outcrop.store.database import microseconds

_MOST_STREAMS = 50


def create_log_stream(house: House, call: Call) -> Answered:
    params = call.params
    if not house.log_groups.create_stream(params["logGroupName"], params["logStreamName"], region=call.region):
        raise Conflict("The specified log stream already exists")
    return {}


def delete_log_stream(house: House, call: Call) -> Answered:
    params = call.params
    house.log_groups.delete_stream(params["logGroupName"], params["logStreamName"], region=call.region)
    return {}


def describe_log_streams(house: House, call: Call) -> Answered:
    group = group_of(house, call)
    if call.params.get("orderBy", "LogStreamName") == "LogStreamName":
        return _by_name(house, call, group)
    if call.params.get("logStreamNamePrefix"):
        raise Invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    return _by_last_event(house, call, group)


def _by_name(house: House, call: Call, group: LogGroup) -> Answered:
    most = call.params.get("limit", _MOST_STREAMS)
    found = house.log_groups.records.streams(
        group,
        prefix=call.params.get("logStreamNamePrefix", ""),
        after=page_tokens.read(call),
        descending=call.params.get("descending", False),
        most=most + 1,
    )
    token = page_tokens.write(call, found[most - 1].name) if len(found) > most else None
    shown = [_shown(house, group, each, house.log_groups.extent(each)) for each in found[:most]]
    return {"logStreams": shown, "nextToken": token}


def _by_last_event(house: House, call: Call, group: LogGroup) -> Answered:
    """All streams are looked at: their last events are told by their files."""
    most, descending = call.params.get("limit", _MOST_STREAMS), call.params.get("descending", False)
    streams = [(each, house.log_groups.extent(each)) for each in house.log_groups.records.streams(group)]
    placed = sorted((((extent.last_us, each.name), each, extent) for each, extent in streams), key=lambda row: row[0])
    if descending:
        placed.reverse()
    place = page_tokens.read(call)
    if place is not None:
        last, _, name = place.partition(" ")
        key = (int(last), name)
        placed = [row for row in placed if (row[0] < key if descending else row[0] > key)]
    (last_us, name), *_ = placed[most - 1] if len(placed) > most else ((0, ""),)
    token = page_tokens.write(call, f"{last_us} {name}") if len(placed) > most else None
    return {"logStreams": [_shown(house, group, *row[1:]) for row in placed[:most]], "nextToken": token}


def _shown(house: House, group: LogGroup, stream: LogStream, extent: Extent) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": milliseconds(microseconds(stream.created)),
        "arn": f"{arn_of_group(house, group)}:log-stream:{stream.name}",
        "storedBytes": 0,  # as CloudWatch Logs has it since 2019
    }
    if extent.num_events:
        shown |= {
            "firstEventTimestamp": milliseconds(extent.first_us),
            "lastEventTimestamp": milliseconds(extent.last_us),
            "lastIngestionTime": milliseconds(extent.ingested_us),
            "uploadSequenceToken": sequence_token(house.log_groups.files(stream).next_number()),
        }
    return shown


def sequence_token(next_number: int) -> str:
    """The sequence token of a stream: nobody has to send it any more, and older clients still look for it."""
    return f"{next_number:056}"


OPERATIONS: dict[str, Handler] = {
    "CreateLogStream": create_log_stream,
    "DeleteLogStream": delete_log_stream,
    "DescribeLogStreams": describe_log_streams,
}
