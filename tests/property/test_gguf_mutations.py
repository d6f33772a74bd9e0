"""Whatever becomes of a GGUF file's bytes, it is converted, or refused in a sentence that leaves nothing behind."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outcrop.errors import Invalid
from outcrop.network.gguf.exporting import GgufForm, write_gguf
from outcrop.network.gguf.importing import convert
from tests.support.gguf_files import small_network

ODD = [
    b"\0",
    b"\xff",
    b"\xff" * 8,
    b"\0" * 8,
    (1 << 40).to_bytes(8, "little"),
    (1 << 63).to_bytes(8, "little"),
    b"\x07",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    write_gguf(small_network(folder / "network", "qwen3"), folder / "n.gguf", GgufForm.Q8_0, name="Small")
    return (folder / "n.gguf").read_bytes()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numbers that are none, where weights were changed
@given(data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_changed_file_is_converted_or_refused(whole: bytes, tmp_path: Path, data: st.DataObject) -> None:
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        # Most of the header, where lies do harm, lies within the first bytes; the lists of tokens follow.
        at = data.draw(st.one_of(st.integers(0, 1500), st.integers(0, len(whole) - 1)))
        odd = data.draw(st.one_of(st.sampled_from(ODD), st.binary(min_size=1, max_size=8)))
        changed[at : at + len(odd)] = odd
    if data.draw(st.booleans()):
        changed = changed[: data.draw(st.integers(0, len(changed)))]
    file, folder = tmp_path / "n.gguf", tmp_path / "out"
    file.write_bytes(changed)
    try:
        convert(file, folder)
    except Invalid as refused:
        assert refused.message.startswith(f"{file}: ")  # noqa: PT017
        assert len(refused.message) < 1_000  # noqa: PT017
        assert not folder.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"n.gguf", "out"}
    shutil.rmtree(folder, ignore_errors=True)
