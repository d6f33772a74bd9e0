"""The event file is what TensorBoard reads: framed records with their checks, each a protocol buffer.

`tests/clients` lets TensorBoard itself read one; here the bytes are taken apart by code of the test's own.
"""

import struct
from typing import Any

from outcrop.customization.output.tensorboard import EventFile

TIME = "2026-11-21T08:00:00.500+00:00"


def step(number: int, loss: float) -> dict[str, Any]:
    names = ("learning_rate", "grad_norm", "tokens_per_s", "supervised_tokens_per_s", "mfu", "resident_bytes")
    return {"time": TIME, "event": "step", "step": number, "loss": loss, **dict.fromkeys(names, 0.5)}


def records(content: bytes) -> list[bytes]:
    found = []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        assert masked(content[:8]) == content[8:12]
        data = content[12 : 12 + size]
        assert masked(data) == content[12 + size : 16 + size]
        found.append(data)
        content = content[16 + size :]
    return found


def masked(data: bytes) -> bytes:
    check = 0xFFFFFFFF
    for byte in data:
        check ^= byte
        for _ in range(8):
            check = check >> 1 ^ (0x82F63B78 if check & 1 else 0)
    check ^= 0xFFFFFFFF
    return struct.pack("<I", (((check >> 15) | (check << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def fields(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a protocol buffer: number and raw value, in order."""
    found: list[tuple[int, Any]] = []
    while data:
        key, data = varint(data)
        if key & 7 == 0:
            number, data = varint(data)
            found.append((key >> 3, number))
        else:
            size, data = (8, data) if key & 7 == 1 else (4, data) if key & 7 == 5 else varint(data)
            found.append((key >> 3, data[:size]))
            data = data[size:]
    return found


def varint(data: bytes) -> tuple[int, bytes]:
    number = 0
    for index, byte in enumerate(data):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, data[index + 1 :]
    raise AssertionError("no end")


def scalars(record: bytes) -> tuple[int, dict[str, float]]:
    event = dict(fields(record))
    values = [dict(fields(value)) for _, value in fields(event[5])]
    return event[2], {value[1].decode(): struct.unpack("<f", value[2])[0] for value in values}


def test_a_file_begins_with_its_version_and_the_time() -> None:
    file = EventFile()
    file.add({"time": TIME, "event": "start", "step": 0})
    (first,) = records(file.content())
    assert dict(fields(first)) == {1: struct.pack("<d", 1795248000.5), 3: b"brain.Event:2"}
    assert file.name == "events.out.tfevents.1795248000.outcrop"


def test_steps_and_evaluations_are_scalars() -> None:
    file = EventFile()
    file.add(step(300, 2.5))
    file.add({"time": TIME, "event": "evaluation", "step": 301, "loss": 1.25})
    _, one, other = map(records(file.content()).__getitem__, range(3))
    number, values = scalars(one)
    assert (number, values["train/loss"], len(values)) == (300, 2.5, 7)
    assert scalars(other) == (301, {"validation/loss": 1.25})


def test_steps_taken_again_replace_those_before() -> None:
    file = EventFile()
    for event in (step(0, 3.0), step(1, 2.0), {"time": TIME, "event": "resume", "step": 1}, step(1, 2.5)):
        file.add(event)
    told = [scalars(record) for record in records(file.content())[1:]]
    assert [(number, values["train/loss"]) for number, values in told] == [(0, 3.0), (1, 2.5)]
