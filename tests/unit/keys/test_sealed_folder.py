"""Folders of sealed files: nothing of a model's weights lies in clear, and all of them are read as they were written."""

from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from outcrop.clock import MovableClock
from outcrop.errors import Invalid, MachineTrouble
from outcrop.house import House
from outcrop.keys import sealing
from outcrop.keys.envelopes import INSTALLATION, DataKey, WrappedKey
from outcrop.keys.sealed_content import SealBroken
from outcrop.keys.sealed_folder import PLAIN, OpenedKeys, open_folder, open_in_place, seal_folder, wrapped_key_of
from outcrop.keys.sealed_lines import SealedLines
from outcrop.keys.sealed_records import SEAL
from outcrop.machine.memory_folder import memory_folder, remove_memory_folder
from outcrop.network import headers, load, weight_files
from outcrop.settings import Settings
from tests.support.plaintext_scan import PlaintextScan
from tests.support.tiny import tiny_model

KEY = DataKey(plaintext=b"k" * 32, wrapped=WrappedKey(key_arn="arn:key", context={"a": "b"}, blob=b"blob"))


def keys_of(folder: Path) -> OpenedKeys:
    return OpenedKeys.of([folder], lambda wrapped: KEY.plaintext if wrapped == KEY.wrapped else b"")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    generator = torch.Generator().manual_seed(3)
    tensors = {
        "a.weight": torch.randn(300, 257, generator=generator),
        "b.weight": torch.randn(5, 7, generator=generator).to(torch.bfloat16),
        "c": torch.arange(9, dtype=torch.int64),
        "none": torch.empty(0, 4),
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "parity.json").write_text('{"samples": [{"ids": [11, 12, 13, 14], "logprobs": [-1.0, -2.0, -3.0]}]}')
    return folder


