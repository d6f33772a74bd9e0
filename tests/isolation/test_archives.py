"""Archives of others neither read nor write anything outside of their folder."""

import gzip
import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.errors import Invalid
from outcrop.isolation.archives import pack, unpack

SECRET = b"a secret of somebody else"
TAKES_A_FILE = tarfile.REGTYPE


def archive(*members: tuple[str, bytes, str | bytes]) -> io.BytesIO:
    """A tar.gz of members: name, type, and what a link points to or a file holds."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if isinstance(content, str):
                member.linkname = content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    written.seek(0)
    return written


def tree(folder: Path, **files: str) -> Path:
    """A folder of files; two underscores in a name are a slash."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def test_several_folders_are_packed_as_one_and_the_first_that_has_a_name_counts(tmp_path: Path) -> None:
    first = tree(tmp_path / "1", weights="first", logs__one="1", taken="a file", empty="")
    second = tree(tmp_path / "2", weights="second", logs__two="2", taken__below__x="x", more="m", empty__deep="d")
    third = tree(tmp_path / "3", more__y="y", logs="a file", last="l")
    written = io.BytesIO()
    found = pack(first, written, more=[second, third])
    assert found.left_out == (
        "empty: another instance has something of that name",
        "empty/deep: another instance has something of that name",
        "taken: another instance has something of that name",
        "taken/below: another instance has something of that name",
        "taken/below/x: another instance has something of that name",
        "weights: another instance has something of that name",
        "logs: another instance has something of that name",
        "more: another instance has something of that name",
        "more/y: another instance has something of that name",
    )
    (tmp_path / "out").mkdir()
    written.seek(0)
    unpack(written, tmp_path / "out")
    files = {
        str(path.relative_to(tmp_path / "out")): path.read_text()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert files == {
        "weights": "first", "logs/one": "1", "logs/two": "2", "taken": "a file", "empty": "", "more": "m", "last": "l",
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder beside a secret."""
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "inner").mkdir()
    return tmp_path / "inner"


def packed(folder: Path) -> bytes:
    written = io.BytesIO()
    pack(folder, written)
    return written.getvalue()


def test_what_is_packed_comes_out_again(folder: Path, tmp_path: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text("def model_fn(): ...")
    (folder / "code" / "run.sh").write_text("#!/bin/sh")
    (folder / "code" / "run.sh").chmod(0o4777)
    (folder / "weights").write_bytes(b"x" * 3_000_000)
    (folder / "latest").symlink_to("weights")
    (tmp_path / "out").mkdir()
    paths = unpack(io.BytesIO(packed(folder)), tmp_path / "out")
    assert paths == ["code", "code/inference.py", "code/run.sh", "latest", "weights"]
    assert (tmp_path / "out/latest").read_bytes() == b"x" * 3_000_000
    assert (tmp_path / "out/code/inference.py").read_text() == "def model_fn(): ..."
    assert stat.S_IMODE((tmp_path / "out/code/run.sh").stat().st_mode) == 0o755


def test_the_same_content_gives_the_same_bytes(folder: Path) -> None:
    (folder / "weights").write_text("weights")
    first = packed(folder)
    os.utime(folder / "weights", (0, 0))
    assert packed(folder) == first


@pytest.mark.parametrize(
    "target",
    ["../secret", "/etc/passwd", "code/../../secret", "./../secret", "here/../../secret", "../inner/../secret"],
)
def test_a_link_that_leads_outside_is_not_packed(target: str, folder: Path) -> None:
    (folder / "here").symlink_to(".")
    (folder / "link").symlink_to(target)
    written = io.BytesIO()
    report = pack(folder, written)
    assert report.left_out == ("link: a link that leads, or may lead, outside",)
    assert report.paths == ("here",)
    assert SECRET not in gzip.decompress(written.getvalue())


def test_a_folder_that_is_a_link_is_not_packed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(folder)
    with pytest.raises(Invalid, match=r"^model: it cannot be packed: Not a directory\.$"):
        packed(tmp_path / "model")


def test_a_pipe_and_a_device_are_not_packed_and_wait_for_nobody(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "weights").write_text("weights")
    report = pack(folder, io.BytesIO())
    assert (report.paths, report.left_out) == (("weights",), ("pipe: no file, folder or link",))


def test_a_file_of_holes_is_refused_before_it_is_written(folder: Path) -> None:
    with open(folder / "holes", "wb") as file:
        file.truncate(10**13)
    written = io.BytesIO()
    with pytest.raises(Invalid, match=r"^inner: its files have more than 1 GB\. Leave fewer there\.$"):
        pack(folder, written, most_bytes=1024**3)
    assert len(written.getvalue()) < 10_000


def test_folders_too_deep_are_refused(folder: Path) -> None:
    deep = folder
    for _ in range(105):
        deep /= "d"
        deep.mkdir()
    with pytest.raises(Invalid, match=r"^inner: it cannot be packed: folders more than 100 deep\.$"):
        packed(folder)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([("/etc/x", TAKES_A_FILE, b"x")], "/etc/x: the archive names a place outside of itself. Pack it with relative names."),
        ([("../x", TAKES_A_FILE, b"x")], "../x: the archive names a place outside of itself. Pack it with relative names."),
        ([("a/../../x", TAKES_A_FILE, b"x")], "a/../../x: the archive names a place outside of itself. Pack it with relative names."),
        ([("x", tarfile.SYMTYPE, "/etc")], "x: a link that leads outside of the archive. Put the file itself there."),
        ([("x", tarfile.SYMTYPE, "../secret")], "x: a link that leads outside of the archive. Put the file itself there."),
        ([("a/x", tarfile.SYMTYPE, "../../secret")], "a/x: a link that leads outside of the archive. Put the file itself there."),
        ([("x", tarfile.SYMTYPE, "")], "x: a link that leads outside of the archive. Put the file itself there."),
        ([("x", tarfile.LNKTYPE, "../secret")], "../secret: the archive names a place outside of itself. Pack it with relative names."),
        ([("x", tarfile.LNKTYPE, "/etc/passwd")], "/etc/passwd: the archive names a place outside of itself. Pack it with relative names."),
        ([("x", tarfile.CHRTYPE, "")], "x: neither a file, a folder nor a link. Leave it out of the archive."),
        ([("x", tarfile.BLKTYPE, "")], "x: neither a file, a folder nor a link. Leave it out of the archive."),
        ([("x", tarfile.FIFOTYPE, "")], "x: neither a file, a folder nor a link. Leave it out of the archive."),
        ([("n" * 300, TAKES_A_FILE, b"")], f"{'n' * 200}: a name in the archive that no file can have here. Shorten it."),
        ([("d/" * 102 + "x", TAKES_A_FILE, b"")], f"{'d/' * 100}: a name in the archive that no file can have here. Shorten it."),
    ],
)  # fmt: skip
def test_an_archive_that_reaches_outside_is_refused(
    members: list[tuple[str, bytes, str | bytes]], problem: str, folder: Path
) -> None:
    with pytest.raises(Invalid) as refused:
        unpack(archive(*members), folder)
    assert refused.value.message == problem
    assert [path for path in folder.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(
    "members",
    [
        [("d", tarfile.SYMTYPE, "e"), ("e/f", TAKES_A_FILE, b"x"), ("d/x", TAKES_A_FILE, b"x")],
        [("here", tarfile.SYMTYPE, "."), ("here/x", TAKES_A_FILE, b"x")],
        [("x", tarfile.LNKTYPE, "not-there")],
        [("s", tarfile.SYMTYPE, "w"), ("x", tarfile.LNKTYPE, "s")],
        [("d", tarfile.DIRTYPE, ""), ("d", TAKES_A_FILE, b"x")],
        [("d", TAKES_A_FILE, b"x"), ("d/x", TAKES_A_FILE, b"x")],
    ],
    ids=[
        "through a link",
        "through a link to itself",
        "no source",
        "a link's link",
        "file for folder",
        "folder for file",
    ],
)
def test_nothing_is_written_through_a_link(members: list[tuple[str, bytes, str | bytes]], folder: Path) -> None:
    with pytest.raises(Invalid, match=r"^The archive cannot be unpacked: "):
        unpack(archive(*members), folder)


def test_a_later_member_takes_the_place_of_a_link_not_of_its_target(folder: Path) -> None:
    unpack(archive(("w", TAKES_A_FILE, b"old"), ("x", tarfile.SYMTYPE, "w"), ("x", TAKES_A_FILE, b"new")), folder)
    assert (folder / "w").read_bytes() == b"old"
    assert (folder / "x").read_bytes() == b"new"
    assert not (folder / "x").is_symlink()


def test_a_link_that_stood_in_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "code").symlink_to(tmp_path)
    with pytest.raises(Invalid):
        unpack(archive(("code/secret", TAKES_A_FILE, b"changed")), folder)
    assert (tmp_path / "secret").read_bytes() == SECRET


def test_links_within_and_hard_links_are_kept(folder: Path) -> None:
    unpack(
        archive(
            ("./blobs/w", TAKES_A_FILE, b"weights"),
            ("./snapshots/1/w", tarfile.SYMTYPE, "../../blobs/w"),
            ("./again", tarfile.LNKTYPE, "./blobs/w"),
        ),
        folder,
    )
    assert (folder / "snapshots/1/w").read_bytes() == (folder / "again").read_bytes() == b"weights"


def test_rights_owners_and_set_user_id_bits_of_an_archive_do_not_count(folder: Path) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        member = tarfile.TarInfo("tool")
        member.mode, member.uid, member.uname = 0o6777, 4321, "nobody"
        tar.addfile(member)
    written.seek(0)
    unpack(written, folder)
    found = (folder / "tool").stat()
    assert (stat.S_IMODE(found.st_mode) & ~0o022, found.st_uid) == (0o755, os.geteuid())


def bomb_of_bytes() -> io.BytesIO:
    return archive(*((str(number), TAKES_A_FILE, bytes(1024**2)) for number in range(30)))


def bomb_of_members() -> io.BytesIO:
    return archive(*((str(number), TAKES_A_FILE, b"") for number in range(2_000)))


def bomb_of_a_name() -> io.BytesIO:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 50 * 1024**2
    return io.BytesIO(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + b"n" * header.size, 1))


def bomb_of_attributes() -> io.BytesIO:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 50 * 1024**2
    return io.BytesIO(gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + b"1" * header.size, 1))


def a_size_that_is_a_lie() -> io.BytesIO:
    member = tarfile.TarInfo("x")
    member.size = 2**50
    return io.BytesIO(gzip.compress(member.tobuf(tarfile.GNU_FORMAT)))


@pytest.mark.parametrize(
    ("bomb", "problem"),
    [
        (bomb_of_bytes, "20: the archive unpacks to more than 20 MB. Put less into it."),
        (bomb_of_members, "The archive has more than 1,000 members. Put less into it."),
        (bomb_of_a_name, "The archive cannot be unpacked: a name or attributes of 50 MB"),
        (bomb_of_attributes, "The archive cannot be unpacked: a name or attributes of 50 MB"),
        (a_size_that_is_a_lie, "x: the archive unpacks to more than 20 MB. Put less into it."),
        (lambda: io.BytesIO(b"no archive at all"), "The archive cannot be unpacked: "),
        (lambda: io.BytesIO(bomb_of_bytes().getvalue()[:5_000]), "The archive cannot be unpacked: "),
    ],
    ids=["bytes", "members", "name", "attributes", "size", "nonsense", "cut short"],
)
def test_a_bomb_does_not_go_off(bomb: Callable[[], io.BytesIO], problem: str, folder: Path) -> None:
    with pytest.raises(Invalid) as refused:
        unpack(bomb(), folder, most_bytes=20 * 1024**2, most_files=1_000)
    assert refused.value.message.startswith(problem)
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 20 * 1024**2


@given(changes=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=8))
def test_damaged_headers_are_refused_and_reach_nothing_outside(changes: list[tuple[int, int]]) -> None:
    members: list[tuple[str, bytes, str | bytes]] = [
        ("d/x", TAKES_A_FILE, b"x"),
        ("l", tarfile.SYMTYPE, "d"),
        ("d/y", tarfile.LNKTYPE, "d/x"),
    ]
    content = bytearray(gzip.decompress(archive(*members, ("n" * 120, TAKES_A_FILE, b"y")).getvalue()))
    for place, value in changes:
        content[place] = value
    with tempfile.TemporaryDirectory() as outside:
        (Path(outside) / "inner").mkdir()
        with suppress(Invalid):
            unpack(io.BytesIO(bytes(content)), Path(outside) / "inner", most_bytes=1024**2)
        assert os.listdir(outside) == ["inner"]
