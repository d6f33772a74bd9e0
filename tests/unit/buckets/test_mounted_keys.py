"""Keys that a mounted bucket would take for another key: policies were asked about what is written."""

import os
import stat
from pathlib import Path

import pytest

from outcrop import private
from outcrop.buckets.buckets import Buckets
from outcrop.errors import ServiceRefusal

pytest.importorskip("obstore", reason="mounted buckets need obstore")


@pytest.fixture
def mounted(buckets: Buckets, tmp_path: Path) -> Buckets:
    place = tmp_path / "elsewhere"
    (place / "secret").mkdir(parents=True)
    (place / "secret" / "x").write_bytes(b"hidden")
    buckets.mount("mounted", place.as_uri())
    return buckets


@pytest.mark.parametrize("key", ["/secret/x", "secret/x/", "//secret/x", "secret//x", "secret/./x", "a/../secret/x"])
def test_no_other_spelling_of_a_key_reaches_the_object(mounted: Buckets, tmp_path: Path, key: str) -> None:
    with pytest.raises(ServiceRefusal) as refused:
        mounted.find("mounted", key)
    assert refused.value.code == "NoSuchKey"
    with pytest.raises(ServiceRefusal, match="a key that"):
        mounted.put_bytes("mounted", key, b"overwritten")
    mounted.remove("mounted", key)  # what is not there is removed already
    assert (tmp_path / "elsewhere" / "secret" / "x").read_bytes() == b"hidden"


def test_a_mounted_directory_keeps_the_rights_of_the_users_own_umask(
    mounted: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The house's own files are closed to others; a mounted directory is the user's place, others may read there."""
    before = os.umask(0o077)
    monkeypatch.setattr(private, "_users", 0o022)
    try:
        mounted.put_bytes("mounted", "new/deeper/file", b"shared")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / "elsewhere" / each).stat().st_mode) for each in ("new", "new/deeper")]
    assert modes == [0o755, 0o755]
    assert stat.S_IMODE((tmp_path / "elsewhere/new/deeper/file").stat().st_mode) == 0o644
