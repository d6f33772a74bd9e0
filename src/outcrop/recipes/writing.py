"""A recipe's items written as files: train, validation and test, what was left out, and the card.

Items pass one by one into a file; of each record some 100 bytes are held in memory, by which duplicates are found and
the split is made. The same items, seed and split give the same bytes.
"""

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from outcrop.datasets import shapes
from outcrop.datasets.flaws import ShapeError
from outcrop.errors import Invalid
from outcrop.recipes import split as splitting
from outcrop.recipes.card import Card, OutputFile, SourceFile
from outcrop.recipes.output_folder import CARD, LEFT_OUT, digest_of, new_output
from outcrop.recipes.recipe import Dropped, Item, Kept, RecipeRun, kind_of_record, source_names
from outcrop.recipes.split import PARTS, PartSizes

_ENTRY = struct.Struct("<QQQQQI")
_INDEX = np.dtype(
    [("high", "<u8"), ("low", "<u8"), ("group", "<u8"), ("number", "<u8"), ("start", "<u8"), ("size", "<u4")]
)
_SPOOL = "records"
_MOST_REASONS = 500
_OTHER = "other reasons"
_SAME = "the same record stands elsewhere"
_NO_ROOM = "the parts of the split are full"
_SHOWN_REASONS = 5


def write(
    run: RecipeRun, items: Iterable[Item], folder: Path, *, split: PartSizes | None = None, seed: int = 0
) -> Card:
    """Write the items' records into `folder`, with a card. Raises Invalid when nothing is left to write."""
    with new_output(folder) as making:
        split = split or PartSizes()
        sources = _described(run)
        with (making / LEFT_OUT).open("wb") as left_out:
            collected = _Collected(making / _SPOOL, left_out, seed=seed)
            with collected.spool:
                collected.take(items)
                files = collected.divide(making, split, recipe=run.recipe)
        (making / _SPOOL).unlink()
        card = Card(
            run=run,
            seed=seed,
            split=str(split),
            sources=sources,
            files=[*files, _file(making / LEFT_OUT, sum(collected.reasons.values()), 0)],
            reasons=dict(collected.reasons.most_common()),
            notes=dict(collected.notes.most_common()),
            licence_files=_licence_files(run),
        )
        (making / CARD).write_text(card.to_text(), "utf-8")
    return card


class _Collected:
    """Records spooled to a file, with an index of them in memory."""

    def __init__(self, spool: Path, left_out: BinaryIO, *, seed: int) -> None:
        self.spool = spool.open("w+b")
        self.reasons: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self._left_out = left_out
        self._entries = bytearray()
        self._salt = str(seed).encode()[:16]

    def take(self, items: Iterable[Item]) -> None:
        start = 0
        for number, item in enumerate(items):
            problem = _problem(item) if isinstance(item, Kept) else item
            if problem is not None:
                self._leave_out(problem)
                continue
            assert isinstance(item, Kept)
            if item.note:
                self.notes[item.note] += 1
            record = _line(item.record)
            line = record + json.dumps(item.origin).encode() + b"\n"
            digest = struct.unpack("<QQ", self._digest(_canonical(item.record), 16))
            (group,) = struct.unpack("<Q", self._digest(item.group.encode("utf-8", "surrogatepass"), 8))
            self._entries += _ENTRY.pack(*digest, group, number, start, len(record))
            self.spool.write(line)
            start += len(line)

    def divide(self, folder: Path, split: PartSizes, *, recipe: str) -> list[OutputFile]:
        """Write the parts in an order that the seed decides, and leave out what is twice or has no room."""
        index = np.frombuffer(self._entries, dtype=_INDEX)
        # Digests hold the seed: their order is as good as a shuffle, and the same on every machine.
        index = index[np.lexsort((index["number"], index["low"], index["high"]))]
        self._entries = bytearray()
        is_same = np.zeros(len(index), dtype=bool)
        is_same[1:] = (index["high"][1:] == index["high"][:-1]) & (index["low"][1:] == index["low"][:-1])
        if is_same.any():
            self._leave_out_same(index, is_same)
            index = index[~is_same]
        if not len(index):
            raise Invalid(_nothing(recipe, self.reasons))
        parts = splitting.assign(index["group"], split)
        for place in _as_read(index, np.flatnonzero(parts == splitting.LEFT_OVER)):
            self._leave_out(Dropped(origin=self._origin(index[place]), reason=_NO_ROOM))
        return [
            self._write(folder / f"{name}.jsonl", index, np.flatnonzero(parts == number))
            for number, name in enumerate(PARTS)
            if (parts == number).any()
        ]

    def _leave_out_same(self, index: Any, is_same: Any) -> None:
        first = np.maximum.accumulate(np.where(is_same, 0, np.arange(len(index))))
        for place in _as_read(index, np.flatnonzero(is_same)):
            same = f"as {self._origin(index[first[place]])}"
            self._leave_out(Dropped(origin=self._origin(index[place]), reason=_SAME, detail=same))

    def _write(self, path: Path, index: Any, places: Any) -> OutputFile:
        with path.open("wb") as file:
            for place in places:
                file.write(self._read(index[place])[0] + b"\n")
        return _file(path, len(places), len(np.unique(index["group"][places])))

    def _origin(self, row: Any) -> str:
        origin: str = json.loads(self._read(row)[1])
        return origin

    def _read(self, row: Any) -> tuple[bytes, bytes]:
        self.spool.seek(int(row["start"]))
        line = self.spool.readline()
        return line[: int(row["size"])], line[int(row["size"]) :]

    def _leave_out(self, item: Dropped) -> None:
        known = item.reason in self.reasons or len(self.reasons) < _MOST_REASONS
        self.reasons[item.reason if known else _OTHER] += 1
        told = {"origin": item.origin, "reason": item.reason} | ({"detail": item.detail} if item.detail else {})
        self._left_out.write(json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def _digest(self, content: bytes, size: int) -> bytes:
        return hashlib.blake2b(content, digest_size=size, salt=self._salt).digest()


def _as_read(index: Any, places: Any) -> Any:
    """The places in the order in which their items came."""
    return places[np.argsort(index["number"][places])]


def _problem(item: Kept) -> Dropped | None:
    """Why a record could not be trained on: preflight would refuse it too."""
    try:
        shapes.parse(dict(item.record), line=1, customization=kind_of_record(item.record))
    except ShapeError as error:
        return Dropped(origin=item.origin, reason="; ".join(f"{flaw.field}: {flaw.what}" for flaw in error.flaws))
    return None


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def _canonical(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True).encode()


def _nothing(recipe: str, reasons: Counter[str]) -> str:
    if not reasons:
        return f"{recipe}: the sources hold nothing that this recipe reads. Name files with records in them."
    told = "; ".join(f"{number:,} × {why}" for why, number in reasons.most_common(_SHOWN_REASONS))
    return f"{recipe}: nothing is left of {sum(reasons.values()):,} items: {told}. Nothing was written."


def _file(path: Path, num_records: int, num_groups: int) -> OutputFile:
    return OutputFile(path.name, num_records, num_groups, path.stat().st_size, digest_of(path))


def _described(run: RecipeRun) -> list[SourceFile]:
    names = source_names(run.sources)
    return [SourceFile(name, path.stat().st_size, digest_of(path)) for path, name in names.items()]


def _licence_files(run: RecipeRun) -> list[str]:
    folders = dict.fromkeys(path.absolute().parent for path in run.sources)
    return list(dict.fromkeys(name for folder in folders for name in _licences(folder)))


def _licences(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "README")) and path.is_file():
            yield path.name
