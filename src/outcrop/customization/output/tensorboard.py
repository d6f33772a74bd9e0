"""The events of a job as a TensorBoard event file: the scalars of steps and evaluations.

The file is a row of records: length, its masked CRC-32C, a protocol buffer, its masked CRC-32C. Of the buffers a few
fields are enough: https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto and
summary.proto; the framing: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from outcrop.buckets.crc import CRC32C

_VERSION = b"brain.Event:2"
_SCALARS: Mapping[str, Mapping[str, str]] = {
    "step": {
        "loss": "train/loss",
        "learning_rate": "train/learning_rate",
        "grad_norm": "train/grad_norm",
        "tokens_per_s": "speed/tokens_per_s",
        "supervised_tokens_per_s": "speed/supervised_tokens_per_s",
        "mfu": "speed/mfu",
        "resident_bytes": "memory/resident_bytes",
    },
    "evaluation": {"loss": "validation/loss"},
}
_DOUBLE, _BYTES, _FLOAT = 1, 2, 5


class EventFile:
    """Grows with each event; steps taken again after a kill replace those before."""

    def __init__(self) -> None:
        self._records: list[tuple[int, bytes]] = []
        self.began: int | None = None
        "Seconds since 1970 of the first event, which the name of such a file holds."

    def add(self, event: Mapping[str, Any]) -> None:
        """Any event of `events.py`; those without scalars only tell the time."""
        moment = datetime.fromisoformat(event["time"]).timestamp()
        if self.began is None:
            self.began = int(moment)
            version = _field(1, _DOUBLE, struct.pack("<d", moment)) + _field(3, _BYTES, _VERSION)
            self._records.append((-1, _record(version)))
        if event["event"] == "resume":
            # Evaluation n stands after n steps, step n before them.
            self._records = [(step, record) for step, record in self._records if step < event["step"]]
        tags = _SCALARS.get(event["event"])
        if tags:
            values = {tag: float(event[member]) for member, tag in tags.items()}
            self._records.append((event["step"], _record(_scalars(moment, event["step"], values))))

    def content(self) -> bytes:
        """The whole file."""
        return b"".join(record for _, record in self._records)

    @property
    def name(self) -> str:
        """The file name, as TensorBoard looks for it."""
        return f"events.out.tfevents.{self.began or 0}.outcrop"


def _scalars(moment: float, step: int, values: Mapping[str, float]) -> bytes:
    """An Event: 1 wall_time, 2 step, 5 summary; of the summary 1 value; of a value 1 tag, 2 simple_value."""
    summary = b"".join(
        _field(1, _BYTES, _field(1, _BYTES, tag.encode()) + _field(2, _FLOAT, struct.pack("<f", value)))
        for tag, value in values.items()
    )
    return _field(1, _DOUBLE, struct.pack("<d", moment)) + _field(2, 0, _varint(step)) + _field(5, _BYTES, summary)


def _field(number: int, kind: int, content: bytes) -> bytes:
    key = _varint(number << 3 | kind)
    return key + _varint(len(content)) + content if kind == _BYTES else key + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _masked(length) + content + _masked(content)


def _masked(content: bytes) -> bytes:
    check = CRC32C.calc(content, 0)
    return struct.pack("<I", ((check >> 15 | check << 17) + 0xA282EAD8) & 0xFFFFFFFF)
