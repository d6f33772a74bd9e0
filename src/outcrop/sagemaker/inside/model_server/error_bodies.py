"""Errors in the JSON form of the toolkits' model servers."""

from __future__ import annotations

import json


def error_body(code: int, kind: str, message: str) -> bytes:
    """The JSON body of an error, printed as those servers print it."""
    return (json.dumps({"code": code, "type": kind, "message": message}, indent=2, ensure_ascii=False) + "\n").encode()
