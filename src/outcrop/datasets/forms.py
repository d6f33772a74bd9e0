"""Forms of files that are no JSON Lines: some are read, the others named, each with its mend.

Only a file's first bytes are looked at.
"""

import codecs
import shlex
import zipfile
from pathlib import Path
from typing import NamedTuple

from outcrop.datasets.containers.columnar import ARROW, PARQUET, STREAM
from outcrop.datasets.containers.unpacking import Packing, open_plain, packing_of
from outcrop.datasets.form import HEAD_BYTES, Container, Form
from outcrop.datasets.text_encodings import other_encoding
from outcrop.datasets.text_forms import AS_JSON_LINES, of_text

_TABLES = (".csv", ".tsv", ".tab", ".psv")
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "compressed with gzip", "Unpack it: gunzip < {name} > NEW.jsonl"),
    (b"BZh", "compressed with bzip2", "Unpack it: bunzip2 < {name} > NEW.jsonl"),
    (b"\xfd7zXZ\x00", "compressed with xz", "Unpack it: unxz < {name} > NEW.jsonl"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "Unpack it: unzstd < {name} > NEW.jsonl"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "Unpack it: unlz4 < {name} > NEW.jsonl"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it, and give the file inside."),
    (b"Rar!", "a RAR archive", "Unpack it, and give the file inside."),
    (b"PAR1", PARQUET, "Write its rows: pandas.read_parquet(FILE).to_json(NEW, {jsonl})"),
    (b"ARROW1", ARROW, "Write its rows: pandas.read_feather(FILE).to_json(NEW, {jsonl})"),
    (b"\xff\xff\xff\xff", STREAM, "Write its rows: datasets.Dataset.from_file(FILE).to_json(NEW)"),
    (b"ORC", "an ORC table", "Write its rows: pandas.read_orc(FILE).to_json(NEW, {jsonl})"),
    (b"Obj\x01", "an Avro file", "Write each of its records as one JSON object on a line."),
    (b"SQLite format 3\x00", "an SQLite database", "Write each row as one JSON object on a line."),
    (b"%PDF", "a PDF", "Make records of it: outcrop data pdf {name} --out NEW"),
    (b"\x93NUMPY", "a NumPy array", "Write each row as one JSON object on a line."),
    (b"\x89HDF", "an HDF5 file", "Write each row as one JSON object on a line."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Save it as CSV, and turn that into JSON Lines."),
    (b"\x89PNG", "a picture", "Records are text: one JSON object on a line."),
    (b"\xff\xd8\xff", "a picture", "Records are text: one JSON object on a line."),
    (b"{\\rtf", "a document in RTF", "Save it as plain text, one JSON object on a line."),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "Fetch the file: git lfs pull"),
)  # fmt: skip
_READ = {PARQUET: Container.PARQUET, ARROW: Container.ARROW, STREAM: Container.ARROW_STREAM}


class FileForm(NamedTuple):
    """A file's form: how it is compressed, and what it holds."""

    packing: Packing | None
    held: Form | None
    "None: JSON Lines, good or bad ones."

    @property
    def refused(self) -> Form | None:
        """The form, where it is not read."""
        return self.held if self.held is not None and self.held.container is None else None

    def other_than_json_lines(self, path: Path) -> Form | None:
        """The form by which the file is told where plain JSON Lines alone are taken."""
        if self.packing is None:
            return self.held
        unpack = {"gzip": "gunzip"}.get(self.packing.name, "unzstd")
        return Form(f"compressed with {self.packing.name}", f"Unpack it: {unpack} < {_quoted(path.name)} > NEW.jsonl")


def form_of(path: Path) -> FileForm:
    """The form of a file, by its first bytes. Raises ContainerError for one that cannot be unpacked."""
    packing = packing_of(path)
    with open_plain(path) as file:
        head = file.read(HEAD_BYTES)
        whole = not file.read(1)
    return FileForm(packing, _held(path, head, packing, whole=whole))


def _held(path: Path, head: bytes, packing: Packing | None, *, whole: bool) -> Form | None:
    name = path.name
    for suffix in packing.suffixes if packing else ():
        name = name.removesuffix(suffix)
    if not head:
        return Form("an empty file", "Write one JSON object on each line.")
    found = _binary(path, name, head, packing) or other_encoding(_quoted(name), head)
    if found is not None:
        return found
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head.removeprefix(b"\xef\xbb\xbf"))
    return of_text(_quoted(name), text, whole=whole, is_table=name.lower().endswith(_TABLES))


def _quoted(name: str) -> str:
    """The file's name as a shell takes it."""
    return shlex.quote(name)


def _binary(path: Path, name: str, head: bytes, packing: Packing | None) -> Form | None:
    if packing is not None and head.startswith(packing.starts):
        return Form(f"compressed with {packing.name} twice", "Unpack it once.")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(path, name, packing)
    if head[257:262] == b"ustar":
        return Form("a tar archive", f"Unpack it: tar -xf {_quoted(name)}")
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and head[1:2]:
        return Form("a pickle of Python's", "Write each record as one JSON object on a line, with json.dumps.")
    for start, what, mend in _SIGNATURES:
        if head.startswith(start):
            return Form(what, mend.format(name=_quoted(name), jsonl=AS_JSON_LINES), _READ.get(what))
    return None


def _zipped(path: Path, name: str, packing: Packing | None) -> Form:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist() if packing is None else []
    except (zipfile.BadZipFile, OSError):
        names = []
    if any(name.startswith("xl/") for name in names):
        return Form("an Excel workbook", f"Write its rows: pandas.read_excel(FILE).to_json(NEW, {AS_JSON_LINES})")
    if any(name.startswith("word/") for name in names):
        return Form("a Word document", f"Make records of it: outcrop data text {_quoted(name)} --out NEW")
    return Form("a zip archive", f"Unpack it: unzip {_quoted(name)}")
