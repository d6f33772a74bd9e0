"""Folders of sealed files: a model with its weights and all that its records would tell, sealed file by file.

    keys = OpenedKeys.of([folder], envelopes.open)       # refuses as the KMS key of what lies there does
    keys.open(folder / "model.safetensors")              # plaintext, decrypted as far as it is read

Each file has a key of its own, derived from the one data key of the folder (`sealed_content.py`). Configurations and
tokenizers stay readable, and so does the header of a file of weights, which lies beside it: names, shapes and types.
A program that insists on files gets them in memory (`machine/memory_folder.py`), and what it writes there is sealed on
its way to the disk.
"""

import base64
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from outcrop.errors import MachineTrouble
from outcrop.keys.envelopes import DataKey, WrappedKey
from outcrop.keys.sealed_content import OpenKey, SealedWriter, is_sealed, open_file, read_head
from outcrop.machine.sealed_names import HEADER, sealed_header

KEY_CONTEXT = "aws:bedrock:arn"
"Of the encryption context: the ARN of the model."
_READABLE = (
    "config.json", "generation_config.json", "adapter_config.json", "model.safetensors.index.json", "tokenizer.json",
    "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "vocab.txt", "merges.txt", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
"Files of a model that say nothing of what it learned."
_BLOCK_BYTES = 4 << 20
_MARK_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class FolderSeal:
    """The data key that seals what a job writes, and the folder in memory where it works until then."""

    data_key: DataKey
    scratch: Path


@dataclass(frozen=True)
class OpenedKeys:
    """Data keys in clear, by what they are when wrapped. Without any, plain files are read alone."""

    opened: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, folders: Iterable[Path], open_key: OpenKey) -> Self:
        """The keys of all sealed files in these folders and right below them. Raises what `open_key` raises."""
        opened: dict[bytes, bytes] = {}
        for folder in folders:
            for path in [*folder.glob("*"), *folder.glob("*/*")]:
                wrapped = wrapped_key_of(path)
                if wrapped is not None and wrapped.blob not in opened:
                    opened[wrapped.blob] = open_key(wrapped)
        return cls(opened)

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The keys that `to_text` wrote."""
        return cls({base64.b64decode(blob): base64.b64decode(key) for blob, key in json.loads(text or "{}").items()})

    def to_text(self) -> str:
        """The keys for another process of this installation; empty where there are none."""
        if not self.opened:
            return ""
        return json.dumps(
            {base64.b64encode(blob).decode(): base64.b64encode(key).decode() for blob, key in self.opened.items()}
        )

    def open(self, path: Path) -> BinaryIO:
        """The plaintext of a file, sealed or not. Raises MachineTrouble for the key of another folder, and OSError."""
        return path.open("rb") if wrapped_key_of(path) is None else open_file(path, self._key)

    def read(self, path: Path) -> bytes:
        """All of a file, as `open` reads it."""
        with self.open(path) as file:
            return file.read()

    def _key(self, wrapped: WrappedKey) -> bytes:
        found = self.opened.get(wrapped.blob)
        if found is None:
            raise MachineTrouble("A file of the model is sealed, and its data key was not opened. Start again.")
        return found


def no_keys(_wrapped: WrappedKey) -> bytes:
    """The opener of who has no keys: nothing there can be sealed."""
    raise MachineTrouble("This was opened without keys, and a file in it is sealed. Open the whole house.")


PLAIN = OpenedKeys()
"For folders in which nothing is sealed."


def wrapped_key_of(path: Path) -> WrappedKey | None:
    """The key that sealed a file, still wrapped; None for a plain file, a folder, and what is not there."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if not is_sealed(file.read(_MARK_BYTES)):
            return None

        def read_at(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        return read_head(read_at, name=path.name).wrapped


def seal_folder(plain: Path, place: Path, data_key: DataKey, keys: OpenedKeys = PLAIN) -> None:
    """Write all files of one folder into another, sealed where they tell anything.

    What this data key has sealed stays so. What another one has is sealed anew, opened with `keys`: the folder then
    depends on no key but its own. Raises MachineTrouble where that one is not among them.
    """
    place.mkdir(parents=True, exist_ok=True)
    for path in sorted(plain.iterdir()):
        if path.is_dir():
            seal_folder(path, place / path.name, data_key, keys)
            continue
        wrapped = wrapped_key_of(path)
        is_ours = wrapped is not None and wrapped.blob == data_key.wrapped.blob
        if is_ours or path.name in _READABLE or path.name.endswith(HEADER):
            shutil.copyfile(path, place / path.name)
        else:
            seal_file(path, place / path.name, data_key, keys)


def open_folder(sealed: Path, plain: Path, keys: OpenedKeys) -> None:
    """Write all files of a sealed folder into another, in clear: for programs that insist on files."""
    plain.mkdir(parents=True, exist_ok=True)
    for path in sorted(sealed.iterdir()):
        if path.is_dir():
            open_folder(path, plain / path.name, keys)
        elif not path.name.endswith(HEADER):
            with keys.open(path) as file, (plain / path.name).open("wb") as out:
                shutil.copyfileobj(file, out, _BLOCK_BYTES)


def open_in_place(folder: Path, keys: OpenedKeys) -> None:
    """Put the plaintext of each sealed file of a folder, which has to be in memory, in the file's place."""
    for path in sorted(folder.iterdir()):
        if path.name.endswith(HEADER):
            path.unlink()  # it stands in the file itself
        elif wrapped_key_of(path) is not None:
            opened = path.with_name(f".{path.name}.opened")
            with keys.open(path) as file, opened.open("wb") as out:
                shutil.copyfileobj(file, out, _BLOCK_BYTES)
            opened.replace(path)


def seal_file(plain: Path, place: Path, data_key: DataKey, keys: OpenedKeys = PLAIN) -> None:
    """Write a file anew, sealed; beside one of weights its header. It is on the disk when this returns."""
    with keys.open(plain) as file, SealedWriter(place, data_key) as sealed:
        while block := file.read(_BLOCK_BYTES):
            sealed.write(block)
        sealed.settle()
    if plain.suffix == ".safetensors":
        with keys.open(plain) as file, sealed_header(place).open("wb") as header:
            length = file.read(8)
            header.write(length + file.read(int.from_bytes(length, "little")))
            header.flush()
            os.fsync(header.fileno())
