"""Answers of the real Amazon S3, recorded (see the data's README), compared with those of a server here.

A recording holds no requests: whoever plays one performs its steps by name. What a recording leaves open, such as
`datetime` or `<version-id:1>`, fits any value that is there.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

FOLDER = Path(os.environ.get("OUTCROP_TEST_DATA", "../shared/data")) / "aws-recorded-s3"
_OPEN = re.compile(r"<[^>]+>|datetime|date|i-d|owner-id|display-name|bucket|arn:<.*|/<.*|.*<[a-z-]+:\d+>.*")
ANY = object()
"In an answer: a value that depends on bytes which the recording does not hold."
EVERYWHERE = {
    "ServerSideEncryption",  # files are not encrypted here, so it is not said
    "DisplayName",  # S3 itself has left it out since November 2025
}


def scenarios() -> dict[str, dict[str, Any]]:
    """Steps by the name of the recorded test."""
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER} is not there; name the folder with OUTCROP_TEST_DATA")
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(FOLDER.glob("*.snapshot.json")):
        for name, recorded in json.loads(file.read_text()).items():
            found[name.split("::")[-1]] = recorded["recorded-content"]
    return found


def answer(action: Callable[..., Any], **asked: Any) -> dict[str, Any]:
    """What boto3 makes of the answer, whether it was granted or refused."""
    try:
        answered: dict[str, Any] = action(**asked)
    except ClientError as refused:
        answered = refused.response
    if hasattr(answered.get("Body"), "read"):
        answered["Body"] = answered["Body"].read().decode()
    return answered


def differences(recorded: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Where ours is not what was recorded."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for name in sorted((recorded.keys() | ours.keys()) - EVERYWHERE):
            here = f"{path}.{name}".removeprefix(".")
            if name == "ResponseMetadata":
                yield from _statuses(recorded[name], ours.get(name, {}))
            elif name not in ours or name not in recorded:
                yield f"{here}: {'missing' if name not in ours else 'added'}"
            else:
                yield from differences(recorded[name], ours[name], here)
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for number, (each, own) in enumerate(zip(recorded, ours, strict=True)):
            yield from differences(each, own, f"{path}[{number}]")
    elif not _fits(recorded, ours):
        yield f"{path}: {recorded!r} was recorded, not {ours!r}"


def _statuses(recorded: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    status = ours.get("HTTPStatusCode")
    if recorded["HTTPStatusCode"] != status:
        yield f"status: {recorded['HTTPStatusCode']} was recorded, not {status}"


def _fits(recorded: Any, ours: Any) -> bool:
    if ours is ANY:
        return True
    if isinstance(recorded, str) and _OPEN.fullmatch(recorded):
        return isinstance(ours, str | datetime)
    return bool(recorded == ours)
