"""Follows the events of a log group as `aws logs tail GROUP --follow` of the AWS CLI 2 does: by FilterLogEvents.

    logs_follow.py GROUP PREFIX

Each answer's last page is followed by a question from the time of the newest event on; what has the same time was shown
already, and is known by its id.
"""

import sys
import time
from typing import Any

import boto3

PAUSE_S = 1.0


def main(group: str, prefix: str) -> None:
    logs = boto3.client("logs")
    asked: dict[str, Any] = {"logGroupName": group, "interleaved": True, "logStreamNamePrefix": prefix}
    asked["startTime"] = int(1000 * (time.time() - 600))
    shown: set[str] = set()
    newest = asked["startTime"]
    while True:
        answer = logs.filter_log_events(**asked)
        for event in answer["events"]:
            if event["timestamp"] > newest:
                newest, shown = event["timestamp"], set()
            if event["eventId"] not in shown:
                shown.add(event["eventId"])
                print(event["logStreamName"], event["message"], flush=True)
        asked.pop("nextToken", None)
        if "nextToken" in answer:
            asked["nextToken"] = answer["nextToken"]
        else:
            asked["startTime"] = newest
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(0)
