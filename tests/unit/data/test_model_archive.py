"""model.tar.gz gives its model, and nothing leads out of it."""

import io
import tarfile
from pathlib import Path

import pytest

from outcrop.data import model_archive
from outcrop.errors import Invalid

FILES = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"x"}


def packed(folder: Path, files: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in more:
            archive.addfile(info)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("root", ["", "output/", "opt/ml/model/"])
def test_the_model_comes_out_of_whichever_folder_it_lies_in(root: str, tmp_path: Path) -> None:
    left = {"training_args.bin": b"x", "checkpoint-5/config.json": b"{}", "code/inference.py": b"import os"}
    archive = packed(tmp_path, {f"{root}{name}": data for name, data in (FILES | left).items()})
    made = model_archive.unpack(archive, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in made.rglob("*")} == FILES


BAD: list[tuple[dict[str, bytes], tuple[tarfile.TarInfo, ...], str]] = [
    ({"../config.json": b"{}"}, (), "'../config.json' leads out of the archive"),
    ({"/etc/config.json": b"{}"}, (), "'/etc/config.json' leads out of the archive"),
    ({"a/../../config.json": b"{}"}, (), "leads out of the archive"),
    (FILES, (link("extra", "/etc/passwd"),), "'extra' is a link or a device"),
    (FILES, (link("hard", "config.json", tarfile.LNKTYPE),), "'hard' is a link or a device"),
    (FILES, (link("pipe", "", tarfile.FIFOTYPE),), "'pipe' is a link or a device"),
    ({"weights.txt": b"x"}, (), "holds neither config.json nor adapter_config.json"),
    ({**FILES, "pytorch_model.bin": b"x"}, (), "pytorch_model.bin: weights are taken as safetensors only"),
]


@pytest.mark.parametrize(("files", "more", "told"), BAD)
def test_what_leads_out_or_is_no_model_is_refused(
    files: dict[str, bytes], more: tuple[tarfile.TarInfo, ...], told: str, tmp_path: Path
) -> None:
    with pytest.raises(Invalid) as refused:
        model_archive.unpack(packed(tmp_path, files, *more), tmp_path / "out")
    assert told in refused.value.message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00damaged"])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(Invalid, match=r"no whole tar\.gz archive"):
        model_archive.unpack(tmp_path / "model.tar.gz", tmp_path / "out")


def test_an_archive_cut_short_is_refused(tmp_path: Path) -> None:
    archive = packed(tmp_path, {**FILES, "model.safetensors": bytes(range(256)) * 4000})
    archive.write_bytes(archive.read_bytes()[:2000])
    with pytest.raises(Invalid, match=r"no whole tar\.gz archive"):
        model_archive.unpack(archive, tmp_path / "out")