def test_what_is_sealed_is_read_as_it_was_and_nothing_of_it_lies_in_clear(plain: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    seal_folder(plain, sealed, KEY)
    keys = keys_of(sealed)

    found = weight_files.read_folder(sealed, keys.open)
    with (plain / "model.safetensors").open("rb") as file:
        stored = weight_files.read_tensors(file, name="model.safetensors")
    assert stored.metadata == {"format": "pt"}
    assert found.keys() == stored.tensors.keys() == headers.shapes(plain).keys()
    assert all(
        torch.equal(found[name], each) and found[name].dtype == each.dtype for name, each in stored.tensors.items()
    )
    assert keys.read(sealed / "parity.json") == (plain / "parity.json").read_bytes()
    assert headers.shapes(sealed) == headers.shapes(plain), "names and shapes stay readable"
    assert (sealed / "config.json").read_bytes() == (plain / "config.json").read_bytes()
    weights = (plain / "model.safetensors").read_bytes()
    secrets = {
        "weights": weights[8 + int.from_bytes(weights[:8], "little") :],
        "parity": keys.read(plain / "parity.json"),
    }
    assert PlaintextScan(secrets).files(sealed) == []

    open_folder(sealed, tmp_path / "opened", keys)
    assert {path.name: path.read_bytes() for path in (tmp_path / "opened").iterdir()} == {
        path.name: path.read_bytes() for path in plain.iterdir()
    }


def test_a_sealed_network_loads_as_the_plain_one(tmp_path: Path) -> None:
    plain = tiny_model(tmp_path / "plain")
    seal_folder(plain, tmp_path / "sealed", KEY)
    with pytest.raises(Invalid, match="the weights of this model are sealed"):
        load.load_base(tmp_path / "sealed")
    ours = load.load_base(tmp_path / "sealed", open_file=keys_of(tmp_path / "sealed").open).state_dict()
    theirs = load.load_base(plain).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_another_key_and_a_changed_file_are_found_out(plain: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    seal_folder(plain, sealed, KEY)
    with pytest.raises(MachineTrouble, match="its data key was not opened"):
        PLAIN.read(sealed / "parity.json")
    with pytest.raises(SealBroken):
        OpenedKeys.of([sealed], lambda _wrapped: b"x" * 32).read(sealed / "parity.json")
    content = bytearray((sealed / "model.safetensors").read_bytes())
    content[-100] ^= 1
    (sealed / "model.safetensors").write_bytes(content)
    with pytest.raises(SealBroken):
        weight_files.read_folder(sealed, keys_of(sealed).open)


def test_keys_travel_as_text_and_are_in_no_representation(plain: Path, tmp_path: Path) -> None:
    seal_folder(plain, tmp_path / "sealed", KEY)
    keys = keys_of(tmp_path / "sealed")
    assert OpenedKeys.of_text(keys.to_text()) == keys
    assert PLAIN.to_text() == ""
    assert "kkkk" not in repr(keys)
    assert wrapped_key_of(plain / "model.safetensors") is None
    assert wrapped_key_of(plain / "absent") is None


def test_lines_are_sealed_in_their_places(tmp_path: Path) -> None:
    lines = SealedLines(KEY.plaintext, name="job/events.jsonl")
    sealed = [lines.seal(text, number) for number, text in enumerate((b"one", b"two"))]
    assert [lines.open(each, number) for number, each in enumerate(sealed)] == [b"one", b"two"]
    for wrong, number in ((sealed[1], 0), (sealed[0][:-8], 0), (b"in clear", 0)):
        with pytest.raises(SealBroken, match="line 1"):
            lines.open(wrong, number)
    with pytest.raises(SealBroken):
        SealedLines(KEY.plaintext, name="another").open(sealed[0], 0)


def test_a_folder_in_memory_is_ours_alone_and_goes(tmp_path: Path) -> None:
    folder = memory_folder(tmp_path, "job")
    try:
        assert folder.is_relative_to("/dev/shm")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "data").write_bytes(b"records")
        assert memory_folder(tmp_path, "job") == folder, "a successor finds what was there"
    finally:
        remove_memory_folder(tmp_path, "job")
    assert not folder.parent.exists(), "nothing is left of the home"


def test_the_folders_of_earlier_leases_go_with_the_next_one(tmp_path: Path) -> None:
    folders = [memory_folder(tmp_path, name) for name in ("job", "job.2", "job.3", "jobs")]
    try:
        remove_memory_folder(tmp_path, "job", but="job.3")
        assert [each.exists() for each in folders] == [False, False, True, True]
    finally:
        remove_memory_folder(tmp_path, "job")
        remove_memory_folder(tmp_path, "jobs")
    assert not folders[0].parent.exists()


def test_what_another_key_sealed_is_sealed_anew(plain: Path, tmp_path: Path) -> None:
    parent, child = tmp_path / "parent", tmp_path / "child"
    seal_folder(plain, parent, KEY)
    other = DataKey(plaintext=b"o" * 32, wrapped=WrappedKey(key_arn="arn:other", context={}, blob=b"other"))
    with pytest.raises(MachineTrouble, match="its data key was not opened"):
        seal_folder(parent, tmp_path / "unopened", other)
    seal_folder(parent, child, other, keys_of(parent))

    keys = OpenedKeys({other.wrapped.blob: other.plaintext})
    found, stored = weight_files.read_folder(child, keys.open), weight_files.read_folder(plain, PLAIN.open)
    assert found.keys() == stored.keys()
    assert all(torch.equal(found[name], each) for name, each in stored.items())
    assert headers.shapes(child) == headers.shapes(plain)
    assert {path.name for path in child.iterdir()} == {path.name for path in parent.iterdir()}

    open_in_place(child, keys)
    assert {path.name: path.read_bytes() for path in child.iterdir()} == {
        path.name: path.read_bytes() for path in plain.iterdir()
    }


def test_a_worker_that_lost_a_job_leaves_its_successors_folder_alone(tmp_path: Path) -> None:
    with House.open(Settings(home=tmp_path, seal=True), MovableClock()) as house:
        document = {SEAL: house.envelopes.make(INSTALLATION, {}).wrapped.document()}
        with ExitStack() as successor:
            with sealing.made_in_memory(house, document, "arn/job", lease=1) as before:
                after = successor.enter_context(sealing.made_in_memory(house, document, "arn/job", lease=2))
                assert before is not None
                assert after is not None
                assert not before.scratch.exists()
            assert after.scratch.is_dir()
        assert not after.scratch.exists()
