"""The parts of a sandbox one by one: limits, the filter of calls, output, control groups, folders."""

import errno
import os
import selectors
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from outcrop.errors import MachineTrouble
from outcrop.isolation import control_groups, found, layout, leftovers, users
from outcrop.isolation.inside import seccomp
from outcrop.isolation.inside.output import Carrier
from outcrop.isolation.limits import Breach, SandboxLimits, size
from outcrop.isolation.sandbox import Sandbox
from outcrop.isolation.ways import Isolation

ALLOWED = "allowed"


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1024, "1 KB"), (1536, "1.5 KB"), (3 * 1024**3, "3 GB"), (2**50, "1,024.0 TB")],
)  # fmt: skip
def test_a_size_in_words(num_bytes: int, words: str) -> None:
    assert size(num_bytes) == words


@pytest.mark.parametrize("breach", Breach)
def test_every_breach_has_a_sentence(breach: Breach) -> None:
    limits = SandboxLimits(memory_bytes=1024**3, disk_bytes=1024**3, cpu_s=60)
    assert limits.sentence(breach).startswith("It was ended: ")


# The filter, run by the few instructions of its machine that it uses: this processor is only one of two.


def on_processor(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel say that it runs on another processor."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine))


def verdict(call: int, *arguments: int, architecture: int, hidden_memory: bool = True) -> str:
    """The filter's answer to a call: that it is allowed, or the name of an error."""
    program = seccomp.instructions(hidden_memory=hidden_memory)
    assert program is not None
    data = struct.pack("<IIQ6Q", call, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = [struct.unpack_from("HBBI", program, place) for place in range(0, len(program), 8)]
    held, place = 0, 0
    while True:
        code, yes, no, value = steps[place]
        place += 1
        if code == 0x20:
            held = struct.unpack_from("<I", data, value)[0]
        elif code == 0x06:
            return ALLOWED if value == 0x7FFF0000 else errno.errorcode[value & 0xFFFF]
        else:
            true = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
            place += yes if true else no


@pytest.mark.parametrize(
    ("machine", "architecture", "numbers"),
    [
        ("x86_64", 0xC000003E, {"read": 0, "clone": 56, "socket": 41, "ioctl": 16, "mount": 165, "memfd": 319}),
        ("aarch64", 0xC00000B7, {"read": 63, "clone": 220, "socket": 198, "ioctl": 29, "mount": 40, "memfd": 279}),
    ],
)
def test_the_filter_of_calls(
    machine: str, architecture: int, numbers: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_processor(machine, monkeypatch)

    def said(name: str, *arguments: int, hidden_memory: bool = True) -> str:
        return verdict(numbers[name], *arguments, architecture=architecture, hidden_memory=hidden_memory)

    assert said("read") == ALLOWED
    assert said("mount") == "EPERM"
    assert said("clone", 0x01200011) == ALLOWED
    assert said("clone", 0x10000011) == "EPERM"
    assert [said("socket", family) for family in (1, 2, 10, 16)] == [ALLOWED] * 4
    assert [said("socket", family) for family in (17, 38, 40)] == ["EAFNOSUPPORT"] * 3
    assert [said("ioctl", 0, request) for request in (0x5412, 0x541C)] == ["EPERM"] * 2
    assert said("ioctl", 0, 0x5401) == ALLOWED
    assert said("ioctl", 0, 0x1_0000_5412) == "EPERM"
    assert (said("memfd"), said("memfd", hidden_memory=False)) == (ALLOWED, "ENOSYS")
    assert verdict(435, architecture=architecture) == "ENOSYS"
    assert verdict(0, architecture=0x40000003) == "EPERM"
    assert verdict(0x40000000, architecture=architecture) == "ENOSYS"


def test_other_processors_have_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    on_processor("riscv64", monkeypatch)
    assert seccomp.instructions(hidden_memory=True) is None


# What is printed.


class MovedTime:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as made:
        yield made


def carry(carrier: Carrier, content: bytes) -> None:
    os.write(carrier.program_end, content)
    carrier.finish()


def test_what_is_beyond_the_rate_is_left_out_and_told(tmp_path: Path, selector: selectors.BaseSelector) -> None:
    time = MovedTime()
    with open(tmp_path / "log", "wb") as log:
        carrier = Carrier(log.fileno(), 100, selector, time)
        carry(carrier, b"a" * 150)
        carry(carrier, b"b" * 150)
        time.now = 2.0
        carry(carrier, b"c" * 150)
        os.close(carrier.program_end)
        carrier.finish()
    note = b"\n[150 bytes were printed here and left out: this program may print 100 bytes a second.]\n"
    assert (tmp_path / "log").read_bytes() == b"a" * 150 + note + b"c" * 150


def test_a_slow_reader_makes_the_program_wait_and_loses_nothing(selector: selectors.BaseSelector) -> None:
    reading, writing = os.pipe()
    carrier = Carrier(writing, None, selector)
    content = os.urandom(500_000)
    received = bytearray()

    def print_all() -> None:
        with open(carrier.program_end, "wb") as file:
            file.write(content)

    def read_slowly() -> None:
        while len(received) < len(content):
            received.extend(os.read(reading, 10_000))

    threads = [threading.Thread(target=print_all), threading.Thread(target=read_slowly)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for key, events in selector.select(0.01):
            key.data(events)
    assert received == content
    os.close(reading)
    os.close(writing)


def test_a_reader_that_has_gone_stops_nothing(selector: selectors.BaseSelector) -> None:
    reading, writing = os.pipe()
    carrier = Carrier(writing, None, selector)
    os.close(reading)
    os.write(carrier.program_end, b"x" * 1000)
    os.close(carrier.program_end)
    for _ in range(10):
        for key, events in selector.select(0.01):
            key.data(events)
    assert carrier.done
    os.close(writing)


# Control groups, in a folder that stands for the kernel's.


def groups_of(tmp_path: Path, own: str) -> dict[str, Path]:
    (tmp_path / "own").write_text(own)
    return {"top": tmp_path, "own": tmp_path / "own"}


def test_a_control_group_of_version_2(tmp_path: Path) -> None:
    (tmp_path / "app.slice" / "a.service").mkdir(parents=True)
    (tmp_path / "cgroup.controllers").write_text("memory pids")
    group = control_groups.make(1024, 10, **groups_of(tmp_path, "0::/app.slice/a.service\n"))
    assert group is not None
    group.add(4321)
    (place,) = (tmp_path / "app.slice" / "a.service").iterdir()
    assert {path.name: path.read_text() for path in place.iterdir()} == {
        "memory.max": "1024", "memory.swap.max": "0", "pids.max": "12", "cgroup.procs": "4321",
    }  # fmt: skip
    assert not group.out_of_memory()
    (place / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert group.out_of_memory()


def test_a_control_group_of_version_1(tmp_path: Path) -> None:
    for folder in ("memory/a", "pids"):
        (tmp_path / folder).mkdir(parents=True)
    group = control_groups.make(1024, 10, **groups_of(tmp_path, "8:pids:/\n4:memory:/a\n0::/\n"))
    assert group is not None
    (memory,), (pids,) = (list((tmp_path / folder).iterdir()) for folder in ("memory/a", "pids"))
    assert (memory / "memory.limit_in_bytes").read_text() == "1024"
    assert (pids / "pids.max").read_text() == "12"


def test_no_control_group_where_there_is_none(tmp_path: Path) -> None:
    assert control_groups.make(1024, 10, **groups_of(tmp_path, "0::/nowhere\n")) is None


def test_groups_of_processes_that_were_killed_are_swept_away(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory pids")
    for name in ("outcrop-99999999-a", f"outcrop-{os.getpid()}-b"):
        (tmp_path / name).mkdir()
    made = control_groups.make(1024, 10, **groups_of(tmp_path, "0::/\n"))
    assert made is not None
    assert [path.name for path in tmp_path.glob("outcrop-*-?")] == [f"outcrop-{os.getpid()}-b"]


def test_a_group_that_takes_nobody_in_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("the kernel moves no process there")

    monkeypatch.setattr(control_groups.ControlGroup, "add", refuse)
    limits = SandboxLimits(memory_bytes=100 * 1024**2, machine_disk_bytes=0, machine_memory_bytes=0)
    sandbox = Sandbox(root=tmp_path, opt_ml=tmp_path / "ml", limits=limits)
    program = "kept = []\nwhile True: kept.append(b'x' * 2_000_000)"
    with open(tmp_path / "log", "wb") as log:
        ended = sandbox.start([sys.executable, "-c", program], way=Isolation.PLAIN, stdout=log.fileno()).wait(60)
    assert ended is not None
    assert ended.breach is Breach.MEMORY


# Folders.


def test_a_link_in_the_way_of_what_is_shown_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").mkdir()
    own = layout.own_folders(tmp_path / "place", tmp_path / "place/ml")
    (tmp_path / "place/ml/input").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineTrouble, match=r"place/ml/input: a symbolic link stands where"):
        layout.given_mounts([], {"/opt/ml/input/data/train": tmp_path / "data"}, [], own)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_is_to_be_shown_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(MachineTrouble, match=r"nowhere: not there, so no sandbox can show it\."):
        layout.given_mounts([tmp_path / "nowhere"], {}, [], {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_with_another_name_is_not_given_away(tmp_path: Path) -> None:
    (tmp_path / "stored").write_text("of the store")
    (tmp_path / "ml").mkdir()
    os.link(tmp_path / "stored", tmp_path / "ml" / "input")
    with pytest.raises(MachineTrouble, match=r"ml/input: has another name elsewhere\."):
        leftovers.give_to(tmp_path / "ml", 54321)
    assert (tmp_path / "stored").stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts programs as other users")
def test_every_folder_has_a_user_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    first, second = users.separate_user(tmp_path / "a"), users.separate_user(tmp_path / "b")
    assert first != second
    assert first == users.separate_user(tmp_path / "a")
    assert first is None or first > 65536


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    os.chdir(tmp_path / "place")
    try:
        for _ in range(3_000):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(Path(__file__).parent)
    leftovers.remove(tmp_path / "place")
    assert list(tmp_path.iterdir()) == []


# Ways.


def test_a_machine_with_no_way_refuses_and_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "trouble_with", lambda way: f"No {way.value} here.")
    with pytest.raises(MachineTrouble) as refused:
        found.found()
    assert refused.value.message.startswith(
        "Nothing on this machine can keep a program of somebody else apart. Install"
    )
    assert found.found(allow_unisolated=True) is Isolation.PLAIN
    assert found.told()[:2] == [
        "bubblewrap: does not work. No bubblewrap here.",
        "namespaces: does not work. No namespaces here.",
    ]
    assert found.told(allow_unisolated=True)[2].startswith("Programs of others run as this user, kept apart by nothing")


def test_what_works_is_told() -> None:
    working = [way for way in found.WAYS if found.trouble_with(way) is None]
    if not working:
        pytest.skip("no way works on this machine")
    assert found.found() is working[0]
    assert found.told()[-1] == f"Programs of others run in places of their own, by {working[0].value}."


def test_a_sandbox_that_cannot_be_built_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    sandbox = Sandbox(root=tmp_path, opt_ml=tmp_path / "ml")
    with pytest.raises(MachineTrouble, match=r"bubblewrap is not installed\. On Debian and Ubuntu: apt install"):
        sandbox.start(["true"], way=Isolation.BUBBLEWRAP, stdout=1)


def test_an_unisolated_program_finds_its_folders_by_variables(tmp_path: Path) -> None:
    sandbox = Sandbox(root=tmp_path, opt_ml=tmp_path / "ml", limits=SandboxLimits(machine_disk_bytes=0))
    with open(tmp_path / "log", "w+b") as log:
        program = sandbox.start(["sh", "-c", "echo $SAGEMAKER_BASE_DIR; pwd"], way=Isolation.PLAIN, stdout=log.fileno())
        ended = program.wait(60)
        log.seek(0)
        assert log.read().decode() == f"{tmp_path / 'ml'}\n{tmp_path / 'ml'}\n"
    assert ended is not None
    assert ended.code == 0


def test_both_streams_may_be_kept_apart(tmp_path: Path) -> None:
    sandbox = Sandbox(root=tmp_path, opt_ml=tmp_path / "ml", limits=SandboxLimits(machine_disk_bytes=0))
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        command = ["sh", "-c", "echo said; echo warned >&2"]
        sandbox.start(command, way=Isolation.PLAIN, stdout=out.fileno(), stderr=err.fileno()).wait(60)
    assert ((tmp_path / "out").read_text(), (tmp_path / "err").read_text()) == ("said\n", "warned\n")
