"""MD5 and SHA-256 of many streams together: each is hashlib's, whatever goes beside it."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.digests import library as c
from outcrop.digests import streams as streams_module
from outcrop.digests.library import SOURCE, DigestKind, DigestLibrary, RunningDigest, answers_alike, plain, take
from outcrop.digests.streams import Stream, Streams
from tests.support.compiled import WIDTHS, compiled, needs_compiler
from tests.support.patience import PATIENCE_S

BOTH = tuple(DigestKind)


@pytest.fixture(scope="module", params=WIDTHS)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DigestLibrary:
    return DigestLibrary(compiled(SOURCE, request.param, tmp_path_factory.mktemp("digests")))


@pytest.fixture(autouse=True)
def without_instructions_of_sha256(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on this machine, so on another."""
    monkeypatch.setattr(streams_module, "_has_sha256", lambda: False)


@needs_compiler
def test_a_library_is_tried(library: DigestLibrary) -> None:
    assert library.num_lanes in (4, 8, 16)
    assert answers_alike(library)


sizes = st.one_of(st.sampled_from([0, 1, 55, 56, 63, 64, 65, 119, 120, 128]), st.integers(0, 3000))


@needs_compiler
@settings(max_examples=60)
@given(rounds=st.lists(st.lists(st.lists(sizes, max_size=4), min_size=1, max_size=20), max_size=4), seed=st.integers())
def test_streams_of_any_lengths_in_any_pieces(library: DigestLibrary, rounds: list[list[list[int]]], seed: int) -> None:
    drawn = random.Random(seed)
    num = max(map(len, rounds), default=1)
    mine = [RunningDigest(library, kind) for kind in BOTH for _ in range(num)]
    theirs = [plain(kind) for kind in BOTH for _ in range(num)]
    for each in rounds:
        pieces = {number: [drawn.randbytes(size) for size in sizes] for number, sizes in enumerate(each)}
        take({mine[kind * num + number]: said for number, said in pieces.items() for kind in BOTH})
        for number, said in pieces.items():
            for kind in BOTH:
                theirs[kind * num + number].update(b"".join(said))
        assert [one.hexdigest() for one in mine] == [one.hexdigest() for one in theirs]


