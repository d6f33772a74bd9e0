"""Putting into buckets without a door, and how it is refused."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import Promise
from outcrop.buckets.records import ObjectRecord
from outcrop.buckets.uploads import ChosenPart
from outcrop.errors import ServiceRefusal
from outcrop.store.store import Store

MIB = 1024**2
LONG = hashlib.shake_128(b"long").digest(100_000)
HERE = Place("books", "gen/parker.jsonl")


@contextmanager
def refused(code: str, status: int) -> Iterator[pytest.ExceptionInfo[ServiceRefusal]]:
    with pytest.raises(ServiceRefusal) as caught:
        yield caught
    assert (caught.value.code, caught.value.http_status) == (code, status)


def put(buckets: Buckets, data: bytes, place: Place = HERE, *, fail: bool = False, **asked: object) -> ObjectRecord:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 300_000):
            yield data[start : start + 300_000]
        if fail:
            raise ServiceRefusal("IncompleteBody", "The client went away.", http_status=400)

    return asyncio.run(buckets.put(place, chunks(), **asked))  # type: ignore[arg-type]


def put_part(buckets: Buckets, upload_id: str, number: int, data: bytes, promise: Promise = Promise()) -> ChosenPart:  # noqa: B008
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    part = asyncio.run(buckets.uploads.put_part(HERE, upload_id, number, chunks(), promise))
    return ChosenPart(number=number, etag=f'"{part.etag}"')


def files(store: Store) -> list[Path]:
    return [*store.objects.kept(), *store.objects.unfinished()]
