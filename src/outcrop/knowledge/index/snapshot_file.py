"""Snapshots of searched rows: what one process has read of an index, in a file that the next one maps.

A line of JSON, then the arrays as they lie in memory. The file is written beside its place and moved there, so it is
whole or not there. It has a token that the storage knows: where a backup has replaced the storage since, none is read.
"""

import json
import os
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from outcrop.knowledge.index.postings import Postings
from outcrop.knowledge.index.searched_rows import SearchedDocument, SearchedRows
from outcrop.knowledge.index.segment import PassageSegment
from outcrop.knowledge.passages import DocumentKey

_FORM = 1
_ALIGNED = 64
_OF_SEGMENT = ("passages", "places", "chunk_ids", "pages", "parents", "lengths", "vectors", "embedded")
_OF_POSTINGS = ("terms", "starts", "rows", "counts")
_LONGEST_LINE = 1 << 30

_Array: TypeAlias = npt.NDArray[Any]
_Place: TypeAlias = "tuple[str, Sequence[int], int]"
"Type, shape and offset of an array."


@dataclass(frozen=True, kw_only=True)
class RowSnapshot:
    """The rows of one generation, and the trust in the encoder that was learned of them."""

    rows: SearchedRows
    learned: tuple[int, float] | None


def write(path: Path, snapshot: RowSnapshot, *, note: Callable[[str], None]) -> None:
    """Replace the snapshot at this place. `note` tells the storage its token, before it is there."""
    rows, token, end = snapshot.rows, secrets.token_hex(16), 0
    arrays: list[tuple[int, _Array]] = []

    def placed(array: _Array) -> _Place:
        nonlocal end
        arrays.append((end, array))
        place = (array.dtype.str, array.shape, end)
        end += -(-array.nbytes // _ALIGNED) * _ALIGNED
        return place

    told = {
        "form": _FORM,
        "token": token,
        "generation": rows.generation,
        "dimensions": rows.dimensions,
        "learned": snapshot.learned,
        "documents": [None if each is None else _told(each) for each in rows.documents],
        "alive": placed(rows.alive),
        "segments": [{name: placed(array) for name, array in _arrays(each).items()} for each in rows.segments],
        "size": end,
    }
    line = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    draft = path.with_name(f".{path.name}.{token}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            head = f"{len(line):012} {zlib.crc32(line):010}\n".encode() + line
            start = _start(len(head))
            file.write(head)
            for offset, array in arrays:
                file.write(bytes(start + offset - file.tell()))
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.nbytes else b"")
            file.truncate(start + end)
            file.flush()
            os.fsync(file.fileno())
        note(token)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path, *, knows: Callable[[str], bool], dimensions: int | None) -> RowSnapshot | None:
    """The snapshot at this place; None where there is none of this storage, or it is not whole."""
    try:
        mapped = np.asarray(np.memmap(path, np.uint8, "r"))
    except (OSError, ValueError):  # none, or an empty file
        return None
    size, _, crc = bytes(mapped[:_HEAD]).partition(b" ")
    if len(mapped) < _HEAD or not size.isdigit() or not crc[:-1].isdigit():
        return None
    line = bytes(mapped[_HEAD : _HEAD + int(size)])
    if zlib.crc32(line) != int(crc):
        return None
    told: Mapping[str, Any] = json.loads(line)
    start = _start(_HEAD + len(line))
    fits = told["form"] == _FORM and told["dimensions"] == dimensions and len(mapped) == start + told["size"]
    if not fits or not knows(told["token"]):
        return None

    def array(place: _Place) -> _Array:
        kind, shape, offset = np.dtype(place[0]), tuple(place[1]), start + place[2]
        count = int(np.prod(shape))
        return mapped[offset : offset + count * kind.itemsize].view(kind).reshape(shape)

    documents = [None if each is None else _document(each) for each in told["documents"]]
    learned = told["learned"]
    rows = SearchedRows(
        generation=told["generation"],
        dimensions=dimensions,
        documents=documents,
        places={each.number: place for place, each in enumerate(documents) if each is not None},
        segments=[_segment({name: array(place) for name, place in each.items()}) for each in told["segments"]],
        alive=array(told["alive"]),
    )
    return RowSnapshot(rows=rows, learned=None if learned is None else (learned[0], learned[1]))


_HEAD = 24
"Bytes of the size and the checksum of the line."


def _start(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


def _arrays(segment: PassageSegment) -> dict[str, _Array]:
    found = {name: getattr(segment, name) for name in _OF_SEGMENT if getattr(segment, name) is not None}
    return found | {name: getattr(segment.postings, name) for name in _OF_POSTINGS}


def _segment(arrays: Mapping[str, _Array]) -> PassageSegment:
    postings = Postings(**{name: arrays[name] for name in _OF_POSTINGS})
    own: dict[str, Any] = {name: arrays.get(name) for name in _OF_SEGMENT}
    return PassageSegment(postings=postings, **own)


def _told(document: SearchedDocument) -> list[Any]:
    metadata = {key: list(value) if isinstance(value, tuple) else value for key, value in document.metadata.items()}
    return [document.number, document.key.data_source_id, document.key.identifier, metadata]


def _document(told: Sequence[Any]) -> SearchedDocument:
    number, source, identifier, metadata = told
    return SearchedDocument(number=number, key=DocumentKey(source, identifier), metadata=metadata)
