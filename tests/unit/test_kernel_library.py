"""Where the C kernels come from, and what happens where they cannot be had."""

import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
import pytest

from outcrop.network.fast.kernels import use
from outcrop.network.fast.kernels.library import Library, library
from tests.support.compiled import COMPILER, needs_compiler


@pytest.fixture(autouse=True)
def kernels_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment of the tests says of them."""
    monkeypatch.delenv("OUTCROP_FAST", raising=False)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "outcrop"


def compiler(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a script as the only C compiler, in place of any on this machine."""
    folder.mkdir()
    (folder / "cc").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@needs_compiler
@pytest.mark.parametrize("umask", [0o022, 0o002, 0])
def test_they_are_compiled_once(umask: int, cache: Path) -> None:
    before_us = os.umask(umask)
    try:
        assert isinstance(library(), Library)
    finally:
        os.umask(before_us)
    (made,) = cache.iterdir()
    assert cache.stat().st_mode & 0o077 == 0
    before = made.stat()
    assert isinstance(library(), Library)
    assert [path.name for path in cache.iterdir()] == [made.name]
    assert made.stat().st_mtime_ns == before.st_mtime_ns


@needs_compiler
def test_a_damaged_file_is_compiled_anew(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert library()
    (made,) = cache.iterdir()
    # Elsewhere, since the linker remembers what it loaded from a path.
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "other" / name)
    damaged = tmp_path / "other" / "outcrop" / made.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"\x7fELF and no more")
    with caplog.at_level(logging.WARNING):
        assert isinstance(library(), Library)
    assert f"{damaged} is compiled anew" in caplog.text
    assert damaged.stat().st_size == made.stat().st_size


def test_none_are_wanted(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_FAST", "0")
    assert library() is None
    assert not cache.exists()


def test_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("PATH", "")
    with caplog.at_level(logging.WARNING):
        assert library() is None
    assert "no C compiler (cc, gcc, clang) is installed" in caplog.text
    assert not cache.exists()


def test_a_compiler_that_fails(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    script = '[ "$1" = --version ] && echo cc 1 && exit 0\necho "vector.h: no such luck" >&2; exit 3'
    compiler(tmp_path / "bin", script, monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert library() is None
    assert "ended with 3: vector.h: no such luck" in caplog.text
    assert list(cache.iterdir()) == []


def test_a_folder_that_others_write_to_is_not_trusted(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiler(tmp_path / "bin", "echo cc 1", monkeypatch)
    cache.mkdir()
    cache.chmod(0o777)
    with caplog.at_level(logging.WARNING):
        assert library() is None
    assert "others may write here" in caplog.text


def test_no_room_for_a_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiler(tmp_path / "bin", "echo cc 1", monkeypatch)
    cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert library() is None
    assert "File exists" in caplog.text


def test_a_user_without_a_home_trains_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nowhere(name: str) -> Path:
        raise RuntimeError(f"could not determine the home directory for {name}")

    monkeypatch.setattr(platformdirs, "user_cache_path", nowhere)
    with caplog.at_level(logging.WARNING):
        assert library() is None
    assert COMPILER is None or "could not determine the home directory" in caplog.text


@needs_compiler
def test_a_file_that_others_could_write_is_not_executed(cache: Path) -> None:
    assert library()
    (made,) = cache.iterdir()
    made.unlink()
    made.write_bytes(b"planted")
    made.chmod(0o666)
    assert library()
    assert made.read_bytes() != b"planted"
    assert made.stat().st_mode & 0o022 == 0


@needs_compiler
def test_the_next_compiler_is_tried(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gcc = shutil.which("gcc") or shutil.which("clang")
    if gcc is None:
        pytest.skip("there is no other compiler")
    path = os.environ["PATH"]
    compiler(tmp_path / "bin", "exit 3", monkeypatch)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{path}")
    assert library()


@needs_compiler
def test_threads_that_ask_at_once_get_the_same(cache: Path) -> None:
    use._once.cache_clear()
    try:
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda _: use.trusted(), range(4)))
    finally:
        use._once.cache_clear()
    assert found[0] is not None
    assert all(one is found[0] for one in found)
    assert len(list(cache.iterdir())) == 1
