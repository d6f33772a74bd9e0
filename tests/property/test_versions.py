"""Versions of objects against a small model: a list of versions for each key, newest first, and S3's rules about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.names import Place
from outcrop.buckets.settings_records import VERSIONING
from outcrop.buckets.version_ids import NULL_VERSION
from outcrop.buckets.version_listing import VersionListing, VersionRequest
from outcrop.buckets.version_records import VersionRecord
from outcrop.clock import MovableClock
from outcrop.errors import ServiceRefusal
from outcrop.settings import Settings
from outcrop.store.store import Store

BUCKET = "kept"
KEYS = ("a", "a/b", "é")
LONG = 70_000
"More than what lies in a row of the database."
keys = st.sampled_from(KEYS)
contents = st.one_of(st.binary(max_size=3), st.just(b"x" * LONG))


@dataclass
class Version:
    """A version of the model; `content` is None for a delete marker."""

    id: str
    content: bytes | None
    tags: dict[str, str] = field(default_factory=dict)


class Versions(RuleBasedStateMachine):
    """A bucket whose versioning is switched, written to and deleted from; the model says what must be there."""

    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.store = Store.open(Settings(home=Path(self.folder.name) / "home"))
        self.clock = MovableClock()
        self.buckets = Buckets(self.store, self.clock)
        self.buckets.create(BUCKET, "us-east-1")
        self.status: str | None = None
        self.model: dict[str, list[Version]] = {key: [] for key in KEYS}

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def switch(self, status: str) -> None:
        self.buckets.set_setting(BUCKET, VERSIONING, status)
        self.status = status

    @rule(target=known, key=keys, content=contents)
    def put(self, key: str, content: bytes) -> Any:
        made = self.buckets.put_bytes(BUCKET, key, content)
        return self._added(key, Version(made.version or NULL_VERSION, content))

    @rule(target=known, key=keys, source=keys)
    def copy(self, key: str, source: str) -> Any:
        latest = self._latest(source)
        if latest is None or latest.content is None:
            with pytest.raises(ServiceRefusal, match="does not exist"):
                self.buckets.copy(Place(BUCKET, source), Place(BUCKET, key))
            return multiple()
        made = self.buckets.copy(Place(BUCKET, source), Place(BUCKET, key))
        return self._added(key, Version(made.version or NULL_VERSION, latest.content, dict(latest.tags)))

    @rule(target=known, key=keys)
    def delete(self, key: str) -> Any:
        removed = self.buckets.remove(BUCKET, key)
        if self.status is None:
            self.model[key] = []
            assert removed.version is None
            return multiple()
        assert removed.is_marker
        assert removed.version is not None
        return self._added(key, Version(removed.version, None))

    @rule(of=consumes(known))
    def delete_version(self, of: tuple[str, str]) -> None:
        key, version = of
        found = self._named(key, version)
        removed = self.buckets.remove(BUCKET, key, version=version)
        assert removed.is_marker == (found is not None and found.content is None)
        if found is not None:
            self.model[key].remove(found)

    @rule(of=known, value=st.sampled_from(["1", "2"]))
    def tag_version(self, of: tuple[str, str], value: str) -> None:
        key, version = of
        found = self._named(key, version)
        if found is None or found.content is None:
            with pytest.raises(ServiceRefusal):
                self.buckets.tag(BUCKET, key, {"t": value}, version=version)
            return
        self.buckets.tag(BUCKET, key, {"t": value}, version=version)
        found.tags = {"t": value}

    @rule()
    def sweep(self) -> None:
        """Bytes that nothing names any more go, and no others."""
        self.clock.move(timedelta(hours=2))
        while self.buckets.sweep().more_due:
            pass

    @invariant()
    def the_objects_are_the_latest_versions(self) -> None:
        for key in KEYS:
            latest = self._latest(key)
            if latest is None or latest.content is None:
                with pytest.raises(ServiceRefusal, match="does not exist"):
                    self.buckets.find(BUCKET, key)
                continue
            assert self.buckets.read_bytes(BUCKET, key) == latest.content
        present = [each.key for each in self.buckets.under(BUCKET, "")]
        expected = [
            key for key in sorted(KEYS, key=str.encode) if (found := self._latest(key)) and found.content is not None
        ]
        assert present == expected

    @invariant()
    def every_version_is_read_by_its_id(self) -> None:
        for key, versions in self.model.items():
            for version in versions:
                if version.content is None:
                    with pytest.raises(ServiceRefusal) as refused:
                        self.buckets.find(BUCKET, key, version.id)
                    assert refused.value.code == "MethodNotAllowed"
                    continue
                record = self.buckets.find(BUCKET, key, version.id)
                content = b"".join(self.buckets.blocks(record))
                assert (content, record.details.tags) == (version.content, version.tags)

    @invariant()
    def the_listing_is_the_model_whatever_its_pages(self) -> None:
        expected = [
            (key, version.id, version.content is None, number == 0)
            for key in sorted(KEYS, key=str.encode)
            for number, version in enumerate(self.model[key])
        ]
        for size in (1, 2, 1000):
            assert list(self._listed(size)) == expected

    def _added(self, key: str, version: Version) -> Any:
        versions = self.model[key]
        if self.status is None:
            versions.clear()
        elif version.id == NULL_VERSION:
            versions[:] = [each for each in versions if each.id != NULL_VERSION]
        assert version.id not in {each.id for each in versions}
        assert (version.id == NULL_VERSION) == (self.status != "Enabled")
        versions.insert(0, version)
        return (key, version.id)

    def _latest(self, key: str) -> Version | None:
        return next(iter(self.model[key]), None)

    def _named(self, key: str, version: str) -> Version | None:
        return next((each for each in self.model[key] if each.id == version), None)

    def _listed(self, size: int) -> Iterator[tuple[str, str, bool, bool]]:
        asked = VersionRequest(max_keys=size)
        while True:
            page: VersionListing = self.buckets.list_versions(BUCKET, asked)
            assert page.count <= size
            for each in page.versions:
                yield each.object.key, each.version, each.is_marker, each.is_latest
            if not page.is_truncated:
                return
            last = page.last
            assert isinstance(last, VersionRecord)
            asked = VersionRequest(max_keys=size, key_marker=last.object.key, version_marker=last.version)


Versions.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
test_versions_are_those_of_the_model = Versions.TestCase
