"""What a GGUF file says of itself is held against its size before anything is believed of it."""

import resource
import struct
from pathlib import Path

import pytest

from outcrop.json_files import FileProblem
from outcrop.network.gguf.header import is_gguf, read_header
from tests.support.gguf_files import gguf_bytes, list_entry, string, tensor_entry, text_entry

HUGE = 1 << 60
ONE = tensor_entry("a", (2, 4))

DAMAGED = [
    (b"", "is empty"),
    (b"GG", "the magic number: 4 bytes at 0 are not within its 2 bytes: it is damaged or cut short"),
    (b"PK\3\4" + bytes(40), "is no GGUF file: it does not begin with GGUF"),
    (gguf_bytes(version=1), "is of GGUF's version 1, and versions 2 and 3 are read. Convert it anew"),
    (gguf_bytes(num_tensors=HUGE), "the number of tensors: 1,152,921,504,606,846,976 cannot be, in a file of 32 bytes"),
    (gguf_bytes(num_metadata=HUGE), "the number of metadata entries: 1,152,921,504,606,846,976 cannot be"),
    (gguf_bytes(num_metadata=2_000, metadata=bytes(100)), "the number of metadata entries: 2,000 cannot be"),
    (gguf_bytes(num_metadata=1, metadata=struct.pack("<Q", HUGE) + bytes(20)), "a metadata key: a text of"),
    (gguf_bytes(num_metadata=1, metadata=string("k") + struct.pack("<IQ", 8, 1 << 28)), "k: 268,435,456 bytes at"),
    (gguf_bytes(num_metadata=1, metadata=list_entry("k", 8, HUGE)), "k: 1,152,921,504,606,846,976 cannot be"),
    (gguf_bytes(num_metadata=1, metadata=list_entry("k", 4, 3_000_000_000)), "k: 3,000,000,000 cannot be"),
    (
        gguf_bytes(num_metadata=1, metadata=list_entry("k", 9, 1, bytes(12))),
        "k: is a list of type 9, which is not read",
    ),
    (gguf_bytes(num_metadata=1, metadata=string("k") + struct.pack("<I", 77)), "k: is of type 77, which GGUF does not"),
    (gguf_bytes(num_metadata=2, metadata=text_entry("k", "a") + text_entry("k", "b")), "k: is there twice"),
    (gguf_bytes(num_metadata=1, metadata=string("k") + struct.pack("<IQ", 8, 2) + b"\xff\xff"), "k: is not UTF-8"),
    (gguf_bytes(num_tensors=1, tensors=ONE), "a: 32 bytes at"),
    (gguf_bytes(num_tensors=2, tensors=ONE * 2, data=bytes(32)), "a: is there twice"),
    (
        gguf_bytes(num_tensors=2, tensors=ONE + tensor_entry("b", (2, 4)), data=bytes(64)),
        "b: lies upon another tensor",
    ),
    (gguf_bytes(num_tensors=1, tensors=tensor_entry("a", (2, 4), offset=HUGE), data=bytes(32)), "a: 32 bytes at 1,152"),
    (gguf_bytes(num_tensors=1, tensors=tensor_entry("a", (2, 4), offset=7), data=bytes(64)), "a: 32 bytes at"),
    (gguf_bytes(num_tensors=1, tensors=tensor_entry("a", (HUGE, HUGE)), data=bytes(64)), "a: the shape"),
    (gguf_bytes(num_tensors=1, tensors=tensor_entry("a", (0, 4)), data=bytes(64)), "a: the shape [0, 4] cannot be"),
    (
        gguf_bytes(num_tensors=1, tensors=tensor_entry("a", (2, 33), form=8), data=bytes(99)),
        "a: the shape [2, 33] cannot",
    ),
    (
        gguf_bytes(num_tensors=1, tensors=tensor_entry("a", (2, 4), form=999), data=bytes(64)),
        "a: its numbers are of form",
    ),
    (
        gguf_bytes(num_tensors=1, tensors=string("a") + struct.pack("<I", 1 << 31) + bytes(64)),
        "a: has 2147483648 dimensions, and 1 to 4 are possible",
    ),
    (
        gguf_bytes(num_metadata=1, metadata=string("general.alignment") + struct.pack("<II", 4, 3)),
        "general.alignment: 3 is no power of two from 8 on",
    ),
]


@pytest.mark.parametrize(("content", "problem"), DAMAGED, ids=[problem[:40] for _, problem in DAMAGED])
def test_a_damaged_or_lying_file_is_refused_in_a_sentence(content: bytes, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(FileProblem) as refused:
        read_header(file)
    assert str(refused.value).startswith(f"model.gguf: {problem}")


def test_a_file_that_lies_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content, _ in DAMAGED:
        file.write_bytes(content)
        with pytest.raises(FileProblem):
            read_header(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10  # KiB


@pytest.mark.parametrize("length", range(4, 200, 7))
def test_a_file_cut_anywhere_is_refused(length: int, tmp_path: Path) -> None:
    whole = gguf_bytes(
        num_metadata=2,
        metadata=text_entry("general.architecture", "llama") + list_entry("k", 4, 3, struct.pack("<3I", 1, 2, 3)),
        num_tensors=1,
        tensors=tensor_entry("a", (8, 8)),
        data=bytes(256),
    )
    file = tmp_path / "model.gguf"
    file.write_bytes(whole)
    assert read_header(file).metadata["k"] == [1, 2, 3]
    file.write_bytes(whole[:length])
    with pytest.raises(FileProblem):
        read_header(file)


def test_a_file_is_known_by_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "named.bin").write_bytes(gguf_bytes())
    (tmp_path / "other.gguf").write_bytes(b"else")
    assert is_gguf(tmp_path / "named.bin")
    assert not is_gguf(tmp_path / "other.gguf")
    assert not is_gguf(tmp_path / "absent.gguf")
