"""The embedded index's file: killed writers, other processes, damage."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outcrop.errors import Invalid, MachineTrouble
from outcrop.knowledge.index.embedded import FILE, EmbeddedIndex
from outcrop.knowledge.passage_index import SearchQuery
from tests.support.passages import document, key

WRITING = """
import sys
from pathlib import Path
from outcrop.knowledge.index.embedded import EmbeddedIndex
from tests.support.passages import document
index = EmbeddedIndex(Path(sys.argv[1]), dimensions=None)
for version in range(1_000_000):
    for name in "abc":
        index.put(document(name, [f"version{version} broker {number}" for number in range(40)]))
    print(version, flush=True)
"""


def writer(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITING, str(folder)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )


def versions(index: EmbeddedIndex, name: str) -> list[str]:
    """The version of each passage of a document."""
    where = SearchQuery(text="broker", most=100)
    found = [each for each in index.search(where) if each.document == key(name)]
    return [each.text.split()[0] for each in found]


def test_a_killed_writer_leaves_each_document_old_or_new(tmp_path: Path) -> None:
    chance = random.Random(0)
    for _ in range(3):
        process = writer(tmp_path / "index")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() / 5)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()

        index = EmbeddedIndex(tmp_path / "index", dimensions=None)
        # 100 passages at most are found, and each document has 40: two are found whole.
        assert index.count_passages() == 120
        for name in "ab":
            found = versions(index, name)
            assert len(found) == 40
            assert len(set(found)) == 1
        index.close()


def test_what_another_process_writes_is_in_the_next_answer(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "index", dimensions=None)
    assert index.search(SearchQuery(text="broker", most=5)) == []
    process = writer(tmp_path / "index")
    assert process.stdout is not None
    for expected in range(5):
        assert process.stdout.readline() == f"{expected}\n"
        [version] = set(versions(index, "a"))
        assert int(version.removeprefix("version")) >= expected
    process.kill()
    process.wait()
    process.stdout.close()
    index.close()


def test_an_index_of_another_width_is_refused(tmp_path: Path) -> None:
    EmbeddedIndex(tmp_path, dimensions=384).close()
    with pytest.raises(Invalid) as refused:
        EmbeddedIndex(tmp_path, dimensions=512)
    assert refused.value.message == (
        "This index holds vectors of 384 numbers, and is opened for vectors of 512 numbers. "
        "Make a new knowledge base for another embedding model."
    )


def test_vectors_have_no_place_where_there_is_the_lexical_arm_alone(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path, dimensions=None)
    with pytest.raises(Invalid, match="a vector of 2 numbers, and the index holds no vectors"):
        index.put(document("a", ["Brokers."], vectors=[[1.0, 0.0]]))
    index.close()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database " * 1000)
    with pytest.raises(MachineTrouble, match="the database cannot be opened"):
        EmbeddedIndex(tmp_path, dimensions=None)


def test_the_file_is_closed_to_others(tmp_path: Path) -> None:
    EmbeddedIndex(tmp_path / "new", dimensions=None).close()
    assert (tmp_path / "new" / FILE).stat().st_mode & 0o077 == 0
