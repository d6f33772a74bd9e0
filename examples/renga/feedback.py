"""A visitor's choice among the answers, kept in S3 as a line of JSON: a record of the next training."""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from .answers import first_line, prompt_of
from .mora import is_seven_seven
from .services import Booth

PREFIX = "feedback/"


def record_of(upper: str, lowers: Mapping[str, str], chosen: str, *, at: datetime) -> dict[str, object]:
    """The record of a choice: prompt and completion as in the verses, and beside them what else was on the table."""
    lower = first_line(lowers[chosen])
    return {
        "prompt": prompt_of(upper),
        "completion": f" {lower}",
        "chosen": chosen,
        "seven_seven": is_seven_seven(lower),
        "others": {model: first_line(text) for model, text in lowers.items() if model != chosen},
        "at": at.isoformat(timespec="seconds"),
    }


def keep(booth: Booth, upper: str, lowers: Mapping[str, str], chosen: str) -> str:
    """Write a choice down; returns its place. An object each: two visitors at once cannot write over each other."""
    now = datetime.now(UTC)
    line = json.dumps(record_of(upper, lowers, chosen, at=now), ensure_ascii=False)
    key = f"{PREFIX}{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.jsonl"
    booth.s3.put_object(Bucket=booth.bucket, Key=key, Body=f"{line}\n".encode())
    return booth.uri(key)
