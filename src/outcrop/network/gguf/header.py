"""The header of a GGUF file, read within bounds: its metadata, and where each tensor lies. No tensor is read.

Nothing that the file says of itself is believed before it is held against the file's size: a count, a length or an
offset that cannot be true ends the reading with a sentence, before memory is taken for it.

The form: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.errors import MachineTrouble
from outcrop.json_files import FileProblem

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"struct's letter of each type of value that has a fixed size."
_MOST_ENTRIES, _MOST_TENSORS = 16_384, 262_144
_MOST_VALUES = 4_000_000
"Of all lists together: a vocabulary of 262,144 tokens with its merges has a quarter of it."
_MOST_HEADER_BYTES = 512 << 20
_MOST_DIMENSIONS = 4
_MOST_NAME_BYTES = 1_024
_MOST_NUMBERS = 1 << 48
"Of one tensor."


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """The place, shape and number form of one tensor in a GGUF file."""

    name: str
    shape: tuple[int, ...]
    "Outermost first, as torch counts; the file counts the other way."
    form: str
    "ggml's name of how its numbers are written: F32, Q4_K."
    offset: int
    "From the beginning of the file."
    num_bytes: int

    @property
    def num_values(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class GgufHeader:
    """The metadata and the tensors of a GGUF file."""

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]

    @property
    def architecture(self) -> str:
        """The architecture by llama.cpp's name. Raises FileProblem."""
        return self.text("general.architecture")

    def text(self, key: str) -> str:
        """A text of the metadata. Raises FileProblem where it is missing or no text."""
        value = self.metadata.get(key)
        if not isinstance(value, str):
            raise FileProblem(f"{self.path.name}: {key}: {'missing' if value is None else 'is no text'}")
        return value


def is_gguf(path: Path) -> bool:
    """Whether a file begins as GGUF files do."""
    try:
        with path.open("rb") as file:
            return file.read(4) == MAGIC
    except OSError:
        return False


def package() -> Any:
    """The package gguf. Raises MachineTrouble where it is not installed."""
    try:
        import gguf
    except ModuleNotFoundError as error:
        raise MachineTrouble("GGUF files need the package gguf. Install it: pip install 'outcrop[gguf]'.") from error
    return gguf


def read_header(path: Path) -> GgufHeader:
    """The header of the file. Raises FileProblem for one that is damaged, cut short, or says what cannot be."""
    sizes = _block_sizes()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _HeaderReader(path, data, sizes).header()
    except ValueError as error:
        if isinstance(error, FileProblem):
            raise
        raise FileProblem(f"{path.name}: is empty") from error  # nothing can be mapped
    except OSError as error:
        raise FileProblem(f"{path.name}: cannot be read ({error.strerror})") from error


def _block_sizes() -> dict[int, tuple[str, int, int]]:
    """The name, the numbers of a block and the bytes of a block, by ggml's number of a form."""
    return {int(form): (form.name, *sizes) for form, sizes in package().GGML_QUANT_SIZES.items()}


