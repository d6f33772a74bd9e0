"""The search for plaintext finds every window of 16 bytes, wherever it stands, and nothing else."""

import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.plaintext_scan import WINDOW_BYTES, PlaintextScan

SECRET = random.Random(1).randbytes(5000)
NOISE = random.Random(2).randbytes(3000)


@settings(max_examples=80, deadline=None)
@given(begin=st.integers(0, len(SECRET) - WINDOW_BYTES), at=st.integers(0, len(NOISE)), length=st.integers(15, 17))
def test_sixteen_bytes_are_found_and_fifteen_are_not(begin: int, at: int, length: int) -> None:
    piece = SECRET[begin : begin + length]
    text = NOISE[:at] + piece + NOISE[at:]
    # The noise beside a piece goes on as the secret does once in a hundred times.
    windows = (SECRET[first : first + WINDOW_BYTES] for first in range(max(0, begin - 2), begin + 3))
    assert (PlaintextScan({"it": SECRET})._find(text) is not None) == any(
        len(each) == WINDOW_BYTES and each in text for each in windows
    )


def test_a_leak_is_told_with_its_file_and_what_is_known_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(NOISE + SECRET[100:200])
    (tmp_path / "b").write_bytes(bytes(1000) + SECRET[100:115])
    (leak,) = PlaintextScan({"zeros": bytes(100), "it": SECRET}).files(tmp_path)
    assert (leak.path.name, leak.secret, leak.text in SECRET) == ("file", "it", True)
    assert PlaintextScan({"it": SECRET}, known=[SECRET[90:210]]).files(tmp_path) == []
