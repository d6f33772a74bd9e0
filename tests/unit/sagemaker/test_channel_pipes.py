"""Channels in Pipe mode: a named pipe for each epoch, with the bytes of the objects one after another."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from outcrop.errors import Invalid
from outcrop.sagemaker.channel_pipes import ChannelPipe
from tests.support.patience import eventually

Opener = Callable[..., ChannelPipe]


class FolderData:
    """Objects of S3 that are files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, uri: str) -> BinaryIO:
        if not (found := self._folder / uri.rpartition("/")[2]).exists():
            raise Invalid(f"{uri}: no such object")
        return found.open("rb")


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    """The folder of the channels, beside one with objects a, b and c."""
    (tmp_path / "objects").mkdir()
    for name in "abc":
        (tmp_path / "objects" / name).write_bytes(name.encode() * 100_000)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def opened(channel: Path) -> Iterator[Opener]:
    """Opens the channel `train`, and closes it at the end."""
    made: list[ChannelPipe] = []

    def open_(names: str = "abc", **more: Any) -> ChannelPipe:
        data: Any = FolderData(channel.parent / "objects")
        pipe = ChannelPipe(data, [f"s3://b/{name}" for name in names], channel, "train", **more)
        made.append(pipe)
        pipe.start()
        return pipe

    yield open_
    for pipe in made:
        pipe.close()


def read(channel: Path, epoch: int) -> str:
    """The letters of an epoch in their order, each once; the pipe has to be there at once."""
    content = (channel / f"train_{epoch}").read_bytes()
    assert len(content) % 100_000 == 0
    return content[::100_000].decode()


def test_each_epoch_has_a_pipe_with_all_objects(channel: Path, opened: Opener) -> None:
    opened()
    assert [path.name for path in channel.iterdir()] == ["train_0"]
    assert [read(channel, epoch) for epoch in range(3)] == ["abc"] * 3


def test_a_seed_shuffles_every_epoch_anew(channel: Path, opened: Opener) -> None:
    opened("abc", shuffled_by=7)
    found = [read(channel, epoch) for epoch in range(6)]
    assert {"".join(sorted(each)) for each in found} == {"abc"}
    assert len(set(found)) > 1


def test_a_share_without_objects_is_an_empty_pipe(channel: Path, opened: Opener) -> None:
    opened("")
    assert [read(channel, epoch) for epoch in range(2)] == ["", ""]


def test_who_has_had_enough_of_an_epoch_goes_on_with_the_next(channel: Path, opened: Opener) -> None:
    pipe = opened()
    with (channel / "train_0").open("rb") as file:
        assert file.read(10) == b"a" * 10
    assert read(channel, 1) == "abc"
    assert pipe.trouble is None


def test_an_object_that_has_gone_is_told(channel: Path, opened: Opener) -> None:
    pipe = opened("axc")
    assert read(channel, 0) == "a"
    trouble = eventually(lambda: pipe.trouble)
    assert trouble.message == "s3://b/x: no such object"


@pytest.mark.parametrize("fault", ["removed", "link", "taken"])
def test_what_a_script_puts_in_the_place_of_a_pipe_is_not_followed(fault: str, channel: Path, opened: Opener) -> None:
    outside = channel.parent / "outside"
    outside.write_text("as it was")
    pipe = opened()
    if fault == "taken":
        (channel / "train_1").write_text("mine")
        read_pipe = os.open(channel / "train_0", os.O_RDONLY)
        eventually(lambda: pipe.trouble)
        os.close(read_pipe)
    else:
        (channel / "train_0").unlink()
        if fault == "link":
            (channel / "train_0").symlink_to(outside)
    trouble = eventually(lambda: pipe.trouble)
    assert trouble.message.startswith("InputDataConfig: the pipe of the channel train is gone: ")
    assert outside.read_text() == "as it was"


def test_the_folder_is_held_though_another_stands_in_its_place(channel: Path, opened: Opener) -> None:
    opened()
    channel.rename(channel.with_name("moved"))
    (channel.parent / "elsewhere").mkdir()
    channel.symlink_to(channel.parent / "elsewhere")
    assert read(channel.with_name("moved"), 0) == "abc"
    assert list((channel.parent / "elsewhere").iterdir()) == []


def test_it_ends_though_nobody_has_read(channel: Path) -> None:
    data: Any = SimpleNamespace()
    pipe = ChannelPipe(data, ["s3://b/a"], channel, "train")
    pipe.start()
    pipe.close()
    assert pipe.trouble is None