class _HeaderReader:
    """A walk over the header's bytes that never goes beyond the file."""

    def __init__(self, path: Path, data: mmap.mmap, forms: Mapping[int, tuple[str, int, int]]) -> None:
        self._path = path
        self._data = data
        self._size = len(data)
        self._forms = forms
        self._at = 0
        self._values = 0

    def header(self) -> GgufHeader:
        if self._take(4, "the magic number") != MAGIC:
            raise self._problem("is no GGUF file: it does not begin with GGUF")
        version = self._number("I", "the version")
        if version not in _VERSIONS:
            raise self._problem(f"is of GGUF's version {version}, and versions 2 and 3 are read. Convert it anew")
        num_tensors = self._count("the number of tensors", _MOST_TENSORS, least_bytes=24)
        num_entries = self._count("the number of metadata entries", _MOST_ENTRIES, least_bytes=13)
        metadata = self._metadata(num_entries)
        listed = [self._tensor() for _ in range(num_tensors)]
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 8 or alignment & (alignment - 1) or alignment > 1 << 20:
            raise self._problem(f"general.alignment: {alignment} is no power of two from 8 on")
        begin = -(-self._at // alignment) * alignment
        return GgufHeader(path=self._path, metadata=metadata, tensors=self._placed(listed, begin, alignment))

    def _metadata(self, count: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(count):
            key = self._string("a metadata key", most=_MOST_NAME_BYTES)
            if key in found:
                raise self._problem(f"{key}: is there twice")
            found[key] = self._value(self._number("I", key), key)
        return found

    def _value(self, kind: int, key: str) -> Any:
        if kind in _SCALARS:
            return self._number(_SCALARS[kind], key)
        if kind == _STRING:
            return self._string(key)
        if kind != _ARRAY:
            raise self._problem(f"{key}: is of type {kind}, which GGUF does not have")
        inner = self._number("I", key)
        if inner == _STRING:
            return [self._string(key) for _ in range(self._items(key, least_bytes=8))]
        if inner not in _SCALARS:
            raise self._problem(f"{key}: is a list of type {inner}, which is not read")
        letter = _SCALARS[inner]
        count = self._items(key, least_bytes=struct.calcsize(letter))
        return list(struct.unpack(f"<{count}{letter}", self._take(count * struct.calcsize(letter), key)))

    def _items(self, key: str, *, least_bytes: int) -> int:
        count = self._count(key, _MOST_VALUES, least_bytes=least_bytes)
        self._values += count
        if self._values > _MOST_VALUES:
            raise self._problem(f"its lists have more than {_MOST_VALUES:,} values together")
        return count

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string("the name of a tensor", most=_MOST_NAME_BYTES)
        dimensions = self._number("I", name)
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise self._problem(f"{name}: has {dimensions} dimensions, and 1 to {_MOST_DIMENSIONS} are possible")
        shape = tuple(reversed([self._number("Q", name) for _ in range(dimensions)]))
        return name, shape, self._number("I", name), self._number("Q", name)

    def _placed(
        self, listed: list[tuple[str, tuple[int, ...], int, int]], begin: int, alignment: int
    ) -> dict[str, GgufTensor]:
        found: dict[str, GgufTensor] = {}
        for name, shape, kind, offset in listed:
            if name in found:
                raise self._problem(f"{name}: is there twice")
            if kind not in self._forms:
                raise self._problem(f"{name}: its numbers are of form {kind}, which is not known here")
            form, per_block, block_bytes = self._forms[kind]
            if not all(shape) or math.prod(shape) > _MOST_NUMBERS or shape[-1] % per_block:
                raise self._problem(f"{name}: the shape {list(shape)} cannot be one of {form}")
            num_bytes = math.prod(shape) // per_block * block_bytes
            if offset % alignment or begin + offset + num_bytes > self._size:
                raise self._problem(
                    f"{name}: {num_bytes:,} bytes at {begin + offset:,} are not within its {self._size:,} bytes: it is "
                    "damaged or cut short"
                )
            found[name] = GgufTensor(name=name, shape=shape, form=form, offset=begin + offset, num_bytes=num_bytes)
        self._check_apart(found)
        return found

    def _check_apart(self, tensors: Mapping[str, GgufTensor]) -> None:
        """Tensors that share bytes are none that a converter wrote: a small file would become a huge one."""
        end = 0
        for tensor in sorted(tensors.values(), key=lambda tensor: tensor.offset):
            if tensor.offset < end:
                raise self._problem(f"{tensor.name}: lies upon another tensor")
            end = tensor.offset + tensor.num_bytes

    def _count(self, what: str, most: int, *, least_bytes: int) -> int:
        """A count of things, each of which takes some bytes of what is left."""
        count = self._number("Q", what)
        if count > most or count * least_bytes > self._size - self._at:
            raise self._problem(
                f"{what}: {count:,} cannot be, in a file of {self._size:,} bytes: it is damaged or cut short"
            )
        return int(count)

    def _string(self, what: str, *, most: int = _MOST_HEADER_BYTES) -> str:
        length = self._number("Q", what)
        if length > most:
            raise self._problem(f"{what}: a text of {length:,} bytes, where at most {most:,} are read")
        try:
            return self._take(length, what).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._problem(f"{what}: is not UTF-8") from error

    def _number(self, letter: str, what: str) -> Any:
        return struct.unpack(f"<{letter}", self._take(struct.calcsize(letter), what))[0]

    def _take(self, count: int, what: str) -> bytes:
        end = self._at + count
        if end > self._size:
            raise self._problem(
                f"{what}: {count:,} bytes at {self._at:,} are not within its {self._size:,} bytes: it is damaged or "
                "cut short"
            )
        if end > _MOST_HEADER_BYTES:
            raise self._problem(f"its header is larger than {_MOST_HEADER_BYTES:,} bytes")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _problem(self, what: str) -> FileProblem:
        return FileProblem(f"{self._path.name}: {what}")
