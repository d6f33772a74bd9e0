"""A line of batch input as a record, and its line of batch output.

    {"recordId": "CALL0000001", "modelInput": {...}}
    {"recordId": "CALL0000001", "modelInput": {...}, "modelOutput": {...}}
    {"recordId": "CALL0000001", "modelInput": {...}, "error": {"errorCode": 400, "errorMessage": "..."}}

https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-data.html
"""

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from outcrop.batch.lines import LARGEST_LINE_BYTES, InputLine
from outcrop.errors import Invalid
from outcrop.protocol.values import json_text, json_values

_ID_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_LENGTH = 11


class LineError(NamedTuple):
    """Why a record has no output, with the status that an invocation would have had."""

    code: int
    message: str


class LineOutput(NamedTuple):
    """The output of a record: a response, what it took, or an error."""

    response: Any = None
    error: LineError | None = None
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class BatchRecord:
    """A record of a batch job."""

    id: str
    model_input: Any = None
    "None where the line has none."
    problem: str | None = None
    "Why nobody can be asked about it."

    def result(self, output: LineOutput) -> bytes:
        """Its line of the output, which ends in a line feed."""
        line = {"recordId": self.id, "modelInput": self.model_input}
        if output.error is None:
            line["modelOutput"] = output.response
        else:
            line["error"] = {"errorCode": output.error.code, "errorMessage": output.error.message}
        return json_values.dumps(line) + b"\n"


def record_of(line: InputLine, *, seed: str) -> BatchRecord:
    """The record of a line.

    `seed` stands for job and file: with it, a line without an id is given the same one again.
    """
    given = _generated_id(f"{seed}:{line.number}")
    if line.data is None:
        return _flawed(line, given, f"it is longer than the {LARGEST_LINE_BYTES:,} bytes of a request's body")
    try:
        fields = json_text.loads(line.data)
    except json_text.NotJson as error:
        return _flawed(line, given, f"it is not JSON: {error}")
    if not isinstance(fields, dict):
        return _flawed(line, given, "it is no JSON object with recordId and modelInput")
    told, model_input = fields.get("recordId"), fields.get("modelInput")
    if told is not None and not isinstance(told, str):
        return _flawed(line, given, "recordId: expected a string", model_input)
    record_id = told or given
    if not isinstance(model_input, dict):
        found = "missing" if "modelInput" not in fields else "expected an object, the body of a request"
        return _flawed(line, record_id, f"modelInput: {found}", model_input)
    return BatchRecord(id=record_id, model_input=model_input)


def body_of(record: BatchRecord) -> bytes:
    """The record's input as the body of a request. Raises Invalid for one that is none."""
    if record.problem is not None:
        raise Invalid(record.problem)
    return json_values.dumps(record.model_input)


def _flawed(line: InputLine, record_id: str, what: str, model_input: Any = None) -> BatchRecord:
    return BatchRecord(
        id=record_id, model_input=model_input, problem=f"Malformed record at line {line.number}: {what}."
    )


def _generated_id(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    letters = []
    for _ in range(_ID_LENGTH):
        number, place = divmod(number, len(_ID_LETTERS))
        letters.append(_ID_LETTERS[place])
    return "".join(letters)
