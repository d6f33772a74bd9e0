"""The end of a log while it grows: the last lines of each stream with a prefix."""

from typing import NamedTuple

from botocore.exceptions import ClientError

from outcrop.console.user_client import DENIED
from outcrop.console.visit import ConsoleVisit

_MOST_LINES = 200
_MOST_STREAMS = 4
_NO_SUCH = "ResourceNotFoundException"


class LogTail(NamedTuple):
    """The last lines of a stream, or the sentence with which they were refused."""

    stream: str
    lines: list[str]
    refused: str = ""


def log_tails(visit: ConsoleVisit, group: str, prefix: str) -> list[LogTail]:
    """The ends of the streams; none while nothing was written yet."""
    logs = visit.api.client("logs")
    try:
        named = {"logStreamNamePrefix": prefix} if prefix else {}
        streams = logs.describe_log_streams(logGroupName=group, limit=_MOST_STREAMS, **named)
        return [
            LogTail(
                each["logStreamName"],
                [
                    event["message"].rstrip("\n")
                    for event in logs.get_log_events(
                        logGroupName=group, logStreamName=each["logStreamName"], limit=_MOST_LINES, startFromHead=False
                    )["events"]
                ],
            )
            for each in streams["logStreams"]
        ]
    except ClientError as refusal:
        told = refusal.response["Error"]
        if told["Code"] == _NO_SUCH:
            return []
        if told["Code"] in DENIED:
            return [LogTail(prefix or group, [], told["Message"])]
        raise