@needs_compiler
def test_more_bits_than_a_word_counts(tmp_path: Path) -> None:
    """Of 512 MiB."""
    library = DigestLibrary(compiled(SOURCE, "native", tmp_path))
    block = bytes(range(256)) * (1 << 16)
    mine, theirs = RunningDigest(library, DigestKind.MD5), plain(DigestKind.MD5)
    for _ in range((1 << 29) // len(block)):
        mine.update(block)
        theirs.update(block)
    assert mine.digest() == theirs.digest()


@needs_compiler
def test_a_library_that_computes_wrongly_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("OUTCROP_KERNELS", raising=False)
    wrong = tmp_path / "digests.c"
    wrong.write_text(SOURCE.files[0].read_text().replace("0xd76aa478", "0xd76aa479"))
    (header,) = SOURCE.headers
    (tmp_path / header.name).write_text(header.read_text())
    monkeypatch.setattr(c, "SOURCE", replace(SOURCE, files=(wrong,)))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    assert c.library() is None
    assert "come out wrong here" in caplog.text


def fed(stream: Stream, data: bytes, seed: int) -> None:
    """In blocks, each of several pieces, one after the other."""
    drawn, at = random.Random(seed), 0
    while at < len(data):
        pieces = []
        for _ in range(drawn.randint(1, 3)):
            size = drawn.randint(1, 200_000)
            pieces.append(data[at : at + size])
            at += size
        stream.take(pieces).result(timeout=PATIENCE_S)


def check_many(streams: Streams) -> None:
    made = random.Random(0)
    contents = [made.randbytes(made.randint(0, 3_000_000)) for _ in range(12)]

    def run(number: int) -> None:
        with streams.stream(*(BOTH if number % 3 else BOTH[:1])) as stream:
            fed(stream, contents[number], number)
            assert stream[DigestKind.MD5].digest() == plain(DigestKind.MD5, contents[number]).digest()
            if number % 3:
                assert stream[DigestKind.SHA256].hexdigest() == plain(DigestKind.SHA256, contents[number]).hexdigest()

    with ThreadPoolExecutor(len(contents)) as threads:
        done = [threads.submit(run, number) for number in range(len(contents))]
        assert not wait(done, timeout=PATIENCE_S).not_done
        for one in done:
            one.result()


@needs_compiler
def test_many_at_once(library: DigestLibrary) -> None:
    streams = Streams(lambda: library)
    wait_for_library(streams)
    with streams.stream(*BOTH) as alone:
        assert not isinstance(alone[DigestKind.MD5], RunningDigest)
        check_many(streams)


def test_many_at_once_without_a_library() -> None:
    check_many(Streams(lambda: None))


@needs_compiler
def test_a_stream_begun_before_the_library_was_there_ends_as_it_began(library: DigestLibrary) -> None:
    ready, told = threading.Event(), threading.Event()

    def found() -> DigestLibrary:
        told.set()
        ready.wait(PATIENCE_S)
        return library

    streams = Streams(found)
    with streams.stream(*BOTH) as early:
        assert not told.is_set()
        with streams.stream(), streams.stream():
            assert told.wait(PATIENCE_S)
        early.take([b"early ", b"bird"]).result(timeout=PATIENCE_S)
        ready.set()
        wait_for_library(streams)
        with streams.stream(*BOTH) as late:
            wait([early.take([b" and the worm"]), late.take([b"later"])], timeout=PATIENCE_S)
            for kind in BOTH:
                assert early[kind].digest() == plain(kind, b"early bird and the worm").digest()
                assert late[kind].digest() == plain(kind, b"later").digest()


def wait_for_library(streams: Streams) -> None:
    end = time.monotonic() + PATIENCE_S
    with streams.stream(), streams.stream():  # since one with fewer beside it is hashlib's
        while not isinstance(streams.stream(DigestKind.MD5)[DigestKind.MD5], RunningDigest):
            assert time.monotonic() < end
            time.sleep(0.01)


@needs_compiler
def test_what_instructions_of_the_processor_do_is_left_to_them(
    library: DigestLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_has_sha256", lambda: True)
    streams = Streams(lambda: library)
    wait_for_library(streams)
    with streams.stream(), streams.stream(), streams.stream(*BOTH) as stream:
        assert isinstance(stream[DigestKind.MD5], RunningDigest)
        assert not isinstance(stream[DigestKind.SHA256], RunningDigest)
    check_many(streams)


def test_a_failure_reaches_who_waits() -> None:
    streams = Streams(lambda: None)
    with streams.stream(DigestKind.MD5) as stream, streams.stream(DigestKind.MD5) as other:
        lost = stream.take(["no bytes"])  # type: ignore[list-item]
        with pytest.raises(TypeError):
            lost.result(timeout=PATIENCE_S)
        other.take([b"bytes"]).result(timeout=PATIENCE_S)
        assert other[DigestKind.MD5].digest() == plain(DigestKind.MD5, b"bytes").digest()


@needs_compiler
def test_who_no_longer_waits_holds_up_nobody(library: DigestLibrary) -> None:
    streams = Streams(lambda: library)
    wait_for_library(streams)
    with (
        streams.stream(),
        streams.stream(),
        streams.stream(DigestKind.MD5) as gone,
        streams.stream(DigestKind.MD5) as other,
    ):
        for _ in range(50):
            gone.take([b"bytes" * 1000]).cancel()
            other.take([b"bytes" * 1000]).result(timeout=PATIENCE_S)
        assert other[DigestKind.MD5].digest() == plain(DigestKind.MD5, b"bytes" * 50_000).digest()
